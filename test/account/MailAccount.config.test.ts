import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Layer } from "effect"
import { AccountConfig, MailAccount } from "../../src/index.ts"

const layer = MailAccount.layerConfig(Config.schema(AccountConfig, "account"))

const from = (account: unknown) =>
  Effect.scoped(Layer.build(layer)).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ account })))
  )

const complete = {
  name: "ann",
  imap: { host: "mail.example.com" },
  credentials: { _tag: "Password", user: "ann", password: "correct-horse" }
}

describe("an account from a Config", () => {
  it.effect("is made without contacting anybody", () =>
    Effect.gen(function*() {
      const { imap, smtp } = yield* Effect.flatMap(from(complete), (context) => Context.get(context, MailAccount).stats)
      assert.deepStrictEqual([imap.peak, smtp.peak], [0, 0])
    }))

  const mistakes: ReadonlyArray<readonly [field: string, account: unknown]> = [
    ["name", { ...complete, name: undefined }],
    ["credentials", { ...complete, credentials: undefined }],
    ["user", { ...complete, credentials: { _tag: "Password", password: "correct-horse" } }],
    ["password", { ...complete, credentials: { _tag: "Password", user: "ann" } }],
    ["host", { ...complete, imap: { port: "993" } }],
    ["port", { ...complete, imap: { host: "mail.example.com", port: "0" } }],
    ["security", { ...complete, imap: { host: "mail.example.com", security: "some" } }]
  ]
  for (const [field, account] of mistakes) {
    it.effect(`names the field that is missing or wrong, and no secret: ${field}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(from(account))
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, field)
        assert.notInclude(error.message, "correct-horse")
      }))
  }
})
