/** Who waits for something to happen in a mailbox: one bell for each watcher, rung together. */
import { Effect, Latch } from "effect"

/** What a watched mailbox is heard with. */
export interface Ear {
  /** Waits until something may have happened since the last time. */
  readonly heard: Effect.Effect<void>
  /** Whether a connection listens there now: until it stops to, nothing happens unheard. */
  readonly isListening: () => boolean
}

export class Bells {
  readonly #byMailbox = new Map<string, Set<Latch.Latch>>()

  add(mailbox: string): Latch.Latch {
    const bell = Latch.makeUnsafe(false)
    const others = this.#byMailbox.get(mailbox)
    if (others === undefined) this.#byMailbox.set(mailbox, new Set([bell]))
    else others.add(bell)
    return bell
  }

  remove(mailbox: string, bell: Latch.Latch): void {
    const others = this.#byMailbox.get(mailbox)
    others?.delete(bell)
    if (others?.size === 0) this.#byMailbox.delete(mailbox)
  }

  ring(mailbox: string): void {
    for (const bell of this.#byMailbox.get(mailbox) ?? []) bell.openUnsafe()
  }

  ringAll(): void {
    for (const mailbox of this.#byMailbox.keys()) this.ring(mailbox)
  }

  static ear(bell: Latch.Latch, isListening: () => boolean): Ear {
    return { heard: Effect.tap(bell.await, () => Effect.sync(() => bell.closeUnsafe())), isListening }
  }
}
