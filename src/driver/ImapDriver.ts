/**
 * The contract between the library and an IMAP implementation: connections with typed results, one command at a time.
 * A driver knows the wire. It knows no caps, no queues and no retries; those are the governor's.
 *
 * Every command fails with the reason it really had: a refusal is never a `false`, a lost socket never a value.
 * Reasons that can only be met after a command was begun carry `written`.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Endpoint } from "../domain/AccountConfig.ts"
import type { Login } from "../domain/Credentials.ts"
import type { FetchItems, FetchValues } from "../domain/Fetch.ts"
import type { Mailbox, MailboxStatus, Quota } from "../domain/Mailbox.ts"
import type { Reason } from "../domain/MailError.ts"
import type { SearchKey } from "../domain/SearchKey.ts"
import type { UidRanges } from "../domain/UidRanges.ts"

export interface ImapConnectOptions {
  readonly endpoint: Endpoint
  readonly credentials: Login
  /** Bound for everything from name lookup to the end of the login; on the Clock. */
  readonly connectTimeoutMillis: number
  /** The largest literal or line that is read, octets: a larger one fails with `TooLarge` and ends the connection. */
  readonly literalLimit?: number | undefined
}

/** The state a SELECT or EXAMINE answered (RFC 9051 6.3.2). `highestModseq` only where mod-sequences are kept. */
export interface SelectedMailbox {
  readonly path: string
  readonly readOnly: boolean
  readonly uidValidity: number
  readonly uidNext: number
  readonly exists: number
  readonly highestModseq: bigint | undefined
  /** Flags that STORE may change; empty where none may. "\\*" stands for any keyword (RFC 9051 7.1). */
  readonly permanentFlags: ReadonlyArray<string>
  /** What a QRESYNC select told beside it; undefined where it was not asked for or not honoured. */
  readonly resync: Resync | undefined
}

/** The answer to `SELECT (QRESYNC …)` (RFC 7162 3.2.5). `vanished` may name UIDs that went long ago. */
export interface Resync {
  readonly vanished: UidRanges
  readonly changed: ReadonlyArray<FlagsRow>
}

export interface FlagsRow {
  readonly uid: number
  readonly flags: ReadonlyArray<string>
  readonly modseq: bigint | undefined
}

export interface SelectOptions {
  readonly readOnly: boolean
  /** Select again even if the mailbox is selected already: a point of synchronisation. */
  readonly refresh?: boolean
  /** Ask for what changed since then (QRESYNC); ignored where the server lacks it. */
  readonly since?: { readonly uidValidity: number; readonly modseq: bigint }
}

export interface FetchOptions {
  /** Only messages changed after this mod-sequence (CONDSTORE); ignored where the server lacks it. */
  readonly changedSince?: bigint
  /** At most so many octets of each `source`, from its start: one of exactly this length may go on (see `fetchPartial`). */
  readonly sourceLimit?: number
  /** Octets to leave out from the start of each `source`; with `sourceLimit` only. Past the end it is empty. */
  readonly sourceStart?: number
  /** The largest answer that is kept, octets of all rows: a larger one fails with `TooLarge` and ends the connection. */
  readonly answerLimit?: number
}

/** One row of a FETCH: the UID and what was asked for. */
export type FetchedRow = { readonly uid: number } & { readonly [Item in keyof FetchValues]?: FetchValues[Item] }

/** Part of one section: `section` "" is the whole message, "1.2" a part. Offsets and lengths in octets. */
export interface PartialSection {
  readonly uid: number
  readonly section: string
  readonly start: number
  readonly length: number
}

/** Where copies went (COPYUID, RFC 4315 3): source UID to target UID. Undefined where the server does not tell. */
export type CopyResult = { readonly uidValidity: number; readonly uids: ReadonlyMap<number, number> } | undefined

export interface FlagChange {
  readonly mode: "add" | "remove" | "set"
  readonly flags: ReadonlyArray<string>
}

export interface AppendOptions {
  readonly flags: ReadonlyArray<string>
  readonly internalDate?: Date
}

/**
 * One logged-in connection. Its commands must not overlap: whoever holds the connection runs them one after another.
 * Commands on messages apply to the selected mailbox and take a UID sequence set ("1:5,9") that is not empty. It is sent
 * in one line: whoever names many messages keeps it as short as servers want it.
 * A command that is interrupted leaves the connection unusable, except `idle`.
 */
export interface ImapConnection {
  /** Capabilities after login, upper case. Extensions that were enabled are in `enabled`. */
  readonly capabilities: ReadonlySet<string>
  readonly enabled: ReadonlySet<string>
  /** False once the socket is gone or the protocol state is unknown. */
  readonly isUsable: () => boolean
  /** Completes when the socket has closed, with what is known of why. Only then its slot is free. */
  readonly closed: Effect.Effect<string>
  /** Closes the socket at once. A command that runs fails with `ConnectionLost`. */
  readonly abort: () => void
  /** The mailbox that is selected now, as the last SELECT described it. */
  readonly selected: () => SelectedMailbox | undefined
  /**
   * How often the server has said, unasked, that something changed in the selected mailbox (EXISTS, EXPUNGE, VANISHED,
   * FETCH of flags), counted since the connection was opened. A count that stands still means that nothing was said.
   */
  readonly heard: () => number

  readonly list: (options: { readonly status: boolean }) => Effect.Effect<ReadonlyArray<Mailbox>, Reason>
  /** Fails with `MailboxNotFound` where it is not there. */
  readonly status: (mailbox: string) => Effect.Effect<MailboxStatus, Reason>
  /** Creates a mailbox and subscribes to it; creating what is there already is done. */
  readonly create: (mailbox: string) => Effect.Effect<void, Reason>
  readonly rename: (from: string, to: string) => Effect.Effect<void, Reason>
  /** Deleting what is not there fails with `MailboxNotFound`. */
  readonly delete: (mailbox: string) => Effect.Effect<void, Reason>
  readonly subscribe: (mailbox: string) => Effect.Effect<void, Reason>
  readonly unsubscribe: (mailbox: string) => Effect.Effect<void, Reason>
  /** Undefined where the server keeps no quota for it; `Unsupported` where it knows none at all. */
  readonly quota: (mailbox: string) => Effect.Effect<Quota | undefined, Reason>

  /** Selects a mailbox: no round trip where it is selected already in that mode, unless `refresh` or `since` is given. */
  readonly select: (mailbox: string, options: SelectOptions) => Effect.Effect<SelectedMailbox, Reason>
  /** UIDs in ascending order. */
  readonly search: (key: SearchKey) => Effect.Effect<ReadonlyArray<number>, Reason>
  /**
   * Rows for the messages that are there, in ascending order of UID. Rows nobody asked for are dropped. Octets handed
   * out are copies that pin no larger buffer. Never marks as seen.
   */
  readonly fetch: (
    range: string,
    items: FetchItems,
    options?: FetchOptions
  ) => Effect.Effect<ReadonlyArray<FetchedRow>, Reason>
  /** Undefined where message or section is not there; shorter than asked, or empty, past the end. Transfer-encoded as stored. */
  readonly fetchPartial: (section: PartialSection) => Effect.Effect<Uint8Array | undefined, Reason>
  readonly store: (range: string, change: FlagChange) => Effect.Effect<void, Reason>
  readonly copy: (range: string, to: string) => Effect.Effect<CopyResult, Reason>
  /** MOVE (RFC 6851). `Unsupported` without it: copy and expunge would not be atomic and is the caller's decision. */
  readonly move: (range: string, to: string) => Effect.Effect<CopyResult, Reason>
  /** STORE \Deleted and UID EXPUNGE of exactly these (RFC 4315). `Unsupported` without UIDPLUS: never a wide EXPUNGE. */
  readonly expunge: (range: string) => Effect.Effect<void, Reason>
  /** Where the server tells (APPENDUID, RFC 4315 3), the new message's UIDVALIDITY and UID. */
  readonly append: (
    mailbox: string,
    source: Uint8Array,
    options: AppendOptions
  ) => Effect.Effect<{ readonly uidValidity: number; readonly uid: number } | undefined, Reason>
  readonly noop: Effect.Effect<void, Reason>
  /**
   * Waits in IDLE (RFC 2177), or as near to it as the server can, until the server says that something changed in the
   * selected mailbox or ends the IDLE. Interrupting it leaves the connection usable: the next command ends the IDLE first.
   */
  readonly idle: Effect.Effect<void, Reason>
}

/**
 * Opens IMAP connections. `connect` is interruptible at any point and leaves nothing behind. When the scope closes
 * successfully, a usable connection says LOGOUT (bounded) before its socket closes; after a failure or an interruption
 * the socket closes at once. Either way the scope's release returns only after the socket has closed.
 */
export class ImapDriver extends Context.Service<ImapDriver, {
  readonly connect: (options: ImapConnectOptions) => Effect.Effect<ImapConnection, Reason, Scope.Scope>
}>()("effect-mail/driver/ImapDriver") {}
