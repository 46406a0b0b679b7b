import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import MailComposer from "nodemailer/lib/mail-composer"
import { Attachment, Draft } from "../../src/domain/Draft.ts"
import { Address } from "../../src/domain/Envelope.ts"
import { InvalidInput } from "../../src/domain/MailError.ts"
import { layer as layerParser } from "../../src/driver/mailparser.ts"
import { MessageComposer } from "../../src/driver/MessageComposer.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"
import { layerComposer } from "../../src/driver/nodemailer.ts"

type DraftInput = ConstructorParameters<typeof Draft>[0]
const base: DraftInput = {
  from: "Ann <ann@example.com>",
  to: "bob@example.org",
  messageId: "<1@example.com>",
  date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
  subject: "hello",
  text: "hi\n"
}
const layers = Layer.merge(layerComposer, layerParser)
const compose = (input: DraftInput, recipients: "required" | "optional" = "required") =>
  Effect.flatMap(MessageComposer, (composer) => composer.compose(new Draft({ ...base, ...input }), { recipients }))
    .pipe(
      Effect.provide(layers)
    )
const parse = (octets: Uint8Array) =>
  Effect.flatMap(MessageParser, (parser) => parser.parse(octets)).pipe(Effect.provide(layers))
const refusal = (input: DraftInput, recipients?: "required" | "optional") =>
  Effect.map(Effect.flip(compose(input, recipients)), (reason) => {
    if (!(reason instanceof InvalidInput)) throw new Error(`${reason._tag} is not InvalidInput`)
    return reason.field
  })

describe("composing", () => {
  it.effect("leaves Bcc out of the octets and takes it into the envelope", () =>
    Effect.gen(function*() {
      const composed = yield* compose({ cc: "Cy <cy@example.org>", bcc: "secret@example.net" })
      assert.deepStrictEqual(composed.envelope, {
        from: "ann@example.com",
        to: ["bob@example.org", "cy@example.org", "secret@example.net"]
      })
      assert.notInclude(Buffer.from(composed.source).toString(), "secret@example.net")
      assert.strictEqual(composed.messageId, "<1@example.com>")
    }))
})
void [Schema, Stream, MailComposer, Attachment, Address, parse, refusal]
