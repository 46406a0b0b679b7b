/**
 * The sockets below one IMAP connection. They are ours, so that a connection counts as gone when its socket has closed
 * and not when somebody decided to close it, and so that a failed attempt can say how far it came.
 * Knows nothing of IMAP.
 */
import { Deferred, Effect } from "effect"
import * as net from "node:net"
import * as tls from "node:tls"
import type { ConnectionFailed } from "../../domain/MailError.ts"
import type { ImapTransport, ImapTransportConnectOptions, ImapTransportOptions, ImapTransportSocket } from "./client.ts"

/** How long a closing socket waits for the server to close its side, so that the server does not count it any more. */
const lingerMillis = 250

/** One TCP connection, with or without TLS on it. */
export class Wire {
  /** How far the way to the first octet of the server has come. */
  step: ConnectionFailed["step"] = "dns"
  /** Completes once the TCP socket has closed; also when there never was one and none will be. */
  readonly closed = Deferred.makeUnsafe<void>()
  #socket: net.Socket | undefined
  #isGone = false

  get isOpen(): boolean {
    return this.#socket !== undefined && !this.#isGone
  }

  /** Closes without a word. */
  destroy(): void {
    if (this.#socket === undefined) this.#gone()
    else this.#socket.destroy()
  }

  readonly transport: ImapTransport = {
    connect: (options: ImapTransportConnectOptions, onConnect: () => void): ImapTransportSocket => {
      const socket = options.secure
        ? tls.connect(secureOptions(options), onConnect)
        : net.connect({ host: options.host, port: options.port }, onConnect)
      this.#watch(socket)
      // A command with a literal is several writes; held back, each would wait for the last to be acknowledged.
      socket.setNoDelay(true)
      socket.on("lookup", () => this.step = "tcp")
      socket.on("connect", () => this.step = options.secure ? "tls" : "greeting")
      socket.on("secureConnect", () => this.step = "greeting")
      if (net.isIP(options.host) !== 0) this.step = "tcp"
      return socket
    },
    upgrade: (plain: ImapTransportSocket, options: ImapTransportOptions, onSecure: () => void): ImapTransportSocket => {
      this.step = "tls"
      const socket = tls.connect({ ...secureOptions(options), socket: plain }, () => {
        this.step = "login"
        onSecure()
      })
      // The client lets go of its listeners when it closes; an error after that must not end the process.
      socket.on("error", () => {})
      socket.on("close", () => this.destroy())
      return socket
    }
  }

  #watch(socket: net.Socket): void {
    this.#socket = socket
    parting(socket)
    socket.on("error", () => {})
    socket.on("close", () => this.#gone())
  }

  #gone(): void {
    this.#isGone = true
    Deferred.doneUnsafe(this.closed, Effect.void)
  }
}

/**
 * Makes `destroy` wait until the server has closed too, for a short time: a connection opened in its place would be one
 * too many for as long as the server has not noticed. What is not written yet is not written any more.
 */
const parting = (socket: net.Socket): void => {
  const destroy = socket.destroy.bind(socket)
  let isParting = false
  socket.destroy = (error?: Error) => {
    if (isParting && error === undefined) return socket
    if (error !== undefined || socket.connecting || socket.writableLength > 0 || socket.readableEnded) {
      return destroy(error)
    }
    isParting = true
    const timer = setTimeout(destroy, lingerMillis)
    socket.once("close", () => clearTimeout(timer))
    socket.on("end", () => destroy())
    socket.removeAllListeners("data")
    socket.end()
    socket.resume()
    return socket
  }
}

const secureOptions = (options: ImapTransportOptions): tls.ConnectionOptions => ({
  host: options.host,
  port: options.port,
  ...(options.servername === undefined ? {} : { servername: options.servername }),
  ...options.tls
})
