/**
 * Connections without sockets. A `MemoryWire` is one connection: it takes one command at a time, lets it travel on the
 * Clock, asks the fault script, and closes. A `MemoryNetwork` counts its wires and records what came over them. Neither
 * knows what a command means; that is for `MemoryImap` and `MemorySmtp`.
 */
import { Clock, Deferred, Effect } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { FaultAction, Faults } from "./Faults.ts"
import type { ConnectionFilter, ConnectionInfo, ObservedCommand, Protocol } from "./server/Observations.ts"

/** A command the server saw; `atMillis` is the time on the Clock. */
export interface MemoryCommand extends ObservedCommand {
  /** The fault that struck. */
  readonly fault: FaultAction | undefined
}

/** An answer that a fault script gives in the server's place. */
export type Answer = Extract<FaultAction, { readonly _tag: "Refuse" | "Reply" }>

/** One command and what becomes of it. */
export interface Exchange<A> {
  readonly command: string
  readonly mailbox?: string | undefined
  /** Milliseconds there and back. */
  readonly roundTrip: number
  /** An interruption leaves the connection usable. */
  readonly survivesInterruption?: boolean
  /** What the server does; a failure is its answer. */
  readonly act: (now: Date) => Effect.Effect<A, Reason>
  /** What another answer means. */
  readonly answered: (answer: Answer) => Effect.Effect<A, Reason>
  /** What the loss of the connection means. */
  readonly lost: (detail: string, written: boolean) => Reason
  /** What octets mean that are no answer. */
  readonly garbled: (detail: string) => Reason
}

/** All connections of a server in memory. A connection counts for its user from its beginning, not only from the login. */
export class MemoryNetwork {
  readonly faults: Faults
  /** How many connections a user may have logged in, by protocol. */
  readonly maxConnections: { [P in Protocol]: number }
  /** Commands that were begun while another was running on the same connection. */
  overlaps = 0
  #commands: Array<MemoryCommand> = []
  readonly #wires = new Set<MemoryWire>()
  readonly #peaks = new Map<string, number>()
  #lastId = 0

  constructor(faults: Faults, maxConnections: { readonly [P in Protocol]: number }) {
    this.faults = faults
    this.maxConnections = { ...maxConnections }
  }

  get commands(): ReadonlyArray<MemoryCommand> {
    return this.#commands
  }

  record(command: MemoryCommand): void {
    this.#commands.push(command)
  }

  open(protocol: Protocol, user: string): MemoryWire {
    const wire = new MemoryWire(this, ++this.#lastId, protocol, user)
    this.#wires.add(wire)
    this.#count(wire)
    return wire
  }

  closed(wire: MemoryWire): void {
    this.#wires.delete(wire)
  }

  wires({ protocol, user }: ConnectionFilter = {}): ReadonlyArray<MemoryWire> {
    return [...this.#wires].filter((wire) =>
      (protocol === undefined || wire.protocol === protocol) && (user === undefined || wire.user === user)
    )
  }

  peak(filter: ConnectionFilter = {}): number {
    return this.#peaks.get(keyOf(filter)) ?? 0
  }

  /** Whether the user of this connection has as many logged in already as the server allows. */
  isFull({ protocol, user }: MemoryWire): boolean {
    const peers = this.wires({ protocol, user }).filter(({ isLoggedIn }) => isLoggedIn)
    return peers.length >= this.maxConnections[protocol]
  }

  /** Forgets commands, and lets peaks begin anew from the connections there are now. */
  forget(): void {
    this.#commands = []
    this.#peaks.clear()
    for (const wire of this.#wires) this.#count(wire)
  }

  #count({ protocol, user }: MemoryWire): void {
    for (const filter of [{}, { protocol }, { user }, { protocol, user }]) {
      const key = keyOf(filter)
      this.#peaks.set(key, Math.max(this.peak(filter), this.wires(filter).length))
    }
  }
}

/** One connection. */
export class MemoryWire {
  readonly id: number
  readonly protocol: Protocol
  readonly user: string
  /** Set once the login was taken. */
  isLoggedIn = false
  /** The mailbox that is selected. */
  mailbox: string | undefined
  readonly #network: MemoryNetwork
  readonly #closed = Deferred.makeUnsafe<string>()
  #why: string | undefined
  #ending: string | undefined
  #isBusy = false

  constructor(network: MemoryNetwork, id: number, protocol: Protocol, user: string) {
    this.#network = network
    this.id = id
    this.protocol = protocol
    this.user = user
  }

  get info(): ConnectionInfo {
    return { id: this.id, protocol: this.protocol, user: this.user, mailbox: this.mailbox }
  }

  get isOpen(): boolean {
    return this.#why === undefined
  }

  get closed(): Effect.Effect<string> {
    return Deferred.await(this.#closed)
  }

  close(why: string): void {
    if (this.#why !== undefined) return
    this.#why = why
    this.#network.closed(this)
    Deferred.doneUnsafe(this.#closed, Effect.succeed(why))
  }

  /** Closes the connection once the running command, if there is one, has its outcome. */
  end(why: string): void {
    if (this.#isBusy) this.#ending = why
    else this.close(why)
  }

  /** Waits for an effect as long as the connection is there. */
  wait<A, E>(effect: Effect.Effect<A, E>, lost: Exchange<A>["lost"]): Effect.Effect<A, E | Reason> {
    return Effect.raceFirst(effect, Effect.flatMap(this.closed, (why) => Effect.fail(lost(why, true))))
  }

  exchange<A>(exchange: Exchange<A>): Effect.Effect<A, Reason> {
    return Effect.suspend(() => {
      if (this.#why !== undefined) return Effect.fail(exchange.lost(this.#why, false))
      if (this.#isBusy) {
        this.#network.overlaps++
        return Effect.die(new Error(`${exchange.command} overlaps another command on connection ${this.id}`))
      }
      this.#isBusy = true
      return this.#run(exchange).pipe(
        exchange.survivesInterruption === true
          ? (effect) => effect
          : Effect.onInterrupt(() => Effect.sync(() => this.close("interrupted"))),
        Effect.ensuring(Effect.sync(() => {
          this.#isBusy = false
          if (this.#ending !== undefined) this.close(this.#ending)
        }))
      )
    })
  }

  #run<A>(exchange: Exchange<A>): Effect.Effect<A, Reason> {
    return Effect.gen({ self: this }, function*() {
      const { command, lost, mailbox, roundTrip } = exchange
      const { protocol, user } = this
      // Without latency there is no turn of the scheduler either: `TestClock.adjust` waits for one turn before it moves
      // the time, and would overtake a chain of commands that take none.
      const travel = roundTrip > 0 ? this.wait(Effect.sleep(roundTrip / 2), lost) : Effect.void
      yield* travel
      const atMillis = yield* Clock.currentTimeMillis
      const fault = this.#network.faults.take({ protocol, at: command, user, mailbox })
      this.#network.record({ connection: this.id, protocol, user, verb: verbOf(command), mailbox, atMillis, fault })
      const act = Effect.flatMap(Clock.currentTimeMillis, (now) => exchange.act(new Date(now)))
      switch (fault?._tag) {
        case "Drop":
          if (fault.when === "after") yield* Effect.exit(act)
          this.end("the connection was cut")
          return yield* Effect.fail(lost("the connection was cut", fault.when === "after"))
        case "Stall":
          return yield* this.wait(Effect.never, lost)
        case "Corrupt":
          yield* Effect.exit(act)
          this.end("octets that are no answer")
          return yield* Effect.fail(exchange.garbled("octets that are no answer"))
        case "Delay":
          yield* this.wait(Effect.sleep(fault.duration), lost)
          break
        case "Refuse":
        case "Reply":
          if (fault._tag === "Reply" && fault.code < 400) break
          yield* travel
          if (fault._tag === "Refuse" ? fault.status === "BYE" : fault.code === 421) this.end(fault.text)
          return yield* exchange.answered(fault)
      }
      const answer = yield* Effect.exit(act)
      yield* travel
      return yield* answer
    })
  }
}

const keyOf = ({ protocol, user }: ConnectionFilter): string => JSON.stringify([protocol ?? null, user ?? null])

/** The verb as it stands on the wire: messages are named by UID. */
const verbOf = (command: string): string => byUid.has(command) ? `UID ${command}` : command

const byUid = new Set(["COPY", "EXPUNGE", "FETCH", "MOVE", "SEARCH", "STORE"])
