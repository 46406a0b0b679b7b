import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Redacted, type Scope } from "effect"
import { round } from "../../src/account/Round.ts"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { Password } from "../../src/domain/Credentials.ts"
import { Cursor } from "../../src/domain/Cursor.ts"
import type { Reason } from "../../src/domain/MailError.ts"
import type { MailEvent } from "../../src/domain/MailEvent.ts"
import { UidRanges } from "../../src/domain/UidRanges.ts"
import type { ImapConnection, SelectedMailbox } from "../../src/driver/ImapDriver.ts"
import { MemoryMail, type StoredMailbox } from "../../src/testing/index.ts"
import { randomFrom } from "../random.ts"

const modes = [
  { name: "QRESYNC", without: [] },
  { name: "CONDSTORE", without: ["QRESYNC"] },
  { name: "neither", without: ["CONDSTORE"] }
] as const

/** Events in a line each. */
const told = (events: ReadonlyArray<MailEvent>) =>
  events.map((event) => {
    switch (event._tag) {
      case "Reset":
        return `Reset ${event.mailbox} ${event.uidValidity}`
      case "Expunged":
        return `Expunged ${event.ref.uid}`
      default:
        return [event._tag, event.ref.uid, ...event.flags].join(" ")
    }
  })

const connect = (mail: MemoryMail["Service"]) =>
  mail.imap.connect({
    endpoint: new Endpoint({ host: "mail.test", security: "none" }),
    credentials: Password.make({ user: "bob", password: Redacted.make("secret") }),
    connectTimeoutMillis: 1_000
  })

/** What is put in the place of a part of a cursor. */
const mutations = [
  "",
  "0",
  "9",
  "99999999999999999999",
  "-1",
  ",",
  ":",
  "\"",
  "{",
  "}",
  "null",
  "1.5",
  "\\u0000",
  "e9",
  "é"
]

interface World {
  readonly mail: MemoryMail["Service"]
  readonly connection: ImapConnection
  readonly inbox: StoredMailbox
  readonly append: (...flags: ReadonlyArray<string>) => number
  readonly expunge: (...uids: ReadonlyArray<number>) => void
  readonly flag: (uid: number, ...flags: ReadonlyArray<string>) => void
}

const start = (
  without: ReadonlyArray<string>,
  messages: number
): Effect.Effect<World, Reason, Scope.Scope> =>
  Effect.gen(function*() {
    const mail = MemoryMail.make({
      users: [{
        name: "bob",
        password: "secret",
        mailboxes: { INBOX: Array.from({ length: messages }, () => "Hello") }
      }],
      without
    })
    const connection = yield* connect(mail)
    const user = mail.store.user("bob")
    const inbox = user?.mailbox("INBOX")
    if (user === undefined || inbox === undefined) return yield* Effect.die("no INBOX")
    return {
      mail,
      connection,
      inbox,
      append: (...flags) => {
        user.append("INBOX", new TextEncoder().encode("Hello\r\n"), { flags, internalDate: new Date(0) })
        return inbox.uidNext - 1
      },
      expunge: (...uids) => void inbox.take(uids),
      flag: (uid, ...flags) => void inbox.store([uid], "set", flags)
    }
  })

/** Something happens right before a command, or behind its answer. */
const around = (
  connection: ImapConnection,
  happen: { readonly [Command in "select" | "fetch" | "search"]?: { before?: () => void; after?: () => void } }
): ImapConnection => {
  const within = <A>(
    command: Effect.Effect<A, Reason>,
    { after, before }: { before?: () => void; after?: () => void } = {}
  ) =>
    Effect.suspend(() => {
      before?.()
      return Effect.tap(command, () => Effect.sync(() => after?.()))
    })
  return {
    ...connection,
    select: (...args) => within(connection.select(...args), happen.select),
    fetch: (...args) => within(connection.fetch(...args), happen.fetch),
    search: (...args) => within(connection.search(...args), happen.search)
  }
}

const selecting = (connection: ImapConnection, change: (selected: SelectedMailbox) => SelectedMailbox) => ({
  ...connection,
  select: (...args: Parameters<ImapConnection["select"]>) => Effect.map(connection.select(...args), change)
})

describe.each(modes)("a round with $name", ({ name, without }) => {
  it.effect("without a cursor tells nothing, and is where the next goes on from", () =>
    Effect.gen(function*() {
      const { append, connection } = yield* start(without, 3)
      const first = yield* round(connection, "INBOX", undefined)
      assert.deepStrictEqual(first.changes.events, [])
      assert.isFalse(first.again)
      append("\\Seen")
      const next = yield* round(connection, "INBOX", first.changes.cursor)
      assert.deepStrictEqual(told(next.changes.events), ["Arrived 4 \\Seen"])
    }))

  it.effect("without a cursor leaves to the next what comes while it reads", () =>
    Effect.gen(function*() {
      const { append, connection, expunge } = yield* start(without, 3)
      const during = around(connection, {
        select: {
          after: () => {
            append()
            expunge(2)
          }
        }
      })
      const first = yield* round(during, "INBOX", undefined)
      assert.deepStrictEqual(first.changes.events, [])
      const next = yield* round(connection, "INBOX", first.changes.cursor)
      assert.deepStrictEqual(told(next.changes.events), ["Arrived 4"])
    }))

  it.effect("from the start tells every message", () =>
    Effect.gen(function*() {
      const { connection, flag } = yield* start(without, 3)
      flag(2, "\\Flagged", "$Work")
      const { again, changes } = yield* round(connection, "INBOX", Cursor.start("INBOX"))
      assert.deepStrictEqual(told(changes.events), ["Arrived 1", "Arrived 2 $Work \\Flagged", "Arrived 3"])
      assert.isFalse(again)
    }))

  it.effect("tells each change once, what is gone first", () =>
    Effect.gen(function*() {
      const { append, connection, expunge, flag } = yield* start(without, 5)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      flag(2, "\\Seen")
      expunge(1, 4)
      append()
      append("\\Draft")
      expunge(6)
      const { changes } = yield* round(connection, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), [
        "Expunged 1",
        "Expunged 4",
        "FlagsChanged 2 \\Seen",
        "Arrived 7 \\Draft"
      ])
      const next = yield* round(connection, "INBOX", changes.cursor)
      assert.deepStrictEqual(next.changes.events, [])
      assert.isFalse(next.again)
    }))

  it.effect("goes on from the text of a cursor, on another connection", () =>
    Effect.gen(function*() {
      const { connection, expunge, flag, mail } = yield* start(without, 4)
      const { changes } = yield* round(connection, "INBOX", Cursor.start("INBOX"))
      const cursor = yield* Cursor.decode(Cursor.encode(changes.cursor))
      flag(1, "constructor")
      expunge(3)
      const other = yield* connect(mail)
      const next = yield* round(other, "INBOX", cursor)
      assert.deepStrictEqual(told(next.changes.events), ["Expunged 3", "FlagsChanged 1 constructor"])
      const last = yield* round(other, "INBOX", yield* Cursor.decode(Cursor.encode(next.changes.cursor)))
      assert.deepStrictEqual(last.changes.events, [])
    }))

  it.effect("loses no expunge behind which a newer change was seen", () =>
    Effect.gen(function*() {
      const { connection, expunge, flag } = yield* start(without, 3)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      // the answer to SELECT is older than what is read afterwards, and the view does not know of the expunge yet
      let seen = 0
      const during = around(connection, {
        select: {
          after: () => {
            if (seen++ > 0) return
            expunge(1)
            flag(2, "\\Seen")
          }
        }
      })
      const first = yield* round(during, "INBOX", cursor)
      const second = yield* round(during, "INBOX", first.changes.cursor)
      const third = yield* round(during, "INBOX", second.changes.cursor)
      assert.deepStrictEqual(
        told([...first.changes.events, ...second.changes.events, ...third.changes.events]).sort(),
        ["Expunged 1", "FlagsChanged 2 \\Seen"]
      )
    }))

  it.effect("tells once what changed behind its point of synchronisation, and asks for another", () =>
    Effect.gen(function*() {
      const { append, connection, flag } = yield* start(without, 3)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      const happen = () => {
        append("\\Recent", "\\Seen")
        flag(1, "\\Answered")
      }
      const during = around(
        connection,
        name === "QRESYNC" ? { select: { after: happen } } : { fetch: { before: happen } }
      )
      const first = yield* round(during, "INBOX", cursor)
      if (name === "CONDSTORE") assert.isTrue(first.again)
      const second = yield* round(connection, "INBOX", first.changes.cursor)
      const third = yield* round(connection, "INBOX", second.changes.cursor)
      assert.deepStrictEqual(
        told([...first.changes.events, ...second.changes.events]).sort(),
        ["Arrived 4 \\Seen", "FlagsChanged 1 \\Answered"]
      )
      assert.deepStrictEqual([...third.changes.events], [])
      assert.isFalse(third.again)
    }))

  it.effect("of a mailbox that was emptied tells all as gone, and of an empty one nothing", () =>
    Effect.gen(function*() {
      const { append, connection, expunge } = yield* start(without, 2)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      expunge(1, 2)
      const emptied = yield* round(connection, "INBOX", cursor)
      assert.deepStrictEqual(told(emptied.changes.events), ["Expunged 1", "Expunged 2"])
      const empty = yield* round(connection, "INBOX", emptied.changes.cursor)
      assert.deepStrictEqual(empty.changes.events, [])
      assert.isFalse(empty.again)
      append()
      const next = yield* round(connection, "INBOX", empty.changes.cursor)
      assert.deepStrictEqual(told(next.changes.events), ["Arrived 3"])
    }))

  it.effect("begins anew where the mailbox was replaced", () =>
    Effect.gen(function*() {
      const { connection, flag, inbox, mail } = yield* start(without, 2)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      flag(1, "\\Seen")
      mail.store.user("bob")?.resetUidValidity("INBOX")
      const { changes } = yield* round(connection, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), [
        `Reset INBOX ${inbox.uidValidity}`,
        "Arrived 1 \\Seen",
        "Arrived 2"
      ])
      assert.strictEqual(changes.cursor.uidValidity, inbox.uidValidity)
      const next = yield* round(connection, "INBOX", changes.cursor)
      assert.deepStrictEqual(next.changes.events, [])
    }))

  it.effect("takes no cursor that names more messages than the mailbox can have had", () =>
    Effect.gen(function*() {
      const { connection } = yield* start(without, 3)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      for (const modseq of [cursor.modseq, 0n]) {
        const odd = new Cursor({ ...cursor, modseq, known: { "": "1:4294967295" } })
        const reason = yield* Effect.flip(round(connection, "INBOX", odd))
        assert.strictEqual(reason._tag === "InvalidInput" ? reason.field : reason._tag, "since")
      }
    }))

  it.effect("of a cursor that was tampered with tells something or fails, and is no defect", () =>
    Effect.gen(function*() {
      const { append, connection, expunge, flag } = yield* start(without, 5)
      flag(2, "\\Seen")
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      append("\\Flagged")
      expunge(3)
      const text = Cursor.encode(cursor)
      const random = randomFrom(17)
      let read = 0
      for (let run = 0; run < 400; run++) {
        const at = random(text.length)
        const odd = text.slice(0, at) + (mutations[random(mutations.length)] ?? "") + text.slice(at + random(3))
        const outcome = yield* Effect.exit(
          Effect.flatMap(Cursor.decode(odd), (since) => Effect.as(round(connection, "INBOX", since), read++))
        )
        if (Exit.isSuccess(outcome)) continue
        const [reason] = outcome.cause.reasons
        assert.strictEqual(
          reason?._tag === "Fail" ? reason.error._tag : Cause.pretty(outcome.cause),
          "InvalidInput",
          odd
        )
      }
      assert.isAbove(read, 20, "some of them are still cursors")
    }))

  it.effect("fails with MailboxNotFound where it is gone", () =>
    Effect.gen(function*() {
      const { connection, mail } = yield* start(without, 1)
      mail.store.user("bob")?.createMailbox("Old")
      const { changes: { cursor } } = yield* round(connection, "Old", undefined)
      mail.store.user("bob")?.deleteMailbox("Old")
      yield* connection.select("INBOX", { readOnly: false })
      const reason = yield* Effect.flip(round(connection, "Old", cursor))
      assert.strictEqual(reason._tag, "MailboxNotFound")
    }))

  it.effect("finds what the server forgot to say by counting", () =>
    Effect.gen(function*() {
      const { connection, expunge } = yield* start(without, 4)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      expunge(2)
      const forgetful = selecting(connection, (selected) => ({
        ...selected,
        resync: selected.resync === undefined ? undefined : { ...selected.resync, vanished: UidRanges.empty }
      }))
      const { again, changes } = yield* round(forgetful, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), ["Expunged 2"])
      assert.isFalse(again)
    }))

  it.effect("asks for another look where the server has said something meanwhile", () =>
    Effect.gen(function*() {
      const { append, connection } = yield* start(without, 2)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      append()
      let heard = 0
      const hearing: ImapConnection = {
        ...connection,
        heard: () => heard,
        select: (...question) => Effect.tap(connection.select(...question), () => Effect.sync(() => heard++))
      }
      const { again, changes } = yield* round(hearing, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), ["Arrived 3"])
      assert.isTrue(again)
    }))
})

describe("a round with mod-sequences", () => {
  it.effect("passes over what vanished before the cursor, and over a message that came and went", () =>
    Effect.gen(function*() {
      const { append, connection, expunge } = yield* start([], 6)
      expunge(2, 4)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      append()
      const broad = selecting(connection, (selected) => ({
        ...selected,
        exists: 4,
        resync: {
          vanished: UidRanges.from([2, 4, 7]),
          changed: [{ uid: 7, flags: [], modseq: 99n }, { uid: 3, flags: ["\\Seen"], modseq: 99n }]
        }
      }))
      const { changes } = yield* round(broad, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), ["FlagsChanged 3 \\Seen"])
    }))

  it.effect("takes a row twice for one, and an old row for none", () =>
    Effect.gen(function*() {
      const { connection } = yield* start([], 3)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      const talkative = selecting(connection, (selected) => ({
        ...selected,
        exists: 4,
        highestModseq: 99n,
        resync: {
          vanished: UidRanges.empty,
          changed: [
            { uid: 4, flags: [], modseq: 98n },
            { uid: 1, flags: ["\\Seen"], modseq: cursor.modseq },
            { uid: 4, flags: ["\\Seen"], modseq: 99n }
          ]
        }
      }))
      const { again, changes } = yield* round(talkative, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), ["Arrived 4 \\Seen"])
      assert.isFalse(again)
    }))

  it.effect("costs one round trip with QRESYNC, and two with CONDSTORE where the counts agree", () =>
    Effect.gen(function*() {
      for (
        const { without, verbs } of [{ without: [], verbs: ["SELECT"] }, {
          without: ["QRESYNC"],
          verbs: ["SELECT", "UID FETCH"]
        }]
      ) {
        const { append, connection, mail } = yield* start(without, 3)
        const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
        append()
        mail.forget()
        yield* round(connection, "INBOX", cursor)
        assert.deepStrictEqual(mail.commands().map(({ verb }) => verb), verbs)
      }
    }))

  it.effect("takes no more from a line that names every message there could be", () =>
    Effect.gen(function*() {
      const { connection, expunge } = yield* start([], 3)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      expunge(2)
      const all = UidRanges.parse("1:4294967295") ?? UidRanges.empty
      const { changes } = yield* round(
        selecting(connection, (selected) => ({ ...selected, resync: { vanished: all, changed: [] } })),
        "INBOX",
        cursor
      )
      assert.deepStrictEqual(told(changes.events), ["Expunged 2"])
    }))

  it.effect("compares everything where they went back", () =>
    Effect.gen(function*() {
      const { append, connection, expunge } = yield* start([], 3)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      const ahead = new Cursor({ ...cursor, modseq: cursor.modseq + 100n })
      expunge(1)
      append()
      const { changes } = yield* round(connection, "INBOX", ahead)
      assert.includeMembers(told(changes.events), ["Expunged 1", "Arrived 4"])
      const next = yield* round(connection, "INBOX", changes.cursor)
      assert.deepStrictEqual(next.changes.events, [])
    }))

  it.effect.each(modes.filter(({ name }) => name !== "neither"))(
    "of changes seen too early are no cursor: $name",
    ({ name, without }) =>
      Effect.gen(function*() {
        const { append, connection, expunge, flag, inbox } = yield* start(without, 3)
        const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
        const happen = () => {
          expunge(1)
          append()
          flag(2, "\\Seen")
        }
        // The session is told of the last change alone: its view holds the message that went, and not the one that came.
        const early: ImapConnection = {
          ...connection,
          heard: () => 0,
          select: (...args) =>
            Effect.map(connection.select(...args), (selected) => {
              if (name !== "QRESYNC") return selected
              happen()
              const row = { uid: 2, flags: ["\\Seen"], modseq: inbox.highestModseq }
              return { ...selected, resync: { vanished: UidRanges.empty, changed: [row] } }
            }),
          fetch: (...args) =>
            Effect.suspend(() => {
              happen()
              return Effect.map(connection.fetch(...args), (rows) => rows.filter(({ uid }) => uid === 2))
            })
        }
        const first = yield* round(early, "INBOX", cursor)
        assert.deepStrictEqual(told(first.changes.events), ["FlagsChanged 2 \\Seen"])
        const second = yield* round(connection, "INBOX", first.changes.cursor)
        assert.deepStrictEqual(told(second.changes.events), ["Expunged 1", "Arrived 4"])
      })
  )

  it.effect("that the server lost tells the flags of every message once more, and that it gained of none", () =>
    Effect.gen(function*() {
      const { append, connection, flag, mail } = yield* start([], 2)
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      append("\\Seen")
      const plain = yield* connect(MemoryMail.make({ store: mail.store, without: ["CONDSTORE"] }))
      const lost = yield* round(plain, "INBOX", cursor)
      assert.deepStrictEqual(told(lost.changes.events), ["FlagsChanged 1", "FlagsChanged 2", "Arrived 3 \\Seen"])
      assert.deepStrictEqual((yield* round(plain, "INBOX", lost.changes.cursor)).changes.events, [])
      flag(2, "\\Flagged")
      const gained = yield* round(connection, "INBOX", lost.changes.cursor)
      assert.deepStrictEqual(told(gained.changes.events), ["FlagsChanged 2 \\Flagged"])
      assert.deepStrictEqual((yield* round(connection, "INBOX", gained.changes.cursor)).changes.events, [])
    }))
})

describe("a round without mod-sequences", () => {
  it.effect("reads the flags of a large mailbox page by page", () =>
    Effect.gen(function*() {
      const { append, connection, expunge, flag, mail } = yield* start(["CONDSTORE"], 10_100)
      expunge(1, 7_000)
      mail.forget()
      const { changes: { cursor } } = yield* round(connection, "INBOX", undefined)
      assert.deepStrictEqual(mail.commands().map(({ verb }) => verb), [
        "SELECT",
        "UID SEARCH",
        "UID FETCH",
        "UID FETCH",
        "UID FETCH"
      ])
      flag(10_000, "\\Seen")
      expunge(4)
      append()
      const { again, changes } = yield* round(connection, "INBOX", cursor)
      assert.deepStrictEqual(told(changes.events), ["Expunged 4", "FlagsChanged 10000 \\Seen", "Arrived 10101"])
      assert.isFalse(again)
    }))
})
