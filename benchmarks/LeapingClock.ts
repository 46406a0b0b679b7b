/**
 * A clock that does not wait: when all fibers sleep, it is at once as late as the first of them wants. What the process
 * spends meanwhile is what its own work costs, with no time of a test clock's own.
 */
import { type Clock, Duration, Effect } from "effect"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

export const leapingClock = (): Clock.Clock => {
  let now = 0
  let leaping = false
  /** The first to wake up is last. */
  const sleepers: Array<Sleeper> = []

  const leap = () => {
    leaping = false
    const sleeper = sleepers.pop()
    if (sleeper === undefined) return
    now = sleeper.until
    sleeper.wake()
    while (sleepers.at(-1)?.until === now) sleepers.pop()?.wake()
    leapSoon()
  }
  /** Behind all that is about to run. */
  const leapSoon = () => {
    if (leaping || sleepers.length === 0) return
    leaping = true
    setImmediate(leap)
  }
  const add = (sleeper: Sleeper) => {
    let at = sleepers.length
    while (at > 0 && (sleepers[at - 1]?.until ?? Infinity) <= sleeper.until) at--
    sleepers.splice(at, 0, sleeper)
    leapSoon()
  }

  const nanos = () => BigInt(now) * 1_000_000n
  return {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback((resume) => {
        const sleeper = { until: now + Math.ceil(Duration.toMillis(duration)), wake: () => resume(Effect.void) }
        add(sleeper)
        return Effect.sync(() => {
          const at = sleepers.indexOf(sleeper)
          if (at >= 0) sleepers.splice(at, 1)
        })
      })
  }
}
