/** The tests of `ask`: hours pass in milliseconds, and the servers do what the test says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { AccountConfig, Draft, Endpoint, MailAccount, Password } from "effect-mail"
import { MemoryMail } from "effect-mail/testing"
import { TestClock } from "effect/testing"
import { ask } from "./ask.ts"

const config = new AccountConfig({
  name: "ann",
  imap: new Endpoint({ host: "in.memory" }),
  smtp: new Endpoint({ host: "in.memory" }),
  credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
  address: "ann@example.com"
})

/** An account on servers in memory. Each test that provides it has servers of its own. */
const memory = MailAccount.layerNoDeps(config).pipe(
  Layer.provideMerge(MemoryMail.layer({
    users: [{ name: "ann", password: "secret", address: "ann@example.com" }],
    latency: "20 millis"
  }))
)

const question = new Draft({ to: "bob@example.net", subject: "Lunch?", messageId: "<q1@example.com>" })

const answer = "From: bob@example.net\nSubject: Re: Lunch?\nIn-Reply-To: <q1@example.com>\n\nYes.\n"

describe("ask", () => {
  it.effect("finds an answer that comes after three hours", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      const asking = yield* Effect.forkChild(ask(question))
      yield* TestClock.adjust("3 hours")
      assert.deepStrictEqual(servers.accepted().map(({ to }) => to), [["bob@example.net"]])

      servers.store.deliver("ann@example.com", answer, new Date("2026-01-01T12:00:00Z"))
      yield* TestClock.adjust("2 minutes")
      const answers = yield* Fiber.join(asking)
      assert.strictEqual(answers.size, 1)
    }).pipe(Effect.provide(memory)))

  it.effect("does not mind a lost connection and a server that asks for a pause", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      servers.store.deliver("ann@example.com", answer, new Date("2026-01-01T12:00:00Z"))
      servers.faults.add(
        { protocol: "imap", at: "SEARCH", action: { _tag: "Drop", when: "before" } },
        {
          protocol: "imap",
          at: "SEARCH",
          action: { _tag: "Refuse", status: "NO", code: "THROTTLED", text: "Try again in 30 seconds" }
        }
      )
      const asking = yield* Effect.forkChild(ask(question))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(asking)).size, 1)
      assert.strictEqual(servers.commands().filter(({ fault }) => fault !== undefined).length, 2)
      assert.isAtMost(servers.peak({ protocol: "imap" }), config.limits.imapConnections)
    }).pipe(Effect.provide(memory)))

  it.effect("does not ask twice where nobody knows whether the question was sent", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      servers.faults.add({ protocol: "smtp", at: "end", action: { _tag: "Drop", when: "after" } })
      const asking = yield* Effect.forkChild(Effect.flip(ask(question)))
      yield* TestClock.adjust("1 hour")
      const { reason } = yield* Fiber.join(asking)
      assert.strictEqual(reason._tag, "OutcomeUnknown")
      assert.strictEqual(servers.accepted().length, 1)
    }).pipe(Effect.provide(memory)))
})
