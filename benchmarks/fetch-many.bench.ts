/** How fast is a mailbox read whole, each message apart, and how far is that from what the wire gives? */
import { Effect, Stream } from "effect"
import { delayed } from "./DelayProxy.ts"
import type { Bench, Digest, Subject, Suite } from "./Harness.ts"
import { allOf, imapAccount } from "./Library.ts"
import { digestOf, type MailboxRecipe, Tally } from "./Mail.ts"
import { connectedAll, shares } from "./peers/imapflow.ts"
import { mbsync, mbsyncMissing } from "./peers/mbsync.ts"
import { pythonFetch, pythonMissing } from "./peers/python.ts"
import { rawImap } from "./peers/rawImap.ts"
import { type ImapServer, imapServer } from "./Servers.ts"

const library = (server: ImapServer, port: number, cap: number): Subject => ({
  name: "effect-mail",
  role: "library",
  open: Effect.gen(function*() {
    const account = yield* imapAccount(server, port, cap)
    const all = yield* allOf(account, "INBOX")
    return Effect.gen(function*() {
      const tally = new Tally()
      yield* Stream.runForEach(
        account.fetch(all, { source: true }),
        ({ source }) => Effect.sync(() => tally.add(source))
      )
      return { digest: tally.digest }
    })
  })
})

const bare = (name: string, server: ImapServer, port: number, connections: number, count: number): Subject => ({
  name,
  role: "peer",
  open: Effect.map(connectedAll(server, port, connections, "INBOX"), (clients) =>
    Effect.promise(async () => {
      const tally = new Tally()
      const ranges = shares(count, connections)
      await Promise.all(clients.map(async (client, index) => {
        for await (const row of client.fetch(ranges[index] ?? "1:*", { source: true }, { uid: true })) {
          if (row.source !== undefined) tally.add(row.source)
        }
      }))
      return { digest: tally.digest }
    }))
})

const raw = (server: ImapServer, port: number, count: number): Subject => ({
  name: "raw socket, octets only counted",
  role: "limit",
  open: Effect.map(rawImap(server, port, "INBOX"), (raw) =>
    Effect.promise(async () => {
      await raw.command("UID FETCH 1:* (BODY.PEEK[])")
      return { digest: { count } }
    }))
})

const others = (server: ImapServer, port: number): ReadonlyArray<Subject> => [
  ...(["imaplib", "imap_tools"] as const).map((peer): Subject => ({
    name: `${peer} (Python)`,
    role: "peer",
    skip: pythonMissing(peer),
    open: pythonFetch(peer, server, port)
  })),
  { name: "mbsync (C, into a Maildir)", role: "peer", skip: mbsyncMissing(), open: mbsync(server, port) }
]

const compare = Effect.fnUntraced(function*(
  bench: Bench,
  recipe: MailboxRecipe,
  label: string,
  roundTrips: ReadonlyArray<number>,
  caps: ReadonlyArray<number>
) {
  const server = yield* imapServer([recipe])
  const expected: Digest = digestOf(recipe)
  const { count } = recipe
  for (const roundTrip of roundTrips) {
    const port = yield* delayed(server.port, roundTrip)
    for (const cap of caps) {
      const same = `imapflow, ${cap} connection${cap === 1 ? "" : "s"}`
      const unbroken = "imapflow, one unbroken fetch"
      const more = cap === 3 ? [bare(unbroken, server, port, 1, count)] : []
      const outside = cap === 1 ? others(server, port) : []
      yield* bench.measure({
        name: `${label}, ${roundTrip} ms round trip, cap ${cap}`,
        rounds: 3,
        expected,
        subjects: [
          library(server, port, cap),
          bare(same, server, port, cap, count),
          ...more,
          ...outside,
          raw(server, port, count)
        ],
        targets: [
          { against: same, atMost: 1.1 },
          ...more.map(({ name }) => ({ against: name, atMost: 1 })),
          ...outside.map(({ name }) => ({ against: name, atMost: 1 }))
        ],
        bound: roundTrip === 0 || recipe.octets > 10_000
          ? "CPU of one Node process"
          : "round trips between chunks, then CPU of one Node process"
      })
    }
  }
  return server.name
})

export const suite: Suite = {
  name: "fetch-many",
  question: "How fast is a whole mailbox read, every message apart?",
  run: (bench) =>
    Effect.gen(function*() {
      const small: MailboxRecipe = { path: "INBOX", count: bench.size(10_000, 1_000), octets: 3_000, kind: "plain" }
      const large: MailboxRecipe = { path: "INBOX", count: bench.size(1_000, 100), octets: 100_000, kind: "plain" }
      const name = yield* Effect.scoped(
        compare(bench, small, `${small.count} x 3 kB`, bench.size([0, 10, 40], [0]), bench.size([1, 2, 3, 4], [1, 3]))
      )
      yield* Effect.scoped(
        compare(bench, large, `${large.count} x 100 kB`, bench.size([0, 40], [0]), bench.size([1, 4], [1]))
      )
      return name
    })
}
