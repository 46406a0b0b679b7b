/**
 * The ear of one account and protocol: what one connection hears about the pace is obeyed by all of them. It turns
 * reasons into orders to the `Dispatcher`, remembers refused credentials, and tells the host's limits. It owns no
 * connection and no timer: whoever does calls `tick` at `wakeAt`.
 */
import { type Cause, Duration, Exit } from "effect"
import { type AuthenticationFailed, type Reason, Throttled } from "../domain/MailError.ts"
import { Cooldown, type Orders } from "./Cooldown.ts"
import type { Dispatcher, Event } from "./Dispatcher.ts"
import type { HostLimits } from "./HostLimits.ts"
import { isOfTokenSource } from "./Logins.ts"
import type { Protocol, Telemetry } from "./Telemetry.ts"

export interface PaceOptions {
  readonly protocol: Protocol
  readonly host: string
  readonly cap: number
  readonly dispatcher: Dispatcher
  readonly hostLimits: HostLimits
  readonly telemetry: Telemetry
  readonly now: () => number
}

/**
 * How long an account that has connections waits after a failure to open one more; doubles up to the longest. Short at
 * first: it may lose those it has in the meantime, and would then have none.
 */
const openRetryMillis = 250
const longestOpenRetryMillis = 8_000
/** How long an account whose credentials were refused fails at once, rather than trying them again. */
const refusedMillis = 60_000
/** A connect that is tried again this soon is worth waiting for. */
const soonMillis = 1_000

const ofPause = new WeakSet<Reason>()

/** Whether a reason came from a pause that the server had asked for before: it has heard nothing of the operation. */
export const isOfPause = (reason: Reason): boolean => ofPause.has(reason)

export class Pace {
  readonly #options: PaceOptions
  readonly #cooldown: Cooldown
  /** Failures to open one more connection, since one was opened. */
  #openFailures = 0
  /** What asked for the last pause. */
  #pausedBy: Throttled | undefined
  #refusal: { readonly reason: AuthenticationFailed; readonly until: number } | undefined

  constructor(options: PaceOptions) {
    this.#options = options
    this.#cooldown = new Cooldown(options.cap)
  }

  /** When `tick` has something to do; Infinity if never. */
  get wakeAt(): number {
    return this.#cooldown.wakeAt
  }

  tick(): void {
    const now = this.#options.now()
    if (this.#cooldown.wakeAt <= now) this.#obey(this.#cooldown.tick(now))
  }

  /** The refusal of the credentials, while it is not worth trying them again. */
  get refusal(): AuthenticationFailed | undefined {
    const refusal = this.#refusal
    return refusal !== undefined && this.#options.now() < refusal.until && this.#live === 0 ? refusal.reason : undefined
  }

  /** What is said to those who would wait too long for the end of a pause. */
  paused(): Throttled {
    const { dispatcher, now } = this.#options
    const reason = new Throttled({
      response: this.#pausedBy?.response ?? "",
      retryAfter: Duration.millis(dispatcher.cooledUntil - now())
    })
    ofPause.add(reason)
    return reason
  }

  opened(): void {
    this.#refusal = undefined
    this.#openFailures = 0
    this.#obey(this.#cooldown.opened())
  }

  closed(): void {
    this.#obey(this.#cooldown.closed(this.#options.now()))
  }

  /** How work on a connection ended. */
  worked<A, E>(exit: Exit.Exit<A, E>): void {
    if (Exit.isSuccess(exit)) return void this.#cooldown.succeeded(this.#options.now())
    const failure = failureOf(exit.cause)
    if (failure instanceof Throttled) this.#hear(failure)
  }

  /** A connection could not be opened; answers what the dispatcher is told. */
  openFailed(connection: number, reason: Reason): Event {
    const { host, hostLimits, now } = this.#options
    const at = now()
    const { connectAt } = this.#hear(reason)
    if (reason._tag === "AuthenticationFailed") {
      this.#refusal = { reason, until: at + refusedMillis }
      // the server delays logins that it has refused itself
      if (!isOfTokenSource(reason)) hostLimits.refused(host, at)
    }
    const alone = this.#live === 0
    const pause = reason._tag === "AuthenticationFailed"
      ? refusedMillis
      : Math.min(longestOpenRetryMillis, openRetryMillis * 2 ** this.#openFailures++)
    const soon = reason._tag === "ConnectionRefusedByLimit" && connectAt > at && connectAt - at < soonMillis
    return {
      _tag: "OpenFailed",
      connection,
      failWaiting: alone && !soon,
      retryAt: Math.max(connectAt, alone ? 0 : at + pause)
    }
  }

  get #live(): number {
    const { busy, idle, resting } = this.#options.dispatcher.connections
    return busy + idle + resting
  }

  #hear(reason: Reason): Orders {
    const { now, protocol, telemetry } = this.#options
    if (reason._tag === "Throttled" || reason._tag === "ConnectionRefusedByLimit") telemetry.throttled(protocol)
    const orders = this.#cooldown.hear(reason, this.#live, now())
    if (reason instanceof Throttled) this.#pausedBy = reason
    this.#obey(orders)
    return orders
  }

  #obey({ cap, until }: Orders): void {
    const { dispatcher, now } = this.#options
    if (cap !== dispatcher.cap) dispatcher.apply({ _tag: "CapChanged", cap }, now())
    if (until > dispatcher.cooledUntil) dispatcher.apply({ _tag: "Cooled", until }, now())
  }
}

/** The failure of a cause, if it holds one. */
export const failureOf = <E>(cause: Cause.Cause<E>): E | undefined =>
  cause.reasons.find((reason) => reason._tag === "Fail")?.error
