/** What a message says about itself without its body: addresses, envelope, structure, flags, dates. */
import { Schema } from "effect"
import { madeByHand } from "./MadeByHand.ts"
import { MessageRef } from "./MessageSet.ts"

/** One address of a header. `address` is "" for a group or for what could not be read as an address. */
export class Address extends madeByHand(
  Schema.Class<Address>("effect-mail/Address")({
    name: Schema.optionalKey(Schema.String),
    address: Schema.String
  })
) {
  override toString(): string {
    return this.name === undefined || this.name === "" ? this.address : `${this.name} <${this.address}>`
  }
}

/** The ENVELOPE of RFC 9051 7.5.2, decoded: encoded words are text, Message-IDs keep their angle brackets. */
export class EnvelopeFields extends Schema.Class<EnvelopeFields>("effect-mail/EnvelopeFields")({
  date: Schema.optionalKey(Schema.Date),
  subject: Schema.optionalKey(Schema.String),
  from: Schema.Array(Address),
  sender: Schema.Array(Address),
  replyTo: Schema.Array(Address),
  to: Schema.Array(Address),
  cc: Schema.Array(Address),
  bcc: Schema.Array(Address),
  inReplyTo: Schema.optionalKey(Schema.String),
  messageId: Schema.optionalKey(Schema.String)
}) {}

/**
 * One node of a BODYSTRUCTURE (RFC 9051 7.5.2). `part` is the section number used to fetch it, `id` the Content-ID as the
 * header has it; sizes in octets.
 */
export interface BodyPart {
  readonly part: string
  readonly type: string
  readonly parameters: { readonly [name: string]: string }
  readonly id?: string
  readonly encoding?: string
  readonly size?: number
  readonly disposition?: string
  readonly filename?: string
  readonly children: ReadonlyArray<BodyPart>
}

export const BodyPart: Schema.Codec<BodyPart> = Schema.Struct({
  part: Schema.String,
  type: Schema.String,
  parameters: Schema.Record(Schema.String, Schema.String),
  id: Schema.optionalKey(Schema.String),
  encoding: Schema.optionalKey(Schema.String),
  size: Schema.optionalKey(Schema.Int),
  disposition: Schema.optionalKey(Schema.String),
  filename: Schema.optionalKey(Schema.String),
  children: Schema.Array(Schema.suspend((): Schema.Codec<BodyPart> => BodyPart))
})

/**
 * A message at a glance: what `envelopes` yields. `size` in octets (RFC822.SIZE), flags as the server writes them.
 * `references` and `threadId` (Gmail, RFC 8474) where they were asked for and are there.
 */
export class Envelope extends Schema.Class<Envelope>("effect-mail/Envelope")({
  ref: MessageRef,
  ...EnvelopeFields.fields,
  flags: Schema.Array(Schema.String),
  internalDate: Schema.optionalKey(Schema.Date),
  size: Schema.Int,
  structure: Schema.optionalKey(BodyPart),
  references: Schema.optionalKey(Schema.Array(Schema.String)),
  threadId: Schema.optionalKey(Schema.String)
}) {}
