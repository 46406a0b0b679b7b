/**
 * Which messages: by mailbox, UIDVALIDITY and UID, and nothing else. A sequence number is never a name.
 * UIDs are unsigned 32-bit numbers (RFC 9051 2.3.1.1); sets are sorted and free of duplicates.
 */
import { Schema } from "effect"
import { MailboxName, mailboxName } from "./MailboxName.ts"

/** RFC 9051 9, nz-number. */
const maxUid = 0xffffffff

export const isUid = (uid: number | undefined): uid is number =>
  uid !== undefined && Number.isInteger(uid) && uid >= 1 && uid <= maxUid

const noUid = `a UID is a whole number from 1 to ${maxUid}`

/** The first place at which the numbers are not those of a set, and why. */
const flawOf = (uids: ReadonlyArray<number>): Schema.FilterIssue | undefined => {
  let previous = 0
  for (let index = 0; index < uids.length; index++) {
    const uid = uids[index] ?? 0
    if (!isUid(uid)) return { path: [index], issue: noUid }
    if (uid <= previous) {
      const issue = uid === previous
        ? `UID ${uid} is there twice`
        : `UID ${uid} stands behind ${previous}; a set is in ascending order`
      return { path: [index], issue }
    }
    previous = uid
  }
  return undefined
}

const MailboxState = { mailbox: MailboxName, uidValidity: Schema.Int }

/** One message, named so that it can never be taken for another. */
export class MessageRef extends Schema.Class<MessageRef>("effect-mail/MessageRef")({
  ...MailboxState,
  uid: Schema.Int.check(Schema.makeFilter((uid) => isUid(uid) ? undefined : noUid))
}) {}

/**
 * Messages of one mailbox. Build with `MessageSet.of`, which sorts and removes duplicates; what is built or decoded
 * otherwise must be so already.
 */
export class MessageSet extends Schema.Class<MessageSet>("effect-mail/MessageSet")({
  ...MailboxState,
  uids: Schema.Array(Schema.Int).check(Schema.makeFilter(flawOf))
}) {
  static of(mailbox: string, uidValidity: number, uids: Iterable<number>): MessageSet {
    const given = [...uids]
    if (flawOf(given) === undefined && Number.isInteger(uidValidity)) {
      return trusted(MessageSet, { mailbox: mailboxName(mailbox), uidValidity, uids: given })
    }
    return new MessageSet({
      mailbox: mailboxName(mailbox),
      uidValidity,
      uids: [...new Set(given)].sort((a, b) => a - b)
    })
  }

  /** No messages, of no mailbox. */
  static readonly empty: MessageSet = new MessageSet({ mailbox: "", uidValidity: 0, uids: [] })

  /** The set of the given references. Fails to be one set, and returns undefined, where they span mailboxes. */
  static fromRefs(refs: Iterable<MessageRef>): MessageSet | undefined {
    const groups = MessageSet.group(refs)
    return groups.length === 1 ? groups[0] : undefined
  }

  /** One set per mailbox and UIDVALIDITY, in order of first appearance. */
  static group(refs: Iterable<MessageRef>): ReadonlyArray<MessageSet> {
    const groups = new Map<string, { mailbox: string; uidValidity: number; uids: Array<number> }>()
    for (const { mailbox, uid, uidValidity } of refs) {
      const key = `${uidValidity} ${mailboxName(mailbox)}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, { mailbox, uidValidity, uids: [uid] })
      else group.uids.push(uid)
    }
    return [...groups.values()].map((group) => MessageSet.of(group.mailbox, group.uidValidity, group.uids))
  }

  get size(): number {
    return this.uids.length
  }

  get isEmpty(): boolean {
    return this.uids.length === 0
  }

  get refs(): ReadonlyArray<MessageRef> {
    return this.uids.map((uid) => this.ref(uid))
  }

  ref(uid: number): MessageRef {
    return trusted(MessageRef, { mailbox: this.mailbox, uidValidity: this.uidValidity, uid })
  }

  /** The same mailbox with other UIDs. */
  with(uids: Iterable<number>): MessageSet {
    return MessageSet.of(this.mailbox, this.uidValidity, uids)
  }

  has(uid: number): boolean {
    let low = 0
    let high = this.uids.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const found = this.uids[middle] ?? 0
      if (found === uid) return true
      if (found < uid) low = middle + 1
      else high = middle - 1
    }
    return false
  }

  /** Parts of at most `size` messages, in order. */
  chunks(size: number): ReadonlyArray<MessageSet> {
    const parts: Array<MessageSet> = []
    for (let start = 0; start < this.uids.length; start += size) {
      parts.push(
        trusted(MessageSet, {
          mailbox: this.mailbox,
          uidValidity: this.uidValidity,
          uids: this.uids.slice(start, start + size)
        })
      )
    }
    return parts
  }

  /** Both sets; the other must be of the same mailbox and UIDVALIDITY, or it adds nothing. */
  union(other: MessageSet): MessageSet {
    return this.isSibling(other) ? this.with([...this.uids, ...other.uids]) : this
  }

  /** This set without the other; a set of another mailbox or UIDVALIDITY takes nothing away. */
  difference(other: MessageSet): MessageSet {
    return this.isSibling(other) ? this.with(this.uids.filter((uid) => !other.has(uid))) : this
  }

  /** Of the same mailbox and UIDVALIDITY. */
  isSibling(other: MessageSet): boolean {
    return this.mailbox === other.mailbox && this.uidValidity === other.uidValidity
  }

  /** The protocol's own form, e.g. "1:5,9" (RFC 9051 9, sequence-set). Empty for an empty set. */
  toRange(): string {
    return toRange(this.uids)
  }
}

/**
 * An instance without its checks: where there is one for each row of a fetch, or a hundred thousand UIDs in one, they
 * would cost several times as much as the making, and know nothing new.
 */
const trusted = <A extends object, Fields extends Partial<A>>(of: { readonly prototype: A }, fields: Fields): A =>
  Object.assign<A, Fields>(Object.create(of.prototype), fields)

/** A sequence set ("1:5,9") of sorted, unique numbers. */
export const toRange = (sorted: ReadonlyArray<number>): string => {
  const parts: Array<string> = []
  let start: number | undefined
  let previous = 0
  for (const uid of sorted) {
    if (start !== undefined && uid === previous + 1) {
      previous = uid
      continue
    }
    if (start !== undefined) parts.push(start === previous ? `${start}` : `${start}:${previous}`)
    start = previous = uid
  }
  if (start !== undefined) parts.push(start === previous ? `${start}` : `${start}:${previous}`)
  return parts.join(",")
}

/** What an operation on messages takes: a set, one reference, anything that carries one, or many of these. */
export type Messages = MessageSet | Referring | ReadonlyArray<MessageSet | Referring>

/** A reference, or a value that carries one, like `Envelope` and `Message`. */
export type Referring = MessageRef | { readonly ref: MessageRef }

/** The reference by the one name of its mailbox, where it was made by hand with another. */
export const toRef = ({ mailbox, uid, uidValidity }: MessageRef): MessageRef =>
  trusted(MessageRef, { mailbox: mailboxName(mailbox), uidValidity, uid })

/** The sets that `messages` names, one per mailbox and UIDVALIDITY. */
export const toSets = (messages: Messages): ReadonlyArray<MessageSet> => {
  if (messages instanceof MessageSet && messages.mailbox === mailboxName(messages.mailbox)) return [messages]
  if (!isList(messages) && !(messages instanceof MessageSet)) {
    const { mailbox, uid, uidValidity } = referred(messages)
    return [MessageSet.of(mailbox, uidValidity, [uid])]
  }
  const list: ReadonlyArray<MessageSet | Referring> = isList(messages) ? messages : [messages]
  return MessageSet.group(list.flatMap((item) => item instanceof MessageSet ? item.refs : [referred(item)]))
}

const referred = (item: Referring): MessageRef => item instanceof MessageRef ? item : item.ref

/** Many of these rather than one. */
export const isList = (messages: Messages): messages is ReadonlyArray<MessageSet | Referring> => Array.isArray(messages)
