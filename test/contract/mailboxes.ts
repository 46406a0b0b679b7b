/** The contract of everything about mailboxes themselves: names, counters, subscriptions, quota. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { MessageRef, Query } from "../../src/index.ts"
import { file, fileAll, letterOf, selectedTwice, sixTimes } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

const named = (account: Account, path: string) =>
  Effect.map(account.mailboxes(), (mailboxes) => mailboxes.find((mailbox) => mailbox.path === path))

export const mailboxes = ({ test }: Suite): void => {
  describe("mailboxes", () => {
    test("lists the mailboxes with their special use, subscription and delimiter, and no counters", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const listed = yield* ann.mailboxes()
        assert.deepStrictEqual(Object.fromEntries(listed.map(({ path, specialUse }) => [path, specialUse])), {
          INBOX: "inbox",
          Archive: "archive",
          Drafts: "drafts",
          Junk: "junk",
          Sent: "sent",
          Trash: "trash"
        })
        for (const mailbox of listed) {
          assert.strictEqual(mailbox.delimiter, "/", mailbox.path)
          assert.isTrue(mailbox.selectable, mailbox.path)
          assert.isUndefined(mailbox.status, mailbox.path)
        }
        assert.isTrue(listed.find(({ path }) => path === "Sent")?.subscribed)
      }))

    test("lists counters where they are asked for", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const [first] = yield* fileAll(ann, "Archive", [{ flags: ["\\Seen"] }, {}, {}])
        const archive = (yield* ann.mailboxes({ status: true })).find(({ path }) => path === "Archive")
        assert.strictEqual(archive?.status?.messages, 3)
        assert.strictEqual(archive?.status?.unseen, 2)
        assert.strictEqual(archive?.status?.uidValidity, first?.uidValidity)
        assert.strictEqual(archive?.status?.uidNext, 1 + (first?.uid ?? 0) + 2)
        assert.deepStrictEqual(yield* ann.status("Archive"), archive?.status)
      }))

    test("lists counters as they are of a mailbox that is selected too", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        const elsewhere = yield* open("ann")
        yield* ann.search(Query.inbox)
        const [read, unread] = yield* fileAll(elsewhere, "INBOX", [{ flags: ["\\Seen"] }, {}])
        const counters = Effect.map(ann.mailboxes({ status: true }), (listed) => {
          const status = listed.find(({ path }) => path === "INBOX")?.status
          return { messages: status?.messages, unseen: status?.unseen }
        })
        assert.deepStrictEqual(yield* counters, { messages: 2, unseen: 1 })
        if (read === undefined || unread === undefined) return assert.fail("they were not filed")
        yield* elsewhere.flag(unread, { add: ["\\Seen"] })
        yield* elsewhere.remove(read, { to: "expunge" })
        assert.deepStrictEqual(yield* counters, { messages: 1, unseen: 0 })
      }))

    test("creates mailboxes below others, whose superiors are no mailboxes to select unless they were made", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("Projects/2026/Q1")
        assert.isTrue((yield* named(ann, "Projects/2026/Q1"))?.selectable)
        for (const superior of ["Projects", "Projects/2026"]) {
          assert.notStrictEqual((yield* named(ann, superior))?.selectable, true, superior)
        }
        yield* ann.createMailbox("Projects")
        assert.isTrue((yield* named(ann, "Projects"))?.selectable)
      }))

    test("knows on every connection that a mailbox was replaced by another of its name", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 2 } })
        yield* ann.createMailbox("Work")
        yield* fileAll(ann, "Work", [{}, {}, {}])
        yield* selectedTwice(ann, "Work")
        yield* ann.deleteMailbox("Work")
        yield* ann.createMailbox("Work")
        const ref = yield* file(ann, "Work")
        for (const { uidValidity, uids } of yield* sixTimes(ann.search(Query.in("Work")))) {
          assert.deepStrictEqual({ uidValidity, uids: [...uids] }, { uidValidity: ref.uidValidity, uids: [ref.uid] })
        }
        for (const { messages } of yield* sixTimes(ann.status("Work"))) assert.strictEqual(messages, 1)
      }))

    test("creates what is there already without complaint, and keeps what it holds", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("Twice")
        yield* file(ann, "Twice")
        yield* ann.createMailbox("Twice")
        assert.strictEqual((yield* ann.status("Twice")).messages, 1)
      }))

    for (const path of ["Übung & 日本", "two words", `quote " and back\\slash`, "percent-less (paren) {brace}", "😀"]) {
      test(`takes ${path} for a name in every operation`, ({ open }) =>
        Effect.gen(function*() {
          const ann = yield* open("ann")
          yield* ann.createMailbox(path)
          yield* ann.subscribe(path)
          const ref = yield* file(ann, path)
          assert.strictEqual(ref.mailbox, path)
          assert.isTrue((yield* named(ann, path))?.subscribed)
          assert.strictEqual((yield* ann.status(path)).messages, 1)
          assert.deepStrictEqual([...(yield* ann.search(Query.in(path))).uids], [ref.uid])
          yield* ann.move(ref, "Archive")
          yield* ann.renameMailbox(path, `${path} 2`)
          yield* ann.unsubscribe(path)
          yield* ann.deleteMailbox(`${path} 2`)
          assert.isUndefined(yield* named(ann, `${path} 2`))
        }))
    }

    test("renames a mailbox with everything below it and in it", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("Old")
        yield* ann.createMailbox("Old/Child/Grandchild")
        yield* file(ann, "Old")
        yield* fileAll(ann, "Old/Child/Grandchild", [{}, {}])
        // selected by one of our own connections while it is renamed
        yield* ann.search(Query.in("Old"))
        yield* ann.renameMailbox("Old", "New")
        assert.strictEqual((yield* ann.status("New")).messages, 1)
        assert.strictEqual((yield* ann.status("New/Child/Grandchild")).messages, 2)
        assert.strictEqual((yield* ann.search(Query.in("New"))).size, 1)
        assert.strictEqual((yield* reasonOf(ann.status("Old")))._tag, "MailboxNotFound")
        assert.strictEqual((yield* reasonOf(ann.search(Query.in("Old"))))._tag, "MailboxNotFound")
        assert.strictEqual((yield* reasonOf(ann.status("Old/Child/Grandchild")))._tag, "MailboxNotFound")
      }))

    test("does not rename what is not there, nor onto a name that is taken", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("Mine")
        yield* ann.createMailbox("Taken")
        yield* file(ann, "Mine")
        assert.strictEqual((yield* reasonOf(ann.renameMailbox("Nowhere", "Elsewhere")))._tag, "MailboxNotFound")
        const taken = yield* reasonOf(ann.renameMailbox("Mine", "Taken"))
        assert.strictEqual(taken._tag, "Rejected")
        assert.strictEqual((yield* ann.status("Mine")).messages, 1)
        assert.strictEqual((yield* ann.status("Taken")).messages, 0)
      }))

    test("deletes a mailbox with its messages, and once more without complaint", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("Gone")
        yield* file(ann, "Gone")
        yield* ann.deleteMailbox("Gone")
        yield* ann.deleteMailbox("Gone")
        assert.strictEqual((yield* reasonOf(ann.status("Gone")))._tag, "MailboxNotFound")
        yield* ann.createMailbox("Gone")
        assert.strictEqual((yield* ann.status("Gone")).messages, 0)
      }))

    test("deletes a mailbox that this account and another have selected, and goes on", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        const elsewhere = yield* open("ann")
        yield* ann.createMailbox("Busy")
        const ref = yield* file(ann, "Busy")
        yield* elsewhere.message(ref)
        yield* ann.message(ref)
        yield* ann.deleteMailbox("Busy")
        assert.isUndefined(yield* named(ann, "Busy"))
        for (const account of [ann, elsewhere]) {
          const reason = yield* reasonOf(account.search(Query.in("Busy")))
          assert.strictEqual(reason._tag, "MailboxNotFound")
          assert.strictEqual((yield* account.search(Query.inbox)).size, 0)
        }
      }))

    test("does not delete INBOX", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* file(ann, "INBOX")
        assert.strictEqual((yield* reasonOf(ann.deleteMailbox("INBOX")))._tag, "Rejected")
        assert.strictEqual((yield* ann.status("INBOX")).messages, 1)
      }))

    test("subscribes to a mailbox that it creates", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("News")
        assert.isTrue((yield* named(ann, "News"))?.subscribed)
      }))

    test("subscribes and unsubscribes, each also twice", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("News")
        yield* ann.unsubscribe("News")
        yield* ann.unsubscribe("News")
        assert.isFalse((yield* named(ann, "News"))?.subscribed)
        yield* ann.subscribe("News")
        yield* ann.subscribe("News")
        assert.isTrue((yield* named(ann, "News"))?.subscribed)
      }))

    test("tells counters that are right directly after each change by the same account", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        const before = yield* ann.status("INBOX")
        assert.deepInclude(before, { mailbox: "INBOX", messages: 0, unseen: 0 })
        const ref = yield* file(ann, "INBOX")
        assert.strictEqual((yield* ann.status("INBOX")).messages, 1)
        yield* ann.search(Query.inbox)
        yield* file(ann, "INBOX")
        const after = yield* ann.status("INBOX")
        assert.deepInclude(after, { messages: 2, unseen: 2, uidNext: ref.uid + 2, uidValidity: ref.uidValidity })
        yield* ann.flag(ref, { add: ["\\Seen"] })
        assert.strictEqual((yield* ann.status("INBOX")).unseen, 1)
        yield* ann.remove(ref, { to: "expunge" })
        assert.deepInclude(yield* ann.status("INBOX"), { messages: 1, unseen: 1, uidNext: ref.uid + 2 })
      }))

    test("tells what another account changed in the mailbox that is selected here", ({ open }) =>
      Effect.gen(function*() {
        const here = yield* open("ann", { limits: { imapConnections: 1 } })
        const there = yield* open("ann")
        const ref = yield* file(here, "INBOX")
        yield* here.message(ref)
        yield* file(there, "INBOX")
        assert.strictEqual((yield* here.status("INBOX")).messages, 2)
        assert.strictEqual((yield* here.search(Query.inbox)).size, 2)
        yield* there.remove(ref, { to: "expunge" })
        assert.strictEqual((yield* here.status("INBOX")).messages, 1)
        assert.isFalse((yield* here.search(Query.inbox)).has(ref.uid))
      }))

    test("knows INBOX by its name in any case", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        const ref = yield* file(ann, "inbox")
        assert.strictEqual((yield* ann.status("Inbox")).messages, 1)
        const found = yield* ann.search(Query.in("iNBOX"))
        assert.deepStrictEqual([...found.uids], [ref.uid])
        yield* ann.flag(found, { add: ["\\Flagged"] })
        assert.strictEqual((yield* ann.search(Query.inbox.and({ flagged: true }))).size, 1)
        yield* file(ann, "INBOX")
        assert.strictEqual((yield* ann.status("inbox")).messages, 2)
        assert.strictEqual((yield* ann.status("inbox")).mailbox, "INBOX")
        assert.deepStrictEqual([ref.mailbox, found.mailbox], ["INBOX", "INBOX"])
        yield* ann.withMailbox("InBox", (inbox) =>
          Effect.gen(function*() {
            assert.strictEqual(inbox.mailbox, "INBOX")
            const odd = new MessageRef({ ...ref, mailbox: "inbox" })
            assert.deepStrictEqual((yield* inbox.message(odd)).ref, ref)
            assert.isTrue((yield* inbox.flag([ref, odd], { add: ["\\Seen"] })).has(ref.uid))
            assert.strictEqual((yield* inbox.search(Query.in("inbox"))).size, 2)
          }))
      }))

    test("has its capabilities in upper case", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const capabilities = yield* ann.capabilities
        for (const capability of ["IMAP4REV1", "UIDPLUS", "MOVE", "CONDSTORE", "IDLE", "SPECIAL-USE"]) {
          assert.isTrue(capabilities.has(capability), capability)
        }
        for (const capability of capabilities) assert.strictEqual(capability, capability.toUpperCase())
      }))

    test("knows no quota where the server keeps none", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        assert.isTrue(Option.isNone(yield* ann.quota()))
      }))

    test(
      "tells the quota and its use, and what goes beyond it is refused and not stored",
      ({ open }) =>
        Effect.gen(function*() {
          const ann = yield* open("ann")
          const before = Option.getOrThrow(yield* ann.quota())
          assert.deepStrictEqual(before.storage?.limit, 100 * 1024)
          assert.deepStrictEqual(before.storage?.usage, 0)
          const ref = yield* file(ann, "INBOX", letterOf(60 * 1024))
          assert.deepStrictEqual(Option.getOrThrow(yield* ann.quota("Archive")).storage?.usage, 60 * 1024)
          assert.strictEqual((yield* reasonOf(file(ann, "Archive", letterOf(60 * 1024))))._tag, "QuotaExceeded")
          assert.strictEqual((yield* reasonOf(ann.copy(ref, "Archive")))._tag, "QuotaExceeded")
          assert.strictEqual((yield* ann.status("Archive")).messages, 0)
          yield* file(ann, "Archive", letterOf(1024))
        }),
      { quota: 100 * 1024 }
    )
  })
}
