import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { config } from "../../src/account/Environment.ts"
import { AccessToken, Password } from "../../src/index.ts"

const from = (env: Record<string, string>) =>
  config.pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))

const least = { MAIL_HOST: "mail.example.com", MAIL_USER: "ann@example.com", MAIL_PASSWORD: "correct-horse" }

describe("an account from the environment", () => {
  it.effect("needs a host, a user and a password", () =>
    Effect.gen(function*() {
      const { credentials, imap, name, smtp } = yield* from(least)
      assert.strictEqual(name, "ann@example.com")
      assert.deepStrictEqual({ ...imap }, { host: "mail.example.com", security: "tls" })
      assert.deepStrictEqual({ ...smtp }, { host: "mail.example.com", security: "tls" })
      assert.instanceOf(credentials, Password)
      if (credentials instanceof Password) assert.strictEqual(Redacted.value(credentials.password), "correct-horse")
    }))

  it.effect("may be told every other part", () =>
    Effect.gen(function*() {
      const account = yield* from({
        MAIL_IMAP_HOST: "imap.example.com",
        MAIL_IMAP_PORT: "1143",
        MAIL_IMAP_SECURITY: "none",
        MAIL_USER: "ann",
        MAIL_TOKEN: "t",
        MAIL_NAME: "work",
        MAIL_ADDRESS: "ann@example.com",
        MAIL_IMAP_CONNECTIONS: "4",
        MAIL_SMTP_CONNECTIONS: "3"
      })
      assert.strictEqual(account.name, "work")
      assert.strictEqual(account.address, "ann@example.com")
      assert.deepStrictEqual({ ...account.imap }, { host: "imap.example.com", port: 1143, security: "none" })
      assert.isUndefined(account.smtp)
      assert.instanceOf(account.credentials, AccessToken)
      assert.strictEqual(account.limits.imapConnections, 4)
      assert.strictEqual(account.limits.smtpConnections, 3)
    }))

  it.effect.each<readonly [Record<string, string>, RegExp]>([
    [{ MAIL_HOST: "" }, /set the host of the mail server\s+at \["MAIL_HOST"\]/],
    [{ MAIL_USER: "" }, /set the user name to log in with\s+at \["MAIL_USER"\]/],
    [{ MAIL_PASSWORD: "" }, /set the password to log in with, or MAIL_TOKEN\s+at \["MAIL_PASSWORD"\]/],
    [{ MAIL_IMAP_PORT: "many" }, /MAIL_IMAP_PORT/],
    [{ MAIL_SMTP_SECURITY: "ssl" }, /"tls" \| "starttls" \| "none"\s+at \["MAIL_SMTP_SECURITY"\]/],
    [{ MAIL_IMAP_CONNECTIONS: "0" }, /one connection at least\s+at \["MAIL_IMAP_CONNECTIONS"\]/]
  ])("fails with the name of the variable: %o", ([change, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(from({ ...least, ...change }))
      assert.strictEqual(error._tag, "ConfigError")
      assert.match(error.message, message)
      assert.notInclude(error.message, "correct-horse")
    }))
})
