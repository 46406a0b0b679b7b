import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { parseDate, parseDateTime, toDateTime } from "../../../src/testing/server/DateTime.ts"
import { decodeMailboxName, encodeMailboxName, toListPattern } from "../../../src/testing/server/MailboxName.ts"
import { normalise, parseSequenceSet } from "../../../src/testing/server/SequenceRanges.ts"
import { textOf, tokenise, toQuoted } from "../../../src/testing/server/Tokens.ts"

describe("Tokens", () => {
  it("reads atoms, strings, literals, lists and sections", () => {
    const parts = ["x \"a \\\" b\" (\\Seen (y)) ", "lit", " BODY.PEEK[1.HEADER.FIELDS (From \"To\")]<0.9> BODY"]
    assert.deepStrictEqual(tokenise(parts.map((part) => Buffer.from(part))), [
      { _tag: "atom", value: "x" },
      { _tag: "string", value: "a \" b" },
      {
        _tag: "list",
        items: [{ _tag: "atom", value: "\\Seen" }, { _tag: "list", items: [{ _tag: "atom", value: "y" }] }]
      },
      { _tag: "literal", octets: Buffer.from("lit") },
      {
        _tag: "section",
        name: "BODY.PEEK",
        items: [
          { _tag: "atom", value: "1.HEADER.FIELDS" },
          { _tag: "list", items: [{ _tag: "atom", value: "From" }, { _tag: "string", value: "To" }] }
        ],
        partial: "<0.9>"
      },
      { _tag: "atom", value: "BODY" }
    ])
  })

  it.prop("reads back every text it writes as a quoted string or a literal", [Schema.String], ([given]) => {
    const text = given.toWellFormed()
    const written = toQuoted(text)
    const literal = /^\{(\d+)\}\r\n/.exec(written)
    const parts = literal === null ? [written] : ["", written.slice(literal[0].length), ""]
    assert.strictEqual(textOf(tokenise(parts.map((part) => Buffer.from(part, "latin1")))[0]), text)
  })

  it.prop("reads back every mailbox name it writes in modified UTF-7", [Schema.String], ([given]) => {
    const name = given.toWellFormed()
    const wire = encodeMailboxName(name)
    assert.match(wire, /^[ -~]*$/)
    assert.strictEqual(decodeMailboxName(wire), name.toUpperCase() === "INBOX" ? "INBOX" : name)
  })

  it("writes the names of RFC 3501 5.1.3 as it shows them", () => {
    assert.strictEqual(encodeMailboxName("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-")
    assert.strictEqual(encodeMailboxName("a & b"), "a &- b")
  })

  it("matches LIST patterns within a level and across levels", () => {
    const match = (pattern: string, name: string) => toListPattern(pattern, "/").test(name)
    assert.isTrue(match("*", "a/b"))
    assert.isFalse(match("%", "a/b"))
    assert.isTrue(match("a/%", "a/b"))
    assert.isTrue(match("inbox", "INBOX"))
    assert.isFalse(match("a.c", "abc"))
    assert.isTrue(match("*".repeat(50), "x".repeat(1000)), "stars in a row cost no more than one")
  })

  it("reads sequence sets in any order, with * for the last", () => {
    const ranges = (set: string, last: number) => normalise(parseSequenceSet(set) ?? [], last)
    assert.deepStrictEqual(ranges("9,1:3,2:4,*:7", 8), [{ from: 1, to: 4 }, { from: 7, to: 9 }])
    for (const set of ["", "0", "1:", "a", "1,,2", "4294967296", "-1"]) assert.isUndefined(parseSequenceSet(set), set)
  })

  it("reads and writes dates of the wire", () => {
    const date = parseDateTime(" 7-Jul-1996 02:44:25 -0730")
    assert.strictEqual(date?.toISOString(), "1996-07-07T10:14:25.000Z")
    assert.strictEqual(toDateTime(date ?? new Date(0)), "\" 7-Jul-1996 10:14:25 +0000\"")
    assert.strictEqual(parseDate("1-feb-1994"), "1994-02-01")
    assert.isUndefined(parseDate("1994-02-01"))
  })
})
