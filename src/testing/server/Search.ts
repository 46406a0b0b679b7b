/** SEARCH and UID SEARCH (RFC 9051 6.4.4) with the results of ESEARCH (RFC 4731) and mod-sequences (RFC 7162 3.1.5). */
import { toRange } from "../../domain/MessageSet.ts"
import type { SearchKey } from "../../domain/SearchKey.ts"
import { matches } from "../SearchEvaluation.ts"
import { bad, no } from "./Refusal.ts"
import { readSearchKeys } from "./SearchKeys.ts"
import { lowerBound, normalise, parseSequenceSet } from "./SequenceRanges.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { toAtom, toQuoted } from "./Tokens.ts"
import type { View } from "./View.ts"

export const search: Commands = {
  SEARCH: { state: "selected", byUid: true, run: (command) => run(command) }
}

const results = new Set(["MIN", "MAX", "COUNT", "ALL"])

const run = ({ args, byUid, session, tag, verb }: Command): string => {
  const view = session.selected()
  let wanted: ReadonlyArray<string> | undefined
  if (session.has("ESEARCH") && args.takes("RETURN")) {
    const given = args.list().map((token) => toAtom(token).toUpperCase())
    if (!given.every((word) => results.has(word))) throw bad("unknown search result option")
    wanted = given.length === 0 ? ["ALL"] : given
  }
  if (args.takes("CHARSET") && !["UTF-8", "US-ASCII"].includes(args.text().toUpperCase())) {
    throw no("Unknown charset", "BADCHARSET (US-ASCII UTF-8)")
  }
  const key = readSearchKeys(args, (set, uid) => view.resolve(set, uid))
  const found = evaluate(view, key)
  const numbers = byUid ? found : found.map((uid) => view.sequenceOf(uid))
  const modseq = asksModseq(key) && found.length > 0
    ? found.map((uid) => view.mailbox.message(uid)?.modseq ?? 0n).reduce((a, b) => a > b ? a : b)
    : undefined
  if (modseq !== undefined) session.enabled.condstore = true
  if (wanted === undefined) {
    const told = modseq === undefined ? "" : ` (MODSEQ ${modseq})`
    session.line(`* SEARCH${numbers.length === 0 ? "" : ` ${numbers.join(" ")}`}${told}`)
    return `${verb} completed`
  }
  const parts = [`* ESEARCH (TAG ${toQuoted(tag)})`, ...byUid ? ["UID"] : []]
  if (wanted.includes("MIN") && numbers.length > 0) parts.push(`MIN ${numbers[0]}`)
  if (wanted.includes("MAX") && numbers.length > 0) parts.push(`MAX ${numbers.at(-1)}`)
  if (wanted.includes("COUNT")) parts.push(`COUNT ${numbers.length}`)
  if (wanted.includes("ALL") && numbers.length > 0) parts.push(`ALL ${toRange(numbers)}`)
  if (modseq !== undefined) parts.push(`MODSEQ ${modseq}`)
  session.line(parts.join(" "))
  return `${verb} completed`
}

const evaluate = (view: View, key: SearchKey): ReadonlyArray<number> => {
  const { mailbox } = view
  const context = { exists: view.exists, largestUid: view.uids.at(-1) ?? 0, now: new Date() }
  const keys = key._tag === "And" ? key.keys : [key]
  // A set narrows what is looked at, so that a search for one UID does not read a whole mailbox
  const set = keys.find((each) => each._tag === "Sequence")
  const rest = keys.filter((each) => each !== set && each._tag !== "All")
  const found: Array<number> = []
  for (const uid of set === undefined ? view.uids : candidates(view, set.range)) {
    const message = mailbox.message(uid)
    if (message === undefined) continue
    const here = { ...context, sequence: rest.length === 0 ? 0 : view.sequenceOf(uid) }
    if (rest.every((each) => matches(each, message, here))) found.push(uid)
  }
  return found
}

const candidates = (view: View, range: string): ReadonlyArray<number> => {
  const { uids } = view
  return normalise(parseSequenceSet(range) ?? [], uids.at(-1) ?? 0)
    .flatMap(({ from, to }) => uids.slice(lowerBound(uids, from), lowerBound(uids, to + 1)))
}

const asksModseq = (key: SearchKey): boolean => {
  switch (key._tag) {
    case "Modseq":
      return true
    case "And":
    case "Or":
      return key.keys.some(asksModseq)
    case "Not":
      return asksModseq(key.key)
    default:
      return false
  }
}
