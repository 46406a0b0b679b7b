/** The contract for writing messages: from a draft to the octets that are sent, measured and filed. */
import { Context, type Effect } from "effect"
import type { Dkim } from "../domain/Dkim.ts"
import type { Draft } from "../domain/Draft.ts"
import type { Reason } from "../domain/MailError.ts"
import type { SmtpEnvelope } from "./SmtpDriver.ts"

/** A composed message: octets with CRLF line ends throughout, and the envelope to send it with. */
export interface Composed {
  readonly source: Uint8Array
  readonly envelope: SmtpEnvelope
  readonly messageId: string
}

export interface ComposeOptions {
  readonly recipients: "required" | "optional"
  /** The most octets the message may have; default `Limits.defaults.maxMessageBytes`. */
  readonly maxBytes?: number | undefined
  /** Keep Bcc among the octets: for a message that is filed and not sent (RFC 5322 3.6.3). */
  readonly keepsBcc?: boolean | undefined
  /** Sign it. */
  readonly dkim?: Dkim | undefined
}

/** Writes messages. */
export class MessageComposer extends Context.Service<MessageComposer, {
  /**
   * `draft.from`, `draft.messageId` and `draft.date` must be set. Fails with `InvalidInput` naming the field: no
   * recipients (unless `recipients` is "optional"), an address that is none, CR or LF in a header, an unreadable file, a
   * key that does not sign. Fails with `TooLarge` beyond `maxBytes`, without holding much more than those in memory.
   */
  readonly compose: (
    draft: Draft,
    options: ComposeOptions
  ) => Effect.Effect<Composed, Reason>
}>()("effect-mail/driver/MessageComposer") {}
