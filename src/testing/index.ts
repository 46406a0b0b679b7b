/** The map of `effect-mail/testing`: every public name. */

/** Faults as values: what a test server does instead of answering as it should. */
export { type Fault, type FaultAction, Faults, type FaultStep } from "./Faults.ts"
/** Users, mailboxes and messages in memory, the truth behind the test servers. */
export { MailStore, type MessageSeed, specialMailboxes, type UserSeed } from "./MailStore.ts"
/** Mail servers in memory behind the driver contracts, for tests under TestClock. */
export { imapCapabilities, MemoryMail, type MemoryMailOptions } from "./MemoryMail.ts"
/** A command that a server in memory saw, with the fault that struck. */
export type { MemoryCommand } from "./MemoryWire.ts"
/** Raw messages of every kind from a seed, and plain ones of an exact size. */
export {
  type SampleAttachment,
  type SampleKind,
  SampleMail,
  type SampleMessage,
  type SampleOptions
} from "./SampleMail.ts"
/** One mailbox of a store, with its messages, mod-sequence and listeners. */
export { type MailboxChange, StoredMailbox, type StoredMessage, type StoredStatus } from "./StoredMailbox.ts"
/** One user of a store: mailboxes, subscriptions, quota. */
export { StoredUser, type Transferred } from "./StoredUser.ts"
/** Why a store refuses, with the IMAP response code that names it. */
export { StoreFailure, type StoreFailureCode } from "./StoreFailure.ts"
/** A real IMAP and SMTP server on 127.0.0.1 over such a store. */
export {
  type AcceptedMessage,
  type ConnectionFilter,
  type ConnectionInfo,
  defaultMaxCommands,
  defaultMaxMessageBytes,
  MailServer,
  type MailServerOptions,
  type MailServerShape,
  type MemorySocket,
  type ObservedCommand,
  type OptionalCapability,
  type Protocol,
  type ServerTls,
  type WireFaults
} from "./MailServer.ts"
