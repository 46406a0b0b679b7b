/**
 * A clock that runs faster than real time, for tests with sockets in which long waits come to their end: bounds and
 * delays keep their proportions.
 */
import { Clock, Duration, Effect } from "effect"

/** Runs an effect on a clock that is `times` as fast as the wall's. */
export const onFastClock = (times: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const begun = clock.currentTimeMillisUnsafe()
    const millis = () => begun + (clock.currentTimeMillisUnsafe() - begun) * times
    const nanos = () => BigInt(Math.round(millis())) * 1_000_000n
    const fast: Clock.Clock = {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => clock.sleep(Duration.times(duration, 1 / times))
    }
    return Effect.provideService(effect, Clock.Clock, fast)
  })
