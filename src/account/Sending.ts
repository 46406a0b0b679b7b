/**
 * Sending: a draft gets its sender, date and Message-ID, is composed once, and is handed to an SMTP connection that
 * knows its fate. It is repeated only where the server certainly has not accepted it (I4).
 */
import { Clock, Duration, Effect, Random } from "effect"
import { Draft } from "../domain/Draft.ts"
import { InvalidInput, OutcomeUnknown, type Reason } from "../domain/MailError.ts"
import { Receipt } from "../domain/Receipt.ts"
import type { Composed, MessageComposer } from "../driver/MessageComposer.ts"
import type { Operations } from "./Operations.ts"

export interface SendingOptions {
  /** Send only if the server takes every recipient; otherwise nothing is sent, and it fails with `RecipientsRejected`. */
  readonly allRecipients?: boolean | undefined
}

/** How long an interruption waits for the answer to a message that has been written completely. */
const graceMillis = 2_000

export const make = (operations: Operations, composer: MessageComposer["Service"]) => {
  const { config, onSubmission, retrying } = operations

  /** The draft with sender, date and Message-ID, composed. */
  const compose = (draft: Draft, options: Parameters<MessageComposer["Service"]["compose"]>[1]) =>
    Effect.gen(function*() {
      const from = draft.from ?? config.address ??
        (config.credentials.user.includes("@") ? config.credentials.user : undefined)
      if (from === undefined) {
        return yield* new InvalidInput({ field: "from", problem: "name a sender, or set the account's address" })
      }
      const date = draft.date ?? new Date(yield* Clock.currentTimeMillis)
      const messageId = draft.messageId ??
        `<${yield* uniqueId}@${domainOf(typeof from === "string" ? from : from.address)}>`
      return yield* composer.compose(new Draft({ ...draft, from, date, messageId }), options)
    })

  const submit = (
    { envelope, messageId, source }: Composed,
    options?: SendingOptions
  ): Effect.Effect<Receipt, Reason> =>
    retrying("send")(onSubmission(
      { send: 1, recipients: envelope.to.length, bytes: source.length },
      (connection) =>
        connection.send(envelope, source, {
          commandTimeoutMillis: Duration.toMillis(config.limits.commandTimeout),
          answerTimeoutMillis: Duration.toMillis(config.limits.answerTimeout),
          allRecipients: options?.allRecipients ?? false,
          graceMillis
        })
    )).pipe(
      Effect.map(({ accepted, refused, response }) =>
        new Receipt({ messageId, accepted: [...accepted], refused: [...refused], response, size: source.length })
      ),
      Effect.mapError((reason) =>
        reason._tag === "OutcomeUnknown" ? new OutcomeUnknown({ messageId, detail: reason.detail }) : reason
      )
    )

  const send = (draft: Draft, options?: SendingOptions): Effect.Effect<Receipt, Reason> =>
    Effect.flatMap(compose(draft, { recipients: "required" }), (composed) => submit(composed, options))

  return { compose, send }
}

export type Sending = ReturnType<typeof make>

/** 128 random bits in hexadecimal: unique as RFC 5322 3.6.4 asks for, and from Effect's Random, so a test can seed it. */
const uniqueId = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0xffffffff), 4),
  (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("")
)

/** The domain of an address as a person writes it ("Ann <ann@example.com>"). */
const domainOf = (address: string): string => /@([^\s@<>,;]+)>?\s*$/.exec(address)?.[1] ?? "localhost"
