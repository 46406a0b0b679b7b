import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Attachment, Draft } from "../../src/domain/Draft.ts"
import { layer as layerParser } from "../../src/driver/mailparser.ts"
import { MessageComposer } from "../../src/driver/MessageComposer.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"
import { layerComposer } from "../../src/driver/nodemailer.ts"

const layers = Layer.merge(layerComposer, layerParser)
const lines = (...text: ReadonlyArray<string>) => text.join("\r\n")
const source = Buffer.from(lines(
  "From: Ann <ann@example.com>",
  "To: me@example.org",
  "Date: Fri, 02 Jan 2026 03:04:05 +0000",
  "Subject: plan / draft",
  "Message-ID: <1@example.com>",
  "MIME-Version: 1.0",
  "Content-Type: multipart/mixed; boundary=m",
  "",
  "--m",
  "Content-Type: multipart/related; boundary=r",
  "",
  "--r",
  "Content-Type: text/html; charset=utf-8",
  "",
  "<p>see <img src=\"cid:pic@x\"></p>",
  "--r",
  "Content-Type: image/png",
  "Content-ID: <pic@x>",
  "Content-Disposition: inline",
  "",
  "png",
  "--r--",
  "--m",
  "Content-Type: application/pdf",
  "Content-Disposition: attachment; filename=\"plan.pdf\"",
  "",
  "pdf",
  "--m--",
  ""
))

const original = Effect.flatMap(MessageParser, ({ parse }) => parse(source))
const composed = (draft: Draft) =>
  Effect.gen(function*() {
    const { compose } = yield* MessageComposer
    const { parse } = yield* MessageParser
    const ready = new Draft({
      ...draft,
      from: "me@example.org",
      messageId: "<2@example.org>",
      date: new Date(Date.UTC(2026, 0, 3))
    })
    return yield* parse((yield* compose(ready, { recipients: "required" })).source)
  })

describe("forwarding", () => {
  it.effect("puts the message below the text, with its header fields, pictures and attachments", () =>
    Effect.gen(function*() {
      const read = yield* composed(Draft.forward(yield* original, { to: "bob@example.com", text: "fyi" }))
      assert.strictEqual(read.subject, "Fwd: plan / draft")
      assert.strictEqual(
        read.text,
        "fyi\n\n---------- Forwarded message ----------\nFrom: Ann <ann@example.com>\nDate: 2026-01-02 03:04 UTC\n" +
          "Subject: plan / draft\nTo: me@example.org\n\nsee\n"
      )
      assert.include(read.html ?? "", "<p>fyi</p>")
      assert.include(read.html ?? "", "<p>see <img src=\"cid:pic@x\"></p>")
      assert.deepStrictEqual(read.references, ["<1@example.com>"])
      assert.isUndefined(read.inReplyTo)
      assert.sameDeepMembers(
        read.attachments.map((
          each
        ) => [each.filename ?? "", each.type, each.contentId ?? "", Buffer.from(each.content).toString()]),
        [["", "image/png", "pic@x", "png"], ["plan.pdf", "application/pdf", "", "pdf"]]
      )
    }).pipe(Effect.provide(layers)))

  it.effect("leaves the attachments behind where that is asked for, but not the pictures", () =>
    Effect.gen(function*() {
      const draft = Draft.forward(yield* original, { to: "bob@example.com", carryAttachments: false })
      assert.deepStrictEqual(draft.attachments?.map(({ type }) => type), ["image/png"])
    }).pipe(Effect.provide(layers)))

  it.effect("attaches the message whole and unchanged", () =>
    Effect.gen(function*() {
      for (const given of [new Uint8Array(source), Stream.make(source.subarray(0, 100), source.subarray(100))]) {
        const read = yield* composed(
          Draft.forward(yield* original, { to: "bob@example.com", source: given, text: "fyi" })
        )
        assert.strictEqual(read.text?.trim(), "fyi")
        assert.deepStrictEqual(read.attachments.map(({ filename, type }) => [filename, type]), [
          ["plan draft.eml", "message/rfc822"]
        ])
        assert.isTrue(source.equals(read.attachments[0]?.content ?? new Uint8Array()))
      }
    }).pipe(Effect.provide(layers)))

  it.effect("keeps what the forwarder attaches", () =>
    Effect.gen(function*() {
      const draft = Draft.forward(yield* original, {
        to: "bob@example.com",
        attachments: [new Attachment({ content: { text: "mine" }, filename: "mine.txt" })]
      })
      assert.deepStrictEqual(draft.attachments?.map(({ filename }) => filename), ["mine.txt", undefined, "plan.pdf"])
    }).pipe(Effect.provide(layers)))
})
