/**
 * What a session knows of its mailbox. A server tells a session of new messages when one of its commands ends (RFC 9051
 * 7.4.1); until then a command on their UIDs does nothing, and says OK (6.4.9). So wherever a message is named that a
 * connection may not know of yet, and wherever the account itself has filed one, the connection asks first (NOOP): once,
 * however many there are. So it does before it searches a mailbox in which the account has changed flags or removed
 * messages on another connection: until then a server may search what the session was told of.
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
  /** How often the account itself has changed what was in each mailbox. */
  readonly #changes = new Map<string, number>()
  /** How many of these changes a session knows of, likewise. */
  readonly #known = new WeakMap<SelectedMailbox, number>()

  /** The account has filed messages; this is the last of them. */
  filed(mailbox: string, uidValidity: number, uid: number): void {
    const key = keyOf(mailbox, uidValidity)
    this.#filed.set(key, Math.max(uid, this.#filed.get(key) ?? 0))
  }

  /** The account has changed flags or removed messages, or may have, in the session that has this selected. */
  changed(mailbox: string, uidValidity: number, by: SelectedMailbox | undefined): void {
    const key = keyOf(mailbox, uidValidity)
    const before = this.#changes.get(key) ?? 0
    this.#changes.set(key, before + 1)
    if (by !== undefined && (this.#known.get(by) ?? 0) === before) this.#known.set(by, before + 1)
  }

  /** The session has just selected this. */
  selected(selected: SelectedMailbox): void {
    this.#known.set(selected, this.#changesIn(selected))
  }

  /** An answer has shown that the session knows of this message. */
  seen(selected: SelectedMailbox, uid: number): void {
    this.#told.set(selected, Math.max(uid, this.#toldOf(selected)))
  }

  /**
   * Makes sure that the session knows of all messages up to a UID, and of what the account has filed; with `changes` also
   * of what the account has changed.
   */
  upTo(
    uid: number,
    connection: ImapConnection,
    selected: SelectedMailbox,
    changes = false
  ): Effect.Effect<void, Reason> {
    const wanted = Math.max(uid, this.#filed.get(keyOf(selected.path, selected.uidValidity)) ?? 0)
    const changed = this.#changesIn(selected)
    const isBehind = changes && changed > (this.#known.get(selected) ?? 0)
    if (wanted <= this.#toldOf(selected) && !isBehind) return Effect.void
    return Effect.tap(connection.noop, () =>
      Effect.sync(() => {
        if (Number.isFinite(wanted)) this.seen(selected, wanted)
        this.#known.set(selected, changed)
      }))
  }

  #changesIn({ path, uidValidity }: SelectedMailbox): number {
    return this.#changes.get(keyOf(path, uidValidity)) ?? 0
  }

  #toldOf(selected: SelectedMailbox): number {
    return this.#told.get(selected) ?? selected.uidNext - 1
  }
}

const keyOf = (mailbox: string, uidValidity: number): string => `${uidValidity} ${mailboxName(mailbox)}`
