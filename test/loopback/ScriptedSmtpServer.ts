/**
 * An SMTP server that follows a script: at any step it can say something else, cut, or fall silent. It counts sockets
 * and keeps what it queued, so a test can hold what a client concluded against what the server did.
 */
import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { certificate, privateKey } from "./certificate.ts"

export type Step =
  | "greeting"
  | "ehlo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "body"
  | "dot"
  | "reset"
  | "quit"
  | "idle"

/** What is done at a step instead of the usual: octets said (CRLF is added to `reply`), and what comes then. */
export interface Action {
  readonly reply?: string
  readonly raw?: string
  /** `on` goes on as usual, the default after a reply; `silence` never says anything more. */
  readonly next?: "on" | "fin" | "rst" | "silence"
  /** For `dot`: the message is queued whatever is said. */
  readonly queue?: boolean
  /** A continuation line every so many milliseconds, for ever. */
  readonly dribbleMillis?: number
  /** For `body`: after so many octets of the body. */
  readonly octets?: number
  readonly delayMillis?: number
  /** Stops reading the socket, so that the client's writes get stuck. */
  readonly deaf?: boolean
  /** One more action after this one. */
  readonly later?: Action
}

/** `nth` counts the times this step was reached, from 1, over all connections. */
export type Script = (step: Step, nth: number, line: string) => Action | undefined

export interface Queued {
  readonly from: string
  readonly to: ReadonlyArray<string>
  /** As sent, dots unstuffed. */
  readonly octets: Buffer
}

export interface ScriptedSmtpServer {
  readonly port: number
  readonly queued: ReadonlyArray<Queued>
  readonly commands: ReadonlyArray<string>
  readonly open: () => number
  readonly peak: () => number
  readonly connections: () => number
  /** Completes when no socket is open any more. */
  readonly allClosed: Effect.Effect<void>
  /** Completes when a step has been reached `times` times. */
  readonly reached: (step: Step, times?: number) => Effect.Effect<void>
}

export interface ServerOptions {
  readonly script?: Script
  readonly security?: "tls" | "starttls" | "none"
  /** The extensions announced; STARTTLS is added before TLS, AUTH must be named. */
  readonly extensions?: ReadonlyArray<string>
  /** Lines that make up an AUTH exchange other than LOGIN; each asks the script for "auth". */
  readonly authSteps?: number
}

export const defaultExtensions = ["PIPELINING", "8BITMIME", "SIZE 50000000", "SMTPUTF8", "AUTH PLAIN LOGIN"]

export const scriptedSmtpServer = (
  options: ServerOptions = {}
): Effect.Effect<ScriptedSmtpServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = new Server(options)
        server.net.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.callback<void>((resume) => server.end(() => resume(Effect.void)))
    ),
    (server) => server
  )

class Server implements ScriptedSmtpServer {
  readonly net: Net.Server
  readonly queued: Array<Queued> = []
  readonly commands: Array<string> = []
  readonly #sockets = new Set<Net.Socket>()
  readonly #sessions = new Set<Session>()
  readonly #times = new Map<Step, number>()
  readonly #waiting = new Set<() => void>()
  readonly options: ServerOptions
  #peak = 0
  #connections = 0

  constructor(options: ServerOptions) {
    this.options = options
    this.net = Net.createServer((socket) => {
      this.#connections++
      this.#sockets.add(socket)
      this.#peak = Math.max(this.#peak, this.#sockets.size)
      socket.setNoDelay(true)
      socket.on("error", () => {})
      socket.on("close", () => {
        this.#sockets.delete(socket)
        this.#wake()
      })
      this.#sessions.add(new Session(this, socket))
    })
  }
  get port() {
    const address = this.net.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
  open = () => this.#sockets.size
  peak = () => this.#peak
  connections = () => this.#connections
  #until = (ready: () => boolean): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const check = () => {
        if (!ready()) return
        this.#waiting.delete(check)
        resume(Effect.void)
      }
      this.#waiting.add(check)
      check()
    })
  allClosed = this.#until(() => this.#sockets.size === 0)
  reached = (step: Step, times = 1) => this.#until(() => (this.#times.get(step) ?? 0) >= times)
  #wake() {
    for (const check of this.#waiting) check()
  }
  at(step: Step, line: string): Action | undefined {
    const nth = (this.#times.get(step) ?? 0) + 1
    this.#times.set(step, nth)
    const action = this.options.script?.(step, nth, line)
    setImmediate(() => this.#wake())
    return action
  }
  end(done: () => void) {
    for (const socket of this.#sockets) socket.destroy()
    this.net.close(done)
  }
}

class Session {
  readonly server: Server
  readonly raw: Net.Socket
  socket: Net.Socket
  rest: Buffer = Buffer.alloc(0)
  inData = false
  deaf = false
  from = ""
  to: Array<string> = []
  bodyAction: Action | undefined
  authSteps = 0

  constructor(server: Server, socket: Net.Socket) {
    this.server = server
    this.raw = socket
    this.socket = socket
    if (server.options.security === "tls") this.#secure()
    else this.#listen()
    this.#perform("greeting", "", "220 scripted ESMTP")
  }

  #listen() {
    this.socket.on("data", (chunk: Buffer) => this.#data(chunk))
  }

  #secure() {
    this.raw.removeAllListeners("data")
    this.rest = Buffer.alloc(0)
    this.socket = new Tls.TLSSocket(this.raw, { isServer: true, key: privateKey, cert: certificate })
    this.socket.on("error", () => {})
    // a greeting that waits for a handshake the client has given up would keep this side open
    this.socket.on("end", () => this.raw.destroy())
    this.#listen()
  }

  /** Does what the script wants at a step, or says the usual. Returns false where the script took over. */
  #perform(step: Step, line: string, usual: string | undefined): boolean {
    const action = this.server.at(step, line)
    if (action === undefined) {
      if (usual !== undefined) this.socket.write(`${usual}\r\n`)
      return true
    }
    this.#act(action)
    return action.next === "on"
  }

  #act(action: Action): void {
    const act = () => {
      const said = action.raw ?? (action.reply === undefined ? "" : `${action.reply}\r\n`)
      if (action.dribbleMillis !== undefined) {
        const timer = setInterval(() => this.socket.write("250-wait\r\n"), action.dribbleMillis)
        this.raw.on("close", () => clearInterval(timer))
        this.deaf = true
      }
      if (action.next === "silence") this.deaf = true
      if (action.deaf === true) this.raw.pause()
      if (action.later !== undefined) this.#act(action.later)
      if (action.next !== "fin" && action.next !== "rst") {
        if (said !== "") this.socket.write(said)
        return
      }
      this.deaf = true
      const leave = () => action.next === "rst" ? this.raw.resetAndDestroy() : this.socket.end()
      if (said === "") leave()
      else this.socket.write(said, leave)
    }
    if (action.delayMillis === undefined) act()
    else {
      const timer = setTimeout(act, action.delayMillis)
      this.raw.on("close", () => clearTimeout(timer))
    }
  }

  #data(chunk: Buffer) {
    if (this.deaf) return
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    while (!this.deaf) {
      if (this.inData) {
        const action = this.bodyAction
        if (action?.octets !== undefined && this.rest.length >= action.octets) {
          this.bodyAction = undefined
          this.#act(action)
          continue
        }
        const end = this.rest.indexOf("\r\n.\r\n")
        const empty = this.rest.subarray(0, 3).equals(Buffer.from(".\r\n"))
        if (end === -1 && !empty) return
        const body = empty ? Buffer.alloc(0) : this.rest.subarray(0, end + 2)
        this.rest = this.rest.subarray(empty ? 3 : end + 5)
        this.inData = false
        this.#message(body)
        continue
      }
      const end = this.rest.indexOf("\r\n")
      if (end === -1) return
      const line = this.rest.toString("utf8", 0, end)
      this.rest = this.rest.subarray(end + 2)
      this.#command(line)
    }
  }

  #message(body: Buffer) {
    const octets = Buffer.from(body.toString("latin1").replace(/(^|\r\n)\./g, "$1"), "latin1")
    const message = { from: this.from, to: this.to, octets }
    this.from = ""
    this.to = []
    const action = this.server.at("dot", "")
    if (action === undefined || action.queue === true) this.server.queued.push(message)
    if (action === undefined) this.socket.write("250 2.0.0 queued\r\n")
    else this.#act(action)
  }

  #command(line: string) {
    this.server.commands.push(line)
    const verb = line.slice(0, 4).toUpperCase()
    if (this.authSteps > 0) {
      this.authSteps--
      if (this.authSteps > 0) this.socket.write("334 UGFzc3dvcmQ6\r\n")
      else this.#perform("auth", line, "235 2.7.0 ok")
      return
    }
    if (verb === "EHLO") {
      const { extensions = defaultExtensions, security } = this.server.options
      const plain = security === "starttls" && this.socket === this.raw
      const lines = ["scripted", ...(plain ? ["STARTTLS"] : extensions)]
      this.#perform(
        "ehlo",
        line,
        lines.map((each, i) => `250${i === lines.length - 1 ? " " : "-"}${each}`).join("\r\n")
      )
    } else if (verb === "HELO") {
      this.socket.write("250 scripted\r\n")
    } else if (verb === "STAR") {
      if (this.#perform("starttls", line, "220 go")) this.#secure()
    } else if (line.toUpperCase() === "AUTH LOGIN") {
      this.authSteps = 2
      this.socket.write("334 VXNlcm5hbWU6\r\n")
    } else if (verb === "AUTH") {
      this.authSteps = (this.server.options.authSteps ?? 1) - 1
      this.#perform("auth", line, "235 2.7.0 ok")
    } else if (verb === "MAIL") {
      if (this.from !== "") return void this.socket.write("503 5.5.1 nested MAIL\r\n")
      if (this.#perform("mail", line, "250 2.1.0 ok")) this.from = line
    } else if (verb === "RCPT") {
      if (this.from === "") return void this.socket.write("503 5.5.1 no MAIL\r\n")
      if (this.#perform("rcpt", line, "250 2.1.5 ok")) this.to.push(line.replace(/^[^<]*<([^>]*)>.*$/, "$1"))
    } else if (verb === "DATA") {
      const action = this.server.at("data", line)
      if (action !== undefined) {
        this.#act(action)
        if (action.next !== "on") return
      } else if (this.to.length === 0) return void this.socket.write("503 5.5.1 no recipients\r\n")
      else this.socket.write("354 go\r\n")
      this.inData = true
      this.bodyAction = this.server.at("body", "")
      if (this.bodyAction !== undefined && this.bodyAction.octets === undefined) this.#act(this.bodyAction)
    } else if (verb === "RSET") {
      if (this.#perform("reset", line, "250 2.0.0 ok")) {
        this.from = ""
        this.to = []
      }
    } else if (verb === "QUIT") {
      if (this.#perform("quit", line, "221 2.0.0 bye")) this.socket.end()
    } else this.socket.write("500 5.5.2 what\r\n")
  }
}
