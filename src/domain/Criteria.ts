/**
 * Search criteria as a plain object, every field of which must match: the friendly names of the keys in `SearchKey`.
 * The values are carried over as they are; `Query.validate` judges them.
 */
import { Duration, Option } from "effect"
import { nearest } from "./SearchHints.ts"
import { allOf, anyOf, negate, type SearchKey, type TextField } from "./SearchKey.ts"

/** A calendar day: "2026-11-22", or the day in UTC on which the `Date` falls. */
export type Day = string | Date

/** A set of UIDs or sequence numbers: "1:5,9", "100:*", one number, or a list of numbers. */
export type NumberSet = string | number | ReadonlyArray<number>

/** Criteria, or a key of the tree, as `query.key` and `SearchKey` hold it. */
export type Criterion = Criteria | SearchKey

/**
 * What is asked of a message. Texts match a part of what they are compared with, without regard to case; there are no
 * wildcards. Dates are compared without time and zone, `since` includes its day and `before` does not.
 */
export interface Criteria {
  /** \Seen is set, or with `false` is not; the other four likewise. */
  readonly seen?: boolean
  readonly answered?: boolean
  readonly deleted?: boolean
  readonly draft?: boolean
  readonly flagged?: boolean
  /** A keyword such as "$Forwarded" is set. */
  readonly keyword?: string
  /** A keyword is not set. */
  readonly notKeyword?: string
  readonly from?: string
  readonly to?: string
  readonly cc?: string
  readonly bcc?: string
  readonly subject?: string
  /** The body holds the text. */
  readonly body?: string
  /** Header or body hold the text. */
  readonly text?: string
  /** Header fields hold the texts, all of them; an empty text asks whether the field is there. */
  readonly header?: Readonly<Record<string, string>>
  /** When the server received it (INTERNALDATE). */
  readonly before?: Day
  readonly on?: Day
  readonly since?: Day
  /** The Date field of the message. */
  readonly sentBefore?: Day
  readonly sentOn?: Day
  readonly sentSince?: Day
  /**
   * Received longer ago than this, or more recently, in whole seconds, rounded up. Fails with `Unsupported` where the
   * server lacks WITHIN (RFC 5032), as Gmail's does: ask for days there, with `before` and `since`.
   */
  readonly olderThan?: Duration.Input
  readonly youngerThan?: Duration.Input
  /** More octets than this. */
  readonly larger?: number
  /** Fewer octets than this. */
  readonly smaller?: number
  readonly uid?: NumberSet
  /** Sequence numbers: places in the mailbox at the moment of the search, never names. */
  readonly sequence?: NumberSet
  /** Changed at this mod-sequence or later (CONDSTORE, RFC 7162). */
  readonly modseq?: bigint | number
  /** Identifiers of the server (OBJECTID, RFC 8474). */
  readonly emailId?: string
  readonly threadId?: string
  /** The search syntax of Gmail (X-GM-RAW). */
  readonly gmail?: string
  /** A label of Gmail. imapflow cannot ask for it, and it fails with `Unsupported`: write `{ gmail: "label:NAME" }`. */
  readonly label?: string
  /** All of these match, beside the other fields. */
  readonly and?: ReadonlyArray<Criterion>
  /** At least one of these matches, beside the other fields. */
  readonly or?: ReadonlyArray<Criterion>
  /** This does not match as a whole: `{ from: "a", seen: true }` excludes what was read *and* is from a. */
  readonly not?: Criterion
}

/**
 * The key that asks for all of the criteria; `{}` asks for nothing and is ALL. Throws a `TypeError` for a field that
 * does not exist and for `undefined`, which the types rule out: either would drop a condition and widen the search.
 */
export const toSearchKey = (criterion: Criterion): SearchKey => {
  if ("_tag" in criterion) return criterion
  const keys: Array<SearchKey> = []
  for (const [name, value] of Object.entries(criterion)) {
    const make = isField(name) ? fields[name] : undefined
    if (make === undefined) {
      const meant = nearest(name.toUpperCase(), fieldNames.map((name) => name.toUpperCase()))
      const field = fieldNames.find((name) => name.toUpperCase() === meant)
      throw new TypeError(
        `unknown search criterion "${name}"${field === undefined ? "" : `; did you mean "${field}"?`}`
      )
    }
    if (value === undefined) {
      throw new TypeError(`the search criterion "${name}" is undefined: leave it out where it is not wanted`)
    }
    // the table pairs each name with the type of its value, which Object.entries forgets
    keys.push((make as (value: unknown) => SearchKey)(value))
  }
  return allOf(keys)
}

const flag = (flag: string) => (set: boolean): SearchKey => ({ _tag: "Flag", flag, set })

const text = (field: TextField) => (value: string): SearchKey => ({ _tag: "Text", field, value })

const date = (which: "received" | "sent", compare: "before" | "on" | "since") => (day: Day): SearchKey => ({
  _tag: "Date",
  which,
  compare,
  date: typeof day === "string" ? day : Number.isNaN(day.getTime()) ? String(day) : day.toISOString().slice(0, -14)
})

const age = (compare: "older" | "younger") => (input: Duration.Input): SearchKey => ({
  _tag: "Age",
  compare,
  seconds: Option.match(Duration.fromInput(input), {
    onNone: () => Number.NaN,
    onSome: (duration) => Math.ceil(Duration.toSeconds(duration))
  })
})

const range = (uid: boolean) => (set: NumberSet): SearchKey => ({ _tag: "Sequence", uid, range: String(set) })

const fields: { readonly [Name in keyof Criteria]-?: (value: NonNullable<Criteria[Name]>) => SearchKey } = {
  seen: flag("\\Seen"),
  answered: flag("\\Answered"),
  deleted: flag("\\Deleted"),
  draft: flag("\\Draft"),
  flagged: flag("\\Flagged"),
  keyword: (keyword) => ({ _tag: "Flag", flag: keyword, set: true }),
  notKeyword: (keyword) => ({ _tag: "Flag", flag: keyword, set: false }),
  from: text("from"),
  to: text("to"),
  cc: text("cc"),
  bcc: text("bcc"),
  subject: text("subject"),
  body: text("body"),
  text: text("text"),
  header: (header) =>
    allOf(Object.entries(header).map(([name, value]): SearchKey => ({ _tag: "Header", name, value }))),
  before: date("received", "before"),
  on: date("received", "on"),
  since: date("received", "since"),
  sentBefore: date("sent", "before"),
  sentOn: date("sent", "on"),
  sentSince: date("sent", "since"),
  olderThan: age("older"),
  youngerThan: age("younger"),
  larger: (octets) => ({ _tag: "Size", compare: "larger", octets }),
  smaller: (octets) => ({ _tag: "Size", compare: "smaller", octets }),
  uid: range(true),
  sequence: range(false),
  modseq: (modseq) => ({
    _tag: "Modseq",
    // a number that is no integer has no bigint; -1 is as invalid, and is refused with the rest
    modseq: typeof modseq === "bigint" ? modseq : Number.isSafeInteger(modseq) ? BigInt(modseq) : -1n
  }),
  emailId: (id) => ({ _tag: "Identifier", which: "email", id }),
  threadId: (id) => ({ _tag: "Identifier", which: "thread", id }),
  gmail: (value) => ({ _tag: "Gmail", which: "raw", value }),
  label: (value) => ({ _tag: "Gmail", which: "label", value }),
  and: (criteria) => allOf(criteria.map(toSearchKey)),
  or: (criteria) => anyOf(criteria.map(toSearchKey)),
  not: (criterion) => negate(toSearchKey(criterion))
}

const isField = (name: string): name is keyof Criteria => Object.hasOwn(fields, name)

const fieldNames = Object.keys(fields)
