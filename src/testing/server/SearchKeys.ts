/** Search keys as they come on the wire (RFC 9051 6.4.4), read into the tree the store evaluates. */
import { toRange } from "../../domain/MessageSet.ts"
import type { SearchKey } from "../../domain/SearchKey.ts"
import { parseDate } from "./DateTime.ts"
import { bad } from "./Refusal.ts"
import { Arguments } from "./Tokens.ts"

/** The UIDs of the session's view that a sequence set names. */
export type Resolve = (set: string, byUid: boolean) => ReadonlyArray<number>

const all: SearchKey = { _tag: "All" }
const nothing: SearchKey = { _tag: "Not", key: all }

const flags: { readonly [key: string]: string } = {
  ANSWERED: "\\Answered",
  DELETED: "\\Deleted",
  DRAFT: "\\Draft",
  FLAGGED: "\\Flagged",
  SEEN: "\\Seen"
}

const texts: { readonly [key: string]: (SearchKey & { readonly _tag: "Text" })["field"] } = {
  BCC: "bcc",
  BODY: "body",
  CC: "cc",
  FROM: "from",
  SUBJECT: "subject",
  TEXT: "text",
  TO: "to"
}

const maxDepth = 64

/** Reads all keys up to the end. */
export const readSearchKeys = (args: Arguments, resolve: Resolve, depth = 0): SearchKey => {
  if (depth > maxDepth) throw bad("search is nested too deeply")
  const keys: Array<SearchKey> = []
  while (!args.isAtEnd) keys.push(readKey(args, resolve, depth))
  if (keys.length === 0) throw bad("missing search key")
  return keys.length === 1 && keys[0] !== undefined ? keys[0] : { _tag: "And", keys }
}

const readKey = (args: Arguments, resolve: Resolve, depth: number): SearchKey => {
  if (depth > maxDepth) throw bad("search is nested too deeply")
  const token = args.peek()
  if (token?._tag === "list") return readSearchKeys(new Arguments(args.list()), resolve, depth + 1)
  const word = args.word()
  const date = (which: "received" | "sent", compare: "before" | "on" | "since"): SearchKey => {
    const day = parseDate(args.text())
    if (day === undefined) throw bad("invalid date")
    return { _tag: "Date", which, compare, date: day }
  }
  const flag = flags[word.replace(/^UN/, "")]
  if (flag !== undefined) return { _tag: "Flag", flag, set: !word.startsWith("UN") }
  const field = texts[word]
  if (field !== undefined) return { _tag: "Text", field, value: args.text() }
  switch (word) {
    case "ALL":
    case "OLD":
      return all
    // No session ever owns \Recent here
    case "NEW":
    case "RECENT":
      return nothing
    case "NOT":
      return { _tag: "Not", key: readKey(args, resolve, depth + 1) }
    case "OR":
      return { _tag: "Or", keys: [readKey(args, resolve, depth + 1), readKey(args, resolve, depth + 1)] }
    case "KEYWORD":
      return { _tag: "Flag", flag: args.text(), set: true }
    case "UNKEYWORD":
      return { _tag: "Flag", flag: args.text(), set: false }
    case "HEADER":
      return { _tag: "Header", name: args.text(), value: args.text() }
    case "BEFORE":
      return date("received", "before")
    case "ON":
      return date("received", "on")
    case "SINCE":
      return date("received", "since")
    case "SENTBEFORE":
      return date("sent", "before")
    case "SENTON":
      return date("sent", "on")
    case "SENTSINCE":
      return date("sent", "since")
    case "LARGER":
      return { _tag: "Size", compare: "larger", octets: numberOf(args) }
    case "SMALLER":
      return { _tag: "Size", compare: "smaller", octets: numberOf(args) }
    case "OLDER":
      return { _tag: "Age", compare: "older", seconds: numberOf(args) }
    case "YOUNGER":
      return { _tag: "Age", compare: "younger", seconds: numberOf(args) }
    case "UID":
      return toSequence(resolve(args.text(), true))
    case "MODSEQ":
      return readModseq(args)
    case "EMAILID":
      return { _tag: "Identifier", which: "email", id: args.text() }
    case "THREADID":
      return { _tag: "Identifier", which: "thread", id: args.text() }
  }
  if (/^[\d*]/.test(word)) return toSequence(resolve(word, false))
  throw bad(`unknown search key ${word}`)
}

const toSequence = (uids: ReadonlyArray<number>): SearchKey =>
  uids.length === 0 ? nothing : { _tag: "Sequence", uid: true, range: toRange(uids) }

const numberOf = (args: Arguments): number => {
  const text = args.text()
  if (!/^\d{1,15}$/.test(text)) throw bad("expected a number")
  return Number(text)
}

/** `MODSEQ 620162338` or, with an entry name and type, `MODSEQ "/flags/\\draft" all 620162338` (RFC 7162 3.1.5). */
const readModseq = (args: Arguments): SearchKey => {
  if (args.peek()?._tag === "string") {
    args.text()
    args.word()
  }
  const text = args.text()
  if (!/^\d{1,19}$/.test(text)) throw bad("expected a mod-sequence")
  return { _tag: "Modseq", modseq: BigInt(text) }
}
