import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Result } from "effect"
import { AccessToken, AccountConfig, Password } from "../../src/index.ts"

const password = "correct-horse"
const account = { name: "work", credentials: { user: "ann", password } }

describe("AccountConfig.decode", () => {
  it.effect("reads an account as a configuration file has it", () =>
    Effect.gen(function*() {
      const config = yield* AccountConfig.decode({
        ...account,
        imap: { host: "imap.example.com" },
        smtp: { host: "smtp.example.com", port: 587, security: "starttls" },
        limits: { imapConnections: 4, maxWait: "90 seconds" }
      })
      assert.instanceOf(config.credentials, Password)
      assert.strictEqual(config.imap?.security, "tls")
      assert.strictEqual(config.smtp?.port, 587)
      assert.strictEqual(config.limits.imapConnections, 4)
      assert.strictEqual(Duration.toMillis(config.limits.maxWait), 90_000)
      if (config.credentials instanceof Password) {
        assert.strictEqual(Redacted.value(config.credentials.password), password)
      }
    }))

  it.effect("tells a password from a token without being told", () =>
    Effect.gen(function*() {
      const { credentials } = yield* AccountConfig.decode({ ...account, credentials: { user: "ann", token: "t" } })
      assert.instanceOf(credentials, AccessToken)
      const tagged = { _tag: "AccessToken", user: "ann", token: "t" }
      assert.instanceOf((yield* AccountConfig.decode({ ...account, credentials: tagged })).credentials, AccessToken)
    }))

  it.effect.each<readonly [data: unknown, message: string]>([
    [{ credentials: account.credentials }, "name: is missing"],
    [{ name: "work" }, "credentials: is missing"],
    [{ ...account, imap: { host: "h", port: 70_000 } }, "imap.port: Expected a value between 1 and 65535"],
    [{ ...account, imap: { host: "h", security: "ssl" } }, `imap.security: Expected "tls" | "starttls" | "none"`],
    [{ ...account, imap: { host: "h", prot: 993 } }, "imap.prot: is unknown here"],
    [{ ...account, limits: { maxWait: "soon" } }, "limits.maxWait: Expected a valid Duration string"],
    [{ ...account, limits: { imapConnections: 0 } }, "limits.imapConnections: Expected a value greater than 0"],
    [{ ...account, credentials: { user: "ann" } }, "credentials.password: is missing; credentials.token: is missing"],
    [[], "account: Expected object"]
  ])("names the field: %#", ([data, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(AccountConfig.decode(data))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.strictEqual(error.message, message)
    }))

  it.effect("never repeats a secret", () =>
    Effect.gen(function*() {
      for (
        const data of [
          { ...account, credentials: { user: "ann", passwort: password } },
          { ...account, credentials: password },
          { ...account, credentials: { user: 3, password } },
          { ...account, credentials: { user: "ann", password: [password] } },
          password
        ]
      ) {
        const error = yield* Effect.flip(AccountConfig.decode(data))
        const told = `${error.message} ${String(error)} ${JSON.stringify(error)} ${error.stack}`
        assert.notInclude(told, password)
      }
    }))

  it.effect("is as strict as the constructor", () =>
    Effect.gen(function*() {
      const built = Result.try(() => new Password({ user: "ann", password: Redacted.make("") }))
      assert.isTrue(Result.isFailure(built))
      const error = yield* Effect.flip(
        AccountConfig.decode({ ...account, credentials: { user: "ann", password: "" } })
      )
      assert.match(error.message, /^credentials\.password: Expected a value with a length of at least 1/)
    }))
})
