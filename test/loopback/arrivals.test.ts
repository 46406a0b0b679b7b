/** A session does not know of a message until its server has told it (RFC 9051 7.4.1); accounts see to it that it has. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option, Redacted } from "effect"
import {
  AccountConfig,
  Endpoint,
  Limits,
  MailAccount,
  MessageRef,
  MessageSet,
  Password,
  Query
} from "../../src/index.ts"
import { MailServer } from "../../src/testing/index.ts"
import { mail } from "./mail-server.ts"

const open = (imapConnections: number) =>
  Effect.gen(function*() {
    const server = yield* MailServer.make({
      users: [{ name: "ann", password: "secret", mailboxes: { INBOX: [mail(1)], Other: [] } }]
    })
    const config = new AccountConfig({
      name: "ann",
      imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
      credentials: Password.make({ user: "ann", password: Redacted.make("secret") }),
      limits: new Limits({ imapConnections })
    })
    const account = Context.get(yield* Layer.build(MailAccount.layer(config)), MailAccount)
    const user = server.store.user("ann")
    const uidValidity = user?.inbox.uidValidity ?? 0
    /** Another client files a message. */
    const arrive = (n: number) => {
      user?.append("INBOX", Buffer.from(mail(n)), { internalDate: new Date() })
      return new MessageRef({ mailbox: "INBOX", uidValidity, uid: (user?.inbox.uidNext ?? 0) - 1 })
    }
    return { server, account, arrive, inbox: user?.inbox, other: user?.mailbox("Other"), uidValidity }
  })

describe("a message that came after its mailbox was selected", () => {
  it.live("is read", () =>
    Effect.gen(function*() {
      const { account, arrive } = yield* open(1)
      yield* account.search(Query.inbox)
      assert.strictEqual((yield* account.message(arrive(2))).subject, "mail 2")
    }))

  it.live("is flagged when the answer says that it is", () =>
    Effect.gen(function*() {
      const { account, arrive, inbox } = yield* open(1)
      yield* account.search(Query.inbox)
      const ref = arrive(2)
      assert.deepStrictEqual([...(yield* account.flag(ref, { add: ["\\Seen"] })).uids], [ref.uid])
      assert.isTrue(inbox?.message(ref.uid)?.flags.has("\\Seen"))
    }))

  it.live("is copied, moved and removed with the others", () =>
    Effect.gen(function*() {
      const { account, arrive, inbox, other, uidValidity } = yield* open(1)
      yield* account.search(Query.inbox)
      const set = (...uids: ReadonlyArray<number>) => MessageSet.of("INBOX", uidValidity, uids)
      assert.strictEqual(Option.getOrThrow(yield* account.copy(set(1, arrive(2).uid), "Other")).size, 2)
      assert.strictEqual(Option.getOrThrow(yield* account.move(set(1, arrive(3).uid), "Other")).size, 2)
      assert.strictEqual((yield* account.remove(set(2, arrive(4).uid), { to: "expunge" })).size, 2)
      assert.strictEqual(inbox?.exists, 0)
      assert.strictEqual(other?.exists, 4)
    }))

  it.live("through the account itself is found, on whichever connection", () =>
    Effect.gen(function*() {
      const { account, server } = yield* open(2)
      server.faults.add({ protocol: "imap", at: "SEARCH", action: { _tag: "Delay", duration: Duration.millis(100) } })
      yield* Effect.all([account.search(Query.inbox), account.search(Query.inbox)], { concurrency: 2 })
      assert.strictEqual(server.connections().length, 2)
      for (let n = 2; n < 12; n++) {
        yield* account.append("INBOX", Buffer.from(mail(n)))
        assert.strictEqual((yield* account.search(Query.inbox)).size, n)
      }
    }))

  it.live("as a copy of the account's own is found, on whichever connection", () =>
    Effect.gen(function*() {
      const { account, server } = yield* open(2)
      const original = Option.getOrThrow(yield* account.append("Other", Buffer.from(mail(2))))
      server.faults.add({ protocol: "imap", at: "SEARCH", action: { _tag: "Delay", duration: Duration.millis(100) } })
      yield* Effect.all([account.search(Query.inbox), account.search(Query.inbox)], { concurrency: 2 })
      for (let n = 2; n < 8; n++) {
        yield* account.copy(original, "INBOX")
        assert.strictEqual((yield* account.search(Query.inbox)).size, n)
      }
    }))

  it.live("costs no more than one question for all that came", () =>
    Effect.gen(function*() {
      const { account, arrive, server } = yield* open(1)
      yield* account.search(Query.inbox)
      const refs = [2, 3, 4, 5].map(arrive)
      server.forget()
      yield* account.flag(refs, { add: ["\\Seen"] })
      for (const ref of refs) yield* account.message(ref)
      assert.strictEqual(server.commands().filter(({ verb }) => verb === "NOOP").length, 1)
    }))
})

describe("what the account itself has changed", () => {
  it.live("is asked about once by another connection before it searches, and not by its own", () =>
    Effect.gen(function*() {
      const { account, server, uidValidity } = yield* open(2)
      const searchBoth = Effect.gen(function*() {
        server.faults.add({ protocol: "imap", at: "SEARCH", action: { _tag: "Delay", duration: Duration.millis(50) } })
        yield* Effect.all([account.search(Query.inbox), account.search(Query.inbox)], { concurrency: 2 })
      })
      yield* searchBoth
      server.forget()
      yield* account.flag(new MessageRef({ mailbox: "INBOX", uidValidity, uid: 1 }), { add: ["\\Seen"] })
      yield* searchBoth
      yield* searchBoth
      assert.strictEqual(server.commands().filter(({ verb }) => verb === "NOOP").length, 1)
    }))
})
