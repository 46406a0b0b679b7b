import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import {
  AuthenticationFailed,
  ConnectionLost,
  ConnectionRefusedByLimit,
  Throttled
} from "../../src/domain/MailError.ts"
import { Cooldown } from "../../src/governor/Cooldown.ts"

const throttled = (millis?: number) =>
  new Throttled({ response: "slow down", ...(millis === undefined ? {} : { retryAfter: Duration.millis(millis) }) })
const refused = new ConnectionRefusedByLimit({ response: "[LIMIT]" })
const { baseMillis, decayMillis, holdDecayMillis, holdMillis, longestHoldMillis, longestMillis } = Cooldown.defaults

describe("Cooldown", () => {
  describe("hear", () => {
    it("keeps to the time the server names", () => {
      assert.strictEqual(Cooldown.hear(Cooldown.calm, throttled(12_345), 100).until, 12_445)
    })

    it("pauses for no more than an hour, whatever the server names", () => {
      assert.strictEqual(Cooldown.hear(Cooldown.calm, throttled(1e12), 100).until, 100 + 3_600_000)
      const asked = new ConnectionRefusedByLimit({ response: "[LIMIT]", retryAfter: Duration.days(30) })
      assert.isAtMost(new Cooldown(2).hear(asked, 0, 0).connectAt, 3_600_000)
    })

    it("does not come back earlier because another connection was told a shorter time", () => {
      const pace = Cooldown.hear(Cooldown.calm, throttled(10_000), 0)
      assert.strictEqual(Cooldown.hear(pace, throttled(10), 5).until, 10_000)
      assert.strictEqual(Cooldown.hear(pace, throttled(), 5).until, 10_000)
    })

    it("doubles the pause each time it is asked again after one, up to the longest", () => {
      let pace = Cooldown.calm
      let now = 0
      const pauses: Array<number> = []
      for (let n = 0; n < 10; n++) {
        pace = Cooldown.hear(pace, throttled(), now)
        pauses.push(pace.until - now)
        now = pace.until
      }
      assert.deepStrictEqual(pauses.slice(0, 4), [1, 2, 4, 8].map((factor) => factor * baseMillis))
      assert.deepStrictEqual(pauses.slice(-2), [longestMillis, longestMillis])
    })

    it("takes the same word from commands under way for one", () => {
      let pace = Cooldown.hear(Cooldown.calm, throttled(), 0)
      for (let now = 1; now <= 8; now++) pace = Cooldown.hear(pace, throttled(), now)
      assert.deepStrictEqual([pace.level, pace.until], [1, baseMillis + 8])
    })

    it("is deaf to other reasons", () => {
      for (const reason of [refused, new AuthenticationFailed({ response: "no" })]) {
        assert.strictEqual(Cooldown.hear(Cooldown.calm, reason, 0), Cooldown.calm)
      }
    })
  })

  describe("succeeded", () => {
    const third = [0, 10_000, 20_000].reduce((pace, now) => Cooldown.hear(pace, throttled(), now), Cooldown.calm)

    it("forgets a level for each minute that went well, counted from the end of the pause", () => {
      assert.strictEqual(third.level, 3)
      assert.strictEqual(Cooldown.succeeded(third, third.until + decayMillis - 1), third)
      const once = Cooldown.succeeded(third, third.until + decayMillis)
      assert.strictEqual(once.level, 2)
      assert.strictEqual(Cooldown.succeeded(once, third.until + decayMillis + 1), once)
      assert.strictEqual(Cooldown.succeeded(third, third.until + 100 * decayMillis).level, 0)
    })

    it("does not end a pause", () => {
      assert.strictEqual(Cooldown.succeeded(third, third.until - 1).until, third.until)
    })
  })

  describe("authenticationHold", () => {
    it("grows with each refusal, up to the longest, and is forgotten a while after", () => {
      let hold = Cooldown.free
      const rests: Array<number> = []
      for (const now of [0, 4000, 12_000, 28_000]) {
        hold = Cooldown.authenticationHold(hold, now)
        rests.push(hold.until - now)
      }
      assert.deepStrictEqual(rests, [holdMillis, 2 * holdMillis, longestHoldMillis, longestHoldMillis])
      const later = hold.until + holdDecayMillis + 1
      assert.deepStrictEqual(Cooldown.authenticationHold(hold, later), { until: later + holdMillis, failures: 1 })
    })
  })

  describe("of an account", () => {
    it("holds commands and connects when throttled, and lowers the cap when refused", () => {
      const cooldown = new Cooldown(4)
      assert.deepStrictEqual(cooldown.orders, { until: -Infinity, connectAt: -Infinity, cap: 4 })
      assert.deepStrictEqual(cooldown.hear(throttled(500), 3, 0), { until: 500, connectAt: 500, cap: 4 })
      assert.deepStrictEqual(cooldown.hear(refused, 2, 600), { until: 500, connectAt: 500, cap: 2 })
      assert.strictEqual(cooldown.tick(cooldown.wakeAt - 1).cap, 2)
      assert.strictEqual(cooldown.tick(cooldown.wakeAt).cap, 3)
    })

    it("tries the connect again before it believes a refusal right after a close", () => {
      const cooldown = new Cooldown(2)
      cooldown.closed(1000)
      assert.deepStrictEqual(cooldown.hear(refused, 1, 1010), { until: -Infinity, connectAt: 1060, cap: 2 })
      cooldown.opened()
      assert.strictEqual(cooldown.wakeAt, Infinity)
      assert.strictEqual(cooldown.succeeded(1100).cap, 2)
    })

    const heard = Schema.Struct({
      kind: Schema.Literals(["asked", "throttled", "refused", "lost", "success", "closed", "opened", "tick"]),
      gap: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })),
      number: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
    })

    it.prop(
      "never moves a time backwards and keeps the cap within its bounds",
      [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 16 })), Schema.Array(heard)],
      ([configured, events]) => {
        const cooldown = new Cooldown(configured)
        let now = 0
        let before = cooldown.orders
        for (const { gap, kind, number } of events) {
          now += gap
          const orders = kind === "asked"
            ? cooldown.hear(throttled(number * 5000), number, now)
            : kind === "throttled"
            ? cooldown.hear(throttled(), number, now)
            : kind === "refused"
            ? cooldown.hear(refused, number, now)
            : kind === "lost"
            ? cooldown.hear(new ConnectionLost({ detail: "x", written: false }), number, now)
            : kind === "success"
            ? cooldown.succeeded(now)
            : kind === "closed"
            ? cooldown.closed(now)
            : kind === "opened"
            ? cooldown.opened()
            : cooldown.tick(now)
          assert.isAtLeast(orders.until, before.until)
          assert.isAtLeast(orders.connectAt, before.connectAt)
          assert.isTrue(orders.cap >= 1 && orders.cap <= configured)
          if (kind === "throttled") assert.isAtLeast(orders.until, now + baseMillis)
          before = orders
        }
      }
    )
  })
})
