/** The contract for reading messages: from octets (RFC 5322, RFC 2045) to headers, text and attachments. */
import { Context, type Effect } from "effect"
import type { ParsedMessage } from "../domain/Message.ts"

/** Reads messages. Never fails: what is broken is read as far as it goes. */
export class MessageParser extends Context.Service<MessageParser, {
  readonly parse: (source: Uint8Array) => Effect.Effect<ParsedMessage>
}>()("effect-mail/driver/MessageParser") {}
