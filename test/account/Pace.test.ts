import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { AuthenticationFailed, Draft, HostLimits, RetryPolicy } from "../../src/index.ts"
import type { FaultAction } from "../../src/testing/index.ts"
import { begin, open, pass, serve, settle, timesOf } from "./MemoryAccount.ts"

const slowDown = (millis?: number): FaultAction => ({
  _tag: "Refuse",
  status: "NO",
  text: `Request is throttled.${millis === undefined ? "" : ` Suggested Backoff Time: ${millis} milliseconds`}`
})

const soon = RetryPolicy.make({ base: "1 millis", jitter: 0, times: 3 })

describe("a server that asks to slow down", () => {
  it.effect("on one connection is obeyed by all of them, to the millisecond", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "10 millis" })
      const account = yield* open(server, { limits: { imapConnections: 2 }, retry: RetryPolicy.none })
      const warm = yield* begin(Effect.all([1, 2, 3].map(() => account.status("INBOX")), { concurrency: 3 }))
      yield* pass(1_000)
      yield* Fiber.join(warm)
      server.forget()
      server.faults.add({ protocol: "imap", at: "STATUS", action: slowDown(30_000) })
      const told = yield* begin(Effect.flip(account.status("INBOX")))
      yield* pass(10, 1)
      const { reason } = yield* Fiber.join(told)
      assert.deepInclude(reason, { _tag: "Throttled", retryAfter: Duration.seconds(30) })
      const heardAt = 1_010
      const others = yield* Effect.forEach([1, 2], () => begin(account.status("INBOX")))
      yield* pass(31_000, 100)
      for (const other of others) yield* Fiber.join(other)
      assert.deepStrictEqual(timesOf(server, "STATUS").slice(1), [1, 2].map(() => heardAt + 30_000 + 5))
    }))

  it.effect("without saying for how long gets two seconds, and four when it asks again", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { retry: soon })
      server.faults.add({ protocol: "imap", at: "STATUS", times: 2, action: slowDown() })
      const fiber = yield* begin(account.status("INBOX"))
      yield* pass(10_000)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 2_000, 6_000])
    }))

  it.effect("gets two seconds again once a minute has passed well", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { retry: soon })
      const ask = Effect.gen(function*() {
        const fiber = yield* begin(account.status("INBOX"))
        yield* pass(10_000)
        yield* Fiber.join(fiber)
      })
      const isBusy = () => server.faults.add({ protocol: "imap", at: "STATUS", action: slowDown() })
      isBusy()
      yield* ask
      yield* pass(60_000, 1_000)
      yield* ask
      isBusy()
      yield* ask
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 2_000, 70_000, 80_000, 82_000])
    }))

  it.effect("for longer than maxWait ends those who wait at once, and tells for how long", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "10 millis" })
      const limits = { imapConnections: 1, maxWait: Duration.minutes(1) }
      const account = yield* open(server, { limits, retry: RetryPolicy.none })
      server.faults.add({ protocol: "imap", at: "STATUS", action: slowDown(90_000) })
      const told = yield* begin(Effect.flip(account.status("INBOX")))
      const waiting = yield* begin(Effect.flip(account.status("INBOX")))
      yield* pass(1_000, 10)
      const heard = (yield* Fiber.join(told)).reason
      assert.deepInclude(heard, { _tag: "Throttled", retryAfter: Duration.seconds(90) })
      assert.deepStrictEqual((yield* Fiber.join(waiting)).reason, heard)
      const { cooledUntil } = (yield* account.stats).imap
      const { reason } = yield* Effect.flip(account.status("INBOX"))
      assert.deepInclude(reason, { _tag: "Throttled", retryAfter: Duration.millis(cooledUntil - 1_000) })
      yield* pass(60_000, 1_000)
      const later = yield* begin(account.status("INBOX"))
      yield* pass(60_000, 1_000)
      yield* Fiber.join(later)
      assert.strictEqual(timesOf(server, "STATUS").length, 2)
    }))

  it.effect("for longer than maxWait is asked again after that, where the policy has the time", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { limits: { maxWait: Duration.minutes(1) } })
      server.faults.add({ protocol: "imap", at: "STATUS", action: slowDown(90_000) })
      const told = yield* begin(account.status("INBOX"))
      yield* pass(100)
      const other = yield* begin(account.status("INBOX"))
      yield* pass(90_000, 100)
      yield* Fiber.join(told)
      yield* Fiber.join(other)
      assert.deepStrictEqual(timesOf(server, "STATUS"), [0, 90_000, 90_000])
    }))

  it.effect("over IMAP is not slowed down for over SMTP", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { retry: RetryPolicy.none })
      server.faults.add({ protocol: "imap", at: "STATUS", action: slowDown(60_000) })
      yield* Effect.flip(account.status("INBOX"))
      yield* account.send(new Draft({ to: "bob@example.com", subject: "now", text: "now" }))
      const { imap, smtp } = yield* account.stats
      assert.strictEqual(imap.cooledUntil, 60_000)
      assert.strictEqual(smtp.cooledUntil, 0)
    }))
})

describe("a server that refuses one more connection", () => {
  it.effect("is believed: the cap falls to what is open, and rises by one after a quiet time", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "100 millis", maxConnections: { imap: 1 } })
      const account = yield* open(server, { limits: { imapConnections: 3 } })
      const crowd = yield* begin(
        Effect.all(Array.from({ length: 12 }, () => account.status("INBOX")), { concurrency: "unbounded" })
      )
      yield* pass(5_000)
      yield* Fiber.join(crowd)
      assert.strictEqual((yield* account.stats).imap.cap, 1)
      // the first and the one that was refused
      assert.strictEqual(timesOf(server, "LOGIN").length, 2)
      server.setMaxConnections("imap", 3)
      yield* pass(56_000, 1_000)
      assert.strictEqual((yield* account.stats).imap.cap, 2)
      const again = yield* begin(
        Effect.all(Array.from({ length: 12 }, () => account.status("INBOX")), { concurrency: "unbounded" })
      )
      yield* pass(5_000)
      yield* Fiber.join(again)
      assert.strictEqual(server.peak({ protocol: "imap" }), 2)
    }))

  it.effect("right after one of ours has closed is given the time to notice", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, {
        limits: { imapConnections: 1, idleTimeToLive: Duration.seconds(1) },
        retry: RetryPolicy.none
      })
      yield* account.status("INBOX")
      yield* pass(1_000)
      assert.strictEqual(server.connections().length, 0)
      server.setMaxConnections("imap", 0)
      const fiber = yield* begin(account.status("INBOX"))
      yield* pass(120, 10)
      server.setMaxConnections("imap", 1)
      yield* pass(100, 10)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(timesOf(server, "LOGIN"), [0, 1_000, 1_050, 1_150])
      assert.strictEqual((yield* account.stats).imap.cap, 1)
    }))
})

describe("a wrong password", () => {
  it.effect("is tried once for a hundred callers, and not again within a minute", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "100 millis" })
      const account = yield* open(server, { password: "wrong", limits: { imapConnections: 4 } })
      const crowd = yield* begin(Effect.all(
        Array.from({ length: 100 }, () => Effect.flip(account.status("INBOX"))),
        { concurrency: "unbounded" }
      ))
      yield* pass(1_000)
      const errors = yield* Fiber.join(crowd)
      assert.isTrue(errors.every(({ reason }) => reason._tag === "AuthenticationFailed"))
      assert.strictEqual(timesOf(server, "LOGIN").length, 1)
      yield* pass(58_000, 1_000)
      // without time: it fails at once
      assert.strictEqual((yield* Effect.flip(account.status("INBOX"))).reason._tag, "AuthenticationFailed")
      assert.strictEqual(timesOf(server, "LOGIN").length, 1)
      yield* pass(2_000)
      const later = yield* begin(Effect.flip(account.status("INBOX")))
      yield* pass(1_000)
      assert.strictEqual((yield* Fiber.join(later)).reason._tag, "AuthenticationFailed")
      assert.strictEqual(timesOf(server, "LOGIN").length, 2)
    }))

  it.effect("lets the logins of other accounts at that host rest for as long as servers delay them anyway", () =>
    Effect.gen(function*() {
      const server = serve()
      const hostLimits = new HostLimits({})
      const ann = yield* open(server, { password: "wrong", hostLimits })
      const bob = yield* open(server, { user: "bob", hostLimits })
      yield* Effect.flip(ann.status("INBOX"))
      const fiber = yield* begin(bob.status("INBOX"))
      yield* pass(3_999, 3_999)
      assert.strictEqual(timesOf(server, "LOGIN").length, 1)
      yield* pass(1)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(timesOf(server, "LOGIN"), [0, 4_000])
    }))

  it.effect("of a source of tokens, which no mail server has seen, has no other account wait", () =>
    Effect.gen(function*() {
      const server = serve()
      const hostLimits = new HostLimits({})
      const tokens = Effect.fail(new AuthenticationFailed({ response: "invalid_grant" }))
      const ann = yield* open(server, { tokens, hostLimits })
      const bob = yield* open(server, { user: "bob", hostLimits })
      assert.strictEqual((yield* Effect.flip(ann.status("INBOX"))).reason._tag, "AuthenticationFailed")
      yield* bob.status("INBOX")
      assert.deepStrictEqual(timesOf(server, "LOGIN"), [0])
    }))

  it.effect("for one more connection leaves the others at work, and is not tried again and again", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "100 millis" })
      const account = yield* open(server, { limits: { imapConnections: 2 } })
      server.faults.add({
        protocol: "imap",
        at: "LOGIN",
        skip: 1,
        times: Infinity,
        action: { _tag: "Refuse", status: "NO", code: "AUTHENTICATIONFAILED", text: "no" }
      })
      const crowd = yield* begin(Effect.all(
        Array.from({ length: 60 }, () => account.status("INBOX")),
        { concurrency: "unbounded" }
      ))
      yield* pass(8_000, 100)
      yield* Fiber.join(crowd)
      const later = yield* begin(account.status("INBOX"))
      yield* pass(1_000, 100)
      yield* Fiber.join(later)
      assert.strictEqual(timesOf(server, "LOGIN").length, 2)
    }))
})

describe("accounts that share a cap", () => {
  it.effect("let others in after a while, although they always have work", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "100 millis" })
      const hostLimits = new HostLimits({ connectionsPerHost: 1 })
      const ann = yield* open(server, { hostLimits, limits: { imapConnections: 1 } })
      const bob = yield* open(server, { hostLimits, user: "bob", limits: { imapConnections: 1 } })
      const busy = yield* begin(
        Effect.all([1, 2, 3].map(() => Effect.forever(ann.status("INBOX"))), { concurrency: "unbounded" })
      )
      yield* pass(1_000)
      const asked = yield* begin(bob.status("INBOX"))
      yield* pass(3_500, 100)
      const byUser = (user: string) => server.commands().filter((command) => command.user === user).length
      assert.strictEqual(byUser("bob"), 0)
      yield* pass(1_500, 100)
      yield* Fiber.join(asked)
      // and the other way round
      const before = byUser("ann")
      yield* pass(2_000, 100)
      assert.isAbove(byUser("ann"), before)
      assert.strictEqual(server.peak({ protocol: "imap" }), 1)
      yield* Fiber.interrupt(busy)
    }))

  it.effect("keep a connection that nobody else waits for", () =>
    Effect.gen(function*() {
      const server = serve()
      const hostLimits = new HostLimits({ connectionsPerHost: 2 })
      const ann = yield* open(server, { hostLimits })
      const bob = yield* open(server, { hostLimits, user: "bob" })
      for (let round = 0; round < 3; round++) {
        yield* ann.status("INBOX")
        yield* bob.status("INBOX")
        yield* pass(10_000, 1_000)
      }
      yield* settle
      assert.strictEqual(timesOf(server, "LOGIN").length, 2)
    }))
})
