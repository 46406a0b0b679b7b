/**
 * Turns a `SearchKey` into imapflow's query object with exactly the same meaning. The object holds one value per key and
 * leaves out what it takes for empty, which would widen a search; so values it would leave out are written otherwise,
 * and keys that meet are nested. What cannot be said is refused.
 */
import { Result } from "effect"
import { InvalidInput, type Reason, Unsupported } from "../../domain/MailError.ts"
import type { SearchKey } from "../../domain/SearchKey.ts"
import type { SearchObject } from "./client.ts"
import { isFieldName } from "./input.ts"

/** `now` is read again when the query is compiled, so that an age is counted from the moment it is sent. */
export const compileSearch = (
  key: SearchKey,
  has: (capability: string) => boolean,
  now: () => number
): Result.Result<SearchObject, Reason> => {
  let refused: Reason | undefined
  const refuse = (reason: Reason): SearchObject => {
    refused ??= reason
    return nothing
  }
  const invalid = (field: string, problem: string) => refuse(new InvalidInput({ field, problem }))
  const needs = (capability: string, detail: string, query: SearchObject): SearchObject =>
    has(capability) ? query : refuse(new Unsupported({ capability, detail }))

  const walk = (key: SearchKey): SearchObject => {
    switch (key._tag) {
      case "All":
        return everything
      case "And":
        return tree(and, key.keys.map(walk), everything)
      case "Or":
        return key.keys.length === 1
          ? tree(or, key.keys.map(walk), nothing)
          : tree(or, key.keys.map((key) => unseenApart(walk(key))), nothing)
      case "Not":
        return { not: seenApart(walk(key.key)) }
      case "Text":
        if (isBroken(key.value)) return invalid(key.field, noLineBreaks)
        // An empty text is in every body, and in every field that is there at all.
        if (key.value !== "") return { [key.field]: key.value }
        return key.field === "text" || key.field === "body" ? everything : { header: { [key.field]: true } }
      case "Header":
        if (!isFieldName(key.name)) return invalid("header", `"${key.name}" is not the name of a header field`)
        if (isBroken(key.value)) return invalid(`header ${key.name}`, noLineBreaks)
        return { header: { [key.name]: key.value === "" ? true : key.value } }
      case "Flag":
        return flag(key.flag, key.set) ?? invalid("flag", `"${key.flag}" can not be searched for`)
      case "Date": {
        const day = new Day(`${key.date}T00:00:00.000Z`)
        if (Number.isNaN(day.valueOf()) || day.toISOString().slice(0, 10) !== key.date) {
          return invalid("date", `"${key.date}" is not a date`)
        }
        return { [key.which === "received" ? key.compare : sent[key.compare]]: day }
      }
      case "Age":
        if (key.seconds < 1) return invalid(key.compare, "an age is at least one second")
        return needs("WITHIN", "it cannot be asked for an age; ask for days, with before and since", {
          [key.compare === "older" ? "before" : "since"]: new Ago(key.seconds, now)
        })
      case "Size":
        // Zero would be left out, and no message has fewer octets than none.
        if (key.compare === "larger") {
          return key.octets < 1
            ? (key.octets < 0 ? everything : notEmpty)
            : { larger: key.octets }
        }
        return key.octets < 1 ? nothing : { smaller: key.octets }
      case "Sequence":
        if (!sequenceSet.test(key.range)) return invalid("sequence", `"${key.range}" is not a sequence set`)
        return key.uid ? { uid: key.range } : { seq: key.range }
      case "Modseq":
        if (key.entry !== undefined && isBroken(key.entry.name)) return invalid("modseq", noLineBreaks)
        return needs("CONDSTORE", "searching by mod-sequence", {
          // As text, for zero would be left out; a list is written word for word, and its type does not know it.
          modseq: (key.entry === undefined
            ? `${key.modseq}`
            : [key.entry.name, key.entry.type, `${key.modseq}`]) as unknown as bigint
        })
      case "Identifier":
        if (!/^[\w-]+$/.test(key.id)) return invalid("id", `"${key.id}" is not an identifier`)
        return has("OBJECTID") || has("X-GM-EXT-1")
          ? { [key.which === "email" ? "emailId" : "threadId"]: key.id }
          : refuse(new Unsupported({ capability: "OBJECTID", detail: "searching by identifier" }))
      case "Gmail":
        if (isBroken(key.value)) return invalid("gmail", noLineBreaks)
        if (key.which === "raw") return needs("X-GM-EXT-1", "Gmail's search syntax", { gmraw: key.value })
        return refuse(
          new Unsupported({ capability: "X-GM-LABELS", detail: `search for Gmail's own "label:${key.value}" instead` })
        )
    }
  }
  const query = walk(key)
  return refused === undefined ? Result.succeed(query) : Result.fail(refused)
}

const everything: SearchObject = { all: true }
const nothing: SearchObject = { not: everything }
const notEmpty: SearchObject = { not: { smaller: 1 } }

const isBroken = (text: string) => /[\r\n\0]/.test(text)
const noLineBreaks = "holds a line break or NUL, which no search can"
const sequenceSet = /^(?:\d+|\*)(?::(?:\d+|\*))?(?:,(?:\d+|\*)(?::(?:\d+|\*))?)*$/
const sent = { before: "sentBefore", on: "sentOn", since: "sentSince" } as const

const systemFlags = new Map<string, "seen" | "answered" | "deleted" | "draft" | "flagged">([
  ["\\seen", "seen"],
  ["\\answered", "answered"],
  ["\\deleted", "deleted"],
  ["\\draft", "draft"],
  ["\\flagged", "flagged"]
])

const flag = (name: string, set: boolean): SearchObject | undefined => {
  const system = systemFlags.get(name.toLowerCase())
  if (system !== undefined) return { [system]: set }
  // A keyword is an atom (RFC 9051 9); any other backslash flag has no search key.
  if (!/^[!#$&'+-[^-z|}~]+$/.test(name)) return undefined
  return set ? { keyword: name } : { unKeyword: name }
}

/**
 * Both. One object takes both where they share no key; `or` with one element is the element itself, and so carries
 * what meets. Two objects that hold an `or` each meet as double negation.
 */
const and = (a: SearchObject, b: SearchObject): SearchObject => {
  if (a === everything) return b
  if (b === everything) return a
  const keys = Object.keys(a)
  if (!Object.keys(b).some((key) => keys.includes(key))) return { ...a, ...b }
  if (a.or === undefined) return { ...a, or: [b] }
  if (b.or === undefined) return { ...b, or: [a] }
  return { or: [a], not: { not: b } }
}

/** Either. */
const or = (a: SearchObject, b: SearchObject): SearchObject => ({ or: [a, b] })

/** All queries joined two by two, so that the depth stays small: servers bound it. */
const tree = (
  join: (a: SearchObject, b: SearchObject) => SearchObject,
  queries: ReadonlyArray<SearchObject>,
  none: SearchObject
): SearchObject => {
  const [only = none] = queries
  if (queries.length < 2) return only
  const middle = queries.length >> 1
  return join(tree(join, queries.slice(0, middle), none), tree(join, queries.slice(middle), none))
}

/**
 * Dovecot 2.3 joins alternatives that say a flag is not set into one, and if \\Seen is among them it begins at the first
 * unseen message, whatever the others say: `OR UNSEEN UNANSWERED` misses what was read before. All messages, named
 * beside it, keep the flag apart.
 */
const unseenApart = (alternative: SearchObject): SearchObject =>
  Object.keys(alternative).length === 1 && (alternative.seen === false || isSeen(alternative.not))
    ? { ...alternative, uid: allMessages }
    : alternative

/** The same in a negation, which says of one flag or another that it is not set. */
const seenApart = (negated: SearchObject): SearchObject =>
  negated.seen === true && negated.uid === undefined && flagLike.some((key) => negated[key] !== undefined)
    ? { ...negated, uid: allMessages }
    : negated

const isSeen = (query: SearchObject | undefined) => query?.seen === true && Object.keys(query).length === 1
const allMessages = "1:*"
const flagLike = ["answered", "deleted", "draft", "flagged", "not", "or"] as const

/**
 * A calendar day. Where the server has WITHIN, imapflow turns a date in the past into an age in seconds, which is not
 * what BEFORE and SINCE mean; a date that claims to lie ahead is sent as the date it is.
 */
class Day extends Date {
  override getTime(): number {
    return Number.POSITIVE_INFINITY
  }
}

/** An age, which imapflow reads as the distance of a date from now. */
class Ago extends Date {
  readonly #seconds: number
  readonly #now: () => number

  constructor(seconds: number, now: () => number) {
    super(0)
    this.#seconds = seconds
    this.#now = now
  }

  override getTime(): number {
    return this.#now() - this.#seconds * 1000
  }
}
