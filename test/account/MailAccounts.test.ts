import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { AccountConfig, Endpoint, MailAccount, MailAccounts, Password } from "../../src/index.ts"
import { MemoryMail } from "../../src/testing/index.ts"

const mail = MemoryMail.layer({
  users: [{ name: "ann", password: "ann-secret" }, { name: "bob", password: "bob-secret" }]
})

const config = (name: string, password = `${name}-secret`) =>
  new AccountConfig({
    name,
    imap: new Endpoint({ host: "memory.example.com", security: "none" }),
    credentials: Password.make({ user: name, password: Redacted.make(password) })
  })

const accounts = (...configs: ReadonlyArray<AccountConfig>) =>
  MailAccounts.layerNoDeps(configs, { idleTimeToLive: "5 minutes" }).pipe(Layer.provideMerge(mail))

const open = Effect.map(MemoryMail, (mail) => mail.connections().length)

describe("MailAccounts", () => {
  it.effect("opens nothing before an account is used", () =>
    Effect.gen(function*() {
      const { account, names } = yield* MailAccounts
      assert.deepStrictEqual(names, ["ann", "bob"])
      assert.strictEqual(yield* open, 0)
      const ann = yield* account("ann")
      assert.strictEqual(yield* open, 0)
      yield* ann.mailboxes()
      assert.strictEqual(yield* open, 1)
    }).pipe(Effect.provide(accounts(config("ann"), config("bob")))))

  it.effect("gives all who ask the same account", () =>
    Effect.gen(function*() {
      const { account } = yield* MailAccounts
      const [one, two, other] = yield* Effect.all([account("ann"), account("ann"), account("bob")], {
        concurrency: "unbounded"
      })
      assert.strictEqual(one, two)
      assert.notStrictEqual<unknown>(one, other)
      yield* one.mailboxes()
      yield* two.mailboxes()
      assert.strictEqual(yield* open, 1)
    }).pipe(Effect.provide(accounts(config("ann"), config("bob")))))

  it.effect("closes an account when nobody has used it for a while, and opens it again", () =>
    Effect.gen(function*() {
      const { account } = yield* MailAccounts
      const use = Effect.scoped(Effect.flatMap(account("ann"), (ann) => ann.mailboxes()))
      yield* use
      yield* TestClock.adjust("1 minute")
      yield* use
      assert.strictEqual(yield* open, 1)
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(yield* open, 0)
      yield* use
      assert.strictEqual(yield* open, 1)
    }).pipe(Effect.provide(accounts(config("ann")))))

  it.effect("keeps an account for as long as anybody holds it, and closes all with the layer", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      const layerScope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        MailAccounts.layerNoDeps([config("ann")], { idleTimeToLive: "1 minute" }),
        layerScope
      )
      const { ann } = yield* Effect.gen(function*() {
        const { account } = yield* MailAccounts
        return { ann: yield* account("ann") }
      }).pipe(Effect.provideContext(context))
      yield* TestClock.adjust("10 minutes")
      yield* ann.mailboxes()
      assert.strictEqual(servers.connections().length, 1)
      yield* Scope.close(layerScope, Exit.void)
      assert.strictEqual(servers.connections().length, 0)
      const error = yield* Effect.flip(ann.capabilities)
      assert.strictEqual(error.reason._tag, "AccountClosed")
    }).pipe(Effect.provide(mail)))

  it.effect("does not know a name that is not configured, and says which there are", () =>
    Effect.gen(function*() {
      const { account } = yield* MailAccounts
      const error = yield* Effect.flip(account("eve"))
      assert.deepInclude(error, { account: "eve", operation: "account" })
      assert.deepInclude(error.reason, { _tag: "InvalidInput", field: "account" })
      assert.include(error.message, "ann, bob")
      const missing = yield* Effect.flip(Effect.scoped(Layer.build(MailAccounts.get("eve"))))
      assert.strictEqual(missing.reason._tag, "InvalidInput")
    }).pipe(Effect.provide(accounts(config("ann"), config("bob")))))

  it.effect("is the layer of one account", () =>
    Effect.gen(function*() {
      const { mailboxes, name } = yield* MailAccount
      assert.strictEqual(name, "bob")
      assert.strictEqual((yield* mailboxes()).length, 1)
    }).pipe(Effect.provide(Layer.provide(MailAccounts.get("bob"), accounts(config("ann"), config("bob"))))))

  it.effect("does not remember a wrong password beyond the account that was opened with it", () =>
    Effect.gen(function*() {
      const { account } = yield* MailAccounts
      const { store } = yield* MemoryMail
      const use = Effect.scoped(Effect.flatMap(account("ann"), (ann) => ann.mailboxes()))
      assert.strictEqual((yield* Effect.flip(use)).reason._tag, "AuthenticationFailed")
      store.addUser({ name: "ann", password: "changed" })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* use).length, 1)
    }).pipe(Effect.provide(accounts(config("ann", "changed")))))
})
