/** Whether a message is among the sent ones: what is found where a send's own answer was lost. */
import { Schema } from "effect"
import { MessageRef } from "./MessageSet.ts"

/** It is there, and was accepted if the server files what it accepts. */
export class Found extends Schema.TaggedClass<Found>("effect-mail/Found")("Found", {
  ref: MessageRef
}) {}

/** It was not there each time it was looked for. This proves nothing where the server does not file sent mail itself. */
export class NotFound extends Schema.TaggedClass<NotFound>("effect-mail/NotFound")("NotFound", {
  mailbox: Schema.String
}) {}

export const Delivery = Schema.Union([Found, NotFound])
export type Delivery = typeof Delivery.Type
