/**
 * A governor that is made when it is first asked for something. Most accounts of a program with many use one of their
 * two protocols, and some none for a long time; until then they hold neither fibers nor metrics for it.
 */
import { Effect, type Scope } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { Ear } from "./Bells.ts"
import type { Governed } from "./ConnectionActor.ts"
import * as Governor from "./Governor.ts"
import type { GovernorStats } from "./GovernorStats.ts"

type Share<C, P, A> = (
  options: Governor.SharedRequestOptions,
  payload: P,
  work: Governor.SharedWork<C, P, A>
) => Effect.Effect<A, Reason>

/**
 * Makes the governor with its first request, and its options no earlier, in the scope and the context of this call; it
 * closes with the scope. The cap is told before that, too.
 */
export const make = Effect.fnUntraced(function*<C extends Governed>(
  cap: number,
  options: () => Governor.GovernorOptions<C>
): Effect.fn.Return<Governor.Governor<C>, never, Scope.Scope> {
  const context = yield* Effect.context<Scope.Scope>()
  const making = yield* Effect.cached(
    Effect.suspend(() => Governor.make(options())).pipe(
      // not that of whoever happens to be the first: the governor outlives its spans
      Effect.updateContext<never, Scope.Scope>(() => context),
      Effect.uninterruptible
    )
  )
  return new LateGovernor(cap, making)
})

class LateGovernor<C extends Governed> implements Governor.Governor<C> {
  readonly #cap: number
  readonly #making: Effect.Effect<Governor.Governor<C>>
  #made: Governor.Governor<C> | undefined

  constructor(cap: number, making: Effect.Effect<Governor.Governor<C>>) {
    this.#cap = cap
    this.#making = making
  }

  submit<A, E>(request: Governor.RequestOptions, work: (connection: C) => Effect.Effect<A, E>) {
    return this.#asked((governor) => governor.submit(request, work))
  }

  sharing<P, A>(): Share<C, P, A> {
    let share: Share<C, P, A> | undefined
    return (request, payload, work) =>
      this.#asked((governor) => {
        share ??= governor.sharing<P, A>()
        return share(request, payload, work)
      })
  }

  watch(mailbox: string): Effect.Effect<Ear, never, Scope.Scope> {
    return this.#asked((governor) => governor.watch(mailbox))
  }

  observe(): GovernorStats {
    return this.#made?.observe() ?? unused(this.#cap)
  }

  #asked<A, E, R>(ask: (governor: Governor.Governor<C>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() =>
      this.#made === undefined
        ? Effect.flatMap(this.#making, (governor) => ask(this.#made = governor))
        : ask(this.#made)
    )
  }
}

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
