/** A message to be sent or filed: what a person would fill in. Composing the octets is a driver's work. */
import { Schema } from "effect"
import { draftFields } from "./DraftInput.ts"
import { forwardOf, type ForwardOptions } from "./Forward.ts"
import { madeByHand } from "./MadeByHand.ts"
import type { Original } from "./Original.ts"
import { type ReplyOptions, replyTo } from "./Reply.ts"

export { Alternative, Attachment, Invitation } from "./Attachment.ts"
export { AddressInput, type DraftInput } from "./DraftInput.ts"

/**
 * A message in the making. `messageId` is chosen before anything is sent when it is absent, so that a send whose fate
 * is unknown can be looked for. Header names and values must not hold CR or LF; sending such a draft fails with
 * `InvalidInput` and nothing is sent.
 */
export class Draft extends madeByHand(Schema.Class<Draft>("effect-mail/Draft")(draftFields)) {
  /**
   * An answer to a message: recipients, subject, `In-Reply-To` and `References` (RFC 5322 3.6.4), and the message quoted
   * below the answer. Whatever a stranger's message holds, the draft can be composed, if it names anyone to answer to.
   * Answer by program only what `isAutomatic` denies, and with `automatic: true` (RFC 3834).
   */
  static reply(message: Original, options?: ReplyOptions): Draft {
    return new Draft(replyTo(message, options))
  }

  /**
   * A message handed on: below the text of the forward with its attachments, or, where `source` gives its octets, whole
   * and unchanged as an attached message (RFC 2046 5.2.1).
   */
  static forward(message: Original, options?: ForwardOptions): Draft {
    return new Draft(forwardOf(message, options))
  }
}
