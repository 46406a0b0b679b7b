import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Query } from "../../src/index.ts"
import { begin, mail, open, serve, settle, withConnections } from "./MemoryAccount.ts"

const server = () =>
  serve({
    users: [{ name: "ann", password: "secret", specialUse: true, mailboxes: { INBOX: [mail(1), mail(2)] } }]
  })

describe("the mailbox for what is removed", () => {
  it.effect("is looked for anew after a change of names whose outcome is unknown", () =>
    Effect.gen(function*() {
      const servers = server()
      const account = yield* open(servers)
      const [first, second] = (yield* account.search(Query.inbox)).refs
      if (first === undefined || second === undefined) return assert.fail("there are two")
      yield* account.remove(first)
      servers.faults.add({ protocol: "imap", at: "RENAME", action: { _tag: "Drop", when: "after" } })
      yield* Effect.flip(account.renameMailbox("Trash", "Bin"))
      yield* account.remove(second)
      assert.strictEqual(servers.store.user("ann")?.mailbox("Bin")?.exists, 2)
    }))

  it.effect("is not taken from a listing that was under way when it got another name", () =>
    Effect.gen(function*() {
      const servers = server()
      const slow = withConnections(servers, ({ list }) => ({
        list: (options) => Effect.tap(list(options), () => Effect.sleep("1 second"))
      }))
      const account = yield* open(slow, { limits: { imapConnections: 2 } })
      const [first] = (yield* account.search(Query.inbox)).refs
      if (first === undefined) return assert.fail("there is one")
      const listing = yield* begin(account.mailboxes())
      yield* settle
      yield* account.renameMailbox("Trash", "Bin")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(listing)
      const removing = yield* begin(account.remove(first))
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(removing)
      assert.strictEqual(servers.store.user("ann")?.mailbox("Bin")?.exists, 1)
    }))
})
