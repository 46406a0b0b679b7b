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
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  left: number
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
  const listener = createServer((client): void => {
    if (refusals > 0) {
      refusals--
      client.destroy()
      return
    }
    const pair: Pair = { client, server: connect(target, "127.0.0.1"), left: Infinity, isSilent: false }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      pair.server.destroy()
    }
    for (const socket of [client, pair.server]) socket.setNoDelay(true).on("error", end).on("close", end)
    client.on("data", (chunk) => {
      if (!pair.isSilent) pair.server.write(chunk)
    })
    pair.server.on("data", (chunk) => {
      if (pair.isSilent) return
      const passed = chunk.subarray(0, pair.left)
      pair.left -= passed.length
      client.write(passed, () => {
        if (pair.left <= 0) end()
      })
    })
  })
  const proxy: Omit<Proxy, "port"> = {
    cut: () => {
      for (const { client } of pairs) client.destroy()
    },
    cutAfter: (octets) => {
      for (const pair of pairs) pair.left = octets
    },
    silence: () => {
      for (const pair of pairs) pair.isSilent = true
    },
    refuse: (count) => {
      refusals = count
    }
  }
  return { listener, proxy }
}
