/**
 * The time that waits and bounds are measured by. The time of day may be set, back or forward, while somebody waits, and
 * would make an hour of a second; this one goes on as timers do. Its zero means nothing.
 */
import { type Clock, Effect } from "effect"

/** Milliseconds, in whole numbers, that never go back. */
export const steadyMillis = (clock: Clock.Clock): number => Math.round(Number(clock.monotonicTimeNanosUnsafe()) / 1e6)

/** The same, of the clock of whoever asks. */
export const steadyTime: Effect.Effect<number> = Effect.clockWith((clock) => Effect.sync(() => steadyMillis(clock)))
