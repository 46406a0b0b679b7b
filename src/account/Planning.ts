/**
 * What each change of an account needs, asked of the account without changing it, and the step it becomes in a plan. A
 * check fails with the reason that the change itself would fail with. Nothing here is recorded: `Sandbox` does that.
 */
import { Clock, Duration, Effect, Option, Stream } from "effect"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { Draft } from "../domain/Draft.ts"
import type { Mailbox, MailboxStatus } from "../domain/Mailbox.ts"
import { badMailboxName, mailboxName } from "../domain/MailboxName.ts"
import {
  InvalidInput,
  MailboxNotFound,
  type MailError,
  MessageNotFound,
  QuotaExceeded,
  RateLimited,
  type Reason,
  Rejected,
  TooLarge
} from "../domain/MailError.ts"
import { MessageSet } from "../domain/MessageSet.ts"
import { wholeNumber } from "../domain/OptionCheck.ts"
import * as Plan from "../domain/Plan.ts"
import { Receipt } from "../domain/Receipt.ts"
import { withAttachmentBytes } from "../driver/AttachmentBytes.ts"
import type { MessageComposer } from "../driver/MessageComposer.ts"
import * as Changing from "./Changing.ts"
import type { FlagOptions, RemoveOptions } from "./Changing.ts"
import * as Composing from "./Composing.ts"
import type { MailAccount } from "./MailAccount.ts"
import type { AppendOptions } from "./OpenMailbox.ts"
import type { SendingOptions } from "./Outbox.ts"
import { startOf } from "./PlannedPace.ts"
import type { Place, PlannedState } from "./PlannedState.ts"
import { holding } from "./Sending.ts"

export interface SandboxOptions {
  /**
   * Octets of a message that is sent, which a server tells only to who sends: a whole number above 0, or a `TypeError`
   * when the layer is built; default: no limit.
   */
  readonly maxMessageBytes?: number | undefined
}

/** What would be done, how the account would be afterwards, and what the caller is answered. */
export interface Planned<A> {
  readonly step: Plan.PlanStep
  readonly after: PlannedState
  readonly answer: A
}

/** A change, checked against the account as the plan has left it so far. */
export type Check<A> = (state: PlannedState) => Effect.Effect<Planned<A>, Reason>

/** The `response` of a receipt for a message that was planned. */
export const plannedResponse = "planned in a sandbox; nothing was sent"

/** Messages of a step that a plan shows. */
const shownMessages = 3

export const make = (
  account: MailAccount["Service"],
  config: AccountConfig,
  composer: MessageComposer["Service"],
  options: SandboxOptions | undefined
) => {
  const composing = Composing.make(config, composer)
  const maxSent = wholeNumber("Sandbox: maxMessageBytes", options?.maxMessageBytes ?? Infinity)

  // --- what is there

  const reading = <A>(read: Effect.Effect<A, MailError>): Effect.Effect<A, Reason> =>
    Effect.mapError(read, ({ reason }) => reason)

  /** Makes the reason name the mailbox as the caller does: in the plan it may have another name than at the server. */
  const naming = <A>(mailbox: string, read: Effect.Effect<A, MailError>): Effect.Effect<A, Reason> =>
    Effect.catchTag(reading(read), "MailboxNotFound", () => Effect.fail(new MailboxNotFound({ mailbox })))

  const named = (mailbox: string): Effect.Effect<void, InvalidInput> => {
    const flaw = badMailboxName(mailbox)
    return flaw === undefined ? Effect.void : Effect.fail(flaw)
  }

  /** The counters of a mailbox that can hold messages; none where it is only planned. */
  const open = (state: PlannedState, mailbox: string): Effect.Effect<MailboxStatus | undefined, Reason> =>
    Effect.andThen(
      named(mailbox),
      Effect.suspend((): Effect.Effect<MailboxStatus | undefined, Reason> => {
        const place = state.resolve(mailbox)
        if (place._tag === "Absent") return Effect.fail(new MailboxNotFound({ mailbox }))
        return place._tag === "Planned" ? Effect.undefined : naming(mailbox, account.status(place.path))
      })
    )

  /** The mailbox as it is listed, if it is there, and the delimiter of the names of this account. */
  const find = (state: PlannedState, mailbox: string) =>
    Effect.map(Effect.andThen(named(mailbox), reading(account.mailboxes())), (listed) => {
      const place = state.resolve(mailbox)
      const found = place._tag === "Real" ? listed.find(({ path }) => mailboxName(path) === place.path) : undefined
      return {
        place,
        isThere: place._tag === "Planned" || found !== undefined,
        isSelectable: place._tag === "Planned" || found?.selectable === true,
        delimiter: (found ?? listed[0])?.delimiter ?? null
      }
    })

  const countIn = (state: PlannedState, place: Place): Effect.Effect<number, Reason> =>
    place._tag === "Real" && !state.isEmptied(place.path)
      ? Effect.map(reading(account.status(place.path)), ({ messages }) => state.messagesIn(place, messages))
      : Effect.succeed(state.messagesIn(place, 0))

  /** The messages that are there, their octets together, and the first of them. */
  const present = Effect.fnUntraced(function*(state: PlannedState, set: MessageSet) {
    const place = state.resolve(set.mailbox)
    if (place._tag === "Absent") return yield* new MailboxNotFound({ mailbox: set.mailbox })
    const uids: Array<number> = []
    const first: Array<Plan.PlannedMessage> = []
    let octets = 0
    const wanted = place._tag === "Real" ? state.remaining(place.path, set.uids) : []
    if (place._tag === "Real" && wanted.length > 0) {
      const there = MessageSet.of(place.path, set.uidValidity, wanted)
      yield* naming(
        set.mailbox,
        Stream.runForEach(
          account.fetch(there, { envelope: true, size: true }),
          ({ envelope, ref, size }) =>
            Effect.sync(() => {
              uids.push(ref.uid)
              octets += size
              if (first.length < shownMessages) first.push(toPlannedMessage(ref.uid, size, envelope))
            })
        )
      )
    }
    if (uids.length === 0) return yield* new MessageNotFound({ mailbox: set.mailbox, uids: [...set.uids] })
    return { messages: set.with(uids), octets, first, path: place._tag === "Real" ? place.path : set.mailbox }
  })

  /** Whether there is room for so many octets more, where the server keeps a quota. */
  const fits = Effect.fnUntraced(function*(state: PlannedState, mailbox: string, octets: number) {
    const place = state.resolve(mailbox)
    const quota = yield* reading(account.quota(place._tag === "Real" ? place.path : undefined))
    const storage = Option.getOrUndefined(quota)?.storage
    if (storage?.limit === undefined || storage.usage + state.octets + octets <= storage.limit) return
    return yield* new QuotaExceeded({
      response: `${storage.usage + state.octets} of ${storage.limit} octets are used, and ${octets} more are needed`
    })
  })

  // --- mailboxes

  const createMailbox = (mailbox: string): Check<void> => (state) =>
    Effect.map(find(state, mailbox), ({ isSelectable }) => ({
      step: new Plan.CreateMailbox({ mailbox, isThere: isSelectable }),
      after: isSelectable ? state : state.created(mailbox),
      answer: undefined
    }))

  const renameMailbox = (from: string, to: string): Check<void> =>
    Effect.fnUntraced(function*(state) {
      const source = yield* find(state, from)
      const target = yield* find(state, to)
      if (!source.isThere) return yield* new MailboxNotFound({ mailbox: from })
      if (target.isThere) return yield* rejected("ALREADYEXISTS", `there is a mailbox "${to}" already`)
      if (mailboxName(from) !== "INBOX" && source.delimiter !== null && to.startsWith(from + source.delimiter)) {
        return yield* rejected("CANNOT", `"${to}" is below "${from}"`)
      }
      const messages = mailboxName(from) === "INBOX" ? yield* countIn(state, source.place) : 0
      return {
        step: new Plan.RenameMailbox({ from, to }),
        after: state.renamed(from, to, source.delimiter, messages),
        answer: undefined
      }
    })

  const deleteMailbox = (mailbox: string): Check<void> =>
    Effect.fnUntraced(function*(state) {
      const { isThere, place } = yield* find(state, mailbox)
      if (!isThere) return { step: new Plan.DeleteMailbox({ mailbox }), after: state, answer: undefined }
      if (mailboxName(mailbox) === "INBOX") return yield* rejected("CANNOT", "INBOX cannot be deleted")
      const lost = yield* countIn(state, place)
      return { step: new Plan.DeleteMailbox({ mailbox, lost }), after: state.deleted(mailbox), answer: undefined }
    })

  const subscribe = (mailbox: string): Check<void> => (state) =>
    Effect.flatMap(find(state, mailbox), ({ isThere }) =>
      isThere
        ? Effect.succeed({ step: new Plan.Subscribe({ mailbox }), after: state, answer: undefined })
        : Effect.fail(new MailboxNotFound({ mailbox })))

  const unsubscribe = (mailbox: string): Check<void> => (state) =>
    Effect.as(named(mailbox), { step: new Plan.Unsubscribe({ mailbox }), after: state, answer: undefined })

  // --- messages

  const flag = (set: MessageSet, change: FlagOptions): Check<MessageSet> =>
    Effect.fnUntraced(function*(state) {
      const { flags, mode } = yield* Changing.toChange(change)
      const { first, messages } = yield* present(state, set)
      return { step: new Plan.Flag({ messages, first, [mode]: flags }), after: state, answer: messages }
    })

  const copy = (set: MessageSet, to: string): Check<Option.Option<MessageSet>> =>
    Effect.fnUntraced(function*(state) {
      yield* open(state, to)
      const { first, messages, octets } = yield* present(state, set)
      yield* fits(state, to, octets)
      return {
        step: new Plan.Copy({ messages, first, to }),
        after: state.withArrivals(to, messages.size).withOctets(octets),
        answer: Option.none()
      }
    })

  const move = (set: MessageSet, to: string): Check<Option.Option<MessageSet>> =>
    Effect.fnUntraced(function*(state) {
      const { first, messages, path } = yield* present(state, set)
      const capabilities = yield* reading(account.capabilities)
      if (!Changing.canMove(capabilities)) return yield* Changing.movesNothing()
      yield* open(state, to)
      return {
        step: new Plan.Move({ messages, first, to }),
        after: state.without(path, messages.uids).withArrivals(to, messages.size),
        answer: Option.none()
      }
    })

  const remove = (set: MessageSet, options?: RemoveOptions): Check<MessageSet> =>
    Effect.fnUntraced(function*(state) {
      const trash = options?.to === "expunge" ? undefined : yield* trashOf(state)
      if (trash !== undefined && trash !== set.mailbox) {
        const { after, step } = yield* move(set, trash)(state)
        const { first, messages } = step as Plan.Move // that is what it makes
        return { step: new Plan.Remove({ messages, first, trash }), after, answer: messages }
      }
      const { first, messages, octets, path } = yield* present(state, set)
      const capabilities = yield* reading(account.capabilities)
      if (!Changing.canExpunge(capabilities)) return yield* Changing.expungesNothing()
      return {
        step: new Plan.Remove({ messages, first }),
        after: state.without(path, messages.uids).withOctets(-octets),
        answer: messages
      }
    })

  const trashOf = Effect.fnUntraced(function*(state: PlannedState) {
    const isTrash = ({ specialUse }: Mailbox) => specialUse === "trash"
    const marked = (yield* reading(account.mailboxes())).find(isTrash)
    const name = marked === undefined ? undefined : state.nameOf(marked.path)
    return name ?? (yield* Changing.noTrash())
  })

  // --- new messages

  const append = Effect.fnUntraced(function*(
    mailbox: string,
    message: Draft | Uint8Array,
    options?: AppendOptions
  ): Effect.fn.Return<Check<Option.Option<never>>, Reason> {
    const source = message instanceof Draft
      ? (yield* composing.toFile(message)).source
      : message.slice()
    const { flags = [], internalDate } = options ?? {}
    yield* Changing.checkedAppend({ flags, ...(internalDate === undefined ? {} : { internalDate }) })
    const subject = message instanceof Draft ? message.subject : undefined
    const step = new Plan.Append({
      mailbox,
      source,
      flags,
      ...(subject === undefined ? {} : { subject }),
      ...(internalDate === undefined ? {} : { internalDate })
    })
    return Effect.fnUntraced(function*(state) {
      yield* open(state, mailbox)
      const limit = appendLimit(yield* reading(account.capabilities))
      if (limit !== undefined && source.length > limit) {
        return yield* new TooLarge({ size: source.length, limit, response: "APPENDLIMIT" })
      }
      yield* fits(state, mailbox, source.length)
      return { step, after: state.withArrivals(mailbox, 1).withOctets(source.length), answer: Option.none() }
    })
  })

  const send = Effect.fnUntraced(function*(
    given: Draft,
    sending?: SendingOptions
  ): Effect.fn.Return<Check<Receipt>, Reason> {
    yield* holding(sending?.hold)
    // what is attached is read once, and may not be there a second time
    const complete = yield* withAttachmentBytes(yield* composing.complete(given), config.limits.maxMessageBytes)
    const { attachments, ...rest } = complete
    const { envelope, messageId, source } = yield* composing.toSend(complete)
    const size = source.length
    if (size > maxSent) return yield* new TooLarge({ size, limit: maxSent })
    const costs = { send: 1, recipients: envelope.to.length, bytes: size }
    const { limits, smtp } = config
    return Effect.fnUntraced(function*(state) {
      const now = yield* Clock.currentTimeMillis
      const start = startOf(limits.rates, state.sends, costs, now)
      if (start instanceof InvalidInput) return yield* start
      const wait = Duration.millis(start.atMillis - now)
      if (start.atMillis > now && limits.onLimit === "fail") {
        return yield* new RateLimited({ scope: start.scope, retryAfter: wait })
      }
      if (smtp === undefined) {
        return yield* new InvalidInput({ field: "smtp", problem: "this account has no SMTP server" })
      }
      const step = new Plan.Send({
        draft: {
          ...rest,
          ...(attachments === undefined ? {} : { attachments: attachments.flatMap(selfContained) })
        },
        recipients: [...envelope.to],
        size,
        ...(start.atMillis > now ? { wait } : {}),
        options: deciding(sending)
      })
      return {
        step,
        after: state.withSend({ atMillis: start.atMillis, costs }),
        answer: new Receipt({ messageId, accepted: [], refused: [], response: plannedResponse, size })
      }
    })
  })

  return {
    createMailbox,
    renameMailbox,
    deleteMailbox,
    subscribe,
    unsubscribe,
    flag,
    copy,
    move,
    remove,
    append,
    send
  }
}

const rejected = (code: string, text: string) => new Rejected({ code, text, transient: false })

const toPlannedMessage = (
  uid: number,
  size: number,
  { from, subject }: { readonly from: ReadonlyArray<object>; readonly subject?: string }
) =>
  new Plan.PlannedMessage({
    uid,
    size,
    ...(subject === undefined ? {} : { subject }),
    ...(from[0] === undefined ? {} : { from: String(from[0]) })
  })

/** Nothing is left out: what is read from outside has been read. */
const selfContained = ({ content, ...rest }: NonNullable<Draft["attachments"]>[number]) =>
  "bytes" in content || "text" in content ? [{ ...rest, content }] : []

/** Of the options of `send`, those that decide what happens. */
const deciding = ({ allRecipients, dsn, hold, onUnknown, sentCopy }: SendingOptions = {}): Plan.Send["options"] => ({
  ...(allRecipients === undefined ? {} : { allRecipients }),
  ...(hold === undefined ? {} : { hold: hold === "round trip" ? hold : Duration.fromInputUnsafe(hold) }),
  ...(dsn === undefined ? {} : { dsn }),
  ...(onUnknown === undefined ? {} : { onUnknown }),
  ...(sentCopy === undefined ? {} : { sentCopy })
})

/** The largest message the server takes by APPEND (RFC 7889). */
const appendLimit = (capabilities: ReadonlySet<string>): number | undefined => {
  for (const capability of capabilities) {
    const [, limit] = /^APPENDLIMIT=(\d+)$/.exec(capability) ?? []
    if (limit !== undefined) return Number(limit)
  }
  return undefined
}
