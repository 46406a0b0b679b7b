/**
 * What an account has heard about its pace: "slow down", "no more connections", "wrong password". What one connection
 * hears holds for all. The rules are pure functions over small values, time is an argument (milliseconds); `Cooldown`
 * keeps the values of one account and one protocol. Knows no connections: whoever owns them obeys.
 *
 *   calm ──Throttled──▶ cooling (until) ──time──▶ calm, at a higher level ──success, minute by minute──▶ level 0
 */
import { Duration } from "effect"
import type { Reason } from "../domain/MailError.ts"
import { AdaptiveCap } from "./AdaptiveCap.ts"

const defaults = {
  /** The first pause when the server names no time; doubles each time it asks again after a pause. */
  baseMillis: 2000,
  longestMillis: 5 * 60_000,
  /** The longest pause that a server can ask for: one slip of a server must not silence an account for days. */
  longestAskedMillis: 60 * 60_000,
  /** A level is forgotten for each such time that passed well. */
  decayMillis: 60_000,
  /** How long a host's logins rest after refused credentials: servers delay every login from that address. Doubles. */
  holdMillis: 4000,
  longestHoldMillis: 16_000,
  /** Refused credentials that are forgotten so long after the hold. */
  holdDecayMillis: 60_000
} as const

/** How an account is asked to slow down. */
interface Slowdown {
  /** Nothing is begun before this time. */
  readonly until: number
  /** How often the server had to ask again. */
  readonly level: number
  /** When the level last changed. */
  readonly since: number
}

/** Nothing was heard. */
const calm: Slowdown = { until: -Infinity, level: 0, since: -Infinity }

/**
 * The pace after a reason was heard. A time named by the server is kept to; otherwise the pause doubles with each
 * level. Commands that were under way when the server spoke hear the same again: while cooling, the level stays.
 * `until` never moves backwards.
 */
const hear = (pace: Slowdown, reason: Reason, now: number): Slowdown => {
  if (reason._tag !== "Throttled") return pace
  const asked = askedMillis(reason)
  if (asked !== undefined) return { ...pace, until: Math.max(pace.until, now + asked) }
  const level = now < pace.until ? Math.max(1, pace.level) : pace.level + 1
  const pause = Math.min(defaults.longestMillis, defaults.baseMillis * 2 ** (level - 1))
  return {
    until: Math.max(pace.until, now + pause),
    level,
    since: level === pace.level ? pace.since : now
  }
}

/** The pause that a server named, as far as it is obeyed. */
const askedMillis = ({ retryAfter }: { readonly retryAfter?: Duration.Duration }): number | undefined =>
  retryAfter === undefined ? undefined : Math.min(defaults.longestAskedMillis, Duration.toMillis(retryAfter))

/** The pace after something went well: one level less for each `decayMillis` since the pause ended. */
const succeeded = (pace: Slowdown, now: number): Slowdown => {
  if (pace.level === 0) return pace
  const levels = Math.floor((now - Math.max(pace.since, pace.until)) / defaults.decayMillis)
  return levels < 1 ? pace : { ...pace, level: Math.max(0, pace.level - levels), since: now }
}

/** Logins that rest. Kept per host, since the server's delay is per address and meets every account there. */
export interface Hold {
  readonly until: number
  readonly failures: number
}

/** No credentials were refused. */
const free: Hold = { until: -Infinity, failures: 0 }

/** The hold after credentials were refused on that host once more. */
const authenticationHold = (hold: Hold, now: number): Hold => {
  const failures = now > hold.until + defaults.holdDecayMillis ? 1 : hold.failures + 1
  const rest = Math.min(defaults.longestHoldMillis, defaults.holdMillis * 2 ** (failures - 1))
  return { until: Math.max(hold.until, now + rest), failures }
}

/** What has to be obeyed from now on. */
export interface Orders {
  /** No command and no connect before this time. */
  readonly until: number
  /** No connect before this time. */
  readonly connectAt: number
  /** The effective cap. */
  readonly cap: number
}

/** The ear of one account for one protocol. Report everything to it; each report answers with what is to be obeyed. */
export class Cooldown {
  private pace: Slowdown = calm
  private limit: AdaptiveCap
  private connectAt = -Infinity

  constructor(configuredCap: number) {
    this.limit = AdaptiveCap.make(configuredCap)
  }

  get orders(): Orders {
    return {
      until: this.pace.until,
      connectAt: Math.max(this.pace.until, this.connectAt),
      cap: this.limit.cap
    }
  }

  /** When `tick` has something to do; Infinity if never. */
  get wakeAt(): number {
    return this.limit.probeAt
  }

  /** Any reason of any connection. `open` counts the connections that are logged in. */
  hear(reason: Reason, open: number, now: number): Orders {
    this.pace = hear(this.pace, reason, now)
    if (reason._tag === "ConnectionRefusedByLimit") {
      const retryAfter = askedMillis(reason) ?? 0
      const { connectAt, state } = AdaptiveCap.refused(this.limit, open, now, retryAfter)
      this.limit = state
      if (connectAt !== undefined) this.connectAt = Math.max(this.connectAt, connectAt)
    }
    return this.orders
  }

  succeeded(now: number): Orders {
    this.pace = succeeded(this.pace, now)
    return this.orders
  }

  opened(): Orders {
    this.limit = AdaptiveCap.opened(this.limit)
    return this.orders
  }

  closed(now: number): Orders {
    this.limit = AdaptiveCap.closed(this.limit, now)
    return this.orders
  }

  tick(now: number): Orders {
    this.limit = AdaptiveCap.probe(this.limit, now)
    return this.orders
  }

  static readonly calm = calm
  static readonly hear = hear
  static readonly succeeded = succeeded
  static readonly free = free
  static readonly authenticationHold = authenticationHold
  static readonly defaults = defaults
}
