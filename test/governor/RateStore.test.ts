import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type RateRequest, RateStore } from "../../src/governor/RateStore.ts"

const request = (key: string, limit: number, windowMillis = 1000, cost = 1): RateRequest => ({
  key,
  limit,
  windowMillis,
  needs: Math.min(limit, cost),
  cost
})

type Store = RateStore["Service"]

const hold = 60_000

/** Takes and starts at once; answers whether it was granted. */
const starts = (store: Store, requests: ReadonlyArray<RateRequest>, now: number) =>
  Effect.flatMap(
    store.take(requests, now, hold),
    (answer) => answer.granted ? Effect.as(answer.grant.start(now), true) : Effect.succeed(false)
  )

describe("RateStore in memory", () => {
  it.effect("names each window without room, and the exact time it has room again", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory()
      const both = [request("x", 2, 1000), request("y", 1, 400), request("z", 9, 50)]
      yield* starts(store, both, 10)
      yield* starts(store, [request("x", 2, 1000)], 20)
      assert.deepStrictEqual(yield* store.take(both, 30, hold), {
        granted: false,
        blocked: [{ key: "x", retryAtMillis: 1010 }, { key: "y", retryAtMillis: 410 }]
      })
      assert.deepStrictEqual(yield* store.usage("", 50, 30), [{ key: "z", used: 1 }])
    }))

  it.effect("does not promise what is held before a window after now", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory()
      const first = yield* store.take([request("x", 1)], 0, hold)
      assert.deepStrictEqual(yield* store.take([request("x", 1)], 700, hold), {
        granted: false,
        blocked: [{ key: "x", retryAtMillis: 1700 }]
      })
      if (first.granted) yield* first.grant.start(900)
      assert.deepStrictEqual(yield* store.take([request("x", 1)], 901, hold), {
        granted: false,
        blocked: [{ key: "x", retryAtMillis: 1900 }]
      })
      assert.isTrue((yield* store.take([request("x", 1)], 1900, hold)).granted)
    }))

  it.effect("dates a grant that its holder forgot", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory()
      const take = (now: number) => Effect.map(store.take([request("x", 1)], now, 5000), ({ granted }) => granted)
      assert.isTrue(yield* take(0))
      assert.isFalse(yield* take(4999))
      assert.isFalse(yield* take(5000))
      assert.isFalse(yield* take(5999))
      assert.isTrue(yield* take(6000))
    }))

  it.effect.prop(
    "keeps within the limit where starts share entries",
    [
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 90 }))).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(40)
      )
    ],
    ([gaps]) =>
      Effect.gen(function*() {
        // Above `maxEntries`: starts within 10 ms of 10 s share an entry.
        const [limit, windowMillis] = [50, 10_000]
        const store = RateStore.makeMemory({ maxEntries: 10 })
        const times: Array<number> = []
        let now = 0
        const end = 4 * windowMillis
        for (let step = 0; now < end; step++) {
          if (yield* starts(store, [request("x", limit, windowMillis)], now)) times.push(now)
          now += gaps[step % gaps.length] ?? 0
          if (step % 4 === 3) now += 8
        }
        // Each start is checked against the one that is a whole limit earlier.
        for (let n = limit; n < times.length; n++) {
          assert.isAtLeast((times[n] ?? 0) - (times[n - limit] ?? 0), windowMillis)
        }
        assert.isAtLeast(times.length, 3 * limit)
      })
  )

  it.effect("keeps within the limit where starts share entries, and many come at once when the first is over", () =>
    Effect.gen(function*() {
      const [limit, windowMillis] = [100, 10_000]
      const store = RateStore.makeMemory({ maxEntries: 10 })
      const times: Array<number> = []
      for (let now = 0; now < 3 * windowMillis; now++) {
        for (let caller = 0; caller < (now < windowMillis ? 1 : 5); caller++) {
          if (yield* starts(store, [request("x", limit, windowMillis)], now)) times.push(now)
        }
      }
      for (let n = limit; n < times.length; n++) {
        assert.isAtLeast((times[n] ?? 0) - (times[n - limit] ?? 0), windowMillis)
      }
      assert.strictEqual(times.length, 3 * limit)
    }))

  it.effect("uses 99 percent of a large limit with few entries", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory({ maxEntries: 100 })
      const [limit, windowMillis] = [1000, 10_000]
      let granted = 0
      // One caller each millisecond: ten times more than the limit.
      for (let now = 0; now < 20 * windowMillis; now++) {
        if (yield* starts(store, [request("x", limit, windowMillis)], now)) granted++
      }
      assert.isAtLeast(granted, 0.99 * 20 * limit)
      assert.isAtMost(granted, 20 * limit)
    }))

  it.effect("serves a hundred thousand agents with a fifth of the keys, as those before are quiet for a window", () =>
    Effect.gen(function*() {
      const maxKeys = 20_000
      const store = RateStore.makeMemory({ maxKeys })
      for (let n = 0; n < 100_000; n++) {
        // Twenty thousand in half a second, then quiet for a whole one.
        const now = Math.floor(n / maxKeys) * 1500 + Math.floor((n % maxKeys) / 40)
        if (!(yield* starts(store, [request(`agent-${n}`, 10)], now))) assert.fail(`agent ${n} was refused`)
      }
      assert.isFalse(yield* starts(store, [request("one more", 10)], 6999))
      assert.strictEqual((yield* store.usage("agent-", 1000, 6999)).length, maxKeys)
    }))

  it.effect("makes a new key wait when it knows as many as it may, and never forgets one in use", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory({ maxKeys: 2 })
      yield* starts(store, [request("a", 1)], 0)
      yield* starts(store, [request("b", 1)], 100)
      assert.deepStrictEqual(yield* store.take([request("c", 1)], 200, hold), {
        granted: false,
        blocked: [{ key: "c", retryAtMillis: 1000 }]
      })
      assert.isFalse(yield* starts(store, [request("a", 1)], 300))
      assert.isTrue(yield* starts(store, [request("c", 1)], 1000))
      assert.isFalse(yield* starts(store, [request("b", 1)], 1001))
    }))

  it.effect("counts on when the clock is set back, and lets nothing pass because of it", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory()
      assert.isTrue(yield* starts(store, [request("x", 1)], 1_000_000))
      assert.deepStrictEqual(yield* store.take([request("x", 1)], 500, hold), {
        granted: false,
        blocked: [{ key: "x", retryAtMillis: 1500 }]
      })
      assert.isFalse(yield* starts(store, [request("x", 1)], 1499))
      assert.isTrue(yield* starts(store, [request("x", 1)], 1500))
    }))

  it.effect("counts a charge without asking", () =>
    Effect.gen(function*() {
      const store = RateStore.makeMemory()
      yield* store.charge([request("x", 10, 1000, 25)], 0)
      assert.deepStrictEqual(yield* store.usage("x", 1000, 0), [{ key: "x", used: 25 }])
      assert.isFalse(yield* starts(store, [request("x", 10)], 999))
      assert.isTrue(yield* starts(store, [request("x", 10)], 1000))
    }))
})
