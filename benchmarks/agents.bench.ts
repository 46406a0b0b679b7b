/** What do many agents get who share one account and its cap, each waiting for one message before asking for the next? */
import { Effect, Semaphore, Stream } from "effect"
import { Agent } from "effect-mail"
import { delayed } from "./DelayProxy.ts"
import type { Digest, Suite } from "./Harness.ts"
import { allOf, imapAccount } from "./Library.ts"
import { digestOf, type MailboxRecipe, Tally } from "./Mail.ts"
import { ClientPool, connectedAll, fetchSource, perOperation } from "./peers/imapflow.ts"
import { rawImap } from "./peers/rawImap.ts"
import { imapServer } from "./Servers.ts"

const agents = 16
const each = 10
const cap = 4
const usualRoundTrip = 40

export const suite: Suite = {
  name: "agents",
  question:
    `${agents} agents fetch ${each} messages each, one after another, ${usualRoundTrip} ms away, with ${cap} connections: how long?`,
  run: (bench) =>
    Effect.gen(function*() {
      const paths = ["INBOX", "Alpha", "Beta", "Gamma", "Delta"]
      const recipes = paths.map((path): MailboxRecipe => ({ path, count: agents * each, octets: 3_000, kind: "plain" }))
      const server = yield* imapServer(recipes)
      const roundTrip = bench.size(usualRoundTrip, 10)
      const port = yield* delayed(server.port, roundTrip)
      // Each message is read by one agent, so the digest of the mailboxes' parts is known beforehand.
      const [whole] = recipes
      const expected: Digest = whole === undefined ? { count: 0 } : digestOf(whole)
      const scenarios = [
        { name: "one mailbox", boxes: 1, atMost: 1.3, faster: 3.5 },
        { name: "two mailboxes in turn", boxes: 2, atMost: 1.5, faster: 3.5 },
        { name: "five mailboxes in turn", boxes: 5, atMost: undefined, faster: 2.5 }
      ]
      for (const { atMost, boxes, faster, name } of scenarios) {
        /** What an agent reads in its turn: all mailboxes hold the same messages, so every plan has the same digest. */
        const wanted = (agent: number, turn: number) => ({
          mailbox: paths[(agent + turn) % boxes] ?? "INBOX",
          uid: agent * each + turn + 1
        })
        const all = <E>(read: (agent: number, turn: number) => Effect.Effect<Uint8Array, E>) =>
          Effect.gen(function*() {
            const tally = new Tally()
            yield* Effect.forEach(
              Array.from({ length: agents }, (_, agent) => agent),
              (agent) =>
                Effect.gen(function*() {
                  for (let turn = 0; turn < each; turn++) tally.add(yield* read(agent, turn))
                }),
              { concurrency: "unbounded", discard: true }
            )
            return { digest: tally.digest }
          })
        const limit = `${each} round trips`
        const pool = `imapflow, ${cap} clients with locks`
        const shared = "imapflow, one client with locks"
        const single = `imapflow, a connection per operation, ${cap} at once`
        yield* bench.measure({
          name: `${name}, ${roundTrip} ms round trip`,
          rounds: 3,
          expected,
          subjects: [
            {
              name: "effect-mail",
              role: "library",
              open: Effect.gen(function*() {
                const account = yield* imapAccount(server, port, cap)
                const sets = new Map<string, Effect.Success<ReturnType<typeof allOf>>>()
                for (const path of paths.slice(0, boxes)) sets.set(path, yield* allOf(account, path))
                return all((agent, turn) => {
                  const { mailbox, uid } = wanted(agent, turn)
                  const set = sets.get(mailbox)
                  if (set === undefined) return Effect.die(new Error(`no ${mailbox}`))
                  return account.fetch(set.ref(uid), { source: true }).pipe(
                    Stream.runCollect,
                    Effect.map(([row]) => row?.source ?? new Uint8Array()),
                    Agent.as(`agent-${agent}`)
                  )
                })
              })
            },
            {
              name: pool,
              role: "peer",
              open: Effect.map(connectedAll(server, port, cap), (clients) => {
                const pool = new ClientPool(clients)
                return all((agent, turn) => {
                  const { mailbox, uid } = wanted(agent, turn)
                  return Effect.promise(() => pool.with(mailbox, (client) => fetchSource(client, uid)))
                })
              })
            },
            {
              name: shared,
              role: "peer",
              ...(bench.quick ? { skip: "takes too long for a quick run" } : {}),
              open: Effect.map(connectedAll(server, port, 1), (clients) => {
                const pool = new ClientPool(clients)
                return all((agent, turn) => {
                  const { mailbox, uid } = wanted(agent, turn)
                  return Effect.promise(() => pool.with(mailbox, (client) => fetchSource(client, uid)))
                })
              })
            },
            {
              name: single,
              role: "peer",
              ...(bench.quick ? { skip: "takes too long for a quick run" } : {}),
              open: Effect.sync(() => {
                const slots = Semaphore.makeUnsafe(cap)
                return all((agent, turn) => {
                  const { mailbox, uid } = wanted(agent, turn)
                  return slots.withPermits(1)(
                    Effect.promise(() => perOperation(server, port, mailbox, (client) => fetchSource(client, uid)))
                  )
                })
              })
            },
            {
              name: limit,
              role: "limit",
              expected: { count: each },
              open: Effect.map(rawImap(server, port, "INBOX"), (raw) =>
                Effect.promise(async () => {
                  for (let turn = 0; turn < each; turn++) await raw.command("NOOP")
                  return { digest: { count: each } }
                }))
            }
          ],
          targets: [
            ...(atMost === undefined ? [] : [{ against: limit, atMost }]),
            ...[pool, shared, single].map((against) => ({ against, atMost: 1 / faster }))
          ],
          bound: "the round trip: whoever waits for each answer needs one for each message"
        })
      }
      return server.name
    })
}
