import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import type { InvalidInput } from "../../src/domain/MailError.ts"
import { parseSearchKey, printSearchKey } from "../../src/domain/QuerySyntax.ts"
import { maxDepth, normalize, type SearchKey } from "../../src/domain/SearchKey.ts"
import { flawOf } from "../../src/domain/SearchRules.ts"
import type { SearchToken } from "../../src/domain/SearchToken.ts"

const parse = (text: string): SearchKey => Result.getOrThrow(parseSearchKey(text))

const failure = (input: string | ReadonlyArray<SearchToken>): InvalidInput => {
  const result = parseSearchKey(input)
  if (Result.isSuccess(result)) assert.fail(`parsed as ${printSearchKey(result.success)}`)
  return result.failure
}

const flag = (flag: string, set = true): SearchKey => ({ _tag: "Flag", flag, set })
const from = (value: string): SearchKey => ({ _tag: "Text", field: "from", value })
const seen = flag("\\Seen")
const unseen = flag("\\Seen", false)

/** Every search key of RFC 9051 6.4.4 and of the extensions: text, tree, and the form in which it is printed. */
const everyKey: ReadonlyArray<readonly [text: string, key: SearchKey, printed?: string]> = [
  ["ALL", { _tag: "All" }],
  ["ANSWERED", flag("\\Answered")],
  ["UNANSWERED", flag("\\Answered", false)],
  ["DELETED", flag("\\Deleted")],
  ["UNDELETED", flag("\\Deleted", false)],
  ["DRAFT", flag("\\Draft")],
  ["UNDRAFT", flag("\\Draft", false)],
  ["FLAGGED", flag("\\Flagged")],
  ["UNFLAGGED", flag("\\Flagged", false)],
  ["SEEN", seen],
  ["unseen", unseen, "UNSEEN"],
  ["KEYWORD $Forwarded", flag("$Forwarded")],
  ["UNKEYWORD $Junk", flag("$Junk", false)],
  ["BCC ann", { _tag: "Text", field: "bcc", value: "ann" }, "BCC \"ann\""],
  ["BODY \"two words\"", { _tag: "Text", field: "body", value: "two words" }],
  ["CC \"\\\"quoted\\\" \\\\\"", { _tag: "Text", field: "cc", value: "\"quoted\" \\" }],
  ["From bob@example.com", from("bob@example.com"), "FROM \"bob@example.com\""],
  ["SUBJECT \"Grüße (1)\"", { _tag: "Text", field: "subject", value: "Grüße (1)" }],
  ["SUBJECT 日本", { _tag: "Text", field: "subject", value: "日本" }, "SUBJECT \"日本\""],
  ["TEXT UNSEEN", { _tag: "Text", field: "text", value: "UNSEEN" }, "TEXT \"UNSEEN\""],
  ["TO []", { _tag: "Text", field: "to", value: "[]" }, "TO \"[]\""],
  ["HEADER Message-ID \"<a@b>\"", { _tag: "Header", name: "Message-ID", value: "<a@b>" }],
  ["HEADER \"X-(odd)\" \"\"", { _tag: "Header", name: "X-(odd)", value: "" }],
  ["BEFORE 1-Feb-2026", { _tag: "Date", which: "received", compare: "before", date: "2026-02-01" }],
  ["ON \"29-feb-2024\"", { _tag: "Date", which: "received", compare: "on", date: "2024-02-29" }, "ON 29-Feb-2024"],
  ["SINCE 01-DEC-1999", { _tag: "Date", which: "received", compare: "since", date: "1999-12-01" }, "SINCE 1-Dec-1999"],
  ["SENTBEFORE 31-Jan-2026", { _tag: "Date", which: "sent", compare: "before", date: "2026-01-31" }],
  ["SENTON 30-Apr-2026", { _tag: "Date", which: "sent", compare: "on", date: "2026-04-30" }],
  ["SENTSINCE 22-Nov-2026", { _tag: "Date", which: "sent", compare: "since", date: "2026-11-22" }],
  ["LARGER 0", { _tag: "Size", compare: "larger", octets: 0 }],
  ["SMALLER 5000000000", { _tag: "Size", compare: "smaller", octets: 5_000_000_000 }],
  ["OLDER 3600", { _tag: "Age", compare: "older", seconds: 3600 }],
  ["YOUNGER 1", { _tag: "Age", compare: "younger", seconds: 1 }],
  ["1:5,9,20:*", { _tag: "Sequence", uid: false, range: "1:5,9,20:*" }],
  ["*", { _tag: "Sequence", uid: false, range: "*" }],
  ["UID 7,4294967295:*", { _tag: "Sequence", uid: true, range: "7,4294967295:*" }],
  ["MODSEQ 9223372036854775807", { _tag: "Modseq", modseq: 9223372036854775807n }],
  ["MODSEQ \"/flags/\\\\draft\" all 620162338", {
    _tag: "Modseq",
    modseq: 620162338n,
    entry: { name: "/flags/\\draft", type: "all" }
  }],
  ["EMAILID M6d99ac3275bb4e", { _tag: "Identifier", which: "email", id: "M6d99ac3275bb4e" }],
  ["THREADID T64b478a75b7ea9", { _tag: "Identifier", which: "thread", id: "T64b478a75b7ea9" }],
  ["X-GM-RAW \"has:attachment in:unread\"", { _tag: "Gmail", which: "raw", value: "has:attachment in:unread" }],
  ["X-GM-LABELS Work", { _tag: "Gmail", which: "label", value: "Work" }, "X-GM-LABELS \"Work\""],
  ["NOT FROM \"a\"", { _tag: "Not", key: from("a") }],
  ["NOT SEEN", unseen, "UNSEEN"],
  ["NOT NOT FROM \"a\"", from("a"), "FROM \"a\""],
  ["OR SEEN FROM \"a\"", { _tag: "Or", keys: [seen, from("a")] }],
  ["OR SEEN OR FROM \"a\" FROM \"b\"", { _tag: "Or", keys: [seen, from("a"), from("b")] }],
  [
    "OR OR SEEN FROM \"a\" FROM \"b\"",
    { _tag: "Or", keys: [seen, from("a"), from("b")] },
    "OR SEEN OR FROM \"a\" FROM \"b\""
  ],
  ["UNSEEN FROM \"a\"", { _tag: "And", keys: [unseen, from("a")] }],
  ["(UNSEEN (FROM \"a\"))", { _tag: "And", keys: [unseen, from("a")] }, "UNSEEN FROM \"a\""],
  ["ALL SEEN", seen, "SEEN"],
  ["OR (SEEN 1) NOT (SEEN 2)", {
    _tag: "Or",
    keys: [
      { _tag: "And", keys: [seen, { _tag: "Sequence", uid: false, range: "1" }] },
      { _tag: "Not", key: { _tag: "And", keys: [seen, { _tag: "Sequence", uid: false, range: "2" }] } }
    ]
  }],
  ["CHARSET utf-8 SEEN", seen, "SEEN"],
  ["  SEEN\t( FROM a )\r\n", { _tag: "And", keys: [seen, from("a")] }, "SEEN FROM \"a\""]
]

/** What is malformed: the text with › before the offending place, and words of the problem. */
const malformed: ReadonlyArray<readonly [text: string, problem: RegExp]> = [
  ["›", /found nothing, expected a search key/],
  ["›   ", /found nothing/],
  ["›UNREAD", /"UNREAD".*did you mean UNSEEN\?/],
  ["SEEN ›unsen", /did you mean UNSEEN\?/],
  ["›SUBJCT x", /did you mean SUBJECT\?/],
  ["›from:bob", /did you mean FROM "bob"\?/],
  ["from:›\"bob\"", /expected a space before it instead of the colon/],
  ["›-FROM bob", /NOT and a key/],
  ["›\\Seen", /without the backslash/],
  ["›AFTER 1-Jan-2026", /did you mean SINCE\?/],
  ["›X-GM-MSGID 1", /did you mean EMAILID\?/],
  ["›constructor", /expected a search key/],
  ["›NEW", /\\Recent.*UNSEEN/],
  ["›OLD", /\\Recent/],
  ["›RECENT", /\\Recent/],
  ["UID 1 ›$", /the last search/],
  ["SEEN ›AND FLAGGED", /AND is not written/],
  ["›SEARCH SEEN", /the command/],
  ["UID ›SEARCH", /is no number/],
  ["›RETURN (MIN) SEEN", /form of the result/],
  ["›FUZZY SUBJECT a", /RFC 6203/],
  ["SEEN ›CHARSET UTF-8", /at the very beginning/],
  ["CHARSET ›KOI8-R SEEN", /KOI8-R, expected UTF-8/],
  ["›CHARSET", /found the end, expected a charset/],
  ["CHARSET ›UTF-8", /found nothing/],
  ["SEEN ›FROM", /found the end, expected a text after FROM/],
  ["FROM ›(SEEN)", /found \(, expected a text after FROM/],
  ["(FROM›)", /found \), expected a text after FROM/],
  ["FROM ›\"\"", /empty text would match every message/],
  ["FROM ›50%", /quotes around.*no wildcards/],
  ["SUBJECT ›foo*", /no wildcards/],
  ["FROM ›{3}", /expected quotes/],
  ["FROM ›a\\b", /expected quotes/],
  ["FROM a›\"b\"", /expected a space/],
  ["FROM \"a\"›\"b\"", /expected a space/],
  ["(SEEN)›(DRAFT)", /expected a space/],
  ["SUBJECT hello ›world", /a text of several words is quoted: SUBJECT "…"/],
  ["SEEN ›\"text\"", /found the text "text", expected a search key before it/],
  ["FROM ›\"a", /not closed/],
  ["FROM \"a ›\\n\"", /backslash/],
  ["FROM \"a›\r\nb\"", /line break/],
  ["FROM \"a›\0b\"", /line break or NUL/],
  ["›(SEEN", /parenthesis that is not closed/],
  ["›(SEEN (DRAFT)", /parenthesis that is not closed/],
  ["SEEN›)", /found \), expected a search key/],
  ["(›)", /found \(\), expected a search key/],
  ["›NOT", /found the end, expected a search key after NOT/],
  ["(NOT›)", /expected a search key after NOT/],
  ["OR ›SEEN", /a second search key after OR/],
  ["SEEN ›OR", /a search key after OR/],
  ["OR SEEN OR ›DRAFT", /a second search key/],
  ["KEYWORD ›\"$Junk\"", /without quotes/],
  ["KEYWORD ›\\Seen", /keys of their own/],
  ["UNKEYWORD ›50%", /no keyword/],
  ["KEYWORD ›Grün", /no keyword/],
  ["HEADER ›\"a b\" x", /no name of a header field/],
  ["HEADER ›\"\" x", /no name of a header field/],
  ["HEADER ›Subject:", /found the end|no name/],
  ["HEADER ›Subject", /a text after HEADER Subject/],
  ["SINCE ›2026-11-22", /did you mean 22-Nov-2026\?/],
  ["SINCE ›yesterday", /expected a date like/],
  ["SINCE ›30-Feb-2026", /2026-02-30 is no date/],
  ["ON ›29-Feb-2100", /no date/],
  ["ON ›0-Jan-2026", /no date/],
  ["ON ›1-Foo-2026", /expected a date/],
  ["ON ›1-Jan-26", /expected a date/],
  ["LARGER ›5k", /"5k", expected a number of octets/],
  ["LARGER ›-1", /expected a number of octets/],
  ["LARGER ›\"5\"", /without quotes/],
  ["LARGER ›9007199254740992", /between 0 and/],
  ["SMALLER ›9999999999999999999999999999999999999999999999", /between 0 and/],
  ["OLDER ›0", /between 1 and/],
  ["YOUNGER ›4294967296", /between 1 and 4294967295/],
  ["UID ›0", /"0" is no number/],
  ["UID ›1:", /"" is no number/],
  ["UID ›1:2:3", /"1:2:3" is no range/],
  ["UID ›4294967296", /is no number between 1/],
  ["UID ›a", /is no number/],
  ["UID ›\"1\"", /without quotes/],
  ["SEEN ›1,,2", /"" is no number/],
  ["›1-5", /"1-5" is no number/],
  ["MODSEQ ›x", /expected a mod-sequence/],
  ["MODSEQ ›9223372036854775808", /no mod-sequence/],
  ["MODSEQ ›\"draft\" all 5", /\/flags\//],
  ["MODSEQ \"/flags/a\" ›some 5", /expected priv, shared or all/],
  ["MODSEQ \"/flags/a\" ›all", /found the end, expected a mod-sequence/],
  ["EMAILID ›\"a b\"", /no identifier/],
  ["THREADID ›\"\"", /no identifier/],
  ["X-GM-RAW ›\"\"", /every message/]
]

describe("QuerySyntax", () => {
  it("reads and prints every search key", () => {
    for (const [text, key, printed] of everyKey) {
      assert.deepStrictEqual(parse(text), key, text)
      assert.strictEqual(printSearchKey(key), printed ?? text)
    }
  })

  it("names the place and the reason of everything that is malformed", () => {
    for (const [marked, problem] of malformed) {
      const text = marked.replace("›", "")
      const error = failure(text)
      assert.strictEqual(error.position, marked.indexOf("›"), `${marked}: ${error.message}`)
      assert.match(error.problem, problem, marked)
      assert.strictEqual(error.field, "query")
    }
  })

  it("bounds how deep keys may lie in each other", () => {
    const nested = (depth: number) => `${"(".repeat(depth)}SEEN${")".repeat(depth)}`
    assert.deepStrictEqual(parse(nested(maxDepth)), seen)
    assert.strictEqual(failure(nested(maxDepth + 1)).position, maxDepth)
    assert.match(failure(nested(100_000)).problem, /nested more than/)
    assert.match(failure("NOT ".repeat(100_000)).problem, /nested more than/)
    assert.match(failure("OR ".repeat(100_000)).problem, /expected a search key|nested more than/)
  })

  it("takes a long row of alternatives as one flat Or", () => {
    const text = Array.from({ length: 20_000 }, (_, index) => `OR UID ${index + 1}`).join(" ") + " SEEN"
    const key = parse(text)
    assert.strictEqual(key._tag === "Or" ? key.keys.length : 0, 20_001)
    assert.strictEqual(printSearchKey(key), text)
  })

  it("reads words that a server has cut out of the wire, literals included", () => {
    const words: ReadonlyArray<SearchToken> = [
      { kind: "atom", value: "or", position: 0 },
      { kind: "atom", value: "SUBJECT", position: 3 },
      { kind: "string", value: "a \"b\" ü", position: 11 },
      { kind: "open", position: 20 },
      { kind: "atom", value: "1:*", position: 21 },
      { kind: "close", position: 24 }
    ]
    assert.deepStrictEqual(Result.getOrThrow(parseSearchKey(words)), {
      _tag: "Or",
      keys: [{ _tag: "Text", field: "subject", value: "a \"b\" ü" }, { _tag: "Sequence", uid: false, range: "1:*" }]
    })
    assert.strictEqual(failure(words.slice(0, 2)).position, 3)
    assert.strictEqual(failure([]).position, 0)
  })

  it("lets the empty text pass where a server has to answer it", () => {
    const key = Result.getOrThrow(parseSearchKey("NOT SUBJECT \"\"", { emptyText: true }))
    assert.deepStrictEqual(key, { _tag: "Not", key: { _tag: "Text", field: "subject", value: "" } })
    assert.match(failure("UID 0").problem, /no number/)
  })

  it.prop("reads back what it has printed, with equal meaning", { key: keys() }, ({ key }) => {
    const normal = normalize(key)
    assert.strictEqual(flawOf(key), undefined)
    assert.deepStrictEqual(parse(printSearchKey(key)), normal)
    assert.deepStrictEqual(normalize(normal), normal)
  }, { arbitrary: { runs: 500 } })

  it.prop("answers any text with a key or with a place in the text", { text: Schema.String }, ({ text }) => {
    holds(text)
  }, { arbitrary: { runs: 500 } })

  it.prop(
    "answers any row of words with a key or with a place in the text",
    { words: Arbitrary.array(pick(vocabulary()), { maxLength: 12 }) },
    ({ words }) => holds(words.join(" ")),
    { arbitrary: { runs: 1000 } }
  )

  it.prop(
    "answers damaged syntax with a key or with a place in the text",
    {
      key: keys(),
      at: below(2 ** 16),
      cut: below(3),
      insert: pick(["", "(", ")", "\"", "\\", " ", "OR ", "x", "\r\n", "0"])
    },
    ({ at, cut, insert, key }) => {
      const text = printSearchKey(key)
      const start = at % (text.length + 1)
      holds(text.slice(0, start) + insert + text.slice(start + cut))
    },
    { arbitrary: { runs: 1000 } }
  )
})

/** What parses can be sent and printed, and what does not parse has its place inside the text. */
const holds = (text: string) => {
  const result = parseSearchKey(text)
  if (Result.isSuccess(result)) {
    assert.strictEqual(flawOf(result.success), undefined)
    assert.deepStrictEqual(parse(printSearchKey(result.success)), result.success)
  } else {
    const { position } = result.failure
    if (position === undefined) assert.fail("an error without a place")
    assert.isTrue(Number.isInteger(position) && position >= 0 && position < Math.max(1, text.length))
  }
}

function vocabulary() {
  return everyKey.flatMap(([text]) => text.split(" ")).concat("(", ")", "\"", "NEW", "UNREAD", "$")
}

function below(limit: number) {
  return Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 })))
}

function pick<A>(values: ReadonlyArray<A>) {
  return Arbitrary.filterMap(below(values.length), (index) => {
    const value = values[index]
    return value === undefined ? Result.failVoid : Result.succeed(value)
  })
}

/** Valid keys: texts of any characters that can be sent, and And, Or and Not around them. */
function keys(): Arbitrary.Arbitrary<SearchKey> {
  const text = Arbitrary.map(Arbitrary.schema(Schema.NonEmptyString), (value) => value.replace(/[\r\n\0]/g, "ß"))
  const number = Arbitrary.map(below(2 ** 32 - 1), (value) => value + 1)
  const leaf = Arbitrary.flatMap(
    Arbitrary.all({ text, number, sample: pick(everyKey), kind: below(6) }),
    ({ kind, number, sample: [, key], text }): Arbitrary.Arbitrary<SearchKey> =>
      Arbitrary.Constant<SearchKey>(
        kind === 0
          ? { _tag: "Text", field: "subject", value: text }
          : kind === 1
          ? { _tag: "Header", name: "List-Id", value: text }
          : kind === 2
          ? { _tag: "Sequence", uid: true, range: `${number},${number}:*` }
          : kind === 3
          ? { _tag: "Age", compare: "older", seconds: number }
          : key
      )
  )
  let nested: Arbitrary.Arbitrary<SearchKey> = leaf
  for (let depth = 0; depth < 4; depth++) {
    nested = Arbitrary.map(
      Arbitrary.all({ kind: below(4), keys: Arbitrary.array(nested, { minLength: 1, maxLength: 3 }), leaf }),
      ({ keys, kind, leaf }): SearchKey => {
        if (kind === 0) return leaf
        if (kind === 1) return { _tag: "Not", key: keys[0] ?? leaf }
        return { _tag: kind === 2 ? "And" : "Or", keys }
      }
    )
  }
  return nested
}
