/** The map of the library: every public name, and what it is. */

// --- what a program uses

/** One mail account: IMAP and SMTP operations as Effects and Streams. */
export { type AccountOptions, type AccountStats, MailAccount } from "./account/MailAccount.ts"
/** Many accounts by name, opened on demand, closed when idle. */
export { type AccountsOptions, MailAccounts } from "./account/MailAccounts.ts"
/** An account in which nothing is changed: what would be is a plan, to be shown, stored and replayed. */
export type { SandboxOptions } from "./account/Planning.ts"
export { type Replayed, Sandbox } from "./account/Sandbox.ts"
export { Plan, PlannedMessage, PlanStep } from "./domain/Plan.ts"
/** Options of the operations. */
export type { FlagOptions, RemoveOptions } from "./account/Changing.ts"
export type { ListOptions } from "./account/Mailboxes.ts"
export type { BatchOptions, EnvelopeOptions, MessageOptions, ReadMessages } from "./account/Reading.ts"
/** Who is calling: `Agent.as("agent-1")(effect)`. */
export { Agent } from "./domain/Agent.ts"
/** What `MailAccount.stats` tells. */
export type { AgentStats, GovernorStats } from "./governor/GovernorStats.ts"
export type { RateUsage } from "./governor/RateLimit.ts"
/** When failed operations are repeated. */
export { type RetryOptions, RetryPolicy } from "./governor/RetryPolicy.ts"

// --- an account as data

/** Where the servers are, how to log in, what the account may do. */
export { AccountConfig, Endpoint, Security, SentCopyPolicy, Trust } from "./domain/AccountConfig.ts"
/** How to log in: a password, an OAuth2 access token, or a source of such tokens. */
export { AccessToken, Credentials, OAuth2, Password, type TokenGrant, type TokenSource } from "./domain/Credentials.ts"
/** Sources of access tokens: the refresh-token grant of Google, Microsoft and others. */
export { OAuth2Grant, type RefreshOptions } from "./driver/OAuth2Grant.ts"
/** Caps, waits, time-outs and rate windows. */
export { Limits, RateScope, RateWindow, SomeLimits } from "./domain/Limits.ts"

/** The accounts a person has set up, in a file that several programs share. */
export { Profiles } from "./account/Profiles.ts"
export { Profile, ProfileFile, SecretRef } from "./account/ProfileSchema.ts"
/** What is known of mail providers; `configOf` makes an account of it. */
export {
  configOf,
  limitsOf,
  type Provider,
  type ProviderAccount,
  type RefusalText,
  type Sourced
} from "./domain/Provider.ts"
export { providerById, providerOf, providers } from "./domain/Providers.ts"

/** Caps per host and per process, for all accounts below the layer: `HostLimits.layer({ connectionsPerHost: 20 })`. */
export { HostLimits, type HostLimitsOptions } from "./governor/HostLimits.ts"
/** From an address to its servers. */
export { Discovery } from "./account/Discovery.ts"
export { Discovered, DiscoveredServer, DiscoverySource } from "./domain/Discovered.ts"
export type { DiscoveryOptions } from "./driver/discovery.ts"
/** What discovery asks; another network, or a double in a test, is provided below `Discovery.layerNoDeps`. */
export {
  type AutoconfigServer,
  DiscoveryNetwork,
  type SrvRecord,
  type WellKnownService
} from "./driver/DiscoveryNetwork.ts"

// --- finding and reading

/** Which messages of which mailbox, built from criteria or parsed from the protocol's syntax. */
export type { Criteria, Criterion } from "./domain/Criteria.ts"
export { type Alternatives, Query } from "./domain/Query.ts"
/** The tree of search keys underneath a query. */
export { SearchKey } from "./domain/SearchKey.ts"
/** Messages by name: mailbox, UIDVALIDITY and UID. */
export { MessageRef, type Messages, MessageSet, type Referring } from "./domain/MessageSet.ts"
/** What to fetch, and what comes back for it. */
export type { Fetched, FetchItems, FetchValues } from "./domain/Fetch.ts"
/** A message at a glance: addresses, dates, flags, structure. */
export { Address, BodyPart, Envelope, EnvelopeFields } from "./domain/Envelope.ts"
/** What receiving servers found out about a message's origin (RFC 8601). */
export { AuthenticationProperty, AuthenticationResult, AuthenticationResults } from "./domain/AuthenticationResults.ts"
/** Invitations in a message. */
export { CalendarPart } from "./domain/CalendarPart.ts"
/** Bounces and other reports about a message that was sent (RFC 3464). */
export { DeliveryAction, DeliveryStatus, RecipientStatus } from "./domain/DeliveryStatus.ts"
/** How to leave a mailing list (RFC 2369, RFC 8058). */
export { ListUnsubscribe, oneClickBody, UnsubscribeMail } from "./domain/ListUnsubscribe.ts"
/** Conversations among messages. */
export { Thread, type Threadable, type ThreadNode } from "./domain/Thread.ts"
/** A message, read. */
export {
  AttachmentOutline,
  HeaderField,
  Message,
  MessageOutline,
  ParsedMessage,
  ReceivedAttachment
} from "./domain/Message.ts"
/** Mailboxes, their counters, and quota. */
export { Mailbox, MailboxStatus, Quota, QuotaResource, SpecialUse } from "./domain/Mailbox.ts"

/** Several steps in one mailbox on one connection. */
export type { AppendOptions, OpenMailbox, OpenOptions } from "./account/OpenMailbox.ts"

// --- watching

/** How far a program has seen a mailbox; a value to store. */
export type { WatchOptions } from "./account/Watch.ts"
export { Cursor } from "./domain/Cursor.ts"
/** What happened: `Arrived`, `Expunged`, `FlagsChanged`, `Reset`, in batches. */
export { Arrived, Changes, Expunged, FlagsChanged, MailEvent, Reset } from "./domain/MailEvent.ts"

// --- writing and sending

/** A message to be sent or filed. */
export { AddressInput, Alternative, Attachment, Draft, type DraftInput, Invitation } from "./domain/Draft.ts"
/** How to answer and forward, and what is never to be answered by a program. */
export { isAutomatic } from "./domain/Automatic.ts"
export type { ForwardOptions } from "./domain/Forward.ts"
export type { ReplyOptions } from "./domain/Reply.ts"
/** The subject that messages of one thread share. */
export { baseSubject } from "./domain/Subject.ts"
/** How a message is sent: what is held, asked for, copied, and done about an unknown outcome. */
export type { SendAllOptions, SendingOptions, SendResult } from "./account/Outbox.ts"
export type { DsnOptions } from "./driver/SmtpDriver.ts"
/** A key to sign mail with. */
export { Dkim } from "./domain/Dkim.ts"
/** What the server answered to a message it accepted, and what became of the sender's copy. */
export { Receipt, SentCopy } from "./domain/Receipt.ts"
/** Whether a message is among the sent ones. */
export { Delivery } from "./domain/Delivery.ts"

// --- what can go wrong

/** The one error, and the reasons it can have. */
export {
  AccountClosed,
  AuthenticationFailed,
  ConnectionFailed,
  ConnectionLost,
  ConnectionRefusedByLimit,
  InvalidInput,
  MailboxChanged,
  MailboxNotFound,
  MailError,
  MessageNotFound,
  OutcomeUnknown,
  ProtocolViolation,
  QueueFull,
  QuotaExceeded,
  RateLimited,
  Reason,
  RecipientsRejected,
  RefusedRecipient,
  Rejected,
  Throttled,
  TimedOut,
  TooLarge,
  Unsupported
} from "./domain/MailError.ts"

// --- other implementations underneath

/** Where rate windows are counted: in memory, or where several processes share them. Provide it below the account. */
export {
  type RateAnswer,
  type RateBlock,
  type RateCount,
  type RateGrant,
  type RateMemoryOptions,
  type RateRequest,
  RateStore
} from "./governor/RateStore.ts"
/** Contracts of the drivers, and the values in them that nothing else holds. */
export type { Login } from "./domain/Credentials.ts"
export { UidRanges } from "./domain/UidRanges.ts"
export { type ImapConnection, type ImapConnectOptions, ImapDriver } from "./driver/ImapDriver.ts"
export { type SmtpConnection, type SmtpConnectOptions, SmtpDriver } from "./driver/SmtpDriver.ts"
