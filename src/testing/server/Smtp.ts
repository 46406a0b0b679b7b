/**
 * The SMTP side of a test server, over `smtp-server`, of which this is the only importer: it speaks the protocol, this
 * file decides and records. Subclassed rather than configured, as faults must strike at commands that have no hook, and
 * as its wait before the greeting (a defence against spammers) would cost each test a tenth of a second.
 */
import { Duration } from "effect"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import {
  SMTPServer,
  type SMTPServerAuthentication,
  type SMTPServerDataStream,
  type SMTPServerSession
} from "smtp-server"
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js"
import type { DsnOptions } from "../../driver/SmtpDriver.ts"
import type { FaultAction, Faults } from "../Faults.ts"
import type { MailStore } from "../MailStore.ts"
import type { AcceptedMessage, Connection } from "./Observations.ts"
import type { ServerTls } from "./Session.ts"
import type { Wire } from "./Wire.ts"

/** What all SMTP connections of a server share. */
export interface SmtpHost {
  readonly store: MailStore
  readonly faults: Faults
  readonly tls: ServerTls | undefined
  readonly isSecure: boolean
  readonly requiresLogin: boolean
  readonly maxMessageBytes: number
  readonly hasDsn: boolean
  readonly filesSentMail: boolean
  readonly maxConnections: () => number | undefined
  readonly connectionsOf: (user: string) => number
  readonly accept: (message: AcceptedMessage) => void
}

type Callback = (error?: Error | null) => void
type AuthCallback = (
  error: Error | null | undefined,
  response?: { user?: string; responseCode?: number; data?: object }
) => void

/** A reply with a code of its own, in the form `smtp-server` takes it. */
const replied = (responseCode: number, text: string): Error => Object.assign(new Error(text), { responseCode })

/** What a step does when no fault prevents it, how it answers in place of that, and how it never answers. */
interface Step {
  readonly proceed: () => void
  readonly reply: (code: number, text: string) => void
  readonly stall?: () => void
}

/** One connection; asks for a fault at each command, and can leave its answer unsaid. */
class StruckConnection extends SMTPConnection {
  readonly #faults: Faults
  readonly observed: Connection
  readonly wire: Wire
  /** The next answer is not written: the connection is cut in its place. */
  dropsAnswer = false
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(server: SMTPServer, wire: Wire, stream: Duplex, observed: Connection, faults: Faults) {
    // A Wire has what smtp-server reads of a socket: the stream, readyState, addresses and setTimeout
    super(server, stream as unknown as Socket, { id: `${observed.id}` })
    this.wire = wire
    this.observed = observed
    this.#faults = faults
    wire.on("close", () => {
      for (const timer of this.#timers) clearTimeout(timer)
    })
  }

  override init(): void {
    this._setListeners(() => this.connectionReady())
  }

  override send(code: number, data?: string | Array<string> | null, context?: string | false): void {
    if (this.dropsAnswer && code !== 334) this.wire.destroy()
    else super.send(code, data, context)
  }

  override _onCommand(command: Buffer, callback: () => void = () => undefined): void {
    const verb = /^[A-Za-z]{1,12}/.exec(command.toString("latin1", 0, 12))?.[0].toUpperCase() ?? "?"
    // A further line of AUTH is no command, and AUTH itself is asked about once its user is known
    if (this._nextHandler !== false) return super._onCommand(command, callback)
    this.observed.observe(verb)
    if (verb === "AUTH") return super._onCommand(command, callback)
    this.strike(verb, {
      proceed: () => super._onCommand(command, callback),
      reply: (code, text) => {
        this.send(code, text, false)
        if (code !== 421) callback()
      }
    }, { user: this.observed.user, mailbox: /<([^>]*)>/.exec(command.toString("utf8"))?.[1] })
  }

  /** Carries out the fault of a step, if there is one; else, or after all, the step proceeds. */
  strike(
    at: string,
    step: Step,
    who: { readonly user: string | undefined; readonly mailbox?: string | undefined } = { user: this.observed.user }
  ): void {
    const action: FaultAction | undefined = this.#faults.take({ protocol: "smtp", at, ...who })
    if (action === undefined) return step.proceed()
    switch (action._tag) {
      case "Drop":
        if (action.when === "before") {
          this.wire.destroy()
          return
        }
        this.dropsAnswer = true
        return step.proceed()
      case "Stall":
        return step.stall?.()
      case "Delay":
        return this.#later(Duration.toMillis(action.duration), step.proceed)
      case "Reply":
        return step.reply(action.code, action.text)
      case "Refuse":
        return step.reply(action.status === "BYE" ? 421 : action.status === "BAD" ? 500 : 550, action.text)
      case "Corrupt":
        this._socket.write("\u0000\u00ff\u0007 no SMTP\r\n", "latin1")
    }
  }

  #later(millis: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, millis)
    timer.unref()
    this.#timers.add(timer)
  }
}

export class SmtpService extends SMTPServer {
  readonly #host: SmtpHost
  readonly #struck = new Map<string, StruckConnection>()

  constructor(host: SmtpHost) {
    super({
      ...host.tls === undefined ? {} : { key: host.tls.key, cert: host.tls.cert },
      name: "localhost",
      logger: false,
      secure: host.isSecure,
      secured: host.isSecure,
      hideSTARTTLS: host.tls === undefined || host.isSecure,
      // else it takes STARTTLS with a certificate of its own, although it does not offer it
      disabledCommands: host.tls === undefined ? ["STARTTLS"] : [],
      authMethods: ["PLAIN", "LOGIN", "XOAUTH2"],
      authOptional: !host.requiresLogin,
      allowInsecureAuth: true,
      size: host.maxMessageBytes,
      hideDSN: !host.hasDsn,
      disableReverseLookup: true,
      maxAllowedUnauthenticatedCommands: false
    })
    this.#host = host
    // The errors of single connections: their `close` tells what a test wants to know
    this.on("error", () => undefined)
  }

  /** Serves a connection that has been accepted; `stream` is the wire, or TLS on top of it. */
  serve(wire: Wire, observed: Connection, stream: Duplex): void {
    const connection = new StruckConnection(this, wire, stream, observed, this.#host.faults)
    this.#struck.set(connection.id, connection)
    wire.on("close", () => this.#struck.delete(connection.id))
    this.connections.add(connection)
    connection.on("error", () => undefined)
    // A client that has spoken its last is not answered any more
    stream.on("end", () => stream.end())
    connection.init()
  }

  /** Says 421 and ends a connection. */
  kick(wire: Wire, text: string): void {
    for (const connection of this.#struck.values()) if (connection.wire === wire) connection.send(421, text, false)
  }

  override onConnect(session: SMTPServerSession, callback: Callback): void {
    this.#of(session)?.strike("connect", {
      proceed: () => callback(),
      reply: (code, text) => callback(replied(code, text))
    })
  }

  override onAuth(auth: SMTPServerAuthentication, session: SMTPServerSession, callback: AuthCallback): void {
    const connection = this.#of(session)
    if (connection === undefined) return
    const name = auth.username ?? ""
    connection.strike("AUTH", {
      proceed: () => {
        const user = this.#host.store.login(name, auth.accessToken ?? auth.password ?? "")
        if (user === undefined) {
          return callback(
            null,
            auth.method === "XOAUTH2" ? { data: { status: "400", schemes: "Bearer" } } : { responseCode: 535 }
          )
        }
        const most = this.#host.maxConnections()
        if (most !== undefined && this.#host.connectionsOf(name) >= most) {
          return callback(replied(432, "4.3.2 Concurrent connections limit exceeded"))
        }
        connection.observed.user = name
        callback(null, { user: name })
      },
      reply: (code, text) => callback(replied(code, text))
    }, { user: name })
  }

  override onData(stream: SMTPServerDataStream, session: SMTPServerSession, callback: Callback): void {
    const connection = this.#of(session)
    if (connection === undefined) return
    const chunks: Array<Buffer> = []
    let begun = false
    let stalled = false
    const begin = (proceed: () => void) => {
      if (begun) return proceed()
      begun = true
      connection.observed.observe("body")
      connection.strike("body", {
        proceed,
        reply: (code, text) => {
          // In the middle of the message: the client has not finished speaking
          connection.send(code, text, false)
          connection.wire.end()
        },
        // Read on, or the end of a client that goes on sending would never be seen
        stall: () => {
          stalled = true
          stream.resume()
        }
      })
    }
    stream.on("data", (chunk: Buffer) => {
      if (stalled) return
      chunks.push(chunk)
      if (begun) return
      stream.pause()
      begin(() => stream.resume())
    })
    stream.on("error", () => undefined)
    stream.on("end", () => {
      if (stalled) return
      begin(() => {
        connection.observed.observe("end")
        connection.strike("end", {
          proceed: () => this.#accept(connection, session, stream.sizeExceeded, chunks, callback),
          reply: (code, text) => callback(replied(code, text))
        })
      })
    })
  }

  #accept(
    connection: StruckConnection,
    session: SMTPServerSession,
    sizeExceeded: boolean,
    chunks: ReadonlyArray<Buffer>,
    callback: Callback
  ): void {
    if (sizeExceeded) return callback(replied(552, "5.3.4 Message size exceeds fixed limit"))
    const { mailFrom, rcptTo } = session.envelope
    const source = new Uint8Array(Buffer.concat(chunks))
    const receivedAt = new Date()
    const to = rcptTo.map(({ address }) => address)
    for (const address of to) this.#host.store.deliver(address, source, receivedAt)
    const { user } = connection.observed
    if (this.#host.filesSentMail && user !== undefined) this.#host.store.fileSent(user, source, receivedAt)
    const dsn = toDsn(session)
    this.#host.accept({
      connection: connection.observed.id,
      user,
      from: mailFrom === false ? "" : mailFrom.address,
      to,
      source,
      receivedAt,
      ...(dsn === undefined ? {} : { dsn })
    })
    callback()
  }

  #of(session: SMTPServerSession): StruckConnection | undefined {
    return this.#struck.get(session.id)
  }
}

/** The notifications asked for in MAIL and in the first RCPT; a client of ours asks the same for all recipients. */
const toDsn = ({ envelope }: SMTPServerSession): DsnOptions | undefined => {
  const events = envelope.rcptTo[0]?.dsn?.notify?.map((event) => event.toLowerCase())
  const { envid, ret } = envelope.dsn ?? {}
  const dsn: DsnOptions = {
    ...(events === undefined ? {} : {
      notify: events.includes("never")
        ? "never"
        : (["success", "failure", "delay"] as const).filter((event) => events.includes(event))
    }),
    ...(ret === "FULL" ? { ret: "full" } : ret === "HDRS" ? { ret: "headers" } : {}),
    ...(envid === undefined || envid === null ? {} : { envid })
  }
  return Object.keys(dsn).length === 0 ? undefined : dsn
}
