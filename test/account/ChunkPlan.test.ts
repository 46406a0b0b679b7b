import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ChunkPlan } from "../../src/account/ChunkPlan.ts"
import { toRange } from "../../src/domain/MessageSet.ts"

const MiB = 1024 * 1024
const options = { lanes: 2, budget: 64 * MiB, millis: 10_000 }

const runOf = (count: number, step = 1, start = 1) => Array.from({ length: count }, (_, index) => start + index * step)

/** All chunks, each message of so many octets. */
const chunksOf = (plan: ChunkPlan, octets: number) => {
  const chunks: Array<ReadonlyArray<number>> = []
  for (let chunk = plan.next(); chunk !== undefined; chunk = plan.next()) {
    chunks.push(chunk)
    plan.learn(chunk.length, chunk.length * octets, 1)
  }
  return chunks
}

const Uids = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 32 - 1 })))
const Octets = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 * MiB }))

describe("ChunkPlan", () => {
  it.prop("hands out every message once, in order, with command lines of a portable length", [Uids, Octets], ([
    uids,
    octets
  ]) => {
    const sorted = [...new Set(uids)].sort((a, b) => a - b)
    const chunks = chunksOf(new ChunkPlan(sorted, options), octets)
    assert.deepStrictEqual(chunks.flat(), sorted)
    for (const chunk of chunks) {
      assert.isAbove(chunk.length, 0)
      assert.isAtMost(toRange(chunk).length, 8_000)
    }
  })

  it("begins small and grows as far as the budget of a chunk allows", () => {
    const sizes = chunksOf(new ChunkPlan(runOf(10_000), options), 10_000).map((chunk) => chunk.length)
    assert.strictEqual(sizes[0], 32)
    assert.isTrue(sizes.slice(1).every((size) => size * 10_000 <= 64 * MiB / 5))
    const fewest = Math.ceil((10_000 - 32) / Math.floor(64 * MiB / 5 / 10_000))
    assert.isAtMost(sizes.length, 1 + fewest + 2, "few, and the same number for each lane")
  })

  it("has lanes begin with more and more, so that they do not all wait for an answer at the same time", () => {
    const sizes = chunksOf(new ChunkPlan(runOf(10_032), { ...options, lanes: 4 }), 10_000).map((chunk) => chunk.length)
    const most = Math.floor(64 * MiB / 7 / 10_000)
    assert.deepStrictEqual(sizes.slice(1, 4), [1, 2, 3].map((lane) => Math.ceil(most * lane / 4)))
    const [fifth = 0, ...others] = sizes.slice(4)
    assert.isTrue(others.every((size) => size <= most && Math.abs(size - fifth) <= 1), "then all are alike")
    assert.strictEqual(others.length % 4, 3)
  })

  it("gives more lanes smaller chunks, so that all together keep within the budget", () => {
    for (const lanes of [1, 2, 8]) {
      const sizes = chunksOf(new ChunkPlan(runOf(5_000), { lanes, budget: 64 * MiB, millis: 10_000 }), 100_000)
      const largest = Math.max(...sizes.slice(1).map((chunk) => chunk.length * 100_000))
      assert.isAtMost(largest * (lanes + 3), 64 * MiB)
    }
  })

  it("goes on with one message at a time where each is over the budget of a chunk", () => {
    const sizes = chunksOf(new ChunkPlan(runOf(40), options), 50 * MiB).map((chunk) => chunk.length)
    assert.deepStrictEqual(sizes, [32, 1, 1, 1, 1, 1, 1, 1, 1])
  })

  it("cuts a set without runs where the command line would become long", () => {
    const plan = new ChunkPlan(runOf(20_000, 2, 1_000_000_000), options)
    plan.learn(1, 1, 1)
    const chunk = plan.next() ?? []
    assert.isBelow(chunk.length, 1_000)
    assert.isAtMost(toRange(chunk).length, 7_600)
    const run = new ChunkPlan(runOf(20_000, 1, 1_000_000_000), options)
    run.learn(1, 1, 1)
    assert.strictEqual(run.next()?.length, 10_000)
  })

  it("asks for smaller chunks after one took too long, down to single messages", () => {
    const plan = new ChunkPlan(runOf(1_000), options)
    plan.learn(1, 100, 1)
    plan.shrink(100)
    assert.strictEqual(plan.next()?.length, 50)
    plan.shrink(1)
    assert.strictEqual(plan.next()?.length, 1)
  })

  it("has few messages to complete: only those that are a large part of a chunk, and far from the mean", () => {
    const plan = new ChunkPlan(runOf(10), options)
    const most = 64 * MiB / 5
    assert.strictEqual(plan.partial, Math.ceil(most / 32), "a guess is within the budget, whatever it brings")
    plan.learn(10, 10 * 3_000, 1)
    assert.strictEqual(plan.partial, Math.ceil(most / 8))
    plan.learn(10, 10 * 497_000, 1)
    assert.strictEqual(plan.partial, 8 * 250_000)
    plan.learn(10, 1_000 * MiB, 1)
    assert.strictEqual(plan.partial, 4 * MiB)
  })

  it("needs few commands for small messages, since each costs a round trip", () => {
    const plan = new ChunkPlan(runOf(10_000), { ...options, lanes: 1 })
    assert.isAtMost(chunksOf(plan, 3_500).length, 4)
  })

  it("lists a mailbox of ten thousand messages over one connection with two commands", () => {
    const plan = new ChunkPlan(runOf(10_000), { ...options, lanes: 1, octets: 3_000 })
    assert.deepStrictEqual(chunksOf(plan, 3_000).map((chunk) => chunk.length), [5_000, 5_000])
  })

  it("gives each lane as much as the others", () => {
    const [, ...rest] = chunksOf(new ChunkPlan(runOf(9_032), { ...options, lanes: 4 }), 3_500)
    assert.deepStrictEqual(rest.map((chunk) => chunk.length), [2_250, 2_250, 2_250, 2_250])
  })

  it("needs no small chunk to learn from where it is known what each message takes", () => {
    const sizes = chunksOf(new ChunkPlan(runOf(10_000), { ...options, lanes: 4, octets: 3_000 }), 3_000)
    assert.deepStrictEqual(sizes.map((chunk) => chunk.length), [2_500, 2_500, 2_500, 2_500])
    const large = new ChunkPlan(runOf(100_000), { ...options, octets: 500 })
    assert.isAtMost(large.next()?.length ?? 0, 5_000, "a server that is slow is not asked for too much")
  })

  it("plans no command that would take longer than it may on a slow line", () => {
    const plan = new ChunkPlan(runOf(1_000), options)
    plan.next()
    plan.learn(32, 32 * 100, 32 * 50)
    assert.isAtMost(plan.next()?.length ?? 0, 10_000 / 50)
  })

  it("has nothing for nobody", () => {
    assert.isUndefined(new ChunkPlan([], options).next())
  })
})
