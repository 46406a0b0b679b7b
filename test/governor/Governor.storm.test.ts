/** The governor in many random worlds, each replayed by its seed; and at every moment at which a clock can move. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit } from "effect"
import { Throttled } from "../../src/domain/MailError.ts"
import * as Governor from "../../src/governor/Governor.ts"
import * as Telemetry from "../../src/governor/Telemetry.ts"
import { type Dice, dice } from "../random.ts"
import { storm } from "./GovernorStorm.ts"
import { governorOptions } from "./options.ts"
import { simulate, type World } from "./Simulation.ts"

const firstSeed = Number(process.env["EFFECT_MAIL_SEED"] ?? 1)
const runs = 20

const paces: Record<string, (die: Dice) => Pick<World, "passes" | "early" | "setBy">> = {
  "stands still while anything is done": () => ({}),
  "passes with every look at it": (die) => ({ passes: () => die.chance(95) ? 1 : die.below(400) }),
  "is up to a millisecond behind its timers": () => ({ early: 1 }),
  "of day is set back and forward": (die) => ({ setBy: () => 1e12 + die.below(3) * 3_600_000 })
}

describe("in a storm everybody is answered in time, the cap is kept, and nothing is left behind", () => {
  for (const [title, paceOf] of Object.entries(paces)) {
    it(`where time ${title}`, () => {
      for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
        const die = dice(seed, title)
        const pace = paceOf(die)
        try {
          const { timers } = simulate(storm(die, pace.passes !== undefined), {
            dice: die,
            opsBeforeYield: die.oneOf([8, 20, 100, 2048, 2048]),
            ...pace
          })
          assert.strictEqual(timers, 0, "timers that were left")
        } catch (error) {
          throw new Error(`with EFFECT_MAIL_SEED=${seed}`, { cause: error })
        }
      }
    })
  }
})

describe("a decision is made at one moment", () => {
  const pauseMillis = 1_000
  const workMillis = 300

  /** The server asks for a pause; whoever waits meanwhile is served after it. */
  const paused = Effect.gen(function*() {
    const governor = yield* Governor.make({
      ...governorOptions,
      cap: 1,
      telemetry: yield* Telemetry.make("test"),
      connecting: {
        open: Effect.succeed({ isUsable: () => true, closed: Effect.never }),
        affinityOf: () => undefined,
        isSpent: () => false,
        rest: () => Effect.never
      }
    })
    const request = { agent: "a", operation: "test" }
    const throttled = new Throttled({ response: "", retryAfter: Duration.millis(pauseMillis) })
    const [asked, ...served] = yield* Effect.all([
      Effect.flip(governor.submit(request, () => Effect.fail(throttled))),
      Effect.exit(governor.submit(request, () => Effect.as(Effect.sleep(workMillis), "done"))),
      Effect.exit(governor.submit(request, () => Effect.as(Effect.sleep(workMillis), "done")))
    ], { concurrency: "unbounded" })
    assert.strictEqual(asked, throttled)
    assert.deepStrictEqual(served, [Exit.succeed("done"), Exit.succeed("done")])
  })

  it("so a pause that ends between two looks at the clock is over", () => {
    const world = { dice: dice(1, "leap"), opsBeforeYield: 2048 }
    const longest = pauseMillis + 2 * workMillis
    const { looks, slept } = simulate(Effect.scoped(paused), world)
    assert.strictEqual(slept, longest)
    assert.isAbove(looks, 10)
    for (let leapAt = 0; leapAt < looks; leapAt++) {
      const passes = (look: number) => look === leapAt ? pauseMillis : 0
      const { slept } = simulate(Effect.scoped(paused), { ...world, passes })
      assert.isAtMost(slept, longest, `the clock leaps at look ${leapAt}`)
    }
  })
})
