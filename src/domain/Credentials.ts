/** How to log in. Secrets are `Redacted` from here to the wire call. */
import { type Duration, Effect, Redacted, Schema, SchemaGetter, SchemaTransformation } from "effect"
import { madeByHand } from "./MadeByHand.ts"
import type { AuthenticationFailed, ConnectionFailed } from "./MailError.ts"

const Secret = Schema.RedactedFromValue(Schema.NonEmptyString, { disallowEncode: true })

/** A tag that a configuration may leave out: the other fields tell which class is meant. */
const optionalTag = <const Tag extends string>(tag: Tag) =>
  Schema.tag(tag).pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(tag)))

/** A user name and a password, or an app password. */
export class Password extends madeByHand(
  Schema.Class<Password>("effect-mail/Password")({
    _tag: optionalTag("Password"),
    user: Schema.NonEmptyString,
    password: Secret
  })
) {}

/** A user name and an OAuth2 access token, sent with XOAUTH2 or OAUTHBEARER (RFC 7628), whichever the server offers. */
export class AccessToken extends madeByHand(
  Schema.Class<AccessToken>("effect-mail/AccessToken")({
    _tag: optionalTag("AccessToken"),
    user: Schema.NonEmptyString,
    token: Secret
  })
) {}

/** An access token and how long it may be used from now on. */
export interface TokenGrant {
  readonly token: Redacted.Redacted
  readonly expiresIn: Duration.Duration
}

/**
 * Where tokens come from. `AuthenticationFailed`: the grant was withdrawn and nobody need try again; `ConnectionFailed`:
 * the token server could not be asked this time.
 */
export type TokenSource = Effect.Effect<TokenGrant, AuthenticationFailed | ConnectionFailed>

/** Text holds no source of tokens: a configuration that is read from text chooses among the others. */
const TokenSourceSchema = Schema.declare(
  (u: unknown): u is TokenSource => Effect.isEffect(u),
  {
    identifier: "TokenSource",
    toCodecJson: () =>
      Schema.link<TokenSource>()(Schema.Never, {
        decode: SchemaGetter.forbidden(() => "a source of tokens is given by a program"),
        encode: SchemaGetter.forbidden(() => "a source of tokens has no text")
      })
  }
)

/**
 * A user name and a source of access tokens. The account runs the source once for all its connections: when it needs
 * the first token, shortly before a token expires, and after a server has refused one.
 */
export class OAuth2 extends madeByHand(
  Schema.TaggedClass<OAuth2>("effect-mail/OAuth2")("OAuth2", {
    user: Schema.NonEmptyString,
    tokens: TokenSourceSchema
  })
) {}

/** What a driver logs in with. */
export const Login = Schema.Union([Password, AccessToken])
export type Login = typeof Login.Type

/** What is kept secret of it: the password or the token. */
export const secretOf = (login: Login): string =>
  Redacted.value(login._tag === "Password" ? login.password : login.token)

/**
 * What an account is configured with. Chosen among the fields first, and made an instance after that: `Config.schema`
 * cannot choose among classes.
 */
export const Credentials = Schema.Union([
  Schema.Struct(Password.fields),
  Schema.Struct(AccessToken.fields),
  Schema.Struct(OAuth2.fields)
]).pipe(Schema.decodeTo(
  Schema.Union([Schema.toType(Password), Schema.toType(AccessToken), Schema.toType(OAuth2)]),
  SchemaTransformation.transform({
    decode: (fields): Password | AccessToken | OAuth2 => {
      switch (fields._tag) {
        case "Password":
          return new Password(fields)
        case "AccessToken":
          return new AccessToken(fields)
        case "OAuth2":
          return new OAuth2(fields)
      }
    },
    encode: (credentials) => credentials
  })
))
export type Credentials = typeof Credentials.Type
