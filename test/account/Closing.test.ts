import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
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
})
