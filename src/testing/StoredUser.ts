/**
 * One user of a `MailStore`: a tree of mailboxes with "/" between its levels, subscriptions, and a quota over all of it.
 * INBOX is always there and its name has no case (RFC 9051 5.1). Checks of the password are the store's.
 */
import type { SpecialUse } from "../domain/Mailbox.ts"
import type { StoredMessage } from "./StoredMailbox.ts"
import { StoredMailbox } from "./StoredMailbox.ts"
import { StoreFailure } from "./StoreFailure.ts"

/** The hierarchy delimiter of every store. */
export const delimiter = "/"

/** A name as LIST shows it. `mailbox` is undefined for a name that only has children (\NonExistent, RFC 9051 7.3.1). */
export interface StoredName {
  readonly path: string
  readonly mailbox: StoredMailbox | undefined
  readonly hasChildren: boolean
  readonly subscribed: boolean
}

/** What the mailboxes of one store have in common: where their numbers come from. */
export interface Numbering {
  readonly nextUidValidity: () => number
  readonly nextEmailId: () => string
}

/** Where messages went: the target, and source UID to target UID in ascending order (COPYUID, RFC 4315 3). */
export interface Transferred {
  readonly mailbox: StoredMailbox
  readonly uids: ReadonlyMap<number, number>
}

/** A user and everything that is the user's. */
export class StoredUser {
  readonly name: string
  /** The address mail for this user is delivered to. */
  readonly address: string
  /** Octets this user may store; undefined for no limit. May be changed at any time. */
  quota: number | undefined
  readonly #mailboxes = new Map<string, StoredMailbox>()
  readonly #subscribed = new Set<string>(["INBOX"])
  readonly #numbering: Numbering

  constructor(
    options: { readonly name: string; readonly address: string; readonly quota: number | undefined },
    numbering: Numbering
  ) {
    this.name = options.name
    this.address = options.address
    this.quota = options.quota
    this.#numbering = numbering
    this.inbox = this.#make("INBOX", undefined)
  }

  readonly inbox: StoredMailbox

  /** Octets stored. */
  get usage(): number {
    let usage = 0
    for (const mailbox of this.#mailboxes.values()) usage += mailbox.size
    return usage
  }

  /** The mailboxes that are there, in order of their names. */
  get mailboxes(): ReadonlyArray<StoredMailbox> {
    return [...this.#mailboxes.values()].sort((a, b) => compare(a.path, b.path))
  }

  /** Every name of the hierarchy, with the superiors of a mailbox that are no mailboxes themselves. */
  get names(): ReadonlyArray<StoredName> {
    const paths = new Set(this.#mailboxes.keys())
    for (const path of this.#mailboxes.keys()) {
      for (let end = path.indexOf(delimiter); end !== -1; end = path.indexOf(delimiter, end + 1)) {
        paths.add(path.slice(0, end))
      }
    }
    return [...paths].sort(compare).map((path) => ({
      path,
      mailbox: this.#mailboxes.get(path),
      hasChildren: this.#hasChildren(path),
      subscribed: this.#subscribed.has(path)
    }))
  }

  /** The subscribed names, whether there is such a mailbox or not (RFC 9051 6.3.9). */
  get subscriptions(): ReadonlyArray<string> {
    return [...this.#subscribed].sort(compare)
  }

  mailbox(path: string): StoredMailbox | undefined {
    return this.#mailboxes.get(canonicalPath(path))
  }

  createMailbox(path: string, specialUse?: SpecialUse): StoredMailbox | StoreFailure {
    const wanted = canonicalPath(path.endsWith(delimiter) ? path.slice(0, -1) : path)
    if (!isName(wanted)) return new StoreFailure("CANNOT", `no mailbox can be named "${printable(path)}"`)
    if (this.#mailboxes.has(wanted)) return new StoreFailure("ALREADYEXISTS", `Mailbox already exists: ${wanted}`)
    return this.#make(wanted, specialUse)
  }

  /** Renames with everything below. Renaming INBOX moves its messages and leaves it empty (RFC 9051 6.3.6). */
  renameMailbox(from: string, to: string): StoredMailbox | StoreFailure {
    const source = canonicalPath(from)
    const target = canonicalPath(to.endsWith(delimiter) ? to.slice(0, -1) : to)
    if (!isName(target)) return new StoreFailure("CANNOT", `no mailbox can be named "${printable(to)}"`)
    const moving = this.#mailboxes.get(source)
    const inferiors = this.#below(source)
    if (moving === undefined && inferiors.length === 0) return missing(source)
    if (this.#mailboxes.has(target) || this.#hasChildren(target)) {
      return new StoreFailure("ALREADYEXISTS", `Mailbox already exists: ${target}`)
    }
    if (target.startsWith(source + delimiter) && source !== "INBOX") {
      return new StoreFailure("CANNOT", `${target} is below ${source}`)
    }
    if (moving === this.inbox) {
      const made = this.#make(target, undefined)
      made.add(this.inbox.take(this.inbox.uids))
      return made
    }
    for (const mailbox of moving === undefined ? inferiors : [moving, ...inferiors]) {
      this.#mailboxes.delete(mailbox.path)
      const path = target + mailbox.path.slice(source.length)
      this.#mailboxes.set(path, mailbox)
      mailbox.renamed(path)
    }
    return moving ?? inferiors[0] ?? missing(source)
  }

  /** Removes a mailbox and its messages; what is below it stays (RFC 9051 6.3.5). */
  deleteMailbox(path: string): StoredMailbox | StoreFailure {
    const mailbox = this.mailbox(path)
    if (mailbox === undefined) {
      return this.#hasChildren(canonicalPath(path))
        ? new StoreFailure("CANNOT", `${path} is no mailbox and has children`)
        : missing(path)
    }
    if (mailbox === this.inbox) return new StoreFailure("CANNOT", "INBOX cannot be deleted")
    this.#mailboxes.delete(mailbox.path)
    mailbox.deleted()
    return mailbox
  }

  subscribe(path: string): StoreFailure | undefined {
    const name = canonicalPath(path)
    if (!this.#mailboxes.has(name) && !this.#hasChildren(name)) return missing(name)
    this.#subscribed.add(name)
    return undefined
  }

  /** Unsubscribing what is not subscribed, or not there, is done. */
  unsubscribe(path: string): void {
    this.#subscribed.delete(canonicalPath(path))
  }

  append(
    path: string,
    source: Uint8Array,
    options: { readonly flags?: Iterable<string>; readonly internalDate: Date }
  ): StoredMessage | StoreFailure {
    const mailbox = this.mailbox(path)
    if (mailbox === undefined) return uncreated(path)
    const full = this.#overQuota(source.length)
    if (full !== undefined) return full
    const { flags = [], internalDate } = options
    const emailId = this.#numbering.nextEmailId()
    return mailbox.add([{ emailId, flags, internalDate, source: source.slice() }])[0] ?? uncreated(path)
  }

  /** Copies all or, where the quota does not take them all, none. UIDs that are not there are passed over. */
  copy(from: StoredMailbox, uids: Iterable<number>, to: string): Transferred | StoreFailure {
    const target = this.mailbox(to)
    if (target === undefined) return uncreated(to)
    const messages = [...new Set(uids)].sort((a, b) => a - b).flatMap((uid) => from.message(uid) ?? [])
    const full = this.#overQuota(messages.reduce((size, { source }) => size + source.length, 0))
    return full ?? transferred(target, messages)
  }

  /** Moves in one step (RFC 6851): they are in the target before they leave, and no other message leaves. */
  move(from: StoredMailbox, uids: Iterable<number>, to: string): Transferred | StoreFailure {
    const target = this.mailbox(to)
    if (target === undefined) return uncreated(to)
    const messages = [...new Set(uids)].sort((a, b) => a - b).flatMap((uid) => from.message(uid) ?? [])
    const result = transferred(target, messages)
    from.take(messages.map(({ uid }) => uid))
    return result
  }

  /** Gives the messages of a mailbox new UIDs under another UIDVALIDITY, as a server does that lost its index. */
  resetUidValidity(path: string): StoredMailbox | StoreFailure {
    const mailbox = this.mailbox(path)
    if (mailbox === undefined) return missing(path)
    mailbox.reset(this.#numbering.nextUidValidity())
    return mailbox
  }

  #make(path: string, specialUse: SpecialUse | undefined): StoredMailbox {
    const mailbox = new StoredMailbox(path, this.#numbering.nextUidValidity(), specialUse)
    this.#mailboxes.set(path, mailbox)
    return mailbox
  }

  #below(path: string): ReadonlyArray<StoredMailbox> {
    return this.mailboxes.filter((mailbox) => mailbox.path.startsWith(path + delimiter))
  }

  #hasChildren(path: string): boolean {
    return this.#below(path).length > 0
  }

  #overQuota(octets: number): StoreFailure | undefined {
    return this.quota !== undefined && this.usage + octets > this.quota
      ? new StoreFailure("OVERQUOTA", "Quota exceeded (mailbox for user is full)")
      : undefined
  }
}

/** INBOX in any case is INBOX, also as the first level of a longer name. */
export const canonicalPath = (path: string): string => path.replace(/^inbox(?=\/|$)/i, "INBOX")

const isName = (path: string): boolean =>
  path !== "" && path.split(delimiter).every((level) => level !== "") && path === printable(path) &&
  !/[*%]/.test(path)

const printable = (text: string): string => [...text].filter((char) => char >= " " && char !== "\x7f").join("")

const transferred = (target: StoredMailbox, messages: ReadonlyArray<StoredMessage>): Transferred => {
  const added = target.add(messages)
  return { mailbox: target, uids: new Map(added.map(({ uid }, index) => [messages[index]?.uid ?? 0, uid])) }
}

const missing = (path: string) => new StoreFailure("NONEXISTENT", `Mailbox doesn't exist: ${path}`)

const uncreated = (path: string) => new StoreFailure("TRYCREATE", `Mailbox doesn't exist: ${path}`)

const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0
