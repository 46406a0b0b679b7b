/**
 * Messages for one fiber, which takes them one at a time. A fiber that waits is handed the next one within the call that
 * brings it, which saves a turn of the scheduler between a decision and its command.
 */
import { Effect } from "effect"

export class Inbox<M> {
  readonly #messages: Array<M> = []
  #wake: (() => void) | undefined

  put(message: M): void {
    this.#messages.push(message)
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Completes when there is a message; it stays where it is. */
  readonly arrival: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.#messages.length > 0) return resume(Effect.void)
    this.#wake = () => resume(Effect.void)
    return Effect.sync(() => {
      this.#wake = undefined
    })
  })

  /** Waits for the next message and runs what is made of it. */
  next<A, E, R>(use: (message: M) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.flatMap(this.arrival, () => {
      const message = this.#messages.shift()
      return message === undefined ? this.next(use) : use(message)
    })
  }
}
