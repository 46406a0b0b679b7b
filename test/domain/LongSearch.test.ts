/** Searches in parts: what the parts find together is what the whole would have found. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
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

const uidsOf = (key: SearchKey) =>
  Array.from({ length: count }, (_, index) => index + 1).filter((uid) => holds(key, uid))

const partsOf = ({ key }: Query) => Result.getOrThrow(LongSearch.inParts(key))

const query = (...criteria: ReadonlyArray<Criterion>) => Query.inbox.and(...criteria)
const flagged = { flagged: true } as const

describe("LongSearch", () => {
  it("leaves a search as it is that fits in a line", () => {
    assert.isUndefined(partsOf(query({ uid: few.toRange() }, { or: [flagged, { not: { uid: few.toRange() } }] })))
    assert.isUndefined(partsOf(query({ body: "x".repeat(100_000) })))
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
    ["a set that ends in a star", query({ uid: `${seconds.toRange()},*`, ...flagged })]
  ]
  for (const [title, long] of rows) {
    it(`finds in parts what it would have found: ${title}`, () => {
      const parts = partsOf(long)
      assert.isDefined(parts)
      if (parts === undefined) return
      for (const key of parts.keys) assert.isAtMost(printSearchKey(key).length, maxSetLength + 100)
      const found = LongSearch.joined(parts, parts.keys.map((key) => MessageSet.of("INBOX", 1, uidsOf(key))))
      assert.deepStrictEqual([...found.uids], uidsOf(long.key))
    })
  }

  it("asks for the messages that are left, and for nothing twice", () => {
    assert.strictEqual(partsOf(query({ not: { uid: seconds.toRange() }, ...flagged }))?.keys.length, 1)
    const keys = partsOf(query({ uid: seconds.toRange() }, { uid: seconds.toRange() }))?.keys ?? []
    assert.strictEqual(keys.length, Math.ceil(seconds.toRange().length / maxSetLength))
  })

  it("says what to do about a search that cannot be cut", () => {
    const reasonOf = ({ key }: Query) =>
      Result.match(LongSearch.inParts(key), {
        onSuccess: () => "none",
        onFailure: ({ field, problem }) => `${field}: ${problem}`
      })
    assert.match(reasonOf(query({ sequence: seconds.toRange() })), /^sequence: .*search by UID$/)
    assert.match(
      reasonOf(query({ or: [{ uid: seconds.toRange() }, { uid: thirds.toRange(), ...flagged }] })),
      /^uid: several sets.*search with one of them, and join what is found$/
    )
  })
})
