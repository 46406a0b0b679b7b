/** What a server answered to a message it accepted, and what became of the copy for the sender. */
import { Effect, Schema } from "effect"
import { Reason, RefusedRecipient } from "./MailError.ts"
import { MessageRef } from "./MessageSet.ts"

/** The octets that were sent are in the mailbox for sent mail, filed there by us. `ref` where the server tells (UIDPLUS). */
export class Filed extends Schema.TaggedClass<Filed>("effect-mail/Filed")("Filed", {
  ref: Schema.optionalKey(MessageRef)
}) {}

/** The server keeps the copy itself. `ref` where it was seen there. */
export class ByServer extends Schema.TaggedClass<ByServer>("effect-mail/ByServer")("ByServer", {
  ref: Schema.optionalKey(MessageRef)
}) {}

/** The message was sent, and there is no copy of it, or none that is known of. */
export class Failed extends Schema.TaggedClass<Failed>("effect-mail/Failed")("Failed", {
  reason: Reason
}) {}

/** No copy was asked for, or the account has no IMAP server to keep one. */
export class Skipped extends Schema.TaggedClass<Skipped>("effect-mail/Skipped")("Skipped", {}) {}

/** What became of the copy in the mailbox for sent mail. It never decides whether a send has failed. */
export const SentCopy = Schema.Union([Filed, ByServer, Failed, Skipped])
export type SentCopy = typeof SentCopy.Type

/**
 * The server has taken responsibility for the message (RFC 5321 4.2.5). `accepted` are the recipients it took it for;
 * `refused` those it did not. `response` is the server's line, often with its queue id; it is empty where the line was
 * lost and the message was found among the sent ones. `size` in octets as sent.
 */
export class Receipt extends Schema.Class<Receipt>("effect-mail/Receipt")({
  messageId: Schema.String,
  accepted: Schema.Array(Schema.String),
  refused: Schema.Array(RefusedRecipient),
  response: Schema.String,
  size: Schema.Int,
  sentCopy: SentCopy.pipe(Schema.withConstructorDefault(Effect.sync(() => new Skipped({}))))
}) {}
