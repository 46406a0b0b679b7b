/** Searches in parts: what the parts find together is what the whole would have found. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { maxSetLength } from "../../src/domain/CommandLine.ts"
import * as LongSearch from "../../src/domain/LongSearch.ts"
import { MessageSet } from "../../src/domain/MessageSet.ts"
import { printSearchKey } from "../../src/domain/QuerySyntax.ts"
import { UidRanges } from "../../src/domain/UidRanges.ts"
import { type Criterion, Query, type SearchKey } from "../../src/index.ts"

const count = 6_000

/** Every `step`th of the messages, and as many that are not there. */
const every = (step: number) =>
  MessageSet.of("INBOX", 1, Array.from({ length: count }, (_, index) => step * (index + 1)))
const seconds = every(2)
const thirds = every(3)
const few = MessageSet.of("INBOX", 1, [2, 3, 5, 8])

/** Messages 1 to `count`, of which every fifth is flagged. */
const holds = (key: SearchKey, uid: number): boolean => {
  switch (key._tag) {
    case "All":
      return true
    case "And":
      return key.keys.every((inner) => holds(inner, uid))
    case "Or":
      return key.keys.some((inner) => holds(inner, uid))
    case "Not":
      return !holds(key.key, uid)
    case "Flag":
      return (uid % 5 === 0) === key.set
    case "Sequence":
      return setOf(key.range).has(uid) || (key.range.endsWith("*") && uid === count)
    default:
      throw new Error(key._tag)
  }
}

const sets = new Map<string, Set<number>>()
const setOf = (range: string) => {
  const set = sets.get(range) ?? new Set(UidRanges.parse(range.replace(/,\*$/, "")))
  sets.set(range, set)
  return set
}

const uidsOf = (key: SearchKey, last = count) =>
  Array.from({ length: last }, (_, index) => index + 1).filter((uid) => holds(key, uid))

const partsOf = ({ key }: Query, length = maxSetLength) => Result.getOrThrow(LongSearch.inParts(key, length))

type Part = SearchKey | LongSearch.LongSearch

const keysOf = (part: Part): ReadonlyArray<SearchKey> =>
  LongSearch.isKey(part) ? [part] : part.parts.flatMap((inner) => keysOf(inner))

const answerOf = (part: Part, last = count): MessageSet =>
  LongSearch.isKey(part)
    ? MessageSet.of("INBOX", 1, uidsOf(part, last))
    : LongSearch.joined(part, part.parts.map((inner) => answerOf(inner, last)))

const query = (...criteria: ReadonlyArray<Criterion>) => Query.inbox.and(...criteria)
const flagged = { flagged: true } as const

describe("LongSearch", () => {
  it("leaves a search as it is that fits in a line", () => {
    assert.isUndefined(partsOf(query({ uid: few.toRange() }, { or: [flagged, { not: { uid: few.toRange() } }] })))
  })

  const rows: ReadonlyArray<readonly [title: string, query: Query]> = [
    ["a set alone", query({ uid: seconds.toRange() })],
    ["a set beside other criteria", query({ uid: seconds.toRange(), ...flagged })],
    ["two sets beside each other", query({ uid: seconds.toRange() }, { uid: thirds.toRange() }, flagged)],
    ["sets that have nothing in common", query({ uid: seconds.toRange() }, { not: { uid: seconds.toRange() } })],
    ["all but a set", query({ not: { uid: seconds.toRange() }, ...flagged })],
    ["a set but those of another", query({ uid: seconds.toRange() }, { not: { uid: thirds.toRange() } })],
    ["a set or something else", query({ or: [{ uid: seconds.toRange() }, flagged] })],
    ["neither in a set nor something else", query({ not: { or: [{ uid: seconds.toRange() }, flagged] } })],
    ["not in a set together with something else", query({ not: { uid: seconds.toRange(), ...flagged } })],
    [
      "a set below two negations",
      query({ not: { or: [flagged, { not: { uid: seconds.toRange(), flagged: false } }] } })
    ],
    [
      "a set but those of another, or something else",
      query({ not: { uid: few.toRange() }, or: [{ uid: seconds.toRange() }, flagged] })
    ],
    ["one of several sets", query({ or: [{ uid: seconds.toRange() }, { uid: thirds.toRange(), ...flagged }] })],
    [
      "hundreds of alternatives",
      query({
        flagged: false,
        or: Array.from({ length: 500 }, (_, index) => ({ uid: 2 * index + 1, deleted: false }))
      })
    ],
    [
      "none of hundreds",
      query({ not: { or: Array.from({ length: 500 }, (_, index) => ({ uid: 2 * index + 1, deleted: false })) } })
    ],
    ["a set that ends in a star", query({ uid: `${seconds.toRange()},*`, ...flagged })]
  ]
  for (const [title, long] of rows) {
    it(`finds in parts what it would have found: ${title}`, () => {
      const parts = partsOf(long)
      assert.isDefined(parts)
      if (parts === undefined) return
      for (const key of keysOf(parts)) assert.isAtMost(printSearchKey(key).length, maxSetLength)
      const found = answerOf(parts)
      assert.deepStrictEqual([...found.uids], uidsOf(long.key))
    })
  }

  it("asks for the messages that are left, and for nothing twice", () => {
    const without = partsOf(query({ not: { uid: seconds.toRange() }, ...flagged }))
    assert.strictEqual(without === undefined ? 0 : keysOf(without).length, 1)
    const keys = keysOf(partsOf(query({ uid: seconds.toRange() }, { uid: seconds.toRange() })) ?? query().key)
    assert.strictEqual(keys.length, Math.ceil(seconds.toRange().length / (maxSetLength - 5)))
  })

  it("leaves to the server what cannot be cut", () => {
    const long = query({ body: "x".repeat(10_000) }, flagged)
    assert.deepStrictEqual(keysOf(partsOf(long) ?? long.key), [long.key])
  })

  it("says what to do about numbers that change between commands", () => {
    for (
      const long of [query({ sequence: seconds.toRange() }), query({ uid: seconds.toRange(), not: { sequence: 1 } })]
    ) {
      const reason = Result.match(LongSearch.inParts(long.key), {
        onSuccess: () => "none",
        onFailure: ({ field, problem }) => `${field}: ${problem}`
      })
      assert.match(reason, /^sequence: .*search by UID$/)
    }
  })

  const leaf = Schema.Union([
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 }))).check(
      Schema.isMinLength(1),
      Schema.isMaxLength(12)
    ),
    Schema.Boolean
  ])
  const shape = Schema.Array(Schema.Struct({ leaf, join: Schema.Literals(["and", "or"]), not: Schema.Boolean }))

  it.prop("finds in parts what it would have found, whatever it asks and however short a line is", [
    shape,
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 }))
  ], ([steps, length]) => {
    const key = steps.reduce<SearchKey>((rest, { join, leaf, not }) => {
      const next: SearchKey = typeof leaf === "boolean"
        ? { _tag: "Flag", flag: "\\Flagged", set: leaf }
        : { _tag: "Sequence", uid: true, range: leaf.join(",") }
      const both: SearchKey = { _tag: join === "and" ? "And" : "Or", keys: not ? [rest, next] : [next, rest, next] }
      return not ? { _tag: "Not", key: both } : both
    }, { _tag: "All" })
    const parts = Result.getOrThrow(LongSearch.inParts(key, length)) ?? key
    assert.deepStrictEqual([...answerOf(parts, 70).uids], uidsOf(key, 70))
  }, { arbitrary: { runs: 300 } })
})
