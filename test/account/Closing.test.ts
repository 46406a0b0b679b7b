import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Draft } from "../../src/index.ts"
import { fixture, settled, smtpFault, timed } from "./Fixture.ts"
import { begin, open, serve, settle } from "./MemoryAccount.ts"

const logouts = (server: ReturnType<typeof serve>) => server.commands().filter(({ verb }) => verb === "LOGOUT").length

describe("an account that is closed", () => {
  it.effect("takes leave of its server on every connection that has nothing to do, also on one that listens", () =>
    Effect.gen(function*() {
      const server = serve()
      yield* Effect.scoped(Effect.gen(function*() {
        const account = yield* open(server, { limits: { imapConnections: 2 } })
        yield* begin(Stream.runDrain(account.watch("INBOX")))
        yield* Effect.all([account.status("INBOX"), account.status("INBOX")], { concurrency: 2 })
        yield* settle
        assert.lengthOf(server.connections(), 2)
      }))
      assert.lengthOf(server.connections(), 0)
      assert.strictEqual(logouts(server), 2)
    }))

  it.effect("cuts off a connection that waits for an answer", () =>
    Effect.gen(function*() {
      const server = serve()
      server.faults.add({ protocol: "imap", at: "STATUS", action: { _tag: "Stall" } })
      const asked = yield* Effect.scoped(Effect.gen(function*() {
        const account = yield* open(server)
        const asked = yield* begin(account.status("INBOX"))
        yield* settle
        return asked
      }))
      assert.lengthOf(server.connections(), 0)
      assert.strictEqual(logouts(server), 0)
      yield* TestClock.adjust("1 minute")
      const reason = yield* Effect.flip(Fiber.join(asked))
      assert.strictEqual(reason.reason._tag, "AccountClosed")
    }))

  it.effect("leaves it open whether a message was sent whose end was written, and tells so", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { account, mail } = yield* Scope.provide(scope)(
        fixture({ faults: [smtpFault("end", { _tag: "Stall" })] })
      )
      const messageId = "<1@example.com>"
      const sent = yield* begin(account.send(new Draft({ messageId, to: "bob@example.com", text: "hello" })))
      yield* settled
      assert.deepStrictEqual(mail.faults.pending, [])
      const closing = yield* begin(Scope.close(scope, Exit.void))
      yield* timed(Fiber.join(closing))
      const { reason } = yield* Effect.flip(Fiber.join(sent))
      assert.deepInclude(reason, { _tag: "OutcomeUnknown", messageId })
    }))

  it.effect("does not wait for a server that leaves a connection that listens without a sign of life", () =>
    Effect.gen(function*() {
      const server = serve()
      server.faults.add({ protocol: "imap", at: "NOOP", action: { _tag: "Stall" } })
      const scope = yield* Scope.make()
      const account = yield* Scope.provide(scope)(open(server))
      yield* begin(Stream.runDrain(account.watch("INBOX", { heartbeat: "1 hour" })))
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      yield* TestClock.adjust("5 minutes")
      yield* settle
      assert.strictEqual(server.commands().at(-1)?.verb, "NOOP")
      const closing = yield* begin(Scope.close(scope, Exit.void))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      yield* settle
      assert.isDefined(closing.pollUnsafe())
      assert.lengthOf(server.connections(), 0)
    }))
})
