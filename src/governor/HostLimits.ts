/**
 * What the accounts of a process share per host: caps on connections, and the rest that logins are given after refused
 * credentials, since servers delay every login from that address then. Accounts take a place before they connect and
 * give it back when the socket has closed; where places are short, accounts that hold unused connections are asked to
 * let one go.
 */
import { Context, Effect, Latch, Layer, type Scope } from "effect"
import { wholeNumber } from "../domain/OptionCheck.ts"
import { steadyMillis } from "../driver/SteadyTime.ts"
import { Cooldown, type Hold } from "./Cooldown.ts"

/** Whole numbers above 0, or Infinity. */
export interface HostLimitsOptions {
  /** Connections to one host, of all accounts, IMAP and SMTP together. Default: no cap. */
  readonly connectionsPerHost?: number | undefined
  /** Connections of the process. Default: no cap. */
  readonly connections?: number | undefined
}

/** An account's governor, as far as it shares places with others. */
export interface Tenant {
  readonly host: string
  /** Called, while it has a place, whenever somebody else begins to wait for one that this one's connections take up. */
  readonly asked: () => void
}

interface Waiter {
  readonly tenant: Tenant
  readonly granted: Latch.Latch
  isGranted: boolean
}

/** The limits in force. `HostLimits.layer` sets them for the accounts below it; without it there are only the holds. */
export class HostLimits {
  static readonly current = Context.Reference<HostLimits>("effect-mail/HostLimits", {
    defaultValue: () => new HostLimits({})
  })

  /** Caps for all accounts that are made below this layer. Building it dies with a `TypeError` for a cap that is none. */
  static readonly layer = (options: HostLimitsOptions): Layer.Layer<never> =>
    Layer.sync(HostLimits.current, () => new HostLimits(options))

  readonly #perHost: number
  readonly #perProcess: number
  readonly #used = new Map<string, number>()
  readonly #holds = new Map<string, Hold>()
  /** How many places each tenant has that has any: those without are not asked, and they may be thousands. */
  readonly #places = new Map<Tenant, number>()
  readonly #waiters: Array<Waiter> = []
  #total = 0
  #isGranting = false

  constructor(options: HostLimitsOptions) {
    this.#perHost = wholeNumber("HostLimits: connectionsPerHost", options.connectionsPerHost ?? Infinity)
    this.#perProcess = wholeNumber("HostLimits: connections", options.connections ?? Infinity)
  }

  /**
   * A place for one connection, in order of arrival, until the scope closes. Waits also while logins to the host rest:
   * before it takes a place, which other hosts can use meanwhile, and with it where they began to rest since.
   */
  take(tenant: Tenant): Effect.Effect<void, never, Scope.Scope> {
    const place = Effect.acquireRelease(
      Effect.suspend(() => {
        const waiter: Waiter = { tenant, granted: Latch.makeUnsafe(false), isGranted: false }
        this.#waiters.push(waiter)
        this.#grant()
        if (!waiter.isGranted) this.#ask(tenant)
        return waiter.granted.await.pipe(
          Effect.onInterrupt(() => Effect.sync(() => this.#leave(waiter)))
        )
      }),
      () => Effect.sync(() => this.#release(tenant)),
      { interruptible: true }
    )
    const rest = this.#rested(tenant.host)
    return rest.pipe(Effect.andThen(place), Effect.andThen(rest))
  }

  /** Credentials were refused at this host: its logins rest for a while. */
  refused(host: string, now: number): void {
    this.#holds.set(host, Cooldown.authenticationHold(this.#holds.get(host) ?? Cooldown.free, now))
  }

  /** Somebody else waits for a place that a connection of this tenant takes up. */
  isShort(tenant: Tenant): boolean {
    const all = this.#total >= this.#perProcess
    return this.#waiters.some((waiter) => waiter.tenant !== tenant && (all || waiter.tenant.host === tenant.host))
  }

  #rested(host: string): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const now = steadyMillis(clock)
      const rest = (this.#holds.get(host)?.until ?? now) - now
      // a hold that is longer than any comes from another clock, as tests have
      return rest > 0 && rest <= Cooldown.defaults.longestHoldMillis
        ? Effect.andThen(Effect.sleep(rest), this.#rested(host))
        : Effect.void
    })
  }

  /** Whoever is given a place runs on at once, and may give it back before this has ended: then the round goes on here. */
  #grant(): void {
    if (this.#isGranting) return
    this.#isGranting = true
    for (;;) {
      const index = this.#waiters.findIndex(({ tenant }) => this.#hasRoom(tenant.host))
      const [waiter] = index < 0 ? [] : this.#waiters.splice(index, 1)
      if (waiter === undefined) break
      const { tenant } = waiter
      this.#used.set(tenant.host, (this.#used.get(tenant.host) ?? 0) + 1)
      this.#places.set(tenant, (this.#places.get(tenant) ?? 0) + 1)
      this.#total++
      waiter.isGranted = true
      waiter.granted.openUnsafe()
    }
    this.#isGranting = false
  }

  #hasRoom(host: string): boolean {
    return this.#total < this.#perProcess && (this.#used.get(host) ?? 0) < this.#perHost
  }

  #ask(asking: Tenant): void {
    const all = this.#total >= this.#perProcess
    for (const tenant of this.#places.keys()) {
      if (tenant !== asking && (all || tenant.host === asking.host)) tenant.asked()
    }
  }

  #leave(waiter: Waiter): void {
    if (waiter.isGranted) this.#release(waiter.tenant)
    else this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
  }

  #release(tenant: Tenant): void {
    oneLess(this.#used, tenant.host)
    oneLess(this.#places, tenant)
    this.#total--
    this.#grant()
  }
}

const oneLess = <K>(counts: Map<K, number>, key: K): void => {
  const left = (counts.get(key) ?? 1) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
