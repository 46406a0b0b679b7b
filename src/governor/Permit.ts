/**
 * The permission to begin one operation, which holds its room in the rate windows until the operation begins or is
 * given up. Knows neither windows nor those who wait; that room has come free is told to the `Bank`.
 */
import { Clock, Effect } from "effect"
import type { RateScope } from "../domain/Limits.ts"
import type { RateGrant } from "./RateStore.ts"

/** Where permits hand in what they do not use, and what they use beside. */
export interface Bank {
  readonly refunded: () => void
  readonly charge: (octets: number, now: number) => Effect.Effect<void>
}

/** An admitted operation. Ends with `start` or `refund`; until then its room counts as used. */
export class Permit {
  /** How long it waited, and at which window last. */
  readonly waited: { readonly scope: RateScope; readonly millis: number } | undefined
  readonly #bank: Bank
  readonly #grant: RateGrant
  #isSettled = false

  constructor(bank: Bank, grant: RateGrant, waited: Permit["waited"]) {
    this.#bank = bank
    this.#grant = grant
    this.waited = waited
  }

  /** For an operation to which no window applies. */
  static readonly free = new Permit(
    { refunded: () => {}, charge: () => Effect.void },
    { start: () => Effect.void, refund: Effect.void },
    undefined
  )

  /** The operation begins now: its windows count from here. */
  get start(): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(this.#grant.start(now), () => {
        this.#isSettled = true
      }))
  }

  /** The operation will not begin: all its room is free again. Does nothing after `start`. */
  get refund(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#isSettled ? Effect.void : Effect.map(this.#grant.refund, () => {
        this.#isSettled = true
        this.#bank.refunded()
      })
    )
  }

  /** Counts octets that were not known at admission. They may go over the limit, and delay those who come next. */
  charge(octets: number): Effect.Effect<void> {
    return octets <= 0
      ? Effect.void
      : Effect.flatMap(Clock.currentTimeMillis, (now) => this.#bank.charge(octets, now))
  }
}
