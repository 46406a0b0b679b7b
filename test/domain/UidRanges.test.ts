import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { UidRanges } from "../../src/domain/UidRanges.ts"

// few enough for sets to overlap, touch and enclose each other
const Uids = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })))

const sorted = (uids: Iterable<number>) => [...new Set(uids)].sort((a, b) => a - b)

describe("UidRanges", () => {
  it.prop("hold the members of a set, in order", [Uids], ([uids]) => {
    const ranges = UidRanges.from(uids)
    const model = new Set(uids)
    assert.deepStrictEqual([...ranges], sorted(model))
    assert.strictEqual(ranges.size, model.size)
    for (let uid = 0; uid <= 41; uid++) assert.strictEqual(ranges.has(uid), model.has(uid), `${uid} in ${ranges}`)
  }, { arbitrary: { runs: 500 } })

  it.prop("unite and differ as sets do, and stay what they were", [Uids, Uids], ([left, right]) => {
    const [a, b] = [UidRanges.from(left), UidRanges.from(right)]
    assert.deepStrictEqual([...a.union(b)], sorted(new Set(left).union(new Set(right))))
    assert.deepStrictEqual([...a.without(b)], sorted(new Set(left).difference(new Set(right))))
    assert.deepStrictEqual([...a.intersection(b)], sorted(new Set(left).intersection(new Set(right))))
    assert.deepStrictEqual([...a], sorted(left))
    assert.deepStrictEqual([...b], sorted(right))
  }, { arbitrary: { runs: 1_000 } })

  it.prop("are collected from numbers in any order", [Uids], ([uids]) => {
    const { add, ranges } = UidRanges.collecting()
    for (const uid of uids) add(uid)
    assert.strictEqual(`${ranges()}`, `${UidRanges.from(uids)}`)
  }, { arbitrary: { runs: 500 } })

  it.prop("are their text, which is the shortest there is", [Uids], ([uids]) => {
    const text = UidRanges.from(uids).toString()
    assert.deepStrictEqual([...UidRanges.parse(text) ?? []], sorted(uids))
    const bounds = text.split(/[,:]/).filter((part) => part !== "").map(Number)
    assert.deepStrictEqual(bounds, sorted(bounds), "ascending, nothing twice")
    for (const part of text.split(",")) assert.notMatch(part, /^(\d+):\1$/)
    const gaps = text.split(",").map((part) => part.split(":").map(Number))
    gaps.slice(1).forEach(([first = 0], index) =>
      assert.isAbove(first, (gaps[index]?.at(-1) ?? 0) + 1, `${text} has neighbours apart`)
    )
  }, { arbitrary: { runs: 500 } })

  it.each([
    ["5:1,3", "1:5"],
    ["1:3,2:7", "1:7"],
    ["9,1:2,3", "1:3,9"],
    ["", ""],
    ["4294967295", "4294967295"]
  ])("reads %j as %j", (text, normal) => {
    assert.strictEqual(UidRanges.parse(text)?.toString(), normal)
  })

  it.each(["*", "1:*", "0", "0:3", "a", "1,", "1;2", "1:2:3", " 1", "-1", "4294967296", "99999999999", "1.5"])(
    "does not read %j",
    (text) => {
      assert.isUndefined(UidRanges.parse(text))
    }
  )

  it("of a million messages without holes cost as much as one of ten", () => {
    const all = UidRanges.parse("1:1000000") ?? UidRanges.empty
    assert.strictEqual(all.without(UidRanges.from([500_000])).toString(), "1:499999,500001:1000000")
    assert.strictEqual(all.union(UidRanges.from([1_000_001])).size, 1_000_001)
  })
})
