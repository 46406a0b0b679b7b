import { assert, describe, it } from "@effect/vitest"
import { simpleParser } from "mailparser"
import { readHeaderBlock } from "../../src/driver/HeaderBlock.ts"
import { readOrdinaryBody } from "../../src/driver/MimeBody.ts"
import { SampleMail } from "../../src/testing/index.ts"

const read = (octets: Uint8Array) => {
  const source = Buffer.from(octets)
  return readOrdinaryBody(source, readHeaderBlock(source))
}
const lines = (...text: ReadonlyArray<string>) => Buffer.from(text.join("\r\n"), "latin1")

const derivesNothing = { skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true, skipImageLinks: true }

/** Samples, and the same with a line left out, doubled or put elsewhere. */
const messages = SampleMail.make({ seed: 11, count: 6 * SampleMail.kinds.length }).flatMap(
  ({ kind, source }, index) => {
    const text = Buffer.from(source).toString("latin1").split("\r\n")
    const at = (index * 7) % text.length
    const moved = text.toSpliced(at, 1).toSpliced((index * 13) % text.length, 0, text[at] ?? "")
    return [
      { kind, octets: Buffer.from(source) },
      { kind, octets: lines(...text.toSpliced(at, 1)) },
      { kind, octets: lines(...text.toSpliced(at, 0, text[at] ?? "")) },
      { kind, octets: lines(...moved) },
      { kind, octets: Buffer.from(text.join("\n"), "latin1") }
    ]
  }
)

describe("the body of an ordinary message", () => {
  it("is read as mailparser reads it, or left to it", async () => {
    let ordinary = 0
    for (const { kind, octets } of messages) {
      const leaves = read(octets)
      if (leaves === undefined) continue
      ordinary++
      const { attachments } = await simpleParser(octets, { ...derivesNothing, ignoreEmbedded: true })
      assert.deepStrictEqual(
        leaves.filter(({ text }) => text === undefined).map(({ content, filename, part, type }) => ({
          part,
          filename,
          type,
          content: content.toString("latin1")
        })),
        attachments.map(({ content, contentType, filename, partId }) => ({
          part: partId || undefined,
          filename: filename || undefined,
          type: contentType,
          content: content.toString("latin1")
        })),
        kind
      )
    }
    assert.isAbove(ordinary, messages.length / 3)
  })

  it("has its texts as mailparser has them", async () => {
    for (const { kind, octets } of messages) {
      const texts = read(octets)?.filter(({ text }) => text !== undefined)
      // of several texts of a kind, mailparser makes one
      if (texts === undefined || texts.length !== new Set(texts.map(({ type }) => type)).size) continue
      const { html, text } = await simpleParser(octets, { ...derivesNothing, ignoreEmbedded: true })
      const found = (type: string) => texts.find((leaf) => leaf.type === type)?.text ?? ""
      assert.strictEqual(found("text/html"), html || "", kind)
      if (found("text/html") === "") assert.strictEqual(found("text/plain"), text ?? "", kind)
    }
  })

  const unusual: ReadonlyArray<readonly [why: string, source: Buffer]> = [
    ["no empty line", lines("Subject: x")],
    ["a type that comes twice", lines("Content-Type: text/plain", "Content-Type: text/html", "", "x")],
    ["a comment in the type", lines("Content-Type: text/plain (plain)", "", "x")],
    ["a continued parameter", lines("Content-Type: application/pdf; name*0=a; name*1=b", "", "x")],
    ["an encoded word in a parameter", lines("Content-Type: application/pdf; name=\"=?utf-8?Q?a?=\"", "", "x")],
    ["a disposition without a type", lines("Content-Disposition: attachment; filename=a.pdf", "", "x")],
    ["flowed text", lines("Content-Type: text/plain; format=flowed", "", "x")],
    ["a message in a message", lines("Content-Type: message/rfc822", "", "Subject: x", "", "x")],
    ["an unknown charset", lines("Content-Type: text/plain; charset=x-klingon", "", "x")],
    ["an octet that is no character", lines("Content-Type: text/plain; charset=windows-1252", "", "\x81")],
    ["an unknown encoding", lines("Content-Transfer-Encoding: x-uuencode", "", "x")],
    ["an escape that is none", lines("Content-Transfer-Encoding: quoted-printable", "", "=zz")],
    ["base64 that is none", lines("Content-Transfer-Encoding: base64", "", "QQ==QQ==")],
    ["no boundary", lines("Content-Type: multipart/mixed", "", "--b", "", "x", "--b--")],
    ["no end", lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "A: b", "", "x")],
    ["a part without a header", lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "x", "--b--")],
    [
      "a boundary within another",
      lines("Content-Type: multipart/mixed; boundary=b", "", "--bc", "A: b", "", "x", "--b--")
    ]
  ]
  for (const [why, source] of unusual) {
    it(`is no ordinary one with ${why}`, () => assert.isUndefined(read(source)))
  }

  it("is left alone where it is long, so that others have their turn", () => {
    assert.isUndefined(read(Buffer.concat([lines("Subject: x", "", ""), Buffer.alloc(1024 * 1024)])))
  })

  it("numbers parts within parts", () => {
    const found = read(lines(
      "Content-Type: multipart/mixed; boundary=a",
      "",
      "--a",
      "Content-Type: multipart/alternative; boundary=b",
      "",
      "--b",
      "Content-Type: text/plain",
      "",
      "x",
      "--b",
      "Content-Type: text/html",
      "",
      "<p>",
      "--b--",
      "",
      "--a",
      "Content-Type: application/pdf; name=\"a b.pdf\"",
      "Content-Transfer-Encoding: BASE64",
      "",
      "QUJD",
      "--a--",
      ""
    ))
    assert.deepStrictEqual(found?.map(({ content, filename, part, text }) => [part, text, filename, `${content}`]), [
      ["1.1", "x", undefined, "x"],
      ["1.2", "<p>", undefined, "<p>"],
      ["2", undefined, "a b.pdf", "ABC"]
    ])
  })
})
