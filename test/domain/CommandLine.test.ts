import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { cutSet, endOfLine, inLines, maxSetLength } from "../../src/domain/CommandLine.ts"
import { toRange } from "../../src/domain/MessageSet.ts"
import { UidRanges } from "../../src/domain/UidRanges.ts"

// few enough for runs, and so many that a line may hold one of them or a thousand
const Uids = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })))
const scattered = (count: number, first = 1) => Array.from({ length: count }, (_, index) => first + 2 * index)

describe("CommandLine", () => {
  it("cuts scattered UIDs where the line would become longer than is portable", () => {
    const uids = scattered(60_000, 4_000_000_000)
    const lines = inLines(uids, 1_000)
    assert.deepStrictEqual(lines.flat(), uids)
    for (const line of lines) assert.isAtMost(toRange(line).length, maxSetLength + 11)
    assert.isAtLeast(Math.min(...lines.slice(0, -1).map((line) => toRange(line).length)), maxSetLength - 11)
  })

  it("puts a run of any length into one line, up to the most that is wanted", () => {
    const uids = Array.from({ length: 50_000 }, (_, index) => index + 1)
    assert.strictEqual(endOfLine(uids, 0, 100_000), 50_000)
    assert.deepStrictEqual(inLines(uids, 20_000).map(toRange), ["1:20000", "20001:40000", "40001:50000"])
  })

  it.prop("cuts a set into sets that are no longer than asked, and name the same", [
    Uids,
    Schema.Int.check(Schema.isBetween({ minimum: 5, maximum: 40 }))
  ], ([uids, length]) => {
    const set = UidRanges.from(uids).toString()
    const sets = cutSet(set, length)
    assert.strictEqual(sets.join(","), set)
    for (const piece of sets) assert.isAtMost(piece.length, length)
  }, { arbitrary: { runs: 500 } })

  it("never cuts a single range, however little room there is", () => {
    assert.deepStrictEqual(cutSet("1000:2000,3000:4000,5", 3), ["1000:2000", "3000:4000", "5"])
  })
})
