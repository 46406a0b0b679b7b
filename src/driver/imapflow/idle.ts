/**
 * Waiting for a change of the selected mailbox: IDLE (RFC 2177) where the server has it, else NOOP from time to time.
 *
 *   idle -> IDLE sent -> event            -> done; IDLE goes on, the next command ends it, the next idle joins it
 *                     -> ended by server  -> done
 *                     -> refused          -> NOOP from now on
 *        -> interrupted                   -> nothing is written; as after an event
 */
import { Duration, Effect } from "effect"
import type { Reason } from "../../domain/MailError.ts"
import type { Link } from "./link.ts"

/** How often a server without IDLE is asked. */
const pollInterval = Duration.seconds(30)

export const makeIdle = (link: Link, hasIdle: boolean): Effect.Effect<void, Reason> => {
  const { client } = link
  let running: Promise<boolean | undefined> | undefined
  let isRefused = !hasIdle

  const listen = (ring: () => void) => {
    client.on("exists", ring).on("expunge", ring).on("flags", ring)
    return () => {
      client.off("exists", ring).off("expunge", ring).off("flags", ring)
    }
  }

  const idle = Effect.callback<boolean, Reason>((resume) => {
    if (!link.isUsable()) return resume(Effect.fail(link.lost(false)))
    const finish = (effect: Effect.Effect<boolean, Reason>) => {
      stop()
      resume(effect)
    }
    const deafen = listen(() => finish(Effect.succeed(true)))
    const unthrottle = link.onThrottle((reason) => finish(Effect.fail(reason)))
    const stop = () => {
      deafen()
      unthrottle()
    }
    running ??= client.idle().finally(() => {
      running = undefined
    })
    running.then(
      (value) => finish(link.isUsable() ? Effect.succeed(value !== false) : Effect.fail(link.lost(true))),
      () => finish(Effect.fail(link.lost(true)))
    )
    return Effect.sync(stop)
  })

  const ask = Effect.callback<void, Reason>((resume) => {
    if (!link.isUsable()) return resume(Effect.fail(link.lost(false)))
    void link.leave((client) => client.noop()).then(() =>
      resume(link.isUsable() ? Effect.void : Effect.fail(link.lost(true)))
    )
  })

  const poll = () =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const bell = { isRung: false, deafen: () => {} }
        bell.deafen = listen(() => {
          bell.isRung = true
        })
        return bell
      }),
      Effect.fnUntraced(function*(bell) {
        while (!bell.isRung) {
          yield* Effect.sleep(pollInterval)
          yield* ask
        }
      }),
      (bell) => Effect.sync(bell.deafen)
    )

  return Effect.suspend(() => {
    if (isRefused) return poll()
    return Effect.flatMap(idle, (isAnswered) => {
      if (isAnswered) return Effect.void
      isRefused = true
      return poll()
    })
  })
}
