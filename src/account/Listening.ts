/**
 * How an idle connection listens on a mailbox that is watched: in IDLE, or by polling, which is the driver's affair. It
 * rings first where something may have happened that nobody has looked at; what happened, it does not read.
 *
 *   select ──▶ read up to date since, and nothing heard? ──yes──▶ IDLE ──heard──▶ (ring)
 *                                    └──no──▶ (ring)                └──after a while──▶ NOOP, which must be answered ──▶ IDLE
 */
import { Duration, Effect, Fiber, Option } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { ImapConnection, SelectedMailbox } from "../driver/ImapDriver.ts"

/** An IDLE is left this often, if nothing else leaves it: servers end it after half an hour (RFC 2177 3), and routers forget it. */
const idleRenewal = Duration.minutes(5)

/** How long a mailbox that could not be selected is left alone, once whoever watches it has been rung. */
const refusedPause = Duration.seconds(30)

interface Synchronisation {
  /** As SELECT answered: another SELECT, even of the same mailbox, makes another. */
  readonly selected: SelectedMailbox | undefined
  readonly heard: number
}

/** How long whoever ends the listening waits for a command of it: a server that is gone is not waited for. */
const patience = Duration.seconds(5)

/** A command is not left half-way, where it is answered soon: its connection would be lost. */
const whole = <A>(command: Effect.Effect<A, Reason>): Effect.Effect<A, Reason> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkChild(command), (running) =>
      Effect.onInterrupt(
        restore(Fiber.join(running)),
        () => Effect.andThen(Effect.timeoutOption(Fiber.await(running), patience), Fiber.interrupt(running))
      ))
  )

export class Listening {
  readonly #synchronisations = new WeakMap<ImapConnection, Synchronisation>()
  readonly #refusals = new WeakMap<ImapConnection, string>()

  /** The connection, such that what it does itself without an echo from the server is news to those who watch. */
  attentive(connection: ImapConnection): ImapConnection {
    const attended: ImapConnection = {
      ...connection,
      // flags are stored silently (RFC 9051 6.4.6)
      store: (range, change) =>
        Effect.ensuring(connection.store(range, change), Effect.sync(() => this.#synchronisations.delete(attended)))
    }
    return attended
  }

  /** Notes that the selected mailbox has just been read up to date. */
  synchronised(connection: ImapConnection): void {
    this.#synchronisations.set(connection, { selected: connection.selected(), heard: connection.heard() })
  }

  /** Listens; completes when it is time to ring. Interrupting it leaves the connection usable. */
  rest(connection: ImapConnection, mailbox: string): Effect.Effect<void, Reason> {
    return Effect.flatMap(this.#select(connection, mailbox), () => {
      if (this.#isUpToDate(connection)) return this.#idle(connection)
      this.synchronised(connection)
      return Effect.void
    })
  }

  #idle(connection: ImapConnection): Effect.Effect<void, Reason> {
    return Effect.flatMap(Effect.timeoutOption(connection.idle, idleRenewal), (heard) =>
      Option.isSome(heard)
        ? Effect.void
        : Effect.flatMap(
          whole(connection.noop),
          () => this.#isUpToDate(connection) ? this.#idle(connection) : Effect.void
        ))
  }

  #select(connection: ImapConnection, mailbox: string) {
    return whole(connection.select(mailbox, { readOnly: false })).pipe(
      Effect.tap(() => Effect.sync(() => this.#refusals.delete(connection))),
      Effect.tapError(() =>
        Effect.suspend(() => {
          if (this.#refusals.get(connection) === mailbox && connection.isUsable()) return Effect.sleep(refusedPause)
          this.#refusals.set(connection, mailbox)
          return Effect.void
        })
      )
    )
  }

  #isUpToDate(connection: ImapConnection): boolean {
    const last = this.#synchronisations.get(connection)
    return last?.selected !== undefined && last.selected === connection.selected() && last.heard === connection.heard()
  }
}
