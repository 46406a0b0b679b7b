/**
 * Where rate windows are counted. The contract is one atomic step over any number of windows, so that a store shared by
 * several processes can take the place of the one in memory. Knows keys, costs and times; knows no agents, no order of
 * callers and no waiting.
 *
 * A grant first *holds* its cost: held room counts as used for as long as the operation has not begun. `start` dates
 * it, and from then on it counts for one window length. Dating it at admission instead would let operations that pile
 * up behind a slow connection begin all at once, more of them than the window allows.
 */
import { Context, Effect, Layer } from "effect"
import { wholeNumber } from "../domain/OptionCheck.ts"
import { Chain, type Link } from "./Chain.ts"

/** What one operation asks of one window. Times and lengths are milliseconds. */
export interface RateRequest {
  readonly key: string
  readonly windowMillis: number
  readonly limit: number
  /** The room that must be free. At most `limit`, or it is never granted. */
  readonly needs: number
  /** What is counted once granted. More than `needs` for a single item larger than the window. */
  readonly cost: number
}

/** Room taken in all windows of one request. The first of `start` and `refund` counts, whatever comes later is ignored. */
export interface RateGrant {
  /** The operation begins: its cost counts from `now` for one window length. */
  readonly start: (now: number) => Effect.Effect<void>
  /** The operation never began: its cost is free again. */
  readonly refund: Effect.Effect<void>
}

/** One window without room. It has room at `retryAtMillis` and not before, unless somebody gives room back. */
export interface RateBlock {
  readonly key: string
  readonly retryAtMillis: number
}

export type RateAnswer =
  | { readonly granted: true; readonly grant: RateGrant }
  | { readonly granted: false; readonly blocked: ReadonlyArray<RateBlock> }

/** Room used in one window, held and dated together. */
export interface RateCount {
  readonly key: string
  readonly used: number
}

/** How the store in memory is bounded. */
export const defaults = {
  /** Keys kept for each window length. One more waits until the key that is quiet longest can be forgotten. */
  maxKeys: 100_000,
  /** Windows up to this limit are counted start by start; beyond it, starts close to each other share an entry. */
  maxEntries: 10_000
} as const

/** Starts of a window above `maxEntries` share an entry within this part of the window, dated by the last of them. */
const sharedPart = 1 / 1000

/** Keys that are looked at in one step to be forgotten. */
const sweep = 64

/**
 * The store of the rate windows, provided below the accounts that share it:
 * `MailAccount.layer(config).pipe(Layer.provide(store))`. Without it each account counts in memory. Times are
 * milliseconds of the caller's clock; a store shared by several machines goes by its own. No method fails: a store that
 * cannot be reached grants or refuses as it sees fit, and a defect ends the operation that asked.
 */
export class RateStore extends Context.Service<RateStore, {
  /**
   * Takes room in all windows or in none, and lists every window without room. A grant that is neither started nor
   * refunded within `holdMillis` counts as started: whoever held it is gone.
   */
  readonly take: (
    requests: ReadonlyArray<RateRequest>,
    now: number,
    holdMillis: number
  ) => Effect.Effect<RateAnswer>
  /** Counts without asking. */
  readonly charge: (requests: ReadonlyArray<RateRequest>, now: number) => Effect.Effect<void>
  /** What is used under each key that begins with a prefix. */
  readonly usage: (prefix: string, windowMillis: number, now: number) => Effect.Effect<ReadonlyArray<RateCount>>
}>()("effect-mail/governor/RateStore") {
  /** Counts in the memory of this process, within the bounds of `RateStore.defaults`. */
  static readonly makeMemory = (options?: RateMemoryOptions): RateStore["Service"] => {
    const memory = new Memory({ ...defaults, ...options })
    return {
      take: (requests, now, holdMillis) => Effect.sync(() => memory.take(requests, now, holdMillis)),
      charge: (requests, now) => Effect.sync(() => memory.charge(requests, now)),
      usage: (prefix, windowMillis, now) => Effect.sync(() => memory.usage(prefix, windowMillis, now))
    }
  }

  /** `makeMemory` as a layer: accounts that share it and bear the same name share their windows. */
  static readonly layerMemory = Layer.sync(this, () => RateStore.makeMemory())

  static readonly defaults = defaults
}

/** How a store in memory is bounded: whole numbers above 0, or a `TypeError`. Default: `RateStore.defaults`. */
export interface RateMemoryOptions {
  readonly maxKeys?: number
  readonly maxEntries?: number
}

class Memory {
  private readonly byLength = new Map<number, Logs>()
  /** Neither started nor refunded, longest ago first. */
  private readonly held = new Chain<Held>()
  private last = -Infinity
  /** What is added to the caller's clock so that time never runs backwards when that clock is set back. */
  private ahead = 0

  readonly maxKeys: number
  readonly maxEntries: number

  constructor(options: Required<RateMemoryOptions>) {
    this.maxKeys = wholeNumber("RateStore: maxKeys", options.maxKeys)
    this.maxEntries = wholeNumber("RateStore: maxEntries", options.maxEntries)
  }

  take(requests: ReadonlyArray<RateRequest>, clock: number, holdMillis: number): RateAnswer {
    const now = this.advance(clock)
    for (const { windowMillis } of requests) this.forget(windowMillis, now)
    let blocked: Array<RateBlock> | undefined
    const logs: Array<Log | undefined> = []
    for (const request of requests) {
      const known = this.ofLength(request.windowMillis)
      const log = known.byKey.get(request.key)
      logs.push(log)
      const room = log === undefined
        ? this.roomForKey(known, request, now)
        : log.roomAt(request.needs, request.limit, now)
      if (room > now) (blocked ??= []).push({ key: request.key, retryAtMillis: room - this.ahead })
    }
    if (blocked !== undefined) return { granted: false, blocked }
    const held = new Held(this, now + holdMillis)
    requests.forEach((request, index) => {
      if (request.cost === 0) return
      const log = logs[index] ?? this.create(request)
      log.held += request.cost
      held.logs.push(log)
      held.costs.push(request.cost)
      this.ofLength(log.windowMillis).touch(log)
    })
    if (held.logs.length > 0) held.link = this.held.append(held)
    return { granted: true, grant: held }
  }

  charge(requests: ReadonlyArray<RateRequest>, clock: number): void {
    const now = this.advance(clock)
    for (const request of requests) {
      const log = this.ofLength(request.windowMillis).byKey.get(request.key) ?? this.create(request)
      log.expire(now)
      this.date(log, request.cost, now)
    }
  }

  usage(prefix: string, windowMillis: number, clock: number): ReadonlyArray<RateCount> {
    const now = this.advance(clock)
    const counts: Array<RateCount> = []
    for (const [key, log] of this.ofLength(windowMillis).byKey) {
      if (!key.startsWith(prefix)) continue
      log.expire(now)
      if (log.used > 0) counts.push({ key, used: log.used })
    }
    return counts
  }

  /** The time on a clock that never runs backwards; grants that were forgotten by their holders are dated. */
  advance(clock: number): number {
    if (clock + this.ahead < this.last) this.ahead = this.last - clock
    const now = this.last = clock + this.ahead
    for (let { first } = this.held; first !== undefined && first.deadline <= now; { first } = this.held) {
      first.settle(now)
    }
    return now
  }

  settled({ link }: Held): void {
    if (link !== undefined) this.held.remove(link)
  }

  date(log: Log, cost: number, now: number): void {
    log.record(cost, now)
    this.ofLength(log.windowMillis).touch(log)
  }

  /** Drops keys that have been quiet for a whole window, a bounded number of them at a time. */
  private forget(windowMillis: number, now: number): void {
    const logs = this.ofLength(windowMillis)
    for (let looks = sweep; looks > 0; looks--) {
      const log = logs.oldest
      if (log === undefined || log === logs.newest) return
      log.expire(now)
      if (log.used > 0) return
      logs.remove(log)
    }
  }

  private ofLength(windowMillis: number): Logs {
    let logs = this.byLength.get(windowMillis)
    if (logs === undefined) this.byLength.set(windowMillis, logs = new Logs())
    return logs
  }

  /** When a key not seen before has a place and room: at once, unless the keys are at their bound. */
  private roomForKey({ byKey, oldest }: Logs, request: RateRequest, now: number): number {
    if (request.needs > request.limit) return now + request.windowMillis
    if (byKey.size < this.maxKeys || oldest === undefined) return now
    return Math.max(now + 1, oldest.quietAt(now))
  }

  private create({ key, limit, windowMillis }: RateRequest): Log {
    const log = new Log(key, windowMillis, limit > this.maxEntries ? windowMillis * sharedPart : 0)
    this.ofLength(windowMillis).add(log)
    return log
  }
}

/**
 * The keys of one window length in order of last use, linked by hand: the first entry of a Map costs time in
 * proportion to the entries that were deleted before it.
 */
class Logs {
  readonly byKey = new Map<string, Log>()
  oldest: Log | undefined
  newest: Log | undefined

  add(log: Log): void {
    this.byKey.set(log.key, log)
    this.append(log)
  }

  remove(log: Log): void {
    this.byKey.delete(log.key)
    this.unlink(log)
  }

  touch(log: Log): void {
    if (log === this.newest) return
    this.unlink(log)
    this.append(log)
  }

  private append(log: Log): void {
    log.older = this.newest
    log.newer = undefined
    if (this.newest === undefined) this.oldest = log
    else this.newest.newer = log
    this.newest = log
  }

  private unlink({ newer, older }: Log): void {
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
  }
}

/** The starts of the last window length under one key. */
class Log {
  /** Dated costs, oldest first. Those before `head` are over. */
  private times: Array<number> = []
  private costs: Array<number> = []
  private head = 0
  private dated = 0
  /** The first start that shares the last entry. */
  private first = -Infinity
  held = 0
  older: Log | undefined
  newer: Log | undefined

  readonly key: string
  readonly windowMillis: number
  /** Starts within this span share an entry. It expires with its last start, so never too early. */
  private readonly share: number

  constructor(key: string, windowMillis: number, share: number) {
    this.key = key
    this.windowMillis = windowMillis
    this.share = share
  }

  get used(): number {
    return this.held + this.dated
  }

  expire(now: number): void {
    const { costs, times } = this
    const over = now - this.windowMillis
    for (let time = times[this.head]; time !== undefined && time <= over; time = times[this.head]) {
      this.dated -= costs[this.head] ?? 0
      this.head++
    }
    if (this.head > 32 && this.head * 2 > times.length) {
      this.times = times.slice(this.head)
      this.costs = costs.slice(this.head)
      this.head = 0
    }
  }

  record(cost: number, now: number): void {
    const end = this.times.length - 1
    this.dated += cost
    if (end >= this.head && now - this.first <= this.share) {
      this.times[end] = now
      this.costs[end] = (this.costs[end] ?? 0) + cost
    } else {
      this.times.push(now)
      this.costs.push(cost)
      this.first = now
    }
  }

  /** The time at which `needs` fits, `now` if it does already. What is held can be over one window from now at best. */
  roomAt(needs: number, limit: number, now: number): number {
    this.expire(now)
    let excess = this.used + needs - limit
    if (excess <= 0) return now
    for (let index = this.head; index < this.times.length; index++) {
      excess -= this.costs[index] ?? 0
      if (excess <= 0) return (this.times[index] ?? now) + this.windowMillis
    }
    return now + this.windowMillis
  }

  /** When nothing counts any more. */
  quietAt(now: number): number {
    return (this.held > 0 ? now : this.times[this.times.length - 1] ?? now) + this.windowMillis
  }
}

class Held implements RateGrant {
  readonly logs: Array<Log> = []
  readonly costs: Array<number> = []
  /** Its place among those that are held. */
  link: Link<Held> | undefined
  private isSettled = false
  readonly deadline: number
  private readonly memory: Memory

  constructor(memory: Memory, deadline: number) {
    this.memory = memory
    this.deadline = deadline
  }

  start(clock: number): Effect.Effect<void> {
    return Effect.sync(() => this.settle(this.memory.advance(clock)))
  }

  get refund(): Effect.Effect<void> {
    return Effect.sync(() => this.settle(undefined))
  }

  settle(datedAt: number | undefined): void {
    if (this.isSettled) return
    this.isSettled = true
    this.memory.settled(this)
    this.logs.forEach((log, index) => {
      const cost = this.costs[index] ?? 0
      log.held -= cost
      if (datedAt !== undefined) this.memory.date(log, cost, datedAt)
    })
  }
}
