import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { Agent, Draft, MessageRef, RateWindow, RetryPolicy } from "../../src/index.ts"
import { begin, open, pass, serve, settle, timesOf } from "./MemoryAccount.ts"

const window = (per: RateWindow["per"], limit: number) => new RateWindow({ per, limit, window: Duration.seconds(10) })

const draft = (...to: ReadonlyArray<string>) => new Draft({ to: [...to], subject: "hello", text: "hello" })

const many = <A, E>(count: number, operation: Effect.Effect<A, E>) =>
  begin(Effect.all(Array.from({ length: count }, () => operation), { concurrency: "unbounded" }))

describe("a rate window", () => {
  it.effect("of the account lets operations begin only as it has room", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { rates: [window("account", 3)] } })
      const all = yield* many(7, account.status("INBOX"))
      yield* pass(21_000, 500)
      yield* Fiber.join(all)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 0, 0, 10_000, 10_000, 10_000, 20_000])
    }))

  it.effect("of an agent holds that agent and no other", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { rates: [window("agent", 2)] } })
      const busy = yield* many(3, Agent.as("busy")(account.status("INBOX")))
      yield* pass(1_000)
      assert.strictEqual(timesOf(server, "STATUS").length, 2)
      yield* Agent.as("calm")(account.status("INBOX"))
      const { rates, waitingForRates } = yield* account.stats
      assert.deepStrictEqual(rates, [
        { per: "agent", key: "busy", used: 2, limit: 2, windowMillis: 10_000 },
        { per: "agent", key: "calm", used: 1, limit: 2, windowMillis: 10_000 }
      ])
      assert.strictEqual(waitingForRates, 1)
      yield* pass(10_000, 250)
      yield* Fiber.join(busy)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 0, 1_000, 10_000])
    }))

  it.effect("of messages sent counts messages, and leaves reading alone", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { rates: [window("send", 1)] } })
      const sending = yield* many(2, account.send(draft("bob@example.com")))
      yield* pass(1_000)
      yield* account.status("INBOX")
      assert.strictEqual(server.accepted().length, 1)
      yield* pass(10_000, 250)
      yield* Fiber.join(sending)
      assert.deepStrictEqual(timesOf(server, "DATA").length, 2)
      assert.strictEqual(server.accepted().length, 2)
    }))

  it.effect("of recipients counts each of them", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { rates: [window("recipients", 3)] } })
      yield* account.send(draft("ann@example.com", "bob@example.com"))
      const second = yield* begin(account.send(draft("ann@example.com", "bob@example.com")))
      yield* pass(9_000, 500)
      assert.strictEqual(server.accepted().length, 1)
      yield* pass(1_500)
      yield* Fiber.join(second)
      const tooMany = ["a", "b", "c", "d"].map((name) => `${name}@example.com`)
      assert.strictEqual((yield* Effect.flip(account.send(draft(...tooMany)))).reason._tag, "InvalidInput")
    }))

  it.effect("of octets counts what was read once it is known", () =>
    Effect.gen(function*() {
      const server = serve()
      const inbox = server.store.user("ann")?.inbox
      const account = yield* open(server, { limits: { rates: [window("bytes", 500)] } })
      const ref = (uid: number) => new MessageRef({ mailbox: "INBOX", uidValidity: inbox?.uidValidity ?? 0, uid })
      yield* account.message(ref(1))
      const second = yield* begin(account.message(ref(2)))
      yield* pass(9_000, 500)
      assert.strictEqual(timesOf(server, "UID FETCH").length, 1)
      yield* pass(1_500)
      yield* Fiber.join(second)
      assert.deepStrictEqual(timesOf(server, "UID FETCH"), [0, 10_000])
    }))

  it.effect("that is used up fails at once where that is wanted, and tells when it would have room", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { rates: [window("account", 1)], onLimit: "fail" } })
      yield* account.status("INBOX")
      yield* pass(4_000)
      const { reason } = yield* Effect.flip(account.status("INBOX"))
      assert.deepInclude(reason, { _tag: "RateLimited", scope: "account", retryAfter: Duration.seconds(6) })
      assert.strictEqual(timesOf(server, "STATUS").length, 1)
    }))

  it.effect("has its room back from an operation that was interrupted before it began", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "1 second" })
      const account = yield* open(server, { limits: { imapConnections: 1, rates: [window("account", 2)] } })
      const running = yield* begin(account.status("INBOX"))
      yield* pass(2_500)
      const waiting = yield* begin(account.status("INBOX"))
      yield* pass(100)
      assert.strictEqual((yield* account.stats).rates[0]?.used, 2)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* account.stats).rates[0]?.used, 1)
      yield* pass(2_000)
      yield* Fiber.join(running)
    }))

  it.effect("is passed by every attempt: a repetition counts like a first one", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, {
        limits: { rates: [window("account", 2)] },
        retry: RetryPolicy.make({ base: "1 second", jitter: 0 })
      })
      const busy = { _tag: "Refuse", status: "NO", code: "INUSE", text: "in use" } as const
      server.faults.add({ protocol: "imap", at: "STATUS", times: 2, action: busy })
      const fiber = yield* begin(account.status("INBOX"))
      yield* pass(11_000, 250)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 1_000, 10_000])
    }))

  it.effect("and the queue share maxWait: who has waited for the one waits less in the other", () =>
    Effect.gen(function*() {
      const server = serve()
      const limits = { imapConnections: 1, rates: [window("account", 1)], maxWait: Duration.seconds(12) }
      const account = yield* open(server, { limits })
      const working = yield* begin(account.withMailbox("INBOX", () => Effect.never))
      yield* settle
      const waiting = yield* begin(Effect.flip(account.status("INBOX")))
      yield* pass(11_950)
      assert.isUndefined(waiting.pollUnsafe())
      yield* pass(50)
      const { reason } = yield* Fiber.join(waiting)
      assert.deepInclude(reason, { _tag: "TimedOut", wait: "queue", after: Duration.seconds(12), written: false })
      yield* Fiber.interrupt(working)
    }))

  it.effect("is waited for by no more than the queue holds", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { queue: 2, rates: [window("account", 1)] } })
      yield* account.status("INBOX")
      const waiting = yield* many(2, account.status("INBOX"))
      yield* settle
      const { reason } = yield* Effect.flip(account.status("INBOX"))
      assert.deepInclude(reason, { _tag: "QueueFull", limit: 2 })
      yield* pass(21_000, 500)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 10_000, 20_000])
    }))

  it.effect("that will not have room within maxWait fails at once, and tells when it will", () =>
    Effect.gen(function*() {
      const server = serve()
      const limits = { rates: [window("account", 1)], maxWait: Duration.seconds(5) }
      const account = yield* open(server, { limits })
      yield* account.status("INBOX")
      const { reason } = yield* Effect.flip(account.status("INBOX"))
      assert.deepInclude(reason, { _tag: "RateLimited", scope: "account", retryAfter: Duration.seconds(10) })
      yield* pass(6_000)
      const waiting = yield* begin(account.status("INBOX"))
      yield* pass(4_000)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 10_000])
    }))

  it.effect("counts each caller of a shared command", () =>
    Effect.gen(function*() {
      const server = serve()
      const uidValidity = server.store.user("ann")?.inbox.uidValidity ?? 0
      const account = yield* open(server, { limits: { rates: [window("account", 3)] } })
      const all = yield* begin(Effect.forEach(
        [1, 2, 3, 4],
        (uid) => account.message(new MessageRef({ mailbox: "INBOX", uidValidity, uid })),
        { concurrency: "unbounded" }
      ))
      yield* pass(11_000, 250)
      yield* Fiber.join(all)
      assert.deepStrictEqual(timesOf(server, "UID FETCH"), [0, 10_000])
    }))
})
