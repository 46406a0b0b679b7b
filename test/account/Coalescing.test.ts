import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { Agent, MessageRef, RetryPolicy } from "../../src/index.ts"
import { begin, open, pass, serve, timesOf } from "./MemoryAccount.ts"

/** An account whose server takes 100 milliseconds for a command, with the UID sets of the FETCH commands it was sent. */
const recording = Effect.gen(function*() {
  const server = serve({ latency: "100 millis" })
  const ranges: Array<string> = []
  const account = yield* open({
    ...server,
    imap: {
      connect: (options) =>
        Effect.map(server.imap.connect(options), (connection) => ({
          ...connection,
          fetch: (...args: Parameters<typeof connection.fetch>) => {
            ranges.push(args[0])
            return connection.fetch(...args)
          }
        }))
    }
  }, { limits: { imapConnections: 1 }, retry: RetryPolicy.none })
  const inbox = server.store.user("ann")?.inbox
  const ref = (uid: number) => new MessageRef({ mailbox: "INBOX", uidValidity: inbox?.uidValidity ?? 0, uid })
  const read = (uid: number) => Agent.as(`agent-${uid}`)(account.message(ref(uid)))
  return { account, inbox, ranges, read, ref, server }
})

describe("messages that are asked for at the same moment", () => {
  it.effect("are fetched with one command, each of them once, however many ask", () =>
    Effect.gen(function*() {
      const { ranges, read, server } = yield* recording
      const all = yield* begin(Effect.forEach(
        Array.from({ length: 16 }, (_, n) => 1 + n % 4),
        (uid) => read(uid),
        { concurrency: "unbounded" }
      ))
      yield* pass(1_000)
      const messages = yield* Fiber.join(all)
      assert.deepStrictEqual(messages.map(({ subject }) => subject).slice(0, 4), [
        "mail 1",
        "mail 2",
        "mail 3",
        "mail 4"
      ])
      assert.deepStrictEqual(ranges, ["1:4"])
      assert.strictEqual(timesOf(server, "SELECT").length, 1)
    }))

  it.effect("while a command runs wait for the next one together", () =>
    Effect.gen(function*() {
      const { ranges, read } = yield* recording
      const first = yield* begin(read(1))
      yield* pass(250)
      const others = yield* begin(Effect.forEach([2, 3, 4], read, { concurrency: "unbounded" }))
      yield* pass(1_000)
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      assert.deepStrictEqual(ranges, ["1", "2:4"])
    }))

  it.effect("are there for the others when one of them is not", () =>
    Effect.gen(function*() {
      const { ranges, read } = yield* recording
      const all = yield* begin(
        Effect.forEach([1, 99, 3], (uid) => Effect.exit(read(uid)), { concurrency: "unbounded" })
      )
      yield* pass(1_000)
      const [one, missing, three] = yield* Fiber.join(all)
      assert.isTrue(one !== undefined && Exit.isSuccess(one))
      assert.isTrue(three !== undefined && Exit.isSuccess(three))
      assert.include(String(missing), "MessageNotFound")
      assert.deepStrictEqual(ranges, ["1,3,99"])
    }))

  it.effect("are there for the others when one caller, or the first of them, is interrupted", () =>
    Effect.gen(function*() {
      for (const impatient of [1, 2]) {
        const { ranges, read, server } = yield* recording
        const fibers = yield* Effect.forEach([1, 2, 3], (uid) => begin(read(uid)))
        yield* pass(350)
        assert.deepStrictEqual(ranges, ["1:3"])
        yield* Effect.forEach(fibers, (fiber, index) => index + 1 === impatient ? Fiber.interrupt(fiber) : Effect.void)
        yield* pass(1_000)
        for (const [index, fiber] of fibers.entries()) {
          if (index + 1 !== impatient) assert.strictEqual((yield* Fiber.join(fiber)).ref.uid, index + 1)
        }
        assert.strictEqual(timesOf(server, "LOGIN").length, 1)
        assert.strictEqual(timesOf(server, "UID FETCH").length, 1)
      }
    }))

  it.effect("wait for no slow consumer: a stream that is not read holds nobody up", () =>
    Effect.gen(function*() {
      const { account, read, ref } = yield* recording
      const slow = yield* begin(
        account.messages([1, 2, 3].map(ref)).pipe(
          Stream.mapEffect(() => Effect.sleep("1 hour")),
          Stream.runDrain
        )
      )
      yield* pass(1_000)
      const quick = yield* begin(read(4))
      yield* pass(1_000)
      assert.strictEqual((yield* Fiber.join(quick)).subject, "mail 4")
      yield* Fiber.interrupt(slow)
    }))

  it.effect("with other items are not mixed up", () =>
    Effect.gen(function*() {
      const { account, ranges, read, ref } = yield* recording
      const both = yield* begin(Effect.all(
        [read(1), Stream.runCollect(account.fetch([ref(2)], { flags: true }))],
        { concurrency: 2 }
      ))
      yield* pass(1_000)
      const [message, rows] = yield* Fiber.join(both)
      assert.strictEqual(message.subject, "mail 1")
      assert.deepStrictEqual(rows.map(({ flags, ref }) => [ref.uid, flags]), [[2, []]])
      assert.deepStrictEqual(ranges, ["1", "2"])
    }))
})
