/**
 * imapflow as it is best used by hand: one client per connection, held; no log lines, no automatic IDLE, no compression
 * on a loopback wire. These are the settings under which it is fastest here.
 */
import { Effect, type Scope } from "effect"
import { ImapFlow } from "imapflow"
import type { ImapServer } from "../Servers.ts"

export const makeClient = (server: Pick<ImapServer, "user" | "password">, port: number): ImapFlow => {
  const client = new ImapFlow({
    host: "127.0.0.1",
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: server.user, pass: server.password, loginMethod: "LOGIN" },
    logger: false,
    disableAutoIdle: true,
    disableCompression: true
  })
  client.on("error", () => {})
  return client
}

/** A connected client, closed with the scope. */
export const connected = (
  server: Pick<ImapServer, "user" | "password">,
  port: number,
  mailbox?: string
): Effect.Effect<ImapFlow, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = makeClient(server, port)
      await client.connect()
      if (mailbox !== undefined) await client.mailboxOpen(mailbox)
      return client
    }),
    (client) => Effect.sync(() => client.close())
  )

export const connectedAll = (
  server: ImapServer,
  port: number,
  count: number,
  mailbox?: string
): Effect.Effect<ReadonlyArray<ImapFlow>, never, Scope.Scope> =>
  Effect.forEach(Array.from({ length: count }), () => connected(server, port, mailbox))

/** Spans of UIDs 1 to `count`, one for each of so many connections. */
export const shares = (count: number, connections: number): ReadonlyArray<string> =>
  Array.from(
    { length: connections },
    (_, index) => `${Math.floor((index * count) / connections) + 1}:${Math.floor(((index + 1) * count) / connections)}`
  )

/** The client with the fewest callers, and among those one that has the mailbox already. */
export class ClientPool {
  readonly #clients: ReadonlyArray<{ readonly client: ImapFlow; callers: number; last: string }>

  constructor(clients: ReadonlyArray<ImapFlow>) {
    this.#clients = clients.map((client) => ({ client, callers: 0, last: "" }))
  }

  async with<A>(mailbox: string, use: (client: ImapFlow) => Promise<A>): Promise<A> {
    const fewest = Math.min(...this.#clients.map(({ callers }) => callers))
    const free = this.#clients.filter(({ callers }) => callers === fewest)
    const member = free.find(({ last }) => last === mailbox) ?? free[0]
    if (member === undefined) throw new Error("a pool of no clients")
    member.callers++
    member.last = mailbox
    const lock = await member.client.getMailboxLock(mailbox)
    try {
      return await use(member.client)
    } finally {
      lock.release()
      member.callers--
    }
  }
}

/** A connection for one operation, as a stateless tool opens it. */
export const perOperation = async <A>(
  server: Pick<ImapServer, "user" | "password">,
  port: number,
  mailbox: string,
  use: (client: ImapFlow) => Promise<A>
): Promise<A> => {
  const client = makeClient(server, port)
  await client.connect()
  try {
    await client.mailboxOpen(mailbox)
    return await use(client)
  } finally {
    await client.logout()
  }
}

export const fetchSource = async (client: ImapFlow, uid: number): Promise<Buffer> => {
  const row = await client.fetchOne(`${uid}`, { source: true }, { uid: true })
  if (row === false || row.source === undefined) throw new Error(`no message ${uid}`)
  return row.source
}
