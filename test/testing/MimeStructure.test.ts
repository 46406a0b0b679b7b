import { assert, describe, it } from "@effect/vitest"
import { decodeHeader, decodeParameters, toBodyPart, toEnvelopeFields } from "../../src/testing/MimeDecoding.ts"
import {
  findSection,
  headerFields,
  maxDepth,
  maxParts,
  type MimePart,
  parseMessage,
  parseParameterised,
  toBinary
} from "../../src/testing/MimeStructure.ts"
import { parseAddresses, readEnvelope } from "../../src/testing/RawEnvelope.ts"

const octets = (text: string) => new TextEncoder().encode(text.replaceAll("\n", "\r\n"))
const binary = (text: string) => Buffer.from(text, "utf8").toString("latin1")

const nested = octets(`From: Ann <ann@example.com>
Subject: outer
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="out er"

preamble
--out er
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=utf-8

plain
two
--in
Content-Type: text/html

<p>html</p>
--in--
--out er
Content-Type: message/rfc822
Content-ID: <m@x>

Subject: inner
From: bob@example.com
Content-Type: multipart/mixed; boundary=deep

--deep

first
--deep
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="b.pdf"
Content-Transfer-Encoding: BASE64

AAAA
--deep--
--out er
Content-Type: message/rfc822

Subject: simple

only text
--out er--
epilogue
`)

const sectionOf = (source: Uint8Array, section: string) => {
  const range = findSection(parseMessage(source), section)
  return range === undefined ? undefined : toBinary(source, range)
}

const shape = (part: MimePart): unknown => [
  part.section,
  `${part.type}/${part.subtype}`,
  ...(part.message === undefined ? part.children : [part.message]).map(shape)
]

describe("parseMessage", () => {
  it("numbers parts as RFC 9051 does", () => {
    assert.deepStrictEqual(shape(parseMessage(nested)), [
      "",
      "multipart/mixed",
      ["1", "multipart/alternative", ["1.1", "text/plain"], ["1.2", "text/html"]],
      ["2", "message/rfc822", ["2", "multipart/mixed", ["2.1", "text/plain"], ["2.2", "application/pdf"]]],
      ["3", "message/rfc822", ["3.1", "text/plain"]]
    ])
  })

  it("finds sections octet for octet, with the line end before a boundary left out", () => {
    assert.strictEqual(sectionOf(nested, ""), toBinary(nested, { start: 0, end: nested.length }))
    assert.strictEqual(sectionOf(nested, "1.1"), "plain\r\ntwo")
    assert.strictEqual(sectionOf(nested, "1.2"), "<p>html</p>")
    assert.strictEqual(sectionOf(nested, "1.2.MIME"), "Content-Type: text/html\r\n\r\n")
    assert.isTrue(sectionOf(nested, "HEADER")?.endsWith("boundary=\"out er\"\r\n\r\n"))
    assert.isTrue(sectionOf(nested, "TEXT")?.startsWith("preamble\r\n"))
    assert.isTrue(sectionOf(nested, "2")?.startsWith("Subject: inner\r\n"))
    assert.isTrue(sectionOf(nested, "2.HEADER")?.endsWith("boundary=deep\r\n\r\n"))
    assert.isTrue(sectionOf(nested, "2.TEXT")?.startsWith("--deep\r\n"))
    assert.strictEqual(sectionOf(nested, "2.2"), "AAAA")
    assert.strictEqual(sectionOf(nested, "3.1"), "only text")
    assert.strictEqual(sectionOf(nested, "3.text"), "only text")
  })

  it("has no section where there is none", () => {
    for (const section of ["4", "1.3", "3.2", "1.1.1", "1.HEADER", "MIME", "1.", "x", "0", "HEADER.FIELDS"]) {
      assert.isUndefined(sectionOf(nested, section), section)
    }
  })

  it("gives a message without parts the part 1", () => {
    const source = octets("Subject: x\n\nbody\n")
    assert.strictEqual(sectionOf(source, "1"), "body\r\n")
    assert.strictEqual(sectionOf(source, "1.MIME"), "Subject: x\r\n\r\n")
    assert.isUndefined(sectionOf(source, "1.TEXT"))
    const root = parseMessage(source)
    assert.deepInclude(root, { section: "1", type: "text", subtype: "plain", encoding: "7bit", lines: 1 })
  })

  it("reads bare line feeds, folded fields and fields without a colon", () => {
    const source = new TextEncoder().encode("Subject: a\n\tb\nnonsense\nTo : x@y\n\nbody")
    const root = parseMessage(source)
    assert.deepStrictEqual(root.header.fields.map(({ name, value }) => [name, value]), [["Subject", "a\tb"], [
      "To",
      "x@y"
    ]])
    assert.strictEqual(sectionOf(source, "1"), "body")
    assert.deepStrictEqual(
      headerFields(source, root.header, ["SUBJECT", "x"]),
      new TextEncoder().encode("Subject: a\n\tb\n\r\n")
    )
    assert.deepStrictEqual(
      headerFields(source, root.header, ["SUBJECT"], { not: true }),
      new TextEncoder().encode("To : x@y\n\r\n")
    )
  })

  it("survives what is broken", () => {
    const broken: ReadonlyArray<readonly [string, string, unknown]> = [
      ["nothing", "", ["1", "text/plain"]],
      ["no header", "\nbody", ["1", "text/plain"]],
      ["no body", "Subject: x", ["1", "text/plain"]],
      ["no boundary", "Content-Type: multipart/mixed\n\nbody", ["1", "text/plain"]],
      ["a boundary that never comes", "Content-Type: multipart/mixed; boundary=x\n\nbody", ["1", "text/plain"]],
      ["no end", "Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x\n\nb", [
        "",
        "multipart/mixed",
        ["1", "text/plain"],
        ["2", "text/plain"]
      ]],
      [
        "an inner part without end",
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\na\n--x\n\nb\n--x--",
        [
          "",
          "multipart/mixed",
          ["1", "multipart/mixed", ["1.1", "text/plain"]],
          ["2", "text/plain"]
        ]
      ],
      ["a type that is none", "Content-Type: ;;;\n\nx", ["1", "text/plain"]],
      ["a digest", "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x--", [
        "",
        "multipart/digest",
        ["1", "message/rfc822", ["1.1", "text/plain"]]
      ]]
    ]
    for (const [what, text, expected] of broken) {
      assert.deepStrictEqual(shape(parseMessage(octets(text))), expected, what)
    }
  })

  it("bounds nesting and the number of parts", () => {
    const deep = octets("Content-Type: message/rfc822\n\n".repeat(maxDepth * 3))
    let depth = 0
    for (let part = parseMessage(deep); part.message !== undefined; part = part.message) depth++
    assert.strictEqual(depth, maxDepth)
    const wide = octets(`Content-Type: multipart/mixed; boundary=x\n\n${"--x\n\na\n".repeat(maxParts + 10)}`)
    assert.strictEqual(parseMessage(wide).children.length, maxParts)
  })

  it("never fails on octets of any kind", () => {
    let seed = 7
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648)
    for (let round = 0; round < 300; round++) {
      const noise = nested.map((octet) => next() % 40 === 0 ? next() % 256 : octet)
      const root = parseMessage(noise)
      toEnvelopeFields(root)
      toBodyPart(root)
    }
  })
})

describe("parseParameterised", () => {
  it("reads quoted strings, comments and what is left open", () => {
    assert.deepStrictEqual(
      parseParameterised("Text/Plain (really); Charset = \"utf-8\"; x=\"a;\\\"b\"; y=1; z=\"open"),
      {
        value: "text/plain",
        parameters: [["charset", "utf-8"], ["x", "a;\"b"], ["y", "1"], ["z", "open"]]
      }
    )
  })
})

describe("readEnvelope", () => {
  it("splits addresses and leaves encoded words alone", () => {
    assert.deepStrictEqual(
      parseAddresses("\"Last, First\" <a@x.org>, =?utf-8?Q?J=C3=BCrgen?= <j@x.org>, b@y.org (Bob)"),
      [
        { name: "Last, First", mailbox: "a", host: "x.org" },
        { name: "=?utf-8?Q?J=C3=BCrgen?=", mailbox: "j", host: "x.org" },
        { name: "Bob", mailbox: "b", host: "y.org" }
      ]
    )
    assert.deepStrictEqual(parseAddresses("\"john doe\"@x.org, <@relay:c@z.org>"), [
      { name: undefined, mailbox: "john doe", host: "x.org" },
      { name: undefined, mailbox: "c", host: "z.org" }
    ])
  })

  it("keeps groups", () => {
    const end = { name: undefined, mailbox: undefined, host: undefined }
    assert.deepStrictEqual(parseAddresses("My Friends: a@x.org, b@x.org;, c@x.org"), [
      { name: undefined, mailbox: "My Friends", host: undefined },
      { name: undefined, mailbox: "a", host: "x.org" },
      { name: undefined, mailbox: "b", host: "x.org" },
      end,
      { name: undefined, mailbox: "c", host: "x.org" }
    ])
    assert.deepStrictEqual(parseAddresses("undisclosed-recipients:;"), [
      { name: undefined, mailbox: "undisclosed-recipients", host: undefined },
      end
    ])
  })

  it("reads what is there of broken lists", () => {
    for (const text of ["", ",,,", "<", "<a@b", "\"open", "(open", "a@@b", ":;:;", ";", "a <b> <c>"]) {
      assert.isArray(parseAddresses(text), text)
    }
    assert.deepStrictEqual(parseAddresses("just words"), [{ name: undefined, mailbox: "justwords", host: "" }])
  })

  it("fills sender and reply-to from from", () => {
    const { replyTo, sender } = readEnvelope(parseMessage(nested).header)
    assert.deepStrictEqual(sender, [{ name: "Ann", mailbox: "ann", host: "example.com" }])
    assert.deepStrictEqual(replyTo, sender)
  })
})

describe("decoding", () => {
  it("decodes encoded words, also adjacent ones that split a character, and raw UTF-8", () => {
    assert.strictEqual(decodeHeader("=?UTF-8?B?w4TDtg==?= x =?iso-8859-1?q?caf=E9_au?= lait"), "Äö x café au lait")
    assert.strictEqual(decodeHeader("=?utf-8?q?=C3?= =?utf-8?q?=A4?="), "ä")
    assert.strictEqual(decodeHeader(binary("grüße")), "grüße")
    assert.strictEqual(decodeHeader("caf\xe9"), "café")
    assert.strictEqual(decodeHeader("=?x-unknown?q?a=C3=A4?="), "aä")
    assert.strictEqual(decodeHeader("=?broken?="), "=?broken?=")
  })

  it("joins and decodes parameters", () => {
    const { parameters } = parseParameterised(
      "attachment; filename*1=\"b.txt\"; filename*0*=utf-8'de'%C3%A4; title*=iso-8859-1''%E9; name=\"=?utf-8?q?=C3=A4?=\""
    )
    assert.deepStrictEqual(decodeParameters({ parameters }), { filename: "äb.txt", title: "é", name: "ä" })
  })

  it("makes the structure of the domain", () => {
    const root = toBodyPart(parseMessage(nested))
    assert.deepInclude(root, { part: "", type: "multipart/mixed" })
    assert.deepStrictEqual(root.children[1]?.children[0]?.children[1], {
      part: "2.2",
      type: "application/pdf",
      parameters: { name: "a.pdf" },
      encoding: "base64",
      size: 4,
      disposition: "attachment",
      filename: "b.pdf",
      children: []
    })
    assert.strictEqual(root.children[1]?.id, "<m@x>")
  })

  it("makes the envelope of the domain, group members included", () => {
    const fields = toEnvelopeFields(parseMessage(octets(
      "Date: Sun, 22 Nov 2026 10:00:00 +0100\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x.org>\nTo: team: a@x.org;, nobody\n" +
        "Subject: =?utf-8?b?SGk=?=\nMessage-ID: <1@x>\n\n"
    )))
    assert.strictEqual(fields.date?.toISOString(), "2026-11-22T09:00:00.000Z")
    assert.strictEqual(fields.subject, "Hi")
    assert.strictEqual(fields.messageId, "<1@x>")
    assert.strictEqual(String(fields.from[0]), "Jürgen <j@x.org>")
    assert.deepStrictEqual(fields.to.map(({ address, name }) => [name, address]), [
      ["team", ""],
      [undefined, "a@x.org"],
      ["nobody", ""]
    ])
  })
})
