/**
 * The search keys of RFC 9051 6.4.4 as a tree, plus MODSEQ (RFC 7162), OLDER and YOUNGER (RFC 5032), EMAILID and THREADID
 * (RFC 8474) and Gmail's X-GM-RAW and X-GM-LABELS. The tree is what `Query` builds, what a driver compiles, and what the
 * embedded store evaluates. NEW, OLD and RECENT of RFC 3501 are left out: \Recent belongs to one session, and sessions
 * are shared here.
 */
import { Schema } from "effect"

/** A calendar date, "2026-11-22". IMAP compares dates without time and zone. */
export const CalendarDate = Schema.String.check(Schema.isPattern(/^\d{4}-\d{2}-\d{2}$/))

/** Where a text is looked for. `text` is header and body, `body` the body alone. */
export const TextField = Schema.Literals(["from", "to", "cc", "bcc", "subject", "body", "text"])
export type TextField = typeof TextField.Type

/** Substring match, without regard to case. */
const Text = Schema.TaggedStruct("Text", { field: TextField, value: Schema.String })

/** A header field holds the text; the empty text asks only whether the field is there. */
const Header = Schema.TaggedStruct("Header", { name: Schema.String, value: Schema.String })

/** A flag is set or not: a system flag ("\\Seen") or a keyword ("$Forwarded"). */
const Flag = Schema.TaggedStruct("Flag", { flag: Schema.String, set: Schema.Boolean })

/** `received` is the server's internal date, `sent` the Date field. `before` and `since` as in the RFC: since includes. */
const DateKey = Schema.TaggedStruct("Date", {
  which: Schema.Literals(["received", "sent"]),
  compare: Schema.Literals(["before", "on", "since"]),
  date: CalendarDate
})

/** Older or younger than so many seconds (RFC 5032). */
const Age = Schema.TaggedStruct("Age", { compare: Schema.Literals(["older", "younger"]), seconds: Schema.Int })

/** Size in octets, exclusive. */
const Size = Schema.TaggedStruct("Size", { compare: Schema.Literals(["larger", "smaller"]), octets: Schema.Int })

/** A sequence set over UIDs or, with `uid: false`, over sequence numbers: "1:5,9", "100:*". */
const Sequence = Schema.TaggedStruct("Sequence", { uid: Schema.Boolean, range: Schema.String })

/**
 * Changed at or after a mod-sequence (RFC 7162 3.1.5). `entry` asks for the mod-sequence of one flag alone; a server
 * that keeps one per message ignores it, as the RFC tells it to.
 */
const Modseq = Schema.TaggedStruct("Modseq", {
  modseq: Schema.BigInt,
  entry: Schema.optionalKey(Schema.Struct({ name: Schema.String, type: Schema.Literals(["priv", "shared", "all"]) }))
})

/** A server-wide identifier of a message or a thread (RFC 8474). */
const Identifier = Schema.TaggedStruct("Identifier", {
  which: Schema.Literals(["email", "thread"]),
  id: Schema.String
})

/** Gmail's own search syntax, or one of its labels (X-GM-EXT-1). */
const Gmail = Schema.TaggedStruct("Gmail", { which: Schema.Literals(["raw", "label"]), value: Schema.String })

const All = Schema.TaggedStruct("All", {})

const Leaf = Schema.Union([All, Text, Header, Flag, DateKey, Age, Size, Sequence, Modseq, Identifier, Gmail])

/** A search key. `And` and `Or` hold one or more keys. */
export type SearchKey =
  | typeof Leaf.Type
  | { readonly _tag: "And"; readonly keys: ReadonlyArray<SearchKey> }
  | { readonly _tag: "Or"; readonly keys: ReadonlyArray<SearchKey> }
  | { readonly _tag: "Not"; readonly key: SearchKey }

type Encoded =
  | typeof Leaf.Encoded
  | { readonly _tag: "And"; readonly keys: ReadonlyArray<Encoded> }
  | { readonly _tag: "Or"; readonly keys: ReadonlyArray<Encoded> }
  | { readonly _tag: "Not"; readonly key: Encoded }

const Nested = Schema.suspend((): Schema.Codec<SearchKey, Encoded> => SearchKey)

export const SearchKey: Schema.Codec<SearchKey, Encoded> = Schema.Union([
  Leaf,
  Schema.TaggedStruct("And", { keys: Schema.Array(Nested) }),
  Schema.TaggedStruct("Or", { keys: Schema.Array(Nested) }),
  Schema.TaggedStruct("Not", { key: Nested })
])

/** The system flags that have a search key, in the spelling used here. */
export const systemFlags = ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"] as const

/** How deep And, Or and Not may lie in each other. */
export const maxDepth = 64

/** Every message. */
export const all: SearchKey = { _tag: "All" }

/** All of the keys: one flat And, without All; nothing to ask for is All. */
export const allOf = (keys: ReadonlyArray<SearchKey>): SearchKey => {
  const flat = keys.flatMap((key) => key._tag === "And" ? key.keys : key._tag === "All" ? [] : [key])
  return flat.length === 0 ? all : only(flat) ?? { _tag: "And", keys: flat }
}

/** At least one of the keys: one flat Or. An Or of nothing is no valid key. */
export const anyOf = (keys: ReadonlyArray<SearchKey>): SearchKey => {
  const flat = keys.flatMap((key) => key._tag === "Or" ? key.keys : [key])
  return only(flat) ?? { _tag: "Or", keys: flat }
}

/** The opposite: a double Not falls away, and a flag turns, as the protocol writes UNSEEN for NOT SEEN. */
export const negate = (key: SearchKey): SearchKey => {
  if (key._tag === "Not") return key.key
  if (key._tag === "Flag") return { ...key, set: !key.set }
  return { _tag: "Not", key }
}

const only = (keys: ReadonlyArray<SearchKey>): SearchKey | undefined => keys.length === 1 ? keys[0] : undefined

/** The same meaning in the one form that `allOf`, `anyOf` and `negate` build. */
export const normalize = (key: SearchKey): SearchKey => {
  switch (key._tag) {
    case "And":
      return allOf(key.keys.map(normalize))
    case "Or":
      return anyOf(key.keys.map(normalize))
    case "Not":
      return negate(normalize(key.key))
    case "Flag":
      return { ...key, flag: systemFlags.find((flag) => flag.toLowerCase() === key.flag.toLowerCase()) ?? key.flag }
    default:
      return key
  }
}
