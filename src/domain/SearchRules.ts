/**
 * What makes a search key one that a server can be asked: values that the grammar of RFC 9051 9 can carry, and that do
 * not mean something else than they say. The parser and `Query.validate` share these rules. Nothing here knows how a
 * key came to be.
 */
import { maxDepth, type SearchKey, systemFlags } from "./SearchKey.ts"

/** What is wrong, and with which criterion ("from", "sentSince"). */
export interface Flaw {
  readonly field: string
  readonly problem: string
}

/** The largest number of 32 bits: UIDs, sequence numbers and ages end there (RFC 9051 9). */
const maxNumber = 0xffff_ffff

/** MODSEQ is an unsigned 63-bit number (RFC 7162 7). */
const maxModseq = 0x7fff_ffff_ffff_ffffn

/** The first flaw of a key, from left to right. A key without one can be sent. */
export const flawOf = (key: SearchKey, depth = 0): Flaw | undefined => {
  switch (key._tag) {
    case "And":
    case "Or": {
      const field = key._tag === "And" ? "and" : "or"
      if (depth === maxDepth) return { field, problem: tooDeep }
      if (key.keys.length === 0) return { field, problem: "an empty list: it needs one key at least" }
      for (const inner of key.keys) {
        const flaw = flawOf(inner, depth + 1)
        if (flaw !== undefined) return flaw
      }
      return undefined
    }
    case "Not":
      return depth === maxDepth ? { field: "not", problem: tooDeep } : flawOf(key.key, depth + 1)
    case "All":
      return undefined
    case "Text":
      return flaw(key.field, emptyTextFlaw(key.value) ?? textFlaw(key.value))
    case "Header":
      return flaw("header", headerNameFlaw(key.name) ?? textFlaw(key.value))
    case "Flag":
      return flaw(key.set ? "keyword" : "notKeyword", flagFlaw(key.flag))
    case "Date":
      return flaw(dateFields[key.which][key.compare], dateFlaw(key.date))
    case "Age":
      return flaw(`${key.compare}Than`, within(key.seconds, 1, maxNumber, "seconds"))
    case "Size":
      return flaw(key.compare, within(key.octets, 0, Number.MAX_SAFE_INTEGER, "octets"))
    case "Sequence":
      return flaw(key.uid ? "uid" : "sequence", rangeFlaw(key.range))
    case "Modseq":
      return flaw("modseq", modseqFlaw(key.modseq) ?? (key.entry === undefined ? undefined : textFlaw(key.entry.name)))
    case "Identifier":
      return flaw(`${key.which}Id`, identifierFlaw(key.id))
    case "Gmail":
      return flaw(key.which === "raw" ? "gmail" : "label", emptyTextFlaw(key.value) ?? textFlaw(key.value))
  }
}

export const tooDeep = `nested more than ${maxDepth} deep`

/** The names of the dates as criteria. */
const dateFields = {
  received: { before: "before", on: "on", since: "since" },
  sent: { before: "sentBefore", on: "sentOn", since: "sentSince" }
} as const

const flaw = (field: string, problem: string | undefined): Flaw | undefined =>
  problem === undefined ? undefined : { field, problem }

/** RFC 9051 calls the empty text a match for everything, which is seldom what an empty text was meant to say. */
const emptyTextFlaw = (value: string) => value === "" ? "an empty text would match every message" : undefined

/** CR and LF would end the command, and NUL cannot be sent in a string at all. */
export const textFlaw = (value: string): string | undefined =>
  /[\r\n\0]/.test(value) ? "a text must not hold a line break or NUL" : undefined

/** Printable ASCII without the colon (RFC 5322 3.6.8). */
const headerNameFlaw = (name: string) =>
  /^[\x21-\x39\x3b-\x7e]+$/.test(name)
    ? undefined
    : `${JSON.stringify(name)} is no name of a header field: printable ASCII without space and colon`

/** Characters of an atom (RFC 9051 9), of which keywords are made. */
export const isAtom = (value: string): boolean => /^[\x21\x23\x24\x26\x27\x2b-\x5b\x5e-\x7a\x7c-\x7e]+$/.test(value)

const flagFlaw = (flag: string) => {
  if (flag.startsWith("\\")) {
    return systemFlags.some((known) => known.toLowerCase() === flag.toLowerCase())
      ? undefined
      : `${flag} has no search key; the system flags that have one are ${systemFlags.join(", ")}`
  }
  if (flag === "") return "an empty keyword"
  return isAtom(flag)
    ? undefined
    : `${JSON.stringify(flag)} is no keyword: ASCII without space, control characters and any of ( ) { ] % * " \\`
}

const dateFlaw = (date: string) => {
  const [, year = 0, month = 0, day = 0] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date)?.map(Number) ?? []
  const length = month === 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  return month >= 1 && month <= 12 && day >= 1 && day <= length ? undefined : `${date} is no date of the calendar`
}

const isLeap = (year: number) => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const within = (value: number, low: number, high: number, unit: string) =>
  Number.isInteger(value) && value >= low && value <= high
    ? undefined
    : `${value} is no whole number of ${unit} between ${low} and ${high}`

const modseqFlaw = (modseq: bigint) =>
  modseq >= 0n && modseq <= maxModseq ? undefined : `${modseq} is no mod-sequence between 0 and ${maxModseq}`

const rangeFlaw = (range: string) => {
  if (range === "") return "an empty set names no message"
  for (const part of range.split(",")) {
    const ends = part.split(":")
    if (ends.length > 2) return `${JSON.stringify(part)} is no range; one is written 1:5`
    for (const end of ends) {
      if (end === "*" || (/^[1-9]\d{0,9}$/.test(end) && Number(end) <= maxNumber)) continue
      return `${JSON.stringify(end)} is no number between 1 and ${maxNumber}, nor *; a set is written 1:5,9,20:*`
    }
  }
  return undefined
}

const identifierFlaw = (id: string) =>
  /^[\w-]{1,255}$/.test(id)
    ? undefined
    : `${JSON.stringify(id)} is no identifier: 1 to 255 letters, digits, _ and - (RFC 8474)`
