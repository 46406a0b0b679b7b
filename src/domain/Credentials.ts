/** How to log in. Secrets are `Redacted` from here to the wire call. */
import { Schema } from "effect"

/** A user name and a password, or an app password. */
export class Password extends Schema.TaggedClass<Password>("effect-mail/Password")("Password", {
  user: Schema.NonEmptyString,
  password: Schema.RedactedFromValue(Schema.NonEmptyString, { disallowEncode: true })
}) {}

/** A user name and an OAuth2 access token, sent with XOAUTH2 or OAUTHBEARER (RFC 7628), whichever the server offers. */
export class AccessToken extends Schema.TaggedClass<AccessToken>("effect-mail/AccessToken")("AccessToken", {
  user: Schema.NonEmptyString,
  token: Schema.RedactedFromValue(Schema.NonEmptyString, { disallowEncode: true })
}) {}

/** What a driver logs in with. */
export const Credentials = Schema.Union([Password, AccessToken])
export type Credentials = typeof Credentials.Type
