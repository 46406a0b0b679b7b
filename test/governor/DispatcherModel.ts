/**
 * Random histories of the dispatcher: a small world carries its actions out (opening, working, leaving IDLE and closing
 * take a while and may fail), and after every step the rules are checked from the outside. A history is a list of
 * happenings, so one that breaks a rule can be cut down to the few that matter.
 */
import {
  type Action,
  Dispatcher,
  type DispatcherOptions,
  type Event,
  type Request
} from "../../src/governor/Dispatcher.ts"
import { randomFrom } from "../random.ts"

/** What happens. Numbers that pick something count around what there is to pick from. */
type Happening =
  | {
    readonly _tag: "Submit"
    readonly agent: number
    readonly mailbox: number
    readonly shared: boolean
    readonly size: number
    /** How long it has waited elsewhere. */
    readonly waited: number
  }
  | { readonly _tag: "Withdraw"; readonly pick: number }
  /** `late`: the server is gone some time before anybody notices. */
  | { readonly _tag: "Drop"; readonly pick: number; readonly late: boolean }
  | { readonly _tag: "Hear"; readonly pick: number }
  | { readonly _tag: "Cap"; readonly cap: number }
  | { readonly _tag: "Cool"; readonly millis: number }
  /** Other accounts wait for a place, or do not any more. */
  | { readonly _tag: "Press"; readonly pressed: boolean }
  | { readonly _tag: "Watch"; readonly mailbox: number }
  | { readonly _tag: "Unwatch"; readonly mailbox: number }
  /** Time passes, with all that is due on the way. */
  | { readonly _tag: "Pass"; readonly millis: number }
  | { readonly _tag: "PassToWake" }
  /** The process was suspended: all that was due in the meantime comes at once. */
  | { readonly _tag: "Jump"; readonly millis: number }
  /** Until here, everything since the last such moment happens at one moment: nothing is decided in between. */
  | { readonly _tag: "Decide" }
  | { readonly _tag: "ShutDown" }

export interface History {
  readonly seed: number
  readonly options: DispatcherOptions
  readonly agents: number
  /** Of 100 openings, so many fail. */
  readonly openFailures: number
  readonly workMillis: number
  readonly happenings: ReadonlyArray<Happening>
}

/** A rule that was broken, and what led to it. */
export class Violation extends Error {
  constructor(rule: string, trace: ReadonlyArray<string>) {
    super(`${rule}\n  ${trace.join("\n  ")}`)
  }
}

const mailboxes = ["INBOX", "Archive", "Sent", "Junk"]
const weightOf = (agent: string): number => agent === "agent-1" ? 3 : 1

export const makeHistory = (seed: number): History => {
  const random = randomFrom(seed)
  const oneOf = <A>(...values: readonly [A, ...ReadonlyArray<A>]): A => values[random(values.length)] ?? values[0]
  // many who wait for few connections, and nothing else: fairness and affinity at their hardest
  const crowd = random(5) === 0
  const options: DispatcherOptions = {
    cap: 1 + random(crowd ? 2 : 4),
    queue: crowd ? 50 : oneOf(1, 3, 8, 50, 50),
    maxWaitMillis: crowd ? 100_000 : oneOf(50, 1_000, 100_000, 100_000),
    idleTimeToLiveMillis: oneOf(5, 100, 2_000),
    overtakings: oneOf(0, 1, 3),
    overtakingMillis: crowd ? 100_000 : oneOf(10, 100_000),
    shareLimit: oneOf(1, 4, 20),
    selects: oneOf(2, 5),
    selectsMillis: oneOf(20, 500),
    pressedMillis: oneOf(0, 30, 1_000),
    lingerMillis: oneOf(0, 10, 200),
    weightOf
  }
  const agents = crowd ? 3 + random(3) : 1 + random(5)
  const kinds = crowd ? 2 : oneOf(1, 2, 4)
  const submits = crowd ? 60 : oneOf(30, 45, 60)
  const calm = crowd || random(3) === 0
  const happenings: Array<Happening> = []
  const length = 5 + random(55)
  while (happenings.length < length) {
    const chance = random(100)
    if (chance < submits) {
      happenings.push({
        _tag: "Submit",
        agent: random(agents),
        mailbox: random(kinds + 1) - 1,
        shared: random(4) === 0,
        size: 1 + random(3),
        waited: random(4) === 0 ? oneOf(0, 10, 40, 2_000) : 0
      })
    } else if (chance < (crowd ? 95 : 65)) happenings.push({ _tag: "Pass", millis: oneOf(0, 1, 5, 20, 100) })
    else if (chance < 70) happenings.push({ _tag: "Decide" })
    else if (chance < 72) happenings.push({ _tag: "Press", pressed: random(3) > 0 })
    else if (chance < 76) happenings.push({ _tag: "PassToWake" })
    else if (chance < 79) happenings.push({ _tag: "Withdraw", pick: random(1_000) })
    else if (chance < 83) happenings.push({ _tag: "Watch", mailbox: random(mailboxes.length) })
    else if (chance < 86) happenings.push({ _tag: "Unwatch", mailbox: random(mailboxes.length) })
    else if (chance < 90) happenings.push({ _tag: "Hear", pick: random(1_000) })
    else if (calm) continue
    else if (chance < 93) happenings.push({ _tag: "Drop", pick: random(1_000), late: random(2) === 0 })
    else if (chance < 95) happenings.push({ _tag: "Cap", cap: 1 + random(4) })
    else if (chance < 97) happenings.push({ _tag: "Cool", millis: oneOf(1, 30, 500) })
    else if (chance < 99) happenings.push({ _tag: "Jump", millis: oneOf(3, 200, 5_000) })
    else if (random(10) === 0) happenings.push({ _tag: "ShutDown" })
  }
  return {
    seed,
    options,
    agents,
    openFailures: calm ? 0 : oneOf(0, 10, 40),
    workMillis: oneOf(0, 1, 20),
    happenings
  }
}

interface SimulatedRequest extends Request {
  readonly since: number
  why: string | undefined
  /** `failing`: out of the queue, and told so with the next decisions. */
  state: "waiting" | "failing" | "running" | "ended"
}

interface SimulatedConnection {
  readonly id: number
  state: "opening" | "idle" | "busy" | "resting" | "closing"
  affinity: string | undefined
  requests: ReadonlyArray<SimulatedRequest>
  /** When it became idle, as far as the dispatcher has been told. */
  idleSince: number
  busySince: number
  readonly openedAt: number
  /** It is closing, and has not said so. */
  silent: boolean
  /** The server is gone, and nobody has noticed yet. */
  dead: boolean
  /** It was given work while it rested, and may still say that it heard something before. */
  leavingIdle: boolean
}

interface Due {
  readonly at: number
  readonly connection: number
  readonly run: () => void
}

const retryMillis = 70
const hour = 3_600_000

export class World {
  readonly #history: History
  readonly #dispatcher: Dispatcher
  readonly #random: (below: number) => number
  readonly #requests = new Map<number, SimulatedRequest>()
  readonly #connections = new Map<number, SimulatedConnection>()
  readonly #watched = new Map<string, number>()
  readonly #trace: Array<string> | undefined
  /** For each waiting agent, the slots that others got since it last got one or began to wait. */
  readonly #passed = new Map<string, Map<string, number>>()
  /** How long the last works took. */
  #took: ReadonlyArray<number> = []
  #due: Array<Due> = []
  #now = 0
  #cap: number
  #cooledUntil = 0
  #pressed = false
  #retryAt = 0
  #failedOpenings = 0
  #spareRetryAt = 0
  #shutDown = false
  #benign = false
  #idleWakes = 0
  #nextRequest = 1

  constructor(history: History, traced: boolean) {
    this.#history = history
    this.#dispatcher = new Dispatcher(history.options)
    this.#random = randomFrom(history.seed ^ 0x5EED)
    this.#cap = history.options.cap
    this.#trace = traced ? [] : undefined
  }

  /** Plays the history, then lets the world come to rest. Throws a `Violation`. */
  play(): void {
    for (const happening of this.#history.happenings) this.#happen(happening)
    this.#decide()
    this.#settle()
  }

  // --- happenings

  #happen(happening: Happening): void {
    const decided = happening._tag === "Pass" || happening._tag === "PassToWake" || happening._tag === "Decide"
    switch (happening._tag) {
      case "Submit":
        return this.#submit(happening)
      case "Withdraw":
        return this.#withdraw(happening.pick)
      case "Drop": {
        const connection = pick([...this.#connections.values()], happening.pick)
        if (connection === undefined || connection.state === "closing") return
        this.#note("drop", connection.id)
        connection.dead = true
        if (!happening.late) this.#lose(connection)
        else if (connection.state !== "busy") this.#after(3, connection, () => this.#lose(connection))
        return
      }
      case "Hear": {
        const listening = [...this.#connections.values()].filter((c) => c.state === "resting" || c.leavingIdle)
        const connection = pick(listening, happening.pick)
        if (connection === undefined) return
        connection.leavingIdle = false
        if (connection.state === "resting") {
          connection.state = "idle"
          connection.idleSince = this.#now
        }
        return this.#apply({ _tag: "Rested", connection: connection.id, affinity: connection.affinity })
      }
      case "Cap":
        this.#cap = happening.cap
        return this.#apply({ _tag: "CapChanged", cap: happening.cap })
      case "Press":
        this.#pressed = happening.pressed
        return this.#apply({ _tag: "Pressed", pressed: happening.pressed })
      case "Cool": {
        const until = this.#now + happening.millis
        this.#cooledUntil = Math.max(this.#cooledUntil, until)
        return this.#apply({ _tag: "Cooled", until })
      }
      case "Watch": {
        const mailbox = mailboxes[happening.mailbox] ?? "INBOX"
        this.#watched.set(mailbox, (this.#watched.get(mailbox) ?? 0) + 1)
        return this.#apply({ _tag: "Watched", mailbox })
      }
      case "Unwatch": {
        const mailbox = mailboxes[happening.mailbox] ?? "INBOX"
        const count = this.#watched.get(mailbox) ?? 0
        if (count === 0) return
        if (count === 1) this.#watched.delete(mailbox)
        else this.#watched.set(mailbox, count - 1)
        return this.#apply({ _tag: "Unwatched", mailbox })
      }
      case "ShutDown":
        this.#shutDown = true
        this.#failing("ShutDown")
        return this.#apply({ _tag: "ShutDown" })
    }
    if (decided) this.#decide()
    if (happening._tag === "Pass") this.#pass(happening.millis)
    if (happening._tag === "PassToWake") {
      const at = this.#dispatcher.wakeAt(this.#now)
      if (at !== undefined) this.#pass(at - this.#now)
    }
    if (happening._tag === "Jump") {
      this.#now += happening.millis
      for (let next = this.#take(this.#now); next !== undefined; next = this.#take(this.#now)) next.run()
      this.#decide()
    }
  }

  #submit({ agent, mailbox, shared, size, waited }: Happening & { readonly _tag: "Submit" }): void {
    const affinity = mailboxes[mailbox]
    const request: SimulatedRequest = {
      id: this.#nextRequest++,
      agent: `agent-${agent}`,
      affinity,
      shareKey: shared ? affinity ?? "none" : undefined,
      size,
      since: this.#now - waited,
      why: undefined,
      state: "waiting"
    }
    const { agent: name, id, shareKey } = request
    const waiting = this.#waiting()
    if (this.#shutDown) request.why = "ShutDown"
    else if (waiting.length >= this.#history.options.queue) request.why = "QueueFull"
    else if (!waiting.some((other) => other.agent === name)) this.#passed.set(name, new Map())
    if (request.why !== undefined) request.state = "failing"
    this.#requests.set(id, request)
    this.#apply({ _tag: "Submitted", request: { id, agent: name, affinity, shareKey, size, since: request.since } })
  }

  #withdraw(which: number): void {
    const request = pick([...this.#requests.values()].filter(({ state }) => state !== "failing"), which)
    if (request === undefined) return
    this.#note("withdraw", request.id)
    if (request.state === "waiting") {
      this.#end(request)
      return this.#apply({ _tag: "Withdrawn", request: request.id })
    }
    this.#end(request)
    // one that nobody waits for any more is closed, without a word until it has closed
    for (const connection of this.#connections.values()) {
      if (!connection.requests.includes(request)) continue
      if (connection.requests.some(({ state }) => state !== "ended")) return
      this.#forget(connection)
      connection.state = "closing"
      connection.silent = true
      this.#after(this.#random(10), connection, () => this.#closed(connection))
    }
  }

  #lose(connection: SimulatedConnection): void {
    this.#forget(connection)
    for (const request of connection.requests) this.#end(request)
    if (connection.state === "opening") return this.#openFailed(connection)
    connection.state = "closing"
    if (this.#random(3) === 0) return this.#closed(connection)
    this.#apply({ _tag: "Closing", connection: connection.id })
    this.#after(this.#random(10), connection, () => this.#closed(connection))
  }

  #openFailed(connection: SimulatedConnection): void {
    this.#connections.delete(connection.id)
    const alone = ![...this.#connections.values()].some(({ state }) => state !== "closing")
    const failWaiting = this.#random(6) === 0 ? !alone : alone
    const retryAt = alone && failWaiting && this.#random(2) === 0 ? 0 : this.#now + retryMillis
    this.#retryAt = retryAt
    this.#spareRetryAt = this.#now + Math.min(5_000 * 2 ** this.#failedOpenings++, hour)
    if (failWaiting) this.#failing("OpenFailed")
    this.#apply({ _tag: "OpenFailed", connection: connection.id, failWaiting, retryAt })
  }

  #closed(connection: SimulatedConnection): void {
    for (const request of connection.requests) this.#end(request)
    this.#connections.delete(connection.id)
    this.#apply({ _tag: "Closed", connection: connection.id })
  }

  #failing(why: string): void {
    for (const request of this.#waiting()) {
      request.state = "failing"
      request.why = why
    }
  }

  #end(request: SimulatedRequest): void {
    request.state = "ended"
    this.#requests.delete(request.id)
  }

  // --- time

  #after(millis: number, { id }: SimulatedConnection, run: () => void): void {
    this.#due.push({ at: this.#now + millis, connection: id, run })
  }

  /** Whatever the connection was about to do, it does no more. */
  #forget({ id }: SimulatedConnection): void {
    this.#due = this.#due.filter(({ connection }) => connection !== id)
  }

  #take(until: number): Due | undefined {
    let first: Due | undefined
    for (const due of this.#due) if (due.at <= until && (first === undefined || due.at < first.at)) first = due
    this.#due = this.#due.filter((due) => due !== first)
    return first
  }

  #pass(millis: number): void {
    const until = this.#now + millis
    for (;;) {
      const wakeAt = this.#dispatcher.wakeAt(this.#now) ?? Infinity
      const next = this.#take(Math.min(until, wakeAt))
      const quietUntil = next?.at ?? Math.min(until, wakeAt)
      const between = (this.#now + quietUntil) / 2
      if (quietUntil > this.#now && this.#dispatcher.plan(between).length > 0) {
        this.#fail("nothing is decided where nothing happens and no timer rings")
      }
      if (next !== undefined) {
        this.#now = Math.max(this.#now, next.at)
        next.run()
        this.#idleWakes = 0
        this.#decide()
      } else if (wakeAt <= until) {
        this.#now = wakeAt
        this.#note("wake")
        if (this.#decide() > 0) this.#idleWakes = 0
        else if (++this.#idleWakes > 5) this.#fail("the timer rings again and again, and nothing is decided")
      } else break
    }
    this.#now = until
  }

  // --- carrying out

  /** Returns the number of actions. */
  #decide(): number {
    const actions = this.#dispatcher.plan(this.#now)
    for (const action of actions) this.#carryOut(action)
    this.#check()
    return actions.length
  }

  #carryOut(action: Action): void {
    this.#note("=>", action)
    const expect = (holds: boolean, rule: string) => holds || this.#fail(rule)
    const cooled = this.#now < this.#cooledUntil
    switch (action._tag) {
      case "Open": {
        expect(!cooled, "nothing is opened during a cooldown")
        expect(!this.#shutDown, "nothing is opened after the shutdown")
        expect(this.#connections.size < this.#cap, "connections in any state never exceed the cap")
        expect(
          ![...this.#connections.values()].some((c) => c.state === "opening"),
          "one connection is opened at a time"
        )
        expect(this.#now >= this.#retryAt, "a failed opening is not repeated before its time")
        expect(
          this.#waiting().length > 0 || this.#now >= this.#spareRetryAt,
          "spare connections are tried ever less often"
        )
        expect(!this.#connections.has(action.connection), "connections have names of their own")
        const connection: SimulatedConnection = {
          id: action.connection,
          state: "opening",
          affinity: undefined,
          requests: [],
          idleSince: 0,
          busySince: 0,
          openedAt: this.#now,
          silent: false,
          dead: false,
          leavingIdle: false
        }
        this.#connections.set(connection.id, connection)
        const fails = !this.#benign && this.#random(100) < this.#history.openFailures
        return this.#after(1 + this.#random(20), connection, () => {
          if (fails) return this.#openFailed(connection)
          connection.state = "idle"
          connection.idleSince = this.#now
          this.#failedOpenings = 0
          this.#spareRetryAt = 0
          this.#apply({ _tag: "Opened", connection: connection.id })
        })
      }
      case "Run":
        return this.#run(action)
      case "Rest": {
        const connection = this.#connections.get(action.connection)
        if (connection === undefined || connection.state !== "idle") return this.#fail("only an idle connection rests")
        expect(!cooled, "no connection goes into IDLE during a cooldown")
        expect(this.#watched.has(action.mailbox), "connections rest on watched mailboxes")
        expect(this.#waiting().length === 0, "no connection rests while somebody waits")
        expect(
          ![...this.#connections.values()].some((c) => c.state === "resting" && c.affinity === action.mailbox),
          "one connection per watched mailbox"
        )
        connection.state = "resting"
        connection.affinity = action.mailbox
        return
      }
      case "Close": {
        const connection = this.#connections.get(action.connection)
        if (connection === undefined || (connection.state !== "idle" && connection.state !== "resting")) {
          return this.#fail("only a connection without work is closed")
        }
        this.#checkClose(connection)
        this.#forget(connection)
        connection.leavingIdle = connection.state === "resting"
        connection.state = "closing"
        return this.#after(this.#random(10), connection, () => this.#closed(connection))
      }
      case "Fail": {
        const request = this.#requests.get(action.request)
        if (request === undefined) return this.#fail("only a request without an answer fails, and only once")
        const { maxWaitMillis } = this.#history.options
        if (action.why === "WaitedTooLong") {
          expect(request.state === "waiting", "a request fails for one reason")
          expect(this.#now - request.since >= maxWaitMillis, "nobody is sent away before maxWait")
        } else if (action.why === "Paused") {
          expect(request.state === "waiting", "a request fails for one reason")
          expect(this.#now < this.#cooledUntil, "nobody is sent away for a pause that is over")
          expect(this.#cooledUntil - request.since >= maxWaitMillis, "nobody is sent away for a pause it can wait for")
        } else expect(request.why === action.why, `requests fail with ${action.why} exactly when it is so`)
        return this.#end(request)
      }
    }
  }

  #run({ connection: id, requests: ids }: Action & { readonly _tag: "Run" }): void {
    const connection = this.#connections.get(id)
    if (connection === undefined || (connection.state !== "idle" && connection.state !== "resting")) {
      return this.#fail("a connection gets one piece of work at a time")
    }
    const requests = ids.flatMap((request) => this.#requests.get(request) ?? [])
    if (requests.length < ids.length || requests.some(({ state }) => state !== "waiting")) {
      return this.#fail("only waiting requests are run, and only once")
    }
    if (new Set(ids).size < ids.length) return this.#fail("a request is in a command once")
    const [leader] = requests
    if (leader === undefined) {
      if (connection.state !== "resting" || this.#watched.has(connection.affinity ?? "")) {
        return this.#fail("an empty piece of work only ends an IDLE that nobody wants")
      }
    } else {
      if (this.#now < this.#cooledUntil) this.#fail("nothing is run during a cooldown")
      if (this.#shutDown) this.#fail("nothing is run after the shutdown")
      const open = [...this.#connections.values()].filter(({ state }) => state !== "closing").length
      if (open > this.#cap) this.#fail("a lowered cap comes before further work")
      for (const other of requests) other.state = "running"
      this.#checkTurn(leader, requests)
    }
    connection.leavingIdle = connection.state === "resting"
    connection.state = "busy"
    connection.busySince = this.#now
    connection.affinity = leader?.affinity ?? connection.affinity
    connection.requests = requests
    const { workMillis } = this.#history
    this.#after(connection.dead ? 0 : workMillis === 0 ? 0 : this.#random(workMillis + 1), connection, () => {
      if (connection.dead) return this.#lose(connection)
      for (const request of requests) this.#end(request)
      connection.requests = []
      connection.state = "idle"
      this.#took = [...this.#took, this.#now - connection.busySince].slice(-8)
      connection.leavingIdle = false
      connection.idleSince = this.#now
      // sometimes the work leaves the mailbox, or fails to select it
      connection.affinity = this.#random(8) === 0 ? undefined : leader?.affinity ?? connection.affinity
      this.#apply({ _tag: "Done", connection: id, affinity: connection.affinity })
    })
  }

  // --- rules

  #checkTurn(leader: SimulatedRequest, requests: ReadonlyArray<SimulatedRequest>): void {
    const { overtakings, shareLimit } = this.#history.options
    const waiting = this.#waiting()
    if (waiting.some(({ agent, id }) => agent === leader.agent && id < leader.id)) {
      this.#fail("an agent's requests are given their turns in order")
    }
    const size = requests.reduce((sum, request) => sum + request.size, 0)
    if (requests.length > 1 && (size > shareLimit || requests.some(({ shareKey }) => shareKey !== leader.shareKey))) {
      this.#fail("a shared command is of one kind, and bounded")
    }
    const agents = new Set(waiting.map(({ agent }) => agent))
    this.#passed.set(leader.agent, new Map())
    for (const [agent, passed] of this.#passed) {
      if (!agents.has(agent)) {
        this.#passed.delete(agent)
        continue
      }
      if (agent === leader.agent) continue
      const slots = (passed.get(leader.agent) ?? 0) + 1
      passed.set(leader.agent, slots)
      if (slots > weightOf(leader.agent) + overtakings) {
        this.#fail(`${agent} waits while ${leader.agent} gets more than its turns and the overtakings`)
      }
      let overtaken = 0
      for (const [other, count] of passed) overtaken += Math.max(0, count - weightOf(other))
      if (overtaken > overtakings) this.#fail(`${agent} is overtaken more often than ${overtakings} times`)
    }
  }

  /** A connection is closed because the cap was lowered, because it is not used, or, one at a time, for other accounts. */
  #checkClose(connection: SimulatedConnection): void {
    const { idleTimeToLiveMillis, pressedMillis } = this.#history.options
    const open = [...this.#connections.values()].filter(({ silent, state }) => state !== "closing" || silent)
    const expired = connection.state === "idle" && this.#now - connection.idleSince >= idleTimeToLiveMillis
    if (open.length > this.#cap || expired) return
    if (!this.#pressed) this.#fail("a connection is not closed without a reason")
    const isNeeded = open.filter(({ state }) => state !== "opening").length === 1 &&
      (this.#waiting().length > 0 || connection.state === "resting")
    if (isNeeded && this.#now - connection.openedAt < pressedMillis) {
      this.#fail("the only connection stays for its time, whoever else waits")
    }
  }

  #check(): void {
    const { idleTimeToLiveMillis, maxWaitMillis, pressedMillis } = this.#history.options
    const waiting = this.#waiting()
    for (const { state } of this.#requests.values()) {
      if (state === "failing") this.#fail("what fails a request is told at once")
    }
    if (this.#dispatcher.waiting !== waiting.length) this.#fail("waiting requests are counted")
    const again = this.#dispatcher.plan(this.#now)
    if (again.length > 0) this.#fail(`everything is decided at once, yet there was more: ${JSON.stringify(again)}`)
    if (this.#shutDown) {
      if (waiting.length > 0) this.#fail("at the shutdown nobody is left waiting")
      return
    }
    const counts = { opening: 0, idle: 0, busy: 0, resting: 0, closing: 0 }
    for (const { idleSince, state } of this.#connections.values()) {
      counts[state]++
      if (state === "idle" && this.#now - idleSince >= idleTimeToLiveMillis) {
        this.#fail("an idle connection is closed at its time to live")
      }
    }
    const known = this.#dispatcher.connections
    // an interrupted one is closing before it says so
    if (
      known.opening !== counts.opening || known.idle !== counts.idle || known.resting !== counts.resting ||
      known.busy + known.closing !== counts.busy + counts.closing
    ) this.#fail(`connections are counted: ${JSON.stringify(known)} for ${JSON.stringify(counts)}`)
    const free = counts.idle + counts.resting
    const open = counts.busy + counts.opening + free
    if (open > this.#cap && free > 0) this.#fail("a lowered cap closes what is free")
    for (const { since } of waiting) {
      if (this.#now - since >= maxWaitMillis) this.#fail("nobody waits longer than maxWait")
      if (this.#now < this.#cooledUntil && this.#cooledUntil - since >= maxWaitMillis) {
        this.#fail("nobody waits in vain for the end of a pause")
      }
    }
    const mayBePressed = this.#pressed && counts.closing === 0
    if (mayBePressed && counts.idle > 0 && (waiting.length === 0 || free + counts.busy > 1)) {
      this.#fail("what is not needed is given up for other accounts")
    }
    const overstayed = [...this.#connections.values()].some((c) =>
      (c.state === "idle" || c.state === "resting") && this.#now - c.openedAt >= pressedMillis
    )
    if (mayBePressed && overstayed) this.#fail("nobody keeps a place for ever that others wait for")
    if (waiting.length > 0 && this.#now >= this.#cooledUntil) {
      if (free > 0 && this.#worthWaitingUntil() === undefined) this.#fail("nobody waits while a connection is free")
      const mayOpen = free === 0 && this.#connections.size < this.#cap && counts.opening === 0 &&
        this.#now >= this.#retryAt
      if (mayOpen) this.#fail("a connection is opened for those who wait")
    }
    const wakeAt = this.#dispatcher.wakeAt(this.#now)
    if (wakeAt !== undefined && wakeAt <= this.#now) this.#fail("the next decision lies in the future")
    const wakesBy = (at: number) => at <= this.#now || (wakeAt !== undefined && wakeAt <= at)
    const waitsUntil = free > 0 && waiting.length > 0 ? this.#worthWaitingUntil() : undefined
    const wakes = (waitsUntil === undefined || wakesBy(waitsUntil)) &&
      waiting.every(({ since }) => wakesBy(since + maxWaitMillis)) &&
      (waiting.length === 0 || (wakesBy(this.#cooledUntil) && wakesBy(this.#retryAt))) &&
      (this.#watched.size <= counts.resting || counts.busy > 0 || wakesBy(this.#cooledUntil)) &&
      [...this.#connections.values()].every((c) => c.state !== "idle" || wakesBy(c.idleSince + idleTimeToLiveMillis)) &&
      [...this.#connections.values()].every((c) =>
        !mayBePressed || c.state !== "resting" || wakesBy(c.openedAt + pressedMillis)
      )
    if (!wakes) this.#fail("the timer rings when there is something to decide")
  }

  /**
   * Until when somebody may wait for a connection that has the mailbox, although another is free: it has worked for less
   * than twice what the quickest of the last works took, which is about what a SELECT takes.
   */
  #worthWaitingUntil(): number | undefined {
    const wanted = new Set(this.#waiting().map(({ affinity }) => affinity))
    const until = [...this.#connections.values()].flatMap(({ affinity, busySince, silent, state }) =>
      (state === "busy" || silent) && affinity !== undefined && wanted.has(affinity)
        ? [busySince + 2 * Math.min(...this.#took)]
        : []
    ).filter((at) => at > this.#now && at < Infinity)
    return until.length === 0 ? undefined : Math.min(...until)
  }

  /** From here on openings succeed and nothing is dropped: everything must end, and all that is left is what is watched. */
  #settle(): void {
    this.#benign = true
    if (this.#pressed) this.#happen({ _tag: "Press", pressed: false })
    const { idleTimeToLiveMillis, lingerMillis } = this.#history.options
    for (let steps = 0; this.#requests.size > 0; steps++) {
      const at = Math.min(this.#dispatcher.wakeAt(this.#now) ?? Infinity, ...this.#due.map((due) => due.at))
      if (at === Infinity) return this.#fail("every request ends, yet nothing is going to happen")
      if (steps > 2_000) return this.#fail("every request ends, yet it goes on for ever")
      this.#pass(Math.max(0, at - this.#now))
    }
    if (this.#shutDown) return
    // what was still failing or cooling is over, and IDLE comes back
    this.#pass(Math.max(0, this.#cooledUntil - this.#now) + retryMillis + 200)
    this.#pass(hour)
    this.#pass((idleTimeToLiveMillis + lingerMillis + 50) * (2 + this.#watched.size))
    const resting = [...this.#connections.values()].filter(({ state }) => state === "resting")
    const attended = Math.min(this.#watched.size, Math.max(1, this.#cap - 1))
    if (resting.length < attended) this.#fail("watched mailboxes are listened to as soon as there is time")
    for (const mailbox of mailboxes) {
      while (this.#watched.has(mailbox)) this.#happen({ _tag: "Unwatch", mailbox: mailboxes.indexOf(mailbox) })
    }
    this.#decide()
    this.#pass(idleTimeToLiveMillis + lingerMillis + 50)
    if (this.#connections.size > 0) this.#fail("what nobody needs is closed")
    if (this.#dispatcher.wakeAt(this.#now) !== undefined) this.#fail("no timer is left")
  }

  #waiting(): ReadonlyArray<SimulatedRequest> {
    const waiting: Array<SimulatedRequest> = []
    for (const request of this.#requests.values()) {
      if (request.state === "waiting") waiting.push(request)
    }
    return waiting
  }

  #apply(event: Event): void {
    this.#note("<=", event)
    this.#dispatcher.apply(event, this.#now)
  }

  #note(...what: ReadonlyArray<unknown>): void {
    this.#trace?.push(`${String(this.#now).padStart(6)}  ${what.map((each) => JSON.stringify(each)).join(" ")}`)
  }

  #fail(rule: string): never {
    throw new Violation(rule, this.#trace ?? [])
  }
}

const pick = <A>(from: ReadonlyArray<A>, which: number): A | undefined => from[which % from.length]

const violationOf = (history: History, traced = false): Violation | undefined => {
  try {
    new World(history, traced).play()
    return undefined
  } catch (error) {
    if (error instanceof Violation) return error
    throw error
  }
}

/** Leaves out whatever can be left out while the same rule is still broken. */
const shrink = (history: History, rule: string): History => {
  let shortest = history
  for (let size = history.happenings.length >> 1; size > 0;) {
    let found = false
    for (let from = 0; from < shortest.happenings.length; from += size) {
      const happenings = shortest.happenings.toSpliced(from, size)
      const shorter = { ...shortest, happenings }
      if (violationOf(shorter)?.message.startsWith(rule) !== true) continue
      shortest = shorter
      found = true
    }
    if (!found || size > shortest.happenings.length) size >>= 1
  }
  return shortest
}

/** Plays one history. Returns undefined, or what to print: the seed, the shortest history that breaks the rule, its trace. */
export const play = (seed: number): string | undefined => {
  const history = makeHistory(seed)
  const violation = violationOf(history)
  if (violation === undefined) return undefined
  const [rule = ""] = violation.message.split("\n")
  const shortest = shrink(history, rule)
  return [
    `EFFECT_MAIL_SEED=${seed} plays this history again.`,
    `options: ${
      JSON.stringify(shortest.options)
    }, open failures: ${shortest.openFailures} %, work: ${shortest.workMillis} ms`,
    ...shortest.happenings.map((happening) => `  ${JSON.stringify(happening)}`),
    violationOf(shortest, true)?.message ?? violation.message
  ].join("\n")
}
