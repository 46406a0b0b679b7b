/** Recovers from some reasons of a `MailError` and leaves the others alone. */
import { Clock, Duration, Effect, Option } from "effect"
import type { MailError } from "../../src/domain/MailError.ts"

/** What became of a message that was handed over for sending. */
export type Outcome = "sent" | "to be looked for" | "refused"

// #region recover
/** Sends once; what cannot be decided here is written down instead of being sent again. */
export const sendAndNote = <A>(send: Effect.Effect<A, MailError>): Effect.Effect<Outcome, MailError> =>
  send.pipe(
    Effect.as<Outcome>("sent"),
    Effect.catchReason("MailError", "OutcomeUnknown", ({ messageId }) =>
      Effect.logWarning(`look for ${messageId} before this is sent again`).pipe(
        Effect.as<Outcome>("to be looked for")
      )),
    Effect.catchReason("MailError", "RecipientsRejected", ({ recipients }) =>
      Effect.logError("nobody took it", recipients).pipe(Effect.as<Outcome>("refused")))
  )
// #endregion

// #region later
/** When to try again what the library has given up: the time the server or a window named, else in ten minutes. */
export const nextAttempt = (error: MailError): Effect.Effect<Option.Option<number>> =>
  error.isRetryable
    ? Effect.map(
      Clock.currentTimeMillis,
      (now) => Option.some(now + Duration.toMillis(error.retryAfter ?? Duration.minutes(10)))
    )
    : Effect.succeedNone
// #endregion
