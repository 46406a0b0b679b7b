import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AdaptiveCap } from "../../src/governor/AdaptiveCap.ts"

const { lagRetries, longestConnectMillis, longestQuietMillis, quietMillis, quietTimesToForget } = AdaptiveCap.defaults

describe("AdaptiveCap", () => {
  it("falls to what is open, and never below one", () => {
    for (
      const [configured, open, cap] of [[15, 5, 5], [15, 1, 1], [15, 0, 1], [2, 2, 2], [1, 0, 1], [2, 7, 2]] as const
    ) {
      assert.strictEqual(AdaptiveCap.refused(AdaptiveCap.make(configured), open, 0).state.cap, cap)
    }
  })

  it("does not rise because more were open than the lowered cap allows", () => {
    const { state } = AdaptiveCap.refused(AdaptiveCap.make(10), 3, 0)
    assert.strictEqual(AdaptiveCap.refused(state, 8, 1).state.cap, 3)
  })

  it("rises by one after each quiet time, up to what is configured", () => {
    let { state } = AdaptiveCap.refused(AdaptiveCap.make(4), 2, 0)
    assert.strictEqual(AdaptiveCap.probe(state, quietMillis - 1), state)
    state = AdaptiveCap.probe(state, quietMillis)
    assert.strictEqual(state.cap, 3)
    assert.strictEqual(AdaptiveCap.probe(state, quietMillis + 1).cap, 3)
    state = AdaptiveCap.probe(state, 2 * quietMillis)
    assert.strictEqual(state.cap, 4)
    assert.strictEqual(state.probeAt, Infinity)
    assert.strictEqual(AdaptiveCap.probe(state, 1e12), state)
  })

  it("waits twice as long after each refusal that follows, up to the longest, and starts anew once all was well", () => {
    let state = AdaptiveCap.make(3)
    let now = 0
    const quiet: Array<number> = []
    for (let n = 0; n < 8; n++) {
      state = AdaptiveCap.refused(state, 2, now).state
      quiet.push(state.probeAt - now)
      now = state.probeAt
      state = AdaptiveCap.probe(state, now)
      now += 10
    }
    assert.deepStrictEqual(quiet, [1, 2, 4, 8, 16, 30, 30, 30].map((factor) => factor * quietMillis))
    assert.strictEqual(quiet.at(-1), longestQuietMillis)
    now += quietTimesToForget * longestQuietMillis
    assert.strictEqual(AdaptiveCap.refused(state, 2, now).state.quietMillis, quietMillis)
  })

  it("takes a refusal right after our own close for lag, and believes it after the last retry", () => {
    let state = AdaptiveCap.closed(AdaptiveCap.make(3), 1000)
    let now = 1500
    const waits: Array<number> = []
    for (const _ of lagRetries) {
      const refusal = AdaptiveCap.refused(state, 2, now)
      assert.isTrue(refusal.lag)
      assert.strictEqual(refusal.state.cap, 3)
      waits.push((refusal.connectAt ?? 0) - now)
      state = refusal.state
      now = refusal.connectAt ?? 0
    }
    assert.deepStrictEqual(waits, [...lagRetries])
    const refusal = AdaptiveCap.refused(state, 2, now)
    assert.isFalse(refusal.lag)
    assert.strictEqual(refusal.state.cap, 2)
    assert.strictEqual(refusal.connectAt, undefined)
  })

  it("begins the lag retries anew after a connection opened", () => {
    const closed = AdaptiveCap.closed(AdaptiveCap.make(2), 0)
    const once = AdaptiveCap.refused(closed, 1, 10).state
    const again = AdaptiveCap.refused(AdaptiveCap.opened(once), 1, 100)
    assert.strictEqual(again.connectAt, 100 + lagRetries[0])
  })

  it("believes a refusal long after our close, or one that names a time", () => {
    const closed = AdaptiveCap.closed(AdaptiveCap.make(3), 0)
    assert.isFalse(AdaptiveCap.refused(closed, 1, 1001).lag)
    const named = AdaptiveCap.refused(closed, 1, 10, 5000)
    assert.isFalse(named.lag)
    assert.strictEqual(named.connectAt, 5010)
  })

  it("tries the door at growing distances while nothing is open", () => {
    let state = AdaptiveCap.make(2)
    let now = 0
    const waits: Array<number> = []
    for (let n = 0; n < 9; n++) {
      const refusal = AdaptiveCap.refused(state, 0, now)
      waits.push((refusal.connectAt ?? 0) - now)
      state = refusal.state
      now = refusal.connectAt ?? 0
    }
    assert.deepStrictEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000))
    assert.strictEqual(waits.at(-1), longestConnectMillis)
    assert.strictEqual(AdaptiveCap.refused(AdaptiveCap.opened(state), 0, now).connectAt, now + 1000)
  })

  const event = Schema.Struct({
    kind: Schema.Literals(["refused", "probe", "opened", "closed"]),
    open: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
    gap: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200_000 }))
  })

  it.prop(
    "stays within one and what is configured, and never rises but by one in a probe",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 16 })), Schema.Array(event)],
    ([configured, events]) => {
      let state = AdaptiveCap.make(configured)
      let now = 0
      for (const { gap, kind, open } of events) {
        now += gap
        const before = state.cap
        if (kind === "refused") state = AdaptiveCap.refused(state, open, now).state
        else if (kind === "probe") state = AdaptiveCap.probe(state, now)
        else if (kind === "opened") state = AdaptiveCap.opened(state)
        else state = AdaptiveCap.closed(state, now)
        assert.isTrue(state.cap >= 1 && state.cap <= configured)
        assert.isAtMost(state.cap - before, kind === "probe" ? 1 : 0)
        assert.strictEqual(state.probeAt === Infinity, state.cap === configured)
      }
    }
  )
})
