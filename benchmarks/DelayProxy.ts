/**
 * A TCP proxy that makes a round trip last: what arrives is passed on half a round trip later, in order, both ways. It
 * bounds nothing else, so bandwidth is the machine's. It runs in a process of its own, so that its work is nobody's.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { connect, createServer, type Socket } from "node:net"

/** A port on 127.0.0.1 behind which `port` is, `roundTrip` milliseconds away; 0 is the port itself. */
export const delayed = (port: number, roundTrip: number): Effect.Effect<number, never, Scope.Scope> =>
  roundTrip === 0 ? Effect.succeed(port) : Effect.map(
    Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<{ child: ChildProcess; port: number }>((resolve, reject) => {
          const child = fork(import.meta.filename, [String(port), String(roundTrip)], { execArgv: [] })
          child.once("message", (message) => resolve({ child, port: Number(message) }))
          child.once("exit", (code) => reject(new Error(`the delay proxy ended with ${code}`)))
        })
      ),
      ({ child }) => Effect.sync(() => child.kill())
    ),
    ({ port }) => port
  )

const pass = (from: Socket, to: Socket, millis: number) => {
  from.setNoDelay(true)
  from.on("data", (octets) => setTimeout(() => to.destroyed || to.write(octets), millis))
  from.on("end", () => setTimeout(() => to.destroyed || to.end(), millis))
  from.on("close", () => setTimeout(() => to.destroy(), millis))
  from.on("error", () => {})
}

if (process.argv[1] === import.meta.filename) {
  const [target = 0, roundTrip = 0] = process.argv.slice(2).map(Number)
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1")
    pass(client, upstream, roundTrip / 2)
    pass(upstream, client, roundTrip / 2)
  })
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    process.send?.(typeof address === "object" && address !== null ? address.port : 0)
  })
  process.once("disconnect", () => process.exit())
}
