/**
 * What one session was told of its selected mailbox: the order of UIDs that gives its sequence numbers, and the changes
 * it has not heard yet. Other sessions may have expunged what is still in the view; the view shrinks only when the
 * session is told (RFC 9051 7.5.1). It writes the untagged answers, and knows no commands.
 */
import { toRange } from "../../domain/MessageSet.ts"
import type { MailboxChange, StoredMailbox, StoredMessage } from "../StoredMailbox.ts"
import type { Output } from "./Output.ts"
import { bad } from "./Refusal.ts"
import { lowerBound, normalise, parseSequenceSet } from "./SequenceRanges.ts"

/** What the session has enabled, which decides the form of the untagged answers (RFC 7162). */
export interface Enabled {
  readonly condstore: boolean
  readonly qresync: boolean
}

export class View {
  readonly mailbox: StoredMailbox
  readonly readOnly: boolean
  /** Why the mailbox is no longer what was selected. */
  invalid: "deleted" | "renamed" | "reset" | undefined
  readonly #stop: () => void
  #uids: Array<number>
  #arrived: Array<number> = []
  #gone = new Set<number>()
  #flagged = new Set<number>()
  #isQuiet = false

  constructor(mailbox: StoredMailbox, readOnly: boolean, onChange: () => void) {
    this.mailbox = mailbox
    this.readOnly = readOnly
    this.#uids = [...mailbox.uids]
    this.#stop = mailbox.listen((change) => {
      this.#hear(change)
      onChange()
    })
  }

  close(): void {
    this.#stop()
  }

  get exists(): number {
    return this.#uids.length
  }

  /** UIDs by sequence number less one. */
  get uids(): ReadonlyArray<number> {
    return this.#uids
  }

  /** The sequence number of a UID, or 0. */
  sequenceOf(uid: number): number {
    const index = lowerBound(this.#uids, uid)
    return this.#uids[index] === uid ? index + 1 : 0
  }

  /** The UIDs of the view that a sequence set names, ascending. Message numbers beyond the view are no IMAP. */
  resolve(set: string, byUid: boolean): ReadonlyArray<number> {
    const ranges = parseSequenceSet(set)
    if (ranges === undefined) throw bad("invalid sequence set")
    const found: Array<number> = []
    if (byUid) {
      for (const { from, to } of normalise(ranges, this.#uids.at(-1) ?? 0)) {
        for (let at = lowerBound(this.#uids, from); at < this.#uids.length; at++) {
          const uid = this.#uids[at] ?? 0
          if (uid > to) break
          found.push(uid)
        }
      }
      return found
    }
    for (const { from, to } of normalise(ranges, this.#uids.length)) {
      if (from < 1 || to > this.#uids.length) throw bad("no such message number")
      for (let at = from - 1; at < to; at++) found.push(this.#uids[at] ?? 0)
    }
    return found
  }

  /** Makes a change of flags that this session need not be told of, as its own command answers for it. */
  quietly<A>(change: () => A): A {
    this.#isQuiet = true
    try {
      return change()
    } finally {
      this.#isQuiet = false
    }
  }

  /** What was told of these is told: an answer of the command itself has shown their flags. */
  toldFlags(uids: Iterable<number>): void {
    for (const uid of uids) this.#flagged.delete(uid)
  }

  get hasNews(): boolean {
    return this.#arrived.length > 0 || this.#gone.size > 0 || this.#flagged.size > 0
  }

  /** Tells what has happened; expunges only where sequence numbers may change now. */
  announce(out: Output, enabled: Enabled, withExpunges: boolean): void {
    if (!this.hasNews) return
    if (withExpunges && this.#gone.size > 0) this.#announceGone(out, enabled)
    if (this.#arrived.length > 0) {
      for (const uid of this.#arrived) this.#uids.push(uid)
      this.#arrived = []
      out.text(`* ${this.#uids.length} EXISTS\r\n`)
    }
    if (this.#flagged.size > 0) {
      for (const uid of [...this.#flagged].sort((a, b) => a - b)) {
        const message = this.mailbox.message(uid)
        const sequence = this.sequenceOf(uid)
        if (message !== undefined && sequence > 0) out.text(flagsRow(sequence, message, enabled, enabled.qresync))
      }
      this.#flagged.clear()
    }
  }

  #announceGone(out: Output, { qresync }: Enabled): void {
    const gone = this.#uids.filter((uid) => this.#gone.has(uid))
    if (qresync) out.text(`* VANISHED ${toRange(gone)}\r\n`)
    else for (const uid of gone.toReversed()) out.text(`* ${this.sequenceOf(uid)} EXPUNGE\r\n`)
    this.#uids = this.#uids.filter((uid) => !this.#gone.has(uid))
    this.#gone.clear()
  }

  #hear(change: MailboxChange): void {
    switch (change._tag) {
      case "Appended":
        for (const { uid } of change.messages) this.#arrived.push(uid)
        return
      case "Flags":
        if (!this.#isQuiet) { for (const { uid } of change.messages) this.#flagged.add(uid) }
        return
      case "Expunged": {
        const gone = new Set(change.uids)
        const unseen = this.#arrived.some((uid) => gone.has(uid))
        // Never told of, never missed
        const arrived = new Set(this.#arrived)
        if (unseen) this.#arrived = this.#arrived.filter((uid) => !gone.has(uid))
        for (const uid of change.uids) {
          if (!arrived.has(uid)) this.#gone.add(uid)
          this.#flagged.delete(uid)
        }
        return
      }
      case "Invalidated":
        this.invalid = change.why
    }
  }
}

/** `* n FETCH (UID … MODSEQ (…) FLAGS (…))` as an untagged answer. */
export const flagsRow = (sequence: number, message: StoredMessage, enabled: Enabled, withUid: boolean): string =>
  `* ${sequence} FETCH (${withUid ? `UID ${message.uid} ` : ""}${
    enabled.condstore ? `MODSEQ (${message.modseq}) ` : ""
  }FLAGS (${[...message.flags].join(" ")}))\r\n`
