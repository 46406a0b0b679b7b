/** How much an account may do at once, how long it waits, and how fast it goes. */
import { Duration, Effect, Schema, Struct } from "effect"
import { madeByHand } from "./MadeByHand.ts"

/** What a rate window counts: operations of the account, of one agent, messages sent, recipients, octets transferred. */
export const RateScope = Schema.Literals(["account", "agent", "send", "recipients", "bytes"])
export type RateScope = typeof RateScope.Type

const Positive = Schema.Int.check(Schema.isGreaterThan(0))

/** "90 seconds", "2 minutes": the form of a configuration file. */
const Span = Schema.DurationFromString.check(
  Schema.makeFilter((span) => Duration.toMillis(span) > 0 || "a time is longer than none")
)

/** At most `limit` starts in any span of length `window` (a sliding window). */
export class RateWindow extends madeByHand(
  Schema.Class<RateWindow>("effect-mail/RateWindow")({
    per: RateScope,
    limit: Positive,
    window: Span
  })
) {}

/** The defaults of `Limits`, for a server about which nothing is known. */
export const defaults = {
  imapConnections: 2,
  smtpConnections: 1,
  queue: 1024,
  maxWait: Duration.minutes(1),
  idleTimeToLive: Duration.minutes(2),
  connectTimeout: Duration.seconds(30),
  commandTimeout: Duration.minutes(1),
  answerTimeout: Duration.minutes(10),
  batchBytes: 56 * 1024 * 1024,
  maxMessageBytes: 64 * 1024 * 1024,
  messagesPerConnection: 100
} as const

const withDefault = <S extends Schema.Top & Schema.WithoutConstructorDefault>(schema: S, value: S["Type"]) =>
  schema.pipe(
    Schema.withDecodingDefaultTypeKey<S>(Effect.succeed(value)),
    Schema.withConstructorDefault<Schema.withDecodingDefaultTypeKey<S>>(Effect.succeed(value))
  )

const defaulted = {
  /** Hard cap on IMAP sockets of the account, in whatever state. */
  imapConnections: withDefault(Positive, defaults.imapConnections),
  /** Hard cap on SMTP sockets of the account. */
  smtpConnections: withDefault(Positive, defaults.smtpConnections),
  /**
   * Requests that may wait; one more fails with `QueueFull`. A stream of messages makes up to `imapConnections` + 1 of
   * them at once.
   */
  queue: withDefault(Positive, defaults.queue),
  /**
   * The longest wait for rate windows and for a connection together, of each attempt. It fails as soon as it is known
   * that this is not enough: with `RateLimited`, `TimedOut`, or `Throttled` during a pause that the server asked for.
   */
  maxWait: withDefault(Span, defaults.maxWait),
  /** An unused connection is closed after this time. */
  idleTimeToLive: withDefault(Span, defaults.idleTimeToLive),
  /** Bound for name lookup, TCP, TLS, greeting and login together. Servers delay a login by up to 15 s on purpose. */
  connectTimeout: withDefault(Span, defaults.connectTimeout),
  /** Bound for the answer to one command. */
  commandTimeout: withDefault(Span, defaults.commandTimeout),
  /** Bound for the answer to the end of a message sent (RFC 5321 4.5.3.2.6 asks for 10 minutes). */
  answerTimeout: withDefault(Span, defaults.answerTimeout),
  /** Octets that one batch may hold in memory. */
  batchBytes: withDefault(Positive, defaults.batchBytes),
  /**
   * Octets of one message that is composed or read, of one part or header that is fetched: they are held in memory. A
   * larger one fails with `TooLarge`; `source` and `attachment` stream it. A part or header of up to 16 MiB is fetched in
   * any case.
   */
  maxMessageBytes: withDefault(Positive, defaults.maxMessageBytes),
  /** Messages sent over one SMTP connection before it is replaced. */
  messagesPerConnection: withDefault(Positive, defaults.messagesPerConnection),
  /** Turns in a row that an agent gets when others wait too, by its name; an agent that is not named gets one. */
  weights: withDefault(Schema.Record(Schema.String, Positive), {}),
  /** Rate windows; all that apply are taken together or none. */
  rates: withDefault(Schema.Array(RateWindow), []),
  /** What happens when a window is used up: wait in order, as far as `maxWait` allows, or fail with `RateLimited`. */
  onLimit: withDefault(Schema.Literals(["wait", "fail"]), "wait")
}

const others = {
  /** Recipients of one message; one more fails with `InvalidInput`, nothing sent. Absent: what the server takes. */
  recipientsPerMessage: Schema.optionalKey(Positive)
}

/** The limits of one account. Each field has its default in `Limits.defaults`, or may be absent. */
export class Limits extends madeByHand(Schema.Class<Limits>("effect-mail/Limits")({ ...defaulted, ...others })) {
  static readonly defaults = defaults
}

/** A field without its default. */
interface Given extends Struct.Lambda {
  <S extends Schema.Constraint>(
    field: { readonly schema: { readonly from: Schema.optionalKey<S> } }
  ): Schema.optionalKey<S>
  readonly "~lambda.out": this["~lambda.in"] extends { readonly schema: { readonly from: infer S } } ? S : never
}

/** Some of the limits, as where a configuration changes those of a provider: what is not named stays as it was. */
export const SomeLimits = Schema.Struct({
  ...Struct.map(defaulted, Struct.lambda<Given>((field) => field.schema.from)),
  ...others
})
export type SomeLimits = typeof SomeLimits.Type
