/** Messages that another program removes while an operation is at them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import type { ImapConnection } from "../../src/driver/ImapDriver.ts"
import { MessageSet, RetryPolicy } from "../../src/index.ts"
import { reasonOf } from "./Fixture.ts"
import { begin, mail, open, pass, serve, withConnections } from "./MemoryAccount.ts"

/** An account with four messages, whose connections do what `but` says instead of what they would. */
const opened = Effect.fnUntraced(function*(
  but: (connection: ImapConnection, remove: (...uids: ReadonlyArray<number>) => void) => Partial<ImapConnection>
) {
  const mailboxes = { INBOX: [1, 2, 3, 4].map(mail), Archive: [] }
  const server = serve({ users: [{ name: "ann", password: "secret", address: "ann@example.com", mailboxes }] })
  const user = server.store.user("ann")
  const account = yield* open(
    withConnections(server, (connection) => but(connection, (...uids) => void user?.inbox.take(uids))),
    { retry: RetryPolicy.none }
  )
  const all = MessageSet.of("INBOX", user?.inbox.uidValidity ?? 0, [1, 2, 3, 4])
  return { account, all, inArchive: () => user?.mailbox("Archive")?.exists }
})

describe("messages that go while an operation is at them", () => {
  it.effect("are not said to be copied", () =>
    Effect.gen(function*() {
      const { account, all, inArchive } = yield* opened(({ copy }, remove) => ({
        copy: (range, to) =>
          Effect.suspend(() => {
            remove(1, 2)
            return copy(range, to)
          })
      }))
      const none = yield* begin(reasonOf(account.copy(all.with([1, 2]), "Archive")))
      yield* pass(1_000)
      assert.strictEqual((yield* Fiber.join(none))._tag, "MessageNotFound")
      assert.strictEqual(inArchive(), 0)
      const others = yield* begin(account.copy(all, "Archive"))
      yield* pass(1_000)
      assert.deepStrictEqual(Option.map(yield* Fiber.join(others), ({ size }) => size), Option.some(2))
      assert.strictEqual(inArchive(), 2)
    }))

  it.effect("have gone, and not the part that is read", () =>
    Effect.gen(function*() {
      const { account, all } = yield* opened(() => ({ fetchPartial: () => Effect.undefined }))
      const reading = yield* begin(reasonOf(Stream.runDrain(account.attachment(all.ref(1), "1"))))
      yield* pass(1_000)
      assert.deepInclude(yield* Fiber.join(reading), { _tag: "MessageNotFound", uids: [1] })
    }))
})
