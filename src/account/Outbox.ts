/**
 * What becomes of a message from draft to receipt: composed once, submitted at most once, looked for where its fate is
 * unknown, copied for the sender. And many of them, as a stream.
 */
import { Duration, Effect, type Result, Stream } from "effect"
import type { SentCopyPolicy } from "../domain/AccountConfig.ts"
import type { Draft } from "../domain/Draft.ts"
import type { MailError, OutcomeUnknown, Reason } from "../domain/MailError.ts"
import { ByServer, Receipt, type SentCopy } from "../domain/Receipt.ts"
import type { Composed } from "../driver/MessageComposer.ts"
import type { SmtpAccepted } from "../driver/SmtpDriver.ts"
import { isOfPause } from "../governor/Pace.ts"
import { RetryPolicy } from "../governor/RetryPolicy.ts"
import type { Operations } from "./Operations.ts"
import type { Reconciliation } from "./Reconciliation.ts"
import type { Sending, SubmissionOptions } from "./Sending.ts"
import type { SentCopies } from "./SentCopy.ts"

export interface SendingOptions extends SubmissionOptions {
  /**
   * What to do where nobody can know whether the server took the message. `fail` (default): fail with
   * `OutcomeUnknown`. `reconcile-then-retry`: look for it among the sent ones, which may take 15 seconds. Found, it was
   * sent. Not found, it is sent again only if `AccountConfig.filesSentMail` says that it would be there; else it fails
   * with `OutcomeUnknown` all the same.
   */
  readonly onUnknown?: "fail" | "reconcile-then-retry" | undefined
  /** The sender's copy; default: the account's. */
  readonly sentCopy?: SentCopyPolicy | undefined
}

/** How many messages are sent. */
export interface SendAllOptions extends SendingOptions {
  /** Yield each result as soon as it is there, rather than in the order of the drafts. */
  readonly unordered?: boolean | undefined
}

/** What became of one draft of many. `index` counts the drafts from 0. */
export interface SendResult {
  readonly index: number
  readonly draft: Draft
  readonly result: Result.Result<Receipt, MailError>
}

/** How often one message is sent at most, where each time it was not among the sent ones afterwards. */
const maxSubmissions = 3

export const make = (
  operations: Operations,
  sending: Sending,
  reconciliation: Reconciliation,
  copies: SentCopies
) => {
  const { config } = operations

  const send = (draft: Draft, options?: SendingOptions): Effect.Effect<Receipt, Reason> =>
    Effect.flatMap(sending.compose(draft), (composed) => deliver(composed, options, sending.submit(composed, options)))

  /**
   * One of many waits for its turn as long as it takes: that there is a queue is what sending many is about. It is the
   * account that is busy, not the server.
   */
  const sendOneOfMany = (draft: Draft, options?: SendingOptions): Effect.Effect<Receipt, Reason> =>
    Effect.flatMap(sending.compose(draft), (composed) =>
      deliver(
        composed,
        options,
        whenNotBusy(sending.submit(composed, options), config.limits.onLimit)
      ))

  const deliver = (
    composed: Composed,
    options: SendingOptions | undefined,
    submit: Effect.Effect<SmtpAccepted, Reason>
  ): Effect.Effect<Receipt, Reason> => {
    const submitted: Effect.Effect<Submitted, Reason> = options?.onUnknown === "reconcile-then-retry"
      ? Effect.catchTag(submit, "OutcomeUnknown", (unknown) => settle(composed, submit, unknown, 1))
      : submit
    return Effect.flatMap(submitted, (submitted) =>
      Effect.map(
        submitted.seen === undefined ? copies.keep(composed, options?.sentCopy) : Effect.succeed(submitted.seen),
        (sentCopy) => receiptOf(composed, submitted, sentCopy)
      ))
  }

  /** The message is looked for; it is sent again only where its absence proves that it was not accepted. */
  const settle = (
    composed: Composed,
    submit: Effect.Effect<SmtpAccepted, Reason>,
    unknown: OutcomeUnknown,
    submissions: number
  ): Effect.Effect<Submitted, Reason> =>
    Effect.matchEffect(reconciliation.reconcile(composed.messageId), {
      onFailure: () => Effect.fail(unknown),
      onSuccess: (delivery) => {
        if (delivery._tag === "Found") {
          return Effect.succeed(found(composed, unknown, new ByServer({ ref: delivery.ref })))
        }
        if (config.filesSentMail !== true || submissions >= maxSubmissions) return Effect.fail(unknown)
        return Effect.catchTag(
          submit,
          "OutcomeUnknown",
          (again) => settle(composed, submit, again, submissions + 1)
        )
      }
    })

  const sendAll = <E, R>(
    drafts: Stream.Stream<Draft, E, R>,
    sendOne: (draft: Draft, options: SendingOptions | undefined) => Effect.Effect<Receipt, MailError>,
    options?: SendAllOptions
  ): Stream.Stream<SendResult, E, R> =>
    drafts.pipe(
      Stream.mapEffect(
        (draft, index) =>
          Effect.map(Effect.result(sendOne(draft, options)), (result): SendResult => ({ index, draft, result })),
        // for each connection one that is being sent, and one that is composed meanwhile
        { concurrency: config.limits.smtpConnections * 2, unordered: options?.unordered ?? false }
      )
    )

  return { send, sendOneOfMany, sendAll }
}

/** The account would have it wait longer than others may. */
const isTooBusy = (reason: Reason, onLimit: "wait" | "fail"): boolean =>
  reason._tag === "QueueFull" || (reason._tag === "TimedOut" && reason.wait === "queue") ||
  (reason._tag === "RateLimited" && onLimit === "wait") || isOfPause(reason)

/** How long one of many waits where the account is too busy, and does not say for how long. */
const busyPause = Duration.seconds(1)

const whenNotBusy = <A>(submit: Effect.Effect<A, Reason>, onLimit: "wait" | "fail"): Effect.Effect<A, Reason> =>
  Effect.catch(submit, (reason) =>
    isTooBusy(reason, onLimit)
      ? Effect.andThen(
        Effect.sleep(Duration.max(busyPause, RetryPolicy.retryAfter(reason) ?? busyPause)),
        whenNotBusy(submit, onLimit)
      )
      : Effect.fail(reason))

export type Outbox = ReturnType<typeof make>

/** A message that the server has taken. `seen` where it was not told so, but found it among the sent ones. */
interface Submitted extends SmtpAccepted {
  readonly seen?: ByServer
}

const receiptOf = (
  { messageId, source }: Composed,
  { accepted, refused, response }: Submitted,
  sentCopy: SentCopy
): Receipt =>
  new Receipt(
    { messageId, accepted: [...accepted], refused: [...refused], response, size: source.length, sentCopy },
    { disableChecks: true }
  )

const found = ({ envelope }: Composed, { refused = [] }: OutcomeUnknown, seen: ByServer): Submitted => {
  const out = new Set(refused.map(({ address }) => address))
  return { accepted: envelope.to.filter((address) => !out.has(address)), refused, response: "", seen }
}
