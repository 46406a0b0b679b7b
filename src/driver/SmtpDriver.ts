/**
 * The contract between the library and an SMTP implementation. A connection sends one message at a time and knows the
 * fate of each: accepted, certainly not accepted, or unknown.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Endpoint } from "../domain/AccountConfig.ts"
import type { Login } from "../domain/Credentials.ts"
import type { Reason, RefusedRecipient } from "../domain/MailError.ts"

export interface SmtpConnectOptions {
  readonly endpoint: Endpoint
  readonly credentials: Login
  /** Bound for everything from name lookup to the end of the login; on the Clock. */
  readonly connectTimeoutMillis: number
}

/** Sender and recipients of the transport (RFC 5321 2.3.1), bare addresses. */
export interface SmtpEnvelope {
  readonly from: string
  readonly to: ReadonlyArray<string>
}

/**
 * How far a send has come. `envelope`: no octet of the body was read. `body`: the end of the message was not written.
 * `committed`: the end of the message was written and the answer is awaited.
 */
export type SendPhase = "envelope" | "body" | "committed"

/** Delivery status notifications (RFC 3461): on which events, how much of the message, and the sender's id for it. */
export interface DsnOptions {
  readonly notify?: "never" | ReadonlyArray<"success" | "failure" | "delay">
  readonly ret?: "full" | "headers"
  readonly envid?: string
}

export interface SendOptions {
  /** Bound for each answer of the envelope phase. */
  readonly commandTimeoutMillis: number
  /** Bound for the answer to the end of the message. */
  readonly answerTimeoutMillis: number
  /** Send only if every recipient is taken; otherwise fail with `RecipientsRejected`, nothing sent. */
  readonly allRecipients?: boolean
  /**
   * Hold the end of the message back this long after all else has reached the network, so that a cut is seen first.
   * "round-trip": as long as the server took to answer the envelope, which is a round trip or more.
   */
  readonly holdMillis?: number | "round-trip"
  /** Ask for notifications; fails with `Unsupported`, nothing sent, where the server lacks DSN. */
  readonly dsn?: DsnOptions
  /** How long an interruption waits for the answer once the message is committed. */
  readonly graceMillis?: number
  readonly onPhase?: (phase: SendPhase) => void
}

/** The server took the message. */
export interface SmtpAccepted {
  readonly accepted: ReadonlyArray<string>
  readonly refused: ReadonlyArray<RefusedRecipient>
  readonly response: string
}

export interface SmtpConnection {
  /** False once the socket is gone or the protocol state is unknown. */
  readonly isUsable: () => boolean
  /** Completes when the socket has closed. Only then its slot is free. */
  readonly closed: Effect.Effect<string>
  /** The SIZE the server announced (RFC 1870), octets. */
  readonly maxSize: number | undefined
  /** Messages sent over this connection so far. */
  readonly sent: () => number
  /**
   * Sends octets with CRLF line ends exactly as they are. Fails with `OutcomeUnknown` where nobody can know whether
   * the server accepted; with any other reason the server has certainly not accepted, and repeating is safe.
   */
  readonly send: (
    envelope: SmtpEnvelope,
    source: Uint8Array,
    options: SendOptions
  ) => Effect.Effect<SmtpAccepted, Reason>
}

/**
 * Opens SMTP connections, ready to send. `connect` is interruptible at any point and leaves nothing behind. The scope's
 * release returns only after the socket has closed.
 */
export class SmtpDriver extends Context.Service<SmtpDriver, {
  readonly connect: (options: SmtpConnectOptions) => Effect.Effect<SmtpConnection, Reason, Scope.Scope>
}>()("effect-mail/driver/SmtpDriver") {}
