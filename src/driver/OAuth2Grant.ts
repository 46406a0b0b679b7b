/**
 * Access tokens from a refresh token (RFC 6749 6), over the platform's `fetch`: for programs that were given a refresh
 * token once, by a person's consent, and go on by themselves. How that consent is asked for is not its matter.
 */
import { Duration, Effect, Redacted, Schema } from "effect"
import type { TokenSource } from "../domain/Credentials.ts"
import { AuthenticationFailed, ConnectionFailed } from "../domain/MailError.ts"
import { timeFrom } from "../domain/OptionCheck.ts"
import { errorText } from "./ErrorText.ts"

export interface RefreshOptions {
  /** The token endpoint (RFC 6749 3.2); a `TypeError` for what is no URL. */
  readonly url: string
  readonly clientId: string
  /** Absent for public clients. */
  readonly clientSecret?: Redacted.Redacted | undefined
  readonly refreshToken: Redacted.Redacted
  readonly scope?: string | undefined
  /** Told of a new refresh token where the server replaces it (RFC 6749 6); store it, the old one may end. */
  readonly onRefreshToken?: ((token: Redacted.Redacted) => Effect.Effect<void>) | undefined
  /** Bound for one request, longer than none; a `TypeError` for anything else. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const defaultTimeout = Duration.seconds(30)

/** Where a server does not say how long a token lasts (RFC 6749 5.1 only recommends it). */
const assumedLifetimeSeconds = 3_600

const Granted = Schema.Struct({
  access_token: Schema.NonEmptyString,
  expires_in: Schema.optionalKey(Schema.Union([Schema.Number, Schema.NumberFromString])),
  refresh_token: Schema.optionalKey(Schema.NonEmptyString)
})

const Refused = Schema.Struct({ error: Schema.String, error_description: Schema.optionalKey(Schema.String) })

/** Errors of RFC 6749 5.2 that another try does not heal. */
const final = new Set([
  "invalid_grant",
  "invalid_client",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope"
])

/** A source of tokens for `OAuth2`. Each run makes one request. */
const refreshToken = (options: RefreshOptions): TokenSource => {
  if (!URL.canParse(options.url)) throw new TypeError("OAuth2Grant: url: expected a URL")
  const timeout = timeFrom("OAuth2Grant: timeout", 1, options.timeout ?? defaultTimeout)
  let refresh = options.refreshToken
  return Effect.gen(function*() {
    const { ok, status, text } = yield* request(options, timeout, refresh)
    if (!ok) return yield* refusal(options.url, status, text)
    const granted = yield* Effect.mapError(
      decodeGranted(text),
      () => failed(options.url, "the token server's answer holds no access token")
    )
    if (granted.refresh_token !== undefined) {
      refresh = Redacted.make(granted.refresh_token)
      yield* options.onRefreshToken?.(refresh) ?? Effect.void
    }
    return {
      token: Redacted.make(granted.access_token),
      expiresIn: Duration.seconds(granted.expires_in ?? assumedLifetimeSeconds)
    }
  })
}

const decodeGranted = Schema.decodeUnknownEffect(Schema.fromJsonString(Granted))
const decodeRefused = Schema.decodeUnknownEffect(Schema.fromJsonString(Refused))

interface Answer {
  readonly ok: boolean
  readonly status: number
  readonly text: string
}

/** No answer with a token is longer than this, in octets. */
const maxAnswerOctets = 64 * 1024

const textOf = async (response: Response): Promise<string> => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxAnswerOctets) throw new Error("its answer is too long")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

const request = (
  options: RefreshOptions,
  timeout: Duration.Duration,
  refresh: Redacted.Redacted
): Effect.Effect<Answer, ConnectionFailed> => {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: options.clientId,
    refresh_token: Redacted.value(refresh),
    ...(options.clientSecret === undefined ? {} : { client_secret: Redacted.value(options.clientSecret) }),
    ...(options.scope === undefined ? {} : { scope: options.scope })
  })
  return Effect.tryPromise({
    // a redirect would carry the secrets elsewhere
    try: async (signal) => {
      const response = await fetch(options.url, { method: "POST", body, signal, redirect: "error" })
      return { ok: response.ok, status: response.status, text: await textOf(response) }
    },
    catch: (thrown) => failed(options.url, `the token server: ${errorText(thrown)}`)
  }).pipe(Effect.timeoutOrElse({
    duration: timeout,
    orElse: () => Effect.fail(failed(options.url, "the token server: no answer in time"))
  }))
}

const refusal = (
  url: string,
  status: number,
  text: string
): Effect.Effect<never, AuthenticationFailed | ConnectionFailed> =>
  decodeRefused(text).pipe(
    Effect.mapError(() => failed(url, `the token server answered ${status}`)),
    Effect.flatMap(({ error, error_description }) => {
      const words = error_description === undefined ? error : `${error}: ${error_description}`
      return Effect.fail(
        final.has(error)
          ? new AuthenticationFailed({ response: `the token server answered ${words}` })
          : failed(url, `the token server answered ${words}`)
      )
    })
  )

const failed = (url: string, detail: string): ConnectionFailed => {
  const { hostname, port, protocol } = new URL(url)
  return new ConnectionFailed({
    host: hostname,
    port: port === "" ? (protocol === "http:" ? 80 : 443) : Number(port),
    step: "login",
    detail,
    permanent: false
  })
}

/** Refresh tokens at Google. `https://mail.google.com/` is the scope for IMAP and SMTP (developers.google.com, "OAuth 2.0 Mechanism"). */
const google = (options: Omit<RefreshOptions, "url">): TokenSource =>
  refreshToken({ ...options, url: "https://oauth2.googleapis.com/token" })

/** Refresh tokens at Microsoft, of a tenant or "common" (learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth"). */
const microsoft = (options: Omit<RefreshOptions, "url"> & { readonly tenant?: string | undefined }): TokenSource =>
  refreshToken({
    scope: "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access",
    ...options,
    url: `https://login.microsoftonline.com/${encodeURIComponent(options.tenant ?? "common")}/oauth2/v2.0/token`
  })

/** Sources of access tokens. */
export const OAuth2Grant = { refreshToken, google, microsoft } as const
