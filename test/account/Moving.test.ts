import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { MessageSet, RetryPolicy } from "../../src/index.ts"
import type { Fault } from "../../src/testing/index.ts"
import { begin, open, pass, serve } from "./MemoryAccount.ts"

/** A server without MOVE that has these faults at a command. */
const setUp = Effect.fnUntraced(function*(at: string, ...faults: ReadonlyArray<Fault["action"]>) {
  const server = serve({
    without: ["MOVE"],
    faults: faults.map((action) => ({ protocol: "imap", at, action }))
  })
  const account = yield* open(server, { retry: RetryPolicy.make({ times: 3, base: "1 second", jitter: 0 }) })
  const ann = server.store.user("ann") ?? assert.fail("no ann")
  yield* account.createMailbox("Archive")
  return {
    account,
    copies: () => ann.mailbox("Archive")?.exists ?? 0,
    left: () => ann.inbox.exists,
    all: MessageSet.of("INBOX", ann.inbox.uidValidity, ann.inbox.uids)
  }
})

describe("MailAccount.move without MOVE", () => {
  it.effect("copies once, however often taking away has to be repeated", () =>
    Effect.gen(function*() {
      const refused = { _tag: "Refuse", status: "NO", code: "INUSE", text: "later" } as const
      const { account, all, copies, left } = yield* setUp("EXPUNGE", refused, refused, { _tag: "Drop", when: "before" })
      const moving = yield* begin(account.move(all, "Archive"))
      yield* pass(60_000, 1_000)
      yield* Fiber.join(moving)
      assert.deepStrictEqual([copies(), left()], [4, 0])
    }))

  it.effect("takes nothing away, and copies nothing again, where it cannot be known whether it was copied", () =>
    Effect.gen(function*() {
      const { account, all, copies, left } = yield* setUp("COPY", { _tag: "Drop", when: "after" })
      const moving = yield* begin(Effect.flip(account.move(all, "Archive")))
      yield* pass(60_000, 1_000)
      assert.strictEqual((yield* Fiber.join(moving)).reason._tag, "OutcomeUnknown")
      assert.deepStrictEqual([copies(), left()], [4, 4])
    }))
})
