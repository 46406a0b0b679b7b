/**
 * Sending: a message is composed once, and handed to an SMTP connection that knows its fate. It is repeated only where
 * the server certainly has not accepted it.
 */
import { Duration, Effect } from "effect"
import { Draft } from "../domain/Draft.ts"
import { InvalidInput, OutcomeUnknown, type Reason } from "../domain/MailError.ts"
import { messageIdOf } from "../domain/MessageId.ts"
import { readTime } from "../domain/OptionCheck.ts"
import type { Composed, MessageComposer } from "../driver/MessageComposer.ts"
import type { DsnOptions, SendOptions, SmtpAccepted } from "../driver/SmtpDriver.ts"
import * as Composing from "./Composing.ts"
import type { Operations } from "./Operations.ts"

export interface SubmissionOptions {
  /** Send only if the server takes every recipient; otherwise nothing is sent, and it fails with `RecipientsRejected`. */
  readonly allRecipients?: boolean | undefined
  /**
   * Hold the end of the message back for a while after all else is on its way: a connection that is cut meanwhile then
   * is known to have cut an unfinished message, and the fate is not `OutcomeUnknown`. "round trip": as long as this
   * server took to answer the envelope just before. It costs each message that time. A time that has no end, or is less
   * than none, fails with `InvalidInput`, nothing sent. Default: not held.
   */
  readonly hold?: Duration.Input | "round trip" | undefined
  /** Notifications of delivery (RFC 3461). Fails with `Unsupported`, nothing sent, where the server lacks DSN. */
  readonly dsn?: DsnOptions | undefined
}

/** How long an interruption waits for the answer to a message that has been written completely. */
const graceMillis = 2_000

export const make = (operations: Operations, composer: MessageComposer["Service"]) => {
  const { config, onSubmission, retrying } = operations
  const composing = Composing.make(config, composer)

  const submit = (
    { envelope, messageId, source }: Composed,
    options?: SubmissionOptions
  ): Effect.Effect<SmtpAccepted, Reason> =>
    Effect.flatMap(holding(options?.hold), (hold) =>
      retrying("send")(
        onSubmission(
          { send: 1, recipients: envelope.to.length, bytes: source.length },
          (connection) =>
            connection.send(envelope, source, {
              commandTimeoutMillis: Duration.toMillis(config.limits.commandTimeout),
              answerTimeoutMillis: Duration.toMillis(config.limits.answerTimeout),
              allRecipients: options?.allRecipients ?? false,
              graceMillis,
              ...hold,
              ...(options?.dsn === undefined ? {} : { dsn: options.dsn })
            })
        ).pipe(
          // the connection tells of its own doubt as `OutcomeUnknown`; this one is cut by the account's closing
          Effect.mapError((reason) =>
            reason._tag === "ConnectionLost" && reason.written ? new OutcomeUnknown({ detail: reason.detail }) : reason
          )
        )
      )).pipe(
        Effect.mapError((reason) =>
          reason._tag === "OutcomeUnknown" ? new OutcomeUnknown({ ...reason, messageId }) : reason
        )
      )

  /** The octets to file, and the Message-ID they can be looked for by. */
  const toSource = (
    message: Draft | Uint8Array
  ): Effect.Effect<{ readonly source: Uint8Array; readonly messageId: string | undefined }, Reason> =>
    message instanceof Draft
      ? composing.toFile(message)
      : Effect.sync(() => ({ source: message, messageId: idOfSource(message) }))

  return { compose: composing.toSend, submit, toSource }
}

export type Sending = ReturnType<typeof make>

/** How the connection is told; also for who only plans a submission. */
export const holding = (
  hold: SubmissionOptions["hold"]
): Effect.Effect<Pick<SendOptions, "holdMillis">, InvalidInput> => {
  if (hold === undefined) return Effect.succeed({})
  if (hold === "round trip") return Effect.succeed({ holdMillis: "round-trip" })
  const time = readTime(hold)
  const holdMillis = time === undefined ? Number.NaN : Duration.toMillis(time)
  return holdMillis >= 0 && holdMillis < Infinity
    ? Effect.succeed({ holdMillis })
    : Effect.fail(new InvalidInput({ field: "hold", problem: "it is a time, none or longer, that has an end" }))
}

/** The Message-ID field of the header, as far as it can be searched for. */
const idOfSource = (source: Uint8Array): string | undefined => {
  const header = Buffer.from(source.buffer, source.byteOffset, Math.min(source.length, 64 * 1024)).toString("latin1")
  const end = header.search(/\r?\n\r?\n/)
  return messageIdOf(end < 0 ? header : header.slice(0, end))
}
