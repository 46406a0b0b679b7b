import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result, Stream } from "effect"
import { Agent, MessageRef, MessageSet, Query, Rejected, RetryPolicy } from "../../src/index.ts"
import type { MemoryMailOptions } from "../../src/testing/index.ts"
import { begin, mail, open, pass, serve, timesOf, withConnections } from "./MemoryAccount.ts"

/**
 * An account whose server takes 100 milliseconds for a command, with the UID sets of the FETCH commands it was sent.
 * Default: four messages and one connection.
 */
const recordingOf = Effect.fnUntraced(function*(options: MemoryMailOptions = {}, imapConnections = 1) {
  const server = serve({ latency: "100 millis", ...options })
  const ranges: Array<string> = []
  const account = yield* open(
    withConnections(server, ({ fetch }) => ({
      fetch: (...args) => {
        ranges.push(args[0])
        return fetch(...args)
      }
    })),
    { limits: { imapConnections }, retry: RetryPolicy.none }
  )
  const inbox = server.store.user("ann")?.inbox
  const ref = (uid: number) => new MessageRef({ mailbox: "INBOX", uidValidity: inbox?.uidValidity ?? 0, uid })
  const read = (uid: number) => Agent.as(`agent-${uid}`)(account.message(ref(uid)))
  return { account, inbox, ranges, read, ref, server }
})

const recording = recordingOf()

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

  it.effect("are there for the others when the server refuses one of them", () =>
    Effect.gen(function*() {
      const server = serve()
      const refused = new Rejected({ text: "this one cannot be read", transient: false })
      const ranges: Array<string> = []
      const account = yield* open(
        withConnections(server, ({ fetch }) => ({
          fetch: (...args) => {
            const [range] = args
            ranges.push(range)
            return ["1:4", "1:2", "2"].includes(range) ? Effect.fail(refused) : fetch(...args)
          }
        })),
        { limits: { imapConnections: 1 } }
      )
      const { uidValidity = 0 } = server.store.user("ann")?.inbox ?? {}
      const all = yield* begin(
        Effect.forEach(
          [1, 2, 3, 4],
          (uid) => Effect.result(account.message(new MessageRef({ mailbox: "INBOX", uidValidity, uid }))),
          { concurrency: "unbounded" }
        )
      )
      yield* pass(1_000)
      assert.deepStrictEqual(
        (yield* Fiber.join(all)).map(Result.match({
          onFailure: ({ reason }) => reason._tag,
          onSuccess: ({ subject }) => subject
        })),
        ["mail 1", "Rejected", "mail 3", "mail 4"]
      )
      assert.deepStrictEqual(ranges, ["1:4", "1:2", "1", "2", "3:4"])
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

  it.effect("in another mailbox are not mixed up, whatever the mailboxes are called", () =>
    Effect.gen(function*() {
      const subjects = (name: string, count: number) =>
        Array.from({ length: count }, (_, index) => `Subject: ${name} ${index + 1}\r\n\r\nhello`)
      const mailboxes = { A: subjects("of A", 40), "A 5": subjects("of A 5", 40) }
      const server = serve({
        latency: "100 millis",
        users: [{ name: "ann", password: "secret", address: "ann@example.com", mailboxes }]
      })
      // a server may give all of its mailboxes the same UIDVALIDITY
      const uidValidity = 1
      const account = yield* open(
        withConnections(server, ({ select }) => ({
          select: (...args) => Effect.map(select(...args), (selected) => ({ ...selected, uidValidity }))
        })),
        // the first chunk of a batch asks for 64 KiB of each message, as who reads a single one does
        { limits: { imapConnections: 1, batchBytes: 8 * 1024 * 1024 }, retry: RetryPolicy.none }
      )
      const before = yield* begin(account.status("A"))
      const uids = Array.from({ length: 36 }, (_, index) => index + 5)
      const batch = yield* begin(Stream.runCollect(account.messages(MessageSet.of("A", uidValidity, uids))))
      const one = yield* begin(account.message(new MessageRef({ mailbox: "A 5", uidValidity, uid: 7 })))
      yield* pass(3_000)
      yield* Fiber.join(before)
      assert.strictEqual((yield* Fiber.join(one)).subject, "of A 5 7")
      assert.deepStrictEqual((yield* Fiber.join(batch)).map(({ subject }) => subject), uids.map((uid) => `of A ${uid}`))
    }))

  it.effect("by names that are of another time are refused, and the others are there", () =>
    Effect.gen(function*() {
      const { account, read, ref } = yield* recording
      const { mailbox, uid, uidValidity } = ref(1)
      const old = new MessageRef({ mailbox, uid, uidValidity: uidValidity + 1 })
      const both = yield* begin(Effect.all([Effect.flip(account.message(old)), read(2)], { concurrency: 2 }))
      yield* pass(2_000)
      const [{ reason }, message] = yield* Fiber.join(both)
      assert.deepInclude(reason, { _tag: "MailboxChanged", expected: uidValidity + 1, actual: uidValidity })
      assert.strictEqual(message.subject, "mail 2")
    }))

  it.effect("as chunks of one batch are not: each is for a connection of its own", () =>
    Effect.gen(function*() {
      const INBOX = Array.from({ length: 1_000 }, (_, index) => mail(index + 1))
      const { account, ranges, server } = yield* recordingOf({
        users: [{ name: "ann", password: "secret", address: "ann@example.com", mailboxes: { INBOX } }]
      }, 3)
      const read = Effect.flatMap(
        account.search(Query.inbox),
        (all) => Stream.runCollect(account.fetch(all, { source: true }))
      )
      for (const times of [1, 2]) {
        ranges.length = 0
        const reading = yield* begin(read)
        yield* pass(5_000)
        assert.strictEqual((yield* Fiber.join(reading)).length, 1_000)
        assert.includeMembers(ranges, ["1:32", "33:64", "65:96"])
        // all are opened while the batch is read for the first time, and none later
        assert.strictEqual(timesOf(server, "LOGIN").length, 3, `read ${times} times`)
      }
    }))
})
