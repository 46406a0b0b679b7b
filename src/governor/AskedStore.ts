/**
 * A rate store that somebody else has made: it may be slow, never answer, or die. Each question is asked in a fiber of
 * its own, so that whoever asked can leave at once; what is granted to somebody who has left is given back. Knows
 * nothing of windows.
 */
import { Cause, Duration, Effect, Exit, Fiber } from "effect"
import { TimedOut } from "../domain/MailError.ts"
import type { RateAnswer, RateGrant, RateStore } from "./RateStore.ts"

type Store = RateStore["Service"]

/** A store whose questions have a bound. */
export interface AskedStore extends Omit<Store, "take"> {
  /** May be interrupted wherever it is called. */
  readonly take: (...question: Parameters<Store["take"]>) => Effect.Effect<RateAnswer, TimedOut>
}

/** Puts a bound on every question to a store, in milliseconds. */
export const asked = (store: Store, longestMillis: number): AskedStore => {
  const after = Duration.millis(longestMillis)
  const bounded = <A, E>(question: Effect.Effect<A>, orElse: () => Effect.Effect<A, E>) =>
    longestMillis === Infinity ? question : Effect.timeoutOrElse(question, { duration: after, orElse })

  /** What cannot be told to the store is left to its own bounds: no operation fails for that. */
  const told = (effect: Effect.Effect<void>) =>
    bounded(effect, () => Effect.void).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.logWarning("the rate store has failed", cause)
      )
    )

  const grantOf = (grant: RateGrant): RateGrant => ({
    start: (now) => told(grant.start(now)),
    refund: told(grant.refund)
  })

  /** The answer is waited for once more as long, and then nobody waits for it any more. */
  const giveBack = (asking: Fiber.Fiber<RateAnswer>) =>
    Effect.forkDetach(
      Effect.flatMap(
        bounded(Fiber.await(asking), () => Effect.andThen(Fiber.interrupt(asking), Fiber.await(asking))),
        (exit) => Exit.isSuccess(exit) && exit.value.granted ? told(exit.value.grant.refund) : Effect.void
      )
    )

  return {
    take: (...question) =>
      Effect.flatMap(
        Effect.forkDetach(store.take(...question), { startImmediately: true }),
        (asking) =>
          Effect.onInterrupt(
            Effect.interruptible(
              bounded(
                Fiber.join(asking),
                () =>
                  Effect.andThen(giveBack(asking), Effect.fail(new TimedOut({ wait: "store", after, written: false })))
              )
            ),
            () => giveBack(asking)
          )
      ).pipe(
        Effect.uninterruptible,
        Effect.map((answer) => answer.granted ? { granted: true, grant: grantOf(answer.grant) } : answer)
      ),
    charge: (requests, now) => told(store.charge(requests, now)),
    usage: (prefix, windowMillis, now) => bounded(store.usage(prefix, windowMillis, now), () => Effect.succeed([]))
  }
}
