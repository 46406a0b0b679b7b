/** A message to be sent or filed: what a person would fill in. Composing the octets is a driver's work. */
import { Schema, Stream } from "effect"
import { Address } from "./Envelope.ts"

/** The octets of an attachment as a stream that can be run more than once. */
const ByteStream = Schema.declare(
  (u: unknown): u is Stream.Stream<Uint8Array, unknown> => Stream.isStream(u),
  { identifier: "ByteStream" }
)

/** Where the octets of an attachment come from: given, a file read when the draft is composed, or a stream. */
const Content = Schema.Union([
  Schema.Struct({ bytes: Schema.Uint8Array }),
  Schema.Struct({ text: Schema.String }),
  Schema.Struct({ path: Schema.NonEmptyString }),
  Schema.Struct({ stream: ByteStream })
])

/** An attachment. With `contentId` and `disposition: "inline"` it can be shown inside the HTML as `cid:<contentId>`. */
export class Attachment extends Schema.Class<Attachment>("effect-mail/Attachment")({
  content: Content,
  filename: Schema.optionalKey(Schema.String),
  type: Schema.optionalKey(Schema.String),
  disposition: Schema.optionalKey(Schema.Literals(["attachment", "inline"])),
  contentId: Schema.optionalKey(Schema.String)
}) {}

/** A recipient or sender: an `Address`, or text in the form of RFC 5322 ("Ann <ann@example.com>", several with commas). */
export const AddressInput = Schema.Union([Schema.String, Address])
export type AddressInput = typeof AddressInput.Type

const Addresses = Schema.optionalKey(Schema.Union([AddressInput, Schema.Array(AddressInput)]))

/**
 * A message in the making. `messageId` is chosen before anything is sent when it is absent, so that a send whose fate
 * is unknown can be looked for. Header names and values must not hold CR or LF; sending such a draft fails with
 * `InvalidInput` and nothing is sent.
 */
export class Draft extends Schema.Class<Draft>("effect-mail/Draft")({
  from: Schema.optionalKey(AddressInput),
  sender: Schema.optionalKey(AddressInput),
  replyTo: Addresses,
  to: Addresses,
  cc: Addresses,
  bcc: Addresses,
  subject: Schema.optionalKey(Schema.String),
  text: Schema.optionalKey(Schema.String),
  html: Schema.optionalKey(Schema.String),
  attachments: Schema.optionalKey(Schema.Array(Attachment)),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  inReplyTo: Schema.optionalKey(Schema.String),
  references: Schema.optionalKey(Schema.Array(Schema.String)),
  messageId: Schema.optionalKey(Schema.String),
  date: Schema.optionalKey(Schema.Date),
  priority: Schema.optionalKey(Schema.Literals(["high", "normal", "low"]))
}) {}
