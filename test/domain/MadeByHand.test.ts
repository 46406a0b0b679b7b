import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Schema } from "effect"
import {
  AccountConfig,
  Address,
  Attachment,
  Draft,
  Endpoint,
  Limits,
  OAuth2,
  Password,
  RateWindow
} from "../../src/index.ts"

const credentials = new Password({ user: "ann", password: Redacted.make("secret") })

/** What a form or an environment may lack, with a type that does not say so. */
const absent = undefined as unknown as string // as in a program without exactOptionalPropertyTypes

describe("A value that a program makes of what cannot be", () => {
  it.each<readonly [make: () => unknown, message: string]>([
    [() => new Endpoint({ host: "h", port: 70_000 }), "Endpoint: port: Expected a value between 1 and 65535"],
    [() => new Endpoint({ host: "h", port: Number("x") }), "Endpoint: port: Expected an integer"],
    [
      () => new AccountConfig({ name: "", credentials }),
      "AccountConfig: name: Expected a value with a length of at least 1"
    ],
    [() => new Limits({ imapConnections: 0 }), "Limits: imapConnections: Expected a value greater than 0"],
    [() => new Limits({ maxWait: Duration.zero }), "Limits: maxWait: a time is longer than none"],
    [() => new Limits({ weights: { ann: -1 } }), "Limits: weights.ann: Expected a value greater than 0"],
    [
      () => new RateWindow({ per: "send", limit: 1.5, window: Duration.minutes(1) }),
      "RateWindow: limit: Expected an integer"
    ],
    [() => new Draft({ date: new Date("never") }), "Draft: date: Expected a valid Date"]
  ])("is a TypeError that names class and field, and holds no schema: %#", (make, message) => {
    const error = thrown(make)
    assert.instanceOf(error, TypeError)
    assert.strictEqual(error.message, message)
    assert.isUndefined(error.cause)
  })

  it("never repeats a secret", () => {
    const secret = { toString: () => "correct-horse", value: "correct-horse" }
    const error = thrown(() => new Password({ user: "", password: secret as never })) // a mistake without types
    assert.notInclude(`${error.message} ${error.stack}`, "correct-horse")
    assert.include(error.message, "Password: user: ")
  })
})

describe("A field that may be absent", () => {
  it("may be undefined", () => {
    assert.deepStrictEqual(new Draft({ to: "bob@example.com", cc: absent }), new Draft({ to: "bob@example.com" }))
    assert.isFalse("name" in new Address({ name: absent, address: "bob@example.com" }))
    assert.isFalse("address" in new AccountConfig({ name: "work", credentials, address: absent }))
  })
})

describe("Values that a program makes", () => {
  it.effect("are instances of their classes, and of those that they are made of", () =>
    Effect.gen(function*() {
      const draft = new Draft({ to: "bob@example.com", attachments: [new Attachment({ content: { text: "1" } })] })
      assert.instanceOf(draft, Draft)
      const codec = Schema.toCodecJson(Draft)
      const read = yield* Schema.decodeEffect(codec)(yield* Schema.encodeEffect(codec)(draft))
      assert.instanceOf(read, Draft)
      assert.instanceOf(read.attachments?.[0], Attachment)
      assert.deepStrictEqual(read, draft)
      const tokens = Effect.succeed({ token: Redacted.make("t"), expiresIn: Duration.hours(1) })
      assert.strictEqual(new OAuth2({ user: "ann", tokens })._tag, "OAuth2")
    }))
})

const thrown = (make: () => unknown): Error => {
  try {
    make()
  } catch (error) {
    if (error instanceof Error) return error
  }
  return assert.fail("nothing was thrown")
}
