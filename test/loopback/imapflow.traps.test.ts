/** What goes wrong with a mail client that believes what it is told: one test for each trap. */
import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { FetchItems } from "../../src/domain/Fetch.ts"
import * as imapflow from "../../src/driver/imapflow.ts"
import { failure, select, session } from "./Session.ts"

const withoutIdle = "IMAP4rev1 NAMESPACE UIDPLUS"

describe("SELECT over IMAP", () => {
  it.effect("costs one LIST before the first, nothing where the mailbox is open, and one round trip for a refresh", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({}, select)
      const count = (command: string) => server.heard.filter((line) => line.startsWith(command)).length
      assert.strictEqual(count("LIST"), 1)
      yield* connection.select("INBOX", { readOnly: false })
      yield* connection.select("inbox", { readOnly: false })
      assert.strictEqual(count("SELECT"), 1)
      yield* connection.select("INBOX", { readOnly: false, refresh: true })
      assert.strictEqual(count("SELECT"), 2)
      const examined = yield* connection.select("INBOX", { readOnly: true })
      assert.strictEqual(count("EXAMINE"), 1)
      assert.isTrue(examined.readOnly)
      assert.strictEqual(count("LIST"), 1)
      assert.deepStrictEqual(connection.selected(), examined)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("tells what vanished and what changed since, where the server honours it", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: SELECT INBOX (QRESYNC (7 15))",
          "S: * 3 EXISTS",
          "S: * OK [UIDVALIDITY 7] ok",
          "S: * OK [UIDNEXT 10] ok",
          "S: * OK [HIGHESTMODSEQ 20] ok",
          "S: * VANISHED (EARLIER) 2:3,6",
          "S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (18))",
          "S: $ OK [READ-WRITE] done"
        ]
      })
      const { highestModseq, resync } = yield* connection.select("INBOX", {
        readOnly: false,
        since: { uidValidity: 7, modseq: 15n }
      })
      assert.strictEqual(highestModseq, 20n)
      assert.strictEqual(`${resync?.vanished}`, "2:3,6")
      assert.deepStrictEqual(resync?.changed, [{ uid: 1, flags: ["\\Seen"], modseq: 18n }])
      assert.strictEqual(connection.heard(), 0)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("keeps what vanished as ranges, however many messages one line names", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: SELECT INBOX (QRESYNC (7 15))",
          "S: * 3 EXISTS",
          "S: * OK [UIDVALIDITY 7] ok",
          "S: * OK [UIDNEXT 400000] ok",
          "S: * OK [HIGHESTMODSEQ 20] ok",
          "S: * VANISHED (EARLIER) 2:300000,300002,300007:300005",
          "S: $ OK [READ-WRITE] done"
        ]
      })
      const { resync } = yield* connection.select("INBOX", {
        readOnly: false,
        since: { uidValidity: 7, modseq: 15n }
      })
      assert.strictEqual(`${resync?.vanished}`, "2:300000,300002,300005:300007")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("has no resync under another UIDVALIDITY, or without QRESYNC", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: SELECT INBOX (QRESYNC (6 15))",
          "S: * 3 EXISTS",
          "S: * OK [UIDVALIDITY 7] ok",
          "S: * OK [HIGHESTMODSEQ 20] ok",
          "S: $ OK done"
        ]
      })
      const since = { uidValidity: 6, modseq: 15n }
      assert.isUndefined((yield* connection.select("INBOX", { readOnly: false, since })).resync)
      const { connection: plain } = yield* session({ capabilities: withoutIdle })
      assert.isUndefined((yield* plain.select("INBOX", { readOnly: false, since })).resync)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("tells the mod-sequence of the answer, not of a row that came right behind it", () =>
    Effect.gen(function*() {
      for (const refresh of [false, true]) {
        const answer = [
          "S: * 3 EXISTS",
          "S: * OK [UIDVALIDITY 7] ok",
          "S: * OK [UIDNEXT 10] ok",
          "S: * OK [HIGHESTMODSEQ 20] ok",
          "S: $ OK done",
          "S: * 1 FETCH (UID 50 MODSEQ (99))",
          "S: * 1 FETCH (UID 50 FLAGS () MODSEQ (99))"
        ]
        const again = refresh ? ["C: SELECT INBOX", ...answer] : []
        const { connection } = yield* session({ lines: ["C: SELECT INBOX", ...answer, ...again] })
        const options = { readOnly: false, refresh: true }
        if (refresh) yield* connection.select("INBOX", options)
        const { highestModseq, uidNext } = yield* connection.select("INBOX", options)
        assert.strictEqual(highestModseq, 20n)
        assert.strictEqual(uidNext, 10)
      }
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("names a mailbox that is not there, and leaves none selected", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: LIST …",
          "S: * LIST () \"/\" INBOX",
          "S: * LIST () \"/\" No",
          "S: $ OK",
          "C: SELECT No",
          "S: $ NO gone",
          "C: LIST …",
          "S: $ OK"
        ]
      })
      assert.deepInclude(yield* failure(connection.select("No", { readOnly: false })), {
        _tag: "MailboxNotFound",
        mailbox: "No"
      })
      assert.isUndefined(connection.selected())
      assert.deepInclude(yield* failure(connection.fetch("1", { flags: true })), { _tag: "Rejected" })
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("breaks a connection whose SELECT tells no UIDVALIDITY", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({ lines: ["C: SELECT INBOX", "S: * 1 EXISTS", "S: $ OK"] })
      assert.strictEqual((yield* failure(connection.select("INBOX", { readOnly: false })))._tag, "ProtocolViolation")
      assert.isFalse(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("writes no name that could end the command", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({})
      const before = server.heard.length
      for (const name of ["a\r\nA1 LOGOUT", "a\nb", "a\0b", ""]) {
        for (
          const command of [
            connection.select(name, { readOnly: false }),
            connection.create(name),
            connection.delete(name),
            connection.rename("a", name),
            connection.status(name),
            connection.append(name, new Uint8Array(1), { flags: [] })
          ]
        ) assert.strictEqual((yield* failure(command))._tag, "InvalidInput")
      }
      assert.strictEqual(server.heard.length, before)
      assert.isTrue(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("uses names as they are listed, whatever the personal namespace", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: [
          "C: NAMESPACE",
          "S: * NAMESPACE ((\"INBOX.\" \".\")) NIL ((\"shared.\" \".\"))",
          "S: $ OK",
          "C: LIST \"\" \"*\"",
          "S: * LIST () \".\" INBOX",
          "S: * LIST (\\Sent) \".\" INBOX.Sent",
          "S: * LIST (\\Noselect) \".\" shared",
          "S: * LIST () \".\" \"shared.team\"",
          "S: $ OK"
        ]
      })
      const mailboxes = yield* connection.list({ status: false })
      assert.deepStrictEqual(mailboxes.map(({ path, selectable, specialUse }) => [path, specialUse, selectable]), [
        ["INBOX", "inbox", true],
        ["INBOX.Sent", "sent", true],
        ["shared", undefined, false],
        ["shared.team", undefined, true]
      ])
      yield* connection.select("shared.team", { readOnly: false })
      assert.strictEqual(server.heard.at(-1), "SELECT shared.team")
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("numbers over IMAP that are no UIDs", () => {
  it.effect("are not taken for one: the places of new messages are unknown then, and rows strays", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: APPEND …",
          "S: $ OK [APPENDUID 1 9999999999]",
          "C: APPEND …",
          "S: $ OK [APPENDUID 9999999999 5]",
          "C: UID COPY …",
          "S: $ OK [COPYUID 9999999999999999 1 5]",
          "C: UID FETCH …",
          "S: * 1 FETCH (UID 3 FLAGS ())",
          "S: * 2 FETCH (UID 9999999999 FLAGS ())",
          "S: * 3 FETCH (UID 0 FLAGS ())",
          "S: $ OK"
        ]
      }, select)
      const options = { flags: [] }
      assert.isUndefined(yield* connection.append("INBOX", Buffer.from("a: b\r\n\r\n"), options))
      assert.isUndefined(yield* connection.append("INBOX", Buffer.from("a: b\r\n\r\n"), options))
      assert.isUndefined(yield* connection.copy("1", "Archive"))
      assert.deepStrictEqual((yield* connection.fetch("1:*", { flags: true })).map(({ uid }) => uid), [3])
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("an answer over IMAP that cannot be true", () => {
  it.effect("is no UIDVALIDITY where it is more than any number", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: ["C: SELECT INBOX", "S: * 3 EXISTS", "S: * OK [UIDVALIDITY 9999999999999999999] ok", "S: $ OK done"]
      })
      const reason = yield* failure(connection.select("INBOX", { readOnly: false }))
      assert.strictEqual(reason._tag, "ProtocolViolation")
      assert.isFalse(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("tells of no copies where it names messages that nobody copied", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: UID COPY …",
          "S: $ OK [COPYUID 9 7:9 21:23]",
          "C: UID MOVE …",
          "S: $ OK [COPYUID 9 1:4 21:24]",
          "C: UID COPY …",
          "S: $ OK [COPYUID 9 1,3 21:22]"
        ]
      }, select)
      assert.isUndefined(yield* connection.copy("1:3", "Archive"))
      assert.isUndefined(yield* connection.move("1:3", "Archive"))
      const copied = yield* connection.copy("1:3", "Archive")
      assert.deepStrictEqual([...copied?.uids ?? []], [[1, 21], [3, 22]])
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("the name INBOX over IMAP", () => {
  it.effect("is sent for itself in any case, and for no other name", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({ lines: ["C: DELETE INBOX", "S: $ NO [CANNOT] never"] })
      assert.strictEqual((yield* Effect.flip(connection.delete("iNBOX")))._tag, "Rejected")
      const before = server.heard.length
      // a dotless i, which is an I in upper case
      assert.deepInclude(yield* Effect.flip(connection.delete("\u0131nbox")), { field: "mailbox" })
      assert.strictEqual(server.heard.length, before)
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("FETCH over IMAP", () => {
  it.effect("never marks as seen, and asks for no more than it was asked for", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({ lines: ["C: UID FETCH …", "S: $ OK"] }, select)
      yield* connection.fetch("1:3", { source: true, headers: ["Subject", "To"], parts: ["1.2"] })
      const asked = server.heard.at(-1) ?? ""
      assert.notMatch(asked, /BODY\[/)
      assert.include(asked, "BODY.PEEK[]")
      assert.include(asked, "BODY.PEEK[HEADER.FIELDS (Subject To)]")
      assert.include(asked, "BODY.PEEK[1.2]")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("never marks as seen where only the source is asked for, too", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: UID FETCH …", "S: $ OK", "C: UID FETCH …", "S: $ OK"]
      }, select)
      yield* connection.fetch("1:3", { source: true, flags: true })
      assert.include(server.heard.at(-1) ?? "", "UID FETCH 1:3 (UID FLAGS BODY.PEEK[])")
      yield* connection.fetch("1:3", { source: true }, { sourceStart: 10, sourceLimit: 20 })
      assert.include(server.heard.at(-1) ?? "", "UID FETCH 1:3 (UID BODY.PEEK[]<10.20>)")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("drops rows nobody asked for and counts them as heard, merges what was split, and sorts", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: UID FETCH 2:3,9 …",
          "S: * 7 FETCH (FLAGS (\\Deleted))",
          "S: * 8 FETCH (UID 800 FLAGS (\\Deleted) MODSEQ (30))",
          "S: * 3 FETCH (UID 9 FLAGS (\\Seen))",
          "S: * 3 FETCH (UID 9 RFC822.SIZE 12 BODY[] \"nine\")",
          "S: * 2 FETCH (UID 3 FLAGS () RFC822.SIZE 5 BODY[] {5}",
          "S: three)",
          "S: * 1 FETCH (UID 2 FLAGS () RFC822.SIZE 3 BODY[] NIL)",
          "S: $ OK"
        ]
      }, select)
      const rows = yield* connection.fetch("2:3,9", { flags: true, size: true, source: true })
      assert.deepStrictEqual(
        rows.map(({ flags, size, source, uid }) => [uid, size, flags, Buffer.from(source ?? []).toString()]),
        [[3, 5, [], "three"], [9, 12, ["\\Seen"], "nine"]]
      )
      assert.isAtLeast(connection.heard(), 2)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("keeps what it was answered where a flag change of another session comes behind it", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: UID FETCH …",
          "S: * 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2024 10:00:00 +0000\")",
          "S: * 1 FETCH (UID 1 FLAGS (\\Seen))",
          "S: $ OK"
        ]
      }, select)
      assert.deepStrictEqual(yield* connection.fetch("1", { flags: true, internalDate: true }), [
        { uid: 1, flags: ["\\Seen"], internalDate: new Date("2024-01-01T10:00:00Z") }
      ])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("takes no octets from another place, nor those of a literal that is longer than was said", () =>
    Effect.gen(function*() {
      const span = { sourceStart: 10, sourceLimit: 5 }
      const answers = [
        "BODY[]<0> \"abc\"",
        "BODY[]<0> {3}\r\nabcde"
      ]
      for (const answer of answers) {
        const { connection } = yield* session({
          lines: ["C: UID FETCH …", `S: * 1 FETCH (UID 1 ${answer})`, "S: $ OK"]
        }, select)
        const reason = yield* failure(connection.fetch("1", { source: true }, answer.includes("{") ? {} : span))
        assert.strictEqual(reason._tag, "ProtocolViolation", answer)
        assert.isFalse(connection.isUsable())
      }
      for (const section of ["", "1.2"]) {
        const { connection } = yield* session({
          lines: ["C: UID FETCH …", `S: * 1 FETCH (UID 1 BODY[${section}]<0> "abc")`, "S: $ OK"]
        }, select)
        const reason = yield* failure(connection.fetchPartial({ uid: 1, section, start: 10, length: 5 }))
        assert.strictEqual(reason._tag, "ProtocolViolation", section)
        assert.isFalse(connection.isUsable())
      }
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("hands out octets that pin no larger buffer", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: ["C: UID FETCH …", "S: * 1 FETCH (UID 1 BODY[] {5}", "S: hello BODY[1] \"part\")", "S: $ OK"]
      }, select)
      const [row] = yield* connection.fetch("1", { source: true, parts: ["1"] })
      const octets = [row?.source, row?.parts?.get("1")]
      assert.deepStrictEqual(octets, [new TextEncoder().encode("hello"), new TextEncoder().encode("part")])
      for (const each of octets) assert.strictEqual(each?.buffer.byteLength, each?.byteLength)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not take the last message for one beyond it", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: ["C: UID FETCH 100:* …", "S: * 3 FETCH (UID 9 FLAGS ())", "S: $ OK"]
      }, select)
      assert.deepStrictEqual([...yield* connection.fetch("100:*", { flags: true })], [])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("fails rather than leave out a row it could not read", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: ["C: UID FETCH …", "S: * 1 FETCH (UID 1 FLAGS (", "S: * 2 FETCH (UID 2 FLAGS ())", "S: $ OK"]
      }, select)
      assert.strictEqual((yield* failure(connection.fetch("1:2", { flags: true })))._tag, "ProtocolViolation")
      assert.isFalse(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("answers with the rows that are left where messages went meanwhile", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: UID FETCH …",
          "S: * 1 FETCH (UID 1 FLAGS ())",
          "S: $ NO [EXPUNGEISSUED] Some of the requested messages no longer exist",
          "C: UID SEARCH UID 1:2",
          "S: * SEARCH 1",
          "S: $ OK"
        ]
      }, select)
      assert.deepStrictEqual((yield* connection.fetch("1:2", { flags: true })).map(({ uid }) => uid), [1])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not believe what a server makes up for messages that went meanwhile", () =>
    Effect.gen(function*() {
      const nothing = "ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
      const { connection } = yield* session({
        lines: ["size", "labels"].flatMap(() => [
          "C: UID FETCH 1:2 …",
          `S: * 1 FETCH (UID 1 FLAGS (\\Deleted) RFC822.SIZE 0 ${nothing})`,
          `S: * 2 FETCH (UID 2 FLAGS () RFC822.SIZE 9 ${nothing})`,
          "S: * VANISHED 1",
          "S: $ OK [EXPUNGEISSUED] Some messages were already expunged",
          "C: UID SEARCH UID 1:2",
          "S: * SEARCH 2",
          "S: $ OK"
        ])
      }, select)
      const uids = (items: FetchItems) => Effect.map(connection.fetch("1:2", items), Arr.map(({ uid }) => uid))
      assert.deepStrictEqual(yield* uids({ envelope: true, size: true }), [2])
      assert.deepStrictEqual(yield* uids({ envelope: true, labels: true }), [2])
      assert.isTrue(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("reads a part of a section, its end, and a section that is not there", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: [
          "C: UID FETCH 4 …",
          "S: * 9 FETCH (FLAGS (\\Seen))",
          "S: * 1 FETCH (UID 4 BODY[1.2]<10> \"abc\")",
          "S: $ OK",
          "C: UID FETCH 4 …",
          "S: * 1 FETCH (UID 4 BODY[]<500> \"\")",
          "S: $ OK",
          "C: UID FETCH 4 …",
          "S: * 1 FETCH (UID 4 BODY[9]<0> NIL)",
          "S: $ OK",
          "C: UID FETCH 5 …",
          "S: $ OK",
          "C: UID FETCH 4 …",
          "S: * 1 FETCH (UID 4 BODY[1] \"far more than that\")",
          "S: $ OK"
        ]
      }, select)
      const partial = (uid: number, section: string, start: number) =>
        connection.fetchPartial({ uid, section, start, length: 5 })
      assert.deepStrictEqual(yield* partial(4, "1.2", 10), new TextEncoder().encode("abc"))
      assert.include(server.heard.at(-1), "BODY.PEEK[1.2]<10.5>")
      assert.deepStrictEqual(yield* partial(4, "", 500), new Uint8Array(0))
      assert.isUndefined(yield* partial(4, "9", 0))
      assert.isUndefined(yield* partial(5, "1", 0))
      assert.strictEqual((yield* failure(partial(4, "1", 0)))._tag, "ProtocolViolation")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("refuses ranges, fields and sections that could say something else", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({}, select)
      const before = server.heard.length
      for (
        const command of [
          connection.fetch("", { flags: true }),
          connection.fetch("1 (FLAGS)", { flags: true }),
          connection.fetch("0", { flags: true }),
          connection.fetch("1", { headers: ["a b"] }),
          connection.fetch("1", { headers: ["Subject", "\""] }),
          connection.fetch("1", { headers: ["("] }),
          connection.fetch("1", { headers: ["{5}"] }),
          connection.fetch("1", { parts: ["1]"] }),
          connection.store("", { mode: "add", flags: ["\\Seen"] }),
          connection.store("1", { mode: "add", flags: ["two words"] }),
          connection.store("1", { mode: "set", flags: ["\\Recent"] }),
          connection.expunge("1,"),
          connection.search({ _tag: "Sequence", uid: true, range: "" })
        ]
      ) assert.strictEqual((yield* failure(command))._tag, "InvalidInput")
      assert.strictEqual(server.heard.length, before)
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("changing messages over IMAP", () => {
  it.effect("expunges exactly what was named", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: UID STORE 2,5 +FLAGS.SILENT (\\Deleted)", "S: $ OK", "C: UID EXPUNGE 2,5", "S: $ OK"]
      }, select)
      yield* connection.expunge("2,5")
      assert.deepStrictEqual(server.unexpected, [])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not let a lone star become a sequence number and a wide EXPUNGE", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: UID STORE *:* …", "S: $ OK", "C: UID EXPUNGE *:*", "S: $ OK"]
      }, select)
      yield* connection.expunge("*")
      assert.deepStrictEqual(server.unexpected, [])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("refuses to expunge without UIDPLUS and to move without MOVE, with nothing written", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({ capabilities: "IMAP4rev1" }, select)
      const before = server.heard.length
      assert.deepInclude(yield* failure(connection.expunge("1")), { _tag: "Unsupported", capability: "UIDPLUS" })
      assert.deepInclude(yield* failure(connection.move("1", "A")), { _tag: "Unsupported", capability: "MOVE" })
      assert.deepInclude(yield* failure(connection.quota("A")), { _tag: "Unsupported", capability: "QUOTA" })
      assert.strictEqual(server.heard.length, before)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("changes nothing in a mailbox that is open for reading", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({}, { select: "read-only" })
      const before = server.heard.length
      for (
        const command of [
          connection.expunge("1"),
          connection.move("1", "A"),
          connection.store("1", { mode: "add", flags: ["\\Seen"] }),
          connection.store("1", { mode: "set", flags: [] })
        ]
      ) assert.deepInclude(yield* failure(command), { _tag: "Rejected", code: "READ-ONLY" })
      assert.strictEqual(server.heard.length, before)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("says so where a mailbox does not keep a flag, and leaves none out", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: [
          "C: SELECT INBOX",
          "S: * 1 EXISTS",
          "S: * OK [PERMANENTFLAGS (\\Seen $Done)] ok",
          "S: * OK [UIDVALIDITY 7] ok",
          "S: $ OK",
          "C: UID STORE 1 +FLAGS.SILENT (\\Seen $Done)",
          "S: $ OK"
        ]
      }, select)
      const kept = yield* failure(connection.store("1", { mode: "add", flags: ["\\Seen", "$Forwarded"] }))
      assert.deepInclude(kept, { _tag: "Rejected", transient: false })
      assert.include(kept.message, "$Forwarded")
      yield* connection.store("1", { mode: "add", flags: ["\\seen", "$done"] })
      yield* connection.store("1", { mode: "add", flags: [] })
      assert.deepStrictEqual(server.unexpected, [])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not take a refused COPY for a copy", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: ["C: UID COPY …", "S: $ NO [EXPUNGEISSUED] Some of the requested messages no longer exist"]
      }, select)
      assert.deepInclude(yield* failure(connection.copy("1:3", "A")), { _tag: "Rejected", code: "EXPUNGEISSUED" })
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("names the target that is not there, and where copies went", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: UID COPY 1:3 No",
          "S: $ NO [TRYCREATE] none",
          "C: UID MOVE 1:2 A",
          "S: * OK [COPYUID 77 1:2 8:9] moved",
          "S: * VANISHED 1:2",
          "S: $ OK",
          "C: UID COPY 3 A",
          "S: $ OK"
        ]
      }, select)
      assert.deepInclude(yield* failure(connection.copy("1:3", "No")), { _tag: "MailboxNotFound", mailbox: "No" })
      assert.deepStrictEqual(yield* connection.move("1:2", "A"), { uidValidity: 77, uids: new Map([[1, 8], [2, 9]]) })
      assert.isUndefined(yield* connection.copy("3", "A"))
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("appends octet for octet, and tells the UID only where the server does", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: APPEND A …", "S: $ OK [APPENDUID 5 33] done", "C: APPEND A …", "S: $ OK done"]
      })
      const source = Buffer.from("Subject: ü\r\n\r\n8 bit \xff\r\n", "latin1")
      const appended = yield* connection.append("A", source, { flags: ["\\Seen"], internalDate: new Date(0) })
      assert.deepStrictEqual(appended, { uidValidity: 5, uid: 33 })
      assert.deepStrictEqual(server.literals[0], source)
      assert.include(server.heard.at(-1), "(\\Seen) \" 1-Jan-1970 00:00:00 +0000\"")
      assert.isUndefined(yield* connection.append("A", source, { flags: [] }))
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not believe that a message is there of which nothing was sent yet", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        isHasty: true,
        lines: ["C: APPEND …", "S: $ OK [APPENDUID 5 33] done"]
      })
      const reason = yield* failure(connection.append("A", Buffer.alloc(10_000, "x"), { flags: [] }))
      assert.strictEqual(reason._tag, "ProtocolViolation")
      assert.isFalse(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not send what is over the announced limit", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({ capabilities: "IMAP4rev1 APPENDLIMIT=10" })
      const reason = yield* failure(connection.append("A", new Uint8Array(11), { flags: [] }))
      assert.deepInclude(reason, { _tag: "TooLarge", size: 11, limit: 10 })
      assert.isFalse(server.heard.some((line) => line.startsWith("APPEND")))
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("creates what is there already, and does not delete what is not", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: CREATE A",
          "S: $ NO [ALREADYEXISTS] there",
          "C: CREATE A",
          "S: $ NO Mailbox already exists",
          "C: DELETE A",
          "S: $ NO Mailbox does not exist",
          "C: STATUS A …",
          "S: $ NO [NONEXISTENT] none",
          "C: LIST …",
          "S: $ OK"
        ]
      })
      yield* connection.create("A")
      yield* connection.create("A")
      assert.deepInclude(yield* failure(connection.delete("A")), { _tag: "MailboxNotFound", mailbox: "A" })
      assert.deepInclude(yield* failure(connection.status("A")), { _tag: "MailboxNotFound", mailbox: "A" })
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("IDLE over IMAP", () => {
  it.effect("ends with a change, is joined by the next, and is left by the next command", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: IDLE", "S: + idling", "S: * 4 EXISTS", "C: DONE", "S: $ OK", "C: NOOP", "S: $ OK"]
      }, select)
      yield* connection.idle
      assert.strictEqual(connection.heard(), 1)
      const next = yield* Effect.forkChild(connection.idle, { startImmediately: true })
      yield* Fiber.interrupt(next)
      assert.isTrue(connection.isUsable())
      yield* connection.noop
      assert.deepStrictEqual(server.unexpected, [])
      assert.strictEqual(server.heard.filter((line) => line === "IDLE").length, 1)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("may be interrupted before the server has agreed to it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: IDLE", "S: + idling", "C: DONE", "S: $ OK", "C: NOOP", "S: $ OK"]
      }, select)
      const waiting = yield* Effect.forkChild(connection.idle, { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.isTrue(connection.isUsable())
      yield* connection.noop
      assert.deepStrictEqual(server.unexpected, [])
    }).pipe(Effect.provide(imapflow.layer)))

  for (const end of ["FIN", "RST"]) {
    it.effect(`fails when the connection dies with a ${end}`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session({ lines: ["C: IDLE", "S: + idling", `S! ${end}`] }, select)
        assert.strictEqual((yield* failure(connection.idle))._tag, "ConnectionLost")
        assert.isFalse(connection.isUsable())
        yield* server.idle
      }).pipe(Effect.provide(imapflow.layer)))
  }

  it.effect("completes when the server ends it", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({ lines: ["C: IDLE", "S: + idling", "S: $ OK enough"] }, select)
      yield* connection.idle
      assert.isTrue(connection.isUsable())
    }).pipe(Effect.provide(imapflow.layer)))

  for (
    const [name, script] of [
      ["without IDLE", {
        capabilities: withoutIdle,
        lines: ["C: NOOP", "S: $ OK", "C: NOOP", "S: * 4 EXISTS", "S: $ OK"]
      }],
      ["that refuses IDLE", {
        lines: ["C: IDLE", "S: $ NO no", "C: NOOP", "S: $ OK", "C: NOOP", "S: * 4 EXISTS", "S: $ OK"]
      }]
    ] as const
  ) {
    it.effect(`asks a server ${name} from time to time, on the Clock`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session(script, select)
        const waiting = yield* Effect.forkChild(connection.idle, { startImmediately: true })
        const noops = () => server.heard.filter((line) => line === "NOOP").length
        for (const count of [1, 2]) {
          while (noops() < count) {
            yield* Effect.promise(() => new Promise(setImmediate))
            yield* TestClock.adjust("1 second")
          }
        }
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(server.unexpected, [])
      }).pipe(Effect.provide(imapflow.layer)))
  }

  it.effect("does not blame the command after it for its own refusal", () =>
    Effect.gen(function*() {
      const { connection } = yield* session({
        lines: [
          "C: IDLE",
          "S: + idling",
          "C: DONE",
          "S: $ NO you idled badly",
          "C: UID STORE 1 …",
          "S: $ OK"
        ]
      }, select)
      const waiting = yield* Effect.forkChild(connection.idle, { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      yield* connection.store("1", { mode: "add", flags: ["\\Seen"] })
    }).pipe(Effect.provide(imapflow.layer)))
})
