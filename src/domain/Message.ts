/** A message, read: decoded headers, text, HTML and attachments. */
import { Schema } from "effect"
import { Address } from "./Envelope.ts"
import { valueOf } from "./HeaderText.ts"
import { MessageRef } from "./MessageSet.ts"

/** One header field, unfolded, encoded words decoded. Names keep their case; compare without it. */
export class HeaderField extends Schema.Class<HeaderField>("effect-mail/HeaderField")({
  name: Schema.String,
  value: Schema.String
}) {}

/**
 * One attachment or inline part. `size` counts the decoded octets in `content`. `part` is its section number, where the
 * message has parts. `contentId` has no angle brackets, as in the HTML that shows it by `cid:`.
 */
export class ReceivedAttachment extends Schema.Class<ReceivedAttachment>("effect-mail/ReceivedAttachment")({
  part: Schema.optionalKey(Schema.String),
  filename: Schema.optionalKey(Schema.String),
  type: Schema.String,
  size: Schema.Int,
  disposition: Schema.Literals(["attachment", "inline"]),
  contentId: Schema.optionalKey(Schema.String),
  content: Schema.Uint8Array
}) {}

/**
 * What a parser makes of octets. Reading never fails: what is broken is read as far as it goes, and `problems` says,
 * for a person, what could not be read.
 */
export class ParsedMessage extends Schema.Class<ParsedMessage>("effect-mail/ParsedMessage")({
  headers: Schema.Array(HeaderField),
  date: Schema.optionalKey(Schema.Date),
  subject: Schema.optionalKey(Schema.String),
  from: Schema.Array(Address),
  sender: Schema.Array(Address),
  replyTo: Schema.Array(Address),
  to: Schema.Array(Address),
  cc: Schema.Array(Address),
  bcc: Schema.Array(Address),
  messageId: Schema.optionalKey(Schema.String),
  inReplyTo: Schema.optionalKey(Schema.String),
  references: Schema.Array(Schema.String),
  text: Schema.optionalKey(Schema.String),
  html: Schema.optionalKey(Schema.String),
  attachments: Schema.Array(ReceivedAttachment),
  problems: Schema.Array(Schema.String)
}) {}

/** A message of a mailbox, fetched and parsed. `size` in octets as stored. */
export class Message extends Schema.Class<Message>("effect-mail/Message")({
  ref: MessageRef,
  flags: Schema.Array(Schema.String),
  internalDate: Schema.optionalKey(Schema.Date),
  size: Schema.Int,
  ...ParsedMessage.fields
}) {
  /** The value of the first header field of this name, without regard to case. */
  header(name: string): string | undefined {
    return valueOf(this.headers, name)
  }
}

/**
 * An attachment that was not fetched: `account.attachment(message.ref, part)` fetches it. `encodedSize` counts its octets
 * as they are stored, about a third more than it will have where it is in base64.
 */
export class AttachmentOutline extends Schema.Class<AttachmentOutline>("effect-mail/AttachmentOutline")({
  part: Schema.String,
  filename: Schema.optionalKey(Schema.String),
  type: Schema.String,
  encodedSize: Schema.optionalKey(Schema.Int),
  disposition: Schema.Literals(["attachment", "inline"]),
  contentId: Schema.optionalKey(Schema.String)
}) {}

const { attachments: _, ...outlined } = Message.fields

/**
 * A message without the content of its attachments: what `messages` yields where only their names were asked for. Its
 * parts are those that the server found, which of broken mail can be others than a parser finds in the whole.
 */
export class MessageOutline extends Schema.Class<MessageOutline>("effect-mail/MessageOutline")({
  ...outlined,
  attachments: Schema.Array(AttachmentOutline)
}) {
  /** The value of the first header field of this name, without regard to case. */
  header(name: string): string | undefined {
    return valueOf(this.headers, name)
  }
}
