import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Address } from "../../src/domain/Envelope.ts"
import { HeaderField, ParsedMessage } from "../../src/domain/Message.ts"
import { layer } from "../../src/driver/mailparser.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"

const parse = (octets: string | Uint8Array) =>
  Effect.flatMap(MessageParser, (parser) => parser.parse(typeof octets === "string" ? Buffer.from(octets) : octets))
    .pipe(
      Effect.provide(layer)
    )
const lines = (...text: ReadonlyArray<string>) => text.join("\r\n")

describe("reading a message", () => {
  it.effect("decodes headers, keeps their names and order, and flattens groups", () =>
    Effect.gen(function*() {
      const read = yield* parse(lines(
        "X-First: a",
        "FROM: =?iso-8859-1?Q?J=F6rg?= <j@example.com>",
        "To: team: a@example.com, \"B, C\" <b@example.com>;, d@example.com",
        "Cc: e@example.com",
        "cc: f@example.com",
        "Subject: =?utf-8?B?w6Q=?= =?utf-8?B?w7Y=?=",
        " and more",
        "Date: Fri, 02 Jan 2026 03:04:05 +0100 (CET)",
        "Message-ID: <1@example.com>",
        "In-Reply-To: Your message of Friday <0@example.com>",
        "References: <a@x>\t<b@x>",
        " <c@x>",
        "X-First: b",
        "",
        "body",
        ""
      ))
      assert.deepStrictEqual(read.headers.map(({ name }) => name).slice(0, 3), ["X-First", "FROM", "To"])
      assert.deepStrictEqual(read.headers.filter(({ name }) => name === "X-First").map(({ value }) => value), [
        "a",
        "b"
      ])
      assert.deepStrictEqual(read.from.map(String), ["J\u00f6rg <j@example.com>"])
      assert.deepStrictEqual(read.to.map(String), ["a@example.com", "B, C <b@example.com>", "d@example.com"])
      assert.deepStrictEqual(read.cc.map(String), ["e@example.com", "f@example.com"])
      assert.strictEqual(read.subject, "\u00e4\u00f6 and more")
      assert.strictEqual(read.date?.toISOString(), "2026-01-02T02:04:05.000Z")
      assert.deepStrictEqual([read.messageId, read.inReplyTo, read.references], ["<1@example.com>", "<0@example.com>", [
        "<a@x>",
        "<b@x>",
        "<c@x>"
      ]])
      assert.strictEqual(read.text, "body\n")
      assert.isUndefined(read.html)
      assert.deepStrictEqual(read.problems, [])
    }))

  it.effect("yields values equal to those a program would make", () =>
    Effect.gen(function*() {
      const read = yield* parse("From: Ann <a@example.com>\r\n\r\nhi")
      const name = "Ann"
      const made = new ParsedMessage({
        headers: [new HeaderField({ name: "From", value: "Ann <a@example.com>" })],
        from: [new Address({ name, address: "a@example.com" })],
        sender: [],
        replyTo: [],
        to: [],
        cc: [],
        bcc: [],
        references: [],
        text: "hi",
        attachments: [],
        problems: []
      })
      assert.instanceOf(read, ParsedMessage)
      assert.isTrue(Equal.equals(read, made))
      assert.strictEqual(JSON.stringify(read), JSON.stringify(made))
    }))

  it.effect("reads addresses with comments and folds among their words (RFC 5322 A.6.3)", () =>
    Effect.gen(function*() {
      const read = yield* parse(lines(
        "From  : John Doe <jdoe@machine(comment).  example>",
        "To    : Mary Smith",
        " ",
        "          <mary@example.net>",
        "From: second@example.com",
        "",
        ""
      ))
      assert.deepStrictEqual(read.to.map(String), ["Mary Smith <mary@example.net>"])
      assert.lengthOf(read.from, 1)
    }))

  it.effect("finds the body whatever stands among the header fields", () =>
    Effect.gen(function*() {
      const block = [
        "From someone Mon Jan  1 12:00:00 2026",
        "no field",
        "Received: one",
        "\tfolded: yes",
        "CONTENT-TYPE : multipart/mixed;",
        "\tboundary=b",
        "Content-Type: text/plain",
        "Subject: last"
      ]
      const body = ["--b", "Content-Type: text/html", "Subject: inner", "", "<p>", "--b--", ""]
      for (const end of ["\n", "\r\n"]) {
        const read = yield* parse([...block, "", ...body].join(end))
        assert.deepStrictEqual([read.html, read.text, read.subject], ["<p>", undefined, "last"])
        const bare = yield* parse(["Subject: alone", "", "body", ""].join(end))
        assert.strictEqual(bare.text, "body\n")
      }
      const headless = yield* parse("\r\nSubject: body\r\n\r\nbody")
      assert.strictEqual(headless.text, "Subject: body\n\nbody")
    }))

  it.effect("joins a character that two encoded words share", () =>
    Effect.gen(function*() {
      const read = yield* parse("Subject: =?utf-8?Q?=E5=B1?=\r\n =?utf-8?Q?=B1?=\r\n\r\n")
      assert.strictEqual(read.subject, "\u5c71")
    }))

  it.effect("takes HTML from the message alone and leaves cid links as they are", () =>
    Effect.gen(function*() {
      const read = yield* parse(lines(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "see http://example.com",
        "--b",
        "Content-Type: text/html",
        "",
        "<img src=\"cid:1@x\">",
        "--b",
        "Content-Type: image/png",
        "Content-ID: <1@x>",
        "Content-Disposition: inline; filename=\"p.png\"",
        "Content-Transfer-Encoding: base64",
        "",
        "cG5n",
        "--b",
        "Content-Type: text/calendar; method=REQUEST",
        "",
        "BEGIN:VCALENDAR",
        "--b",
        "Content-Type: message/rfc822",
        "Content-Disposition: inline",
        "",
        "Subject: inner",
        "",
        "inner text",
        "--b--",
        ""
      ))
      assert.strictEqual(read.text, "see http://example.com")
      assert.strictEqual(read.html, "<img src=\"cid:1@x\">")
      assert.deepStrictEqual(
        read.attachments.map((
          { contentId, disposition, filename, size, type }
        ) => [type, disposition, filename, contentId, size]),
        [
          ["image/png", "inline", "p.png", "1@x", 3],
          ["text/calendar", "attachment", undefined, undefined, 15],
          ["message/rfc822", "inline", undefined, undefined, 28]
        ]
      )
      assert.deepStrictEqual(read.problems, [])
    }))

  const broken: ReadonlyArray<readonly [string, string | Uint8Array, (read: ParsedMessage) => void]> = [
    ["nothing at all", "", (read) => assert.strictEqual(read.headers.length, 0)],
    ["octets that are no message", Buffer.from([0, 255, 13, 10, 0, 1, 2, 3]), () => {}],
    ["headers without a body", "Subject: x", (read) => assert.strictEqual(read.subject, "x")],
    [
      "the envelope line of an mbox",
      "From a@b Mon Jan  1 12:00:00 2026\nSubject: x\n\nbody\n",
      (read) => assert.strictEqual(read.subject, "x")
    ],
    [
      "an unknown charset",
      "Subject: =?x-klingon?Q?a?=\r\nContent-Type: text/plain; charset=x-klingon\r\n\r\nplain\r\n",
      (read) => {
        assert.strictEqual(read.text?.trim(), "plain")
        assert.deepStrictEqual(read.problems, ["unknown charset \"x-klingon\""])
      }
    ],
    [
      "a multipart without a boundary",
      "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n",
      (read) => assert.strictEqual(read.problems.length, 1)
    ],
    [
      "a boundary that never ends",
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext",
      (read) => assert.strictEqual(read.text, "text")
    ],
    [
      "base64 that is none",
      "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64 \u00e4===x\r\n",
      (read) => assert.strictEqual(read.attachments.length, 1)
    ],
    [
      "a date that is none",
      "Date: yesterday\r\n\r\n",
      (read) => {
        assert.isUndefined(read.date)
        assert.deepStrictEqual(read.problems, ["the date \"yesterday\" is none"])
      }
    ],
    [
      "raw octets in a header",
      Buffer.concat([
        Buffer.from("Subject: "),
        Buffer.from("gr\u00fc\u00df"),
        Buffer.from([0xff]),
        Buffer.from("\r\n\r\n")
      ]),
      (read) => assert.isTrue(read.subject?.startsWith("gr\u00fc\u00df"))
    ],
    [
      "a header block of megabytes",
      `Subject: x\r\nX-Long: ${"a ".repeat(1_000_000)}\r\n\r\nbody`,
      (read) => {
        assert.strictEqual(read.subject, "x")
        assert.isTrue(read.problems.some((problem) => problem.includes("header block")))
      }
    ],
    [
      "more parts than are read",
      `Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\npart\r\n".repeat(1500)}--b--\r\n`,
      (read) => {
        assert.strictEqual(read.subject, "x")
        assert.strictEqual(read.problems.length, 1)
      }
    ],
    [
      "addresses that are none",
      "From: nobody\r\nTo: <>, @x, \"a\r\nCc: ;;;,,,\r\n\r\n",
      (read) => assert.deepStrictEqual(read.from.map(({ address, name }) => [name, address]), [["nobody", ""]])
    ],
    [
      "names of prototypes",
      "__proto__: a\r\nconstructor: b\r\nList-__proto__: c\r\n\r\n",
      (read) => assert.strictEqual(read.headers.length, 3)
    ],
    [
      "parts nested two hundred deep",
      Array.from({ length: 200 }, (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`).join(
        ""
      ) + "\r\ntext",
      () => {}
    ]
  ]
  for (const [title, octets, check] of broken) {
    it.effect(`reads ${title} as far as it goes`, () => Effect.map(parse(octets), check))
  }

  it.effect("survives a message cut at any octet", () =>
    Effect.gen(function*() {
      const whole = Buffer.from(lines(
        "From: a@example.com",
        "Subject: =?utf-8?Q?=C3=A4?=",
        "Content-Type: multipart/mixed; boundary=\"b\"",
        "",
        "--b",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "=C3=A4=",
        "b",
        "--b",
        "Content-Type: application/x; name=x",
        "Content-Transfer-Encoding: base64",
        "",
        "AAEC",
        "--b--",
        ""
      ))
      for (let end = 0; end <= whole.length; end++) yield* parse(whole.subarray(0, end))
    }))

  const corpus = new URL("../../../shared/corpus", import.meta.url).pathname
  it.effect.runIf(existsSync(corpus))("reads every message of the corpus", () =>
    Effect.gen(function*() {
      const files = readdirSync(corpus, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".eml"))
      assert.isAbove(files.length, 0)
      for (const file of files) {
        const read = yield* parse(readFileSync(join(corpus, file)))
        assert.isTrue(read.headers.length > 0 || read.problems.length > 0 || read.text !== undefined, file)
      }
    }))
})
