/**
 * The state of one IMAP connection (RFC 9051 3): who is logged in, what is selected, what is enabled, and the ways to
 * read and write its stream. It knows no commands; `Dispatch` runs them over it.
 */
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"
import type { Faults } from "../Faults.ts"
import type { MailStore } from "../MailStore.ts"
import type { StoredMailbox } from "../StoredMailbox.ts"
import type { StoredUser } from "../StoredUser.ts"
import { StoreFailure } from "../StoreFailure.ts"
import { CommandReader, type ReaderLimits } from "./CommandReader.ts"
import type { Connection } from "./Observations.ts"
import { Output } from "./Output.ts"
import { no, Refusal, statusText } from "./Refusal.ts"
import { View } from "./View.ts"

/** Key and certificate in PEM. */
export interface ServerTls {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

/** What all sessions of a server share. */
export interface ImapHost {
  readonly store: MailStore
  readonly faults: Faults
  readonly limits: ReaderLimits
  /** Capabilities after login, without those of authentication. */
  readonly capabilities: ReadonlySet<string>
  readonly tls: ServerTls | undefined
  /** How many connections a user may have; undefined for no bound. */
  readonly maxConnections: () => number | undefined
  /** How many logged-in connections a user has now. */
  readonly connectionsOf: (user: string) => number
}

/** Octets that may be read ahead while a command runs. */
const readAheadBytes = 1024 * 1024

export class Session {
  readonly host: ImapHost
  readonly connection: Connection
  readonly out: Output
  user: StoredUser | undefined
  view: View | undefined
  isSecure: boolean
  readonly enabled = { condstore: false, qresync: false }
  readonly reader: CommandReader
  #stream: Duplex
  #isEnded = false
  #isClosing = false
  #hasNews = false
  #wake: (() => void) | undefined
  readonly #onData = (chunk: Buffer) => {
    this.reader.feed(chunk)
    if (this.#wake === undefined && this.reader.buffered > readAheadBytes) this.#stream.pause()
    this.#awake()
  }
  readonly #onEnd = () => {
    this.#isEnded = true
    this.#awake()
  }

  constructor(host: ImapHost, stream: Duplex, connection: Connection, isSecure: boolean) {
    this.host = host
    this.connection = connection
    this.#stream = stream
    this.isSecure = isSecure
    this.out = new Output(stream)
    this.reader = new CommandReader(host.limits)
    this.#attach(stream)
  }

  has(capability: string): boolean {
    return this.host.capabilities.has(capability)
  }

  get isGone(): boolean {
    return this.#stream.destroyed
  }

  /** True once a farewell was said: no further command is run. */
  get isClosing(): boolean {
    return this.#isClosing
  }

  line(text: string): void {
    this.out.text(text)
    this.out.text("\r\n")
  }

  /** Something happened in the selected mailbox; an IDLE in progress tells it. */
  notice(): void {
    this.#hasNews = true
    this.#awake()
  }

  /** What `take` finds in the input, as soon as there is enough; undefined once the client has gone. */
  async read<A>(take: (reader: CommandReader) => A | undefined): Promise<A | undefined> {
    for (;;) {
      if (this.isGone || this.#isClosing) return undefined
      const taken = take(this.reader)
      if (taken !== undefined) return taken
      if (this.#isEnded) return undefined
      await this.#pause()
    }
  }

  /** As `read`, and calls `onNews` whenever something happened meanwhile. */
  async readOrHear<A>(take: (reader: CommandReader) => A | undefined, onNews: () => void): Promise<A | undefined> {
    for (;;) {
      if (this.#hasNews) {
        this.#hasNews = false
        onNews()
      }
      if (this.isGone || this.#isClosing) return undefined
      const taken = take(this.reader)
      if (taken !== undefined) return taken
      if (this.#isEnded) return undefined
      if (!this.#hasNews) await this.#pause()
      // Changes of one turn are told together
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The user, once logged in. */
  login(): StoredUser {
    if (this.user === undefined) throw new Refusal("BAD", "log in first")
    return this.user
  }

  /** The selected mailbox. */
  selected(): View {
    if (this.view === undefined) throw new Refusal("BAD", "no mailbox is selected")
    return this.view
  }

  select(mailbox: StoredMailbox, readOnly: boolean): View {
    this.unselect()
    this.view = new View(mailbox, readOnly, () => this.notice())
    this.connection.mailbox = mailbox.path
    return this.view
  }

  unselect(): void {
    this.view?.close()
    this.view = undefined
    this.connection.mailbox = undefined
  }

  /** The selected mailbox has another name, by this session's own doing. */
  acceptRename(): void {
    if (this.view?.invalid !== "renamed") return
    this.view.invalid = undefined
    this.connection.mailbox = this.view.mailbox.path
  }

  /** The mailbox of this name, or a refusal. */
  mailbox(path: string): StoredMailbox {
    const mailbox = this.login().mailbox(path)
    if (mailbox === undefined) throw no(`Mailbox doesn't exist: ${path}`, "NONEXISTENT")
    return mailbox
  }

  /** Says goodbye and ends the connection after what was written. */
  farewell(text: string): void {
    this.line(`* BYE ${statusText(text)}`)
    this.close()
  }

  /** Ends the connection after what was written. */
  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.out.flush()
    const stream = this.#stream
    stream.end()
    stream.resume()
    // A client that neither reads nor closes does not keep the socket
    const timer = setTimeout(() => stream.destroy(), closeLingerMillis)
    timer.unref()
    stream.once("close", () => clearTimeout(timer))
    this.#awake()
  }

  /** Cuts the connection. */
  drop(): void {
    this.#stream.destroy()
    this.#awake()
  }

  /** Writes nothing from now on: what a command does is done, and nobody hears of it. */
  mute(): void {
    this.out.flush()
    this.out.moveTo(nowhere(this.#stream))
  }

  /** Goes on over TLS (RFC 9051 6.2.1); what came in the clear after the command is forgotten. */
  upgrade(tls: ServerTls): void {
    const plain = this.#stream
    plain.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onEnd)
    this.reader.clear()
    const secure = new TLSSocket(plain, { isServer: true, key: tls.key, cert: tls.cert })
    secure.on("error", () => plain.destroy())
    this.#stream = secure
    this.isSecure = true
    this.out.moveTo(secure)
    this.#attach(secure)
  }

  /** Waits, without keeping the process alive, or until the connection has gone. */
  delay(millis: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#stream.off("close", settle)
        resolve()
      }
      const timer = setTimeout(settle, millis)
      timer.unref()
      this.#stream.on("close", settle)
    })
  }

  /** Never comes back before the connection has gone. */
  async stall(): Promise<void> {
    this.out.flush()
    const stream = this.#stream
    if (stream.destroyed || this.#isEnded) return this.drop()
    // Read and thrown away, or the end of a client that goes on sending would never be seen
    stream.off("data", this.#onData).on("data", () => undefined)
    stream.resume()
    await new Promise<void>((resolve) => stream.once("close", resolve).once("end", resolve))
    // What was sent meanwhile is not to be acted upon
    this.drop()
  }

  #attach(stream: Duplex): void {
    stream.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onEnd)
  }

  async #pause(): Promise<void> {
    this.out.flush()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#stream.resume()
    })
  }

  #awake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

/** How long a closing connection waits for the client to close its side. */
const closeLingerMillis = 1000

/** Turns a refusal of the store into one of the wire. */
export const orRefuse = <A>(result: A | StoreFailure): A => {
  if (result instanceof StoreFailure) throw no(result.text, result.code)
  return result
}

const nowhere = (stream: Duplex): Duplex =>
  Object.create(stream, { write: { value: () => true }, writableNeedDrain: { value: false } })
