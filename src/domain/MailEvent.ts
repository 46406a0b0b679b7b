/** What can happen to the messages of a mailbox, as a watching program is told. */
import { Schema } from "effect"
import { Cursor } from "./Cursor.ts"
import { MessageRef } from "./MessageSet.ts"

/** A message that was not there before: new, copied or moved in. */
export class Arrived extends Schema.TaggedClass<Arrived>("effect-mail/Arrived")("Arrived", {
  ref: MessageRef,
  flags: Schema.Array(Schema.String)
}) {}

/** A message that is gone: expunged or moved out. */
export class Expunged extends Schema.TaggedClass<Expunged>("effect-mail/Expunged")("Expunged", {
  ref: MessageRef
}) {}

/** The flags of a message as they are now. */
export class FlagsChanged extends Schema.TaggedClass<FlagsChanged>("effect-mail/FlagsChanged")("FlagsChanged", {
  ref: MessageRef,
  flags: Schema.Array(Schema.String)
}) {}

/** The mailbox was replaced: UIDs known so far name nothing any more, and what is there now follows as arrived. */
export class Reset extends Schema.TaggedClass<Reset>("effect-mail/Reset")("Reset", {
  mailbox: Schema.String,
  uidValidity: Schema.Int
}) {}

export const MailEvent = Schema.Union([Arrived, Expunged, FlagsChanged, Reset])
export type MailEvent = typeof MailEvent.Type

/** What happened, in one batch, and the cursor to store with it: each event once, none lost, if both are stored together. */
export class Changes extends Schema.Class<Changes>("effect-mail/Changes")({
  events: Schema.Array(MailEvent),
  cursor: Cursor
}) {}
