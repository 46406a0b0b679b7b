/**
 * Mailboxes that the account itself has deleted or renamed. A session that has one of them selected may go on to answer
 * from what was there before, even when there is another mailbox of that name by now. So after each such change every
 * connection selects anew what it has selected, once, before it is used again.
 */
import { Effect } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { ImapConnection } from "../driver/ImapDriver.ts"

export class Removals {
  #count = 0
  /** How many a connection has taken note of. */
  readonly #noted = new WeakMap<ImapConnection, number>()

  /** A mailbox was deleted or renamed, or may have been. */
  happened(): void {
    this.#count++
  }

  /** Makes sure that what the connection has selected is what has that name now; nothing where there is none. */
  noted(connection: ImapConnection): Effect.Effect<void, Reason> {
    const count = this.#count
    if ((this.#noted.get(connection) ?? 0) === count) return Effect.void
    const selected = connection.selected()
    const anew = selected === undefined
      ? Effect.void
      : connection.select(selected.path, { readOnly: selected.readOnly, refresh: true }).pipe(
        Effect.catchTag(["MailboxNotFound", "Rejected"], () => Effect.void)
      )
    return Effect.andThen(anew, Effect.sync(() => void this.#noted.set(connection, count)))
  }
}
