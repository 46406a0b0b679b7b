/** What each search key looks like on the wire: exactly what it means, or a refusal; never less. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { SearchKey } from "../../src/domain/SearchKey.ts"
import * as imapflow from "../../src/driver/imapflow.ts"
import { failure, select, session } from "./Session.ts"

const text = (value: string, field: "from" | "subject" | "text" | "body" = "from"): SearchKey => ({
  _tag: "Text",
  field,
  value
})
const flag = (flag: string, set = true): SearchKey => ({ _tag: "Flag", flag, set })
const and = (...keys: ReadonlyArray<SearchKey>): SearchKey => ({ _tag: "And", keys })
const or = (...keys: ReadonlyArray<SearchKey>): SearchKey => ({ _tag: "Or", keys })
const not = (key: SearchKey): SearchKey => ({ _tag: "Not", key })
const date = (which: "received" | "sent", compare: "before" | "on" | "since", date: string): SearchKey => ({
  _tag: "Date",
  which,
  compare,
  date
})
const size = (compare: "larger" | "smaller", octets: number): SearchKey => ({ _tag: "Size", compare, octets })
const header = (name: string, value: string): SearchKey => ({ _tag: "Header", name, value })
const uids = (range: string, uid = true): SearchKey => ({ _tag: "Sequence", uid, range })

// With everything a key may need; WITHIN is the one that tempts imapflow to turn dates into ages.
const capabilities = "IMAP4rev1 ENABLE CONDSTORE WITHIN OBJECTID X-GM-EXT-1 LITERAL+ NAMESPACE UIDPLUS"

const rows: ReadonlyArray<readonly [key: SearchKey, wire: string]> = [
  [{ _tag: "All" }, "ALL"],
  [and(), "ALL"],
  [or(), "NOT ALL"],
  [text("bob"), "FROM bob"],
  [text("a \"b\" \\c"), "FROM \"a \\\"b\\\" \\\\c\""],
  [text("", "subject"), "HEADER SUBJECT \"\""],
  [text("", "text"), "ALL"],
  [header("X-Mailer", "z"), "HEADER X-MAILER z"],
  [header("X-Mailer", ""), "HEADER X-MAILER \"\""],
  [flag("\\Seen"), "SEEN"],
  [flag("\\seen", false), "UNSEEN"],
  [flag("\\Deleted", false), "UNDELETED"],
  [flag("$Forwarded"), "KEYWORD $Forwarded"],
  [flag("$Forwarded", false), "UNKEYWORD $Forwarded"],
  [date("received", "since", "2020-01-31"), "SINCE 31-Jan-2020"],
  [date("received", "before", "2020-02-01"), "BEFORE 01-Feb-2020"],
  [date("received", "on", "2020-02-01"), "ON 01-Feb-2020"],
  [date("sent", "since", "2020-02-01"), "SENTSINCE 01-Feb-2020"],
  [date("sent", "before", "2020-02-01"), "SENTBEFORE 01-Feb-2020"],
  [date("sent", "on", "2020-02-01"), "SENTON 01-Feb-2020"],
  [{ _tag: "Age", compare: "older", seconds: 3600 }, "OLDER 3600"],
  [{ _tag: "Age", compare: "younger", seconds: 1 }, "YOUNGER 1"],
  [size("larger", 100), "LARGER 100"],
  [size("larger", 0), "NOT SMALLER 1"],
  [size("smaller", 0), "NOT ALL"],
  [size("smaller", 5), "SMALLER 5"],
  [uids("1:5,9"), "UID 1:5,9"],
  [uids("100:*", false), "100:*"],
  [{ _tag: "Modseq", modseq: 0n }, "MODSEQ 0"],
  [{ _tag: "Modseq", modseq: 77n }, "MODSEQ 77"],
  [
    { _tag: "Modseq", modseq: 77n, entry: { name: "/flags/\\Seen", type: "all" } },
    "MODSEQ \"/flags/\\\\Seen\" all 77"
  ],
  [{ _tag: "Identifier", which: "email", id: "M1" }, "EMAILID M1"],
  [{ _tag: "Identifier", which: "thread", id: "T1" }, "THREADID T1"],
  [{ _tag: "Gmail", which: "raw", value: "has:attachment" }, "X-GM-RAW has:attachment"],
  [and(text("a"), flag("\\Seen")), "FROM a SEEN"],
  [and(text("a"), text("b")), "FROM a FROM b"],
  [and(text("a"), text("b"), text("c")), "FROM a (FROM b FROM c)"],
  [and(flag("\\Seen"), flag("\\Seen", false)), "SEEN UNSEEN"],
  [and(header("A", "1"), header("B", "2")), "HEADER A 1 HEADER B 2"],
  [and(flag("a"), flag("b"), text("x")), "KEYWORD a (KEYWORD b FROM x)"],
  [or(text("a"), text("b")), "OR FROM a FROM b"],
  [or(text("a"), text("b"), text("c")), "OR FROM a OR FROM b FROM c"],
  [or(text("a"), text("b"), text("c"), text("d")), "OR OR FROM a FROM b OR FROM c FROM d"],
  [or(and(text("a"), flag("\\Seen")), text("c")), "OR (FROM a SEEN) FROM c"],
  [and(or(text("a"), text("b")), or(text("c"), text("d"))), "OR FROM a FROM b NOT NOT OR FROM c FROM d"],
  [or(flag("\\Seen", false), flag("\\Answered", false)), "OR (UNSEEN UID 1:*) UNANSWERED"],
  [or(not(flag("\\Seen")), text("a")), "OR (NOT SEEN UID 1:*) FROM a"],
  [not(and(flag("\\Seen"), flag("\\Answered"))), "NOT (SEEN ANSWERED UID 1:*)"],
  [not(text("a")), "NOT FROM a"],
  [not(and(text("a"), flag("\\Seen"))), "NOT (FROM a SEEN)"],
  [not(and(header("A", "1"), header("B", "2"))), "NOT (HEADER A 1 HEADER B 2)"],
  [not(or(text("a"), text("b"))), "NOT OR FROM a FROM b"],
  [not(not(text("a"))), "NOT NOT FROM a"],
  [and(not(text("a")), not(text("b"))), "NOT FROM a NOT FROM b"],
  [and(not(text("a")), not(text("b")), or(text("c"), text("d"))), "NOT FROM a (NOT FROM b OR FROM c FROM d)"],
  [or(not(text("a")), flag("\\Seen")), "OR NOT FROM a SEEN"]
]

describe("a search over IMAP", () => {
  for (const [key, wire] of rows) {
    it.effect(`writes ${wire}`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session({
          capabilities,
          lines: ["C: UID SEARCH …", "S: * SEARCH 9 2 2", "S: $ OK found"]
        }, select)
        assert.deepStrictEqual([...yield* connection.search(key)], [2, 9])
        assert.strictEqual(server.heard.find((line) => line.startsWith("UID SEARCH")), `UID SEARCH ${wire}`)
      }).pipe(Effect.provide(imapflow.layer)))
  }

  it.effect("sends what is not ASCII as a literal and says its charset", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        capabilities,
        lines: ["C: UID SEARCH …", "S: * SEARCH", "S: $ OK found"]
      }, select)
      assert.deepStrictEqual([...yield* connection.search(text("Grüße", "subject"))], [])
      assert.strictEqual(server.heard.at(-1), "UID SEARCH CHARSET UTF-8 SUBJECT {7+}")
      assert.strictEqual(server.literals[0]?.toString(), "Grüße")
    }).pipe(Effect.provide(imapflow.layer)))

  const refused: ReadonlyArray<readonly [key: SearchKey, tag: string]> = [
    [text("a\r\nA1 DELETE x"), "InvalidInput"],
    [header("a b", "x"), "InvalidInput"],
    [header("", "x"), "InvalidInput"],
    [flag("\\Recent"), "InvalidInput"],
    [flag("two words"), "InvalidInput"],
    [date("received", "on", "2020-02-31"), "InvalidInput"],
    [date("received", "on", "soon"), "InvalidInput"],
    [{ _tag: "Age", compare: "older", seconds: 0 }, "InvalidInput"],
    [uids(""), "InvalidInput"],
    [uids("1 OR ALL"), "InvalidInput"],
    [{ _tag: "Identifier", which: "email", id: "" }, "InvalidInput"],
    [{ _tag: "Gmail", which: "label", value: "x" }, "Unsupported"],
    [{ _tag: "Gmail", which: "raw", value: "x" }, "Unsupported"],
    [{ _tag: "Identifier", which: "email", id: "M1" }, "Unsupported"],
    [{ _tag: "Modseq", modseq: 1n }, "Unsupported"],
    [{ _tag: "Age", compare: "older", seconds: 5 }, "Unsupported"],
    [or(text("a"), { _tag: "Gmail", which: "raw", value: "x" }), "Unsupported"],
    [not({ _tag: "Gmail", which: "raw", value: "x" }), "Unsupported"]
  ]
  for (const [key, tag] of refused) {
    it.effect(`refuses ${JSON.stringify(key, (_, value) => typeof value === "bigint" ? `${value}` : value)}`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session({ capabilities: "IMAP4rev1" }, select)
        assert.strictEqual((yield* failure(connection.search(key)))._tag, tag)
        assert.isFalse(server.heard.some((line) => line.includes("SEARCH")))
      }).pipe(Effect.provide(imapflow.layer)))
  }
})
