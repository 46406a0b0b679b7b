/**
 * One look at a mailbox: what happened since a cursor, and the cursor for the next look. This is the only place where
 * changes are read; what a server says in IDLE only rings the bell, so losing it loses nothing.
 *
 * SELECT is the point of synchronisation. Its HIGHESTMODSEQ is known before anything is read: every change up to it is
 * visible to what is read afterwards, and every change above it is read again next time. What was seen above it already
 * is kept in `ahead`, by mod-sequence, so that it is not told twice. Neither the largest mod-sequence seen nor a later
 * value may take its place: a FETCH shows changes that are newer than an expunge the session has not been told of.
 */
import { Effect } from "effect"
import { inLines } from "../domain/CommandLine.ts"
import { Cursor } from "../domain/Cursor.ts"
import type { FetchItems } from "../domain/Fetch.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import { Arrived, Changes, Expunged, FlagsChanged, type MailEvent, Reset } from "../domain/MailEvent.ts"
import { MessageRef, toRange } from "../domain/MessageSet.ts"
import { UidRanges } from "../domain/UidRanges.ts"
import type { FlagsRow, ImapConnection, Resync, SelectedMailbox } from "../driver/ImapDriver.ts"

export interface Round {
  readonly changes: Changes
  /** Something has happened since the point of synchronisation: look again before waiting. */
  readonly again: boolean
}

/** What was read: messages that changed (or all), and messages that are gone. */
interface Reading {
  readonly rows: ReadonlyArray<FlagsRow>
  readonly gone: UidRanges
}

/**
 * Without a cursor nothing is told: the answer is the point to go on from. Fails with `InvalidInput` for a cursor that
 * cannot be of this mailbox.
 */
export const round = Effect.fnUntraced(function*(
  connection: ImapConnection,
  mailbox: string,
  since: Cursor | undefined
): Effect.fn.Return<Round, Reason> {
  const heard = connection.heard()
  const seen = since !== undefined && since.uidValidity !== 0
  const resync = seen && since.modseq > 0n && connection.enabled.has("QRESYNC")
  const selected = yield* connection.select(mailbox, {
    readOnly: false,
    refresh: true,
    ...(resync ? { since: { uidValidity: since.uidValidity, modseq: since.modseq } } : {})
  })
  const top = selected.highestModseq ?? 0n
  const past = seen && since.uidValidity === selected.uidValidity ? since : undefined
  const known = past === undefined ? UidRanges.empty : knownOf(past)
  if (isBeyond(known, selected)) {
    return yield* new InvalidInput({
      field: "since",
      problem: `it names ${known.size} messages, more than "${mailbox}" can have had`
    })
  }
  const { gone, rows } = since === undefined
    ? yield* baseline(connection, selected)
    : yield* read(connection, selected, past, known)

  const ref = (uid: number) => new MessageRef({ mailbox, uidValidity: selected.uidValidity, uid })
  const flagsBefore = past === undefined || past.modseq > 0n ? undefined : flagsByUid(past)
  const events: Array<MailEvent> = seen && past === undefined
    ? [new Reset({ mailbox, uidValidity: selected.uidValidity })]
    : []
  const ahead: Record<string, bigint> = {}
  const arrived: Array<number> = []
  const flagsNow = new Map(flagsBefore)
  for (const uid of gone) {
    events.push(new Expunged({ ref: ref(uid) }))
    flagsNow.delete(uid)
  }
  for (const { flags, modseq = 0n, uid } of rows) {
    const own = ownFlags(flags)
    const joined = own.join(" ")
    if (modseq > top) ahead[uid] = modseq
    if (!known.has(uid)) {
      arrived.push(uid)
      events.push(new Arrived({ ref: ref(uid), flags: own }))
    } else if (
      flagsBefore === undefined
        ? past?.ahead[uid] !== modseq || modseq === 0n
        : flagsBefore.get(uid) !== joined
    ) {
      events.push(new FlagsChanged({ ref: ref(uid), flags: own }))
    }
    flagsNow.set(uid, joined)
  }

  const present = known.without(gone).union(UidRanges.from(arrived))
  const cursor = new Cursor({
    mailbox,
    uidValidity: selected.uidValidity,
    uidNext: selected.uidNext,
    modseq: top,
    ahead,
    known: top > 0n ? { "": present.toString() } : grouped(flagsNow)
  })
  return {
    changes: new Changes({ events: since === undefined ? [] : events, cursor }),
    again: connection.heard() !== heard || Object.keys(ahead).length > 0 || present.size !== selected.exists
  }
})

/** The UIDs of a mailbox are below its UIDNEXT. Some servers count that wrongly, so only an excess is held against it. */
const isBeyond = ({ size }: UidRanges, { exists, uidNext }: SelectedMailbox): boolean =>
  size - exists > Math.max(uidNext, 1_000_000)

/** What is there now. What comes while it is read is told next time. */
const baseline = (
  connection: ImapConnection,
  selected: SelectedMailbox
): Effect.Effect<Reading, Reason> =>
  Effect.map(everything(connection, selected, selected.highestModseq === undefined), (rows) => ({
    rows: selected.uidNext > 0 ? rows.filter(({ uid }) => uid < selected.uidNext) : rows,
    gone: UidRanges.empty
  }))

/** What changed and what is gone since a cursor, by the best means that server and cursor allow. */
const read = Effect.fnUntraced(function*(
  connection: ImapConnection,
  selected: SelectedMailbox,
  past: Cursor | undefined,
  known: UidRanges
): Effect.fn.Return<Reading, Reason> {
  if (selected.exists === 0) return { rows: [], gone: known }
  // Mod-sequences that go back are not those the cursor counts by: a server that was set back, or lost its index.
  const byModseq = past !== undefined && past.modseq > 0n && (selected.highestModseq ?? 0n) >= past.modseq
  if (!byModseq) {
    const rows = yield* everything(connection, selected, true)
    return { rows, gone: known.without(UidRanges.from(rows.map(({ uid }) => uid))) }
  }
  const heard = connection.heard()
  const { gone, rows } = selected.resync === undefined
    ? {
      rows: toRows(yield* connection.fetch("1:*", { flags: true, modseq: true }, { changedSince: past.modseq })),
      gone: UidRanges.empty
    }
    : toReading(selected.resync, past, known)
  const fresh = rows.filter(({ uid }) => !known.has(uid)).length
  // every message of the server is known or new: equal counts mean equal sets
  const agrees = known.size - gone.size + fresh === selected.exists
  if (agrees && connection.heard() === heard) return { rows, gone }
  const there = UidRanges.from(yield* connection.search({ _tag: "All" }))
  return { rows: rows.filter(({ uid }) => there.has(uid)), gone: known.without(there) }
})

/**
 * A server may name messages that went long before (RFC 7162 3.2.10.1). What it had still to say of the mailbox before it
 * was selected anew may stand in the same answer: a message twice, the later row counts, or one the cursor knows of.
 */
const toReading = ({ changed, vanished }: Resync, { modseq: since }: Cursor, known: UidRanges): Reading => {
  const rows = changed.filter(({ modseq = since + 1n, uid }) => modseq > since && !vanished.has(uid))
  return {
    rows: inOrder(new Map(rows.map((row) => [row.uid, row])).values()),
    gone: known.intersection(vanished)
  }
}

/** Every message, with its flags where they are what changes are seen by. */
const everything = (connection: ImapConnection, { exists, highestModseq }: SelectedMailbox, flags: boolean) => {
  if (exists === 0) return Effect.succeed([])
  if (!flags) {
    return Effect.map(
      connection.search({ _tag: "All" }),
      (uids) => uids.map((uid): FlagsRow => ({ uid, flags: [], modseq: undefined }))
    )
  }
  const items: FetchItems = { flags: true, ...(highestModseq === undefined ? {} : { modseq: true }) }
  if (exists <= pageSize) return Effect.map(connection.fetch("1:*", items), toRows)
  return Effect.flatMap(connection.search({ _tag: "All" }), (uids) =>
    Effect.map(
      Effect.forEach(inLines(uids, pageSize), (page) => Effect.map(connection.fetch(toRange(page), items), toRows)),
      (pages) => pages.flat()
    ))
}

/** Messages whose flags are read by one command, which has a bound on its time and is answered in memory. */
const pageSize = 5_000

const toRows = (
  rows: ReadonlyArray<
    { readonly uid: number; readonly flags?: ReadonlyArray<string>; readonly modseq?: bigint | undefined }
  >
): ReadonlyArray<FlagsRow> => rows.map(({ flags, modseq, uid }) => ({ uid, flags: flags ?? [], modseq }))

const inOrder = (rows: Iterable<FlagsRow>) => [...rows].sort((a, b) => a.uid - b.uid)

/** \Recent belongs to a session, not to a message (RFC 3501 2.3.2). */
const ownFlags = (flags: ReadonlyArray<string>) => flags.filter((flag) => flag !== "\\Recent").sort()

const knownOf = ({ known }: Cursor): UidRanges =>
  Object.values(known).reduce((all, text) => all.union(UidRanges.parse(text) ?? UidRanges.empty), UidRanges.empty)

const flagsByUid = ({ known }: Cursor): Map<number, string> => {
  const flags = new Map<number, string>()
  for (const [joined, text] of Object.entries(known)) {
    for (const uid of UidRanges.parse(text) ?? UidRanges.empty) flags.set(uid, joined)
  }
  return flags
}

const grouped = (flags: ReadonlyMap<number, string>): Record<string, string> => {
  const groups = Map.groupBy(flags, ([, joined]) => joined)
  return Object.fromEntries(
    [...groups].map(([joined, entries]) => [joined, UidRanges.from(entries.map(([uid]) => uid)).toString()])
  )
}
