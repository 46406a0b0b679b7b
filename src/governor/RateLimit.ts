/**
 * The rate windows of one account. An operation is admitted when all its windows have room, and takes from all of them
 * or from none. Owns the callers that wait for room and their order; knows no connection and no protocol. Time is the
 * Clock's, counting is the store's.
 *
 * Order: agents take turns (`Turns`). A call takes nothing until all its windows have room. Meanwhile it closes the
 * windows that stop it, and only those, to everybody with a later turn: a call that waits at the window of its own agent
 * is passed by the others, and at the window of the account nobody passes it.
 */
import { Clock, Deferred, Duration, Effect, Exit, Latch, Option, type Scope } from "effect"
import type { RateScope, RateWindow } from "../domain/Limits.ts"
import { AccountClosed, InvalidInput, QueueFull, type RateLimited, type TimedOut } from "../domain/MailError.ts"
import * as Alarm from "../driver/Alarm.ts"
import { steadyMillis } from "../driver/SteadyTime.ts"
import { asked, type AskedStore } from "./AskedStore.ts"
import { type Bank, Permit } from "./Permit.ts"
import { type RateBlock, type RateGrant, RateStore } from "./RateStore.ts"
import {
  type Kind,
  kindsOf,
  lastOf,
  notBefore,
  type RateCosts,
  rateLimited,
  type Request,
  request,
  requestsOf,
  scopeOf,
  windowsOf
} from "./RateWindows.ts"
import { type Turn, Turns } from "./Turns.ts"

export type { Permit } from "./Permit.ts"
export type { RateCosts } from "./RateWindows.ts"

/** One operation that wants to begin. */
export interface RateAsk {
  readonly agent: string
  readonly costs: RateCosts
}

/** One window as it stands. `key` is the name of the account, or of the agent. */
export interface RateUsage {
  readonly per: RateScope
  readonly key: string
  readonly used: number
  readonly limit: number
  readonly windowMillis: number
}

export interface RateLimit {
  /**
   * Waits for room, or fails with `RateLimited` where there is none within `maxWaitMillis`, as soon as that is known;
   * with `QueueFull` where too many wait; with `TimedOut` where a store of others does not answer; with `InvalidInput`
   * where the cost is larger than a window of messages or recipients and could never be admitted.
   *
   * **Lifetime** Interrupted while it waits, it has taken nothing. Call it where interruption is masked, such as the
   * acquire of `Effect.acquireUseRelease`, so that a permit cannot be lost on its way to its owner; the wait itself is
   * interruptible even there.
   */
  readonly admit: (
    ask: RateAsk
  ) => Effect.Effect<Permit, Refusal | InvalidInput>
  /** Callers that wait now. */
  readonly waiting: Effect.Effect<number>
  readonly usage: Effect.Effect<ReadonlyArray<RateUsage>>
}

/** Why nobody is admitted now. */
type Refusal = RateLimited | QueueFull | TimedOut | AccountClosed

export interface RateLimitOptions {
  /** The name of the account: accounts of one name on one store share their windows. */
  readonly account: string
  readonly rates: ReadonlyArray<RateWindow>
  readonly onLimit: "wait" | "fail"
  /** How many may wait; one more fails with `QueueFull`. Unbounded if left out. */
  readonly queue?: number | undefined
  /** The longest wait for room. Unbounded if left out. */
  readonly maxWaitMillis?: number | undefined
  /** An operation that was admitted begins within this time, or never. Unbounded if left out. */
  readonly holdMillis?: number | undefined
}

/**
 * Limits one account. Counts in the `RateStore` of the context, or in memory of its own.
 *
 * **Lifetime** When the scope closes, callers that still wait fail with `AccountClosed`.
 */
const make = (options: RateLimitOptions): Effect.Effect<RateLimit, never, Scope.Scope> =>
  options.rates.length === 0 ? Effect.succeed(unlimited) : makeLimited(options)

const freeAdmission = Effect.succeed(Permit.free)

/** Without windows, admission is a value. */
const unlimited: RateLimit = {
  admit: () => freeAdmission,
  waiting: Effect.succeed(0),
  usage: Effect.succeed([])
}

interface Waiter {
  readonly requests: ReadonlyArray<Request>
  readonly since: number
  readonly reply: Deferred.Deferred<Permit, Refusal>
  granted: Permit | undefined
  /** The windows that stopped it last, and the `changes` at which that was so. */
  blocked: ReadonlyArray<RateBlock>
  seen: number
  /** Later calls of its own agent have used up the agent's window while it waited elsewhere. */
  overtaken: boolean
}

/** What one round through the waiting has found. */
interface Round {
  /** Windows at which somebody further ahead is stopped, and until when. */
  readonly closed: Map<string, number>
  /** Agents whose own window is closed. */
  readonly stopped: Set<string>
  /** Room in the windows of agents that is kept for calls that were overtaken. */
  readonly claims: Map<string, number>
  next: number
}

const makeLimited = Effect.fnUntraced(function*(options: RateLimitOptions) {
  const { holdMillis = Infinity, maxWaitMillis = Infinity } = options
  const clock = yield* Clock.Clock
  const longestWait = options.onLimit === "fail" ? 0 : maxWaitMillis
  const store = Option.match(yield* Effect.serviceOption(RateStore), {
    onNone: (): AskedStore => RateStore.makeMemory(),
    onSome: (store) => asked(store, maxWaitMillis)
  })
  const windows = windowsOf(options.account, options.rates)
  const kindOf = kindsOf(windows)
  const octetWindows = windows.filter(({ per }) => per === "bytes")

  const waiting = new Turns<Waiter, Kind>()
  const wake = Latch.makeUnsafe(false)
  const setAlarm = yield* Alarm.make(wake.open)
  /** Counts events that can let a caller pass earlier than it was told. */
  let changes = 0
  /** The time of the last round. */
  let last = -Infinity
  /** The windows that stopped somebody in the last round, and until when. */
  let closedWindows: ReadonlyMap<string, number> = new Map()
  let closed: Exit.Exit<never, AccountClosed> | undefined

  const bank: Bank = {
    refunded: () => {
      changes++
      if (waiting.size > 0) wake.openUnsafe()
    },
    charge: (octets, now) =>
      octetWindows.length === 0
        ? Effect.void
        : store.charge(octetWindows.map((window) => request(window, window.prefix, octets)), now)
  }

  const isInVain = (blocked: ReadonlyArray<RateBlock>, since: number) =>
    (lastOf(blocked)?.retryAtMillis ?? Infinity) >= since + longestWait

  /** Answers one who waits, and takes it out of the line. */
  const refuse = (turn: Turn<Waiter, Kind>, exit: Exit.Exit<never, Refusal>) => {
    leave(turn)
    Deferred.doneUnsafe(turn.value.reply, exit)
  }

  const leave = (turn: Turn<Waiter, Kind>) => {
    // Those behind it may have been stopped by its place in the order alone.
    if (waiting.remove(turn) && turn.value.overtaken) changes++
    wake.openUnsafe()
  }

  /** Asks for one who waits. Where it is not admitted, the windows that stop it are closed to those behind it. */
  const attempt = (turn: Turn<Waiter, Kind>, round: Round): Effect.Effect<void> => {
    const waiter = turn.value
    const now = clock.currentTimeMillisUnsafe()
    if (waiter.seen === changes && waiter.blocked.some(({ retryAtMillis }) => retryAtMillis > now)) {
      close(waiter, round, now)
      return Effect.void
    }
    const requests = withoutClaims(waiter.requests, round)
    if (requests === undefined) return Effect.void
    const seen = changes
    return Effect.flatMap(Effect.exit(store.take(requests, now, holdMillis)), (asked) => {
      if (Exit.isFailure(asked)) {
        refuse(turn, Exit.failCause(asked.cause))
      } else if (asked.value.granted) {
        return letPass(turn, asked.value.grant, now)
      } else if (isInVain(asked.value.blocked, waiter.since)) {
        refuse(turn, Exit.fail(rateLimited(waiter.requests, asked.value.blocked, now)))
      } else {
        waiter.overtaken ||= isOvertaken(waiter, asked.value.blocked)
        waiter.blocked = notBefore(asked.value.blocked, now + 1)
        waiter.seen = seen
        close(waiter, round, now)
      }
      return Effect.void
    })
  }

  const letPass = (turn: Turn<Waiter, Kind>, grant: RateGrant, now: number): Effect.Effect<void> => {
    const { overtaken, reply, requests, blocked, since } = turn.value
    const permit = new Permit(bank, grant, { scope: scopeOf(requests, blocked), millis: now - since })
    turn.value.granted = permit
    // interrupted while the store was asked
    if (!waiting.serve(turn)) return permit.refund
    if (overtaken) changes++
    Deferred.doneUnsafe(reply, Exit.succeed(permit))
    return Effect.void
  }

  /** Closes the windows that stop it to those behind it. */
  const close = ({ blocked, overtaken, requests }: Waiter, round: Round, now: number): void => {
    for (const { key, retryAtMillis } of blocked) {
      if (retryAtMillis <= now) continue
      round.closed.set(key, retryAtMillis)
      round.next = Math.min(round.next, retryAtMillis)
    }
    if (!overtaken) return
    for (const { key, needs, per } of requests) {
      if (per === "agent") round.claims.set(key, (round.claims.get(key) ?? 0) + needs)
    }
  }

  /** Goes once through those who wait, in order. Answers with the time of the next chance. */
  const goRound = Effect.fnUntraced(function*() {
    const round: Round = { closed: new Map(), stopped: new Set(), claims: new Map(), next: Infinity }
    closedWindows = round.closed
    const now = clock.currentTimeMillisUnsafe()
    // where the clock was set back, it would be long until the times that the store told
    if (now < last) changes++
    last = now
    const passed = {
      kind: ({ shared }: Kind) => shared.some((key) => round.closed.has(key)),
      agent: (agent: string) => round.stopped.has(agent)
    }
    for (const turn of waiting.walk(passed)) {
      yield* attempt(turn, round)
      if (turn.value.requests.some(({ key, per }) => per === "agent" && round.closed.has(key))) {
        round.stopped.add(turn.agent)
      }
    }
    return round.next
  })

  const serve = Effect.gen(function*() {
    while (true) {
      // Calls that arrive together are looked at in one round.
      yield* Effect.yieldNow
      wake.closeUnsafe()
      const next = yield* goRound()
      if (next !== Infinity) {
        setAlarm(steadyMillis(clock) + Math.min(next - clock.currentTimeMillisUnsafe(), longestSleepMillis))
      }
      yield* wake.await
    }
  })

  const refuseAll = (exit: Exit.Exit<never, AccountClosed>) => {
    for (const { value } of waiting.clear()) Deferred.doneUnsafe(value.reply, exit)
  }

  if (options.onLimit === "wait") {
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = Exit.fail(new AccountClosed({}))
        refuseAll(closed)
      })
    )
    yield* Effect.forkScoped(serve)
  }

  const wait = (
    agent: string,
    kind: Kind,
    requests: ReadonlyArray<Request>,
    since: number,
    blocked: ReadonlyArray<RateBlock>,
    seen: number
  ) =>
    Effect.suspend((): Effect.Effect<Permit, Refusal> => {
      if (closed !== undefined) return closed
      if (options.queue !== undefined && waiting.size >= options.queue) {
        return Effect.fail(new QueueFull({ limit: options.queue }))
      }
      const waiter: Waiter = {
        requests,
        since,
        reply: Deferred.makeUnsafe(),
        granted: undefined,
        blocked,
        seen,
        overtaken: false
      }
      const turn = waiting.add(agent, kind, waiter)
      if (waiting.isFirst(turn)) wake.openUnsafe()
      const reply = Deferred.await(waiter.reply)
      const answer = longestWait === Infinity
        ? reply
        : Effect.timeoutOrElse(reply, { duration: longestWait, orElse: () => overdue(turn) })
      return Effect.onInterrupt(Effect.interruptible(answer), () =>
        Effect.suspend(() => {
          leave(turn)
          return waiter.granted?.refund ?? Effect.void
        }))
    })

  const overdue = (turn: Turn<Waiter, Kind>): Effect.Effect<Permit, RateLimited> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { blocked, granted, requests } = turn.value
      if (granted !== undefined) return Effect.succeed(granted)
      leave(turn)
      // those who were before it in the same windows may have been all that stopped it
      const closing = requests.map(({ key }) => ({ key, retryAtMillis: closedWindows.get(key) ?? now }))
      return Effect.fail(rateLimited(requests, notBefore([...blocked, ...closing], now + 1), now))
    })

  const take = (agent: string, kind: Kind, requests: ReadonlyArray<Request>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      // Never equal: the first round asks the store where no window has stopped it yet.
      if (waiting.size > 0) return wait(agent, kind, requests, now, [], -1)
      const seen = changes
      return Effect.flatMap(
        store.take(requests, now, holdMillis),
        (answer): Effect.Effect<Permit, Refusal> => {
          if (answer.granted) return Effect.succeed(new Permit(bank, answer.grant, undefined))
          if (isInVain(answer.blocked, now)) return Effect.fail(rateLimited(requests, answer.blocked, now))
          return wait(agent, kind, requests, now, answer.blocked, seen)
        }
      )
    })

  const admit: RateLimit["admit"] = ({ agent, costs }) =>
    Effect.suspend((): ReturnType<RateLimit["admit"]> => {
      if (closed !== undefined) return closed
      const kind = kindOf(costs)
      const requests = requestsOf(kind, agent, costs)
      if (requests instanceof InvalidInput) return Effect.fail(requests)
      return requests.length === 0 ? freeAdmission : Effect.uninterruptible(take(agent, kind, requests))
    })

  const usage = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    return (yield* Effect.forEach(
      windows,
      ({ limit, per, prefix, windowMillis }) =>
        Effect.map(store.usage(prefix, windowMillis, now), (counts): ReadonlyArray<RateUsage> =>
          per === "agent"
            ? counts.map(({ key, used }) => ({ per, key: key.slice(prefix.length), used, limit, windowMillis }))
            : [{ per, key: options.account, used: counts[0]?.used ?? 0, limit, windowMillis }])
    )).flat()
  })

  return { admit, waiting: Effect.sync(() => waiting.size), usage } satisfies RateLimit
})

/** However far the next chance is, the time of day by which it is told may be set meanwhile: it is looked at this often. */
const longestSleepMillis = Duration.toMillis(Duration.days(1))

/** It was stopped elsewhere before, and now by the window of its own agent: others of that agent went past it. */
const isOvertaken = ({ blocked, requests }: Waiter, now: ReadonlyArray<RateBlock>): boolean =>
  blocked.length > 0 &&
  requests.some(({ key, per }) =>
    per === "agent" && now.some((block) => block.key === key) && !blocked.some((block) => block.key === key)
  )

/**
 * Keeps the room free that calls further ahead have a claim to. `undefined` if nothing is left. Without claims a send
 * that waits for the send window could find its agent's window used up by that agent's reads each time it opens.
 */
const withoutClaims = (requests: ReadonlyArray<Request>, { claims, closed }: Round) => {
  if (claims.size === 0) return requests
  const left = requests.map((request) => ({ ...request, limit: request.limit - (claims.get(request.key) ?? 0) }))
  const full = left.filter(({ limit, needs }) => needs > limit)
  for (const { key } of full) closed.set(key, closed.get(key) ?? 0)
  return full.length === 0 ? left : undefined
}

/** Rate windows: `RateLimit.make`. */
export const RateLimit = { make } as const
