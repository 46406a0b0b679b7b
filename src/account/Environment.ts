/**
 * An account's configuration from Effect's `Config`. By environment variables:
 *
 *   MAIL_USER, MAIL_PASSWORD     login; or MAIL_TOKEN for an OAuth2 access token
 *   MAIL_HOST                    host of both servers, unless told apart:
 *   MAIL_IMAP_HOST, MAIL_IMAP_PORT, MAIL_IMAP_SECURITY    "tls" (default), "starttls" or "none"
 *   MAIL_SMTP_HOST, MAIL_SMTP_PORT, MAIL_SMTP_SECURITY    likewise
 *   MAIL_NAME                    name of the account; default: the user
 *   MAIL_ADDRESS                 sender of drafts that name none
 *   MAIL_IMAP_CONNECTIONS, MAIL_SMTP_CONNECTIONS          hard caps; defaults in `Limits.defaults`
 */
import { Config, Effect, Option, Redacted, Schema } from "effect"
import { AccountConfig, Endpoint, Security } from "../domain/AccountConfig.ts"
import { AccessToken, Password } from "../domain/Credentials.ts"
import { Limits } from "../domain/Limits.ts"

const text = (name: string) => Config.option(Config.NonEmptyString(name))
const secret = (name: string) => Config.option(Config.schema(Password.fields.password, name))
const needed = (name: string, message: string) => Config.schema(Schema.String.annotate({ message }), name)
const count = (name: string) =>
  Config.option(Config.schema(Schema.Int.check(Schema.isGreaterThan(0, { expected: "one connection at least" })), name))

const endpoint = Effect.fnUntraced(function*(protocol: "IMAP" | "SMTP", host: Option.Option<string>) {
  const own = yield* text(`MAIL_${protocol}_HOST`)
  const port = yield* Config.option(Config.Port(`MAIL_${protocol}_PORT`))
  const security = yield* Config.schema(Security, `MAIL_${protocol}_SECURITY`).pipe(Config.withDefault("tls"))
  return Option.map(
    Option.orElse(own, () => host),
    (host) => new Endpoint({ host, security, ...present("port", port) })
  )
})

/** The account that the environment describes. Fails with a `ConfigError` that names the variable. */
export const config: Effect.Effect<AccountConfig, Config.ConfigError> = Effect.gen(function*() {
  const host = yield* text("MAIL_HOST")
  const imap = yield* endpoint("IMAP", host)
  const smtp = yield* endpoint("SMTP", host)
  // without any host this fails, and says which variable it wanted
  if (Option.isNone(imap) && Option.isNone(smtp)) yield* needed("MAIL_HOST", "set the host of the mail server")
  const user = yield* needed("MAIL_USER", "set the user name to log in with")
  const token = yield* secret("MAIL_TOKEN")
  const credentials = Option.isSome(token)
    ? new AccessToken({ user, token: token.value })
    : new Password({
      user,
      password: Redacted.make(yield* needed("MAIL_PASSWORD", "set the password to log in with, or MAIL_TOKEN"))
    })
  return new AccountConfig({
    name: Option.getOrElse(yield* text("MAIL_NAME"), () => user),
    credentials,
    ...present("imap", imap),
    ...present("smtp", smtp),
    ...present("address", yield* text("MAIL_ADDRESS")),
    limits: new Limits({
      ...present("imapConnections", yield* count("MAIL_IMAP_CONNECTIONS")),
      ...present("smtpConnections", yield* count("MAIL_SMTP_CONNECTIONS"))
    })
  })
})

const present = <const Key extends string, A>(key: Key, value: Option.Option<A>): { readonly [K in Key]?: A } =>
  Option.isSome(value) ? { [key]: value.value } as { readonly [K in Key]: A } : {} // a computed key has the type string
