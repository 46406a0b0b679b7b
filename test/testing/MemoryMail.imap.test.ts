import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Redacted, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { AccessToken, Password } from "../../src/domain/Credentials.ts"
import type { Reason } from "../../src/domain/MailError.ts"
import type { ImapConnection, ImapConnectOptions } from "../../src/driver/ImapDriver.ts"
import { type FaultAction, MemoryMail, type MemoryMailOptions } from "../../src/testing/index.ts"

const connection = (secret = "secret", user = "ann"): ImapConnectOptions => ({
  endpoint: new Endpoint({ host: "mail.test" }),
  credentials: new Password({ user, password: Redacted.make(secret, { label: "password" }) }),
  connectTimeoutMillis: 30_000
})

const serve = (options: MemoryMailOptions = {}) =>
  MemoryMail.make({
    users: [
      {
        name: "ann",
        password: "secret",
        token: "t0ken",
        specialUse: true,
        quota: 10_000,
        mailboxes: {
          INBOX: ["Subject: =?utf-8?q?=C3=A4?=\nFrom: b@x\n\none", "Subject: two\n\ntwo", "Subject: three\n\n"]
        }
      },
      { name: "bob", password: "secret" }
    ],
    ...options
  })

const inbox = (mail: MemoryMail["Service"]) => {
  const user = mail.store.user("ann")
  assert(user !== undefined)
  return user.inbox
}

const tagOf = <A>(effect: Effect.Effect<A, Reason, Scope.Scope>) =>
  Effect.map(Effect.flip(effect), (reason) => reason._tag)

/** Opens a connection with INBOX selected. */
const inInbox = (mail: MemoryMail["Service"], readOnly = false) =>
  Effect.tap(mail.imap.connect(connection()), (imap) => imap.select("INBOX", { readOnly }))

const fault = (at: string, action: FaultAction, skip = 0) => ({ protocol: "imap" as const, at, action, skip })

const refuse = (code: string | undefined, text: string, status: "NO" | "BAD" | "BYE" = "NO"): FaultAction =>
  code === undefined ? { _tag: "Refuse", status, text } : { _tag: "Refuse", status, code, text }

const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))

describe("MemoryMail over IMAP", () => {
  it.effect("logs in, counts connections and forgets them once their scopes close", () =>
    Effect.gen(function*() {
      const mail = serve()
      yield* Effect.scoped(Effect.gen(function*() {
        const first = yield* mail.imap.connect(connection())
        yield* mail.imap.connect(connection("secret", "bob"))
        assert.isTrue(first.isUsable())
        assert.deepStrictEqual(mail.connections().map(({ id, user }) => [id, user]), [[1, "ann"], [2, "bob"]])
        assert.strictEqual(mail.peak({ protocol: "imap", user: "ann" }), 1)
      }))
      assert.deepStrictEqual(mail.connections(), [])
      assert.strictEqual(mail.peak({ protocol: "imap" }), 2)
      assert.strictEqual(mail.peak({ protocol: "smtp" }), 0)
      assert.deepStrictEqual(mail.commands().map(({ connection, verb }) => `${connection} ${verb}`), [
        "1 connect",
        "1 LOGIN",
        "2 connect",
        "2 LOGIN",
        "2 LOGOUT",
        "1 LOGOUT"
      ])
    }))

  it.effect("takes an access token, and tells a wrong password from one connection too many", () =>
    Effect.gen(function*() {
      const mail = serve({ maxConnections: 1 })
      assert.strictEqual(yield* tagOf(mail.imap.connect(connection("wrong"))), "AuthenticationFailed")
      assert.strictEqual(yield* tagOf(mail.imap.connect(connection("secret", "eve"))), "AuthenticationFailed")
      const token = new AccessToken({ user: "ann", token: Redacted.make("t0ken", { label: "token" }) })
      yield* Effect.scoped(mail.imap.connect({ ...connection(), credentials: token }))
      yield* mail.imap.connect(connection())
      assert.strictEqual(yield* tagOf(mail.imap.connect(connection())), "ConnectionRefusedByLimit")
      yield* mail.imap.connect(connection("secret", "bob"))
      assert.strictEqual(mail.connections({ user: "ann" }).length, 1)
      mail.setMaxConnections("imap", undefined)
      yield* mail.imap.connect(connection())
    }))

  it.effect("gives the login its own time and bounds it by connectTimeoutMillis", () =>
    Effect.gen(function*() {
      const mail = serve({ latency: "40 millis", loginLatency: "15 seconds" })
      const start = yield* Clock.currentTimeMillis
      const opening = yield* Effect.forkChild(Effect.scoped(mail.imap.connect(connection())), {
        startImmediately: true
      })
      yield* TestClock.adjust("16 seconds")
      yield* Fiber.join(opening)
      assert.strictEqual(mail.commands().find(({ verb }) => verb === "LOGOUT")?.atMillis, start + 40 + 15_000)
      mail.faults.add(fault("LOGIN", { _tag: "Stall" }))
      const stalled = yield* Effect.forkChild(Effect.flip(mail.imap.connect(connection())), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* Fiber.join(stalled), { _tag: "TimedOut", wait: "login", written: true })
      assert.strictEqual(mail.connections().length, 0)
    }))

  it.effect("leaves nothing behind when a connect is interrupted", () =>
    Effect.gen(function*() {
      const mail = serve({ latency: "1 second" })
      const opening = yield* Effect.forkChild(mail.imap.connect(connection()), { startImmediately: true })
      yield* TestClock.adjust("600 millis")
      assert.strictEqual(mail.connections().length, 1)
      yield* Fiber.interrupt(opening)
      assert.strictEqual(mail.connections().length, 0)
    }))

  it.effect("selects without a round trip what is selected already, unless asked to refresh", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* mail.imap.connect(connection())
      const first = yield* imap.select("inbox", { readOnly: false })
      assert.deepInclude(first, { path: "INBOX", exists: 3, uidNext: 4, readOnly: false, resync: undefined })
      assert.strictEqual(yield* imap.select("INBOX", { readOnly: false }), first)
      yield* imap.select("INBOX", { readOnly: false, refresh: true })
      assert.deepInclude(yield* imap.select("INBOX", { readOnly: true }), { readOnly: true, permanentFlags: [] })
      assert.deepStrictEqual(
        mail.commands().map(({ verb }) => verb).filter((verb) => /SELECT|EXAMINE/.test(verb)),
        ["SELECT", "SELECT", "EXAMINE"]
      )
      assert.deepInclude(yield* Effect.flip(imap.select("No", { readOnly: false })), {
        _tag: "MailboxNotFound",
        mailbox: "No"
      })
      assert.isUndefined(imap.selected())
      assert.deepInclude(yield* Effect.flip(imap.fetch("1", { flags: true })), { _tag: "Rejected" })
    }))

  it.effect("tells with QRESYNC what changed and what went, if UIDVALIDITY is the same", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      const { highestModseq: modseq = 0n, uidValidity } = yield* imap.select("INBOX", { readOnly: false })
      inbox(mail).store([1], "add", ["\\Seen"])
      inbox(mail).take([2])
      const { resync } = yield* imap.select("INBOX", { readOnly: false, since: { uidValidity, modseq } })
      assert.deepStrictEqual([...resync?.vanished ?? []], [2])
      assert.deepStrictEqual(resync?.changed, [{ uid: 1, flags: ["\\Seen"], modseq: modseq + 1n }])
      const other = { uidValidity: uidValidity + 1, modseq }
      assert.isUndefined((yield* imap.select("INBOX", { readOnly: false, since: other })).resync)
    }))

  it.effect("fetches exactly what is asked for, as copies", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      const rows = yield* imap.fetch("3,1,77", { envelope: true, size: true, headers: ["subject"], parts: ["1", "9"] })
      assert.deepStrictEqual(rows.map(({ uid }) => uid), [1, 3])
      const [row] = rows
      assert.deepStrictEqual(Object.keys(row ?? {}).sort(), ["envelope", "headers", "parts", "size", "uid"])
      assert.strictEqual(row?.envelope?.subject, "ä")
      assert.deepStrictEqual(row?.headers, new TextEncoder().encode("Subject: =?utf-8?q?=C3=A4?=\r\n\r\n"))
      assert.deepStrictEqual([...row?.parts ?? []], [["1", new TextEncoder().encode("one")]])
      const [full] = yield* imap.fetch("1", { source: true, flags: true, modseq: true, labels: true, emailId: true })
      full?.source?.fill(0)
      assert.notStrictEqual(inbox(mail).message(1)?.source[0], 0)
      assert.deepInclude(full, { labels: undefined, emailId: "M1", flags: [] })
      assert.deepStrictEqual(
        (yield* imap.fetch("1:*", { modseq: true }, { changedSince: full?.modseq ?? 0n })).map(({ uid }) => uid),
        [2, 3]
      )
      assert.strictEqual((yield* imap.fetch("1", { structure: true }))[0]?.structure?.part, "1")
      assert.strictEqual(yield* tagOf(imap.fetch("x", { flags: true })), "Rejected")
    }))

  it.effect("fetches parts of sections, shorter or empty past their end", () =>
    Effect.gen(function*() {
      const imap = yield* inInbox(serve())
      const text = (uid: number, section: string, start: number, length: number) =>
        Effect.map(imap.fetchPartial({ uid, section, start, length }), (octets) =>
          octets === undefined ? undefined : new TextDecoder().decode(octets))
      assert.strictEqual(yield* text(2, "1", 1, 1), "w")
      assert.strictEqual(yield* text(2, "", 0, 8), "Subject:")
      assert.strictEqual(yield* text(2, "1", 1, 99), "wo")
      assert.strictEqual(yield* text(2, "1", 99, 1), "")
      assert.isUndefined(yield* text(2, "2", 0, 1))
      assert.isUndefined(yield* text(99, "1", 0, 1))
    }))

  it.effect("changes, copies, moves, expunges and appends, and says where things went", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      yield* imap.store("1:2", { mode: "add", flags: ["\\Flagged"] })
      assert.deepStrictEqual(yield* imap.search({ _tag: "Flag", flag: "\\Flagged", set: true }), [1, 2])
      assert.deepStrictEqual([...(yield* imap.copy("1", "Archive"))?.uids ?? []], [[1, 1]])
      assert.isUndefined(yield* imap.copy("99", "Archive"))
      assert.deepStrictEqual([...(yield* imap.move("2", "Archive"))?.uids ?? []], [[2, 2]])
      inbox(mail).store([3], "add", ["\\Deleted"])
      yield* imap.expunge("1")
      assert.deepStrictEqual(inbox(mail).uids, [3])
      const appended = yield* imap.append("Sent", new TextEncoder().encode("Subject: x\r\n\r\n"), { flags: ["\\Seen"] })
      assert.strictEqual(appended?.uid, 1)
      assert.deepInclude(yield* imap.status("Sent"), { messages: 1, unseen: 0, uidNext: 2 })
      assert.strictEqual(yield* tagOf(imap.copy("3", "No")), "MailboxNotFound")
      assert.strictEqual(yield* tagOf(imap.append("No", new Uint8Array(1), { flags: [] })), "MailboxNotFound")
      assert.strictEqual(yield* tagOf(imap.append("Sent", new Uint8Array(10_000), { flags: [] })), "QuotaExceeded")
      assert.deepInclude((yield* imap.quota("INBOX"))?.storage, { limit: 10_000 })
    }))

  it.effect("keeps mailboxes: creating twice is done, deleting twice is not", () =>
    Effect.gen(function*() {
      const imap = yield* serve().imap.connect(connection())
      yield* imap.create("A/B")
      yield* imap.create("A/B")
      yield* imap.subscribe("A/B")
      const mailboxes = yield* imap.list({ status: true })
      assert.deepInclude(mailboxes.find(({ path }) => path === "A"), { selectable: false, subscribed: false })
      assert.deepInclude(mailboxes.find(({ path }) => path === "A/B"), { selectable: true, subscribed: true })
      assert.strictEqual(mailboxes.find(({ path }) => path === "Sent")?.specialUse, "sent")
      assert.strictEqual(mailboxes.find(({ path }) => path === "INBOX")?.status?.messages, 3)
      yield* imap.rename("A", "C")
      yield* imap.unsubscribe("A/B")
      yield* imap.delete("C/B")
      assert.strictEqual(yield* tagOf(imap.delete("C/B")), "MailboxNotFound")
      assert.strictEqual(yield* tagOf(imap.status("C/B")), "MailboxNotFound")
      assert.deepInclude(yield* Effect.flip(imap.rename("Sent", "Trash")), { _tag: "Rejected", code: "ALREADYEXISTS" })
    }))

  it.effect("refuses changes in a mailbox that is only examined", () =>
    Effect.gen(function*() {
      const imap = yield* inInbox(serve(), true)
      assert.strictEqual(yield* tagOf(imap.store("1", { mode: "add", flags: ["\\Seen"] })), "Rejected")
      assert.strictEqual(yield* tagOf(imap.move("1", "Trash")), "Rejected")
      yield* imap.copy("1", "Trash")
    }))

  it.effect("never does more than it was told where UIDPLUS or MOVE are missing, and tells what else is", () =>
    Effect.gen(function*() {
      const mail = serve({ without: ["uidplus", "MOVE", "CONDSTORE", "QUOTA", "OBJECTID"] })
      const imap = yield* inInbox(mail)
      assert.deepInclude(yield* Effect.flip(imap.expunge("1")), { _tag: "Unsupported", capability: "UIDPLUS" })
      assert.deepInclude(yield* Effect.flip(imap.move("1", "Trash")), { _tag: "Unsupported", capability: "MOVE" })
      assert.deepInclude(yield* Effect.flip(imap.quota("INBOX")), { _tag: "Unsupported", capability: "QUOTA" })
      const modseq = { _tag: "Not", key: { _tag: "Modseq", modseq: 1n } } as const
      assert.deepInclude(yield* Effect.flip(imap.search(modseq)), { _tag: "Unsupported", capability: "CONDSTORE" })
      assert.deepStrictEqual(inbox(mail).uids, [1, 2, 3])
      assert.isUndefined(yield* imap.copy("1", "Trash"))
      assert.isUndefined(yield* imap.append("Trash", new Uint8Array(1), { flags: [] }))
      assert.isUndefined(imap.selected()?.highestModseq)
      assert.deepStrictEqual([...imap.enabled], [])
      assert.deepInclude((yield* imap.fetch("1", { modseq: true, emailId: true }))[0], {
        modseq: undefined,
        emailId: undefined
      })
    }))
})

describe("idle", () => {
  const changes: ReadonlyArray<readonly [string, (imap: ImapConnection) => Effect.Effect<unknown, Reason>]> = [
    ["new mail", (imap) => imap.append("INBOX", new TextEncoder().encode("x"), { flags: [] })],
    ["flags", (imap) => imap.store("1", { mode: "add", flags: ["\\Seen"] })],
    ["an expunge", (imap) => imap.expunge("1")]
  ]
  for (const [what, change] of changes) {
    it.effect(`hears ${what} of another connection`, () =>
      Effect.gen(function*() {
        const mail = serve()
        const [watcher, other] = [yield* inInbox(mail), yield* inInbox(mail)]
        const idling = yield* Effect.forkChild(watcher.idle, { startImmediately: true })
        yield* settle
        assert.isUndefined(idling.pollUnsafe())
        yield* change(other)
        yield* Fiber.join(idling)
      }))
  }

  it.effect("rings at once for what the server has not said yet, and not for what it said before", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      inbox(mail).store([2], "add", ["\\Seen"])
      yield* imap.idle
      assert.strictEqual(imap.heard(), 1)
      inbox(mail).store([3], "add", ["\\Seen"])
      yield* imap.noop
      assert.strictEqual(imap.heard(), 2)
      const idling = yield* Effect.forkChild(imap.idle, { startImmediately: true })
      yield* settle
      assert.isUndefined(idling.pollUnsafe())
      yield* Fiber.interrupt(idling)
      inbox(mail).take([3])
      assert.strictEqual(imap.heard(), 3)
      yield* imap.select("INBOX", { readOnly: false, refresh: true })
      assert.strictEqual(imap.heard(), 3)
    }))

  it.effect("goes on after it was left, and the next one joins it", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      for (const uid of [1, 2]) {
        const idling = yield* Effect.forkChild(imap.idle, { startImmediately: true })
        yield* settle
        inbox(mail).store([uid], "add", ["\\Seen"])
        yield* Fiber.join(idling)
      }
      assert.strictEqual(mail.commands().filter(({ verb }) => verb === "IDLE").length, 1)
    }))

  it.effect("counts as heard what a server says of the session's own changes, which is not flags", () =>
    Effect.gen(function*() {
      const imap = yield* inInbox(serve())
      yield* imap.store("1", { mode: "add", flags: ["\\Seen"] })
      assert.strictEqual(imap.heard(), 0)
      yield* imap.append("INBOX", new Uint8Array(1), { flags: [] })
      yield* imap.move("1", "Trash")
      assert.strictEqual(imap.heard(), 2)
    }))

  it.effect("stays usable when it is interrupted", () =>
    Effect.gen(function*() {
      const mail = serve({ latency: "40 millis" })
      const opening = yield* Effect.forkChild(inInbox(mail), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      const imap = yield* Fiber.join(opening)
      for (const wait of ["10 millis", "1 second"] as const) {
        const idling = yield* Effect.forkChild(imap.idle, { startImmediately: true })
        yield* TestClock.adjust(wait)
        yield* Fiber.interrupt(idling)
        const next = yield* Effect.forkChild(imap.noop, { startImmediately: true })
        yield* TestClock.adjust("40 millis")
        yield* Fiber.join(next)
      }
      assert.strictEqual(mail.overlaps(), 0)
    }))

  it.effect("asks from time to time where the server has no IDLE", () =>
    Effect.gen(function*() {
      const mail = serve({ without: ["IDLE"] })
      const imap = yield* inInbox(mail)
      const idling = yield* Effect.forkChild(imap.idle, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      inbox(mail).store([1], "add", ["\\Seen"])
      yield* settle
      assert.isUndefined(idling.pollUnsafe())
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(idling)
    }))

  it.effect("ends with the connection when the mailbox is deleted or numbered anew", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      const idling = yield* Effect.forkChild(Effect.flip(imap.idle), { startImmediately: true })
      yield* settle
      mail.store.user("ann")?.resetUidValidity("INBOX")
      assert.deepInclude(yield* Fiber.join(idling), { _tag: "ConnectionLost", written: true })
      assert.match(yield* imap.closed, /INBOX was reset/)
    }))

  it.effect("hears nothing of a rename; the next command meets a BYE", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* mail.imap.connect(connection())
      yield* imap.select("Archive", { readOnly: false })
      const idling = yield* Effect.forkChild(imap.idle, { startImmediately: true })
      yield* settle
      mail.store.user("ann")?.renameMailbox("Archive", "Past")
      yield* settle
      assert.isUndefined(idling.pollUnsafe())
      yield* Fiber.interrupt(idling)
      assert.strictEqual(yield* tagOf(imap.fetch("1", { flags: true })), "ConnectionLost")
      assert.isFalse(imap.isUsable())
    }))
})

describe("faults over IMAP", () => {
  const rows: ReadonlyArray<readonly [string, FaultAction, Partial<Reason>]> = [
    ["a drop before", { _tag: "Drop", when: "before" }, { _tag: "ConnectionLost", written: false }],
    ["a drop after", { _tag: "Drop", when: "after" }, { _tag: "ConnectionLost", written: true }],
    ["a BYE", refuse(undefined, "shutting down", "BYE"), { _tag: "ConnectionLost", written: true }],
    ["octets that are no answer", { _tag: "Corrupt" }, { _tag: "ProtocolViolation", written: true }]
  ]
  for (const [what, action, expected] of rows) {
    it.effect(`close the connection: ${what}`, () =>
      Effect.gen(function*() {
        const mail = serve({ faults: [fault("UID STORE", action)] })
        const imap = yield* inInbox(mail)
        const reason = yield* Effect.flip(imap.store("1", { mode: "add", flags: ["\\Seen"] }))
        assert.deepInclude(reason, expected)
        assert.isFalse(imap.isUsable())
        yield* imap.closed
        assert.strictEqual(mail.connections().length, 0)
        assert.strictEqual(
          inbox(mail).message(1)?.flags.has("\\Seen"),
          action._tag === "Corrupt" || (action._tag === "Drop" && action.when === "after")
        )
        assert.deepInclude(yield* Effect.flip(imap.noop), { _tag: "ConnectionLost", written: false })
        assert.deepStrictEqual(mail.commands().at(-1)?.fault, action)
      }))
  }

  const refusals: ReadonlyArray<readonly [FaultAction, Reason["_tag"]]> = [
    [refuse("OVERQUOTA", "Quota exceeded"), "QuotaExceeded"],
    [refuse("THROTTLED", "slower"), "Throttled"],
    [refuse("UNAVAILABLE", "later"), "Throttled"],
    [refuse("LIMIT", "too much"), "Throttled"],
    [refuse("TRYCREATE", "no such mailbox"), "MailboxNotFound"],
    [refuse("NOPERM", "not yours"), "Rejected"],
    [refuse(undefined, "what?", "BAD"), "Rejected"],
    [{ _tag: "Reply", code: 550, text: "wrong protocol" }, "Rejected"]
  ]
  it.effect("refuse a command with the reason an adapter gives, and the connection stays", () =>
    Effect.gen(function*() {
      const mail = serve()
      const imap = yield* inInbox(mail)
      for (const [action, tag] of refusals) {
        mail.faults.add(fault("COPY", action))
        assert.strictEqual(yield* tagOf(imap.copy("1", "Sent")), tag)
      }
      assert.isTrue(imap.isUsable())
      assert.isDefined(yield* imap.copy("1", "Sent"))
    }))

  it.effect("refuse a login with the reason an adapter gives", () =>
    Effect.gen(function*() {
      const mail = serve()
      const logins: ReadonlyArray<readonly [string, FaultAction, Reason["_tag"]]> = [
        ["LOGIN", refuse("AUTHENTICATIONFAILED", "no"), "AuthenticationFailed"],
        ["LOGIN", refuse("ALERT", "Too many simultaneous connections"), "ConnectionRefusedByLimit"],
        ["LOGIN", refuse("LIMIT", "no"), "ConnectionRefusedByLimit"],
        ["LOGIN", refuse("UNAVAILABLE", "later"), "Throttled"],
        ["LOGIN", { _tag: "Drop", when: "after" }, "ConnectionFailed"],
        ["connect", { _tag: "Drop", when: "before" }, "ConnectionFailed"],
        ["connect", refuse(undefined, "Too many connections from your host", "BYE"), "ConnectionRefusedByLimit"]
      ]
      for (const [at, action, tag] of logins) {
        mail.faults.add(fault(at, action))
        assert.strictEqual(yield* tagOf(mail.imap.connect(connection())), tag)
      }
      assert.strictEqual(mail.connections().length, 0)
    }))

  it.effect("delay on the Clock", () =>
    Effect.gen(function*() {
      const mail = serve({ faults: [fault("NOOP", { _tag: "Delay", duration: "1 hour" })] })
      const imap = yield* mail.imap.connect(connection())
      const waiting = yield* Effect.forkChild(imap.noop, { startImmediately: true })
      yield* TestClock.adjust("59 minutes")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(waiting)
    }))

  it.effect("stall until interrupted, which makes the connection unusable, or until the connection is cut", () =>
    Effect.gen(function*() {
      const mail = serve({ faults: [fault("SEARCH", { _tag: "Stall" }), fault("SEARCH", { _tag: "Stall" })] })
      const first = yield* inInbox(mail)
      const stalled = yield* Effect.forkChild(first.search({ _tag: "All" }), { startImmediately: true })
      yield* TestClock.adjust("10 hours")
      yield* Fiber.interrupt(stalled)
      assert.isFalse(first.isUsable())
      const second = yield* inInbox(mail)
      const cut = yield* Effect.forkChild(Effect.flip(second.search({ _tag: "All" })), { startImmediately: true })
      yield* settle
      assert.strictEqual(mail.drop({ user: "ann" }), 1)
      assert.deepInclude(yield* Fiber.join(cut), { _tag: "ConnectionLost", written: true })
    }))

  it.effect("bound the LOGOUT of a closing scope", () =>
    Effect.gen(function*() {
      const mail = serve({ faults: [fault("LOGOUT", { _tag: "Stall" })] })
      const closing = yield* Effect.forkChild(Effect.scoped(mail.imap.connect(connection())), {
        startImmediately: true
      })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(mail.connections().length, 1)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(mail.connections().length, 0)
    }))

  it.effect("are not waited for when a scope closes after a failure", () =>
    Effect.gen(function*() {
      const mail = serve()
      yield* Effect.exit(Effect.scoped(Effect.andThen(mail.imap.connect(connection()), Effect.fail("no"))))
      assert.notInclude(mail.commands().map(({ verb }) => verb), "LOGOUT")
      assert.strictEqual(mail.connections().length, 0)
    }))

  it.effect("show a client that runs two commands at once", () =>
    Effect.gen(function*() {
      const mail = serve({ latency: "10 millis" })
      const opening = yield* Effect.forkChild(mail.imap.connect(connection()), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      const imap = yield* Fiber.join(opening)
      const first = yield* Effect.forkChild(imap.noop, { startImmediately: true })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(imap.noop)))
      assert.strictEqual(mail.overlaps(), 1)
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(first)
    }))
})

describe("MemoryMail.layer", () => {
  it.effect("gives the drivers and what is behind them, without any real time", () =>
    Effect.gen(function*() {
      const mail = yield* MemoryMail
      const running = yield* Effect.forkChild(
        Effect.scoped(Effect.gen(function*() {
          const imap = yield* mail.imap.connect(connection())
          yield* imap.select("INBOX", { readOnly: true })
          yield* imap.noop
        })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("39 seconds")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(running)
      assert.deepStrictEqual(
        mail.commands().map(({ atMillis, verb }) => [verb, atMillis / 1000]),
        [["connect", 5], ["LOGIN", 15], ["EXAMINE", 25], ["NOOP", 35], ["LOGOUT", 40]]
      )
    }).pipe(Effect.provide(MemoryMail.layer({ users: [{ name: "ann", password: "secret" }], latency: "10 seconds" }))))
})
