/**
 * Rows of many messages: chunks planned ahead of the consumer, commands shared with whoever asks for the same at the same
 * moment, long sources completed. Knows nothing of what is made of the rows.
 */
import { Duration, Effect, Exit, Latch, Stream } from "effect"
import type { FetchItems } from "../domain/Fetch.ts"
import { MessageNotFound, type Reason } from "../domain/MailError.ts"
import { type MessageSet, toRange } from "../domain/MessageSet.ts"
import type { FetchedRow, ImapConnection } from "../driver/ImapDriver.ts"
import { steadyTime } from "../driver/SteadyTime.ts"
import { ChunkPlan } from "./ChunkPlan.ts"
import * as LongSources from "./LongSources.ts"
import type { Wanted } from "./LongSources.ts"
import type { Operations } from "./Operations.ts"
import { octetsKnown, octetsOfAll } from "./RowOctets.ts"

/** How a stream of messages is read. */
export interface BatchOptions {
  /** Yield messages as they arrive rather than in the order of their UIDs. */
  readonly unordered?: boolean | undefined
  /** What to do about messages that are gone by the time they are read: pass over them (default), or fail with `MessageNotFound`. */
  readonly missing?: "skip" | "fail" | undefined
}

/** Octets of a single message that are fetched together with others; what is longer is completed afterwards. */
const sharedSourceLimit = 64 * 1024

/** The part of the bound on a command's time that a chunk is planned for. */
const timeShare = 1 / 6

/** Rows, and how long their command took, without the wait for a connection. */
interface Answer {
  readonly found: ReadonlyArray<FetchedRow>
  readonly millis: number
}

/** Rows with what was asked for. */
interface Chunk extends Answer {
  readonly wanted: Wanted
}

export const make = (operations: Operations) => {
  const { config, retrying } = operations
  const { complete, completeOne } = LongSources.make(operations)
  const always = retrying("always")
  const answerLimit = Math.max(config.limits.maxMessageBytes, config.limits.batchBytes)

  const share = operations.sharing<ReadonlyArray<number>, Answer>()

  /** One attempt at one command, for all who ask for the same at the same moment, or alone. */
  const rows = (wanted: Wanted, uids: ReadonlyArray<number>, alone: boolean): Effect.Effect<Answer, Reason> =>
    share(
      wanted,
      {
        key: alone ? `${uids[0]} ${keyOf(wanted)}` : keyOf(wanted),
        size: uids.length,
        uid: uids.at(-1) ?? 0,
        payload: uids,
        octetsOf: ({ found }) => octetsOfAll(found)
      },
      (connection, payloads) => fetchApart(connection, wanted, payloads, answerLimit)
    )

  /** The row of one message: where others have made the answer too large, it is asked for alone. */
  const rowOf = (wanted: Wanted, uid: number) =>
    Effect.catchTag(always(rows(wanted, [uid], false)), "TooLarge", () => always(rows(wanted, [uid], true)))

  /**
   * Rows of one chunk; one that takes too long, or is too large, is tried again in halves. A chunk of a plan, which is
   * told of that, shares no command with the next ones: those are for other connections.
   */
  const chunk = (
    wanted: Wanted,
    uids: ReadonlyArray<number>,
    options: BatchOptions | undefined,
    plan?: ChunkPlan
  ): Effect.Effect<Chunk, Reason> => {
    const halving = (uids: ReadonlyArray<number>): Effect.Effect<Answer, Reason> => {
      const [first, ...others] = uids
      if (first === undefined) return Effect.succeed({ found: [], millis: 0 })
      if (others.length === 0) return rowOf(wanted, first)
      const once = rows(wanted, uids, plan !== undefined)
      // too much is an answer here, since the same again would be as much
      return Effect.flatMap(
        always(Effect.catchIf(once, isTooMuch, () => Effect.undefined)),
        (answer) => {
          if (answer !== undefined) return Effect.succeed(answer)
          plan?.shrink(uids.length)
          const middle = uids.length >> 1
          return Effect.zipWith(halving(uids.slice(0, middle)), halving(uids.slice(middle)), (a, b) => ({
            found: [...a.found, ...b.found],
            millis: a.millis + b.millis
          }))
        }
      )
    }
    return Effect.flatMap(halving(uids), ({ found, millis }) => {
      if (options?.missing !== "fail" || found.length === uids.length) return Effect.succeed({ wanted, found, millis })
      const there = new Set(found.map(({ uid }) => uid))
      return Effect.fail(
        new MessageNotFound({ mailbox: wanted.mailbox, uids: uids.filter((uid) => !there.has(uid)) })
      )
    })
  }

  /** Chunk after chunk, ahead of the consumer. */
  const chunks = (
    { mailbox, uids, uidValidity }: MessageSet,
    items: FetchItems,
    options: BatchOptions | undefined
  ): Stream.Stream<Chunk, Reason> =>
    Stream.suspend(() => {
      const lanes = config.limits.imapConnections
      const plan = new ChunkPlan(uids, {
        lanes,
        budget: config.limits.batchBytes,
        millis: Duration.toMillis(config.limits.commandTimeout) * timeShare,
        octets: octetsKnown(items)
      })
      const learned = Latch.makeUnsafe(false)
      const next = (uids: ReadonlyArray<number>) =>
        Effect.suspend(() =>
          Effect.tap(
            chunk({ mailbox, uidValidity, items, sourceLimit: plan.partial }, uids, options, plan),
            ({ found, millis }) => {
              plan.learn(found.length, octetsOfAll(found), millis)
              return learned.open
            }
          )
        )
      // One chunk more than there are lanes waits for its turn, so that a lane goes on while the consumer works; it is
      // planned only when its size is no guess any more.
      const planned = Effect.suspend(() => plan.isLearning && plan.planned >= lanes ? learned.await : Effect.void).pipe(
        Effect.map(() => {
          const uids = plan.next()
          return uids === undefined ? undefined : [uids, undefined] as const
        })
      )
      return Stream.unfold(undefined, () => planned).pipe(
        Stream.mapEffect(next, { concurrency: lanes + 1, unordered: options?.unordered ?? false })
      )
    })

  /** The rows of a set of messages, in order, those that are there. The first command for a small set is the effect itself. */
  const batch = (
    set: MessageSet,
    items: FetchItems,
    options: BatchOptions | undefined
  ): Effect.Effect<Stream.Stream<FetchedRow, Reason>, Reason> => {
    const completed = ({ found, wanted }: Chunk) => complete(wanted, found, options?.missing)
    if (set.size > ChunkPlan.firstCount) return Effect.succeed(Stream.flatMap(chunks(set, items, options), completed))
    if (set.size === 0) return Effect.succeed(Stream.empty)
    // Most calls are for one message or few: one command, and no machinery for chunks.
    const { mailbox, uids, uidValidity } = set
    const wanted = { mailbox, uidValidity, items, sourceLimit: sharedSourceLimit }
    return Effect.map(chunk(wanted, uids, options), completed)
  }

  /** The row of one message; undefined if it is gone. */
  const one = (
    { mailbox, uid, uidValidity }: { readonly mailbox: string; readonly uidValidity: number; readonly uid: number },
    items: FetchItems
  ): Effect.Effect<FetchedRow | undefined, Reason> => {
    const wanted = { mailbox, uidValidity, items, sourceLimit: sharedSourceLimit }
    return Effect.flatMap(
      rowOf(wanted, uid),
      ({ found: [row] }) => row === undefined ? Effect.undefined : completeOne(wanted, row)
    )
  }

  return { batch, one }
}

const isTooMuch = (reason: Reason) =>
  (reason._tag === "TimedOut" && reason.wait === "command") || reason._tag === "TooLarge"

/** Requests with the same key can share a command. */
const keyOf = ({ items, sourceLimit }: Wanted) => `${sourceLimit} ${JSON.stringify(items)}`

/**
 * The same, in parts where the server refuses all of it: a message that cannot be read is the affair of those who asked
 * for it.
 */
const fetchApart = (
  connection: ImapConnection,
  wanted: Wanted,
  payloads: ReadonlyArray<ReadonlyArray<number>>,
  answerLimit: number
): Effect.Effect<ReadonlyArray<Exit.Exit<Answer, Reason>>, Reason> => {
  const together = fetchTogether(connection, wanted, payloads, answerLimit)
  if (payloads.length < 2) return together
  const middle = payloads.length >> 1
  const part = (payloads: ReadonlyArray<ReadonlyArray<number>>) =>
    Effect.catchTag(
      fetchApart(connection, wanted, payloads, answerLimit),
      "Rejected",
      (reason) => Effect.succeed([Exit.fail(reason)])
    )
  return Effect.catchTag(
    together,
    "Rejected",
    () => Effect.zipWith(part(payloads.slice(0, middle)), part(payloads.slice(middle)), (a, b) => [...a, ...b])
  )
}

/** One FETCH for the messages of several requests, its rows dealt out again. */
const fetchTogether = Effect.fnUntraced(function*(
  connection: ImapConnection,
  wanted: Wanted,
  payloads: ReadonlyArray<ReadonlyArray<number>>,
  answerLimit: number
): Effect.fn.Return<ReadonlyArray<Exit.Exit<Answer, Reason>>, Reason> {
  const uids = payloads.length === 1 ? payloads[0] ?? [] : [...new Set(payloads.flat())].sort((a, b) => a - b)
  const { items, sourceLimit } = wanted
  const begun = yield* steadyTime
  const rows = yield* connection.fetch(toRange(uids), items, {
    answerLimit,
    ...(items.source === true ? { sourceLimit } : {})
  })
  const millis = (yield* steadyTime) - begun
  if (payloads.length === 1) return [Exit.succeed({ found: rows, millis })]
  const byUid = new Map(rows.map((row) => [row.uid, row]))
  return payloads.map((payload) => Exit.succeed({ found: payload.flatMap((uid) => byUid.get(uid) ?? []), millis }))
})
