import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import { MailAccount } from "../../src/account/MailAccount.ts"
import { AccountConfig, Endpoint } from "../../src/domain/AccountConfig.ts"
import { Password } from "../../src/domain/Credentials.ts"
import { Query } from "../../src/domain/Query.ts"
import { MemoryMail, SampleMail } from "../../src/testing/index.ts"

const config = new AccountConfig({
  name: "ann",
  imap: new Endpoint({ host: "mail.test" }),
  credentials: new Password({ user: "ann", password: Redacted.make("secret") })
})

const within = <A, E>(
  sources: ReadonlyArray<Uint8Array>,
  test: Effect.Effect<A, E, MailAccount | MemoryMail>
) =>
  test.pipe(
    Effect.provide(
      MailAccount.layerNoDeps(config).pipe(
        Layer.provideMerge(MemoryMail.layer({
          users: [{ name: "ann", password: "secret", mailboxes: { INBOX: sources } }]
        }))
      )
    ),
    Effect.scoped
  )

const fetches = Effect.map(MemoryMail, (mail) => mail.commands().filter(({ verb }) => verb.includes("FETCH")).length)

describe("long messages among others", () => {
  const sizes = [500, 70_000, 65_536, 300, 131_072, 1_300_000, 65_537, 900]
  const sources = sizes.map((octets, index) => SampleMail.plain({ index, octets }))

  it.effect("arrive whole, each in its place", () =>
    within(
      sources,
      Effect.gen(function*() {
        const account = yield* MailAccount
        const rows = yield* Stream.runCollect(account.fetch(Query.in("INBOX"), { source: true }))
        assert.deepStrictEqual(rows.map(({ ref }) => ref.uid), sizes.map((_, index) => index + 1))
        for (const [index, { source }] of rows.entries()) {
          assert.isTrue(Buffer.from(source).equals(sources[index] ?? new Uint8Array()), `message ${index}`)
        }
      })
    ))

  it.effect("are completed together, not one by one", () =>
    within(
      Array.from({ length: 20 }, (_, index) => SampleMail.plain({ index, octets: 100_000 })),
      Effect.gen(function*() {
        const account = yield* MailAccount
        const rows = yield* Stream.runCollect(account.fetch(Query.in("INBOX"), { source: true }))
        assert.deepStrictEqual(rows.map(({ source }) => source.length), Array.from({ length: 20 }, () => 100_000))
        assert.strictEqual(yield* fetches, 2)
      })
    ))
})
