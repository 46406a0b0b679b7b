/**
 * A connection that a fiber has for itself while it works in a mailbox (`withMailbox`). Whatever the fiber asks of the
 * same account meanwhile runs on that connection too, one command at a time: it must not wait for a connection that
 * only becomes free when it has ended. What outlives the lease is cut off from the connection.
 */
import { Context, Deferred, type Duration, Effect, Semaphore } from "effect"
import { InvalidInput, TimedOut } from "../domain/MailError.ts"
import type { ImapConnection } from "../driver/ImapDriver.ts"

export class Lease {
  /** The connections it is taken from. */
  readonly source: object
  readonly connection: ImapConnection
  readonly mailbox: string
  readonly uidValidity: number
  readonly readOnly: boolean
  /** The longest wait for a turn. */
  readonly maxWait: Duration.Duration
  /** The lease that the fiber had before, perhaps of another account. */
  readonly outer: Lease | undefined
  readonly #turn = Semaphore.makeUnsafe(1)
  readonly #ended = Deferred.makeUnsafe<never, InvalidInput>()
  /** Those who have the turn or wait for it. */
  #users = 0
  #isOpen = true

  constructor(
    fields: Pick<Lease, "source" | "connection" | "mailbox" | "uidValidity" | "readOnly" | "maxWait" | "outer">
  ) {
    this.source = fields.source
    this.connection = fields.connection
    this.mailbox = fields.mailbox
    this.uidValidity = fields.uidValidity
    this.readOnly = fields.readOnly
    this.maxWait = fields.maxWait
    this.outer = fields.outer
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Runs work on the connection when nobody else of this lease does. */
  run<A, E>(work: (connection: ImapConnection) => Effect.Effect<A, E>): Effect.Effect<A, E | InvalidInput | TimedOut> {
    return Effect.suspend(() => {
      let isBegun = false
      const inTurn = this.#turn.withPermit(Effect.suspend(() => {
        isBegun = true
        // whoever waited until after its end would begin on a connection that others have now
        if (!this.#isOpen) return Effect.fail(ended(this.mailbox))
        return Effect.raceFirst(work(this.connection), Deferred.await(this.#ended))
      }))
      const overdue = Effect.andThen(
        Effect.sleep(this.maxWait),
        Effect.suspend(() =>
          isBegun
            ? Effect.never
            : Effect.fail(new TimedOut({ wait: "queue", after: this.maxWait, written: false }))
        )
      )
      const isFree = this.#users++ === 0
      return Effect.ensuring(isFree ? inTurn : Effect.raceFirst(inTurn, overdue), Effect.sync(() => this.#users--))
    })
  }

  /** Cuts off what has outlived it, and waits until that has let go of the connection. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.#isOpen = false
    Deferred.doneUnsafe(this.#ended, Effect.fail(ended(this.mailbox)))
    return this.#turn.withPermit(Effect.void)
  })

  /** This lease or one around it, of these connections and still open. */
  of(source: object): Lease | undefined {
    return this.source === source && this.#isOpen ? this : this.outer?.of(source)
  }

  isWithin(lease: Lease): boolean {
    return lease === this || this.outer?.isWithin(lease) === true
  }
}

export const ended = (mailbox: string): InvalidInput =>
  new InvalidInput({ field: "withMailbox", problem: `the work in "${mailbox}" has ended; ask the account instead` })

/** The innermost lease of the fiber. */
export const CurrentLease = Context.Reference<Lease | undefined>("effect-mail/Lease", { defaultValue: () => undefined })
