import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Query } from "../../src/index.ts"
import { MemoryMail, SampleMail } from "../../src/testing/index.ts"
import { begin, open, pass } from "./MemoryAccount.ts"

const holding = (sources: ReadonlyArray<Uint8Array>) =>
  MemoryMail.make({
    users: [{ name: "ann", password: "secret", address: "ann@example.com", mailboxes: { INBOX: sources } }]
  })

const messages = (sizes: ReadonlyArray<number>) => sizes.map((octets, index) => SampleMail.plain({ index, octets }))

const fetchesOf = (server: MemoryMail["Service"]) =>
  server.commands().filter(({ verb }) => verb.includes("FETCH")).length

const mebi = 1024 * 1024

describe("a batch of long messages", () => {
  it.effect("brings each whole and in its place, whatever its length", () =>
    Effect.gen(function*() {
      const sources = messages([500, 70_000, 65_536, 300, 131_072, 1_300_000, 65_537, 9 * mebi, 900])
      const account = yield* open(holding(sources))
      for (const query of [Query.inbox, (yield* account.search(Query.inbox)).ref(8)]) {
        const rows = yield* Stream.runCollect(account.fetch(query, { source: true }))
        for (const { ref, source } of rows) {
          assert.isTrue(Buffer.from(source).equals(sources[ref.uid - 1] ?? new Uint8Array()), `message ${ref.uid}`)
        }
      }
    }))

  it.effect("completes those that are not very long together", () =>
    Effect.gen(function*() {
      const server = holding(messages(Array.from({ length: 20 }, () => 100_000)))
      const account = yield* open(server)
      const rows = yield* Stream.runCollect(account.fetch(Query.inbox, { source: true }))
      assert.deepStrictEqual(rows.map(({ source }) => source.length), Array.from({ length: 20 }, () => 100_000))
      assert.strictEqual(fetchesOf(server), 2)
    }))

  it.effect("has none to complete where all are of a usual length, from the first command on", () =>
    Effect.gen(function*() {
      const server = holding(messages(Array.from({ length: 300 }, () => 100_000)))
      const account = yield* open(server, { limits: { imapConnections: 4 } })
      yield* Stream.runDrain(account.fetch(Query.inbox, { source: true }))
      // the first of each connection, and as many as the budget wants for the others
      assert.isAtMost(fetchesOf(server), 4 + 4)
    }))

  it.effect("has none to complete where some are much longer than most", () =>
    Effect.gen(function*() {
      const server = holding(messages(Array.from({ length: 500 }, (_, n) => n % 20 === 19 ? 300_000 : 3_000)))
      const account = yield* open(server, { limits: { imapConnections: 2 } })
      yield* Stream.runDrain(account.fetch(Query.inbox, { source: true }))
      assert.isAtMost(fetchesOf(server), 2 + 2)
    }))

  it.effect("completes the very long ones when their turn comes, not all that are in a chunk", () =>
    Effect.gen(function*() {
      const server = holding(messages(Array.from({ length: 24 }, () => mebi)))
      const account = yield* open(server, { limits: { imapConnections: 2 } })
      const first = yield* account.fetch(Query.inbox, { source: true }).pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(first.map(({ source }) => source.length), [mebi])
      // the chunk, what follows of all of them, and those that are completed ahead of the consumer
      assert.isAtMost(fetchesOf(server), 2 + 4)
    }))

  it.effect("fails with TooLarge where one is longer than what may be held, and streams it all the same", () =>
    Effect.gen(function*() {
      const server = holding(messages([500, 3 * mebi]))
      const account = yield* open(server, { limits: { maxMessageBytes: 2 * mebi } })
      const long = (yield* account.search(Query.inbox)).ref(2)
      const { reason } = yield* Effect.flip(account.message(long))
      assert.deepInclude(reason, { _tag: "TooLarge", limit: 2 * mebi })
      const all = yield* Effect.flip(Stream.runDrain(account.messages(Query.inbox)))
      assert.strictEqual(all.reason._tag, "TooLarge")
      const pages = yield* Stream.runCollect(account.source(long))
      assert.strictEqual(pages.reduce((sum, page) => sum + page.length, 0), 3 * mebi)
    }))

  it.effect("asks again in halves for parts that are too large together", () =>
    Effect.gen(function*() {
      const server = holding(messages(Array.from({ length: 20 }, () => mebi)))
      const account = yield* open(server, { limits: { maxMessageBytes: 2 * mebi, batchBytes: 6 * mebi } })
      const fiber = yield* begin(Stream.runCollect(account.fetch(Query.inbox, { parts: ["1"] })))
      yield* pass(5_000)
      const rows = yield* Fiber.join(fiber)
      assert.deepStrictEqual(rows.map(({ ref }) => ref.uid), Array.from({ length: 20 }, (_, n) => n + 1))
      assert.isTrue(rows.every(({ parts }) => (parts.get("1")?.length ?? 0) > 900_000))
      // no answer is larger than what the batch may hold
      assert.isAtLeast(fetchesOf(server), 20 / 6)
    }))

  it.effect("asks for each alone where different callers have asked for too much together", () =>
    Effect.gen(function*() {
      const server = holding(messages(Array.from({ length: 6 }, () => mebi)))
      const limits = { imapConnections: 1, maxMessageBytes: 2 * mebi, batchBytes: 2 * mebi }
      const account = yield* open(server, { limits })
      const { refs } = yield* account.search(Query.inbox)
      const fiber = yield* begin(Effect.forEach(
        refs,
        (ref) => Stream.runCollect(account.fetch(ref, { parts: ["1"] })),
        { concurrency: "unbounded" }
      ))
      yield* pass(5_000)
      const found = (yield* Fiber.join(fiber)).flat()
      assert.deepStrictEqual(found.map(({ ref }) => ref.uid), refs.map(({ uid }) => uid))
      assert.isTrue(found.every(({ parts }) => (parts.get("1")?.length ?? 0) > 900_000))
      assert.strictEqual(fetchesOf(server), 1 + refs.length)
    }))

  it.effect("passes over one that goes away before its turn", () =>
    Effect.gen(function*() {
      const count = 24
      const server = holding(messages(Array.from({ length: count }, () => mebi)))
      const account = yield* open(server, { limits: { imapConnections: 1 } })
      const inbox = server.store.user("ann")?.inbox
      const seen = yield* account.fetch(Query.inbox, { source: true }).pipe(
        Stream.tap(({ ref }) => Effect.sync(() => ref.uid === 1 ? inbox?.take([count]) : undefined)),
        Stream.runCollect
      )
      assert.deepStrictEqual(seen.map(({ ref }) => ref.uid), Array.from({ length: count - 1 }, (_, n) => n + 1))
    }))
})
