/**
 * Runs requests on the connections of one account and one protocol: carries out what the `Dispatcher` decides, and
 * reports back what became of it. It owns the connections' fibers, the waiting callers and the one timer; it does not
 * decide, and it does not know IMAP from SMTP.
 *
 * A request is handed to a connection's own fiber, which runs it and answers. Interrupting the caller takes the request
 * out of the queue, or, when it runs for nobody else, ends the connection it runs on: its protocol state is unknown.
 */
import {
  Clock,
  type Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  FiberHandle,
  FiberMap,
  Latch,
  Queue,
  type Scope
} from "effect"
import { AccountClosed, QueueFull, type Reason, TimedOut } from "../domain/MailError.ts"
import { type Connecting, type Governed, type Message, serve } from "./ConnectionActor.ts"
import { type Action, Dispatcher, type DispatcherOptions, type Event, type Request } from "./Dispatcher.ts"

/** Who asks, and which mailbox it needs. */
export interface RequestOptions {
  readonly agent: string
  readonly affinity?: string | undefined
}

/** A command that serves several requests at once: one answer for each payload, in the same order. */
export type SharedWork<C, P, A> = (
  connection: C,
  payloads: ReadonlyArray<P>
) => Effect.Effect<ReadonlyArray<Exit.Exit<A, Reason>>, Reason>

/** What a request for a shared command adds: requests with the same key that wait at the same moment run together. */
export interface SharedRequestOptions extends RequestOptions {
  readonly key: string
  readonly size: number
}

export interface GovernorStats {
  readonly connections: {
    readonly opening: number
    readonly idle: number
    readonly busy: number
    readonly resting: number
    readonly closing: number
  }
  /** The most connections there ever were at once. */
  readonly peak: number
  /** Connections opened since the start. */
  readonly opened: number
  readonly cap: number
  readonly waiting: number
  readonly waitingByAgent: ReadonlyMap<string, number>
  readonly cooledUntil: number
}

export interface Governor<C> {
  /** Runs work on a connection of its own for that time. Fails with `QueueFull`, `TimedOut`, a reason for which no connection could be opened, or the work's own. */
  readonly submit: <A, E>(
    options: RequestOptions,
    work: (connection: C) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | Reason>
  /** Makes a kind of request that can share a command. The work of the request that was given the slot is run. */
  readonly sharing: <P, A>() => (
    options: SharedRequestOptions,
    payload: P,
    work: SharedWork<C, P, A>
  ) => Effect.Effect<A, Reason>
  /** Listens on a mailbox while the scope is open: the returned effect waits until something may have happened there. */
  readonly watch: (mailbox: string) => Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
  readonly stats: Effect.Effect<GovernorStats>
}

/** A caller that waits. */
interface Pending<C> {
  readonly request: Request
  /** Runs the work for this request and its companions, and answers them all. */
  readonly run: (connection: C, companions: ReadonlyArray<number>) => Effect.Effect<void>
  readonly fail: (reason: Reason) => void
  withdrawn: boolean
  /** The connection it runs on. */
  connection: number | undefined
}

interface Actor<C> {
  readonly inbox: Queue.Queue<Message<C>>
  serving: ReadonlyArray<Pending<C>>
}

export interface GovernorOptions<C extends Governed> extends DispatcherOptions {
  readonly connecting: Connecting<C>
}

/** Makes a governor. When the scope closes, waiting callers fail with `AccountClosed` and all connections are closed. */
export const make = Effect.fnUntraced(function*<C extends Governed>(
  options: GovernorOptions<C>
): Effect.fn.Return<Governor<C>, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const dispatcher = new Dispatcher(options)
  const pendings = new Map<number, Pending<C>>()
  const actors = new Map<number, Actor<C>>()
  const bells = new Map<string, Set<Latch.Latch>>()
  const work = yield* Latch.make(false)
  let nextRequest = 1
  let peak = 0
  let opened = 0
  let lastOpenFailure: Reason = new AccountClosed({})

  const fibers = yield* FiberMap.make<number>()
  const timer = yield* FiberHandle.make()
  let timerAt = Infinity

  const report = (event: Event) => {
    dispatcher.apply(event, now())
    return work.open
  }

  // --- carrying out

  const actor = (id: number, self: Actor<C>) =>
    serve(options.connecting, self.inbox, {
      opened: Effect.suspend(() => report({ _tag: "Opened", connection: id })),
      done: (affinity) =>
        Effect.suspend(() => {
          self.serving = []
          return report({ _tag: "Done", connection: id, affinity })
        }),
      closing: Effect.suspend(() => report({ _tag: "Closing", connection: id })),
      heard: (mailbox) => Effect.sync(() => ring(mailbox))
    }).pipe(
      Effect.onExit((exit) =>
        Effect.suspend(() => {
          actors.delete(id)
          // interrupted in the middle of work: whoever still waits for it is not the one who interrupted
          for (const pending of self.serving) pending.fail(new AccountClosed({}))
          const failure = Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
          if (failure === undefined) return report({ _tag: "Closed", connection: id })
          lastOpenFailure = failure.error
          const { busy, idle, resting } = dispatcher.connections
          const alone = busy + idle + resting === 0
          return report({
            _tag: "OpenFailed",
            connection: id,
            failWaiting: alone,
            retryAt: alone ? 0 : now() + openRetryMillis
          })
        })
      ),
      Effect.ignore
    )

  const carryOut = (action: Action): Effect.Effect<unknown> | undefined => {
    switch (action._tag) {
      case "Open": {
        return Effect.flatMap(Queue.unbounded<Message<C>>(), (inbox) => {
          const self: Actor<C> = { inbox, serving: [] }
          actors.set(action.connection, self)
          opened++
          peak = Math.max(peak, actors.size)
          return FiberMap.run(fibers, action.connection, actor(action.connection, self))
        })
      }
      case "Run": {
        const actor = actors.get(action.connection)
        if (actor === undefined) return undefined
        const running = action.requests.flatMap((id) => pendings.get(id) ?? [])
        for (const pending of running) pending.connection = action.connection
        actor.serving = running
        const [leader] = running
        const companions = action.requests.slice(1)
        Queue.offerUnsafe(actor.inbox, {
          _tag: "Work",
          run: (connection) => leader === undefined ? Effect.void : leader.run(connection, companions)
        })
        return undefined
      }
      case "Rest":
      case "Close": {
        const actor = actors.get(action.connection)
        if (actor !== undefined) Queue.offerUnsafe(actor.inbox, action)
        return undefined
      }
      case "Fail": {
        pendings.get(action.request)?.fail(failures[action.why]())
        return undefined
      }
    }
  }

  const failures = {
    QueueFull: () => new QueueFull({ limit: options.queue }),
    WaitedTooLong: () => new TimedOut({ wait: "queue", after: Duration.millis(options.maxWaitMillis), written: false }),
    OpenFailed: () => lastOpenFailure,
    ShutDown: () => new AccountClosed({})
  }

  const plan = Effect.fnUntraced(function*() {
    work.closeUnsafe()
    for (const action of dispatcher.plan(now())) {
      const effect = carryOut(action)
      if (effect !== undefined) yield* effect
    }
    yield* arm()
  })

  /** The one timer, for what must be decided although nothing happens. An early one is left to find nothing to do. */
  const arm = () => {
    const at = dispatcher.wakeAt(now())
    if (at === undefined || at >= timerAt) return Effect.void
    timerAt = at
    const ringing = Effect.sleep(at - now()).pipe(Effect.andThen(Effect.suspend(() => {
      timerAt = Infinity
      return work.open
    })))
    return FiberHandle.run(timer, ringing)
  }

  const ring = (mailbox: string) => {
    for (const bell of bells.get(mailbox) ?? []) bell.openUnsafe()
  }

  // --- waiting callers

  const enqueue = <A, E>(
    request: Omit<Request, "id">,
    start: (id: number) => {
      readonly reply: Deferred.Deferred<A, E | Reason>
      readonly run: Pending<C>["run"]
      readonly release?: () => void
    }
  ): Effect.Effect<A, E | Reason> =>
    Effect.uninterruptibleMask((restore) => {
      const id = nextRequest++
      const { release, reply, run } = start(id)
      const pending: Pending<C> = {
        request: { ...request, id },
        run,
        fail: (reason) => void Deferred.doneUnsafe(reply, Exit.fail(reason)),
        withdrawn: false,
        connection: undefined
      }
      pendings.set(id, pending)
      return report({ _tag: "Submitted", request: pending.request }).pipe(
        Effect.andThen(restore(Deferred.await(reply))),
        Effect.onExit((exit) => {
          pendings.delete(id)
          release?.()
          return Exit.hasInterrupts(exit) && !Deferred.isDoneUnsafe(reply) ? withdraw(pending) : Effect.void
        })
      )
    })

  /** Nobody waits for it any more. Waits until a connection that had to end for it has closed. */
  const withdraw = (pending: Pending<C>): Effect.Effect<void> => {
    pending.withdrawn = true
    const { connection } = pending
    if (connection === undefined) return report({ _tag: "Withdrawn", request: pending.request.id }).pipe(Effect.asVoid)
    const actor = actors.get(connection)
    const runsForOthers = actor?.serving.some(({ withdrawn }) => !withdrawn) ?? true
    return runsForOthers ? Effect.void : FiberMap.remove(fibers, connection)
  }

  const submit: Governor<C>["submit"] = <A, E>(
    { affinity, agent }: RequestOptions,
    work: (connection: C) => Effect.Effect<A, E>
  ) =>
    Effect.contextWith((context: Context.Context<never>) =>
      enqueue<A, E>({ agent, affinity, shareKey: undefined, size: 1 }, () => {
        const reply = Deferred.makeUnsafe<A, E | Reason>()
        return {
          reply,
          run: (connection) =>
            Effect.map(
              Effect.exit(Effect.provideContext(work(connection), context)),
              (exit) => void Deferred.doneUnsafe(reply, exit)
            )
        }
      })
    )

  const sharing: Governor<C>["sharing"] = <P, A>() => {
    const entries = new Map<number, { readonly payload: P; readonly reply: Deferred.Deferred<A, Reason> }>()
    return ({ affinity, agent, key, size }: SharedRequestOptions, payload: P, work: SharedWork<C, P, A>) =>
      Effect.contextWith((context: Context.Context<never>) =>
        enqueue<A, never>({ agent, affinity, shareKey: key, size }, (id) => {
          const reply = Deferred.makeUnsafe<A, Reason>()
          entries.set(id, { payload, reply })
          return {
            reply,
            release: () => entries.delete(id),
            run: (connection, companions) => {
              const together = [id, ...companions].flatMap((each) => entries.get(each) ?? [])
              return Effect.map(
                Effect.exit(
                  Effect.provideContext(work(connection, together.map((entry) => entry.payload)), context)
                ),
                (exit) =>
                  together.forEach(({ reply }, index) =>
                    Deferred.doneUnsafe(
                      reply,
                      Exit.isSuccess(exit) ? exit.value[index] ?? Exit.die("unanswered") : Exit.failCause(exit.cause)
                    )
                  )
              )
            }
          }
        })
      )
  }

  const watch: Governor<C>["watch"] = (mailbox) =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        const bell = Latch.makeUnsafe(false)
        const others = bells.get(mailbox)
        if (others === undefined) bells.set(mailbox, new Set([bell]))
        else others.add(bell)
        return Effect.as(report({ _tag: "Watched", mailbox }), bell)
      }),
      (bell) =>
        Effect.suspend(() => {
          bells.get(mailbox)?.delete(bell)
          return report({ _tag: "Unwatched", mailbox })
        })
    ).pipe(Effect.map((bell) => Effect.tap(bell.await, () => Effect.sync(() => bell.closeUnsafe()))))

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      dispatcher.apply({ _tag: "ShutDown" }, now())
      for (const action of dispatcher.plan(now())) carryOut(action)
      return FiberMap.clear(fibers)
    })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(work.await, Effect.suspend(plan))))

  return {
    submit,
    sharing,
    watch,
    stats: Effect.sync(() => ({
      connections: dispatcher.connections,
      peak,
      opened,
      cap: dispatcher.cap,
      waiting: dispatcher.waiting,
      waitingByAgent: dispatcher.waitingByAgent,
      cooledUntil: dispatcher.cooledUntil
    }))
  }
})

/** How long an account that has connections waits after a failure to open one more. */
const openRetryMillis = 5_000
