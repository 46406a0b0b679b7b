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

/** Changed at or after a mod-sequence (RFC 7162 3.1.5). */
const Modseq = Schema.TaggedStruct("Modseq", { modseq: Schema.BigInt })

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
