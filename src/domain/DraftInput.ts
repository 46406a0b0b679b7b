/** The fields of a draft, apart from what can be done with one, so that replies and forwards can be made of them. */
import { Schema } from "effect"
import { Alternative, Attachment, Invitation } from "./Attachment.ts"
import { Address } from "./Envelope.ts"

/** A recipient or sender: an `Address`, or text in the form of RFC 5322 ("Ann <ann@example.com>", several with commas). */
export const AddressInput = Schema.Union([Schema.String, Address])
export type AddressInput = typeof AddressInput.Type

const Addresses = Schema.optionalKey(Schema.Union([AddressInput, Schema.Array(AddressInput)]))

export const draftFields = {
  from: Schema.optionalKey(AddressInput),
  sender: Schema.optionalKey(AddressInput),
  replyTo: Addresses,
  to: Addresses,
  cc: Addresses,
  bcc: Addresses,
  subject: Schema.optionalKey(Schema.String),
  text: Schema.optionalKey(Schema.String),
  html: Schema.optionalKey(Schema.String),
  alternatives: Schema.optionalKey(Schema.Array(Alternative)),
  calendar: Schema.optionalKey(Invitation),
  attachments: Schema.optionalKey(Schema.Array(Attachment)),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  inReplyTo: Schema.optionalKey(Schema.String),
  references: Schema.optionalKey(Schema.Array(Schema.String)),
  messageId: Schema.optionalKey(Schema.String),
  date: Schema.optionalKey(Schema.Date),
  priority: Schema.optionalKey(Schema.Literals(["high", "normal", "low"]))
}

/** What a draft is made of. */
export type DraftInput = Schema.Struct.Type<typeof draftFields>
