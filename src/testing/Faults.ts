/**
 * Faults as values: what a test server does instead of answering as it should. One script of faults serves MemoryMail
 * and MailServer; a server asks `take` at each of its steps, and gets the action to carry out, if any.
 */
import type { Duration } from "effect"

/**
 * What happens at a step. `Drop before`: the connection is cut and the step has not taken place. `Drop after`: the step
 * has taken place, and the connection is cut before the answer. `Stall`: nothing is ever answered and nothing is done.
 * `Delay`: the step takes place this much later. `Refuse`: an IMAP answer (BYE also ends the connection). `Reply`: an
 * SMTP answer (421 also ends the connection). `Corrupt`: octets that are no answer.
 */
export type FaultAction =
  | { readonly _tag: "Drop"; readonly when: "before" | "after" }
  | { readonly _tag: "Stall" }
  | { readonly _tag: "Delay"; readonly duration: Duration.Input }
  | { readonly _tag: "Refuse"; readonly status: "NO" | "BAD" | "BYE"; readonly code?: string; readonly text: string }
  | { readonly _tag: "Reply"; readonly code: number; readonly text: string }
  | { readonly _tag: "Corrupt" }

/**
 * One fault. `at` is the step: an IMAP command as on the wire ("LOGIN", "SELECT", "FETCH"; "UID STORE" is the same as
 * "STORE"), an SMTP command ("EHLO", "AUTH", "MAIL", "RCPT", "DATA"), or "connect" (before the greeting), "body" (in the
 * middle of an SMTP message), "end" (after its final dot). For "MAIL" and "RCPT", `mailbox` is the address they name.
 * `skip` steps pass before it strikes, then it strikes `times` times (default 1; Infinity for ever).
 */
export interface Fault {
  readonly protocol: "imap" | "smtp"
  readonly at: string
  readonly user?: string
  readonly mailbox?: string
  readonly skip?: number
  readonly times?: number
  readonly action: FaultAction
}

/** Where a server is when it asks for a fault. */
export interface FaultStep {
  readonly protocol: "imap" | "smtp"
  readonly at: string
  readonly user?: string | undefined
  readonly mailbox?: string | undefined
}

/** A script of faults, changed while a test runs. */
export class Faults {
  /** With the steps that still pass before each, and how often it still strikes. */
  #pending: Array<{ readonly fault: Fault; skip: number; times: number }> = []

  constructor(faults: Iterable<Fault> = []) {
    this.add(...faults)
  }

  add(...faults: ReadonlyArray<Fault>): void {
    for (const fault of faults) {
      const { at, skip = 0, times = 1 } = fault
      // servers tell of "UID STORE" where that was the command
      this.#pending.push({ fault: { ...fault, at: at.replace(/^UID /, "") }, skip, times })
    }
  }

  /** Those that have not struck as often as they are to: a test can see that none of them was waited for in vain. */
  get pending(): ReadonlyArray<Fault> {
    return this.#pending.flatMap(({ fault, times }) => times > 0 ? [fault] : [])
  }

  /** Forgets all faults: the server behaves from now on. */
  clear(): void {
    this.#pending = []
  }

  /** The action of the first fault that strikes at this step, used up by one. */
  take(step: FaultStep): FaultAction | undefined {
    for (const entry of this.#pending) {
      const { fault } = entry
      if (fault.protocol !== step.protocol || fault.at !== step.at) continue
      if (fault.user !== undefined && fault.user !== step.user) continue
      if (fault.mailbox !== undefined && fault.mailbox !== step.mailbox) continue
      if (entry.skip > 0) {
        entry.skip--
        continue
      }
      if (entry.times <= 0) continue
      entry.times--
      return fault.action
    }
    return undefined
  }
}
