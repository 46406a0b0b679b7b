import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  AccountConfig,
  Endpoint,
  HostLimits,
  Limits,
  MailAccount,
  MailAccounts,
  Password,
  RateStore,
  RateWindow
} from "../../src/index.ts"
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

/** Runs an effect while time passes. */
const settled = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(10)
    return yield* Fiber.join(fiber)
  })

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
      assert.deepInclude(error.reason, { _tag: "InvalidInput", field: "name" })
      assert.include(error.message, "ann, bob")
      const missing = yield* Effect.flip(Effect.scoped(Layer.build(MailAccounts.get("eve"))))
      assert.strictEqual(missing.reason._tag, "InvalidInput")
    }).pipe(Effect.provide(accounts(config("ann"), config("bob")))))

  it.effect("is not made of two accounts of one name: mail would go out by the wrong one", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(accounts(config("ann"), config("bob"), config("ann")))))
      assert.deepStrictEqual(exit, Exit.die(new TypeError("two accounts are named \"ann\"")))
    }))

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

  it.effect("opens one account for a hundred who ask for it at once", () =>
    Effect.gen(function*() {
      const { account } = yield* MailAccounts
      const all = yield* Effect.forEach(Array.from({ length: 100 }), () => account("ann"), { concurrency: "unbounded" })
      assert.strictEqual(new Set(all).size, 1)
      yield* settled(Effect.forEach(all, (ann) => ann.mailboxes(), { concurrency: "unbounded" }))
      assert.isAtMost(yield* open, 2)
    }).pipe(Effect.provide(accounts(config("ann")))))

  it.effect("makes an account of what there is below the layer, whoever asks for it first", () =>
    Effect.gen(function*() {
      const { account } = yield* MailAccounts
      const ofCaller = { ...RateStore.makeMemory(), take: () => Effect.die("asked the caller's store") }
      const ann = yield* Effect.provideService(account("ann"), RateStore, ofCaller)
      assert.strictEqual((yield* settled(ann.mailboxes())).length, 1)
    }).pipe(Effect.provide(accounts(
      new AccountConfig({
        ...config("ann"),
        limits: new Limits({ rates: [new RateWindow({ per: "account", limit: 10, window: Duration.seconds(1) })] })
      })
    ))))

  it.effect("closes all of three hundred, whatever each of them is about", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      const names = Array.from({ length: 300 }, (_, n) => `user${n}`)
      for (const name of names) servers.store.addUser({ name, password: `${name}-secret` })
      const scope = yield* Scope.make()
      const all = MailAccounts.layerNoDeps(names.map((name) => config(name))).pipe(Layer.provide(HostLimits.layer({})))
      const context = yield* Layer.buildWithScope(all, scope)
      const use = (name: string) =>
        Effect.scoped(
          Effect.flatMap(MailAccounts, ({ account }) => Effect.flatMap(account(name), (each) => each.status("INBOX")))
        )
          .pipe(Effect.provideContext(context))
      // a third is idle, a third logs in, a third has not begun
      yield* Effect.forEach(names.slice(0, 100), use, { concurrency: 50, discard: true }).pipe(settled)
      const fibers = yield* Effect.forEach(names.slice(100, 200), (name) => Effect.forkChild(use(name)))
      yield* TestClock.adjust(15)
      const later = yield* Effect.forEach(names.slice(200), (name) => Effect.forkChild(use(name)))
      assert.isAbove(servers.connections().length, 100)
      yield* settled(Scope.close(scope, Exit.void))
      assert.strictEqual(servers.connections().length, 0)
      for (const fiber of [...fibers, ...later]) {
        const exit = yield* settled(Fiber.await(fiber))
        assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.every(({ _tag }) => _tag !== "Die"))
      }
    }).pipe(Effect.provide(MemoryMail.layer({ latency: "10 millis" }))))

  it.effect("leaves no connection behind whose opening was interrupted, and opens the next", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      const { account } = yield* MailAccounts
      const ann = yield* account("ann")
      for (let millis = 0; millis < 60; millis += 7) {
        const fiber = yield* Effect.forkChild(ann.mailboxes())
        yield* TestClock.adjust(millis)
        yield* settled(Fiber.interrupt(fiber))
        assert.isAtMost(servers.connections().length, 1)
      }
      assert.strictEqual((yield* settled(ann.mailboxes())).length, 1)
    }).pipe(Effect.provide(
      accounts(config("ann")).pipe(Layer.provideMerge(MemoryMail.layer({
        latency: "10 millis",
        users: [{ name: "ann", password: "ann-secret" }]
      })))
    )))
})
