/** What does an operation pay for rate windows, and are they kept? */
import { Clock, Data, Duration, Effect } from "effect"
import { RateWindow, type Reason } from "effect-mail"
import { RateLimit } from "../src/governor/RateLimit.ts"
import type { Outcome, Suite } from "./Harness.ts"
import { leapingClock } from "./LeapingClock.ts"

/** An operation as the windows saw it begin. */
interface Begun {
  readonly at: number
  readonly agent: string
  readonly costs: Readonly<Record<RateWindow["per"], number>>
}

class WindowExceeded extends Data.TaggedError("WindowExceeded")<{ readonly message: string }> {}

const agents = 16

/** Numbers that are the same in each run, from 0 up to a bound. */
const numbers = (seed: number) => {
  let state = seed
  return (bound: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

/** In no span of a window's length may more than its limit have begun: looked at from each beginning backwards. */
const exceeded = (windows: ReadonlyArray<RateWindow>, begun: ReadonlyArray<Begun>): string | undefined => {
  const inTime = begun.toSorted((a, b) => a.at - b.at)
  for (const { limit, per, window } of windows) {
    const millis = Duration.toMillis(window)
    const keys = per === "agent" ? [...new Set(begun.map(({ agent }) => agent))] : [undefined]
    for (const key of keys) {
      const own = inTime.filter(({ agent }) => key === undefined || agent === key)
      let [first, sum] = [0, 0]
      for (const { at, costs } of own) {
        sum += costs[per]
        for (let old = own[first]; old !== undefined && old.at <= at - millis; old = own[++first]) sum -= old.costs[per]
        if (sum > limit) return `${sum} of ${limit} per ${per} in ${Duration.format(window)} until ${at}`
      }
    }
  }
  return undefined
}

interface Load {
  readonly count: number
  /** So many at once. */
  readonly together: number
  /** The longest time between the admission of an operation and its beginning; 0 for none. */
  readonly millis: number
}

/** Operations through these windows, and the CPU they took. */
const operate = (
  windows: ReadonlyArray<RateWindow>,
  { count, millis, together }: Load
): Effect.Effect<Outcome & { readonly cpu: number }, WindowExceeded | Reason> =>
  Effect.scoped(Effect.gen(function*() {
    const rates = yield* RateLimit.make({ account: "bench", rates: windows, onLimit: "wait" })
    const clock = yield* Clock.Clock
    const next = numbers(1)
    const begun: Array<Begun> = []
    const operation = (index: number) => {
      const agent = `agent-${index % agents}`
      const costs = { account: 1, agent: 1, send: 1, recipients: 1 + next(3), bytes: 500 + next(3_000) }
      const pause = Effect.suspend(() => millis === 0 ? Effect.void : Effect.sleep(next(millis)))
      // as an operation of an account goes about it; between the two it waits for a connection
      return Effect.acquireUseRelease(
        rates.admit({ agent, costs }),
        (permit) =>
          Effect.andThen(
            Effect.andThen(pause, permit.start),
            Effect.sync(() => begun.push({ at: clock.currentTimeMillisUnsafe(), agent, costs }))
          ),
        (permit) => permit.refund
      )
    }
    const cpuBefore = process.cpuUsage()
    yield* Effect.forEach(Array.from({ length: count }, (_, index) => index), operation, {
      concurrency: together,
      discard: true
    })
    const { system, user } = process.cpuUsage(cpuBefore)
    const problem = exceeded(windows, begun)
    if (problem !== undefined) return yield* new WindowExceeded({ message: problem })
    return { cpu: (user + system) / 1000, digest: { count: begun.length } }
  }))

const window = (per: RateWindow["per"], limit: number, minutes: number) =>
  new RateWindow({ per, limit, window: Duration.minutes(minutes) })

/** Windows as a provider has them, times a factor. At 1 the recipients are the narrowest, and the account is close. */
const windows = (factor: number) => [
  window("account", 600 * factor, 1),
  window("agent", 60 * factor, 1),
  window("send", 1_800 * factor, 3),
  window("recipients", 1_000 * factor, 1),
  window("bytes", 2_000_000 * factor, 1)
]

export const suite: Suite = {
  name: "limiter",
  question: "What does an operation pay for five rate windows?",
  run: (bench) =>
    Effect.gen(function*() {
      const count = bench.size(10_000, 2_000)
      const measure = (name: string, factor: number, load: Omit<Load, "count">) => {
        const run = (windows: ReadonlyArray<RateWindow>) =>
          Effect.suspend(() => {
            const operations = operate(windows, { ...load, count })
            return load.millis === 0 ? operations : Effect.provideService(operations, Clock.Clock, leapingClock())
          })
        const timed = (windows: ReadonlyArray<RateWindow>) =>
          Effect.succeed(Effect.map(run(windows), (outcome) => ({ ...outcome, millis: outcome.cpu })))
        const without = "the same operations without windows"
        return bench.measure({
          name,
          unit: "us",
          operations: count,
          expected: { count },
          subjects: [
            { name: "operations that pass five windows", role: "library", open: timed(windows(factor)) },
            { name: without, role: "limit", open: timed([]) }
          ],
          targets: bench.size([{ atMost: 20, over: without }], []),
          bound: "CPU"
        })
      }
      yield* measure("room in every window, one caller", count, { together: 1, millis: 0 })
      yield* measure("room in every window, 64 callers", count, { together: 64, millis: 0 })
      yield* measure("windows full, up to 1,000 operations wait", 1, { together: 1_000, millis: 200 })
      bench.note(
        "Times are CPU of all threads. Nobody waits where there is room; where the windows are full, the clock leaps " +
          "over the waits. Behind each run every window is checked, at each beginning of an operation."
      )
      return "none"
    })
}
