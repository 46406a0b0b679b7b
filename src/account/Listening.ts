/**
 * How an idle connection listens on a mailbox that is watched: in IDLE, or by polling, which is the driver's affair. It
 * rings first where something may have happened that nobody has looked at; what happened, it does not read.
 *
 *   select ──▶ read up to date since, and nothing heard? ──yes──▶ IDLE ──heard──▶ (ring)
 *                                    └──no──▶ (ring)                └──after a while──▶ NOOP, which must be answered ──▶ IDLE
 */
import { Duration, Effect, Option } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { ImapConnection, SelectedMailbox } from "../driver/ImapDriver.ts"

/** An IDLE is left this often, if nothing else leaves it: servers end it after half an hour (RFC 2177 3), and routers forget it. */
export const idleRenewal = Duration.minutes(5)

/** How long a mailbox that could not be selected is left alone, once whoever watches it has been rung. */
const refusedPause = Duration.seconds(30)

export interface Listening {
  /** The connection, such that what it does itself without an echo from the server is news to those who watch. */
  readonly attentive: (connection: ImapConnection) => ImapConnection
  /** Notes that the selected mailbox has just been read up to date. */
  readonly synchronised: (connection: ImapConnection) => void
  /** Listens; completes when it is time to ring. Interrupting it leaves the connection usable. */
  readonly rest: (connection: ImapConnection, mailbox: string) => Effect.Effect<void, Reason>
}

interface Synchronisation {
  /** As SELECT answered: another SELECT, even of the same mailbox, makes another. */
  readonly selected: SelectedMailbox | undefined
  readonly heard: number
}

export const make = (): Listening => {
  const synchronisations = new WeakMap<ImapConnection, Synchronisation>()
  const refusals = new WeakMap<ImapConnection, string>()

  const synchronised = (connection: ImapConnection) =>
    void synchronisations.set(connection, { selected: connection.selected(), heard: connection.heard() })

  const isUpToDate = (connection: ImapConnection) => {
    const last = synchronisations.get(connection)
    return last?.selected !== undefined && last.selected === connection.selected() && last.heard === connection.heard()
  }

  const attentive = (connection: ImapConnection): ImapConnection => {
    const attended: ImapConnection = {
      ...connection,
      // flags are stored silently (RFC 9051 6.4.6)
      store: (range, change) =>
        Effect.ensuring(connection.store(range, change), Effect.sync(() => synchronisations.delete(attended)))
    }
    return attended
  }

  /** A command is not left half-way: its connection would be lost. Its own bound ends it. */
  const whole = <A>(command: Effect.Effect<A, Reason>) => Effect.uninterruptible(command)

  const select = (connection: ImapConnection, mailbox: string) =>
    whole(connection.select(mailbox, { readOnly: false })).pipe(
      Effect.tap(() => Effect.sync(() => refusals.delete(connection))),
      Effect.tapError(() =>
        Effect.suspend(() => {
          if (refusals.get(connection) === mailbox && connection.isUsable()) return Effect.sleep(refusedPause)
          refusals.set(connection, mailbox)
          return Effect.void
        })
      )
    )

  const rest = Effect.fnUntraced(function*(connection: ImapConnection, mailbox: string) {
    yield* select(connection, mailbox)
    if (!isUpToDate(connection)) return synchronised(connection)
    while (Option.isNone(yield* Effect.timeoutOption(connection.idle, idleRenewal))) {
      yield* whole(connection.noop)
      if (!isUpToDate(connection)) return
    }
  })

  return { attentive, synchronised, rest }
}
