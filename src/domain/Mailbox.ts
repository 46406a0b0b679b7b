/** Mailboxes as a server lists them, their counters, and quota. */
import { Schema } from "effect"

/** What a mailbox is for (RFC 6154, RFC 8457); `inbox` is the mailbox INBOX itself. */
export const SpecialUse = Schema.Literals([
  "inbox",
  "all",
  "archive",
  "drafts",
  "flagged",
  "important",
  "junk",
  "sent",
  "trash"
])
export type SpecialUse = typeof SpecialUse.Type

/** Counters of a mailbox (RFC 9051 6.3.11). `highestModseq` where the server has CONDSTORE (RFC 7162). */
export class MailboxStatus extends Schema.Class<MailboxStatus>("effect-mail/MailboxStatus")({
  mailbox: Schema.String,
  messages: Schema.Int,
  unseen: Schema.Int,
  uidNext: Schema.Int,
  uidValidity: Schema.Int,
  highestModseq: Schema.optionalKey(Schema.BigInt)
}) {}

/** One mailbox. `path` is the name to use in every operation; `delimiter` is null where the server has no hierarchy. */
export class Mailbox extends Schema.Class<Mailbox>("effect-mail/Mailbox")({
  path: Schema.String,
  delimiter: Schema.NullOr(Schema.String),
  specialUse: Schema.optionalKey(SpecialUse),
  subscribed: Schema.Boolean,
  selectable: Schema.Boolean,
  flags: Schema.Array(Schema.String),
  status: Schema.optionalKey(MailboxStatus)
}) {}

/** One limited resource (RFC 9208). Storage is in octets, messages are counted. `limit` is absent where there is none. */
export class QuotaResource extends Schema.Class<QuotaResource>("effect-mail/QuotaResource")({
  usage: Schema.Int,
  limit: Schema.optionalKey(Schema.Int)
}) {}

/** How much of the allowed space is used. */
export class Quota extends Schema.Class<Quota>("effect-mail/Quota")({
  storage: Schema.optionalKey(QuotaResource),
  messages: Schema.optionalKey(QuotaResource)
}) {}
