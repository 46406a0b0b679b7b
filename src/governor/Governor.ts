/**
 * Runs requests on the connections of one account and one protocol: carries out what the `Dispatcher` decides, and
 * reports back what became of it. It owns the connections' fibers, the waiting callers and the one timer; it does not
 * decide, and it does not know IMAP from SMTP.
 *
 * A request is handed to a connection's own fiber, which runs it and answers. Interrupting the caller takes the request
 * out of the queue, or, when it runs for nobody else, ends the connection it runs on: its protocol state is unknown.
 */
import type { Context } from "effect"
import { Cause, Clock, Duration, Effect, Exit, FiberMap, Scheduler, type Scope } from "effect"
import { AccountClosed, ConnectionLost, QueueFull, type Reason, TimedOut } from "../domain/MailError.ts"
import * as Alarm from "../driver/Alarm.ts"
import { steadyMillis } from "../driver/SteadyTime.ts"
import { Bells, type Ear } from "./Bells.ts"
import { type Connecting, type Governed, type Message, serve } from "./ConnectionActor.ts"
import { type Action, Dispatcher, type DispatcherOptions, type Event, type Request } from "./Dispatcher.ts"
import { AgentCounts, type GovernorStats, statsOf } from "./GovernorStats.ts"
import { HostLimits, type Tenant } from "./HostLimits.ts"
import { Inbox } from "./Inbox.ts"
import { failureOf, Pace } from "./Pace.ts"
import type { RequestOptions, SharedRequestOptions, SharedWork } from "./Requests.ts"
import type { Protocol, Telemetry } from "./Telemetry.ts"

export type { RequestOptions, SharedRequestOptions, SharedWork }

export interface Governor<C> {
  /**
   * Runs work on a connection of its own for that time. Fails with `QueueFull`, `TimedOut`, `Throttled` where the server
   * asked for a pause longer than the wait may be, a reason for which no connection could be opened, or the work's own.
   */
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
  /** Has idle connections listen on a mailbox while the scope is open. */
  readonly watch: (mailbox: string) => Effect.Effect<Ear, never, Scope.Scope>
  readonly observe: () => GovernorStats
}

export interface GovernorOptions<C extends Governed> extends DispatcherOptions {
  readonly protocol: Protocol
  /** The server, for what all accounts of the process share at it. */
  readonly host: string
  readonly connecting: Connecting<C>
  readonly telemetry: Telemetry
}

/** A caller that waits. */
interface Pending<C> {
  readonly request: Request
  /** Runs the work for this request and its companions, answers them all, and tells how it ended. */
  readonly run: (connection: C, companions: ReadonlyArray<number>) => Effect.Effect<Exit.Exit<unknown, unknown>>
  readonly fail: (cause: Cause.Cause<Reason>) => void
  /** Tells that it was given a connection. */
  readonly begun: () => void
  withdrawn: boolean
  /** The connection it runs on. */
  connection: number | undefined
}

interface Actor<C> {
  readonly inbox: Inbox<Message<C>>
  serving: ReadonlyArray<Pending<C>>
  /** It takes its place among the connections of all accounts, and is opened. */
  stage: "placing" | "opening" | "open"
  /** Its work has begun: nobody can leave any more without ending the connection. */
  begun: boolean
}

/** Makes a governor. When the scope closes, waiting callers fail with `AccountClosed` and all connections are closed. */
export const make = Effect.fnUntraced(function*<C extends Governed>(
  options: GovernorOptions<C>
): Effect.fn.Return<Governor<C>, never, Scope.Scope> {
  const { host, protocol, telemetry } = options
  const clock = yield* Clock.Clock
  const now = () => steadyMillis(clock)
  const hostLimits = yield* HostLimits.current
  const dispatcher = new Dispatcher(options)
  const pace = new Pace({ protocol, host, cap: options.cap, dispatcher, hostLimits, telemetry, now })
  const pendings = new Map<number, Pending<C>>()
  const actors = new Map<number, Actor<C>>()
  const bells = new Bells()
  const agentCounts = new AgentCounts()
  const turns = (yield* Scheduler.Scheduler).makeDispatcher()
  let isDue = false
  let nextRequest = 1
  let peak = 0
  let opened = 0
  /** Ends the wait for a place of the connection that was begun last. */
  let giveUp: () => unknown = () => {}
  let openFailure: Cause.Cause<Reason> | undefined

  const fibers = yield* FiberMap.make<number, unknown, never>()
  const run = yield* FiberMap.runtime(fibers)()

  /** Decides in the next turn of the scheduler, so that requests that come together are seen together and share commands. */
  const decideSoon = () => {
    if (isDue) return
    isDue = true
    turns.scheduleTask(decide, 0)
  }
  const setAlarm = yield* Alarm.make(Effect.sync(decideSoon))

  const attributes = { "mail.protocol": protocol, host }
  const tenant: Tenant = { host, asked: decideSoon }

  const report = (event: Event): void => {
    dispatcher.apply(event, now())
    decideSoon()
  }

  // --- carrying out

  const actor = (id: number, self: Actor<C>) =>
    serve(
      {
        ...options.connecting,
        open: hostLimits.take(tenant).pipe(
          Effect.tap(() => Effect.sync(() => self.stage = "opening")),
          Effect.andThen(Effect.withSpan(options.connecting.open, "mail.connect", { attributes }))
        )
      },
      self.inbox,
      {
        opened: () => {
          opened++
          self.stage = "open"
          pace.opened()
          report({ _tag: "Opened", connection: id })
        },
        done: (affinity) => {
          self.serving = []
          report({ _tag: "Done", connection: id, affinity })
        },
        rested: (affinity) => report({ _tag: "Rested", connection: id, affinity }),
        closing: () => report({ _tag: "Closing", connection: id }),
        heard: (mailbox, exit) => {
          pace.worked(exit)
          bells.ring(mailbox)
        }
      }
    ).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          actors.delete(id)
          for (const pending of self.serving) pending.fail(gone(self.begun))
          if (self.stage === "placing") return report({ _tag: "Closed", connection: id })
          if (self.stage === "opening" && Exit.isFailure(exit)) {
            openFailure = exit.cause
            const reason = failureOf(exit.cause)
            return report(
              reason === undefined
                ? { _tag: "OpenFailed", connection: id, failWaiting: true, retryAt: 0 }
                : pace.openFailed(id, reason)
            )
          }
          pace.closed()
          return report({ _tag: "Closed", connection: id })
        })
      ),
      Effect.ignore
    )

  const carryOut = (action: Action): void => {
    switch (action._tag) {
      case "Open": {
        // whoever was answered a moment ago may have closed the account
        if (dispatcher.isShutDown) return
        const self: Actor<C> = { inbox: new Inbox(), serving: [], stage: "placing", begun: false }
        actors.set(action.connection, self)
        peak = Math.max(peak, actors.size)
        const fiber = run(action.connection, actor(action.connection, self))
        giveUp = () => self.stage === "placing" && fiber.interruptUnsafe()
        return
      }
      case "Run": {
        const actor = actors.get(action.connection)
        const serving = action.requests.flatMap((id) => pendings.get(id) ?? [])
        if (actor === undefined || dispatcher.isShutDown) {
          for (const pending of serving) pending.fail(gone(false))
          return
        }
        actor.serving = serving
        actor.begun = false
        for (const pending of serving) {
          pending.connection = action.connection
          pending.begun()
        }
        const companions = serving.slice(1).map(({ request }) => request.id)
        const run = (connection: C) => {
          if (serving[0] === undefined || serving.every(({ withdrawn }) => withdrawn)) return Effect.succeed(Exit.void)
          actor.begun = true
          return serving[0].run(connection, companions)
        }
        actor.inbox.put({ _tag: "Work", run })
        return
      }
      case "Rest":
      case "Close":
        actors.get(action.connection)?.inbox.put(action)
        return
      case "Fail":
        pendings.get(action.request)?.fail(failures[action.why]())
        return
    }
  }

  const failures = {
    QueueFull: () => Cause.fail(new QueueFull({ limit: options.queue })),
    Paused: () => Cause.fail(pace.paused()),
    WaitedTooLong: () =>
      Cause.fail(new TimedOut({ wait: "queue", after: Duration.millis(options.maxWaitMillis), written: false })),
    OpenFailed: () => openFailure ?? Cause.fail(new AccountClosed({})),
    ShutDown: () => Cause.fail(new AccountClosed({}))
  }

  /** Why a connection left its callers without an answer. Work that had begun is only ever ended by closing the account. */
  const gone = (begun: boolean) => {
    const detail = begun ? "the account was closed before the answer came" : "it had closed before it was used"
    return Cause.fail(
      dispatcher.isShutDown && !begun ? new AccountClosed({}) : new ConnectionLost({ detail, written: begun })
    )
  }

  const decide = () => {
    isDue = false
    pace.tick()
    // one moment for all of it: what is not due when it is planned must be seen to be due later
    const moment = now()
    dispatcher.apply({ _tag: "Pressed", pressed: hostLimits.isShort(tenant) }, moment)
    const actions = dispatcher.plan(moment)
    const wakeAt = dispatcher.wakeAt(moment) ?? Infinity
    for (const action of actions) carryOut(action)
    setAlarm(Math.min(wakeAt, pace.wakeAt))
    // other accounts would give up connections for it
    if (!dispatcher.isWanted) giveUp()
  }

  // --- waiting callers

  /** Waits for the answer. What is started for the request is told whom to answer, and released with it. */
  const enqueue = <A, E>(
    { affinity, agent, operation, waited = 0 }: RequestOptions,
    shared: { readonly key: string | undefined; readonly size: number },
    start: (id: number, answer: (exit: Exit.Exit<A, E | Reason>) => void) => {
      readonly run: Pending<C>["run"]
      readonly release?: () => void
    }
  ): Effect.Effect<A, E | Reason> =>
    Effect.flatMap(Effect.makeSpan("mail.wait"), (span) =>
      Effect.callback<A, E | Reason>((resume) => {
        if (dispatcher.isShutDown) return resume(Effect.fail(new AccountClosed({})))
        if (pace.refusal !== undefined) return resume(Effect.fail(pace.refusal))
        const id = nextRequest++
        const since = now()
        const endSpan = () => {
          if (span.status._tag === "Started") span.end(clock.currentTimeNanosUnsafe(), Exit.void)
        }
        const leave = () => {
          endSpan()
          pendings.delete(id)
          release?.()
        }
        const answer = (exit: Exit.Exit<A, E | Reason>) => {
          leave()
          resume(exit)
        }
        const { release, run } = start(id, answer)
        const pending: Pending<C> = {
          request: { id, agent, affinity, shareKey: shared.key, size: shared.size, since: since - waited },
          run,
          fail: (cause) => answer(Exit.failCause(cause)),
          begun: () => {
            endSpan()
            agentCounts.served(agent, now() - since)
            telemetry.waited(protocol, agent, operation, now() - since)
          },
          withdrawn: false,
          connection: undefined
        }
        pendings.set(id, pending)
        report({ _tag: "Submitted", request: pending.request })
        return Effect.suspend(() => {
          leave()
          return withdraw(pending)
        })
      }))

  /** Nobody waits for it any more. Waits until a connection that had to end for it has closed. */
  const withdraw = (pending: Pending<C>): Effect.Effect<void> => {
    pending.withdrawn = true
    const { connection } = pending
    if (connection === undefined) return Effect.sync(() => report({ _tag: "Withdrawn", request: pending.request.id }))
    const actor = actors.get(connection)
    const isNeeded = actor === undefined || !actor.begun || actor.serving.some(({ withdrawn }) => !withdrawn)
    return isNeeded ? Effect.void : FiberMap.remove(fibers, connection)
  }

  /** Runs work in the name of its caller: its context, a span below its span, its time measured. Then answers. */
  const perform = <A, E>(
    { agent, operation }: RequestOptions,
    context: Context.Context<never>,
    work: Effect.Effect<A, E>,
    answer: (exit: Exit.Exit<A, E>) => void
  ): Effect.Effect<Exit.Exit<A, E>> =>
    Effect.suspend(() => {
      const since = now()
      const attributes = { "mail.protocol": protocol, "mail.operation": operation }
      const traced = Effect.withSpan(work, "mail.command", { attributes, captureStackTrace: false })
      return Effect.map(Effect.exit(Effect.updateContext(traced, () => context)), (exit) => {
        telemetry.worked(protocol, agent, operation, now() - since)
        pace.worked(exit)
        answer(exit)
        return exit
      })
    })

  const submit: Governor<C>["submit"] = <A, E>(
    request: RequestOptions,
    work: (connection: C) => Effect.Effect<A, E>
  ) =>
    Effect.contextWith((context: Context.Context<never>) =>
      enqueue<A, E>(request, { key: undefined, size: 1 }, (_id, answer) => ({
        run: (connection) => perform(request, context, Effect.suspend(() => work(connection)), answer)
      }))
    )

  const sharing: Governor<C>["sharing"] = <P, A>() => {
    interface Entry {
      readonly payload: P
      readonly answer: (exit: Exit.Exit<A, Reason>) => void
    }
    const entries = new Map<number, Entry>()
    return (request: SharedRequestOptions, payload: P, work: SharedWork<C, P, A>) =>
      Effect.contextWith((context: Context.Context<never>) =>
        enqueue<A, never>(request, request, (id, answer) => {
          entries.set(id, { payload, answer })
          return {
            release: () => entries.delete(id),
            run: (connection, companions) => {
              const together = [id, ...companions].flatMap((each) => entries.get(each) ?? [])
              const payloads = together.map((entry) => entry.payload)
              return perform(request, context, Effect.suspend(() => work(connection, payloads)), (exit) => {
                together.forEach(({ answer }, index) => {
                  answer(
                    Exit.isSuccess(exit) ? exit.value[index] ?? Exit.die("unanswered") : Exit.failCause(exit.cause)
                  )
                })
              })
            }
          }
        })
      )
  }

  const watch: Governor<C>["watch"] = (mailbox) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        report({ _tag: "Watched", mailbox })
        return bells.add(mailbox)
      }),
      (bell) =>
        Effect.sync(() => {
          bells.remove(mailbox, bell)
          report({ _tag: "Unwatched", mailbox })
        })
    ).pipe(Effect.map((bell) => Bells.ear(bell, () => dispatcher.isListening(mailbox))))

  const governor: Governor<C> = {
    submit,
    sharing,
    watch,
    observe: () => statsOf({ agentCounts, clock, dispatcher, opened, peak })
  }

  yield* telemetry.observe(protocol, governor.observe)
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      dispatcher.apply({ _tag: "ShutDown" }, now())
      for (const action of dispatcher.plan(now())) carryOut(action)
      // Who watches is told so when it looks the next time.
      bells.ringAll()
      // Nobody waits for an answer any more, nor for a connection to open; those that have nothing to do say goodbye.
      const leave = ([id, { inbox, serving, stage }]: [number, Actor<C>]) =>
        stage === "open" && serving.length === 0
          ? Effect.sync(() => inbox.put({ _tag: "Close" }))
          : FiberMap.remove(fibers, id)
      return Effect.andThen(Effect.forEach(actors, leave, { concurrency: "unbounded" }), FiberMap.awaitEmpty(fibers))
    })
  )
  return governor
})
