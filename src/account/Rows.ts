/**
 * Rows of many messages: chunks planned ahead of the consumer, commands shared with whoever asks for the same at the same
 * moment, long sources completed. Knows nothing of what is made of the rows.
 */
import { Clock, Duration, Effect, Exit, Latch, Stream } from "effect"
import type { FetchItems } from "../domain/Fetch.ts"
import { MessageNotFound, ProtocolViolation, type Reason } from "../domain/MailError.ts"
import { type MessageSet, toRange } from "../domain/MessageSet.ts"
import type { FetchedRow, ImapConnection } from "../driver/ImapDriver.ts"
import { ChunkPlan } from "./ChunkPlan.ts"
import type { Operations } from "./Operations.ts"
import { joined, octetsOfAll } from "./RowOctets.ts"

/** How a stream of messages is read. */
export interface BatchOptions {
  /** Yield messages as they arrive rather than in the order of their UIDs. */
  readonly unordered?: boolean | undefined
  /** What to do about messages that are gone by the time they are read: pass over them (default), or fail with `MessageNotFound`. */
  readonly missing?: "skip" | "fail" | undefined
}

/** Octets of a single message that are fetched together with others; what is longer is completed alone. */
export const sharedSourceLimit = 64 * 1024
/** Octets that one command may bring of messages that go on. */
const completedAtOnce = 8 * 1024 * 1024

/** The part of the bound on a command's time that a chunk is planned for. */
const timeShare = 1 / 6

/** Told how long the command itself took, without the wait for a connection. */
type Timed = (millis: number) => void

export interface Wanted {
  readonly mailbox: string
  readonly uidValidity: number
  readonly items: FetchItems
  readonly sourceLimit: number
}

export const make = (operations: Operations) => {
  const { config, inMailbox, retrying } = operations
  const always = retrying("always")

  // --- rows: one command for all who ask for the same at the same moment

  const share = operations.sharing<ReadonlyArray<number>, ReadonlyArray<FetchedRow>>()

  const rows = (
    wanted: Wanted,
    uids: ReadonlyArray<number>,
    timed: Timed | undefined
  ): Effect.Effect<ReadonlyArray<FetchedRow>, Reason> =>
    share(
      wanted,
      {
        key: `${wanted.sourceLimit} ${JSON.stringify(wanted.items)}`,
        size: uids.length,
        uid: uids.reduce((last, uid) => Math.max(last, uid), 0),
        payload: uids,
        octetsOf: octetsOfAll
      },
      (connection, payloads) => {
        const together = fetchTogether(connection, wanted, payloads)
        return timed === undefined ?
          together :
          Effect.flatMap(
            Clock.currentTimeMillis,
            (begun) => Effect.tap(together, () => Effect.map(Clock.currentTimeMillis, (ended) => timed(ended - begun)))
          )
      }
    )

  /** The rows of messages of one mailbox, complete, those that are there, in order. */
  const complete = (wanted: Wanted, uids: ReadonlyArray<number>, timed?: Timed) =>
    Effect.flatMap(
      always(rows(wanted, uids, timed)),
      (found) => found.some((row) => isCut(row, wanted)) ? completeSources(wanted, found) : Effect.succeed(found)
    )

  const isCut = ({ source }: FetchedRow, { sourceLimit }: Wanted) =>
    source !== undefined && source.length === sourceLimit

  /** What follows of those sources that were cut: one command for all of them, and another while any goes on. */
  const completeSources = Effect.fnUntraced(
    function*(wanted: Wanted, found: ReadonlyArray<FetchedRow>): Effect.fn.Return<ReadonlyArray<FetchedRow>, Reason> {
      const pieces = new Map(
        found.flatMap((row) =>
          isCut(row, wanted) && row.source !== undefined ? [[row.uid, [row.source]] as [number, Array<Uint8Array>]] : []
        )
      )
      const gone = new Set<number>()
      let open = [...pieces.keys()]
      for (let start = wanted.sourceLimit; open.length > 0;) {
        const limit = Math.max(sharedSourceLimit, Math.floor(completedAtOnce / open.length))
        const asked = open
        const next = yield* always(inMailbox(
          wanted,
          (connection) =>
            connection.fetch(toRange(asked), { source: true }, { sourceStart: start, sourceLimit: limit }),
          { octetsOf: octetsOfAll }
        ))
        const byUid = new Map(next.map(({ source, uid }) => [uid, source]))
        open = []
        for (const uid of asked) {
          const source = byUid.get(uid)
          if (source === undefined) gone.add(uid)
          else if (source.length > limit) {
            return yield* new ProtocolViolation({ detail: "more octets than were asked for", written: true })
          } else {
            pieces.get(uid)?.push(source)
            if (source.length === limit) open.push(uid)
          }
        }
        start += limit
      }
      return found.flatMap((row) => {
        const parts = pieces.get(row.uid)
        return gone.has(row.uid) ? [] : [parts === undefined ? row : { ...row, source: joined(parts) }]
      })
    }
  )

  /** Rows of one chunk; one that takes too long is tried again in halves. */
  const chunk = (
    wanted: Wanted,
    uids: ReadonlyArray<number>,
    options: BatchOptions | undefined,
    pace?: { readonly tooSlow: (count: number) => void; readonly timed: Timed }
  ): Effect.Effect<ReadonlyArray<FetchedRow>, Reason> => {
    const halving = (uids: ReadonlyArray<number>): Effect.Effect<ReadonlyArray<FetchedRow>, Reason> =>
      Effect.catchIf(
        complete(wanted, uids, pace?.timed),
        (reason) => reason._tag === "TimedOut" && reason.wait === "command" && uids.length > 1,
        () => {
          pace?.tooSlow(uids.length)
          const middle = uids.length >> 1
          return Effect.zipWith(halving(uids.slice(0, middle)), halving(uids.slice(middle)), (a, b) => [...a, ...b])
        }
      )
    return options?.missing !== "fail" ? halving(uids) : Effect.filterOrFail(
      halving(uids),
      (found) => found.length === uids.length,
      (found) => {
        const there = new Set(found.map(({ uid }) => uid))
        return new MessageNotFound({ mailbox: wanted.mailbox, uids: uids.filter((uid) => !there.has(uid)) })
      }
    )
  }

  /** Chunk after chunk, ahead of the consumer. */
  const batch = (
    set: MessageSet,
    items: FetchItems,
    options: BatchOptions | undefined
  ): Stream.Stream<ReadonlyArray<FetchedRow>, Reason> =>
    Stream.suspend(() => {
      const lanes = config.limits.imapConnections
      const plan = new ChunkPlan(set.uids, {
        lanes,
        budget: config.limits.batchBytes,
        millis: Duration.toMillis(config.limits.commandTimeout) * timeShare
      })
      const { mailbox, uidValidity } = set
      const learned = Latch.makeUnsafe(false)
      const next = (uids: ReadonlyArray<number>) =>
        Effect.suspend(() => {
          let millis = 0
          const pace = {
            tooSlow: (count: number) => plan.shrink(count),
            timed: (took: number) => void (millis += took)
          }
          return Effect.tap(
            chunk({ mailbox, uidValidity, items, sourceLimit: plan.partial }, uids, options, pace),
            (found) => {
              plan.learn(found.length, octetsOfAll(found), millis)
              return learned.open
            }
          )
        })
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

  return { batch, chunk, complete }
}

/** One FETCH for the messages of several requests, its rows dealt out again. */
const fetchTogether = (
  connection: ImapConnection,
  wanted: Wanted,
  payloads: ReadonlyArray<ReadonlyArray<number>>
): Effect.Effect<ReadonlyArray<Exit.Exit<ReadonlyArray<FetchedRow>, Reason>>, Reason> => {
  const uids = payloads.length === 1 ? payloads[0] ?? [] : [...new Set(payloads.flat())].sort((a, b) => a - b)
  const { items, sourceLimit } = wanted
  return Effect.map(connection.fetch(toRange(uids), items, items.source === true ? { sourceLimit } : {}), (rows) => {
    if (payloads.length === 1) return [Exit.succeed(rows)]
    const byUid = new Map(rows.map((row) => [row.uid, row]))
    return payloads.map((payload) => Exit.succeed(payload.flatMap((uid) => byUid.get(uid) ?? [])))
  })
}
