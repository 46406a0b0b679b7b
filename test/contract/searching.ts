/** The contract of searches: every criterion finds exactly what it says, and nothing odd ever widens one. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Criteria, type Criterion, type MessageSet, Query } from "../../src/index.ts"
import { fileAll, type Letter, letter } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

const day = (iso: string) => new Date(`${iso}T12:00:00Z`)

const letters: ReadonlyArray<Letter> = [
  {
    fields: {
      From: "Ann Example <ann@example.com>",
      To: "Bob Example <bob@example.com>",
      Cc: "eve@example.org",
      Subject: "Quarterly report",
      Date: "Mon, 05 Jan 2026 10:00:00 +0000",
      "Message-ID": "<one@search.example.com>",
      "X-Colour": "blue"
    },
    body: "alpha beta",
    flags: ["\\Seen"],
    internalDate: day("2026-01-10")
  },
  {
    fields: {
      From: "Carol <carol@example.net>",
      Subject: `He said "hi" \\ left`,
      Date: "Tue, 06 Jan 2026 10:00:00 +0000",
      "X-Colour": "green"
    },
    body: "a 100% sure * thing",
    flags: ["\\Flagged", "$Project"],
    internalDate: day("2026-01-20")
  },
  {
    fields: {
      Subject: "=?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=",
      Date: "Wed, 07 Jan 2026 10:00:00 +0000",
      "Content-Type": "text/plain; charset=utf-8",
      "Content-Transfer-Encoding": "base64"
    },
    body: Buffer.from("Žluťoučký kůň", "utf8").toString("base64"),
    flags: ["\\Answered", "\\Seen"],
    internalDate: day("2026-02-01")
  },
  {
    fields: { Subject: "", Bcc: "hidden@example.org", Date: "Thu, 08 Jan 2026 10:00:00 +0000" },
    body: `${"x".repeat(70)}\r\n`.repeat(100),
    flags: ["\\Draft"],
    internalDate: day("2026-02-02")
  },
  { fields: { Subject: "report, the second" }, flags: ["\\Deleted"], internalDate: day("2026-02-03") }
]

/** The places of `letters` that were found, counted from 1. */
const placesOf = (found: MessageSet, first: number) => found.uids.map((uid) => uid - first + 1)

const filled = (ann: Account) =>
  Effect.map(fileAll(ann, "Archive", letters), (refs) => ({ first: refs[0]?.uid ?? 0, query: Query.in("Archive") }))

type Expectations = ReadonlyArray<readonly [criterion: Criterion, places: ReadonlyArray<number>]>

const tables: Readonly<Record<string, Expectations>> = {
  "flags and keywords": [
    [{ seen: true }, [1, 3]],
    [{ seen: false }, [2, 4, 5]],
    [{ answered: true }, [3]],
    [{ answered: false }, [1, 2, 4, 5]],
    [{ flagged: true }, [2]],
    [{ flagged: false }, [1, 3, 4, 5]],
    [{ draft: true }, [4]],
    [{ draft: false }, [1, 2, 3, 5]],
    [{ deleted: true }, [5]],
    [{ deleted: false }, [1, 2, 3, 4]],
    [{ keyword: "$Project" }, [2]],
    [{ keyword: "$project" }, [2]],
    [{ notKeyword: "$Project" }, [1, 3, 4, 5]],
    [{ keyword: "$Nobody" }, []]
  ],
  "addresses": [
    [{ from: "carol" }, [2]],
    [{ from: "CAROL@EXAMPLE.NET" }, [2]],
    [{ from: "Ann Example" }, [1, 3, 4, 5]],
    [{ to: "Bob Example" }, [1]],
    [{ cc: "eve" }, [1]],
    [{ bcc: "hidden" }, [4]],
    [{ from: "hidden" }, []]
  ],
  "subjects, bodies and headers": [
    [{ subject: "report" }, [1, 5]],
    [{ subject: "REPORT" }, [1, 5]],
    [{ subject: "report, the" }, [5]],
    [{ subject: `"hi"` }, [2]],
    [{ subject: "\\ left" }, [2]],
    [{ subject: `"hi" \\` }, [2]],
    [{ subject: `" OR ALL` }, []],
    [{ subject: "Grüße" }, [3]],
    [{ subject: "köln" }, [3]],
    [{ body: "alpha" }, [1]],
    [{ body: "Žluťoučký" }, [3]],
    [{ body: "100%" }, [2]],
    [{ body: "* thing" }, [2]],
    [{ body: "quarterly" }, []],
    [{ text: "quarterly" }, [1]],
    [{ text: "beta" }, [1]],
    [{ text: "日本" }, []],
    [{ header: { "X-Colour": "blue" } }, [1]],
    [{ header: { "x-colour": "" } }, [1, 2]],
    [{ header: { "X-Colour": "e", Cc: "eve" } }, [1]],
    [{ header: { "Message-ID": "<one@search.example.com>" } }, [1]],
    [{ header: { "X-Nothing": "" } }, []]
  ],
  "dates, whose day is counted without time and zone": [
    [{ since: "2026-02-01" }, [3, 4, 5]],
    [{ before: "2026-02-01" }, [1, 2]],
    [{ on: "2026-02-01" }, [3]],
    [{ since: "2026-01-20", before: "2026-02-02" }, [2, 3]],
    [{ on: new Date("2026-01-10T00:00:00Z") }, [1]],
    [{ sentSince: "2026-01-07" }, [3, 4]],
    [{ sentBefore: "2026-01-06" }, [1, 5]],
    [{ sentOn: "2026-01-06" }, [2]],
    [{ on: "1999-12-31" }, []]
  ],
  "sizes": [
    [{ larger: 5_000 }, [4]],
    [{ smaller: 5_000 }, [1, 2, 3, 5]],
    [{ larger: 0 }, [1, 2, 3, 4, 5]],
    [{ smaller: 0 }, []],
    [{ larger: 1_000_000_000 }, []]
  ],
  "several criteria together": [
    [{}, [1, 2, 3, 4, 5]],
    [{ seen: true, answered: false }, [1]],
    [{ and: [{ subject: "report" }, { deleted: true }] }, [5]],
    [{ or: [{ from: "carol" }, { draft: true }] }, [2, 4]],
    [{ or: [{ from: "carol" }, { draft: true }, { subject: "quarterly" }] }, [1, 2, 4]],
    [{ not: { seen: true } }, [2, 4, 5]],
    [{ not: { seen: true, answered: true } }, [1, 2, 4, 5]],
    [{ not: { answered: true, seen: true, flagged: false } }, [1, 2, 4, 5]],
    [{ not: { and: [{ seen: true }, { not: { answered: false } }] } }, [1, 2, 4, 5]],
    [{ or: [{ seen: false }, { answered: false }] }, [1, 2, 4, 5]],
    [{ or: [{ not: { seen: true } }, { not: { answered: true } }] }, [1, 2, 4, 5]],
    [{ or: [{ seen: false }, { answered: false }, { subject: "nothing" }] }, [1, 2, 4, 5]],
    [{ or: [{ seen: false }, { subject: "quarterly" }] }, [1, 2, 4, 5]],
    [{ or: [{ seen: false }, { answered: true }] }, [2, 3, 4, 5]],
    [{ not: { or: [{ seen: true }, { flagged: true }] } }, [4, 5]],
    [{ not: { not: { subject: "report" } } }, [1, 5]],
    [{ subject: "report", or: [{ seen: true }, { flagged: true }] }, [1]],
    [{ and: [{ subject: "e" }, { subject: "report" }, { subject: "second" }] }, [5]],
    [{ not: {} }, []]
  ]
}

/** Criteria that no server can be asked: left out or guessed at, each would find more than was wanted. */
const impossible: ReadonlyArray<Criteria> = [
  { on: "2026-02-30" },
  { since: new Date(Number.NaN) },
  { keyword: "two words" },
  { keyword: "" },
  { subject: "line\r\nA1 DELETE INBOX" },
  { body: "null\0octet" },
  { header: { "X:Y": "z" } },
  { header: { "": "z" } },
  { uid: "" },
  { uid: "0" },
  { uid: "1:b" },
  { uid: [] },
  { larger: -1 },
  { smaller: 1.5 },
  { olderThan: "0 seconds" },
  { or: [] }
]

export const searching = ({ test }: Suite): void => {
  describe("searching", () => {
    for (const [name, expectations] of Object.entries(tables)) {
      test(`finds by ${name}`, ({ open }) =>
        Effect.gen(function*() {
          const ann = yield* open("ann")
          const { first, query } = yield* filled(ann)
          for (const [criterion, places] of expectations) {
            const asked = query.and(criterion)
            assert.deepStrictEqual(placesOf(yield* ann.search(asked), first), places, `${asked}`)
          }
        }))
    }

    test("finds by UID, with ranges in any order, past the end and to the last one", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { first, query } = yield* filled(ann)
        const last = first + 4
        const expectations: Expectations = [
          [{ uid: first + 1 }, [2]],
          [{ uid: [first + 4, first] }, [1, 5]],
          [{ uid: `${first}:${first + 2},${last}` }, [1, 2, 3, 5]],
          [{ uid: `${first + 2}:${first}` }, [1, 2, 3]],
          [{ uid: "1:*" }, [1, 2, 3, 4, 5]],
          [{ uid: "*" }, [5]],
          [{ uid: `${first + 3}:*` }, [4, 5]],
          // "n:*" names the last message even where n is beyond it, RFC 9051 9 (seq-range)
          [{ uid: `${last + 100}:*` }, [5]],
          [{ uid: last + 100 }, []],
          [{ uid: `${last + 100}:${last + 200}` }, []],
          [{ uid: "4294967295" }, []],
          [{ sequence: "2:3" }, [2, 3]],
          [{ sequence: "*" }, [5]],
          [{ uid: `${first}:${first + 2}`, seen: true }, [1, 3]],
          [{ not: { uid: `${first}:${first + 2}` } }, [4, 5]]
        ]
        for (const [criterion, places] of expectations) {
          const asked = query.and(criterion)
          assert.deepStrictEqual(placesOf(yield* ann.search(asked), first), places, `${asked}`)
        }
      }))

    test("finds young and old messages by the time they were received", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const [old, young] = yield* fileAll(ann, "INBOX", [{ internalDate: day("2020-01-01") }, {}])
        assert.deepStrictEqual([...(yield* ann.search(Query.inbox.and({ olderThan: "1 day" }))).uids], [old?.uid])
        assert.deepStrictEqual([...(yield* ann.search(Query.inbox.and({ youngerThan: "1 day" }))).uids], [young?.uid])
      }))

    test("finds what has changed since a mod-sequence", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { query } = yield* filled(ann)
        const all = yield* ann.search(query)
        const { highestModseq = 0n } = yield* ann.status("Archive")
        assert.isTrue((yield* ann.search(query.and({ modseq: highestModseq + 1n }))).isEmpty)
        const second = all.ref(all.uids[1] ?? 0)
        yield* ann.flag(second, { add: ["\\Seen"] })
        const changed = yield* ann.search(query.and({ modseq: highestModseq + 1n }))
        assert.deepStrictEqual([...changed.uids], [second.uid])
        assert.strictEqual((yield* ann.search(query.and({ modseq: 0 }))).size, 5)
      }))

    test("finds nothing in an empty mailbox, whatever is asked", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        for (const criterion of [{}, { uid: "1:*" }, { uid: "*" }, { or: [{ seen: false }, { draft: false }] }]) {
          const found = yield* ann.search(Query.inbox.and(criterion))
          assert.isTrue(found.isEmpty)
          assert.strictEqual(found.mailbox, "INBOX")
          assert.isAbove(found.uidValidity, 0)
        }
      }))

    test("asks what the protocol's own syntax says", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { first } = yield* filled(ann)
        const expectations: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
          ["ALL", [1, 2, 3, 4, 5]],
          ["UNSEEN FROM carol", [2]],
          [`SUBJECT "He said \\"hi\\" \\\\"`, [2]],
          ["OR (SEEN ANSWERED) DRAFT", [3, 4]],
          ["NOT SINCE 1-Feb-2026", [1, 2]],
          ["KEYWORD $Project LARGER 10", [2]]
        ]
        for (const [text, places] of expectations) {
          const query = yield* Effect.orDie(Query.parse(text, { mailbox: "Archive" }))
          assert.deepStrictEqual(placesOf(yield* ann.search(query), first), places, text)
        }
      }))

    test("refuses what no server can be asked, and does not widen it", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* filled(ann)
        for (const criteria of impossible) {
          const reason = yield* reasonOf(ann.search(Query.in("Archive").and(criteria)))
          assert.strictEqual(reason._tag, "InvalidInput", JSON.stringify(criteria))
        }
        for (const mailbox of ["", "two\r\nlines"]) {
          assert.strictEqual((yield* reasonOf(ann.search(Query.in(mailbox))))._tag, "InvalidInput")
        }
      }))

    test("tells a server without the extension that a criterion needs", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const reason = yield* reasonOf(ann.search(Query.inbox.and({ gmail: "has:attachment" })))
        assert.strictEqual(reason._tag, "Unsupported")
      }))

    test("finds many messages, whose set has no runs", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const source = letter()
        yield* Effect.repeat(ann.append("Archive", source), { times: 19 })
        for (let size = 20; size < 1_280; size *= 2) {
          yield* ann.copy(yield* ann.search(Query.in("Archive")), "Archive")
        }
        const all = yield* ann.search(Query.in("Archive"))
        assert.strictEqual(all.size, 1_280)
        const odd = all.with(all.uids.filter((_, index) => index % 2 === 1))
        yield* ann.flag(odd, { add: ["\\Flagged"] })
        assert.deepStrictEqual([...(yield* ann.search(Query.in("Archive").and({ flagged: true }))).uids], [...odd.uids])
        const asked = yield* ann.search(Query.in("Archive").and({ uid: odd.uids }))
        assert.deepStrictEqual([...asked.uids], [...odd.uids])
      }))

    test("finds few messages among tens of thousands that a search names", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { first, query } = yield* filled(ann)
        const uid = Array.from({ length: 60_000 }, (_, index) => first + 2 * index)
        const expectations: Expectations = [
          [{ uid, seen: true }, [1, 3]],
          [{ not: { uid } }, [2, 4]],
          [{ or: [{ uid }, { flagged: true }] }, [1, 2, 3, 5]]
        ]
        for (const [criterion, places] of expectations) {
          assert.deepStrictEqual(placesOf(yield* ann.search(query.and(criterion)), first), places)
        }
        const reason = yield* reasonOf(ann.search(query.and({ sequence: uid })))
        assert.deepInclude(reason, { _tag: "InvalidInput", field: "sequence" })
      }))

    test("finds by one of thousands of alternatives, and by none of them", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const { first, query } = yield* filled(ann)
        const ids = Array.from({ length: 2_000 }, (_, index) => `<${index}-of-many@search.example.com>`)
        const or = [...ids, "<one@search.example.com>"].map((id) => ({ header: { "Message-ID": id } }))
        assert.deepStrictEqual(placesOf(yield* ann.search(query.or(or)), first), [1])
        const others = query.and({ flagged: false }).not({ or })
        assert.deepStrictEqual(placesOf(yield* ann.search(others), first), [3, 4, 5])
      }))

    test("does not search what is not there", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const reason = yield* reasonOf(ann.search(Query.in("Nowhere")))
        assert.deepInclude(reason, { _tag: "MailboxNotFound", mailbox: "Nowhere" })
      }))
  })
}
