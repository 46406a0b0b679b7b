/**
 * What a profile file holds, and how a profile becomes an account's configuration. Secrets are references wherever
 * possible: to an environment variable, or to a command that prints them; a secret in the file itself is read only
 * while nobody else can read the file.
 */
import type { Redacted } from "effect"
import { Effect, Schema } from "effect"
import { AccountConfig, Endpoint } from "../domain/AccountConfig.ts"
import { AccessToken, Password } from "../domain/Credentials.ts"
import { Limits, SomeLimits } from "../domain/Limits.ts"
import { InvalidInput } from "../domain/MailError.ts"
import { filingOf, limitsOf } from "../domain/Provider.ts"
import { providerById, providerOf, providers } from "../domain/Providers.ts"
import { toInvalidInput } from "../domain/SchemaProblem.ts"

/** Where a secret is: `{ "env": "WORK_PASSWORD" }`, `{ "command": ["pass", "show", "work"] }`, or the text itself. */
export const SecretRef = Schema.Union([
  Schema.Struct({ env: Schema.NonEmptyString }),
  Schema.Struct({ command: Schema.TupleWithRest(Schema.Tuple([Schema.NonEmptyString]), [Schema.String]) }),
  Schema.NonEmptyString
])
export type SecretRef = typeof SecretRef.Type

/**
 * One account. `provider` (an id of `providers`) gives servers and limits; without it the provider of the address is
 * taken, or `imap` and `smtp` name the servers. Each of `limits` replaces that one of the provider. `user` defaults to
 * the address. One of `password` and `token` is needed.
 */
export const Profile = Schema.Struct({
  address: Schema.optionalKey(Schema.NonEmptyString),
  provider: Schema.optionalKey(Schema.NonEmptyString),
  imap: Schema.optionalKey(Endpoint),
  smtp: Schema.optionalKey(Endpoint),
  user: Schema.optionalKey(Schema.NonEmptyString),
  password: Schema.optionalKey(SecretRef),
  token: Schema.optionalKey(SecretRef),
  limits: Schema.optionalKey(SomeLimits)
})
export type Profile = typeof Profile.Type

/** The whole file. `default` names the account that is meant when none is named. */
export const ProfileFile = Schema.Struct({
  version: Schema.Literal(1),
  default: Schema.optionalKey(Schema.NonEmptyString),
  accounts: Schema.Record(Schema.NonEmptyString, Profile)
})
export type ProfileFile = typeof ProfileFile.Type

export const emptyProfiles: ProfileFile = { version: 1, accounts: {} }

const Text = Schema.fromJsonString(ProfileFile)
const decode = Schema.decodeUnknownEffect(Text, { errors: "all", onExcessProperty: "error" })
const encode = Schema.encodeEffect(Schema.toCodecJson(ProfileFile))

/** Reads the text of a profile file. Fails with `InvalidInput` that names the fields, never their values. */
export const parseProfiles = (text: string): Effect.Effect<ProfileFile, InvalidInput> =>
  Effect.mapError(decode(text), ({ issue }) => toInvalidInput(issue, "profiles"))

/** The text of a profile file. Endpoints and limits may be plain objects. */
export const printProfiles = (file: ProfileFile): Effect.Effect<string, InvalidInput> =>
  ProfileFile.makeEffect(file).pipe(
    Effect.flatMap(encode),
    Effect.map((json) => `${JSON.stringify(json, null, 2)}\n`),
    Effect.mapError((error) => toInvalidInput("issue" in error ? error.issue : error, "profiles"))
  )

/** The field, if any, in which a profile keeps a secret in the file itself. */
export const secretField = ({ password, token }: Profile): "password" | "token" | undefined =>
  typeof password === "string" ? "password" : typeof token === "string" ? "token" : undefined

/** The configuration that a profile describes; `resolve` turns references into secrets. */
export const toConfig = Effect.fnUntraced(function*<R>(
  name: string,
  profile: Profile,
  resolve: (secret: SecretRef, field: string) => Effect.Effect<Redacted.Redacted, InvalidInput, R>
) {
  const field = (key: string) => `accounts.${name}.${key}`
  const provider = profile.provider === undefined
    ? providerOf(profile.address ?? profile.user ?? "")
    : providerById(profile.provider)
  if (profile.provider !== undefined && provider === undefined) {
    const known = providers.map(({ id }) => id).join(", ")
    return yield* invalid(field("provider"), `there is no provider "${profile.provider}"; there are: ${known}`)
  }
  const imap = profile.imap ?? provider?.imap.value
  const smtp = profile.smtp ?? provider?.smtp.value
  if (imap === undefined && smtp === undefined) {
    return yield* invalid(field("imap"), "name the servers (imap, smtp), or a provider")
  }
  const user = profile.user ?? profile.address
  if (user === undefined) return yield* invalid(field("user"), "name the user, or the address it is the same as")
  const credentials = profile.token !== undefined
    ? new AccessToken({ user, token: yield* resolve(profile.token, field("token")) })
    : profile.password !== undefined
    ? new Password({ user, password: yield* resolve(profile.password, field("password")) })
    : yield* invalid(field("password"), "a password or a token is needed")
  return new AccountConfig({
    name,
    credentials,
    limits: provider === undefined ? new Limits(profile.limits ?? {}) : limitsOf(provider, profile.limits),
    ...(imap === undefined ? {} : { imap }),
    ...(smtp === undefined ? {} : { smtp }),
    ...(provider !== undefined && profile.smtp === undefined ? filingOf(provider) : {}),
    ...(profile.address === undefined ? {} : { address: profile.address })
  })
})

const invalid = (field: string, problem: string) => new InvalidInput({ field, problem })

/** The file of the program that this library succeeds: profiles with plain passwords, implicit TLS or STARTTLS. */
const Predecessor = Schema.fromJsonString(Schema.Struct({
  default_profile: Schema.optionalKey(Schema.NullOr(Schema.String)),
  profiles: Schema.Record(
    Schema.String,
    Schema.Struct({
      imap_server: Schema.optionalKey(Schema.NullOr(Schema.String)),
      imap_port: Schema.optionalKey(Schema.NullOr(Schema.Int)),
      imap_ssl: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
      smtp_server: Schema.optionalKey(Schema.NullOr(Schema.String)),
      smtp_port: Schema.optionalKey(Schema.NullOr(Schema.Int)),
      smtp_tls: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
      username: Schema.NonEmptyString,
      password: Schema.NonEmptyString
    })
  )
}))
const decodePredecessor = Schema.decodeUnknownEffect(Predecessor)

/** Reads that file. Its passwords stay in the file they are imported into: move them out when you can. */
export const parsePredecessor = (text: string): Effect.Effect<ProfileFile, InvalidInput> =>
  decodePredecessor(text).pipe(
    Effect.mapError(({ issue }) => toInvalidInput(issue, "profiles")),
    Effect.map(({ default_profile, profiles }): ProfileFile => ({
      version: 1,
      // it did not clear its default when that profile was removed
      ...(!default_profile || !Object.hasOwn(profiles, default_profile) ? {} : { default: default_profile }),
      accounts: Object.fromEntries(
        Object.entries(profiles).map(([name, old]): readonly [string, Profile] => [name, {
          user: old.username,
          password: old.password,
          ...(old.username.includes("@") ? { address: old.username } : {}),
          ...(!old.imap_server ? {} : {
            imap: old.imap_ssl === false && old.imap_port !== 993
              ? endpoint(old.imap_server, old.imap_port ?? 143, "starttls")
              : endpoint(old.imap_server, old.imap_port ?? 993, "tls")
          }),
          // it knew no other way for SMTP than STARTTLS; on port 465 that can only have been meant as TLS
          ...(!old.smtp_server ? {} : {
            smtp: endpoint(old.smtp_server, old.smtp_port ?? 587, old.smtp_port === 465 ? "tls" : "starttls")
          })
        }])
      )
    }))
  )

const endpoint = (host: string, port: number, security: "tls" | "starttls") => new Endpoint({ host, port, security })
