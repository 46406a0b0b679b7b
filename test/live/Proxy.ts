/** A wire to a server that can be made to fail: cut, silent, refusing, or answering by itself. It knows no protocol. */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

export interface ProxyOptions {
  /** Answers in the server's place: what the client has written is not passed on where this says something. */
  readonly answer?: (written: string) => string | undefined
  /** A connection has come. */
  readonly connected?: (port: number) => void
}

export interface Proxy {
  readonly port: number
  /** Ends every connection there is. */
  readonly cut: () => void
  /** Ends the connections there are, each after so many more octets from the server, or from the client. */
  readonly cutAfter: (octets: number, from?: Side) => void
  /** The connections there are, or those that are struck, pass nothing on any more, and stay. */
  readonly silence: (strikes?: () => boolean) => void
  /** Ends the next connections at once, so many of them. */
  readonly refuse: (count: number) => void
  /** Ends the next connection as soon as so many octets have come from one side, and these have been passed on. */
  readonly cutNext: (side: Side, octets: number) => void
  /** Octets that each side has said over the last connection. */
  readonly passed: () => Readonly<Record<Side, number>>
}

export type Side = "client" | "server"

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Octets that still pass, by where they come from. */
  readonly left: Record<Side, number>
  readonly passed: Record<Side, number>
  isSilent: boolean
}

/** Passes on what comes to a port of its own to a port on 127.0.0.1, until the scope closes. */
export const proxyTo = (target: number, options: ProxyOptions = {}): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof start>>((resume) => {
        const started = start(target, options)
        started.listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(started)))
      }),
      ({ listener, proxy }) =>
        Effect.callback<void>((resume) => {
          listener.close(() => resume(Effect.void))
          proxy.cut()
        })
    ),
    ({ listener, proxy }) => ({ ...proxy, port: portOf(listener) })
  )

const portOf = (listener: ReturnType<typeof createServer>) => {
  const address = listener.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const start = (target: number, options: ProxyOptions) => {
  const pairs = new Set<Pair>()
  let refusals = 0
  let next: Partial<Record<Side, number>> = {}
  let last: Readonly<Record<Side, number>> = { client: 0, server: 0 }
  const listener = createServer((client): void => {
    options.connected?.(portOf(listener))
    if (refusals > 0) {
      refusals--
      client.destroy()
      return
    }
    const pair: Pair = {
      client,
      server: connect(target, "127.0.0.1"),
      left: { client: Infinity, server: Infinity, ...next },
      passed: { client: 0, server: 0 },
      isSilent: false
    }
    next = {}
    last = pair.passed
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      pair.server.destroy()
    }
    for (const socket of [client, pair.server]) socket.setNoDelay(true).on("error", end).on("close", end)
    const pass = (chunk: Buffer, from: Side, to: Side) => {
      const passed = chunk.subarray(0, pair.left[from])
      pair.left[from] -= passed.length
      pair.passed[from] += passed.length
      pair[to].write(passed, () => {
        if (pair.left[from] <= 0) end()
      })
    }
    client.on("data", (chunk) => {
      if (pair.isSilent) return
      const answer = options.answer?.(chunk.toString("latin1"))
      if (answer === undefined) pass(chunk, "client", "server")
      else client.write(answer)
    })
    pair.server.on("data", (chunk) => {
      if (!pair.isSilent) pass(chunk, "server", "client")
    })
  })
  const proxy: Omit<Proxy, "port"> = {
    cut: () => {
      for (const { client } of pairs) client.destroy()
    },
    cutAfter: (octets, from = "server") => {
      for (const { left } of pairs) left[from] = octets
    },
    silence: (strikes = () => true) => {
      for (const pair of pairs) pair.isSilent ||= strikes()
    },
    refuse: (count) => {
      refusals = count
    },
    cutNext: (side, octets) => {
      next = { [side]: octets }
    },
    passed: () => last
  }
  return { listener, proxy }
}
