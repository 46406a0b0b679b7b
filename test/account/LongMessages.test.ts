import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Query } from "../../src/index.ts"
import { MemoryMail } from "../../src/testing/index.ts"
import { open } from "./MemoryAccount.ts"

/** Longer than what is fetched of a message together with others. */
const long = (n: number) => `Subject: long ${n}\r\n\r\n${`${"x".repeat(78)}\r\n`.repeat(1_000)}`
const count = 24

describe("a batch of long messages", () => {
  it.effect("completes each when its turn comes, not all that are in a chunk", () =>
    Effect.gen(function*() {
      const server = MemoryMail.make({
        users: [{
          name: "ann",
          password: "secret",
          address: "ann@example.com",
          mailboxes: { INBOX: Array.from({ length: count }, (_, n) => long(n)) }
        }]
      })
      const account = yield* open(server, { limits: { imapConnections: 2 } })
      const first = yield* account.fetch(Query.inbox, { source: true }).pipe(Stream.take(1), Stream.runCollect)
      assert.strictEqual(Buffer.from(first[0]?.source ?? []).toString(), long(0))
      // the search, the chunk, and what is completed ahead of the consumer
      assert.isBelow(server.commands().filter(({ verb }) => verb === "FETCH").length, count / 2)

      const all = yield* Stream.runCollect(account.fetch(Query.inbox, { source: true }))
      assert.deepStrictEqual(
        all.map(({ source }) => source.length),
        Array.from({ length: count }, (_, n) => long(n).length)
      )
    }))

  it.effect("passes over one that goes away before its turn", () =>
    Effect.gen(function*() {
      const server = MemoryMail.make({
        users: [{
          name: "ann",
          password: "secret",
          address: "ann@example.com",
          mailboxes: { INBOX: Array.from({ length: count }, (_, n) => long(n)) }
        }]
      })
      const account = yield* open(server, { limits: { imapConnections: 1 } })
      const inbox = server.store.user("ann")?.inbox
      const seen = yield* account.fetch(Query.inbox, { source: true }).pipe(
        Stream.tap(({ ref }) => Effect.sync(() => ref.uid === 1 ? inbox?.take([count]) : undefined)),
        Stream.runCollect
      )
      assert.deepStrictEqual(seen.map(({ ref }) => ref.uid), Array.from({ length: count - 1 }, (_, n) => n + 1))
    }))
})
