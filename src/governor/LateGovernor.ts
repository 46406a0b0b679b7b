/**
 * A governor that is made when it is first asked for something. Most accounts of a program with many use one of their
 * two protocols, and some none for a long time; until then they hold neither fibers nor metrics for it.
 */
import { Effect, type Scope } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { Governed } from "./ConnectionActor.ts"
import * as Governor from "./Governor.ts"
import type { GovernorStats } from "./GovernorStats.ts"

type Share<C, P, A> = (
  options: Governor.SharedRequestOptions,
  payload: P,
  work: Governor.SharedWork<C, P, A>
) => Effect.Effect<A, Reason>

/** Makes the governor with its first request, in the scope and the context of this call; it closes with the scope. */
export const make = Effect.fnUntraced(function*<C extends Governed>(
  options: Governor.GovernorOptions<C>
): Effect.fn.Return<Governor.Governor<C>, never, Scope.Scope> {
  const context = yield* Effect.context<Scope.Scope>()
  let made: Governor.Governor<C> | undefined
  const making = yield* Effect.cached(
    Governor.make(options).pipe(
      Effect.tap((governor) =>
        Effect.sync(() => {
          made = governor
        })
      ),
      // not that of whoever happens to be the first: the governor outlives its spans
      Effect.updateContext<never, Scope.Scope>(() => context),
      Effect.uninterruptible
    )
  )
  const asked = <A, E, R>(ask: (governor: Governor.Governor<C>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => made === undefined ? Effect.flatMap(making, ask) : ask(made))

  const governor: Governor.Governor<C> = {
    submit: (request, work) => asked(({ submit }) => submit(request, work)),
    sharing: <P, A>() => {
      let share: Share<C, P, A> | undefined
      const late: Share<C, P, A> = (request, payload, work) =>
        asked(({ sharing }) => {
          share ??= sharing<P, A>()
          return share(request, payload, work)
        })
      return late
    },
    watch: (mailbox) => asked(({ watch }) => watch(mailbox)),
    observe: () => made?.observe() ?? unused(options.cap)
  }
  return governor
})

const unused = (cap: number): GovernorStats => ({
  connections: { opening: 0, idle: 0, busy: 0, resting: 0, closing: 0 },
  peak: 0,
  opened: 0,
  cap,
  waiting: 0,
  waitingByAgent: new Map(),
  agents: new Map(),
  cooledUntil: 0
})
