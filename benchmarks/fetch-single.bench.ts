/** What does the library cost for one message at a time, on a connection that is already open? */
import { Effect, Stream } from "effect"
import { delayed } from "./DelayProxy.ts"
import type { Digest, Suite } from "./Harness.ts"
import { allOf, imapAccount } from "./Library.ts"
import { type MailboxRecipe, messagesOf, Tally } from "./Mail.ts"
import { connected, fetchSource, perOperation } from "./peers/imapflow.ts"
import { rawImap } from "./peers/rawImap.ts"
import { imapServer } from "./Servers.ts"

export const suite: Suite = {
  name: "fetch-single",
  question: "What does one message cost, fetched alone by one caller over a warm connection?",
  run: (bench) =>
    Effect.gen(function*() {
      const recipe: MailboxRecipe = { path: "INBOX", count: 500, octets: 3_000, kind: "plain" }
      const server = yield* imapServer([recipe])
      const sources = [...messagesOf(recipe)]
      const uids = (count: number) => Array.from({ length: count }, (_, index) => index % recipe.count + 1)
      const expected = (count: number): Digest => ({ count, octets: count * recipe.octets })
      for (const roundTrip of bench.size([0, 10, 40], [0, 10])) {
        const port = yield* delayed(server.port, roundTrip)
        const operations = roundTrip === 0 ? bench.size(2_000, 100) : 20
        const few = roundTrip === 0 ? 10 : 2
        yield* bench.measure({
          name: `${roundTrip} ms round trip`,
          unit: "us",
          operations,
          expected: expected(operations),
          subjects: [
            {
              name: "effect-mail",
              role: "library",
              open: Effect.gen(function*() {
                const account = yield* imapAccount(server, port, 1)
                const inbox = yield* allOf(account, "INBOX")
                return Effect.gen(function*() {
                  const tally = new Tally()
                  for (const uid of uids(operations)) {
                    yield* Stream.runForEach(
                      account.fetch(inbox.ref(uid), { source: true }),
                      ({ source }) => Effect.sync(() => tally.add(source))
                    )
                  }
                  return { digest: tally.digest }
                })
              })
            },
            {
              name: "imapflow, held",
              role: "peer",
              open: Effect.map(connected(server, port, "INBOX"), (client) =>
                Effect.promise(async () => {
                  const tally = new Tally()
                  for (const uid of uids(operations)) tally.add(await fetchSource(client, uid))
                  return { digest: tally.digest }
                }))
            },
            {
              name: "imapflow, a connection per operation",
              role: "peer",
              operations: few,
              expected: expected(few),
              open: Effect.succeed(Effect.promise(async () => {
                const tally = new Tally()
                for (const uid of uids(few)) {
                  tally.add(await perOperation(server, port, "INBOX", (client) => fetchSource(client, uid)))
                }
                return { digest: tally.digest }
              }))
            },
            {
              name: "raw socket",
              role: "limit",
              open: Effect.map(rawImap(server, port, "INBOX"), (raw) =>
                Effect.promise(async () => {
                  for (const uid of uids(operations)) await raw.command(`UID FETCH ${uid} (BODY.PEEK[])`)
                  return { digest: { count: operations } }
                }))
            }
          ],
          targets: roundTrip === 0
            ? [
              { against: "imapflow, held", atMost: 1.25 },
              { against: "imapflow, a connection per operation", atMost: 1 / 50 }
            ]
            : [{ against: "imapflow, held", atMost: 1.25 }],
          bound: roundTrip === 0 ? "CPU of client and server" : "the round trip"
        })
      }
      // Sizes alone would not notice two messages exchanged.
      bench.note(`${sources.length} messages of ${recipe.octets} octets in the mailbox.`)
      return server.name
    })
}
