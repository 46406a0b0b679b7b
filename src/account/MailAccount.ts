/**
 * One mail account, as a program uses it: IMAP and SMTP operations as Effects and Streams, over few connections that
 * many fibers share. The account opens connections when they are needed and closes them with its scope; how many, in
 * whose turn, and what is repeated, is decided underneath.
 */
import { type Config, Context, Effect, Layer, Option, Stream } from "effect"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import type { Cursor } from "../domain/Cursor.ts"
import type { Delivery } from "../domain/Delivery.ts"
import type { Draft } from "../domain/Draft.ts"
import type { Envelope } from "../domain/Envelope.ts"
import type { Fetched, FetchItems } from "../domain/Fetch.ts"
import type { Mailbox, MailboxStatus, Quota } from "../domain/Mailbox.ts"
import { mailboxName } from "../domain/MailboxName.ts"
import type { MailError } from "../domain/MailError.ts"
import type { Changes } from "../domain/MailEvent.ts"
import type { Message, MessageOutline } from "../domain/Message.ts"
import { type MessageRef, type Messages, MessageSet, toRef } from "../domain/MessageSet.ts"
import type { Query } from "../domain/Query.ts"
import type { Receipt } from "../domain/Receipt.ts"
import type { Thread } from "../domain/Thread.ts"
import type { ImapDriver } from "../driver/ImapDriver.ts"
import * as imapflow from "../driver/imapflow.ts"
import * as mailparser from "../driver/mailparser.ts"
import { MessageComposer } from "../driver/MessageComposer.ts"
import { MessageParser } from "../driver/MessageParser.ts"
import * as nodemailer from "../driver/nodemailer.ts"
import type { SmtpDriver } from "../driver/SmtpDriver.ts"
import type { GovernorStats } from "../governor/GovernorStats.ts"
import type { RateUsage } from "../governor/RateLimit.ts"
import { RetryPolicy } from "../governor/RetryPolicy.ts"
import { CurrentOperation } from "../governor/Telemetry.ts"
import type { FlagOptions, RemoveOptions } from "./Changing.ts"
import * as Environment from "./Environment.ts"
import type { ListOptions } from "./Mailboxes.ts"
import { mailboxOf, onSet } from "./OneMailbox.ts"
import * as OpenMailbox from "./OpenMailbox.ts"
import type { AppendOptions, OpenOptions } from "./OpenMailbox.ts"
import * as Operations from "./Operations.ts"
import type { SendAllOptions, SendingOptions, SendResult } from "./Outbox.ts"
import { Parts } from "./Parts.ts"
import { PublicCalls } from "./PublicCalls.ts"
import type { BatchOptions, EnvelopeOptions, MessageOptions, ReadMessages } from "./Reading.ts"
import type { WatchOptions } from "./Watch.ts"

/** How an account behaves, beside its configuration. */
export interface AccountOptions {
  /** When what is repeated; whatever it says, nothing unsafe is repeated. Default: `RetryPolicy.default`. */
  readonly retry?: RetryPolicy | undefined
}

/** What the account has open, who waits, and how much of its rate windows is used. */
export interface AccountStats {
  readonly imap: GovernorStats
  readonly smtp: GovernorStats
  /** Each rate window as it stands; those per agent once for each agent that used one lately. */
  readonly rates: ReadonlyArray<RateUsage>
  /** Operations that wait for a rate window. */
  readonly waitingForRates: number
}

/**
 * A mail account. Every operation fails with `MailError`, whose reason says why; every stream may be consumed while
 * other operations of the same account run, with any cap.
 *
 * **Lifetime** The service lives as long as the layer's scope. Interrupting an operation takes it out of the queue, or
 * discards the connection it was running on.
 */
export class MailAccount extends Context.Service<MailAccount, {
  /** The account's name, as configured. */
  readonly name: string
  /** Capabilities of the IMAP server after login, upper case. */
  readonly capabilities: Effect.Effect<ReadonlySet<string>, MailError>

  /** All mailboxes, with their special use and subscription; with `{ status: true }` also their counters. */
  readonly mailboxes: (options?: ListOptions) => Effect.Effect<ReadonlyArray<Mailbox>, MailError>
  /** Counters of one mailbox. Fails with `MailboxNotFound`. */
  readonly status: (mailbox: string) => Effect.Effect<MailboxStatus, MailError>
  /** Creates a mailbox and subscribes to it; done if it is there already. */
  readonly createMailbox: (mailbox: string) => Effect.Effect<void, MailError>
  /** Renames a mailbox and those below it. Fails with `MailboxNotFound`, or `Rejected` if the new name is taken. */
  readonly renameMailbox: (from: string, to: string) => Effect.Effect<void, MailError>
  /** Deletes a mailbox with its messages; done if it is not there. */
  readonly deleteMailbox: (mailbox: string) => Effect.Effect<void, MailError>
  readonly subscribe: (mailbox: string) => Effect.Effect<void, MailError>
  readonly unsubscribe: (mailbox: string) => Effect.Effect<void, MailError>
  /** Quota that counts for a mailbox (default: INBOX); none where the server keeps none. */
  readonly quota: (mailbox?: string) => Effect.Effect<Option.Option<Quota>, MailError>

  /**
   * Which messages match. A query may name any number of messages and alternatives: it is asked in as many commands as
   * that takes. Fails with `InvalidInput` for a query no server can be asked, `MailboxNotFound`.
   */
  readonly search: (query: Query) => Effect.Effect<MessageSet, MailError>
  /** Messages at a glance, in order of UID. */
  readonly envelopes: (messages: Query | Messages, options?: EnvelopeOptions) => Stream.Stream<Envelope, MailError>
  /**
   * Exactly the items asked for, of each message, in order of UID. Messages are fetched in chunks on as many
   * connections as are free, ahead of the consumer within `limits.batchBytes`; none is held while the consumer works.
   */
  readonly fetch: <const Items extends FetchItems>(
    messages: Query | Messages,
    items: Items,
    options?: BatchOptions
  ) => Stream.Stream<Fetched<Items>, MailError>
  /**
   * The conversations among the messages, oldest first, by References and In-Reply-To, or as the server names them
   * (Gmail, OBJECTID). All envelopes are held in memory at once. The server's own THREAD (RFC 5256) is not asked.
   */
  readonly threads: (messages: Query | Messages) => Effect.Effect<ReadonlyArray<Thread<Envelope>>, MailError>
  /**
   * Messages, fetched and parsed. A malformed message is parsed as far as it goes; it never fails the stream. With
   * `{ attachments: "names" }` attachments stay at the server, and the stream yields `MessageOutline`s.
   */
  readonly messages: ReadMessages<MailError>
  /** One message, fetched and parsed. Concurrent calls share a command. Fails with `MessageNotFound`, `MailboxChanged`. */
  readonly message: (ref: MessageRef) => Effect.Effect<Message, MailError>
  /** The octets of a message as stored, page by page. */
  readonly source: (ref: MessageRef) => Stream.Stream<Uint8Array, MailError>
  /** The decoded octets of one part, page by page; `part` is a section number of the structure, e.g. "2" or "1.2". */
  readonly attachment: (ref: MessageRef, part: string) => Stream.Stream<Uint8Array, MailError>

  /** Changes flags. Answers those of the messages that are there; fails with `MessageNotFound` if none is. */
  readonly flag: (messages: Messages, change: FlagOptions) => Effect.Effect<MessageSet, MailError>
  /** Copies messages. Answers where they are in the target, where the server tells (UIDPLUS). */
  readonly copy: (messages: Messages, to: string) => Effect.Effect<Option.Option<MessageSet>, MailError>
  /** Moves messages; other messages are never touched. Answers where they are in the target, where the server tells. */
  readonly move: (messages: Messages, to: string) => Effect.Effect<Option.Option<MessageSet>, MailError>
  /** Removes messages: into the trash, or for ever. Answers those that were there. Other messages are never touched. */
  readonly remove: (messages: Messages, options?: RemoveOptions) => Effect.Effect<MessageSet, MailError>
  /** Files a message. Answers its place, where the server tells. Fails with `QuotaExceeded`, `TooLarge`, `MailboxNotFound`. */
  readonly append: (
    mailbox: string,
    message: Draft | Uint8Array,
    options?: AppendOptions
  ) => Effect.Effect<Option.Option<MessageRef>, MailError>

  /**
   * What happened in a mailbox since a cursor, and the cursor to store with it. Without a cursor nothing is told, and
   * the answer is where to go on from; from `Cursor.start` every message is told as arrived. Fails with
   * `MailboxNotFound`.
   */
  readonly changes: (mailbox: string, since?: Cursor) => Effect.Effect<Changes, MailError>
  /**
   * The same for as long as the stream is run: first what happened since the cursor, which may be nothing, then each
   * further change soon after it happens. Lost connections are replaced; store the cursor with the effects of each
   * batch, and a restarted program goes on where it was: nothing lost, nothing repeated. Fails only for reasons that
   * do not heal. One idle connection listens for all watchers of a mailbox, and leaves for any other request.
   */
  readonly watch: (mailbox: string, options?: WatchOptions) => Stream.Stream<Changes, MailError>

  /**
   * Sends a message, at most once. Fails with `OutcomeUnknown` where nobody can know whether the server took it; after
   * any other reason it has not. Refused recipients, unless all are, are part of the receipt, and so is the sender's
   * copy. Interrupted after the end of the message was written, it waits two seconds for the answer.
   */
  readonly send: (draft: Draft, options?: SendingOptions) => Effect.Effect<Receipt, MailError>
  /**
   * Sends many, over as many connections as `limits.smtpConnections` allows, within the rate windows, composing ahead
   * while others are sent; drafts are taken as there is room. Each has its own result, and no failure of one ends the
   * stream: it fails only as `drafts` does. Ending it early interrupts those under way, whose results nobody sees.
   */
  readonly sendAll: <E = never, R = never>(
    drafts: Stream.Stream<Draft, E, R> | Iterable<Draft>,
    options?: SendAllOptions
  ) => Stream.Stream<SendResult, E, R>
  /**
   * After `OutcomeUnknown`: looks for the message in the mailbox for sent mail, at once and, while it is not there, after
   * 1, 2, 4 and 8 seconds. `NotFound` means that it was not sent only where the server files sent mail itself. Fails
   * with `Unsupported` where there is no such mailbox.
   */
  readonly reconcile: (messageId: string) => Effect.Effect<Delivery, MailError>

  /**
   * Several steps in one mailbox on one connection, which nobody else uses meanwhile. Whatever `use` asks of the account
   * itself runs on that connection too, so it cannot wait for itself, whatever the cap. Nothing is repeated: where the
   * connection is lost, the step fails with `ConnectionLost`. Errors and requirements of `use` are its own; fibers that it
   * forks as its children end with it.
   */
  readonly withMailbox: <A, E, R>(
    mailbox: string,
    use: (mailbox: OpenMailbox.OpenMailbox) => Effect.Effect<A, E, R>,
    options?: OpenOptions
  ) => Effect.Effect<A, E | MailError, R>

  /** Connections by state, queues, agents, rate windows and cooldown, at this moment. Asks no server. */
  readonly stats: Effect.Effect<AccountStats>
}>()("effect-mail/account/MailAccount") {
  /** An account with the library's own drivers. Nothing is opened until it is needed. */
  static readonly layer = (config: AccountConfig, options?: AccountOptions): Layer.Layer<MailAccount> =>
    this.layerNoDeps(config, options).pipe(Layer.provide([imapflow.layer, nodemailer.layerSmtp]))

  /** The same, with its configuration from a `Config`, e.g. `Config.schema(AccountConfig, "account")`. */
  static readonly layerConfig = (
    config: Config.Config<AccountConfig>,
    options?: AccountOptions
  ): Layer.Layer<MailAccount, Config.ConfigError> =>
    Layer.unwrap(Effect.map(config, (config) => this.layer(config, options)))

  /** The same, configured by environment variables: the README lists them. */
  static readonly layerFromEnv: Layer.Layer<MailAccount, Config.ConfigError> = Layer.unwrap(
    Effect.map(Environment.config, (config) => MailAccount.layer(config))
  )

  /** An account whose drivers come from the environment: another implementation, or `MemoryMail` in a test. */
  static readonly layerNoDeps = (
    config: AccountConfig,
    options?: AccountOptions
  ): Layer.Layer<MailAccount, never, ImapDriver | SmtpDriver> =>
    Layer.effect(this, make(config, options)).pipe(Layer.provide([mailparser.layer, nodemailer.layerComposer]))
}

/** An account in the scope of this call: what the layers are made of, without a layer's own cost. */
export const make = Effect.fnUntraced(function*(config: AccountConfig, options?: AccountOptions) {
  const operations = yield* Operations.make(config, options?.retry ?? RetryPolicy.default)
  const parts = new Parts(operations, yield* MessageParser, yield* MessageComposer)
  const calls = new PublicCalls(config.name)

  const account: MailAccount["Service"] = {
    name: config.name,
    capabilities: Effect.suspend(() =>
      calls.operation("MailAccount.capabilities", undefined, () => parts.mailboxes.capabilities)
    ),

    mailboxes: (options) => calls.operation("MailAccount.mailboxes", undefined, () => parts.mailboxes.list(options)),
    status: (mailbox) => calls.onMailbox("MailAccount.status", mailbox, (path) => parts.mailboxes.status(path)),
    createMailbox: (mailbox) =>
      calls.onMailbox("MailAccount.createMailbox", mailbox, (path) => parts.mailboxes.create(path)),
    renameMailbox: (from, to) =>
      calls.onMailbox("MailAccount.renameMailbox", from, (path) => parts.mailboxes.rename(path, to)),
    deleteMailbox: (mailbox) =>
      calls.onMailbox("MailAccount.deleteMailbox", mailbox, (path) => parts.mailboxes.delete(path)),
    subscribe: (mailbox) =>
      calls.onMailbox("MailAccount.subscribe", mailbox, (path) => parts.mailboxes.subscribe(path)),
    unsubscribe: (mailbox) =>
      calls.onMailbox("MailAccount.unsubscribe", mailbox, (path) => parts.mailboxes.unsubscribe(path)),
    quota: (mailbox) =>
      calls.operation(
        "MailAccount.quota",
        mailbox === undefined ? undefined : mailboxName(mailbox),
        () => parts.mailboxes.quota(mailbox ?? "INBOX")
      ),

    search: (query) => calls.operation("MailAccount.search", query.mailbox, () => parts.reading.search(query)),
    envelopes: (messages, options) =>
      calls.streaming("MailAccount.envelopes", mailboxOf(messages), parts.reading.envelopes(messages, options)),
    threads: (messages) =>
      calls.operation("MailAccount.threads", mailboxOf(messages), () => parts.reading.threads(messages)),
    fetch: (messages, items, options) =>
      calls.streaming("MailAccount.fetch", mailboxOf(messages), parts.reading.fetch(messages, items, options)),
    messages: readMessages(
      (messages, options) =>
        calls.streaming("MailAccount.messages", mailboxOf(messages), parts.reading.messages(messages, options)),
      (messages, options) =>
        calls.streaming("MailAccount.messages", mailboxOf(messages), parts.reading.outlines(messages, options))
    ),
    message: (ref) => calls.operation("MailAccount.message", ref.mailbox, () => parts.reading.message(toRef(ref))),
    source: (ref) => calls.streaming("MailAccount.source", ref.mailbox, parts.reading.source(toRef(ref))),
    attachment: (ref, part) =>
      calls.streaming("MailAccount.attachment", ref.mailbox, parts.reading.attachment(toRef(ref), part)),

    flag: (messages, change) =>
      calls.operation(
        "MailAccount.flag",
        mailboxOf(messages),
        () => onSet(messages, MessageSet.empty, (set) => parts.changing.flag(set, change))
      ),
    copy: (messages, to) =>
      calls.operation(
        "MailAccount.copy",
        mailboxOf(messages),
        () => onSet(messages, Option.none(), (set) => parts.changing.copy(set, mailboxName(to)))
      ),
    move: (messages, to) =>
      calls.operation(
        "MailAccount.move",
        mailboxOf(messages),
        () => onSet(messages, Option.none(), (set) => parts.changing.move(set, mailboxName(to)))
      ),
    remove: (messages, options) =>
      calls.operation(
        "MailAccount.remove",
        mailboxOf(messages),
        () => onSet(messages, MessageSet.empty, (set) => parts.changing.remove(set, options))
      ),
    append: (mailbox, message, options) =>
      calls.onMailbox("MailAccount.append", mailbox, (path) =>
        Effect.flatMap(
          parts.sending.toSource(message),
          ({ messageId, source }) =>
            parts.changing.append(path, source, messageId, {
              flags: options?.flags ?? [],
              ...(options?.internalDate === undefined ? {} : { internalDate: options.internalDate })
            })
        )),

    changes: (mailbox, since) =>
      calls.onMailbox("MailAccount.changes", mailbox, (path) => parts.watching.changes(path, since)),
    watch: (mailbox, options) =>
      calls.streaming("MailAccount.watch", mailboxName(mailbox), parts.watching.watch(mailbox, options)),

    send: (draft, options) => calls.operation("MailAccount.send", undefined, () => parts.outbox.send(draft, options)),
    sendAll: (drafts, options) =>
      Stream.withSpan(
        parts.outbox.sendAll(
          Stream.isStream(drafts) ? drafts : Stream.fromIterable(drafts),
          (draft, options) =>
            calls.operation("MailAccount.send", undefined, () => parts.outbox.sendOneOfMany(draft, options)),
          options
        ),
        "MailAccount.sendAll"
      ),
    reconcile: (messageId) =>
      calls.operation("MailAccount.reconcile", undefined, () => parts.reconciliation.reconcile(messageId)),
    stats: Effect.suspend(() => statsOf(operations)),

    withMailbox: (mailbox, use, options) =>
      OpenMailbox.make(operations, account, calls.toMailError)(mailboxName(mailbox), use, options).pipe(
        Effect.provideService(CurrentOperation, "withMailbox"),
        Effect.withSpan("MailAccount.withMailbox", {
          attributes: { "mail.account": config.name, "mail.mailbox": mailboxName(mailbox) }
        })
      )
  }
  return MailAccount.of(account)
})

const statsOf = ({ imap, rates, smtp }: Operations.Operations): Effect.Effect<AccountStats> =>
  Effect.map(Effect.all([rates.usage, rates.waiting]), ([usage, waiting]) => ({
    imap: imap.observe(),
    smtp: smtp.observe(),
    rates: usage,
    waitingForRates: waiting
  }))

const readMessages = (
  whole: (messages: Query | Messages, options?: MessageOptions) => Stream.Stream<Message, MailError>,
  outlined: (messages: Query | Messages, options?: MessageOptions) => Stream.Stream<MessageOutline, MailError>
): ReadMessages<MailError> => {
  function read(
    messages: Query | Messages,
    options: MessageOptions & { readonly attachments: "names" }
  ): Stream.Stream<MessageOutline, MailError>
  function read(messages: Query | Messages, options?: MessageOptions): Stream.Stream<Message, MailError>
  function read(messages: Query | Messages, options?: MessageOptions) {
    return options?.attachments === "names" ? outlined(messages, options) : whole(messages, options)
  }
  return read
}
