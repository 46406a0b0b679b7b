/** The clock of a test with a time of day that can be set meanwhile; its monotonic time and its sleeps go on as they were. */
import { Clock, Effect } from "effect"

export interface SettableClock {
  readonly setBy: (millis: number) => void
  /** Runs an effect on this clock. */
  readonly on: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const settableClock: Effect.Effect<SettableClock> = Effect.clockWith((clock) =>
  Effect.sync(() => {
    let offset = 0
    const settable: Clock.Clock = {
      ...clock,
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + offset,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + offset)
    }
    return {
      setBy: (millis) => {
        offset += millis
      },
      on: (effect) => Effect.provideService(effect, Clock.Clock, settable)
    }
  })
)
