/**
 * A search that no command line holds, as several shorter ones whose answers make up its own: one that names tens of
 * thousands of scattered messages, or thousands of alternatives. Pure; it asks nobody.
 *
 * A long place of the search is cut, and each piece is asked for in it. Where what is found can only be more for more of
 * that place, it is what is found for any of the pieces; below a `not`, what is found for all of them.
 */
import { Result } from "effect"
import { cutSet, maxSetLength } from "./CommandLine.ts"
import { InvalidInput } from "./MailError.ts"
import { MessageSet } from "./MessageSet.ts"
import { printSearchKey } from "./QuerySyntax.ts"
import { all, allOf, negate, type SearchKey } from "./SearchKey.ts"
import { UidRanges } from "./UidRanges.ts"

/** Searches in the order in which they are asked. */
export interface LongSearch {
  readonly parts: ReadonlyArray<SearchKey | LongSearch>
  /** Found is what any of them finds, or what all of them find, */
  readonly join: "any" | "all"
  /** except these. */
  readonly without: UidRanges
}

/** The searches to ask instead; undefined for one that fits in a line of `length` octets. */
export const inParts = (
  key: SearchKey,
  length = maxSetLength
): Result.Result<LongSearch | undefined, InvalidInput> => {
  if (lengthOf(key) <= length) return Result.succeed(undefined)
  const { rest, without } = simplified(key)
  const cut = cutUp(rest, length)
  const search = isKey(cut) ? { parts: [cut], join: "any" as const, without } : { ...cut, without }
  return !isKey(cut) && hasSequenceNumbers(rest) ? changingNumbers : Result.succeed(search)
}

const changingNumbers = Result.fail(
  new InvalidInput({
    field: "sequence",
    problem: "too long for one command, and sequence numbers may change until the next: search by UID"
  })
)

/** The answer of the search, of the answers to its parts. */
export const joined = (
  { join, without }: Pick<LongSearch, "join" | "without">,
  found: ReadonlyArray<MessageSet>
): MessageSet => {
  const [first = MessageSet.empty, ...others] = found
  const uids = join === "any"
    ? [...new Set(found.flatMap((set) => set.uids))].sort((a, b) => a - b)
    : first.uids.filter((uid) => others.every((set) => set.has(uid)))
  return first.with(uids.filter((uid) => !without.has(uid)))
}

export const isKey = (part: SearchKey | LongSearch): part is SearchKey => "_tag" in part

/** Sets that all must be in are one set, in its shortest form; sets that none may be in need no server. */
const simplified = (key: SearchKey): { readonly rest: SearchKey; readonly without: UidRanges } => {
  let within: UidRanges | undefined
  let without = UidRanges.empty
  const others: Array<SearchKey> = []
  for (const conjunct of key._tag === "And" ? key.keys : [key]) {
    const ranges = rangesOf(conjunct._tag === "Not" ? conjunct.key : conjunct)
    if (ranges === undefined) others.push(conjunct)
    else if (conjunct._tag === "Not") without = without.union(ranges)
    else within = within?.intersection(ranges) ?? ranges
  }
  if (within === undefined) return { rest: allOf(others), without }
  const range = within.without(without).toString()
  const wanted: SearchKey = range === "" ? negate(all) : { _tag: "Sequence", uid: true, range }
  return { rest: allOf([...others, wanted]), without: UidRanges.empty }
}

/** The messages of a set of UIDs; undefined for what is none, and for one with a "*". */
const rangesOf = (key: SearchKey): UidRanges | undefined =>
  key._tag === "Sequence" && key.uid ? UidRanges.parse(key.range) : undefined

/** A place in a search, and the search with something else in it. Within an odd number of `not`s it is negated. */
interface Place {
  readonly node: SearchKey
  readonly isNegated: boolean
  readonly put: (node: SearchKey) => SearchKey
}

const cutUp = (key: SearchKey, length: number): SearchKey | LongSearch => {
  const total = lengthOf(key)
  if (total <= length) return key
  const { isNegated, node, put } = longPlace({ node: key, isNegated: false, put: (node) => node }, total, length)
  const pieces = piecesOf(node, length - (total - lengthOf(node)))
  // one long text, say: the server will tell what it thinks of it
  if (pieces.length < 2) return key
  return {
    parts: pieces.map((piece) => cutUp(put(piece), length)),
    join: (node._tag === "And") === isNegated ? "any" : "all",
    without: UidRanges.empty
  }
}

/** The innermost place beside which there is little: half a line at most. */
const longPlace = (place: Place, total: number, length: number): Place => {
  const { isNegated, node, put } = place
  if (node._tag === "Not") {
    return longPlace({ node: node.key, isNegated: !isNegated, put: (key) => put({ ...node, key }) }, total, length)
  }
  if (node._tag !== "And" && node._tag !== "Or") return place
  const index = node.keys.findIndex((inner) => total - lengthOf(inner) <= length / 2)
  const inner = node.keys[index]
  return inner === undefined
    ? place
    : longPlace(
      { node: inner, isNegated, put: (key) => put({ ...node, keys: node.keys.with(index, key) }) },
      total,
      length
    )
}

/** Pieces of a set, of alternatives, or of conditions, each no longer than `length` where that can be. */
const piecesOf = (node: SearchKey, length: number): ReadonlyArray<SearchKey> => {
  if (node._tag === "Sequence") return cutSet(node.range, length - uidLength).map((range) => ({ ...node, range }))
  if (node._tag !== "And" && node._tag !== "Or") return [node]
  const groups: Array<Array<SearchKey>> = []
  let room = 0
  for (const inner of node.keys) {
    const needed = lengthOf(inner) + (node._tag === "Or" ? orLength : 1)
    const group = needed <= room ? groups.at(-1) : undefined
    if (group === undefined) {
      groups.push([inner])
      room = length - needed
    } else {
      group.push(inner)
      room -= needed
    }
  }
  return groups.map((keys) => ({ ...node, keys }))
}

/** "UID " before a set; "OR " and parentheses, for one of several alternatives. */
const uidLength = 4
const orLength = 8

const hasSequenceNumbers = (key: SearchKey): boolean => {
  switch (key._tag) {
    case "Sequence":
      return !key.uid
    case "And":
    case "Or":
      return key.keys.some(hasSequenceNumbers)
    case "Not":
      return hasSequenceNumbers(key.key)
    default:
      return false
  }
}

const lengthOf = (key: SearchKey): number => printSearchKey(key).length
