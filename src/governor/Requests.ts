/** What is asked of a governor: who asks, for what, and how several requests share one command. Types only. */
import type { Effect, Exit } from "effect"
import type { Reason } from "../domain/MailError.ts"

/** Who asks, for which operation, and which mailbox it needs. */
export interface RequestOptions {
  readonly agent: string
  readonly operation: string
  readonly affinity?: string | undefined
  /** Milliseconds that it has waited already, before it came here: they count towards `maxWaitMillis`. */
  readonly waited?: number | undefined
}

/** A command that serves several requests at once: one answer for each payload, in the same order. */
export type SharedWork<C, P, A> = (
  connection: C,
  payloads: ReadonlyArray<P>
) => Effect.Effect<ReadonlyArray<Exit.Exit<A, Reason>>, Reason>

/** What a request for a shared command adds: requests with the same key that wait at the same moment run together. */
export interface SharedRequestOptions extends RequestOptions {
  readonly key: string
  readonly size: number
}
