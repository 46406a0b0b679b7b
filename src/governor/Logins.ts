/**
 * What the connections of an account log in with. A password is what it is; OAuth2 tokens are fetched once for all
 * connections, IMAP and SMTP, kept until shortly before they expire, and fetched anew after a server has refused one.
 */
import { Clock, Duration, Effect, Redacted, Semaphore } from "effect"
import { AccessToken, type Credentials, type Login, type OAuth2, type TokenGrant } from "../domain/Credentials.ts"
import { ConnectionFailed, type Reason } from "../domain/MailError.ts"

export interface Logins {
  /** Runs an attempt to connect with what is good now; once more with a fresh token where a token was refused. */
  readonly connect: <A, R>(attempt: (login: Login) => Effect.Effect<A, Reason, R>) => Effect.Effect<A, Reason, R>
}

/** A token is fetched anew this long before it expires: a login takes time, and clocks differ. */
const marginMillis = 60_000

/** Bound for one answer of the token source: all connections of the account wait for it. */
const tokenTimeout = Duration.seconds(30)

const ofTokenSource = new WeakSet<Reason>()

/** Whether a reason came from the token source: the mail server has then said nothing, and was not even asked. */
export const isOfTokenSource = (reason: Reason): boolean => ofTokenSource.has(reason)

export const make = (credentials: Credentials): Effect.Effect<Logins> =>
  credentials._tag === "OAuth2"
    ? fromTokens(credentials)
    : Effect.succeed({ connect: (attempt) => attempt(credentials) })

interface Kept {
  readonly login: AccessToken
  readonly until: number
}

const fromTokens = Effect.fnUntraced(function*({ tokens, user }: OAuth2) {
  const granted: Effect.Effect<TokenGrant, Reason> = tokens.pipe(
    Effect.timeoutOrElse({
      duration: tokenTimeout,
      orElse: () =>
        Effect.fail(
          new ConnectionFailed({
            host: "token source",
            port: 0,
            step: "login",
            detail: "the token source did not answer in time",
            permanent: false
          })
        )
    }),
    Effect.tapError((reason) => Effect.sync(() => ofTokenSource.add(reason)))
  )
  const one = yield* Semaphore.make(1)
  let kept: Kept | undefined

  /** The token kept, unless it is about to expire. */
  const current: Effect.Effect<Login, Reason> = one.withPermit(Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    if (kept !== undefined && now < kept.until) return kept.login
    const { expiresIn, token } = yield* granted
    const login = new AccessToken({ user, token: Redacted.make(Redacted.value(token)) })
    const lifetime = Duration.toMillis(expiresIn)
    kept = { login, until: now + Math.max(lifetime / 2, lifetime - marginMillis) }
    return login
  }))

  /** An attempt with the token kept. One that the server refuses is kept no longer. */
  const once = <A, R>(attempt: (login: Login) => Effect.Effect<A, Reason, R>) =>
    Effect.flatMap(current, (login) =>
      Effect.tapError(attempt(login), (reason) =>
        Effect.sync(() => {
          if (reason._tag === "AuthenticationFailed" && kept?.login === login) kept = undefined
        })))

  const logins: Logins = {
    connect: (attempt) =>
      Effect.catchIf(
        once(attempt),
        (reason) => reason._tag === "AuthenticationFailed" && !isOfTokenSource(reason),
        () => once(attempt)
      )
  }
  return logins
})
