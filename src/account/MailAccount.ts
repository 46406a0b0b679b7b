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
import * as Changing from "./Changing.ts"
import type { FlagOptions, RemoveOptions } from "./Changing.ts"
import * as Environment from "./Environment.ts"
import * as Mailboxes from "./Mailboxes.ts"
import type { ListOptions } from "./Mailboxes.ts"
import { mailboxOf, onSet } from "./OneMailbox.ts"
import * as OpenMailbox from "./OpenMailbox.ts"
import type { AppendOptions, OpenOptions } from "./OpenMailbox.ts"
import * as Operations from "./Operations.ts"
import * as Outbox from "./Outbox.ts"
import type { SendAllOptions, SendingOptions, SendResult } from "./Outbox.ts"
import * as PublicCalls from "./PublicCalls.ts"
import * as Reading from "./Reading.ts"
import type { BatchOptions, EnvelopeOptions, MessageOptions, ReadMessages } from "./Reading.ts"
import * as Reconciliation from "./Reconciliation.ts"
import * as Sending from "./Sending.ts"
import * as SentCopy from "./SentCopy.ts"
import * as SentMailbox from "./SentMailbox.ts"
import * as Watch from "./Watch.ts"
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

  /** Which messages match. Fails with `InvalidInput` for a query no server can be asked, `MailboxNotFound`. */
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
   * connection is lost, the step fails with `ConnectionLost`. Errors and requirements of `use` are its own.
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

  /** The same, configured by the environment variables that `account/Environment.ts` lists. */
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
  const mailboxes = yield* Mailboxes.make(operations)
  const reading = Reading.make(operations, yield* MessageParser)
  const changing = Changing.make(operations, mailboxes)
  const watching = Watch.make(operations)
  const sending = Sending.make(operations, yield* MessageComposer)
  const sentMailbox = SentMailbox.make(operations, mailboxes)
  const reconciliation = Reconciliation.make(sentMailbox)
  const copies = SentCopy.make(config, changing, sentMailbox, reconciliation)
  const outbox = Outbox.make(operations, sending, reconciliation, copies)

  const { onMailbox, operation, streaming, toMailError } = PublicCalls.make(config.name)

  const ofMessages = (messages: Messages) => mailboxOf(messages)

  const sendOne = operation("MailAccount.send", outbox.sendOneOfMany)

  const account: Omit<MailAccount["Service"], "withMailbox"> = {
    name: config.name,
    capabilities: operation("MailAccount.capabilities", () => mailboxes.capabilities)(),

    mailboxes: operation("MailAccount.mailboxes", mailboxes.list),
    status: onMailbox("MailAccount.status", mailboxes.status),
    createMailbox: onMailbox("MailAccount.createMailbox", mailboxes.create),
    renameMailbox: onMailbox("MailAccount.renameMailbox", mailboxes.rename),
    deleteMailbox: onMailbox("MailAccount.deleteMailbox", mailboxes.delete),
    subscribe: onMailbox("MailAccount.subscribe", mailboxes.subscribe),
    unsubscribe: onMailbox("MailAccount.unsubscribe", mailboxes.unsubscribe),
    quota: operation(
      "MailAccount.quota",
      (mailbox?: string) => mailboxes.quota(mailbox ?? "INBOX"),
      (mailbox) => mailbox === undefined ? undefined : mailboxName(mailbox)
    ),

    search: operation("MailAccount.search", reading.search, (query) => query.mailbox),
    envelopes: (messages, options) =>
      streaming("MailAccount.envelopes", reading.envelopes(messages, options), mailboxOf(messages)),
    threads: operation("MailAccount.threads", reading.threads, mailboxOf),
    fetch: (messages, items, options) =>
      streaming("MailAccount.fetch", reading.fetch(messages, items, options), mailboxOf(messages)),
    messages: readMessages(
      (messages, options) =>
        streaming("MailAccount.messages", reading.messages(messages, options), mailboxOf(messages)),
      (messages, options) => streaming("MailAccount.messages", reading.outlines(messages, options), mailboxOf(messages))
    ),
    message: operation("MailAccount.message", (ref: MessageRef) => reading.message(toRef(ref)), (ref) => ref.mailbox),
    source: (ref) => streaming("MailAccount.source", reading.source(toRef(ref)), ref.mailbox),
    attachment: (ref, part) => streaming("MailAccount.attachment", reading.attachment(toRef(ref), part), ref.mailbox),

    flag: operation(
      "MailAccount.flag",
      (messages: Messages, change: FlagOptions) =>
        onSet(messages, MessageSet.empty, (set) => changing.flag(set, change)),
      ofMessages
    ),
    copy: operation(
      "MailAccount.copy",
      (messages: Messages, to: string) => onSet(messages, Option.none(), (set) => changing.copy(set, mailboxName(to))),
      ofMessages
    ),
    move: operation(
      "MailAccount.move",
      (messages: Messages, to: string) => onSet(messages, Option.none(), (set) => changing.move(set, mailboxName(to))),
      ofMessages
    ),
    remove: operation(
      "MailAccount.remove",
      (messages: Messages, options?: RemoveOptions) =>
        onSet(messages, MessageSet.empty, (set) => changing.remove(set, options)),
      ofMessages
    ),
    append: onMailbox(
      "MailAccount.append",
      (mailbox: string, message: Draft | Uint8Array, options?: AppendOptions) =>
        Effect.flatMap(
          sending.toSource(message),
          ({ messageId, source }) =>
            changing.append(mailbox, source, messageId, {
              flags: options?.flags ?? [],
              ...(options?.internalDate === undefined ? {} : { internalDate: options.internalDate })
            })
        )
    ),

    changes: onMailbox("MailAccount.changes", watching.changes),
    watch: (mailbox, options) => streaming("MailAccount.watch", watching.watch(mailbox, options), mailboxName(mailbox)),

    send: operation("MailAccount.send", outbox.send),
    sendAll: (drafts, options) =>
      Stream.withSpan(
        outbox.sendAll(Stream.isStream(drafts) ? drafts : Stream.fromIterable(drafts), sendOne, options),
        "MailAccount.sendAll"
      ),
    reconcile: operation("MailAccount.reconcile", reconciliation.reconcile),
    stats: Effect.gen(function*() {
      return {
        imap: operations.imap.observe(),
        smtp: operations.smtp.observe(),
        rates: yield* operations.rates.usage,
        waitingForRates: yield* operations.rates.waiting
      }
    })
  }

  const withMailbox = OpenMailbox.make(operations, account, toMailError)
  return MailAccount.of({
    ...account,
    withMailbox: (mailbox, use, options) =>
      withMailbox(mailboxName(mailbox), use, options).pipe(
        Effect.provideService(CurrentOperation, "withMailbox"),
        Effect.withSpan("MailAccount.withMailbox", {
          attributes: { "mail.account": config.name, "mail.mailbox": mailboxName(mailbox) }
        })
      )
  })
})

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
