import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { HostLimits, type HostLimitsOptions } from "../../src/index.ts"

const built = (options: HostLimitsOptions) =>
  Effect.exit(Effect.provide(Effect.asVoid(HostLimits.current), HostLimits.layer(options)))

describe("limits per host", () => {
  it.effect("are whole numbers above 0, or none", () =>
    Effect.gen(function*() {
      for (const cap of [0, -1, 1.5, Number.NaN, -Infinity]) {
        for (const options of [{ connectionsPerHost: cap }, { connections: cap }]) {
          const exit = yield* built(options)
          assert.isTrue(Exit.isFailure(exit) && String(Cause.squash(exit.cause)).includes(Object.keys(options).join()))
        }
      }
      assert.isTrue(Exit.isSuccess(yield* built({ connectionsPerHost: 1, connections: Infinity })))
    }))

  it.effect("have those asked for a connection who have one, and nobody else", () =>
    Effect.gen(function*() {
      const limits = new HostLimits({ connectionsPerHost: 1 })
      const asked: Array<string> = []
      const tenant = (name: string) => ({ host: "mail.example.com", asked: () => void asked.push(name) })
      const [ann, bob, eve] = [tenant("ann"), tenant("bob"), tenant("eve")]
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      yield* Scope.provide(limits.take(ann), first)
      const waiting = yield* Effect.forkChild(Scope.provide(limits.take(bob), second), { startImmediately: true })
      assert.deepStrictEqual(asked, ["ann"])
      yield* Scope.close(first, Exit.void)
      yield* Fiber.join(waiting)
      yield* Effect.forkChild(Effect.scoped(limits.take(eve)), { startImmediately: true })
      assert.deepStrictEqual(asked, ["ann", "bob"])
      yield* Scope.close(second, Exit.void)
    }))

  it.effect("count a place once that is given back the moment it is given", () =>
    Effect.gen(function*() {
      const limits = new HostLimits({ connections: 1 })
      const tenant = { host: "mail.example.com", asked: () => {} }
      const first = yield* Scope.make()
      yield* Scope.provide(limits.take(tenant), first)
      // an attempt to connect may fail before it has waited for anything
      const attempt = Effect.scoped(limits.take(tenant))
      const attempts = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(attempt, { startImmediately: true }))
      yield* Scope.close(first, Exit.void)
      yield* Fiber.awaitAll(attempts)
      const last = yield* Effect.forkChild(attempt, { startImmediately: true })
      assert.isDefined(last.pollUnsafe(), "there is a place")
    }))
})
