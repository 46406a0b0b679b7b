/**
 * The rest of sources that were cut, because a command that brings many messages bounds each. A few long ones are completed
 * by one command; how much of them is in memory at a time is bounded, whatever their number.
 */
import { Effect, Stream } from "effect"
import type { FetchItems } from "../domain/Fetch.ts"
import { MessageNotFound, ProtocolViolation, type Reason, TooLarge } from "../domain/MailError.ts"
import { toRange } from "../domain/MessageSet.ts"
import type { FetchedRow } from "../driver/ImapDriver.ts"
import type { Operations } from "./Operations.ts"
import { joined, octetsOfAll } from "./RowOctets.ts"

/** What is fetched of which mailbox, and how many octets of each source. */
export interface Wanted {
  readonly mailbox: string
  readonly uidValidity: number
  readonly items: FetchItems
  readonly sourceLimit: number
}

/** Cut messages whose next octets are asked for together, */
const cutAtOnce = 32
/** and the octets of that answer. What is longer is completed alone, when its turn comes. */
const completedAtOnce = 8 * 1024 * 1024

/** A row whose source may go on. */
interface Growing {
  readonly row: FetchedRow
  readonly pieces: Array<Uint8Array>
  octets: number
  state: "cut" | "whole" | "gone"
}

export const make = ({ config, inMailbox, retrying }: Operations) => {
  const always = retrying("always")
  const { maxMessageBytes } = config.limits

  /** One command for the next octets of messages of which the same number has been read. */
  const grow = (wanted: Wanted, messages: ReadonlyArray<Growing>): Effect.Effect<void, Reason> =>
    Effect.suspend(() => {
      const start = messages[0]?.octets ?? 0
      const limit = Math.floor(completedAtOnce / messages.length)
      return Effect.flatMap(
        always(inMailbox(
          { ...wanted, uid: messages.at(-1)?.row.uid },
          (connection) =>
            connection.fetch(toRange(messages.map(({ row }) => row.uid)), { source: true }, {
              sourceStart: start,
              sourceLimit: limit
            }),
          { octetsOf: octetsOfAll }
        )),
        (rows) => {
          const sources = new Map(rows.map(({ source, uid }) => [uid, source]))
          for (const message of messages) {
            const source = sources.get(message.row.uid)
            if (source !== undefined && source.length > limit) {
              return Effect.fail(new ProtocolViolation({ detail: "more octets than were asked for", written: true }))
            }
            message.state = source === undefined ? "gone" : source.length < limit ? "whole" : "cut"
            if (source === undefined) continue
            message.pieces.push(source)
            message.octets += source.length
          }
          return Effect.void
        }
      )
    })

  /** The whole row; undefined if the message went away meanwhile. */
  const wholeRow = (wanted: Wanted, message: Growing): Effect.Effect<FetchedRow | undefined, Reason> =>
    Effect.suspend(() => {
      if (message.octets > maxMessageBytes) {
        return Effect.fail(new TooLarge({ size: message.octets, limit: maxMessageBytes }))
      }
      if (message.state === "cut") return Effect.andThen(grow(wanted, [message]), wholeRow(wanted, message))
      if (message.state === "gone") return Effect.undefined
      return Effect.succeed(
        message.pieces.length < 2 ? message.row : { ...message.row, source: joined(message.pieces) }
      )
    })

  /** Those messages that are complete or were completed by one command, then one after the other. */
  const completeGroup = (
    wanted: Wanted,
    group: ReadonlyArray<Growing>,
    missing: "skip" | "fail"
  ): Stream.Stream<FetchedRow, Reason> => {
    const cut = group.filter(({ state }) => state === "cut")
    return Stream.unwrap(
      Effect.map(cut.length === 0 ? Effect.void : grow(wanted, cut), () =>
        Stream.fromIterable(group).pipe(
          Stream.rechunk(1),
          Stream.mapEffect((message) =>
            Effect.filterOrFail(
              wholeRow(wanted, message),
              (row) => row !== undefined || missing === "skip",
              () => new MessageNotFound({ mailbox: wanted.mailbox, uids: [message.row.uid] })
            ), { concurrency: config.limits.imapConnections }),
          Stream.filter((row) => row !== undefined)
        ))
    )
  }

  return {
    /** The row with its whole source; undefined if the message went away meanwhile. */
    completeOne: (wanted: Wanted, row: FetchedRow): Effect.Effect<FetchedRow | undefined, Reason> =>
      isCut(row, wanted) ? wholeRow(wanted, growing(wanted, row)) : Effect.succeed(row),

    /** Rows with whole sources; those of messages that went away meanwhile are left out, or fail with `MessageNotFound`. */
    complete: (
      wanted: Wanted,
      rows: ReadonlyArray<FetchedRow>,
      missing: "skip" | "fail" = "skip"
    ): Stream.Stream<FetchedRow, Reason> => {
      if (!rows.some((row) => isCut(row, wanted))) return Stream.fromArray(rows)
      return Stream.fromArray(groupsOf(rows.map((row) => growing(wanted, row)))).pipe(
        Stream.flatMap((group) => completeGroup(wanted, group, missing))
      )
    }
  }
}

/** Whether there may be more of the source. */
const isCut = ({ source }: FetchedRow, { sourceLimit }: Wanted) => source !== undefined && source.length === sourceLimit

const growing = (wanted: Wanted, row: FetchedRow): Growing => ({
  row,
  pieces: row.source === undefined ? [] : [row.source],
  octets: row.source?.length ?? 0,
  state: isCut(row, wanted) ? "cut" : "whole"
})

/** In their order, with no more than `cutAtOnce` messages that are cut in each. */
const groupsOf = (messages: ReadonlyArray<Growing>): ReadonlyArray<ReadonlyArray<Growing>> => {
  const groups: Array<Array<Growing>> = [[]]
  let cut = 0
  for (const message of messages) {
    if (message.state === "cut" && cut++ % cutAtOnce === 0 && cut > 1) groups.push([])
    groups.at(-1)?.push(message)
  }
  return groups
}
