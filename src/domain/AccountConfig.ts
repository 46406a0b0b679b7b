/** One account as data: where its servers are, how to log in, what it may do. */
import { Effect, Schema } from "effect"
import { Credentials } from "./Credentials.ts"
import { Dkim } from "./Dkim.ts"
import { Limits } from "./Limits.ts"
import { madeByHand } from "./MadeByHand.ts"
import type { InvalidInput } from "./MailError.ts"
import { toInvalidInput } from "./SchemaProblem.ts"

/**
 * How a wire is protected. `tls`: TLS from the first octet. `starttls`: STARTTLS before the login, never skipped.
 * `none`: a plain wire, password included; for loopback and tests.
 */
export const Security = Schema.Literals(["tls", "starttls", "none"])
export type Security = typeof Security.Type

/** Which certificates are trusted beside the system's. `ca` is PEM text; `verify: false` accepts any certificate. */
export class Trust extends madeByHand(
  Schema.Class<Trust>("effect-mail/Trust")({
    ca: Schema.optionalKey(Schema.String),
    servername: Schema.optionalKey(Schema.String),
    verify: Schema.optionalKey(Schema.Boolean)
  })
) {}

const Port = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 }))

/** A server: `port` defaults to the registered one for the protocol and security (RFC 8314, RFC 6409). */
export class Endpoint extends madeByHand(
  Schema.Class<Endpoint>("effect-mail/Endpoint")({
    host: Schema.NonEmptyString,
    port: Schema.optionalKey(Port),
    security: Security.pipe(
      Schema.withDecodingDefaultKey(Effect.succeed("tls" as const)),
      Schema.withConstructorDefault(Effect.succeed("tls" as const))
    ),
    trust: Schema.optionalKey(Trust)
  })
) {}

/** The registered ports: IMAP 993 and 143, submission 465 and 587. */
export const portOf = (protocol: "imap" | "smtp", { port, security }: Endpoint): number =>
  port ?? (protocol === "imap" ? (security === "tls" ? 993 : 143) : (security === "tls" ? 465 : 587))

/**
 * Whether a copy of each message sent is filed in the mailbox for sent mail. `always`: unless it is there at that moment.
 * `auto`: the same, but not where `filesSentMail` is true; at a provider that is said to file sent mail, and where
 * `filesSentMail` does not tell, the first one is looked for during three seconds. `never`: no.
 */
export const SentCopyPolicy = Schema.Literals(["auto", "always", "never"])
export type SentCopyPolicy = typeof SentCopyPolicy.Type

/**
 * One mail account. Without `imap` it only sends, without `smtp` it only reads.
 *
 * **Gotchas** The constructor throws a `TypeError` for a value of the right type that cannot be (a port of 70000), and so
 * do those of the values in it. `AccountConfig.decode` fails instead.
 */
export class AccountConfig extends madeByHand(
  Schema.Class<AccountConfig>("effect-mail/AccountConfig")({
    /** The name in errors, logs, spans and metrics. */
    name: Schema.NonEmptyString,
    imap: Schema.optionalKey(Endpoint),
    smtp: Schema.optionalKey(Endpoint),
    credentials: Credentials,
    /** The sender of drafts that name none. */
    address: Schema.optionalKey(Schema.String),
    /** What is done for the sender's copy where a send does not say it itself. */
    sentCopy: SentCopyPolicy.pipe(
      Schema.withDecodingDefaultKey(Effect.succeed("auto" as const)),
      Schema.withConstructorDefault(Effect.succeed("auto" as const))
    ),
    /**
     * The server files every message it accepts in the mailbox for sent mail, as Gmail and Exchange do, or it does not.
     * Absent where nobody knows. Only `true` lets a message that is not found there count as not sent.
     */
    filesSentMail: Schema.optionalKey(Schema.Boolean),
    /** Signs what is sent. */
    dkim: Schema.optionalKey(Dkim),
    limits: Limits.pipe(
      Schema.withDecodingDefaultTypeKey(Effect.sync(() => new Limits({}))),
      Schema.withConstructorDefault(Effect.sync(() => new Limits({})))
    )
  })
) {
  /**
   * Reads an account from plain data, as in a configuration file: secrets are strings, durations are "90 seconds", the
   * credentials are `{ user, password }` or `{ user, token }`. Fails with `InvalidInput`, which names the first field
   * that is missing, wrong or unknown, and lists the others. It never repeats a value: one of them is a secret.
   */
  static decode(data: unknown): Effect.Effect<AccountConfig, InvalidInput> {
    return Schema.decodeUnknownEffect(AccountConfig)(data, { errors: "all", onExcessProperty: "error" }).pipe(
      Effect.mapError(({ issue }) => toInvalidInput(issue, "account"))
    )
  }
}
