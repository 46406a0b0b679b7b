/**
 * Users, mailboxes and messages in memory: the one truth behind `MemoryMail` and `MailServer`. A plain synchronous
 * object without a clock (dates come in as arguments), so that a test can look into it, and change it behind the back of
 * its clients, at any moment.
 */
import type { SpecialUse } from "../domain/Mailbox.ts"
import type { StoredMessage } from "./StoredMailbox.ts"
import { StoredUser } from "./StoredUser.ts"
import { StoreFailure } from "./StoreFailure.ts"

/** A message to begin with: octets, or text whose line ends become CRLF; with flags and date where they matter. */
export type MessageSeed = Uint8Array | string | {
  readonly source: Uint8Array | string
  readonly flags?: ReadonlyArray<string>
  readonly internalDate?: Date
}

/** A user to begin with. */
export interface UserSeed {
  readonly name: string
  readonly password: string
  /** Where the user's mail arrives; default the name. */
  readonly address?: string
  /** An OAuth2 access token that logs in too. */
  readonly token?: string
  /** Octets; default no limit. */
  readonly quota?: number
  /** Mailboxes by path, each with its messages. INBOX need not be named. */
  readonly mailboxes?: { readonly [path: string]: ReadonlyArray<MessageSeed> }
  /** Adds the mailboxes of `specialMailboxes`, with their special use (RFC 6154), subscribed. */
  readonly specialUse?: boolean
}

/** The mailboxes a user gets with `specialUse: true`. */
export const specialMailboxes: { readonly [path: string]: SpecialUse } = {
  Archive: "archive",
  Drafts: "drafts",
  Junk: "junk",
  Sent: "sent",
  Trash: "trash"
}

/** A mail store. Messages seeded without a date have the epoch as internal date. */
export class MailStore {
  readonly #users = new Map<string, { readonly user: StoredUser; readonly secrets: ReadonlyArray<string> }>()
  #lastUidValidity = 0
  #lastEmailId = 0

  constructor(options: { readonly users?: ReadonlyArray<UserSeed> } = {}) {
    for (const seed of options.users ?? []) this.addUser(seed)
  }

  get users(): ReadonlyArray<StoredUser> {
    return [...this.#users.values()].map(({ user }) => user)
  }

  user(name: string): StoredUser | undefined {
    return this.#users.get(name)?.user
  }

  /** Adds a user, or replaces the one of this name. */
  addUser(seed: UserSeed): StoredUser {
    const { address = seed.name, mailboxes = {}, name, password, token } = seed
    const user = new StoredUser({ name, address, quota: undefined }, {
      nextUidValidity: () => ++this.#lastUidValidity,
      nextEmailId: () => `M${++this.#lastEmailId}`
    })
    this.#users.set(name, { user, secrets: token === undefined ? [password] : [password, token] })
    for (const [path, use] of Object.entries(seed.specialUse === true ? specialMailboxes : {})) {
      user.createMailbox(path, use)
      user.subscribe(path)
    }
    for (const [path, messages] of Object.entries(mailboxes)) {
      user.createMailbox(path)
      for (const message of messages) {
        const { flags = [], internalDate = new Date(0), source } = isPlain(message) ? { source: message } : message
        user.append(path, toOctets(source), { flags, internalDate })
      }
    }
    // The quota comes last: a test may begin with a user who is over it.
    user.quota = seed.quota
    return user
  }

  /** The user of this name, if the password (or access token) is right. */
  login(name: string, secret: string): StoredUser | undefined {
    const entry = this.#users.get(name)
    return entry !== undefined && entry.secrets.includes(secret) ? entry.user : undefined
  }

  /** The user whose address it is, without regard to case. */
  userOfAddress(address: string): StoredUser | undefined {
    const wanted = address.toLowerCase()
    return this.users.find((user) => user.address.toLowerCase() === wanted)
  }

  /**
   * Delivers to the INBOX of the user whose address it is: octets, or text whose line ends become CRLF. Answers why not,
   * where nobody has the address or the quota is used up.
   */
  deliver(address: string, source: Uint8Array | string, internalDate: Date): StoredMessage | StoreFailure {
    const user = this.userOfAddress(address)
    return user === undefined
      ? new StoreFailure("NONEXISTENT", `nobody has the address ${address}`)
      : user.append("INBOX", toOctets(source), { internalDate })
  }

  /**
   * Files a message as sent by this user, seen, as some servers do on their own: in the mailbox with that special use, else
   * in the one named "Sent". A user without either gets none.
   */
  fileSent(name: string, source: Uint8Array, internalDate: Date): void {
    const user = this.user(name)
    const sent = user?.mailboxes.find(({ specialUse }) => specialUse === "sent") ?? user?.mailbox("Sent")
    if (sent !== undefined) user?.append(sent.path, source, { flags: ["\\Seen"], internalDate })
  }
}

const isPlain = (seed: MessageSeed): seed is Uint8Array | string =>
  typeof seed === "string" || seed instanceof Uint8Array

const toOctets = (source: Uint8Array | string): Uint8Array =>
  typeof source === "string" ? new TextEncoder().encode(source.replaceAll(/\r?\n/g, "\r\n")) : source
