/**
 * Text of strangers that is long and of one kind. What takes the square of this length would not end within the time-out
 * of a test; what is linear takes milliseconds.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decoder } from "../src/account/TransferEncoding.ts"
import { AuthenticationResults } from "../src/domain/AuthenticationResults.ts"
import { htmlOfText, quotableHtml, textOfHtml } from "../src/domain/Html.ts"
import { imapCommand, imapLogin, parseSmtpReply, plain, smtpReason } from "../src/driver/Classification.ts"
import * as mailparser from "../src/driver/mailparser.ts"
import { MessageParser } from "../src/driver/MessageParser.ts"
import { readCapabilities } from "../src/driver/SmtpHandshake.ts"

const length = 200_000
const filled = (piece: string) => piece.repeat(Math.ceil(length / piece.length))

const hostile: ReadonlyArray<string> = [
  " ",
  "\t",
  "\n",
  "\r",
  "a",
  "1",
  "=",
  "= ",
  "\"",
  "\\",
  "a=\"",
  "<",
  "<a ",
  "<br>",
  "&",
  "(",
  "(1.",
  "too many ",
  "too many a ",
  "mailbox ",
  "; boundary "
]

/** Also runs that end in something else: a pattern that wants an end behind them looks for it again and again. */
const texts = (piece: string) => [filled(piece), `${filled(piece)}x`, `x${filled(piece)}\u2028x`]

const quotedPrintable = (text: string) => {
  const decode = decoder("quoted-printable")
  const octets = Buffer.from(text, "latin1")
  for (let at = 0; at < octets.length; at += 100) decode(octets.subarray(at, at + 100), false)
  return Buffer.from(decode(new Uint8Array(0), true)).toString("latin1")
}

const readers: ReadonlyArray<readonly [name: string, read: (text: string) => unknown]> = [
  ["quoted-printable at once", (text) => decoder("quoted-printable")(Buffer.from(text, "latin1"), true)],
  ["quoted-printable in pages", quotedPrintable],
  ["the text of HTML", textOfHtml],
  ["the text of preformatted HTML", (text) => textOfHtml(`<pre>${text}${filled("<br>")}`)],
  ["HTML for a quotation", quotableHtml],
  ["attributes of HTML", (text) => quotableHtml(`<a ${text}>`)],
  ["text as HTML", htmlOfText],
  ["Authentication-Results", AuthenticationResults.parse],
  ["the results in Authentication-Results", (text) => AuthenticationResults.parse(`mx; ${text}`)],
  ["a server's statistics", plain],
  ["a refused login", (text) => imapLogin({ status: "NO", text })],
  ["a refused command", (text) => imapCommand({ status: "NO", text }, { mailbox: "A" })],
  ["an SMTP reply", (text) => parseSmtpReply(`421 ${text}`)],
  ["the reason of an SMTP reply", (text) => smtpReason({ code: 421, text }, "login")],
  ["SMTP capabilities", (text) => readCapabilities(`250 x\r\n250 a${text}`)]
]

describe("long text of one kind", () => {
  for (const [name, read] of readers) {
    for (const piece of hostile) {
      it(`is read in time linear in its length: ${name}, of ${JSON.stringify(piece)}`, () => {
        for (const text of texts(piece)) assert.isDefined(read(text))
      })
    }
  }

  it.effect("is read in time linear in its length: a boundary parameter", () =>
    Effect.gen(function*() {
      const { parse } = yield* MessageParser
      const message = yield* parse(
        Buffer.from(`Content-Type: multipart/mixed; boundary${filled(" ")}x\r\nSubject: here\r\n\r\ntext`)
      )
      assert.strictEqual(message.subject, "here")
    }).pipe(Effect.provide(mailparser.layer)))

  it("is kept in an error only as far as a person reads", () => {
    assert.isBelow(JSON.stringify(imapCommand({ status: "NO", text: filled("no ") })).length, 10_000)
    assert.isBelow(JSON.stringify(smtpReason({ code: 550, text: filled("no ") }, "message")).length, 10_000)
  })

  it("decodes to the same, wherever the pages are cut", () => {
    const text = `a${" ".repeat(250)}b${"\t".repeat(300)}\r\n= ${" ".repeat(250)}=41${" ".repeat(120)}`
    const whole = Buffer.from(decoder("quoted-printable")(Buffer.from(text), true)).toString("latin1")
    const decode = decoder("quoted-printable")
    const pages = Array.from(
      { length: text.length },
      (_, at) => Buffer.from(decode(Buffer.from(text.charAt(at)), at === text.length - 1)).toString("latin1")
    )
    assert.strictEqual(pages.join(""), whole)
  })
})
