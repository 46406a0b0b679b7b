/**
 * One timer that rings at the earliest of the times it was set to. Who sets it again after it rang decides anew, so an
 * alarm that is no longer needed is left to ring for nothing.
 */
import { Clock, Duration, Effect, FiberHandle, type Scope } from "effect"
import { steadyMillis } from "./SteadyTime.ts"

/**
 * Makes an alarm by the steady time of the clock there is now, whoever sets it later. Setting it to Infinity sets
 * nothing. It rings no more once the scope has closed.
 */
export const make = Effect.fnUntraced(function*(
  ring: Effect.Effect<unknown>
): Effect.fn.Return<(at: number) => void, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const run = yield* FiberHandle.makeRuntime<never>()
  let next = Infinity
  return (at) => {
    if (at >= next) return
    next = at
    run(Effect.andThen(
      clock.sleep(Duration.millis(Math.max(0, at - steadyMillis(clock)))),
      Effect.suspend(() => {
        next = Infinity
        return ring
      })
    ))
  }
})
