/**
 * A search that names more messages than a command line holds, as several shorter ones whose answers make up its own.
 * What a set does to a search tells how: where a search can only find more for a longer set, it finds what any piece of
 * the set finds; below a `not` it is the other way round. Pure; it asks nobody.
 */
import { Result } from "effect"
import { cutSet, maxSetLength } from "./CommandLine.ts"
import { InvalidInput } from "./MailError.ts"
import { MessageSet } from "./MessageSet.ts"
import { all, allOf, negate, type SearchKey } from "./SearchKey.ts"
import { UidRanges } from "./UidRanges.ts"

export interface LongSearch {
  /** What to ask for, one after the other; one key at least. */
  readonly keys: ReadonlyArray<SearchKey>
  /** Found is what any of them finds, or what all of them find, */
  readonly join: "any" | "all"
  /** except these. */
  readonly without: UidRanges
}

type Sequence = Extract<SearchKey, { readonly _tag: "Sequence" }>

/** A set somewhere in a search. Within an odd number of `not`s it is negated. */
interface Named {
  readonly set: Sequence
  readonly isNegated: boolean
}

/** The searches to ask instead; undefined for one that fits in a line. Fails where no others have the same answer. */
export const inParts = (key: SearchKey): Result.Result<LongSearch | undefined, InvalidInput> => {
  const named = setsIn(key)
  if (lengthOf(named) <= maxSetLength) return Result.succeed(undefined)
  let within: UidRanges | undefined
  let without = UidRanges.empty
  const others: Array<SearchKey> = []
  for (const conjunct of key._tag === "And" ? key.keys : [key]) {
    const ranges = rangesOf(conjunct._tag === "Not" ? conjunct.key : conjunct)
    if (ranges === undefined) others.push(conjunct)
    else if (conjunct._tag === "Not") without = without.union(ranges)
    else within = within?.intersection(ranges) ?? ranges
  }
  const rest = allOf(others)
  const length = lengthOf(setsIn(rest))
  if (within === undefined) {
    return Result.map(
      length <= maxSetLength ? Result.succeed({ keys: [rest], join: "any" as const }) : nested(rest),
      (parts) => ({ ...parts, without })
    )
  }
  if (length > maxSetLength / 2) return severalSets
  const wanted = within.without(without).toString()
  return Result.succeed({
    keys: wanted === "" ? [allOf([...others, negate(all)])] : cutSet(wanted, maxSetLength - length)
      .map((range) => allOf([...others, { _tag: "Sequence", uid: true, range }])),
    join: "any",
    without: UidRanges.empty
  })
}

/** The answer of the search, of the answers to its parts. */
export const joined = ({ join, without }: LongSearch, found: ReadonlyArray<MessageSet>): MessageSet => {
  const [first = MessageSet.empty, ...others] = found
  const uids = join === "any"
    ? [...new Set(found.flatMap((set) => set.uids))].sort((a, b) => a - b)
    : first.uids.filter((uid) => others.every((set) => set.has(uid)))
  return first.with(uids.filter((uid) => !without.has(uid)))
}

/** A long set that stands where it cannot be told apart from the rest: below `or`, `not`, or with a "*". */
const nested = (key: SearchKey): Result.Result<Pick<LongSearch, "keys" | "join">, InvalidInput> => {
  const named = setsIn(key)
  const [first, ...others] = named.toSorted((a, b) => b.set.range.length - a.set.range.length)
  // many short sets are what a caller wrote, and no cut makes them fewer
  if (first === undefined || first.set.range.length <= maxSetLength / 2) {
    return Result.succeed({ keys: [key], join: "any" })
  }
  const room = maxSetLength - lengthOf(others)
  if (room < maxSetLength / 2) return severalSets
  if (!first.set.uid) return changingNumbers
  return Result.succeed({
    keys: cutSet(first.set.range, room).map((range) => replaced(key, first.set, { ...first.set, range })),
    join: first.isNegated ? "all" : "any"
  })
}

const severalSets = Result.fail(
  new InvalidInput({
    field: "uid",
    problem: "several sets, too long together for one command: search with one of them, and join what is found"
  })
)

const changingNumbers = Result.fail(
  new InvalidInput({
    field: "sequence",
    problem: "too long for one command, and sequence numbers may change until the next: search by UID"
  })
)

/** The messages of a set of UIDs that stands by itself; undefined for what is none, and for one with a "*". */
const rangesOf = (key: SearchKey): UidRanges | undefined =>
  key._tag === "Sequence" && key.uid ? UidRanges.parse(key.range) : undefined

const setsIn = (key: SearchKey, isNegated = false): ReadonlyArray<Named> => {
  switch (key._tag) {
    case "Sequence":
      return [{ set: key, isNegated }]
    case "And":
    case "Or":
      return key.keys.flatMap((inner) => setsIn(inner, isNegated))
    case "Not":
      return setsIn(key.key, !isNegated)
    default:
      return []
  }
}

const lengthOf = (named: ReadonlyArray<Named>): number => named.reduce((sum, { set }) => sum + set.range.length + 1, 0)

const replaced = (key: SearchKey, set: Sequence, by: Sequence): SearchKey => {
  switch (key._tag) {
    case "And":
    case "Or":
      return { ...key, keys: key.keys.map((inner) => replaced(inner, set, by)) }
    case "Not":
      return { ...key, key: replaced(key.key, set, by) }
    default:
      return key === set ? by : key
  }
}
