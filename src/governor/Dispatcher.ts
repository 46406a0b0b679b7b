/**
 * Decides who runs what, when, on which connection of an account. A deterministic state machine without Effect, clock
 * or I/O: events go in through `apply`, decisions come out of `plan`, time is an argument. It owns the cap, fairness,
 * affinity, coalescing, idle connections, IDLE and the waits; it does not know what a request does or how a connection
 * is opened. The shell around it (`Governor`) carries its actions out and reports what became of them.
 *
 * A connection:
 *
 *   Open ──▶ opening ──Opened──▶ idle ◀──Done── busy
 *               │               │ ▲ │            ▲ ▲
 *               │            Rest │ └────Run─────┘ │
 *          OpenFailed           ▼ │Rested          │
 *               ▼              resting ────Run─────┘        idle, resting ──Close──▶ closing ──Closed──▶ (gone)
 *            (gone)
 *
 * `Closing` and `Closed` may come in every state. In every state but (gone) it counts against the cap.
 */
import { Chain, type Link } from "./Chain.ts"
import { FairQueue, type FairQueueOptions } from "./FairQueue.ts"

/** One request for a connection. */
export interface Request {
  readonly id: number
  readonly agent: string
  /** The mailbox it wants selected, if any: a connection that has it spares a round trip. */
  readonly affinity: string | undefined
  /** Waiting requests with the same key may share one command. */
  readonly shareKey: string | undefined
  /** How much of a shared command it is. */
  readonly size: number
  /** Since when it waits, if that began before it came here. */
  readonly since?: number | undefined
}

export type ConnectionState = "opening" | "idle" | "busy" | "resting" | "closing"

export type Event =
  | { readonly _tag: "Submitted"; readonly request: Request }
  /** The caller no longer waits. A running request is the shell's to stop. */
  | { readonly _tag: "Withdrawn"; readonly request: number }
  | { readonly _tag: "Opened"; readonly connection: number }
  /**
   * `failWaiting`: those who wait get the reason, rather than each trying the door again. None is opened before
   * `retryAt`, and none but for requests for a while that doubles with each failure.
   */
  | {
    readonly _tag: "OpenFailed"
    readonly connection: number
    readonly failWaiting: boolean
    readonly retryAt: number
  }
  /** The connection has done its work and is free; `affinity` is what it has selected now. */
  | { readonly _tag: "Done"; readonly connection: number; readonly affinity: string | undefined }
  /** It listens no more, although it was given no work. Comes too late to matter where it was given work meanwhile. */
  | { readonly _tag: "Rested"; readonly connection: number; readonly affinity: string | undefined }
  /** It will close by itself, and must not be given work: it still counts. */
  | { readonly _tag: "Closing"; readonly connection: number }
  | { readonly _tag: "Closed"; readonly connection: number }
  | { readonly _tag: "Cooled"; readonly until: number }
  | { readonly _tag: "CapChanged"; readonly cap: number }
  /** Whether other accounts wait for a place that a connection of this one takes up. */
  | { readonly _tag: "Pressed"; readonly pressed: boolean }
  | { readonly _tag: "Watched"; readonly mailbox: string }
  | { readonly _tag: "Unwatched"; readonly mailbox: string }
  | { readonly _tag: "ShutDown" }

export type Action =
  | { readonly _tag: "Open"; readonly connection: number }
  /** The first request was given the slot; the others share its command. */
  | { readonly _tag: "Run"; readonly connection: number; readonly requests: ReadonlyArray<number> }
  /** Listen in IDLE on this mailbox until given work. */
  | { readonly _tag: "Rest"; readonly connection: number; readonly mailbox: string }
  | { readonly _tag: "Close"; readonly connection: number }
  | {
    readonly _tag: "Fail"
    readonly request: number
    readonly why: "QueueFull" | "WaitedTooLong" | "Paused" | "OpenFailed" | "ShutDown"
  }

/** How long a connection for a watch, or to spare SELECTs, is not tried again after a failure: doubles with each one. */
const firstSpareRetryMillis = 5_000
const longestSpareRetryMillis = 3_600_000

/** The quickest of so many pieces of work took about a round trip, as a SELECT takes. */
const remembered = 8

/** A connection that has the mailbox is likely to be free soon while it has worked for less than so many round trips. */
const shortWork = 2

/** A connection that works for longer is not waited for by who watches. */
const busyMillis = 5_000

export interface DispatcherOptions extends FairQueueOptions {
  readonly cap: number
  /** How many requests may wait; one that is given a connection at once waits too, for that moment. */
  readonly queue: number
  readonly maxWaitMillis: number
  readonly idleTimeToLiveMillis: number
  /** The largest shared command, in the sizes of its requests. */
  readonly shareLimit: number
  /** After so many SELECTs within `selectsMillis` another connection is opened, if the cap allows: it costs about as much. */
  readonly selects: number
  readonly selectsMillis: number
  /** How long an account may keep its only connection at work or in IDLE while other accounts wait for its place. */
  readonly pressedMillis: number
  /** How long a connection stays ready after its work before it goes into IDLE. */
  readonly lingerMillis: number
}

interface Waiting extends Request {
  readonly since: number
  /** Its place among those with the same share key. */
  sharing: Link<Waiting> | undefined
}

interface Connection {
  readonly id: number
  state: ConnectionState
  affinity: string | undefined
  /** When it entered its state. */
  since: number
  readonly openedAt: number
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #waiting: FairQueue<Waiting>
  readonly #waitingByShareKey = new Map<string, Chain<Waiting>>()
  readonly #waitingByMailbox = new Map<string, number>()
  readonly #connections = new Map<number, Connection>()
  readonly #watched = new Map<string, number>()
  #failures: Array<Action> = []
  #cap: number
  #nextConnection = 1
  #cooledUntil = 0
  /** Before this none is opened, or none but for requests. */
  #openAfter = 0
  #spareAfter = 0
  /** Since one was opened last. */
  #failedOpenings = 0
  /** When connections lately left one mailbox for another: the last `selects` times. */
  #selects: Array<number> = []
  /** How long the last `remembered` pieces of work took. */
  readonly #took: Array<number> = []
  #pressed = false
  #shutDown = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#cap = options.cap
    this.#waiting = new FairQueue(options)
  }

  /** Takes note of what happened. Decisions wait for `plan`, so that what happens at one moment is decided together. */
  apply(event: Event, now: number): void {
    switch (event._tag) {
      case "Submitted":
        return this.#submit(event.request, now)
      case "Withdrawn":
        return void this.#forget(event.request)
      case "Opened":
        this.#failedOpenings = 0
        this.#spareAfter = 0
        return this.#become(event.connection, "idle", undefined, now)
      case "OpenFailed":
        this.#connections.delete(event.connection)
        this.#openAfter = event.retryAt
        this.#spareAfter = now + Math.min(firstSpareRetryMillis * 2 ** this.#failedOpenings++, longestSpareRetryMillis)
        if (event.failWaiting) this.#failAll("OpenFailed")
        return
      case "Done":
        this.#remember(event.connection, now)
        return this.#become(event.connection, "idle", event.affinity, now)
      case "Rested":
        if (this.#connections.get(event.connection)?.state !== "resting") return
        return this.#become(event.connection, "idle", event.affinity, now)
      case "Closing":
        return this.#become(event.connection, "closing", undefined, now)
      case "Closed":
        this.#connections.delete(event.connection)
        return
      case "Cooled":
        this.#cooledUntil = Math.max(this.#cooledUntil, event.until)
        return
      case "CapChanged":
        this.#cap = event.cap
        return
      case "Pressed":
        this.#pressed = event.pressed
        return
      case "Watched":
        this.#watched.set(event.mailbox, (this.#watched.get(event.mailbox) ?? 0) + 1)
        return
      case "Unwatched": {
        const count = (this.#watched.get(event.mailbox) ?? 0) - 1
        if (count > 0) this.#watched.set(event.mailbox, count)
        else this.#watched.delete(event.mailbox)
        return
      }
      case "ShutDown":
        this.#shutDown = true
        return this.#failAll("ShutDown")
    }
  }

  /** What happens next: all of it, so that nothing is left to decide at the same moment. Call it after events, and at `wakeAt`. */
  plan(now: number): ReadonlyArray<Action> {
    const actions = this.#failures
    this.#failures = []
    if (this.#shutDown) return actions
    this.#failOverdue(now, actions)
    this.#closeSurplus(now, actions)
    this.#makeRoom(now, actions)
    if (now >= this.#cooledUntil) {
      this.#assign(now, actions)
      this.#rest(now, actions)
    }
    this.#closeUnused(now, actions)
    if (now >= this.#cooledUntil) this.#open(now, actions)
    return actions
  }

  /** When `plan` has something to decide although nothing happens, or undefined. Always later than the last `plan`. */
  wakeAt(now: number): number | undefined {
    if (this.#shutDown) return undefined
    const times: Array<number> = []
    const { oldest } = this.#waiting
    if (oldest !== undefined) times.push(oldest.since + this.#options.maxWaitMillis)
    const unattended = this.#watched.size > 0 && oldest === undefined ? this.#unattended().length : 0
    const watching = unattended > 0
    if (oldest !== undefined || watching) {
      if (this.#cooledUntil > now) times.push(this.#cooledUntil)
      if (this.#openAfter > now) times.push(this.#openAfter)
      if (watching && this.#spareAfter > now) times.push(this.#spareAfter)
    }
    const linger = watching && this.#cooledUntil <= now ? this.#linger : Infinity
    const patience = oldest !== undefined && this.#free().length > 0 ? this.#patience : 0
    for (const { openedAt, since, state } of this.#connections.values()) {
      if (state === "busy" && since + patience > now) times.push(since + patience)
      if (watching && state === "busy" && since + busyMillis > now) times.push(since + busyMillis)
      if (state === "idle") times.push(since + Math.min(linger, this.#options.idleTimeToLiveMillis))
      const mayGoAt = openedAt + this.#options.pressedMillis
      if (this.#pressed && (state === "resting" || state === "idle") && mayGoAt > now) times.push(mayGoAt)
    }
    const at = Math.min(...times)
    return at === Infinity ? undefined : at
  }

  // --- what is the case

  get cap(): number {
    return this.#cap
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get waitingByAgent(): ReadonlyMap<string, number> {
    return this.#waiting.sizes
  }

  get cooledUntil(): number {
    return this.#cooledUntil
  }

  /** Whether anybody waits, or watches. */
  get isWanted(): boolean {
    return this.#waiting.size > 0 || this.#watched.size > 0
  }

  get isShutDown(): boolean {
    return this.#shutDown
  }

  /** Whether a connection listens on the mailbox. */
  isListening(mailbox: string): boolean {
    return !this.#unattended([mailbox]).includes(mailbox)
  }

  get connections(): Readonly<Record<ConnectionState, number>> {
    const counts = { opening: 0, idle: 0, busy: 0, resting: 0, closing: 0 }
    for (const { state } of this.#connections.values()) counts[state]++
    return counts
  }

  // --- events

  #submit(request: Request, now: number): void {
    if (this.#shutDown) return void this.#failures.push({ _tag: "Fail", request: request.id, why: "ShutDown" })
    if (this.#waiting.size >= this.#options.queue) {
      return void this.#failures.push({ _tag: "Fail", request: request.id, why: "QueueFull" })
    }
    const waiting: Waiting = { ...request, since: request.since ?? now, sharing: undefined }
    this.#waiting.add(waiting)
    this.#countWaiting(request, 1)
    if (request.shareKey === undefined) return
    const sharing = this.#waitingByShareKey.get(request.shareKey) ?? new Chain()
    this.#waitingByShareKey.set(request.shareKey, sharing)
    waiting.sharing = sharing.append(waiting)
  }

  #remember(id: number, now: number): void {
    const connection = this.#connections.get(id)
    if (connection?.state === "busy" && this.#took.push(now - connection.since) > remembered) this.#took.shift()
  }

  #become(id: number, state: "idle" | "closing", affinity: string | undefined, now: number): void {
    const connection = this.#connections.get(id)
    if (connection === undefined) return
    connection.state = state
    connection.affinity = affinity
    connection.since = now
  }

  #failAll(why: "OpenFailed" | "ShutDown"): void {
    for (let { oldest } = this.#waiting; oldest !== undefined; { oldest } = this.#waiting) {
      this.#forget(oldest.id)
      this.#failures.push({ _tag: "Fail", request: oldest.id, why })
    }
  }

  /** Takes a request out of the queue without giving it a turn. */
  #forget(id: number): void {
    const request = this.#waiting.remove(id)
    if (request !== undefined) this.#unlist(request)
  }

  #unlist(request: Waiting): void {
    this.#countWaiting(request, -1)
    const { shareKey, sharing } = request
    if (shareKey === undefined || sharing === undefined) return
    const chain = this.#waitingByShareKey.get(shareKey)
    chain?.remove(sharing)
    if (chain?.size === 0) this.#waitingByShareKey.delete(shareKey)
  }

  #countWaiting({ affinity: mailbox }: Request, change: 1 | -1): void {
    if (mailbox === undefined) return
    const count = (this.#waitingByMailbox.get(mailbox) ?? 0) + change
    if (count === 0) this.#waitingByMailbox.delete(mailbox)
    else this.#waitingByMailbox.set(mailbox, count)
  }

  // --- decisions

  /**
   * Sends away who has waited too long, or would have by the end of a pause. All have the same bound, so they are the
   * ones who have waited longest.
   */
  #failOverdue(now: number, actions: Array<Action>): void {
    const isPaused = now < this.#cooledUntil
    const by = isPaused ? this.#cooledUntil : now
    for (let { oldest } = this.#waiting; oldest !== undefined; { oldest } = this.#waiting) {
      if (oldest.since + this.#options.maxWaitMillis > by) return
      this.#forget(oldest.id)
      actions.push({ _tag: "Fail", request: oldest.id, why: isPaused ? "Paused" : "WaitedTooLong" })
    }
  }

  /** A lowered cap is reached before anything else is run, or it never would be while there is always more to run. */
  #closeSurplus(now: number, actions: Array<Action>): void {
    const { busy, idle, opening, resting } = this.connections
    for (let surplus = busy + idle + opening + resting - this.#cap; surplus > 0; surplus--) {
      const connection = freest(this.#free())
      if (connection === undefined) return
      this.#close(connection, now, actions)
    }
  }

  /** Lets one connection go that is not needed, is one of several, or has had its time; the next when it has closed. */
  #makeRoom(now: number, actions: Array<Action>): void {
    const { busy, closing, idle, resting } = this.connections
    if (!this.#pressed || closing > 0) return
    const isOnly = busy + idle + resting === 1
    const spare = freest(
      this.#free().filter(({ openedAt, state }) =>
        !isOnly || (state === "idle" && this.#waiting.size === 0) || now - openedAt >= this.#options.pressedMillis
      )
    )
    if (spare !== undefined) this.#close(spare, now, actions)
  }

  #assign(now: number, actions: Array<Action>): void {
    for (;;) {
      const choice = this.#choose(now)
      if (choice === undefined) return
      const { connection, request } = choice
      this.#waiting.serve(request.id, now)
      this.#unlist(request)
      const requests = [request.id, ...this.#companions(request)]
      connection.state = "busy"
      connection.since = now
      if (request.affinity !== undefined && request.affinity !== connection.affinity) {
        if (connection.affinity !== undefined) this.#selects = [...this.#selects, now].slice(-this.#options.selects)
        connection.affinity = request.affinity
      }
      actions.push({ _tag: "Run", connection: connection.id, requests })
    }
  }

  /** The next request and the connection it gets, or undefined where nobody waits or none is free. */
  #choose(now: number): { readonly request: Waiting; readonly connection: Connection } | undefined {
    const turn = this.#waiting.next
    if (turn === undefined) return undefined
    const free = this.#free()
    const any = freest(free)
    if (any === undefined) return undefined
    const fitting = turn.affinity === undefined ? undefined : freest(free.filter((c) => c.affinity === turn.affinity))
    if (fitting !== undefined) return { request: turn, connection: fitting }

    // Nothing fits the one whose turn it is. A connection that nobody waits for costs only the SELECT.
    const others = this.#waiting.mayOvertake(now)
    const wanted = new Set(others.map(({ affinity }) => affinity))
    const unwanted = freest(free.filter(({ affinity }) => affinity === undefined || !wanted.has(affinity)))
    const selecting = unwanted?.affinity === undefined
      ? turn
      : [turn, ...others].find((request) => !this.#isServedSoon(request, now))
    if (unwanted !== undefined && selecting !== undefined) return { request: selecting, connection: unwanted }
    // A request without a mailbox leaves to others what they want.
    if (turn.affinity === undefined) return { request: turn, connection: any }

    // All that is free fits somebody who may go first.
    for (const request of others) {
      const connection = freest(free.filter((c) => c.affinity === request.affinity))
      if (connection !== undefined) return { request, connection }
    }
    return selecting === turn ? { request: turn, connection: any } : undefined
  }

  /**
   * Whether a connection that has the mailbox is likely to be free before another has left its own for it, and serves
   * all who wait for it with one command then: more work than that is worth more connections.
   */
  #isServedSoon(request: Waiting, now: number): boolean {
    const { affinity: mailbox, shareKey, size } = request
    if (mailbox === undefined) return false
    const patience = this.#patience
    const isFreeSoon = [...this.#connections.values()].some(({ affinity, since, state }) =>
      state === "busy" && affinity === mailbox && now < since + patience
    )
    if (!isFreeSoon) return false
    const together = shareKey === undefined ? [request] : [...this.#waitingByShareKey.get(shareKey) ?? []]
    return together.length === this.#waitingByMailbox.get(mailbox) &&
      together.reduce((sum, { size }) => sum + size, 0) <= Math.max(size, this.#options.shareLimit)
  }

  get #patience(): number {
    return this.#took.length === 0 ? 0 : shortWork * Math.min(...this.#took)
  }

  /** The waiting requests that share the command of this one. They use up no turn: nobody waits longer for them. */
  #companions(request: Waiting): ReadonlyArray<number> {
    if (request.shareKey === undefined) return []
    const companions: Array<number> = []
    let size = request.size
    for (const other of this.#waitingByShareKey.get(request.shareKey) ?? []) {
      size += other.size
      if (size > this.#options.shareLimit) break
      companions.push(other.id)
      this.#forget(other.id)
    }
    return companions
  }

  /** Watched mailboxes go, in turn, to connections that have had nothing to do for a while. */
  #rest(now: number, actions: Array<Action>): void {
    if (this.#waiting.size > 0) return
    for (const mailbox of this.#unattended()) {
      const rested = this.#free().filter(({ since, state }) => state === "idle" && now - since >= this.#linger)
      const connection = rested.find(({ affinity }) => affinity === mailbox) ?? freest(rested)
      if (connection === undefined) return
      connection.state = "resting"
      connection.since = now
      connection.affinity = mailbox
      actions.push({ _tag: "Rest", connection: connection.id, mailbox })
    }
  }

  #closeUnused(now: number, actions: Array<Action>): void {
    for (const connection of this.#free()) {
      if (connection.state === "idle") {
        if (now - connection.since >= this.#options.idleTimeToLiveMillis) this.#close(connection, now, actions)
      } else if (connection.affinity === undefined || !this.#watched.has(connection.affinity)) {
        // it listens for nobody: back to being idle, by way of an empty piece of work that ends the IDLE
        connection.state = "busy"
        connection.since = now
        actions.push({ _tag: "Run", connection: connection.id, requests: [] })
      }
    }
  }

  /** Opens one connection at a time: servers count parallel logins badly, and one may be enough. */
  #open(now: number, actions: Array<Action>): void {
    const { busy, closing, idle, opening, resting } = this.connections
    const open = busy + idle + resting + closing
    if (opening > 0 || open >= this.#cap || now < this.#openAfter) return
    // who waits beside a free connection waits for one with its mailbox
    if (this.#waiting.size === 0 || idle + resting > 0) {
      if (now < this.#spareAfter) return
      const forAffinity = this.#selectsSince(now - this.#options.selectsMillis) >= this.#options.selects
      // watchers leave the last slot to requests
      const forWatching = idle === 0 && open < Math.max(1, this.#cap - 1) &&
        this.#unattended().length > this.#soonFree(now)
      if (!forAffinity && !forWatching) return
    }
    this.#selects = []
    const id = this.#nextConnection++
    this.#connections.set(id, { id, state: "opening", affinity: undefined, since: now, openedAt: now })
    actions.push({ _tag: "Open", connection: id })
  }

  #close(connection: Connection, now: number, actions: Array<Action>): void {
    connection.state = "closing"
    connection.since = now
    actions.push({ _tag: "Close", connection: connection.id })
  }

  #selectsSince(time: number): number {
    return this.#selects.reduce((count, at) => at > time ? count + 1 : count, 0)
  }

  /** Connections that listen soon, if there is something to listen on. */
  #soonFree(now: number): number {
    let count = 0
    for (const { since, state } of this.#connections.values()) {
      if (state === "busy" && now - since < busyMillis) count++
    }
    return count
  }

  #free(): Array<Connection> {
    return [...this.#connections.values()].filter(({ state }) => state === "idle" || state === "resting")
  }

  /** Mailboxes, by default those watched, on which no connection listens. */
  #unattended(mailboxes: Iterable<string> = this.#watched.keys()): ReadonlyArray<string> {
    const attended = new Set<string | undefined>()
    for (const { affinity, state } of this.#connections.values()) if (state === "resting") attended.add(affinity)
    return [...mailboxes].filter((mailbox) => !attended.has(mailbox))
  }

  /** A connection that would be closed first is never heard. */
  get #linger(): number {
    return Math.min(this.#options.lingerMillis, this.#options.idleTimeToLiveMillis)
  }
}

/** Prefers a connection that is not in IDLE (leaving it costs a round trip), then one with nothing selected, then the one unused longest. */
const freest = (connections: ReadonlyArray<Connection>): Connection | undefined => {
  let best: Connection | undefined
  for (const connection of connections) if (best === undefined || rank(connection) < rank(best)) best = connection
  return best
}

const rank = ({ affinity, since, state }: Connection): number =>
  (state === "resting" ? 2e15 : 0) + (affinity === undefined ? 0 : 1e15) + since
