/**
 * A real IMAP and SMTP server on 127.0.0.1 over a `MailStore`, for tests, demos and benchmarks: it counts connections,
 * records commands and accepted messages, and misbehaves by script. It owns its sockets and nothing else; the store may
 * be looked into and changed at any time.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"
import { Faults } from "./Faults.ts"
import { MailStore, type UserSeed } from "./MailStore.ts"
import { capabilitiesWithout, type OptionalCapability } from "./server/Capabilities.ts"
import { defaultReaderLimits } from "./server/CommandReader.ts"
import { serve } from "./server/Dispatch.ts"
import { Listener, type MemorySocket } from "./server/Listener.ts"
import {
  type AcceptedMessage,
  type ConnectionFilter,
  type ConnectionInfo,
  Observations,
  type ObservedCommand,
  type Protocol
} from "./server/Observations.ts"
import { type ImapHost, type ServerTls, Session } from "./server/Session.ts"
import type { SmtpService } from "./server/Smtp.ts"
import type { WireFaults } from "./server/Wire.ts"

export interface MailServerOptions {
  /** The store to serve; default a new one with `users`. */
  readonly store?: MailStore
  readonly users?: ReadonlyArray<UserSeed>
  /** Asked at each step. A fault at LOGIN strikes at AUTHENTICATE too; `Drop after` at IDLE cuts once IDLE has begun. */
  readonly faults?: Faults
  /** Faults of every connection's wire, by protocol. */
  readonly wire?: { readonly imap?: WireFaults; readonly smtp?: WireFaults }
  /** IMAP extensions to do without. */
  readonly without?: ReadonlyArray<OptionalCapability>
  /** How many connections a user may be logged in with; beyond, IMAP says `NO [LIMIT]` and SMTP 432. Default no bound. */
  readonly maxConnections?: { readonly imap?: number | undefined; readonly smtp?: number | undefined }
  /** Offers STARTTLS; with `isSecure`, TLS from the first octet instead. */
  readonly tls?: ServerTls & { readonly isSecure?: boolean }
  /** Ports to listen on; default 0, any free one. */
  readonly ports?: { readonly imap?: number; readonly smtp?: number }
  /** Whether SMTP takes mail from logged-in users only; default true. */
  readonly smtpRequiresLogin?: boolean
  /** SIZE of SMTP (RFC 1870); default `defaultMaxMessageBytes`. */
  readonly maxMessageBytes?: number
  /** SMTP extensions to do without. */
  readonly smtpWithout?: ReadonlyArray<"DSN">
  /**
   * Files each message it accepts in the sender's mailbox for sent mail, as Gmail and Exchange do: the one with that special
   * use (`UserSeed.specialUse`), else "Sent"; nowhere if there is neither. Default false.
   */
  readonly filesSentMail?: boolean
  /** How many commands are remembered; default `defaultMaxCommands`. Infinity for all. */
  readonly maxCommands?: number
}

export const defaultMaxMessageBytes = 64 * 1024 * 1024
export const defaultMaxCommands = 10_000

/** A running server. Everything but the scope it lives in is synchronous, so that a test can look at any moment. */
export interface MailServerShape {
  readonly store: MailStore
  readonly faults: Faults
  readonly host: "127.0.0.1"
  readonly imapPort: number
  readonly smtpPort: number
  /** Connections that are open now, counted from accept to close. */
  readonly connections: (filter?: ConnectionFilter) => ReadonlyArray<ConnectionInfo>
  /** The most that were open at once. A connection counts for a user from its login on. */
  readonly peak: (filter?: ConnectionFilter) => number
  /** What clients asked for, oldest first. */
  readonly commands: () => ReadonlyArray<ObservedCommand>
  /** The messages SMTP took, oldest first. */
  readonly accepted: () => ReadonlyArray<AcceptedMessage>
  /** Forgets commands and accepted messages; peaks begin anew. */
  readonly forget: () => void
  /** Sets the faults of the wire for the connections of a protocol that are open and those to come. */
  readonly setWire: (protocol: Protocol, faults: WireFaults) => void
  readonly setMaxConnections: (protocol: Protocol, most: number | undefined) => void
  /** Ends a user's connections, of one protocol or all, with BYE or 421, and answers how many they were. */
  readonly kick: (user: string, protocol?: Protocol) => number
  /** Cuts every connection, and answers how many they were. */
  readonly dropAll: () => number
  /** A connection without TCP: the client's end of a pair in memory. It counts like any other. */
  readonly connectInMemory: (protocol: Protocol) => MemorySocket
}

export class MailServer extends Context.Service<MailServer, MailServerShape>()("effect-mail/testing/MailServer") {
  /** Starts a server. The scope's close ends every connection and frees the ports. */
  static make(options: MailServerOptions = {}): Effect.Effect<MailServerShape, never, Scope.Scope> {
    return Effect.gen(function*() {
      // Only who starts a server needs the package `smtp-server`
      const { SmtpService } = yield* Effect.promise(() => import("./server/Smtp.ts"))
      const running = new RunningServer(options, SmtpService)
      yield* Effect.acquireRelease(
        Effect.promise(() => running.listen()),
        () => Effect.promise(() => running.close())
      )
      return running.shape
    })
  }

  static layer(options: MailServerOptions = {}): Layer.Layer<MailServer> {
    return Layer.effect(this, this.make(options))
  }
}

class RunningServer {
  readonly #options: MailServerOptions
  readonly #observations: Observations
  readonly #imap: Listener
  readonly #smtp: Listener
  readonly #maxConnections: { [P in Protocol]: number | undefined }
  #accepted: Array<AcceptedMessage> = []
  readonly shape: MailServerShape

  constructor(options: MailServerOptions, Service: typeof SmtpService) {
    this.#options = options
    const { faults = new Faults(), store = new MailStore({ users: options.users ?? [] }), tls, wire = {} } = options
    this.#observations = new Observations(options.maxCommands ?? defaultMaxCommands)
    this.#maxConnections = { imap: options.maxConnections?.imap, smtp: options.maxConnections?.smtp }
    const isSecure = tls?.isSecure === true
    const shared = (protocol: Protocol) => ({
      store,
      faults,
      tls,
      maxConnections: () => this.#maxConnections[protocol],
      connectionsOf: (user: string) => this.#observations.connections({ protocol, user }).length
    })
    const imapHost: ImapHost = {
      ...shared("imap"),
      limits: defaultReaderLimits,
      capabilities: capabilitiesWithout(options.without ?? [])
    }
    const smtp = new Service({
      ...shared("smtp"),
      isSecure,
      requiresLogin: options.smtpRequiresLogin ?? true,
      maxMessageBytes: options.maxMessageBytes ?? defaultMaxMessageBytes,
      hasDsn: options.smtpWithout?.includes("DSN") !== true,
      filesSentMail: options.filesSentMail ?? false,
      accept: (message) => this.#accepted.push(message)
    })
    this.#imap = new Listener("imap", this.#observations, wire.imap ?? {}, (wire, connection) => {
      const session = new Session(imapHost, isSecure ? secured(wire, tls) : wire, connection, isSecure)
      // Whatever goes wrong in a session ends that session and nothing else
      serve(session).catch(() => session.drop())
      return (text) => session.farewell(text)
    })
    this.#smtp = new Listener("smtp", this.#observations, wire.smtp ?? {}, (wire, connection) => {
      smtp.serve(wire, connection, isSecure ? secured(wire, tls) : wire)
      return (text) => smtp.kick(wire, text)
    })
    this.shape = this.#toShape(store, faults)
  }

  async listen(): Promise<void> {
    const { ports = {} } = this.#options
    await Promise.all([this.#imap.listen(ports.imap ?? 0), this.#smtp.listen(ports.smtp ?? 0)])
  }

  async close(): Promise<void> {
    await Promise.all([this.#imap.close(), this.#smtp.close()])
  }

  #toShape(store: MailStore, faults: Faults): MailServerShape {
    const observations = this.#observations
    const listeners = { imap: this.#imap, smtp: this.#smtp }
    return {
      store,
      faults,
      host: "127.0.0.1",
      get imapPort() {
        return listeners.imap.port
      },
      get smtpPort() {
        return listeners.smtp.port
      },
      connections: (filter) => observations.connections(filter).map(({ info }) => info),
      peak: (filter) => observations.peak(filter),
      commands: () => observations.commands,
      accepted: () => this.#accepted,
      forget: () => {
        this.#accepted = []
        observations.reset()
      },
      setWire: (protocol, faults) => {
        listeners[protocol].faults = faults
      },
      setMaxConnections: (protocol, most) => {
        this.#maxConnections[protocol] = most
      },
      kick: (user, protocol) => {
        const theirs = observations.connections(protocol === undefined ? { user } : { user, protocol })
        for (const { handle } of theirs) handle.kick("Disconnected by the server")
        return theirs.length
      },
      dropAll: () => {
        const all = observations.connections()
        for (const { handle } of all) handle.drop()
        return all.length
      },
      connectInMemory: (protocol) => listeners[protocol].connect()
    }
  }
}

/** How long a TLS session is served whose client has closed its direction of the socket. */
const truncatedMillis = 50

const secured = (wire: Duplex, tls: ServerTls | undefined): Duplex => {
  const secure = new TLSSocket(wire, { isServer: true, ...tls === undefined ? {} : { key: tls.key, cert: tls.cert } })
  secure.on("error", () => wire.destroy())
  // Node keeps waiting to write to a client that has left without the goodbye of TLS
  wire.once("end", () => setTimeout(() => wire.destroy(), truncatedMillis).unref())
  return secure
}

export type { OptionalCapability } from "./server/Capabilities.ts"
export type { MemorySocket } from "./server/Listener.ts"
export type {
  AcceptedMessage,
  ConnectionFilter,
  ConnectionInfo,
  ObservedCommand,
  Protocol
} from "./server/Observations.ts"
export type { ServerTls } from "./server/Session.ts"
export type { WireFaults } from "./server/Wire.ts"
