import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted, Schema } from "effect"
import { readFileSync } from "node:fs"
import { atProvider, decoded, discovered, google, many, own } from "../../docs/examples/configuration.ts"
import { Discovery, Limits, limitsOf, MailAccounts, Password, providerById, Trust } from "../../src/index.ts"

const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8")

const password = Redacted.make("secret")

/** What the page says of each limit. */
const told = new Map(
  [...page.matchAll(/^\| `(\w+)` \| (.+?) \| .+ \|$/gm)].map(([, name = "", value = ""]) => [name, value])
)

const timeOf = Schema.decodeUnknownEffect(Schema.DurationFromString)

const mebibytes = (text: string) => Number(/^(\d+) MiB$/.exec(text)?.[1]) * 1024 * 1024

describe("docs/configuration.md", () => {
  it.effect("lists every limit with its default", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual([...told.keys()].sort(), Object.keys(Limits.fields).sort())
      for (const [name, value] of Object.entries(Limits.defaults)) {
        const text = told.get(name) ?? ""
        // what is written there is read as a configuration is
        if (Duration.isDuration(value)) assert.deepStrictEqual(yield* timeOf(text), value, name)
        else assert.strictEqual(name.endsWith("Bytes") ? mebibytes(text) : Number(text), value, name)
      }
      assert.strictEqual(told.get("onLimit"), `\`"${new Limits({}).onLimit}"\``)
    }))

  it.effect("has the same account by hand and from plain data", () =>
    Effect.gen(function*() {
      const data = yield* decoded
      const { address, credentials, imap, smtp } = own(password, "PEM")
      assert.deepStrictEqual([data.address, data.credentials], [address, credentials])
      assert.deepStrictEqual(imap?.trust, new Trust({ ca: "PEM" }))
      assert.strictEqual(smtp?.security, data.smtp?.security)
    }))

  it.effect("has servers and limits from the provider, or from DNS", () =>
    Effect.gen(function*() {
      const gmail = atProvider("ann@gmail.com", password)
      assert.deepStrictEqual(gmail?.limits, limitsOf(providerById("gmail") ?? assert.fail()))
      assert.isUndefined(atProvider("ann@example.com", password))
      const config = yield* discovered("ann@example.com", password)
      assert.strictEqual(config.imap?.host, "imap.example.com")
      assert.deepStrictEqual(config.credentials, new Password({ user: "ann@example.com", password }))
      const known = yield* discovered("ann@gmail.com", password)
      assert.deepStrictEqual(known.limits, gmail?.limits)
    }).pipe(Effect.provide(Discovery.layer({
      resolveSrv: (name) =>
        Promise.resolve(
          name === "_imaps._tcp.example.com" ? [{ target: "imap.example.com", port: 993, priority: 0, weight: 0 }] : []
        ),
      fetch: () => Promise.resolve(new Response("", { status: 404 }))
    }))))

  it.effect("has credentials that fetch their tokens, and accounts that share a host", () =>
    Effect.gen(function*() {
      const consent = { clientId: "me", clientSecret: password, refreshToken: password }
      assert.strictEqual(google("ann@example.com", consent)._tag, "OAuth2")
      const context = yield* Layer.build(many([own(password, "PEM")]))
      assert.deepStrictEqual(yield* Effect.provideContext(Effect.map(MailAccounts, ({ names }) => names), context), [
        "work"
      ])
    }).pipe(Effect.scoped))
})
