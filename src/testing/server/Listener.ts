/**
 * Accepts connections on 127.0.0.1, or in memory, counts each from accept to the end of both sides, and puts a `Wire` around it. It
 * knows neither protocol.
 */
import { createServer, type Server, type Socket } from "node:net"
import { type Duplex, duplexPair } from "node:stream"
import type { Connection, Observations, Protocol } from "./Observations.ts"
import { Wire, type WireFaults } from "./Wire.ts"

/** Begins to serve a connection, and answers how to say farewell to it. */
export type Serve = (wire: Wire, connection: Connection) => (text: string) => void

/** A duplex with what clients ask of a socket besides; it has no time-outs. */
export type MemorySocket = Duplex & {
  readonly setTimeout: (millis: number) => unknown
  readonly setKeepAlive: () => unknown
}

export class Listener {
  readonly protocol: Protocol
  readonly #observations: Observations
  readonly #serve: Serve
  readonly #server: Server
  readonly #wires = new Set<Wire>()
  readonly #sockets = new Set<Duplex>()
  #faults: WireFaults

  constructor(protocol: Protocol, observations: Observations, faults: WireFaults, serve: Serve) {
    this.protocol = protocol
    this.#observations = observations
    this.#faults = faults
    this.#serve = serve
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => this.#accept(socket))
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }

  /** Faults of the wire for every connection there is and will be; counting begins anew. */
  set faults(faults: WireFaults) {
    this.#faults = faults
    for (const wire of this.#wires) wire.faults = faults
  }

  get faults(): WireFaults {
    return this.#faults
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(port, "127.0.0.1", () => {
        this.#server.off("error", reject)
        // What an accept fails with later is the client's loss
        this.#server.on("error", () => undefined)
        resolve()
      })
    })
  }

  /** A connection without TCP: the client's end. */
  connect(): MemorySocket {
    const [client, server] = duplexPair()
    this.#accept(server)
    return Object.assign(client, { setTimeout: () => client, setKeepAlive: () => client })
  }

  /** Ends every connection, and resolves once all sockets and the port are closed. */
  async close(): Promise<void> {
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve()
    const gone = [...this.#sockets].map((socket) => new Promise<void>((resolve) => socket.once("close", resolve)))
    for (const wire of this.#wires) wire.destroy()
    // A server says `close` before its sockets do
    await Promise.all([closed, ...gone])
  }

  #accept(socket: Duplex): void {
    const wire = new Wire(socket, this.#faults)
    this.#wires.add(wire)
    this.#sockets.add(socket)
    let farewell: (text: string) => void = () => wire.destroy()
    const connection = this.#observations.open(this.protocol, {
      kick: (text) => farewell(text),
      drop: () => wire.destroy()
    })
    // `close` comes a turn later than the end of both sides, and behind the accept of what the client opened next
    const ended = () => {
      if (socket.readableEnded && (socket.writableEnded || socket.destroyed)) connection.closed()
    }
    wire.on("close", ended)
    socket.on("end", ended).on("finish", ended).on("close", () => {
      this.#wires.delete(wire)
      this.#sockets.delete(socket)
      connection.closed()
    })
    farewell = this.#serve(wire, connection)
  }
}
