import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { type Login, OAuth2, type TokenSource } from "../../src/domain/Credentials.ts"
import { AuthenticationFailed } from "../../src/domain/MailError.ts"
import * as Logins from "../../src/governor/Logins.ts"

/** Tokens "1", "2", … that last an hour, and how many were asked for. */
const numbered = () => {
  const count = { asked: 0 }
  const tokens: TokenSource = Effect.gen(function*() {
    yield* Effect.yieldNow
    count.asked++
    return { token: Redacted.make(`${count.asked}`), expiresIn: Duration.hours(1) }
  })
  return { count, credentials: new OAuth2({ user: "ann", tokens }) }
}

const shown = (login: Login) => login._tag === "AccessToken" ? Redacted.value(login.token) : "?"
const refused = new AuthenticationFailed({ response: "expired" })

describe("Logins", () => {
  it.effect("asks for one token for all connections that begin at once", () =>
    Effect.gen(function*() {
      const { count, credentials } = numbered()
      const logins = yield* Logins.make(credentials)
      const used = yield* Effect.all(
        Array.from({ length: 5 }, () => logins.connect((login) => Effect.succeed(shown(login)))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(used, ["1", "1", "1", "1", "1"])
      assert.strictEqual(count.asked, 1)
    }))

  it.effect("asks for the next token before the one it has expires", () =>
    Effect.gen(function*() {
      const { credentials } = numbered()
      const logins = yield* Logins.make(credentials)
      const use = logins.connect((login) => Effect.succeed(shown(login)))
      assert.strictEqual(yield* use, "1")
      yield* TestClock.adjust("58 minutes")
      assert.strictEqual(yield* use, "1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* use, "2")
    }))

  it.effect("tries once more with a fresh token after a refusal, shared by all that were refused", () =>
    Effect.gen(function*() {
      const { count, credentials } = numbered()
      const logins = yield* Logins.make(credentials)
      const attempt = logins.connect((login) =>
        shown(login) === "1" ? Effect.andThen(Effect.yieldNow, Effect.fail(refused)) : Effect.succeed(shown(login))
      )
      assert.deepStrictEqual(yield* Effect.all([attempt, attempt, attempt], { concurrency: "unbounded" }), [
        "2",
        "2",
        "2"
      ])
      assert.strictEqual(count.asked, 2)
    }))

  it.effect("tries no third time", () =>
    Effect.gen(function*() {
      const { count, credentials } = numbered()
      const logins = yield* Logins.make(credentials)
      let attempts = 0
      const failure = yield* Effect.flip(logins.connect(() => {
        attempts++
        return Effect.fail(refused)
      }))
      assert.strictEqual(failure, refused)
      assert.deepStrictEqual([attempts, count.asked], [2, 2])
    }))

  it.effect("does not begin with a token that was refused before, be it the last one", () =>
    Effect.gen(function*() {
      const { credentials } = numbered()
      const logins = yield* Logins.make(credentials)
      const tried: Array<string> = []
      const connect = logins.connect((login) => {
        tried.push(shown(login))
        return tried.length < 3 ? Effect.fail(refused) : Effect.succeed(shown(login))
      })
      assert.strictEqual(yield* Effect.flip(connect), refused)
      assert.strictEqual(yield* connect, "3")
      assert.deepStrictEqual(tried, ["1", "2", "3"])
    }))

  it.effect("passes the token source's own failure on, and keeps none", () =>
    Effect.gen(function*() {
      let broken = true
      const tokens: TokenSource = Effect.suspend(() =>
        broken
          ? Effect.fail(new AuthenticationFailed({ response: "invalid_grant" }))
          : Effect.succeed({ token: Redacted.make("1"), expiresIn: Duration.hours(1) })
      )
      const logins = yield* Logins.make(new OAuth2({ user: "ann", tokens }))
      const use = logins.connect((login) => Effect.succeed(shown(login)))
      assert.strictEqual((yield* Effect.flip(use))._tag, "AuthenticationFailed")
      broken = false
      assert.strictEqual(yield* use, "1")
    }))

  it.effect("tells a refusal by the token source from one by the mail server", () =>
    Effect.gen(function*() {
      const tokens = Effect.fail(new AuthenticationFailed({ response: "invalid_grant" }))
      const withdrawn = yield* Logins.make(new OAuth2({ user: "ann", tokens }))
      assert.isTrue(Logins.isOfTokenSource(yield* Effect.flip(withdrawn.connect(() => Effect.void))))
      const good = yield* Logins.make(numbered().credentials)
      const reason = yield* Effect.flip(
        good.connect(() => Effect.fail(new AuthenticationFailed({ response: "no such user" })))
      )
      assert.isFalse(Logins.isOfTokenSource(reason))
    }))

  it.effect("does not wait for ever for the token source", () =>
    Effect.gen(function*() {
      const logins = yield* Logins.make(new OAuth2({ user: "ann", tokens: Effect.never }))
      const fiber = yield* Effect.forkChild(Effect.flip(logins.connect(() => Effect.void)))
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "ConnectionFailed", step: "login", permanent: false })
    }))
})
