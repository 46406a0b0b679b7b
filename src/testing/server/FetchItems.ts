/** The data items of a FETCH as they come on the wire (RFC 9051 6.4.5), read into values. Pure. */
import { bad } from "./Refusal.ts"
import { textOf, type Token } from "./Tokens.ts"

/** Part of a section (RFC 9051 6.4.5, partial). */
export interface Partial {
  readonly start: number
  readonly length: number
}

/** One section to be written as `label` and its octets. `names` are those of HEADER.FIELDS or, with `not`, of the rest. */
export interface SectionItem {
  readonly label: string
  readonly section: string
  readonly names: ReadonlyArray<string> | undefined
  readonly not: boolean
  readonly partial: Partial | undefined
  /** Reading it marks the message as seen. */
  readonly marks: boolean
}

export interface FetchRequest {
  /** Items without octets, upper case, each once. */
  readonly items: ReadonlySet<string>
  readonly sections: ReadonlyArray<SectionItem>
}

const macros: { readonly [name: string]: ReadonlyArray<string> } = {
  ALL: ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
  FAST: ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
  FULL: ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]
}

const plainItems = new Set([
  "FLAGS",
  "INTERNALDATE",
  "RFC822.SIZE",
  "ENVELOPE",
  "BODYSTRUCTURE",
  "BODY",
  "UID",
  "MODSEQ",
  "EMAILID",
  "THREADID"
])

/** The old names (RFC 3501 6.4.5). */
const oldSections: { readonly [name: string]: { readonly section: string; readonly marks: boolean } } = {
  RFC822: { section: "", marks: true },
  "RFC822.HEADER": { section: "HEADER", marks: false },
  "RFC822.TEXT": { section: "TEXT", marks: true }
}

/** Reads the items of a FETCH. `knows` tells which items the server has beside those of RFC 9051. */
export const readFetchItems = (token: Token, knows: (item: string) => boolean): FetchRequest => {
  const items = new Set<string>()
  const sections: Array<SectionItem> = []
  for (const each of token._tag === "list" ? token.items : [token]) {
    if (each._tag === "section") {
      sections.push(toSection(each))
      continue
    }
    if (each._tag !== "atom") throw bad("invalid FETCH item")
    const name = each.value.toUpperCase()
    const old = oldSections[name]
    if (old !== undefined) sections.push({ ...old, label: name, names: undefined, not: false, partial: undefined })
    else if (plainItems.has(name) && knows(name)) items.add(name)
    else if (macros[name] !== undefined) { for (const item of macros[name]) items.add(item) }
    else throw bad(`unknown FETCH item ${name}`)
  }
  return { items, sections }
}

const toSection = (token: Token & { readonly _tag: "section" }): SectionItem => {
  if (token.name !== "BODY" && token.name !== "BODY.PEEK") throw bad(`unknown FETCH item ${token.name}`)
  const [first, second] = token.items
  const given = (first === undefined ? "" : textOf(first) ?? "").toUpperCase()
  const fields = /^(.*?)\.?FIELDS(\.NOT)?$/.exec(given)
  const section = fields?.[1] ?? given
  if (!/^(?:(?:\d+\.)*(?:\d+|HEADER|TEXT)|(?:\d+\.)+MIME|)$/.test(section)) throw bad("invalid section")
  const names = fields === null ? undefined : namesOf(second)
  const partial = token.partial === undefined ? undefined : partialOf(token.partial)
  const label = `BODY[${given}${names === undefined ? "" : ` (${names.map(toName).join(" ")})`}]${
    partial === undefined ? "" : `<${partial.start}>`
  }`
  return { label, section, names, not: fields?.[2] !== undefined, partial, marks: token.name === "BODY" }
}

const namesOf = (token: Token | undefined): ReadonlyArray<string> => {
  if (token?._tag !== "list" || token.items.length === 0) throw bad("expected field names")
  return token.items.map((name) => textOf(name) ?? "")
}

const toName = (name: string): string =>
  /^[!-9;-Z\\^-z|}~]+$/.test(name) ? name : `"${name.replaceAll(/[^ !#-[\]-~]/g, "?")}"`

const partialOf = (text: string): Partial => {
  const match = /^<(\d{1,10})(?:\.(\d{1,10}))?>$/.exec(text)
  if (match === null) throw bad("invalid partial")
  return { start: Number(match[1]), length: match[2] === undefined ? Infinity : Number(match[2]) }
}
