/**
 * Decides who runs what, when, on which connection of an account. A deterministic state machine without Effect, clock
 * or I/O: events go in through `apply`, decisions come out of `plan`, time is an argument. It owns the cap, fairness,
 * affinity, coalescing, idle connections, IDLE and the waits; it does not know what a request does or how a connection
 * is opened. The shell around it (`Governor`) carries its actions out and reports what became of them.
 *
 * A connection:
 *
 *   Open ──▶ opening ──opened──▶ idle ◀──done── busy
 *               │                │ ▲ │            ▲
 *               │             Rest │ └────Run─────┘
 *               ▼                ▼ │
 *            (closed)          resting ──Run──▶ busy        idle, resting ──Close──▶ closing ──▶ (closed)
 *
 * In every state but (closed) it counts against the cap.
 */
import { FairQueue } from "./FairQueue.ts"

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
}

export type ConnectionState = "opening" | "idle" | "busy" | "resting" | "closing"

export type Event =
  | { readonly _tag: "Submitted"; readonly request: Request }
  /** The caller no longer waits. A running request is the shell's to stop. */
  | { readonly _tag: "Withdrawn"; readonly request: number }
  | { readonly _tag: "Opened"; readonly connection: number }
  /** `failWaiting`: those who wait get the reason, rather than each trying the door again. */
  | {
    readonly _tag: "OpenFailed"
    readonly connection: number
    readonly failWaiting: boolean
    readonly retryAt: number
  }
  /** The connection has done its work and is free; `affinity` is what it has selected now. */
  | { readonly _tag: "Done"; readonly connection: number; readonly affinity: string | undefined }
  /** It will close by itself, and must not be given work: it still counts. */
  | { readonly _tag: "Closing"; readonly connection: number }
  | { readonly _tag: "Closed"; readonly connection: number }
  | { readonly _tag: "Cooled"; readonly until: number }
  | { readonly _tag: "CapChanged"; readonly cap: number }
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
    readonly why: "QueueFull" | "WaitedTooLong" | "OpenFailed" | "ShutDown"
  }

export interface DispatcherOptions {
  readonly cap: number
  readonly queue: number
  readonly maxWaitMillis: number
  readonly idleTimeToLiveMillis: number
  /** How often, and for how long, requests that fit a connection's mailbox may overtake the one whose turn it is. */
  readonly overtakings: number
  readonly overtakingMillis: number
  /** The largest shared command, in the sizes of its requests. */
  readonly shareLimit: number
  /** After so many SELECTs within `selectsMillis` another connection is opened, if the cap allows: it costs about as much. */
  readonly selects: number
  readonly selectsMillis: number
  /** How long a connection stays ready after its work before it goes into IDLE. */
  readonly lingerMillis: number
  readonly weightOf?: (agent: string) => number
}

interface Waiting extends Request {
  readonly since: number
  overtaken: number
}

interface Connection {
  readonly id: number
  state: ConnectionState
  affinity: string | undefined
  since: number
  requests: ReadonlyArray<number>
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #waiting: FairQueue<Waiting>
  readonly #waitingById = new Map<number, Waiting>()
  readonly #waitingByShareKey = new Map<string, Map<number, Waiting>>()
  readonly #connections = new Map<number, Connection>()
  readonly #watched = new Map<string, number>()
  #failures: Array<Action> = []
  #cap: number
  #nextConnection = 1
  #cooledUntil = 0
  #openAfter = 0
  /** When connections lately left one mailbox for another. */
  #selects: Array<number> = []
  #shutDown = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#cap = options.cap
    this.#waiting = new FairQueue(options.weightOf)
  }

  /** Takes note of what happened. Decisions wait for `plan`, so that what happens at one moment is decided together. */
  apply(event: Event, now: number): void {
    switch (event._tag) {
      case "Submitted":
        return this.#submit(event.request, now)
      case "Withdrawn": {
        const request = this.#waitingById.get(event.request)
        if (request !== undefined) this.#forget(request)
        return
      }
      case "Opened":
        return this.#become(event.connection, "idle", now)
      case "OpenFailed":
        this.#connections.delete(event.connection)
        this.#openAfter = Math.max(this.#openAfter, event.retryAt)
        if (event.failWaiting) this.#failAll("OpenFailed")
        return
      case "Done": {
        const connection = this.#connections.get(event.connection)
        if (connection !== undefined) connection.affinity = event.affinity
        return this.#become(event.connection, "idle", now)
      }
      case "Closing":
        return this.#become(event.connection, "closing", now)
      case "Closed":
        this.#connections.delete(event.connection)
        return
      case "Cooled":
        this.#cooledUntil = Math.max(this.#cooledUntil, event.until)
        return
      case "CapChanged":
        this.#cap = event.cap
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

  /** What happens next. Call it after events, and at `wakeAt`. */
  plan(now: number): ReadonlyArray<Action> {
    const actions = this.#failures
    this.#failures = []
    if (this.#shutDown) return actions
    this.#failOverdue(now, actions)
    if (now >= this.#cooledUntil) {
      this.#assign(now, actions)
      this.#open(now, actions)
    }
    this.#rest(now, actions)
    this.#closeUnneeded(now, actions)
    return actions
  }

  /** When `plan` has something to decide although nothing happens, or undefined. */
  wakeAt(now: number): number | undefined {
    let at = Infinity
    for (const request of this.#waitingById.values()) {
      at = request.since + this.#options.maxWaitMillis
      break
    }
    if (this.#waiting.size > 0) {
      if (this.#cooledUntil > now) at = Math.min(at, this.#cooledUntil)
      if (this.#openAfter > now) at = Math.min(at, this.#openAfter)
    }
    const unattended = this.#waiting.size === 0 && this.#unattended().length > 0
    for (const { since, state } of this.#connections.values()) {
      if (state !== "idle") continue
      at = Math.min(at, since + (unattended ? this.#options.lingerMillis : this.#options.idleTimeToLiveMillis))
    }
    if (unattended && this.#openAfter > now) at = Math.min(at, this.#openAfter)
    return at === Infinity || this.#shutDown ? undefined : at
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

  isWaiting(request: number): boolean {
    return this.#waitingById.has(request)
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
    const waiting: Waiting = { ...request, since: now, overtaken: 0 }
    this.#waiting.add(waiting)
    this.#waitingById.set(request.id, waiting)
    if (request.shareKey !== undefined) {
      const sharing = this.#waitingByShareKey.get(request.shareKey)
      if (sharing === undefined) this.#waitingByShareKey.set(request.shareKey, new Map([[request.id, waiting]]))
      else sharing.set(request.id, waiting)
    }
  }

  #become(id: number, state: ConnectionState, now: number): void {
    const connection = this.#connections.get(id)
    if (connection === undefined || (connection.state === "closing" && state === "idle")) return
    connection.state = state
    connection.since = now
    connection.requests = []
  }

  #failAll(why: "OpenFailed" | "ShutDown"): void {
    for (const request of this.#waitingById.values()) {
      this.#forget(request)
      this.#failures.push({ _tag: "Fail", request: request.id, why })
    }
  }

  /** Takes a request out of the queue without giving it a turn. */
  #forget(request: Waiting): void {
    this.#waiting.remove(request)
    this.#unlist(request)
  }

  #unlist(request: Waiting): void {
    this.#waitingById.delete(request.id)
    if (request.shareKey === undefined) return
    const sharing = this.#waitingByShareKey.get(request.shareKey)
    sharing?.delete(request.id)
    if (sharing?.size === 0) this.#waitingByShareKey.delete(request.shareKey)
  }

  // --- decisions

  /** `#waitingById` is in order of arrival and all have the same bound, so the overdue are at its front. */
  #failOverdue(now: number, actions: Array<Action>): void {
    for (const request of this.#waitingById.values()) {
      if (request.since + this.#options.maxWaitMillis > now) break
      this.#forget(request)
      actions.push({ _tag: "Fail", request: request.id, why: "WaitedTooLong" })
    }
  }

  #assign(now: number, actions: Array<Action>): void {
    for (;;) {
      const choice = this.#choose(now)
      if (choice === undefined) return
      const { connection, request } = choice
      this.#waiting.serve(request)
      this.#unlist(request)
      const requests = [request.id, ...this.#companions(request)]
      connection.state = "busy"
      connection.since = now
      if (request.affinity !== undefined && request.affinity !== connection.affinity) {
        if (connection.affinity !== undefined) this.#selects.push(now)
        connection.affinity = request.affinity
      }
      connection.requests = requests
      actions.push({ _tag: "Run", connection: connection.id, requests })
    }
  }

  /** The next request and the connection it gets, or undefined where nobody waits or none is free. */
  #choose(now: number): { readonly request: Waiting; readonly connection: Connection } | undefined {
    const free = [...this.#connections.values()].filter(({ state }) => state === "idle" || state === "resting")
    if (free.length === 0) return undefined
    const heads = this.#waiting.heads()[Symbol.iterator]()
    const first = heads.next()
    if (first.done === true) return undefined
    const turn = first.value
    const fitting = turn.affinity === undefined ? undefined : freest(free.filter((c) => c.affinity === turn.affinity))
    if (fitting !== undefined) return { request: turn, connection: fitting }

    // Nothing fits the one whose turn it is. A connection that nobody waits for costs only the SELECT.
    const others: Array<Waiting> = []
    for (let head = heads.next(); head.done !== true; head = heads.next()) others.push(head.value)
    const wanted = new Set(others.map(({ affinity }) => affinity))
    const unwanted = freest(free.filter(({ affinity }) => affinity === undefined || !wanted.has(affinity)))
    if (unwanted !== undefined) return { request: turn, connection: unwanted }

    // All that is free fits somebody else, who may go first, but not for ever.
    const mayBeOvertaken = turn.overtaken < this.#options.overtakings &&
      now - turn.since < this.#options.overtakingMillis
    if (mayBeOvertaken) {
      for (const request of others) {
        const connection = freest(free.filter((c) => c.affinity === request.affinity))
        if (connection === undefined) continue
        turn.overtaken++
        return { request, connection }
      }
    }
    const connection = freest(free)
    return connection === undefined ? undefined : { request: turn, connection }
  }

  /** The waiting requests that share the command of this one. They use up no turn: nobody waits longer for them. */
  #companions(request: Waiting): ReadonlyArray<number> {
    if (request.shareKey === undefined) return []
    const companions: Array<number> = []
    let size = request.size
    for (const other of this.#waitingByShareKey.get(request.shareKey)?.values() ?? []) {
      if (size + other.size > this.#options.shareLimit) continue
      size += other.size
      companions.push(other.id)
      this.#forget(other)
    }
    return companions
  }

  /** Opens one connection at a time: servers count parallel logins badly, and one may be enough. */
  #open(now: number, actions: Array<Action>): void {
    const { busy, closing, idle, opening, resting } = this.connections
    const open = busy + idle + resting + closing
    if (opening > 0 || open >= this.#cap || now < this.#openAfter) return
    const forWaiting = this.#waiting.size > 0
    this.#selects = this.#selects.filter((at) => now - at < this.#options.selectsMillis)
    const forAffinity = this.#selects.length >= this.#options.selects
    // watchers leave the last slot to requests
    const forWatching = this.#unattended().length > 0 && idle === 0 && open < Math.max(1, this.#cap - 1)
    if (!forWaiting && !forAffinity && !forWatching) return
    this.#selects = []
    const id = this.#nextConnection++
    this.#connections.set(id, { id, state: "opening", affinity: undefined, since: now, requests: [] })
    actions.push({ _tag: "Open", connection: id })
  }

  /** Watched mailboxes on which no connection listens. */
  #unattended(): ReadonlyArray<string> {
    if (this.#watched.size === 0) return []
    const attended = new Set<string | undefined>()
    for (const { affinity, state } of this.#connections.values()) if (state === "resting") attended.add(affinity)
    return [...this.#watched.keys()].filter((mailbox) => !attended.has(mailbox))
  }

  #rest(now: number, actions: Array<Action>): void {
    if (this.#waiting.size > 0) return
    for (const mailbox of this.#unattended()) {
      const rested = [...this.#connections.values()].filter(({ since, state }) =>
        state === "idle" && now - since >= this.#options.lingerMillis
      )
      const connection = rested.find(({ affinity }) => affinity === mailbox) ?? freest(rested)
      if (connection === undefined) continue
      connection.state = "resting"
      connection.since = now
      connection.affinity = mailbox
      actions.push({ _tag: "Rest", connection: connection.id, mailbox })
    }
  }

  #closeUnneeded(now: number, actions: Array<Action>): void {
    const { busy, idle, opening, resting } = this.connections
    let total = busy + idle + opening + resting
    for (const connection of this.#connections.values()) {
      const free = connection.state === "idle" || connection.state === "resting"
      const expired = connection.state === "idle" && now - connection.since >= this.#options.idleTimeToLiveMillis
      const unwatched = connection.state === "resting" &&
        (connection.affinity === undefined || !this.#watched.has(connection.affinity))
      if (unwatched) {
        // it listens for nobody: back to being idle, by way of an empty piece of work that ends the IDLE
        connection.state = "busy"
        connection.since = now
        actions.push({ _tag: "Run", connection: connection.id, requests: [] })
      } else if (expired || (free && total > this.#cap)) {
        connection.state = "closing"
        connection.since = now
        total--
        actions.push({ _tag: "Close", connection: connection.id })
      }
    }
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
