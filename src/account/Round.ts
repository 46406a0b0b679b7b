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
import { Cursor } from "../domain/Cursor.ts"
import type { Reason } from "../domain/MailError.ts"
import { Arrived, Changes, Expunged, FlagsChanged, type MailEvent, Reset } from "../domain/MailEvent.ts"
import { MessageRef } from "../domain/MessageSet.ts"
import { UidRanges } from "../domain/UidRanges.ts"
import type { FlagsRow, ImapConnection, SelectedMailbox } from "../driver/ImapDriver.ts"

export interface Round {
  readonly changes: Changes
  /** Something has happened since the point of synchronisation: look again before waiting. */
  readonly again: boolean
}

export interface RoundOptions {
  /** Compare with all UIDs of the mailbox, where counting was not enough to agree. */
  readonly thorough: boolean
}

/** What was read: messages that changed (or all), and messages that are gone. */
interface Reading {
  readonly rows: ReadonlyArray<FlagsRow>
  readonly gone: UidRanges
}

/** Without a cursor nothing is told: the answer is the point to go on from. */
export const round = Effect.fnUntraced(function*(
  connection: ImapConnection,
  mailbox: string,
  since: Cursor | undefined,
  options: RoundOptions
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
  const { gone, rows } = since === undefined
    ? { rows: yield* everything(connection, selected, top === 0n), gone: UidRanges.empty }
    : yield* read(connection, selected, past, known, options)

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

/** What changed and what is gone since a cursor, by the best means that server and cursor allow. */
const read = Effect.fnUntraced(function*(
  connection: ImapConnection,
  selected: SelectedMailbox,
  past: Cursor | undefined,
  known: UidRanges,
  options: RoundOptions
): Effect.fn.Return<Reading, Reason> {
  if (selected.exists === 0) return { rows: [], gone: known }
  const byModseq = past !== undefined && past.modseq > 0n && (selected.highestModseq ?? 0n) > 0n
  if (!byModseq) {
    const rows = yield* everything(connection, selected, true)
    return { rows, gone: known.without(UidRanges.from(rows.map(({ uid }) => uid))) }
  }
  if (selected.resync !== undefined && !options.thorough) {
    // a server may name messages that went long before (RFC 7162 3.2.10.1)
    const gone = UidRanges.from(selected.resync.vanished.filter((uid) => known.has(uid)))
    return { rows: inOrder(selected.resync.changed.filter(({ uid }) => !gone.has(uid))), gone }
  }
  const heard = connection.heard()
  const rows = toRows(yield* connection.fetch("1:*", { flags: true, modseq: true }, { changedSince: past.modseq }))
  const fresh = rows.filter(({ uid }) => !known.has(uid)).length
  // every message of the server is known or new: equal counts mean equal sets
  if (known.size + fresh === selected.exists && connection.heard() === heard && !options.thorough) {
    return { rows, gone: UidRanges.empty }
  }
  const there = UidRanges.from(yield* connection.search({ _tag: "All" }))
  return { rows: rows.filter(({ uid }) => there.has(uid)), gone: known.without(there) }
})

/** Every message, with its flags where they are what changes are seen by. */
const everything = (connection: ImapConnection, { exists, highestModseq }: SelectedMailbox, flags: boolean) => {
  if (exists === 0) return Effect.succeed([])
  if (!flags) {
    return Effect.map(
      connection.search({ _tag: "All" }),
      (uids) => uids.map((uid): FlagsRow => ({ uid, flags: [], modseq: undefined }))
    )
  }
  return Effect.map(
    connection.fetch("1:*", { flags: true, ...(highestModseq === undefined ? {} : { modseq: true }) }),
    toRows
  )
}

const toRows = (
  rows: ReadonlyArray<
    { readonly uid: number; readonly flags?: ReadonlyArray<string>; readonly modseq?: bigint | undefined }
  >
): ReadonlyArray<FlagsRow> => rows.map(({ flags, modseq, uid }) => ({ uid, flags: flags ?? [], modseq }))

const inOrder = (rows: ReadonlyArray<FlagsRow>) => [...rows].sort((a, b) => a.uid - b.uid)

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
  const groups: Record<string, Array<number>> = {}
  for (const [uid, joined] of flags) (groups[joined] ??= []).push(uid)
  return Object.fromEntries(Object.entries(groups).map(([joined, uids]) => [joined, UidRanges.from(uids).toString()]))
}
