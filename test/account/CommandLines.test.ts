/** Lines of commands: however many scattered messages an operation names, none is longer than servers are sure to take. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { printSearchKey } from "../../src/domain/QuerySyntax.ts"
import { ImapDriver } from "../../src/driver/ImapDriver.ts"
import { SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import { MailAccount, MessageSet, Query } from "../../src/index.ts"
import { configFor, serve, withConnections } from "./MemoryAccount.ts"

/** RFC 7162 4 */
const portable = 8_192

/** An account whose driver notes how long the lines are that name messages. */
const observed = Effect.gen(function*() {
  const server = serve()
  const lengths: Array<number> = []
  const noting = <A>(text: string, command: A): A => {
    lengths.push(text.length)
    return command
  }
  const { imap, smtp } = withConnections(server, (connection) => ({
    search: (key) => noting(printSearchKey(key), connection.search(key)),
    fetch: (range, items, options) => noting(range, connection.fetch(range, items, options)),
    store: (range, change) => noting(range, connection.store(range, change)),
    copy: (range, to) => noting(range, connection.copy(range, to)),
    move: (range, to) => noting(range, connection.move(range, to)),
    expunge: (range) => noting(range, connection.expunge(range))
  }))
  const context = yield* Layer.build(
    MailAccount.layerNoDeps(configFor("ann")).pipe(
      Layer.provide([Layer.succeed(ImapDriver, imap), Layer.succeed(SmtpDriver, smtp)])
    )
  )
  const account = Context.get(context, MailAccount)
  const { uidValidity } = yield* account.status("INBOX")
  const scattered = Array.from({ length: 20_000 }, (_, index) => 4_000_000_000 + 2 * index)
  return { account, lengths, messages: MessageSet.of("INBOX", uidValidity, [1, 2, 3, ...scattered]) }
})

describe("lines of commands", () => {
  it.effect("are short, however many scattered messages are searched, read or changed", () =>
    Effect.gen(function*() {
      const { account, lengths, messages } = yield* observed
      const uid = messages.uids
      assert.strictEqual((yield* account.search(Query.inbox.and({ uid, deleted: false }))).size, 3)
      assert.strictEqual((yield* account.search(Query.inbox.not({ uid }))).size, 1)
      const read = yield* Stream.runCollect(account.fetch(messages, { size: true }))
      assert.deepStrictEqual(read.map(({ ref }) => ref.uid), [1, 2, 3])
      assert.strictEqual((yield* account.flag(messages, { add: ["\\Seen"] })).size, 3)
      yield* account.createMailbox("Archive")
      yield* account.copy(messages, "Archive")
      yield* account.move(messages.with(messages.uids.slice(1)), "Archive")
      assert.strictEqual((yield* account.remove(messages, { to: "expunge" })).size, 1)
      assert.strictEqual((yield* account.status("Archive")).messages, 5)
      // the command and its other words have room beside the set
      assert.isAtMost(Math.max(...lengths), portable - 500)
    }))
})
