/** What a server answered to a message it accepted. */
import { Schema } from "effect"
import { RefusedRecipient } from "./MailError.ts"

/**
 * The server has taken responsibility for the message (RFC 5321 4.2.5). `accepted` are the recipients it took it for;
 * `refused` those it did not. `response` is the server's line, often with its queue id. `size` in octets as sent.
 */
export class Receipt extends Schema.Class<Receipt>("effect-mail/Receipt")({
  messageId: Schema.String,
  accepted: Schema.Array(Schema.String),
  refused: Schema.Array(RefusedRecipient),
  response: Schema.String,
  size: Schema.Int
}) {}
