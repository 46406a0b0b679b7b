/**
 * What a server saw: its connections from accept to close, now and at peak, and the commands they brought. This is the
 * other side's count, so that a client's own count can be found wrong.
 */
import type { DsnOptions } from "../../driver/SmtpDriver.ts"

export type Protocol = "imap" | "smtp"

/** One connection. `user` once it has logged in; `mailbox` while one is selected. */
export interface ConnectionInfo {
  readonly id: number
  readonly protocol: Protocol
  readonly user: string | undefined
  readonly mailbox: string | undefined
}

/**
 * One step a client took: an IMAP command ("UID FETCH") or an SMTP command ("RCPT"; "body" and "end" for the message).
 * `atMillis` is of a clock that only goes forward, for differences.
 */
export interface ObservedCommand {
  readonly connection: number
  readonly protocol: Protocol
  readonly verb: string
  readonly user: string | undefined
  readonly mailbox: string | undefined
  readonly atMillis: number
}

/** A message the server has taken responsibility for: `250` to the final dot was decided, said or not. */
export interface AcceptedMessage {
  readonly connection: number
  readonly user: string | undefined
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly source: Uint8Array
  readonly receivedAt: Date
  /** The notifications that were asked for (RFC 3461). */
  readonly dsn?: DsnOptions
}

/** What a server can do with a connection it observes. */
export interface Handle {
  /** Ends the connection with a farewell: BYE or 421. */
  readonly kick: (text: string) => void
  /** Ends the connection without a word. */
  readonly drop: () => void
}

export class Connection {
  readonly id: number
  readonly protocol: Protocol
  readonly handle: Handle
  mailbox: string | undefined
  #user: string | undefined
  readonly #observations: Observations

  constructor(id: number, protocol: Protocol, handle: Handle, observations: Observations) {
    this.id = id
    this.protocol = protocol
    this.handle = handle
    this.#observations = observations
  }

  get user(): string | undefined {
    return this.#user
  }

  /** The connection belongs to this user from now on. */
  set user(user: string | undefined) {
    this.#user = user
    this.#observations.count(this)
  }

  get info(): ConnectionInfo {
    return { id: this.id, protocol: this.protocol, user: this.#user, mailbox: this.mailbox }
  }

  observe(verb: string, mailbox?: string | undefined): void {
    this.#observations.record({
      connection: this.id,
      protocol: this.protocol,
      verb,
      user: this.#user,
      mailbox,
      atMillis: performance.now()
    })
  }

  closed(): void {
    this.#observations.forget(this)
  }
}

/** Which connections to count: of one protocol, of one user, or all. */
export interface ConnectionFilter {
  readonly protocol?: Protocol
  readonly user?: string
}

export class Observations {
  readonly #connections = new Map<number, Connection>()
  readonly #peaks = new Map<string, number>()
  readonly #maxCommands: number
  #commands: Array<ObservedCommand> = []
  #lastId = 0

  /** Keeps the last `maxCommands` commands. */
  constructor(maxCommands: number) {
    this.#maxCommands = maxCommands
  }

  open(protocol: Protocol, handle: Handle): Connection {
    const connection = new Connection(++this.#lastId, protocol, handle, this)
    this.#connections.set(connection.id, connection)
    this.count(connection)
    return connection
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection.id)
  }

  /** Brings the peaks up to date; called when a connection opens or gets its user. */
  count(connection: Connection): void {
    const { protocol, user } = connection
    for (const filter of [{}, { protocol }, ...user === undefined ? [] : [{ user }, { protocol, user }]]) {
      const key = keyOf(filter)
      this.#peaks.set(key, Math.max(this.#peaks.get(key) ?? 0, this.connections(filter).length))
    }
  }

  record(command: ObservedCommand): void {
    this.#commands.push(command)
    // In big steps: moving the array costs as much as it is long
    if (this.#commands.length > 2 * this.#maxCommands) this.#commands = this.#commands.slice(-this.#maxCommands)
  }

  get commands(): ReadonlyArray<ObservedCommand> {
    return this.#commands.slice(-this.#maxCommands)
  }

  /** Forgets commands, and lets peaks begin anew from the connections there are now. */
  reset(): void {
    this.#commands = []
    this.#peaks.clear()
    for (const connection of this.#connections.values()) this.count(connection)
  }

  connections(filter: ConnectionFilter = {}): ReadonlyArray<Connection> {
    return [...this.#connections.values()].filter((connection) =>
      (filter.protocol === undefined || filter.protocol === connection.protocol) &&
      (filter.user === undefined || filter.user === connection.user)
    )
  }

  peak(filter: ConnectionFilter = {}): number {
    return this.#peaks.get(keyOf(filter)) ?? 0
  }
}

const keyOf = ({ protocol, user }: ConnectionFilter): string => JSON.stringify([protocol ?? null, user ?? null])
