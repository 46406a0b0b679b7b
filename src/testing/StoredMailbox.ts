/**
 * One mailbox of a `MailStore`: its messages by UID, its counters, its mod-sequence (RFC 7162), the log of what was
 * expunged, and listeners that hear each change while it happens. It knows no users, no sessions and no wire. All is
 * synchronous: a listener that must not hear a session's own change can be told so around the call.
 */
import type { SpecialUse } from "../domain/Mailbox.ts"
import { parse } from "./SequenceSet.ts"

/** One message as it is stored; a change of flags makes a new value. `emailId` stays the same over copies (RFC 8474). */
export interface StoredMessage {
  readonly uid: number
  readonly emailId: string
  readonly flags: ReadonlySet<string>
  readonly modseq: bigint
  readonly internalDate: Date
  readonly source: Uint8Array
}

/** What a message brings when it comes into a mailbox. */
export interface Arrival {
  readonly emailId: string
  readonly flags: Iterable<string>
  readonly internalDate: Date
  readonly source: Uint8Array
}

/** What listeners hear. `Invalidated`: what a session knows of this mailbox is void, its UIDs name nothing any more. */
export type MailboxChange =
  | { readonly _tag: "Appended"; readonly messages: ReadonlyArray<StoredMessage> }
  | { readonly _tag: "Flags"; readonly messages: ReadonlyArray<StoredMessage> }
  | { readonly _tag: "Expunged"; readonly uids: ReadonlyArray<number>; readonly modseq: bigint }
  | { readonly _tag: "Invalidated"; readonly why: "deleted" | "renamed" | "reset" }

/** The counters of STATUS (RFC 9051 6.3.11). `size` in octets. */
export interface StoredStatus {
  readonly messages: number
  readonly unseen: number
  readonly deleted: number
  readonly size: number
  readonly uidNext: number
  readonly uidValidity: number
  readonly highestModseq: bigint
}

/** The flags of RFC 9051 2.3.2 that a client may set. */
export const systemFlags: ReadonlyArray<string> = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"]

/** A mailbox. Made, renamed and removed by its `StoredUser` only. */
export class StoredMailbox {
  readonly specialUse: SpecialUse | undefined
  #path: string
  #uidValidity: number
  #uidNext = 1
  #highestModseq = 1n
  #messages = new Map<number, StoredMessage>()
  #expunged: Array<{ readonly uid: number; readonly modseq: bigint }> = []
  readonly #keywords = new Map<string, string>()
  readonly #listeners = new Set<(change: MailboxChange) => void>()

  constructor(path: string, uidValidity: number, specialUse?: SpecialUse) {
    this.#path = path
    this.#uidValidity = uidValidity
    this.specialUse = specialUse
  }

  get path(): string {
    return this.#path
  }

  get uidValidity(): number {
    return this.#uidValidity
  }

  get uidNext(): number {
    return this.#uidNext
  }

  get highestModseq(): bigint {
    return this.#highestModseq
  }

  /** All messages in ascending order of UID; the index is the sequence number less one. */
  get messages(): ReadonlyArray<StoredMessage> {
    return [...this.#messages.values()]
  }

  get uids(): ReadonlyArray<number> {
    return [...this.#messages.keys()]
  }

  /** How many messages there are. */
  get exists(): number {
    return this.#messages.size
  }

  /** The keywords ever used here, as first written (RFC 9051 7.3.5, FLAGS). */
  get keywords(): ReadonlyArray<string> {
    return [...this.#keywords.values()]
  }

  message(uid: number): StoredMessage | undefined {
    return this.#messages.get(uid)
  }

  /** The UIDs of messages that a UID sequence set names, ascending; undefined where it is no sequence set. */
  uidsIn(range: string): ReadonlyArray<number> | undefined {
    const uids = this.uids
    const has = parse(range, uids.at(-1) ?? 0)
    return has === undefined ? undefined : uids.filter(has)
  }

  status(): StoredStatus {
    const messages = this.messages
    return {
      messages: messages.length,
      unseen: messages.filter(({ flags }) => !flags.has("\\Seen")).length,
      deleted: messages.filter(({ flags }) => flags.has("\\Deleted")).length,
      size: this.size,
      uidNext: this.#uidNext,
      uidValidity: this.#uidValidity,
      highestModseq: this.#highestModseq
    }
  }

  /** Octets of all messages. */
  get size(): number {
    let size = 0
    for (const { source } of this.#messages.values()) size += source.length
    return size
  }

  /** Adds messages under the next UIDs, all with one new mod-sequence. */
  add(arrivals: ReadonlyArray<Arrival>): ReadonlyArray<StoredMessage> {
    if (arrivals.length === 0) return []
    const modseq = ++this.#highestModseq
    const messages = arrivals.map(({ emailId, flags, internalDate, source }) => {
      const uid = this.#uidNext++
      const message = { uid, emailId, internalDate, source, modseq, flags: this.#canonical(flags) }
      this.#messages.set(uid, message)
      return message
    })
    this.#notify({ _tag: "Appended", messages })
    return messages
  }

  /** Changes flags. UIDs that are not there are passed over; the answer holds the messages whose flags did change. */
  store(
    uids: Iterable<number>,
    mode: "add" | "remove" | "set",
    flags: Iterable<string>
  ): ReadonlyArray<StoredMessage> {
    const given = this.#canonical(flags)
    const changing: Array<StoredMessage> = []
    for (const uid of new Set(uids)) {
      const message = this.#messages.get(uid)
      if (message === undefined) continue
      const next = mode === "add"
        ? message.flags.union(given)
        : mode === "remove"
        ? message.flags.difference(given)
        : given
      if (next.symmetricDifference(message.flags).size > 0) changing.push({ ...message, flags: next })
    }
    if (changing.length === 0) return []
    const modseq = ++this.#highestModseq
    const changed = changing.map((message) => ({ ...message, modseq }))
    for (const message of changed) this.#messages.set(message.uid, message)
    this.#notify({ _tag: "Flags", messages: changed })
    return changed
  }

  /** Removes messages that have \Deleted: of these UIDs (UID EXPUNGE, RFC 4315 2.1), or all (EXPUNGE). Answers which. */
  expunge(uids?: Iterable<number>): ReadonlyArray<number> {
    const deleted = [...uids ?? this.uids].filter((uid) => this.#messages.get(uid)?.flags.has("\\Deleted") === true)
    return this.take(deleted).map(({ uid }) => uid)
  }

  /** Removes messages whatever their flags, as MOVE does (RFC 6851), and hands them out. */
  take(uids: Iterable<number>): ReadonlyArray<StoredMessage> {
    const taken = [...new Set(uids)].sort((a, b) => a - b).flatMap((uid) => this.#messages.get(uid) ?? [])
    if (taken.length === 0) return []
    const modseq = ++this.#highestModseq
    for (const { uid } of taken) {
      this.#messages.delete(uid)
      this.#expunged.push({ uid, modseq })
    }
    this.#notify({ _tag: "Expunged", uids: taken.map(({ uid }) => uid), modseq })
    return taken
  }

  /** The UIDs that went after a mod-sequence, ascending (RFC 7162 3.2.10). */
  vanishedSince(modseq: bigint): ReadonlyArray<number> {
    return this.#expunged.filter((entry) => entry.modseq > modseq).map(({ uid }) => uid).sort((a, b) => a - b)
  }

  /** The messages that came or changed after a mod-sequence. */
  changedSince(modseq: bigint): ReadonlyArray<StoredMessage> {
    return this.messages.filter((message) => message.modseq > modseq)
  }

  /** Calls the listener at every change, while the change takes place; the answer ends it. */
  listen(listener: (change: MailboxChange) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Gives all messages new UIDs under another UIDVALIDITY, as a server does that lost its index. */
  reset(uidValidity: number): void {
    const messages = this.messages
    this.#uidValidity = uidValidity
    this.#messages = new Map()
    this.#expunged = []
    this.#uidNext = 1
    const modseq = ++this.#highestModseq
    for (const message of messages) {
      const uid = this.#uidNext++
      this.#messages.set(uid, { ...message, uid, modseq })
    }
    this.#notify({ _tag: "Invalidated", why: "reset" })
  }

  /** The name has changed; for `StoredUser`. */
  renamed(path: string): void {
    this.#path = path
    this.#notify({ _tag: "Invalidated", why: "renamed" })
  }

  /** The mailbox is no more; for `StoredUser`. */
  deleted(): void {
    this.#messages.clear()
    this.#notify({ _tag: "Invalidated", why: "deleted" })
  }

  /** Flags are compared without case (RFC 9051 2.3.2): system flags get their spelling, keywords their first one here. */
  #canonical(flags: Iterable<string>): ReadonlySet<string> {
    const canonical = new Set<string>()
    for (const flag of flags) {
      const folded = flag.toLowerCase()
      if (flag.startsWith("\\")) {
        const known = systemFlags.find((name) => name.toLowerCase() === folded)
        if (known !== undefined) canonical.add(known)
        continue
      }
      const keyword = this.#keywords.get(folded) ?? flag
      this.#keywords.set(folded, keyword)
      canonical.add(keyword)
    }
    return canonical
  }

  #notify(change: MailboxChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}
