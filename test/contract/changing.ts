/** The contract of everything that changes what a mailbox holds: what was named is changed, and nothing else. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { Draft, type MessageRef, MessageSet, Query } from "../../src/index.ts"
import { file, fileAll, letter, letterOf, selectedTwice, sixTimes } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

const flagsOf = (account: Account, ref: MessageRef) =>
  Effect.map(
    Stream.runCollect(account.fetch(ref, { flags: true })),
    ([row]) => (row?.flags ?? []).filter((flag) => flag !== "\\Recent").toSorted()
  )

const uidsIn = (account: Account, mailbox: string) =>
  Effect.map(account.search(Query.in(mailbox)), ({ uids }) => [...uids])

const subjectsIn = (account: Account, mailbox: string) =>
  Effect.map(
    Stream.runCollect(account.envelopes(Query.in(mailbox))),
    (envelopes) => envelopes.map(({ subject }) => subject)
  )

const subject = (text: string) => ({ fields: { Subject: text } })

const three = (ann: Account) =>
  Effect.map(fileAll(ann, "INBOX", ["one", "two", "three"].map(subject)), ([one, two, three]) => ({
    one: Option.getOrThrow(Option.fromUndefinedOr(one)),
    two: Option.getOrThrow(Option.fromUndefinedOr(two)),
    three: Option.getOrThrow(Option.fromUndefinedOr(three))
  }))

const missing = (ref: MessageRef, by = 100) => MessageSet.of(ref.mailbox, ref.uidValidity, [ref.uid + by])

export const changing = ({ test }: Suite): void => {
  describe("changing", () => {
    test("is known to every connection before it searches: flags, removals and moves", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 2 } })
        const { one, three: last, two } = yield* three(ann)
        yield* selectedTwice(ann, "INBOX")
        const unseen = sixTimes(Effect.map(ann.search(Query.inbox.and({ seen: false })), ({ uids }) => [...uids]))
        yield* unseen
        yield* ann.flag(one, { add: ["\\Seen"] })
        for (const uids of yield* unseen) assert.deepStrictEqual(uids, [two.uid, last.uid])
        yield* ann.remove(two, { to: "expunge" })
        for (const uids of yield* unseen) assert.deepStrictEqual(uids, [last.uid])
        yield* ann.flag(one, { remove: ["\\Seen"] })
        yield* ann.move(last, "Archive")
        for (const uids of yield* unseen) assert.deepStrictEqual(uids, [one.uid])
      }))

    test("adds, removes and sets flags and keywords, of the named messages alone", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { one, three: last, two } = yield* three(ann)
        const changed = yield* ann.flag([one, two], { add: ["\\Seen", "$Done"] })
        assert.deepStrictEqual([...changed.uids], [one.uid, two.uid])
        assert.deepStrictEqual(yield* flagsOf(ann, one), ["$Done", "\\Seen"])
        yield* ann.flag(one, { add: ["\\Seen"] })
        yield* ann.flag(one, { remove: ["\\Seen", "\\Flagged"] })
        assert.deepStrictEqual(yield* flagsOf(ann, one), ["$Done"])
        yield* ann.flag(two, { set: ["\\Flagged", "$Other"] })
        assert.deepStrictEqual(yield* flagsOf(ann, two), ["$Other", "\\Flagged"])
        yield* ann.flag(two, { set: [] })
        assert.deepStrictEqual(yield* flagsOf(ann, two), [])
        assert.deepStrictEqual(yield* flagsOf(ann, last), [])
      }))

    test("shows changed flags to another account at once", ({ open }) =>
      Effect.gen(function*() {
        const here = yield* open("ann")
        const there = yield* open("ann")
        const ref = yield* file(here, "INBOX")
        assert.deepStrictEqual(yield* flagsOf(there, ref), [])
        yield* here.flag(ref, { add: ["\\Answered"] })
        assert.deepStrictEqual(yield* flagsOf(there, ref), ["\\Answered"])
      }))

    test("answers which of the messages are there, and fails where none is", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { one } = yield* three(ann)
        const asked = missing(one).with([one.uid, one.uid + 100])
        assert.deepStrictEqual([...(yield* ann.flag(asked, { add: ["\\Seen"] })).uids], [one.uid])
        const nobody = missing(one)
        for (
          const operation of [
            ann.flag(nobody, { add: ["\\Seen"] }),
            ann.copy(nobody, "Archive"),
            ann.move(nobody, "Archive"),
            ann.remove(nobody),
            ann.remove(nobody, { to: "expunge" })
          ]
        ) {
          const reason = yield* reasonOf(operation)
          assert.strictEqual(reason._tag, "MessageNotFound")
          assert.deepStrictEqual("uids" in reason ? [...reason.uids] : [], [...nobody.uids])
        }
        assert.deepStrictEqual(yield* uidsIn(ann, "Archive"), [])
        assert.deepStrictEqual(yield* uidsIn(ann, "Trash"), [])
      }))

    test("refuses a change that is none, or two, or of what is no flag", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX")
        for (
          const change of [
            {},
            { add: ["\\Seen"], remove: ["\\Flagged"] },
            { add: ["two words"] },
            { add: [""] },
            { set: ["a\r\nb"] },
            { remove: ["(x)"] },
            { add: ["\\"] }
          ]
        ) {
          assert.strictEqual((yield* reasonOf(ann.flag(ref, change)))._tag, "InvalidInput", JSON.stringify(change))
        }
        assert.deepStrictEqual(yield* flagsOf(ann, ref), [])
      }))

    test("changes nothing where no message is named", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        assert.isTrue((yield* ann.flag([], { add: ["\\Seen"] })).isEmpty)
        assert.isTrue(Option.isNone(yield* ann.copy([], "Archive")))
        assert.isTrue((yield* ann.remove(MessageSet.empty)).isEmpty)
      }))

    test("changes messages of one mailbox at a time, and says so", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const refs = [yield* file(ann, "INBOX"), yield* file(ann, "Archive")]
        assert.strictEqual((yield* reasonOf(ann.remove(refs, { to: "expunge" })))._tag, "InvalidInput")
        assert.strictEqual((yield* uidsIn(ann, "INBOX")).length, 1)
      }))

    test("copies messages with their flags and dates, and tells their new names", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const internalDate = new Date("2026-01-02T03:04:05Z")
        const source = letterOf(3_000)
        yield* ann.append("INBOX", source, { flags: ["\\Flagged", "$Kept"], internalDate })
        yield* file(ann, "INBOX")
        const all = yield* ann.search(Query.inbox)
        const copies = Option.getOrThrow(yield* ann.copy(all, "Archive"))
        assert.strictEqual(copies.mailbox, "Archive")
        assert.strictEqual(copies.size, 2)
        assert.deepStrictEqual([...copies.uids], yield* uidsIn(ann, "Archive"))
        const [row] = yield* Stream.runCollect(ann.fetch(copies, { flags: true, internalDate: true, source: true }))
        assert.deepStrictEqual(row?.flags.filter((flag) => flag !== "\\Recent").toSorted(), ["$Kept", "\\Flagged"])
        assert.deepStrictEqual(row?.internalDate, internalDate)
        assert.isTrue(Buffer.from(row?.source ?? []).equals(source))
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [...all.uids])
        const within = Option.getOrThrow(yield* ann.copy(all, "INBOX"))
        assert.deepStrictEqual([...within.uids], all.uids.map((uid) => uid + 2))
      }))

    test("moves messages, tells their new names, and leaves the others", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { one, three: last, two } = yield* three(ann)
        yield* ann.flag(two, { add: ["\\Deleted"] })
        const moved = Option.getOrThrow(yield* ann.move([one, last], "Archive"))
        assert.deepStrictEqual(yield* subjectsIn(ann, "Archive"), ["one", "three"])
        assert.deepStrictEqual([...moved.uids], yield* uidsIn(ann, "Archive"))
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [two.uid])
        assert.deepStrictEqual(yield* flagsOf(ann, two), ["\\Deleted"])
        assert.strictEqual((yield* reasonOf(ann.move(one, "Archive")))._tag, "MessageNotFound")
      }))

    test("neither copies nor moves to a mailbox that is not there", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX")
        for (const operation of [ann.copy(ref, "Nowhere"), ann.move(ref, "Nowhere")]) {
          assert.strictEqual((yield* reasonOf(operation))._tag, "MailboxNotFound")
        }
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [ref.uid])
        assert.isFalse((yield* ann.mailboxes()).some(({ path }) => path === "Nowhere"))
      }))

    test("removes into the trash, and out of the trash for ever", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { one, three: last, two } = yield* three(ann)
        yield* ann.flag(last, { add: ["\\Deleted"] })
        const removed = yield* ann.remove([one, two])
        assert.deepStrictEqual([...removed.uids], [one.uid, two.uid])
        assert.deepStrictEqual(yield* subjectsIn(ann, "Trash"), ["one", "two"])
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [last.uid])
        const [first] = (yield* ann.search(Query.in("Trash"))).refs
        yield* ann.remove(first ?? [])
        assert.deepStrictEqual(yield* subjectsIn(ann, "Trash"), ["two"])
      }))

    test("answers, of the messages it removed, those that were there", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { one, three: last, two } = yield* three(ann)
        const asked = missing(one).with([one.uid, one.uid + 100])
        assert.deepStrictEqual([...(yield* ann.remove(asked)).uids], [one.uid])
        const rest = missing(two).with([two.uid, last.uid, one.uid + 100])
        assert.deepStrictEqual([...(yield* ann.remove(rest, { to: "expunge" })).uids], [two.uid, last.uid])
      }))

    test("expunges what was named, never what somebody else marked as deleted", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const elsewhere = yield* open("ann")
        const { one, three: last, two } = yield* three(ann)
        yield* elsewhere.flag([two, last], { add: ["\\Deleted"] })
        yield* ann.remove(one, { to: "expunge" })
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [two.uid, last.uid])
        yield* ann.move(two, "Archive")
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [last.uid])
        assert.deepStrictEqual(yield* uidsIn(ann, "Trash"), [])
      }))

    test("appends octets as they are, with flags and date, and tells their name", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const source = letterOf(5_000)
        const internalDate = new Date("2020-02-29T23:59:58Z")
        const ref = Option.getOrThrow(
          yield* ann.append("Drafts", source, { flags: ["\\Draft", "\\Seen", "$New"], internalDate })
        )
        const [row] = yield* Stream.runCollect(ann.fetch(ref, { source: true, flags: true, internalDate: true }))
        assert.isTrue(Buffer.from(row?.source ?? []).equals(source))
        assert.deepStrictEqual(yield* flagsOf(ann, ref), ["$New", "\\Draft", "\\Seen"])
        assert.deepStrictEqual(row?.internalDate, internalDate)
        const now = yield* file(ann, "Drafts", source)
        const [fresh] = yield* Stream.runCollect(ann.envelopes(now))
        assert.isAbove(fresh?.internalDate?.getTime() ?? 0, internalDate.getTime())
      }))

    test("appends a draft as it would be sent, with its blind copies, and without recipients too", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const draft = new Draft({
          to: "bob@example.com",
          bcc: "secret@example.com",
          subject: "Entwürfe",
          text: "später"
        })
        const ref = Option.getOrThrow(yield* ann.append("Drafts", draft, { flags: ["\\Draft"] }))
        const message = yield* ann.message(ref)
        assert.strictEqual(message.subject, "Entwürfe")
        assert.strictEqual(message.text?.trim(), "später")
        assert.deepStrictEqual(message.from.map((from) => from.address), [address("ann")])
        assert.deepStrictEqual(message.bcc.map((bcc) => bcc.address), ["secret@example.com"])
        assert.match(message.messageId ?? "", /^<.+@.+>$/)
        assert.isDefined(message.date)
        const alone = Option.getOrThrow(yield* ann.append("Drafts", new Draft({ text: "nobody yet" })))
        assert.strictEqual((yield* ann.message(alone)).text?.trim(), "nobody yet")
      }))

    test("appends neither to a mailbox that is not there nor what is no message", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        assert.strictEqual((yield* reasonOf(ann.append("Nowhere", letter())))._tag, "MailboxNotFound")
        assert.isFalse((yield* ann.mailboxes()).some(({ path }) => path === "Nowhere"))
        const flags = yield* reasonOf(ann.append("INBOX", letter(), { flags: ["two words"] }))
        assert.strictEqual(flags._tag, "InvalidInput")
        const date = yield* reasonOf(ann.append("INBOX", letter(), { internalDate: new Date(Number.NaN) }))
        assert.strictEqual(date._tag, "InvalidInput")
        assert.deepStrictEqual(yield* uidsIn(ann, "INBOX"), [])
      }))

    test("touches nothing in a mailbox that has taken the place of the one it knew", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const elsewhere = yield* open("ann")
        yield* ann.createMailbox("Place")
        const old = yield* file(ann, "Place", subject("old"))
        yield* ann.message(old)
        yield* elsewhere.deleteMailbox("Place")
        yield* elsewhere.createMailbox("Place")
        const stranger = yield* file(elsewhere, "Place", subject("new"))
        assert.strictEqual(stranger.uid, old.uid)
        for (
          const operation of [
            ann.message(old),
            Stream.runDrain(ann.source(old)),
            Stream.runDrain(ann.attachment(old, "1")),
            Stream.runDrain(ann.envelopes(old)),
            Stream.runDrain(ann.messages(old)),
            ann.flag(old, { add: ["\\Deleted"] }),
            ann.copy(old, "Archive"),
            ann.move(old, "Archive"),
            ann.remove(old),
            ann.remove(old, { to: "expunge" })
          ]
        ) {
          const reason = yield* reasonOf(operation)
          assert.deepInclude(reason, {
            _tag: "MailboxChanged",
            mailbox: "Place",
            expected: old.uidValidity,
            actual: stranger.uidValidity
          })
        }
        assert.deepStrictEqual(yield* subjectsIn(elsewhere, "Place"), ["new"])
        assert.deepStrictEqual(yield* flagsOf(elsewhere, stranger), [])
        assert.deepStrictEqual(yield* uidsIn(ann, "Archive"), [])
        assert.deepStrictEqual(yield* uidsIn(ann, "Trash"), [])
      }))

    test("changes more messages than one command names", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* Effect.repeat(ann.append("INBOX", letter()), { times: 19 })
        for (let size = 20; size < 1_280; size *= 2) yield* ann.copy(yield* ann.search(Query.inbox), "INBOX")
        const all = yield* ann.search(Query.inbox)
        const some = all.with(all.uids.filter((_, index) => index % 8 !== 0))
        assert.strictEqual((yield* ann.flag(some, { add: ["\\Seen"] })).size, 1_120)
        assert.strictEqual(Option.getOrThrow(yield* ann.move(some, "Archive")).size, 1_120)
        assert.strictEqual((yield* ann.status("INBOX")).messages, 160)
        assert.strictEqual((yield* ann.remove(all, { to: "expunge" })).size, 160)
        assert.strictEqual((yield* ann.status("INBOX")).messages, 0)
      }))
  })
}
