/** A wire to a server that can be made to fail: cut, silent, or refusing. It knows no protocol. */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

export interface Proxy {
  readonly port: number
  /** Ends every connection there is. */
  readonly cut: () => void
  /** Ends the connections there are, each after so many more octets from the server. */
  readonly cutAfter: (octets: number) => void
  /** The connections there are pass nothing on any more, and stay. */
  readonly silence: () => void
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
  readonly left: Record<Side, number>
  readonly passed: Record<Side, number>
  isSilent: boolean
}

/** Passes on what comes to a port of its own to a port on 127.0.0.1, until the scope closes. */
export const proxyTo = (target: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof start>>((resume) => {
        const started = start(target)
        started.listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(started)))
      }),
      ({ listener, proxy }) =>
        Effect.callback<void>((resume) => {
          listener.close(() => resume(Effect.void))
          proxy.cut()
        })
    ),
    ({ listener, proxy }) => {
      const address = listener.address()
      return { ...proxy, port: typeof address === "object" && address !== null ? address.port : 0 }
    }
  )

const start = (target: number) => {
  const pairs = new Set<Pair>()
  let refusals = 0
  let next: Partial<Record<Side, number>> = {}
  let last: Readonly<Record<Side, number>> = { client: 0, server: 0 }
  const listener = createServer((client): void => {
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
    const passOn = (from: Side, to: Side) =>
      pair[from].on("data", (chunk: Buffer) => {
        if (pair.isSilent || pair.left[from] <= 0) return
        const passed = chunk.subarray(0, pair.left[from])
        pair.left[from] -= passed.length
        pair.passed[from] += passed.length
        pair[to].write(passed, () => {
          if (pair.left[from] <= 0) end()
        })
      })
    passOn("client", "server")
    passOn("server", "client")
  })
  const proxy: Omit<Proxy, "port"> = {
    cut: () => {
      for (const { client } of pairs) client.destroy()
    },
    cutAfter: (octets) => {
      for (const pair of pairs) pair.left.server = octets
    },
    silence: () => {
      for (const pair of pairs) pair.isSilent = true
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
