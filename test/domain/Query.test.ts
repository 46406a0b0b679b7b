import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { inspect } from "node:util"
import type { Criteria } from "../../src/domain/Criteria.ts"
import { Query } from "../../src/domain/Query.ts"
import { maxDepth, type SearchKey } from "../../src/domain/SearchKey.ts"

/** Every criterion, and the syntax it stands for. */
const everyCriterion: { readonly [Name in keyof Criteria]-?: readonly [NonNullable<Criteria[Name]>, string] } = {
  seen: [false, "UNSEEN"],
  answered: [true, "ANSWERED"],
  deleted: [false, "UNDELETED"],
  draft: [true, "DRAFT"],
  flagged: [true, "FLAGGED"],
  keyword: ["$Forwarded", "KEYWORD $Forwarded"],
  notKeyword: ["$Junk", "UNKEYWORD $Junk"],
  from: ["ann", "FROM \"ann\""],
  to: ["ann", "TO \"ann\""],
  cc: ["ann", "CC \"ann\""],
  bcc: ["ann", "BCC \"ann\""],
  subject: ["a \"b\"", "SUBJECT \"a \\\"b\\\"\""],
  body: ["x", "BODY \"x\""],
  text: ["x", "TEXT \"x\""],
  header: [{ "List-Id": "", "X-Spam": "yes" }, "HEADER List-Id \"\" HEADER X-Spam \"yes\""],
  before: ["2026-11-22", "BEFORE 22-Nov-2026"],
  on: [new Date("2026-11-22T23:59:59.999Z"), "ON 22-Nov-2026"],
  since: [new Date("2026-11-22T01:00:00+02:00"), "SINCE 21-Nov-2026"],
  sentBefore: ["2024-02-29", "SENTBEFORE 29-Feb-2024"],
  sentOn: ["0999-01-01", "SENTON 1-Jan-0999"],
  sentSince: ["2026-01-02", "SENTSINCE 2-Jan-2026"],
  olderThan: ["2 days", "OLDER 172800"],
  youngerThan: [1500, "YOUNGER 2"],
  larger: [0, "LARGER 0"],
  smaller: [5_000_000_000, "SMALLER 5000000000"],
  uid: [[7, 9], "UID 7,9"],
  sequence: ["5:*", "5:*"],
  modseq: [12n, "MODSEQ 12"],
  emailId: ["M1", "EMAILID M1"],
  threadId: ["T1", "THREADID T1"],
  gmail: ["is:important", "X-GM-RAW \"is:important\""],
  label: ["Work", "X-GM-LABELS \"Work\""],
  and: [[{ seen: true }, { or: [{ from: "a" }, { from: "b" }] }], "SEEN OR FROM \"a\" FROM \"b\""],
  or: [[{ seen: true, from: "a" }, { flagged: true }], "OR (SEEN FROM \"a\") FLAGGED"],
  not: [{ seen: true, from: "a" }, "NOT (SEEN FROM \"a\")"]
}

/** What has the right type and still cannot be sent: the criteria, the field named, and words of the problem. */
const invalid: ReadonlyArray<readonly [Criteria, field: string, problem: RegExp]> = [
  [{ from: "" }, "from", /every message/],
  [{ subject: "a\r\nA1 LOGOUT" }, "subject", /line break/],
  [{ body: "a\0" }, "body", /NUL/],
  [{ header: { "": "x" } }, "header", /no name/],
  [{ header: { "X-A": "\n" } }, "header", /line break/],
  [{ keyword: "" }, "keyword", /empty/],
  [{ notKeyword: "two words" }, "notKeyword", /no keyword/],
  [{ keyword: "\\Recent" }, "keyword", /\\Recent has no search key/],
  [{ before: "22-Nov-2026" }, "before", /no date/],
  [{ on: "2026-02-29" }, "on", /no date/],
  [{ since: new Date(Number.NaN) }, "since", /no date/],
  [{ sentBefore: "2026-13-01" }, "sentBefore", /no date/],
  [{ sentOn: new Date("+010000-01-01") }, "sentOn", /no date/],
  [{ sentSince: "" }, "sentSince", /no date/],
  [{ olderThan: 0 }, "olderThan", /seconds/],
  [{ youngerThan: Number.POSITIVE_INFINITY }, "youngerThan", /seconds/],
  [{ larger: -1 }, "larger", /octets/],
  [{ smaller: 1.5 }, "smaller", /octets/],
  [{ uid: [] }, "uid", /empty set/],
  [{ uid: 0 }, "uid", /no number/],
  [{ uid: [1, 2.5] }, "uid", /"2.5"/],
  [{ sequence: "1 2" }, "sequence", /no number/],
  [{ sequence: "1:5\r\n" }, "sequence", /no number/],
  [{ modseq: -1 }, "modseq", /no mod-sequence/],
  [{ modseq: 2n ** 63n }, "modseq", /no mod-sequence/],
  [{ emailId: "" }, "emailId", /no identifier/],
  [{ threadId: "a b" }, "threadId", /no identifier/],
  [{ gmail: "" }, "gmail", /every message/],
  [{ label: "a\nb" }, "label", /line break/],
  [{ or: [] }, "or", /empty list/],
  [{ not: { from: "" } }, "from", /every message/]
]

describe("Query", () => {
  it.effect("has a criterion for every search key", () =>
    Effect.gen(function*() {
      for (const [name, [value, syntax]] of Object.entries(everyCriterion)) {
        const query = yield* Query.validate(Query.inbox.and({ [name]: value }))
        assert.strictEqual(Query.toSyntax(query), syntax, name)
        assert.deepStrictEqual((yield* Query.parse(syntax)).key, query.key, name)
      }
    }))

  it("asks for everything until a step narrows it, and for one mailbox only", () => {
    assert.strictEqual(String(Query.inbox), "ALL")
    assert.strictEqual(String(Query.in("Archive").and({})), "ALL")
    assert.strictEqual(Query.in("Archive").and({ seen: true }).mailbox, "Archive")
  })

  it("narrows with every step: all of, at least one of, none of", () => {
    assert.strictEqual(
      String(Query.inbox.and({ seen: false, from: "a" }).and({ to: "b" })),
      "UNSEEN FROM \"a\" TO \"b\""
    )
    assert.strictEqual(String(Query.inbox.or({ from: "a" }, { from: "b" })), "OR FROM \"a\" FROM \"b\"")
    assert.strictEqual(
      String(Query.inbox.and({ seen: false }).or({ from: "a" }, { from: "b" })),
      "UNSEEN OR FROM \"a\" FROM \"b\""
    )
    assert.strictEqual(
      String(Query.inbox.or({ from: "a" }, { from: "b" }).or({ to: "c" }, { to: "d" })),
      "OR FROM \"a\" FROM \"b\" OR TO \"c\" TO \"d\""
    )
    assert.strictEqual(String(Query.inbox.not({ from: "a", seen: true })), "NOT (FROM \"a\" SEEN)")
    assert.strictEqual(String(Query.inbox.not({ seen: true }).not({ from: "a" })), "UNSEEN NOT FROM \"a\"")
  })

  it("takes alternatives as a list, and keys of other queries", () => {
    const people = ["a", "b", "c"].map((from) => ({ from }))
    assert.strictEqual(String(Query.inbox.or(people)), "OR FROM \"a\" OR FROM \"b\" FROM \"c\"")
    assert.strictEqual(String(Query.inbox.or([{ from: "a" }])), "FROM \"a\"")
    const other = Query.in("Archive").and({ seen: true, from: "a" })
    assert.strictEqual(String(Query.inbox.not(other.key)), "NOT (SEEN FROM \"a\")")
    // @ts-expect-error a query of some mailbox is no criterion, its key is
    assert.throws(() => Query.inbox.and(other), /unknown search criterion "mailbox"/)
  })

  it("does not change the query a step starts from", () => {
    const start = Query.inbox.and({ seen: false })
    start.and({ from: "a" })
    assert.strictEqual(String(start), "UNSEEN")
  })

  it.effect("finds what cannot be sent before anything is sent, and names the criterion", () =>
    Effect.gen(function*() {
      for (const [criteria, field, problem] of invalid) {
        const error = yield* Effect.flip(Query.validate(Query.inbox.and({ flagged: true }, criteria)))
        assert.strictEqual(error.field, field, error.message)
        assert.match(error.problem, problem)
        assert.match(String(Query.inbox.and(criteria)), /^[^\r\n\0]*$/)
      }
      for (const mailbox of ["", "a\r\nb", "a\0"]) {
        assert.strictEqual((yield* Effect.flip(Query.validate(Query.in(mailbox)))).field, "mailbox")
      }
    }))

  it.effect("refuses a tree that is too deep or holds an empty list", () =>
    Effect.gen(function*() {
      const deep = (depth: number): SearchKey => depth === 0 ? { _tag: "All" } : { _tag: "Not", key: deep(depth - 1) }
      const query = (key: SearchKey) => Query.validate(new Query({ mailbox: "INBOX", key }))
      yield* query(deep(maxDepth))
      assert.strictEqual((yield* Effect.flip(query(deep(maxDepth + 1)))).field, "not")
      assert.strictEqual((yield* Effect.flip(query({ _tag: "And", keys: [] }))).field, "and")
    }))

  it("throws at once for a criterion that the types rule out, as dropping it would widen the search", () => {
    const and = (criteria: Record<string, unknown>) => () => Query.inbox.and(criteria)
    assert.throws(and({ form: "ann" }), /unknown search criterion "form"; did you mean "from"\?/)
    assert.throws(and({ unread: true }), /unknown search criterion "unread"/)
    assert.throws(and({ constructor: "x" }), /unknown search criterion/)
    assert.throws(and({ from: undefined }), /"from" is undefined/)
  })

  it.effect("parses for INBOX or for the mailbox given, and fails with the place", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Query.parse("UNSEEN FROM bob")).mailbox, "INBOX")
      const query = yield* Query.parse("UNSEEN FROM bob", { mailbox: "Archive" })
      assert.deepStrictEqual(query, Query.in("Archive").and({ seen: false, from: "bob" }))
      const error = yield* Effect.flip(Query.parse("SEEN UNREAD"))
      assert.strictEqual(error.message, "query at 5: found \"UNREAD\", expected a search key; did you mean UNSEEN?")
      assert.strictEqual((yield* Effect.flip(Query.parse(""))).position, 0)
      assert.strictEqual((yield* Effect.flip(Query.parse("SEEN", { mailbox: "" }))).field, "mailbox")
    }))

  it("shows itself in the protocol's syntax", () => {
    const query = Query.in("Lists/Dev").and({ seen: false, modseq: 5 })
    assert.strictEqual(inspect(query), "Query(\"Lists/Dev\": UNSEEN MODSEQ 5)")
    assert.strictEqual(JSON.stringify(query), "{\"mailbox\":\"Lists/Dev\",\"search\":\"UNSEEN MODSEQ 5\"}")
  })
})
