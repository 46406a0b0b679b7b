/**
 * Changing what a mailbox holds: flags, copies, moves, removal, new messages. What is repeated after a lost connection
 * follows one rule: what may have taken place is looked for before it is done again, and where it cannot be told, the
 * caller is told so (`OutcomeUnknown`).
 */
import { Effect, Option } from "effect"
import { inLines } from "../domain/CommandLine.ts"
import { isFlag } from "../domain/Flag.ts"
import {
  InvalidInput,
  mayHaveTakenPlace,
  MessageNotFound,
  OutcomeUnknown,
  type Reason,
  Unsupported
} from "../domain/MailError.ts"
import { MessageRef, MessageSet } from "../domain/MessageSet.ts"
import type { AppendOptions, CopyResult, FlagChange, ImapConnection } from "../driver/ImapDriver.ts"
import type { Mailboxes } from "./Mailboxes.ts"
import { type Operations, unwritten } from "./Operations.ts"

/** Exactly one of `add`, `remove` and `set`: flags as the server writes them ("\\Seen", "$Forwarded"). */
export interface FlagOptions {
  readonly add?: ReadonlyArray<string> | undefined
  readonly remove?: ReadonlyArray<string> | undefined
  readonly set?: ReadonlyArray<string> | undefined
}

export interface RemoveOptions {
  /** Into the mailbox of special use "trash" (default; what is there already is expunged), or out for ever. */
  readonly to?: "trash" | "expunge" | undefined
}

/** Which messages were copied or moved, and where they are now, as far as the server told. */
interface Transferred {
  readonly messages: MessageSet
  readonly at: Option.Option<MessageSet>
}

/** Messages changed by one command, at most. */
const commandSize = 1_000

export const make = (operations: Operations, mailboxes: Mailboxes) => {
  const { arrivals, inMailbox, onConnection, retrying } = operations

  /** Notes what was filed, so that every connection will know of it. */
  const noting = (at: Option.Option<MessageSet>) =>
    Effect.sync(() => {
      if (Option.isSome(at) && !at.value.isEmpty) {
        arrivals.filed(at.value.mailbox, at.value.uidValidity, at.value.uids.at(-1) ?? 0)
      }
    })

  /** A change of what is there, noted so that every connection will know of it before it searches. */
  const changing = <A>(
    connection: ImapConnection,
    { mailbox, uidValidity }: MessageSet,
    change: Effect.Effect<A, Reason>
  ): Effect.Effect<A, Reason> =>
    Effect.ensuring(change, Effect.sync(() => arrivals.changed(mailbox, uidValidity, connection.selected())))

  // --- flags

  const flag = (set: MessageSet, options: FlagOptions): Effect.Effect<MessageSet, Reason> =>
    Effect.flatMap(
      toChange(options),
      (change) =>
        inChunks(set, (chunk) =>
          retrying("change")(inMailbox(set, (connection) =>
            Effect.andThen(
              changing(connection, chunk, connection.store(chunk.toRange(), change)),
              present(connection, chunk)
            ))))
    )

  // --- copies

  const copy = (set: MessageSet, to: string): Effect.Effect<Option.Option<MessageSet>, Reason> =>
    Effect.map(transferInChunks(set, (chunk) => copyChunk(chunk, to)), ({ at }) => at)

  const copyChunk = (set: MessageSet, to: string): Effect.Effect<Transferred, Reason> =>
    retrying("unwritten")(Effect.gen(function*() {
      const before = yield* asking(onConnection((connection) => mailboxes.statusOn(connection, to)))
      const originals = yield* asking(
        inMailbox(set, (connection) => connection.fetch(set.toRange(), { envelope: true }))
      )
      const messages = set.with(originals.map(({ uid }) => uid))
      if (messages.isEmpty) return { messages, at: Option.some(messages) }
      const at = yield* inMailbox(set, (connection) =>
        Effect.tap(
          connection.copy(messages.toRange(), to),
          (result) => result === undefined ? stillThere(connection, messages) : Effect.void
        )).pipe(
          Effect.map((result) => landed(to, result)),
          Effect.tap(noting),
          Effect.catchIf(mayHaveTakenPlace, (reason) =>
            verify({
              mailbox: to,
              uidValidity: before.uidValidity,
              from: before.uidNext,
              messageIds: originals.map(({ envelope }) => envelope?.messageId),
              reason
            }))
        )
      return { messages, at }
    }))

  // --- moves: what has gone from the source is done

  const move = (set: MessageSet, to: string): Effect.Effect<Option.Option<MessageSet>, Reason> =>
    Effect.map(moveAll(set, to), ({ at }) => at)

  const moveAll = (set: MessageSet, to: string) => transferInChunks(set, (chunk) => moveChunk(chunk, to))

  const moveChunk = (set: MessageSet, to: string): Effect.Effect<Transferred, Reason> =>
    Effect.suspend(() => {
      let begun: MessageSet | undefined
      const copied = { messages: set.with([]) }
      return retrying("change")(inMailbox(set, (connection) =>
        Effect.gen(function*() {
          const here = yield* present(connection, set)
          const messages = begun ?? here
          // a repetition knows only where those are that it moved itself
          const isRepeated = begun !== undefined
          begun = messages
          if (here.isEmpty) return { messages, at: isRepeated ? Option.none() : Option.some(here) }
          const result = yield* changing(connection, here, moveOn(connection, here, to, copied))
          const at = landed(to, result)
          yield* noting(at)
          return { messages, at: isRepeated ? Option.none() : at }
        })))
    })

  /** `copied` is kept over repetitions: what was copied already is not copied again, only taken away. */
  const moveOn = (
    connection: ImapConnection,
    set: MessageSet,
    to: string,
    copied: { messages: MessageSet }
  ): Effect.Effect<CopyResult, Reason> => {
    const { capabilities } = connection
    if (capabilities.has("MOVE")) return connection.move(set.toRange(), to)
    if (!canMove(capabilities)) return Effect.fail(movesNothing())
    const left = set.difference(copied.messages)
    const copy = left.isEmpty ? Effect.undefined : connection.copy(left.toRange(), to).pipe(
      Effect.catchIf(mayHaveTakenPlace, (reason) => Effect.fail(unknown(reason))),
      Effect.tap(() => Effect.sync(() => void (copied.messages = copied.messages.union(left))))
    )
    return Effect.tap(copy, () => connection.expunge(set.toRange()))
  }

  // --- removal

  const remove = (set: MessageSet, options?: RemoveOptions): Effect.Effect<MessageSet, Reason> =>
    Effect.gen(function*() {
      const trash = options?.to === "expunge" ? Option.none() : yield* mailboxes.bySpecialUse("trash")
      if (Option.isNone(trash) && options?.to !== "expunge") {
        return yield* noTrash()
      }
      if (Option.isNone(trash) || trash.value.path === set.mailbox) return yield* expunge(set)
      return (yield* moveAll(set, trash.value.path)).messages
    })

  const expunge = (set: MessageSet): Effect.Effect<MessageSet, Reason> =>
    inChunks(set, (chunk) =>
      Effect.suspend(() => {
        let removing = chunk.with([])
        return retrying("change")(inMailbox(set, (connection) =>
          Effect.gen(function*() {
            const here = yield* present(connection, chunk)
            if (removing.isEmpty && here.isEmpty) return here
            removing = removing.union(here)
            if (!here.isEmpty) yield* changing(connection, here, connection.expunge(here.toRange()))
            return removing
          })))
      }))

  // --- new messages

  const append = (
    mailbox: string,
    source: Uint8Array,
    messageId: string | undefined,
    options: AppendOptions
  ): Effect.Effect<Option.Option<MessageRef>, Reason> =>
    Effect.andThen(
      checkedAppend(options),
      retrying("unwritten")(Effect.gen(function*() {
        const before = messageId === undefined
          ? undefined
          : yield* asking(onConnection((connection) => mailboxes.statusOn(connection, mailbox)))
        return yield* onConnection(
          (connection) => connection.append(mailbox, source, options),
          { octets: source.length }
        ).pipe(
          Effect.map((place) => Option.map(Option.fromUndefinedOr(place), (at) => new MessageRef({ mailbox, ...at }))),
          Effect.tap((at) =>
            noting(Option.map(at, ({ uid, uidValidity }) => MessageSet.of(mailbox, uidValidity, [uid])))
          ),
          Effect.catchIf(mayHaveTakenPlace, (reason) =>
            before === undefined ? Effect.fail(unknown(reason)) : Effect.map(
              verify({
                mailbox,
                uidValidity: before.uidValidity,
                from: before.uidNext,
                messageIds: [messageId],
                reason
              }),
              Option.flatMap((set) => Option.fromUndefinedOr(set.refs[0]))
            ))
        )
      }))
    )

  /**
   * After a command whose answer was lost: all of these messages are in the mailbox now, so it took place; otherwise it
   * cannot be told. That none is there yet proves nothing: a server may still be at it after the connection has gone.
   */
  const verify = (looked: {
    readonly mailbox: string
    readonly uidValidity: number
    readonly from: number
    readonly messageIds: ReadonlyArray<string | undefined>
    readonly reason: Reason
  }): Effect.Effect<Option.Option<MessageSet>, Reason> =>
    Effect.forEach(inGroups(looked.messageIds, lookedForAtOnce), (messageIds) =>
      retrying("always")(
        inMailbox({ ...looked, uid: Infinity }, (connection) =>
          Effect.forEach(messageIds, (messageId) =>
            messageId === undefined ? Effect.fail(unknown(looked.reason)) : Effect.flatMap(
              connection.search({
                _tag: "And",
                keys: [
                  { _tag: "Sequence", uid: true, range: `${looked.from}:*` },
                  { _tag: "Header", name: "Message-ID", value: messageId }
                ]
              }),
              (uids) => {
                // "n:*" always names the last message too, RFC 9051 9 (seq-range)
                const found = uids.find((uid) =>
                  uid >= looked.from
                )
                return found === undefined ? Effect.fail(unknown(looked.reason)) : Effect.succeed(found)
              }
            )))
      )).pipe(
        Effect.mapError(() => unknown(looked.reason)),
        Effect.map((uids) => Option.some(MessageSet.of(looked.mailbox, looked.uidValidity, uids.flat())))
      )

  return { flag, copy, move, remove, append }
}

export type Changing = ReturnType<typeof make>

// --- what is impossible, also for who only plans it

/** Without these a move would expunge what it was not told to. */
export const canMove = (capabilities: ReadonlySet<string>): boolean =>
  capabilities.has("MOVE") || capabilities.has("UIDPLUS")

export const movesNothing = () =>
  new Unsupported({ capability: "MOVE", detail: "without MOVE and UIDPLUS other messages could be expunged too" })

export const canExpunge = (capabilities: ReadonlySet<string>): boolean => capabilities.has("UIDPLUS")

export const expungesNothing = () =>
  new Unsupported({ capability: "UIDPLUS", detail: "without UIDPLUS messages nobody named would be expunged too" })

export const noTrash = () =>
  new Unsupported({
    capability: "\\Trash",
    detail: "no mailbox is marked as trash; use { to: \"expunge\" } to remove for ever, or move()"
  })

export const toChange = ({ add, remove, set }: FlagOptions): Effect.Effect<FlagChange, InvalidInput> => {
  const changes: Array<FlagChange> = []
  if (add !== undefined) changes.push({ mode: "add", flags: add })
  if (remove !== undefined) changes.push({ mode: "remove", flags: remove })
  if (set !== undefined) changes.push({ mode: "set", flags: set })
  const [change, ...others] = changes
  if (change === undefined || others.length > 0) {
    return Effect.fail(new InvalidInput({ field: "flags", problem: "give one of add, remove and set" }))
  }
  return Effect.as(checkedFlags(change.flags), change)
}

const checkedFlags = (flags: ReadonlyArray<string>): Effect.Effect<void, InvalidInput> => {
  const odd = flags.find((flag) => !isFlag(flag))
  return odd === undefined
    ? Effect.void
    : Effect.fail(new InvalidInput({ field: "flags", problem: `${JSON.stringify(odd)} is no flag` }))
}

export const checkedAppend = ({ flags, internalDate }: AppendOptions): Effect.Effect<void, InvalidInput> =>
  internalDate !== undefined && !isWritable(internalDate)
    ? Effect.fail(new InvalidInput({ field: "internalDate", problem: "it is no date of the years 1 to 9999" }))
    : checkedFlags(flags)

/** A year has four digits (RFC 9051 9, date-year), whatever the time zone it is written in. */
const isWritable = (date: Date): boolean => {
  const year = date.getUTCFullYear()
  return year >= 1 && year <= 9999
}

/** Which of the messages are there: a server passes over UIDs that are not, without a word. */
const present = (connection: ImapConnection, set: MessageSet): Effect.Effect<MessageSet, Reason> =>
  Effect.map(
    connection.search({ _tag: "Sequence", uid: true, range: set.toRange() }),
    (uids) => set.with(uids.filter((uid) => set.has(uid)))
  )

/** A server with UIDPLUS that tells no place has copied nothing where the messages went just before (RFC 4315 3). */
const stillThere = (connection: ImapConnection, set: MessageSet): Effect.Effect<unknown, Reason> =>
  connection.capabilities.has("UIDPLUS")
    ? Effect.filterOrElse(present(connection, set), (left) => !left.isEmpty, () => missing(set))
    : Effect.void

const missing = (set: MessageSet) => Effect.fail(new MessageNotFound({ mailbox: set.mailbox, uids: [...set.uids] }))

/** The messages of one command after the other. */
const chunksOf = (set: MessageSet) => inLines(set.uids, commandSize).map((uids) => set.with(uids))

/** Applies a change chunk by chunk; of those asked for none may be there. */
const inChunks = (
  set: MessageSet,
  change: (chunk: MessageSet) => Effect.Effect<MessageSet, Reason>
): Effect.Effect<MessageSet, Reason> =>
  Effect.flatMap(Effect.forEach(chunksOf(set), change), (parts) => {
    const changed = set.with(parts.flatMap(({ uids }) => uids))
    return changed.isEmpty && !set.isEmpty ? missing(set) : Effect.succeed(changed)
  })

/** Copies or moves chunk by chunk; of those asked for none may be there. */
const transferInChunks = (
  set: MessageSet,
  transfer: (chunk: MessageSet) => Effect.Effect<Transferred, Reason>
): Effect.Effect<Transferred, Reason> =>
  Effect.flatMap(Effect.forEach(chunksOf(set), transfer), (parts) => {
    const messages = set.with(parts.flatMap((part) => part.messages.uids))
    return messages.isEmpty ? missing(set) : Effect.succeed({ messages, at: joined(parts.map(({ at }) => at)) })
  })

const landed = (mailbox: string, result: CopyResult): Option.Option<MessageSet> =>
  result === undefined
    ? Option.none()
    : Option.some(MessageSet.of(mailbox, result.uidValidity, result.uids.values()))

const joined = (parts: ReadonlyArray<Option.Option<MessageSet>>): Option.Option<MessageSet> =>
  Option.map(
    Option.all(parts),
    (sets) => {
      const [first = MessageSet.empty, ...others] = sets.filter((set) => !set.isEmpty)
      return others.reduce((set, other) => set.union(other), first)
    }
  )

/** Messages that are looked for on a connection before others have their turn on it. */
const lookedForAtOnce = 10

const inGroups = <A>(values: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(values.length / size) }, (_, group) => values.slice(group * size, (group + 1) * size))

/** A question in the course of a change: where it fails nothing has been done, and all of it may be tried again. */
const asking = <A>(question: Effect.Effect<A, Reason>): Effect.Effect<A, Reason> => Effect.mapError(question, unwritten)

const unknown = (reason: Reason): OutcomeUnknown => new OutcomeUnknown({ detail: reason.message })
