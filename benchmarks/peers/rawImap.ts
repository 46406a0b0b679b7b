/** The limit: a socket that sends commands and counts the octets of the answers, and understands nothing. */
import { Effect, type Scope } from "effect"
import { connect, type Socket } from "node:net"
import type { ImapServer } from "../Servers.ts"

/** Longer than the longest tagged answer, which lists capabilities. */
const tailOctets = 2_000

export class RawImap {
  readonly #socket: Socket
  #tags = 0
  #tag = ""
  #octets = 0
  #tail = ""
  #answered: ((octets: number) => void) | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on("error", () => {})
    socket.on("data", (chunk: Buffer) => {
      this.#octets += chunk.length
      this.#tail = (this.#tail + chunk.toString("latin1", Math.max(0, chunk.length - tailOctets))).slice(-tailOctets)
      if (this.#tail.endsWith("\r\n") && this.#tail.includes(`\r\n${this.#tag} `)) this.#answered?.(this.#octets)
    })
  }

  /** Octets of the whole answer. */
  command(text: string): Promise<number> {
    return new Promise((resolve) => {
      this.#tag = `bench${++this.#tags}`
      this.#octets = 0
      this.#tail = "\r\n"
      this.#answered = resolve
      this.#socket.write(`${this.#tag} ${text}\r\n`)
    })
  }
}

/** Logged in, with a mailbox selected. */
export const rawImap = (
  server: ImapServer,
  port: number,
  mailbox: string
): Effect.Effect<RawImap, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const socket = connect(port, "127.0.0.1")
        socket.setNoDelay(true)
        const raw = new RawImap(socket)
        await new Promise((resolve) => socket.once("data", resolve))
        await raw.command(`LOGIN ${server.user} ${server.password}`)
        await raw.command(`EXAMINE ${mailbox}`)
        return { socket, raw }
      }),
      ({ socket }) => Effect.sync(() => socket.destroy())
    ),
    ({ raw }) => raw
  )
