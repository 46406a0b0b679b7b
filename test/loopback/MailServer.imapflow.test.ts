import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MailServer } from "../../src/testing/MailServer.ts"
import { ask, client, mail, users } from "./mail-server.ts"

const start = Effect.gen(function*() {
  const server = yield* MailServer.make({ users: users ?? [] })
  const flow = yield* client(server, { qresync: false })
  return { server, flow }
})

describe("MailServer with imapflow", () => {
  it.live("lists mailboxes with special use, subscription and counters", () =>
    Effect.gen(function*() {
      const { flow } = yield* start
      const list = yield* ask(() => flow.list({ statusQuery: { messages: true, unseen: true } }))
      const sent = list.find(({ path }) => path === "Sent")
      assert.strictEqual(sent?.specialUse, "\\Sent")
      assert.isTrue(sent?.subscribed)
      assert.deepInclude(list.find(({ path }) => path === "INBOX")?.status, { messages: 4, unseen: 4 })
    }))

  it.live("selects a mailbox and tells its state", () =>
    Effect.gen(function*() {
      const { flow } = yield* start
      const box = yield* ask(() => flow.mailboxOpen("inbox"))
      assert.deepInclude(box, { path: "INBOX", exists: 4, uidNext: 5, uidValidity: 1n, highestModseq: 5n })
      assert.isTrue(box.permanentFlags?.has("\\*"))
    }))

  it.live("fetches every item of a message", () =>
    Effect.gen(function*() {
      const { flow, server } = yield* start
      yield* ask(() => flow.mailboxOpen("INBOX"))
      const row = yield* ask(() =>
        flow.fetchOne("3", {
          uid: true,
          envelope: true,
          bodyStructure: true,
          source: true,
          flags: true,
          internalDate: true,
          size: true,
          emailId: true,
          headers: ["Subject"],
          bodyParts: ["text", { key: "1", start: 2, maxLength: 3 }]
        }, { uid: true })
      )
      assert.isOk(row)
      assert.strictEqual(row.uid, 3)
      assert.strictEqual(row.envelope?.subject, "mail 3")
      assert.strictEqual(row.envelope?.from?.[0]?.address, "ann@example.com")
      assert.strictEqual(row.envelope?.from?.[0]?.name, "Ann Example")
      assert.strictEqual(row.bodyStructure?.type, "text/plain")
      assert.strictEqual(row.source?.toString(), mail(3))
      assert.strictEqual(row.size, mail(3).length)
      assert.strictEqual(row.headers?.toString(), "Subject: mail 3\r\n\r\n")
      assert.strictEqual(row.bodyParts?.get("text")?.toString(), "hello 3\r\n")
      assert.strictEqual(row.bodyParts?.get("1")?.toString(), "llo")
      assert.strictEqual(row.modseq, 4n)
      assert.strictEqual(row.emailId, server.store.user("bob")?.inbox.message(3)?.emailId)
      assert.deepStrictEqual([...row.flags ?? []], [])
    }))

  it.live("searches by keys, with and without ESEARCH", () =>
    Effect.gen(function*() {
      const { flow, server } = yield* start
      server.store.user("bob")?.inbox.store([2], "add", ["\\Seen"])
      yield* ask(() => flow.mailboxOpen("INBOX"))
      assert.deepStrictEqual(yield* ask(() => flow.search({ subject: "mail 3" }, { uid: true })), [3])
      assert.deepStrictEqual(yield* ask(() => flow.search({ seen: false, uid: "2:*" }, { uid: true })), [3, 4])
      const or = { or: [{ subject: "mail 1" }, { not: { from: "ann" } }] }
      assert.deepStrictEqual(yield* ask(() => flow.search(or, { uid: true })), [1])
      const told = yield* ask(() =>
        flow.search({ all: true }, { uid: true, returnOptions: ["MIN", "MAX", "COUNT", "ALL"] })
      )
      assert.deepInclude(told, { min: 1, max: 4, count: 4, all: "1:4" })
    }))

  it.live("stores flags, and tells the other session in IDLE", () =>
    Effect.gen(function*() {
      const { flow, server } = yield* start
      const other = yield* client(server)
      yield* ask(() => other.mailboxOpen("INBOX"))
      const heard = new Promise<{ readonly seq: number; readonly flags: Set<string> }>((resolve) => {
        other.on("flags", resolve)
      })
      const idle = other.idle()
      yield* ask(() => flow.mailboxOpen("INBOX"))
      assert.isTrue(yield* ask(() => flow.messageFlagsAdd("2", ["\\Flagged", "$Label"], { uid: true })))
      const flags = yield* ask(() => heard)
      assert.strictEqual(flags.seq, 2)
      assert.deepStrictEqual([...flags.flags], ["\\Flagged", "$Label"])
      yield* ask(() => other.noop())
      yield* ask(() => idle)
    }))

  it.live("copies, moves, appends and expunges with the UIDs they lead to", () =>
    Effect.gen(function*() {
      const { flow, server } = yield* start
      const bob = server.store.user("bob")
      yield* ask(() => flow.mailboxOpen("INBOX"))
      const copied = yield* ask(() => flow.messageCopy("1:2", "Archive", { uid: true }))
      assert.deepStrictEqual(copied && [...copied.uidMap ?? []], [[1, 1], [2, 2]])
      const moved = yield* ask(() => flow.messageMove("3", "Archive", { uid: true }))
      assert.deepStrictEqual(moved && [...moved.uidMap ?? []], [[3, 3]])
      assert.deepStrictEqual(bob?.inbox.uids, [1, 2, 4])
      bob?.inbox.store([4], "add", ["\\Deleted"])
      assert.isTrue(yield* ask(() => flow.messageDelete("1", { uid: true })))
      assert.deepStrictEqual(bob?.inbox.uids, [2, 4], "only what was named is expunged")
      const date = new Date("2026-01-02T03:04:05Z")
      const appended = yield* ask(() => flow.append("Sent", mail(9), ["\\Seen"], date))
      assert.deepInclude(appended, { uid: 1, uidValidity: BigInt(bob?.mailbox("Sent")?.uidValidity ?? 0) })
      assert.deepStrictEqual(bob?.mailbox("Sent")?.message(1)?.internalDate, date)
    }))

  it.live("creates, renames, subscribes and deletes mailboxes with names of any script", () =>
    Effect.gen(function*() {
      const { flow, server } = yield* start
      yield* ask(() => flow.mailboxCreate("Übung & co/日本"))
      yield* ask(() => flow.mailboxRename("Übung & co/日本", "Übung & co/neu"))
      yield* ask(() => flow.mailboxSubscribe("Übung & co/neu"))
      assert.isDefined(server.store.user("bob")?.mailbox("Übung & co/neu"))
      const listed = (yield* ask(() => flow.list())).find(({ path }) => path === "Übung & co/neu")
      assert.isTrue(listed?.subscribed)
      yield* ask(() => flow.mailboxUnsubscribe("Übung & co/neu"))
      yield* ask(() => flow.mailboxDelete("Übung & co/neu"))
      assert.isUndefined(server.store.user("bob")?.mailbox("Übung & co/neu"))
    }))

  it.live("tells quota, and refuses what goes beyond it", () =>
    Effect.gen(function*() {
      const { flow, server } = yield* start
      const bob = server.store.user("bob")
      if (bob !== undefined) bob.quota = 10 * 1024
      const quota = yield* ask(() => flow.getQuota("INBOX"))
      assert.deepInclude(quota && quota.storage, { limit: 10 * 1024 })
      const refused = yield* ask(() => flow.append("INBOX", Buffer.alloc(20_000, 65)).catch((error: unknown) => error))
      assert.propertyVal(refused, "serverResponseCode", "OVERQUOTA")
    }))

  it.live("logs in with a token, and refuses a wrong password and a wrong token", () =>
    Effect.gen(function*() {
      const { server } = yield* start
      yield* client(server, { auth: { user: "bob", accessToken: "a-token" } })
      for (const auth of [{ user: "bob", pass: "wrong" }, { user: "bob", accessToken: "wrong" }]) {
        const failure = yield* client(server, { auth }).pipe(Effect.catchDefect(Effect.succeed))
        assert.propertyVal(failure, "serverResponseCode", "AUTHENTICATIONFAILED")
      }
    }))

  it.live("tells everything that changed since, with QRESYNC", () =>
    Effect.gen(function*() {
      const { server } = yield* start
      const inbox = server.store.user("bob")?.inbox
      const flow = yield* client(server, { qresync: true })
      inbox?.take([2])
      inbox?.store([3], "add", ["\\Seen"])
      const vanished: Array<number> = []
      const changed: Array<number> = []
      flow.on("expunge", ({ uid }: { readonly uid?: number }) => uid !== undefined && vanished.push(uid))
      flow.on("flags", ({ uid }: { readonly uid?: number }) => uid !== undefined && changed.push(uid))
      yield* ask(() => flow.mailboxOpen("INBOX", { changedSince: 5n, uidValidity: 1n }))
      assert.deepStrictEqual(vanished, [2])
      assert.deepStrictEqual(changed, [3])
      const rows = yield* ask(() => flow.fetchAll("1:*", { flags: true }, { uid: true, changedSince: 6n }))
      assert.deepStrictEqual(rows.map(({ uid }) => uid), [3])
    }))

  it.live("serves a client without TCP over a pair in memory", () =>
    Effect.gen(function*() {
      const { server } = yield* start
      const flow = yield* client(server, {
        transport: {
          connect: (_options, onConnect) => {
            queueMicrotask(() => onConnect())
            return server.connectInMemory("imap")
          }
        }
      })
      assert.strictEqual((yield* ask(() => flow.mailboxOpen("INBOX"))).exists, 4)
      assert.strictEqual(server.connections({ user: "bob" }).length, 2)
    }))
})
