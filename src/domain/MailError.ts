/**
 * What went wrong, as facts. Every operation of the library fails with one `MailError`, whose `reason` is one of the
 * tagged classes below. A reason knows whether it is transient (`isRetryable`) and when it heals (`retryAfter`); it
 * does not know which operation met it. Whether an operation *may* be repeated is decided in `governor/RetryPolicy`.
 */
import { Duration, Schema } from "effect"

/** The server refused the credentials. Never retried: providers lock accounts that keep trying. */
export class AuthenticationFailed
  extends Schema.TaggedError<AuthenticationFailed>("effect-mail/AuthenticationFailed")("AuthenticationFailed", {
    response: Schema.String
  })
{
  get isRetryable() {
    return false
  }
  override get message() {
    return `the server refused the credentials (${this.response}). ` +
      "Check user name and password, or the token; many providers want an app password or OAuth2, and IMAP switched on in their settings"
  }
}

/** The server refuses one more connection. Providers often say it with the words of a wrong password; it is not one. */
export class ConnectionRefusedByLimit
  extends Schema.TaggedError<ConnectionRefusedByLimit>("effect-mail/ConnectionRefusedByLimit")(
    "ConnectionRefusedByLimit",
    { response: Schema.String, retryAfter: Schema.optionalKey(Schema.DurationFromMillis) }
  )
{
  get isRetryable() {
    return true
  }
  override get message() {
    return `the server allows no further connection (${this.response}). ` +
      "Lower the connection limit of this account, or close other mail programs that use it"
  }
}

/** No connection could be made. `step` names how far it came; `permanent` is set where waiting cannot help. */
export class ConnectionFailed
  extends Schema.TaggedError<ConnectionFailed>("effect-mail/ConnectionFailed")("ConnectionFailed", {
    host: Schema.String,
    port: Schema.Int,
    step: Schema.Literals(["dns", "tcp", "tls", "greeting", "login"]),
    detail: Schema.String,
    permanent: Schema.Boolean
  })
{
  get isRetryable() {
    return !this.permanent
  }
  override get message() {
    return `could not connect to ${this.host}:${this.port} (${this.step}: ${this.detail}). ${connectHelp[this.step]}`
  }
}

const connectHelp = {
  dns: "Check the host name",
  tcp: "Check host, port, and that the server is running",
  tls: "Check whether the port expects TLS at once or STARTTLS; name a private certificate authority in trust.ca",
  greeting: "Check that this port speaks the expected protocol",
  login: "The login did not come to its end; try later"
} as const

/** An open connection went away. `written` tells whether the command may have reached the server. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>("effect-mail/ConnectionLost")("ConnectionLost", {
  detail: Schema.String,
  written: Schema.Boolean
}) {
  get isRetryable() {
    return true
  }
  override get message() {
    return `the connection was lost (${this.detail})${this.written ? " before the server had answered" : ""}`
  }
}

/** A wait of ours came to its end. `wait` names it, `written` tells whether the command may have reached the server. */
export class TimedOut extends Schema.TaggedError<TimedOut>("effect-mail/TimedOut")("TimedOut", {
  wait: Schema.Literals(["connect", "login", "queue", "store", "command", "answer"]),
  after: Schema.DurationFromMillis,
  written: Schema.Boolean
}) {
  get isRetryable() {
    return this.wait !== "queue" && this.wait !== "store"
  }
  override get message() {
    const [what, help] = timedOut[this.wait]
    return `no ${what} within ${Duration.format(this.after)}. ${help}`
  }
}

const timedOut = {
  connect: ["connection", "Check host and port; a server that expects TLS at once, or another protocol, says nothing"],
  login: ["answer to the login", "Some servers delay logins on purpose; raise limits.connectTimeout if this one does"],
  queue: ["free connection", "Ask for less at once, or raise limits.maxWait"],
  store: ["answer from the store of the rate windows", "Look after the RateStore that was provided"],
  command: ["answer to the command", "Raise limits.commandTimeout if the server is slow"],
  answer: ["answer to the message", "Raise limits.answerTimeout if the server is slow"]
} as const

/** The server asks for a slower pace. The whole account waits, not only the connection that heard it. */
export class Throttled extends Schema.TaggedError<Throttled>("effect-mail/Throttled")("Throttled", {
  response: Schema.String,
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}) {
  get isRetryable() {
    return true
  }
  override get message() {
    return `the server asks to slow down (${this.response})`
  }
}

/** A rate window of ours has no room within `maxWait`, or now where `onLimit` is "fail". `retryAfter`: no earlier, and exact where nobody else waits. */
export class RateLimited extends Schema.TaggedError<RateLimited>("effect-mail/RateLimited")("RateLimited", {
  scope: Schema.String,
  retryAfter: Schema.DurationFromMillis
}) {
  get isRetryable() {
    return true
  }
  override get message() {
    return `the rate limit "${this.scope}" is used up; it passes again in ${Duration.format(this.retryAfter)}`
  }
}

/** The bounded queue of the account is full. */
export class QueueFull extends Schema.TaggedError<QueueFull>("effect-mail/QueueFull")("QueueFull", {
  limit: Schema.Int
}) {
  get isRetryable() {
    return true
  }
  override get message() {
    return `${this.limit} requests wait already. Ask for less at once, or raise limits.queue`
  }
}

/** The account's scope has closed; nothing can be asked of it any more. */
export class AccountClosed extends Schema.TaggedError<AccountClosed>("effect-mail/AccountClosed")("AccountClosed", {}) {
  get isRetryable() {
    return false
  }
  override get message() {
    return "the account is closed: its scope has ended before this call"
  }
}

/** No such mailbox, or no right to see it. */
export class MailboxNotFound
  extends Schema.TaggedError<MailboxNotFound>("effect-mail/MailboxNotFound")("MailboxNotFound", {
    mailbox: Schema.String
  })
{
  get isRetryable() {
    return false
  }
  override get message() {
    return `there is no mailbox "${this.mailbox}". List them with mailboxes(); names are case sensitive, except INBOX`
  }
}

/** UIDVALIDITY moved: the UIDs held by the caller name nothing any more (RFC 9051 2.3.1.1). Nothing was touched. */
export class MailboxChanged extends Schema.TaggedError<MailboxChanged>("effect-mail/MailboxChanged")("MailboxChanged", {
  mailbox: Schema.String,
  expected: Schema.Int,
  actual: Schema.Int
}) {
  get isRetryable() {
    return false
  }
  override get message() {
    return `mailbox "${this.mailbox}" was replaced (UIDVALIDITY ${this.expected} is now ${this.actual}). Search again`
  }
}

/** The messages are not in the mailbox (any more). */
export class MessageNotFound
  extends Schema.TaggedError<MessageNotFound>("effect-mail/MessageNotFound")("MessageNotFound", {
    mailbox: Schema.String,
    uids: Schema.Array(Schema.Int)
  })
{
  get isRetryable() {
    return false
  }
  override get message() {
    const named = this.uids.slice(0, namedUids).join(", ")
    const others = this.uids.length - namedUids
    return `mailbox "${this.mailbox}" holds no message with UID ${named}${others > 0 ? ` and ${others} more` : ""}`
  }
}

/** As many as a person reads; `uids` has them all. */
const namedUids = 20

/**
 * The server said no, in its own words. `code` is an IMAP response code (RFC 9051 7.1) or an SMTP reply code with its
 * enhanced code (RFC 5321 4.2, RFC 3463), e.g. "NOPERM" or "550 5.7.1".
 */
export class Rejected extends Schema.TaggedError<Rejected>("effect-mail/Rejected")("Rejected", {
  code: Schema.optionalKey(Schema.String),
  text: Schema.String,
  transient: Schema.Boolean
}) {
  get isRetryable() {
    return this.transient
  }
  override get message() {
    return `the server refused: ${this.code === undefined ? "" : `[${this.code}] `}${this.text}`
  }
}

/** The mailbox or the account is full (RFC 9208). */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>("effect-mail/QuotaExceeded")("QuotaExceeded", {
  response: Schema.String
}) {
  get isRetryable() {
    return false
  }
  override get message() {
    return `the quota is used up (${this.response}). Remove messages or ask for more space`
  }
}

/**
 * A message is larger than the server (RFC 1870) or a limit of ours takes. Sizes in octets. `response` is what the server
 * said; absent where the limit is ours.
 */
export class TooLarge extends Schema.TaggedError<TooLarge>("effect-mail/TooLarge")("TooLarge", {
  size: Schema.Int,
  limit: Schema.optionalKey(Schema.Int),
  response: Schema.optionalKey(Schema.String)
}) {
  get isRetryable() {
    return false
  }
  override get message() {
    const limit = this.limit === undefined ? "the limit" : `the limit of ${this.limit}`
    return `${this.size} octets are over ${limit}` +
      (this.response === undefined
        ? ". If it is yours, raise limits.maxMessageBytes"
        : ` of the server (${this.response})`)
  }
}

/** One refused recipient, in the server's words. */
export class RefusedRecipient extends Schema.Class<RefusedRecipient>("effect-mail/RefusedRecipient")({
  address: Schema.String,
  code: Schema.optionalKey(Schema.Int),
  response: Schema.String,
  permanent: Schema.Boolean
}) {}

/** All recipients were refused (or one, where all were asked for). The message was not accepted for anybody. */
export class RecipientsRejected
  extends Schema.TaggedError<RecipientsRejected>("effect-mail/RecipientsRejected")("RecipientsRejected", {
    recipients: Schema.Array(RefusedRecipient)
  })
{
  get isRetryable() {
    return this.recipients.every((recipient) => !recipient.permanent)
  }
  override get message() {
    return `refused: ${this.recipients.map(({ address, response }) => `${address} (${response})`).join(", ")}`
  }
}

/**
 * Nobody can know whether the server did it. Never repeated by itself; `reconcile(messageId)` looks. `refused` are the
 * recipients it had refused before: to them it was certainly not sent.
 */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>("effect-mail/OutcomeUnknown")("OutcomeUnknown", {
  messageId: Schema.optionalKey(Schema.String),
  detail: Schema.String,
  refused: Schema.optionalKey(Schema.Array(RefusedRecipient))
}) {
  get isRetryable() {
    return false
  }
  override get message() {
    return `it is unknown whether this took place (${this.detail})` +
      (this.messageId === undefined ? ". Look before you repeat it" : `. Look for Message-ID ${this.messageId} first`)
  }
}

/**
 * The server lacks what the operation needs, and doing it some other way would not be safe. `capability` is an extension,
 * or the special use of a mailbox that nobody has marked (RFC 6154), e.g. "\\Trash".
 */
export class Unsupported extends Schema.TaggedError<Unsupported>("effect-mail/Unsupported")("Unsupported", {
  capability: Schema.String,
  detail: Schema.String
}) {
  get isRetryable() {
    return false
  }
  override get message() {
    return `the server lacks ${this.capability}: ${this.detail}`
  }
}

/** A value given by the caller cannot be used. Nothing was sent. `position` is an index into the given text. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("effect-mail/InvalidInput")("InvalidInput", {
  field: Schema.String,
  problem: Schema.String,
  position: Schema.optionalKey(Schema.Int)
}) {
  get isRetryable() {
    return false
  }
  override get message() {
    return `${this.field}${this.position === undefined ? "" : ` at ${this.position}`}: ${this.problem}`
  }
}

/** The server broke the protocol; the connection is not used again. */
export class ProtocolViolation
  extends Schema.TaggedError<ProtocolViolation>("effect-mail/ProtocolViolation")("ProtocolViolation", {
    detail: Schema.String,
    written: Schema.Boolean
  })
{
  get isRetryable() {
    return true
  }
  override get message() {
    return `the server broke the protocol (${this.detail})`
  }
}

/** Every reason a `MailError` can have. */
export const Reason = Schema.Union([
  AuthenticationFailed,
  ConnectionRefusedByLimit,
  ConnectionFailed,
  ConnectionLost,
  TimedOut,
  Throttled,
  RateLimited,
  QueueFull,
  AccountClosed,
  MailboxNotFound,
  MailboxChanged,
  MessageNotFound,
  Rejected,
  QuotaExceeded,
  TooLarge,
  RecipientsRejected,
  OutcomeUnknown,
  Unsupported,
  InvalidInput,
  ProtocolViolation
])
export type Reason = typeof Reason.Type

/** What was asked for may have reached the server, and its answer did not reach us. */
export const mayHaveTakenPlace = (reason: Reason): boolean =>
  reason._tag === "OutcomeUnknown" || ("written" in reason && reason.written)

/**
 * The one error of the library: which account, which operation, which mailbox, and why.
 * Recover from one reason with `Effect.catchReason("MailError", "Throttled", …)`.
 */
export class MailError extends Schema.TaggedError<MailError>("effect-mail/MailError")("MailError", {
  account: Schema.String,
  operation: Schema.String,
  mailbox: Schema.optionalKey(Schema.String),
  reason: Reason
}) {
  override readonly cause = this.reason
  override get message() {
    const where = this.mailbox === undefined ? "" : ` "${this.mailbox}"`
    return `${this.account}: ${this.operation}${where}: ${this.reason.message}`
  }
  /** The reason is transient. Whether repeating is *safe* depends on the operation; the library has done so where it is. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
  /** How long to wait before trying again, where the server or a window said so. */
  get retryAfter(): Duration.Duration | undefined {
    return "retryAfter" in this.reason ? this.reason.retryAfter : undefined
  }
}
