/** The IMAP driver against a Dovecot: what the scripted servers say is what a real one says. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { Endpoint, Trust } from "../../src/domain/AccountConfig.ts"
import { Password } from "../../src/domain/Credentials.ts"
import { ImapDriver } from "../../src/driver/ImapDriver.ts"
import * as imapflow from "../../src/driver/imapflow.ts"
import { describeLive } from "./available.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"

const connect = (server: DovecotServer, security: "none" | "starttls" | "tls", password?: string) =>
  ImapDriver.use((driver) =>
    driver.connect({
      endpoint: new Endpoint({
        host: server.host,
        port: security === "tls" ? server.tlsPort ?? 0 : server.port,
        security,
        ...(server.certificate === undefined
          ? {}
          : { trust: new Trust({ ca: server.certificate, servername: "localhost" }) })
      }),
      credentials: new Password({
        user: "alice",
        password: Redacted.make(password ?? server.users["alice"] ?? "", { label: "password" })
      }),
      connectTimeoutMillis: 30_000
    })
  )

const source = (subject: string) =>
  Buffer.from(`From: A <a@example.test>\r\nTo: b@example.test\r\nSubject: ${subject}\r\n\r\nbody of ${subject}\r\n`)

describeLive("the IMAP driver with Dovecot", ["dovecot"], () => {
  it.live("does all it can do, over every kind of wire", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot({ tls: true, quota: 10_000_000 })
      for (const security of ["none", "starttls", "tls"] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const c = yield* connect(server, security)
          assert.isTrue(c.enabled.has("QRESYNC"))
          yield* c.create("Käse & Brot")
          yield* c.create("Käse & Brot")
          const listed = yield* c.list({ status: true })
          assert.isTrue(listed.some(({ path, status }) => path === "Käse & Brot" && status?.messages === 0))
          assert.isTrue(listed.some(({ specialUse }) => specialUse === "sent"))
          const first = yield* c.append("Käse & Brot", source("one"), { flags: ["\\Seen"] })
          yield* c.append("Käse & Brot", source("two"), { flags: [] })
          yield* c.append("Käse & Brot", source("three"), { flags: ["$Forwarded"] })
          const box = yield* c.select("Käse & Brot", { readOnly: false })
          assert.strictEqual(box.exists, 3)
          assert.strictEqual(first?.uidValidity, box.uidValidity)
          assert.deepStrictEqual([...yield* c.search({ _tag: "Flag", flag: "\\Seen", set: false })], [2, 3])
          const rows = yield* c.fetch("1:*", { envelope: true, flags: true, size: true, source: true, structure: true })
          assert.deepStrictEqual(rows.map(({ envelope, uid }) => [uid, envelope?.subject]), [
            [1, "one"],
            [2, "two"],
            [3, "three"]
          ])
          assert.deepStrictEqual(Buffer.from(rows[1]?.source ?? []), source("two"))
          assert.isFalse((yield* c.fetch("2", { flags: true }))[0]?.flags?.includes("\\Seen"))
          assert.deepStrictEqual(
            Buffer.from((yield* c.fetchPartial({ uid: 2, section: "1", start: 8, length: 3 })) ?? []).toString(),
            "two"
          )
          assert.isUndefined(yield* c.fetchPartial({ uid: 99, section: "1", start: 0, length: 3 }))
          yield* c.store("2", { mode: "add", flags: ["\\Flagged"] })
          const copied = yield* c.copy("1:2", "INBOX")
          assert.strictEqual(copied?.uids.size, 2)
          yield* c.store("1", { mode: "add", flags: ["\\Deleted"] })
          yield* c.expunge("2")
          const since = { uidValidity: box.uidValidity, modseq: box.highestModseq ?? 0n }
          const again = yield* c.select("Käse & Brot", { readOnly: false, since })
          assert.deepStrictEqual([...again.resync?.vanished ?? []], [2])
          assert.deepStrictEqual([...yield* c.search({ _tag: "All" })], [1, 3])
          const moved = yield* c.move("3", "INBOX")
          assert.deepStrictEqual([...moved?.uids.keys() ?? []], [3])
          assert.strictEqual((yield* Effect.flip(c.copy("1", "Nowhere")))._tag, "MailboxNotFound")
          assert.strictEqual((yield* Effect.flip(c.select("Nowhere", { readOnly: false })))._tag, "MailboxNotFound")
          assert.strictEqual((yield* Effect.flip(c.status("Nowhere")))._tag, "MailboxNotFound")
          assert.strictEqual((yield* Effect.flip(c.delete("Nowhere")))._tag, "MailboxNotFound")
          assert.isAbove((yield* c.quota("INBOX"))?.storage?.limit ?? 0, 0)
          yield* c.select("Käse & Brot", { readOnly: false })
          yield* c.rename("Käse & Brot", "Käse")
          yield* c.delete("Käse")
          yield* c.noop
        }))
        assert.strictEqual(yield* server.connections, 0)
      }
    }).pipe(Effect.provide(imapflow.layer)))

  it.live("hears in IDLE what another connection does", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot({})
      const c = yield* connect(server, "none")
      const other = yield* connect(server, "none")
      yield* c.select("INBOX", { readOnly: true })
      const waiting = yield* Effect.forkChild(c.idle, { startImmediately: true })
      yield* other.append("INBOX", source("ring"), { flags: [] })
      yield* Fiber.join(waiting)
      assert.isAbove(c.heard(), 0)
      assert.strictEqual((yield* c.fetch("1:*", { size: true })).length, 1)
    }).pipe(Effect.provide(imapflow.layer)))

  it.live("makes nothing of what is made up for messages that another session has removed", () =>
    Effect.gen(function*() {
      const subjects = ["one", "two", "three", "four"]
      const sizes = subjects.map((subject) => source(subject).length)
      for (const format of ["maildir", "mdbox", "sdbox"] as const) {
        const server = yield* startDovecot({ format })
        const other = yield* connect(server, "none")
        yield* other.select("INBOX", { readOnly: false })
        for (const subject of subjects) {
          yield* other.append("INBOX", source(subject), { flags: [] })
        }
        const c = yield* connect(server, "none")
        yield* c.select("INBOX", { readOnly: false })
        yield* other.noop
        yield* other.expunge("2:3")
        // what it still has, it may tell
        const rows = yield* c.fetch("1:4", { envelope: true, size: true })
        assert.includeMembers(rows.map(({ uid }) => uid), [1, 4])
        for (const { envelope, size, uid } of rows) {
          assert.deepStrictEqual([uid, size, envelope?.subject], [uid, sizes[uid - 1], subjects[uid - 1]])
        }
      }
    }).pipe(Effect.provide(imapflow.layer)))

  it.live("tells a wrong password from too many connections", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot({ maxConnections: 1 })
      yield* connect(server, "none")
      assert.strictEqual((yield* Effect.flip(connect(server, "none")))._tag, "ConnectionRefusedByLimit")
      assert.strictEqual((yield* Effect.flip(connect(server, "none", "wrong")))._tag, "AuthenticationFailed")
      assert.strictEqual(yield* server.connections, 1)
    }).pipe(Effect.provide(imapflow.layer)))
})
