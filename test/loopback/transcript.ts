/** A raw line client for transcripts: what is said is octets, what is heard is lines. */
import { Effect, type Scope } from "effect"
import { createConnection, type Socket } from "node:net"

export class Transcript {
  readonly #socket: Socket
  #heard = ""
  #isOver = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on("data", (chunk: Buffer) => {
      this.#heard += chunk.toString("latin1")
      this.#wake()
    })
    socket.on("error", () => undefined)
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.#isOver = true
        this.#wake()
      })
    }
  }

  /** Connects; the scope's close destroys the socket. */
  static open(port: number): Effect.Effect<Transcript, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<Socket>((resolve, reject) => {
          const socket = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true }, () => resolve(socket))
          socket.once("error", reject)
        })
      ),
      (socket) => Effect.sync(() => socket.destroy())
    ).pipe(Effect.map((socket) => new Transcript(socket)))
  }

  write(octets: string | Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#socket.write(typeof octets === "string" ? Buffer.from(octets, "latin1") : octets)
    })
  }

  /** Ends this side of the connection. */
  readonly end: Effect.Effect<void> = Effect.sync(() => {
    this.#socket.end()
  })

  /** The lines up to and with the first that matches; all there were, where the connection ends before. */
  until(pattern: RegExp): Effect.Effect<ReadonlyArray<string>> {
    return Effect.promise(async () => {
      const lines: Array<string> = []
      for (;;) {
        const end = this.#heard.indexOf("\r\n")
        if (end >= 0) {
          const line = this.#heard.slice(0, end)
          this.#heard = this.#heard.slice(end + 2)
          lines.push(line)
          if (pattern.test(line)) return lines
        } else if (this.#isOver) return this.#heard === "" ? lines : [...lines, this.#heard]
        else await this.#more()
      }
    })
  }

  /** A line said, and the lines heard up to the one that matches. */
  say(line: string, pattern: RegExp): Effect.Effect<ReadonlyArray<string>> {
    return Effect.andThen(this.write(`${line}\r\n`), this.until(pattern))
  }

  /** All lines up to the end of the connection. */
  readonly rest: Effect.Effect<ReadonlyArray<string>> = Effect.suspend(() => this.until(/(?!)/))

  /** Everything heard up to the end of the connection. */
  readonly octets: Effect.Effect<string> = Effect.promise(async () => {
    while (!this.#isOver) await this.#more()
    return this.#heard
  })

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

/** Sends one message step by step, going on whatever the replies, until the server ends it or QUIT is answered. */
export const smtpDialogue = (port: number, message: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.scoped(Effect.gen(function*() {
    const transcript = yield* Transcript.open(port)
    const replies: Array<string> = []
    const hear = Effect.map(transcript.until(/^\d{3}(?: |$)/), (lines) => {
      replies.push(...lines)
      return lines.at(-1) ?? "421 gone"
    })
    const plain = Buffer.from("\0bob\0secret").toString("base64")
    const steps = [
      "EHLO test",
      `AUTH PLAIN ${plain}`,
      "MAIL FROM:<bob@example.com>",
      "RCPT TO:<bob@example.com>",
      "DATA"
    ]
    const dots = message.replaceAll(/^\./gm, "..")
    if (/^[45]/.test(yield* hear)) return replies
    for (const step of [...steps, `${dots}.`, "QUIT"]) {
      yield* transcript.write(`${step}\r\n`)
      const reply = yield* hear
      if (/^[45]/.test(reply) || reply.startsWith("221")) return replies
    }
    return replies
  }))
