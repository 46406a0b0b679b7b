import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Agent, type MailError, Query } from "../../src/index.ts"
import { open, serve } from "./MemoryAccount.ts"

describe("operations of an agent", () => {
  it.effect("are those it runs: streams that others have made, and what its fibers do", () =>
    Effect.gen(function*() {
      const account = yield* open(serve())
      const make = (): ReadonlyArray<Stream.Stream<unknown, MailError>> => [
        account.messages(Query.inbox),
        account.messages(Query.inbox, { attachments: "names" }),
        account.watch("INBOX").pipe(Stream.take(1))
      ]
      const made = yield* Agent.as("maker")(Effect.sync(make))
      const forked = yield* Agent.as("runner")(Effect.gen(function*() {
        yield* Effect.forEach(made, (stream) => Stream.runDrain(stream), { discard: true })
        return yield* Effect.forkDetach(account.status("INBOX"), { startImmediately: true })
      }))
      yield* Fiber.join(forked)
      const { imap } = yield* account.stats
      assert.deepStrictEqual([...imap.agents.keys()], ["runner"])
    }))
})
