import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { MessageRef, Query } from "../../src/index.ts"
import { begin, mail, open, pass, serve, withConnections } from "./MemoryAccount.ts"

/** An account of two connections that have INBOX selected, and which of them selected what anew, and what each was asked. */
const twoConnections = Effect.gen(function*() {
  const server = serve({
    latency: "10 millis",
    users: [{ name: "ann", password: "secret", mailboxes: { INBOX: [mail(1)], Old: [], Older: [] } }]
  })
  const asked: Array<string> = []
  let connections = 0
  const account = yield* open(
    withConnections(server, (connection) => {
      const id = ++connections
      const noting =
        <A extends ReadonlyArray<unknown>, B>(verb: string, command: (...args: A) => B) => (...args: A) => {
          asked.push(`${id} ${verb}`)
          return command(...args)
        }
      return {
        select: (...args) => {
          if (args[1].refresh === true) asked.push(`${id} selects ${args[0]} anew`)
          return connection.select(...args)
        },
        search: noting("searches", connection.search),
        fetch: noting("fetches", connection.fetch)
      }
    }),
    { limits: { imapConnections: 2 } }
  )
  const done = <A, E>(work: Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      const working = yield* begin(work)
      yield* pass(500, 10)
      return yield* Fiber.join(working)
    })
  const search = account.search(Query.inbox)
  const searchTwice = done(Effect.all([search, search], { concurrency: 2 }))
  yield* searchTwice
  asked.length = 0
  const told = Effect.sync(() => asked.splice(0).toSorted())
  const ref = new MessageRef({
    mailbox: "INBOX",
    uidValidity: server.store.user("ann")?.inbox.uidValidity ?? 0,
    uid: 1
  })
  return { account, done, ref, searchTwice, told }
})

const each = (...verbs: ReadonlyArray<string>) =>
  [1, 2].flatMap((id) => verbs.map((verb) => `${id} ${verb}`)).toSorted()

describe("a mailbox that the account has deleted or renamed", () => {
  it.effect("has every connection select anew what it has selected, once, before it is used again", () =>
    Effect.gen(function*() {
      const { account, done, searchTwice, told } = yield* twoConnections
      yield* searchTwice
      assert.deepStrictEqual(yield* told, each("searches"))
      for (const change of [account.deleteMailbox("Old"), account.renameMailbox("Older", "Oldest")]) {
        yield* done(change)
        yield* searchTwice
        assert.deepStrictEqual(yield* told, each("searches", "selects INBOX anew"))
        yield* searchTwice
        assert.deepStrictEqual(yield* told, each("searches"))
      }
    }))

  it.effect("has that before a shared command, too", () =>
    Effect.gen(function*() {
      const { account, done, ref, told } = yield* twoConnections
      yield* done(account.deleteMailbox("Old"))
      yield* done(account.message(ref))
      const [first, second] = yield* told
      assert.deepStrictEqual([first?.slice(2), second?.slice(2)], ["fetches", "selects INBOX anew"])
    }))
})
