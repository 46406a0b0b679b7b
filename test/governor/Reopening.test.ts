import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { begin, open, pass, serve } from "../account/MemoryAccount.ts"

describe("an account that could not open one more connection", () => {
  it.effect("is patient while it has others, and opens one at once when it has lost them", () =>
    Effect.gen(function*() {
      const server = serve({ latency: "100 millis" })
      const account = yield* open(server, { limits: { imapConnections: 2 } })
      yield* begin(Effect.repeat(Effect.ignore(account.status("INBOX")), { times: 3 }))
      yield* pass(250)
      server.faults.add({ protocol: "imap", at: "connect", action: { _tag: "Drop", when: "before" } })
      // two wait for one connection, and a second one cannot be opened
      const waiting = yield* begin(Effect.all([account.mailboxes(), account.status("INBOX")], { concurrency: 2 }))
      yield* pass(60, 10)
      assert.strictEqual(server.connections().length, 1)
      server.drop()
      yield* pass(2_000)
      assert.isDefined(waiting.pollUnsafe(), "they wait no longer")
      yield* Fiber.join(waiting)
    }))
})
