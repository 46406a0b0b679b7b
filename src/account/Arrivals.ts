/**
 * Which messages a session knows of. A server tells a session of new messages when one of its commands ends (RFC 9051
 * 7.4.1); until then a command on their UIDs does nothing, and says OK (6.4.9). So wherever a message is named that a
 * connection may not know of yet, and wherever the account itself has filed one, the connection asks first (NOOP): once,
 * however many there are.
 */
import { Effect } from "effect"
import { mailboxName } from "../domain/MailboxName.ts"
import type { Reason } from "../domain/MailError.ts"
import type { ImapConnection, SelectedMailbox } from "../driver/ImapDriver.ts"

export class Arrivals {
  /** The largest UID that the account itself has brought into each mailbox. */
  readonly #filed = new Map<string, number>()
  /** The largest UID of which a session was told, by what it has selected: another SELECT begins anew. */
  readonly #told = new WeakMap<SelectedMailbox, number>()

  /** The account has filed messages; this is the last of them. */
  filed(mailbox: string, uidValidity: number, uid: number): void {
    const key = keyOf(mailbox, uidValidity)
    this.#filed.set(key, Math.max(uid, this.#filed.get(key) ?? 0))
  }

  /** An answer has shown that the session knows of this message. */
  seen(selected: SelectedMailbox, uid: number): void {
    this.#told.set(selected, Math.max(uid, this.#toldOf(selected)))
  }

  /** Makes sure that the session knows of all messages up to a UID, and of what the account has filed. */
  upTo(uid: number, connection: ImapConnection, selected: SelectedMailbox): Effect.Effect<void, Reason> {
    const wanted = Math.max(uid, this.#filed.get(keyOf(selected.path, selected.uidValidity)) ?? 0)
    if (wanted <= this.#toldOf(selected)) return Effect.void
    return Effect.tap(connection.noop, () =>
      Effect.sync(() => {
        if (Number.isFinite(wanted)) this.seen(selected, wanted)
      }))
  }

  #toldOf(selected: SelectedMailbox): number {
    return this.#told.get(selected) ?? selected.uidNext - 1
  }
}

const keyOf = (mailbox: string, uidValidity: number): string => `${uidValidity} ${mailboxName(mailbox)}`
