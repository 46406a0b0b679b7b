import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { steadyTime } from "../../src/driver/SteadyTime.ts"
import { HostLimits, type HostLimitsOptions } from "../../src/index.ts"

const built = (options: HostLimitsOptions) =>
  Effect.exit(Effect.provide(Effect.asVoid(HostLimits.current), HostLimits.layer(options)))

const tenant = () => ({ host: "mail.example.com", asked: () => {} })

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
      const first = yield* Scope.make()
      yield* Scope.provide(limits.take(tenant()), first)
      // an attempt to connect may fail before it has waited for anything
      const attempt = Effect.scoped(limits.take(tenant()))
      const attempts = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(attempt, { startImmediately: true }))
      yield* Scope.close(first, Exit.void)
      yield* Fiber.awaitAll(attempts)
      const last = yield* Effect.forkChild(attempt, { startImmediately: true })
      assert.isDefined(last.pollUnsafe(), "there is a place")
    }))

  it.effect("give places in the order in which they were asked for", () =>
    Effect.gen(function*() {
      const limits = new HostLimits({ connectionsPerHost: 1 })
      const given: Array<string> = []
      const holding = yield* Effect.forEach(["ann", "bob", "eve"], (name) =>
        Effect.forkChild(
          Effect.scoped(
            Effect.andThen(limits.take(tenant()), Effect.andThen(Effect.sync(() => given.push(name)), Effect.never))
          ),
          { startImmediately: true }
        ))
      for (const fiber of holding) yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(given, ["ann", "bob", "eve"])
    }))

  it.effect("of the process are short for the accounts of every host, and those of a host for its own", () =>
    Effect.gen(function*() {
      const shortFor = Effect.fnUntraced(function*(options: HostLimitsOptions, host: string) {
        const limits = new HostLimits(options)
        const asked: Array<string> = []
        const named = (name: string, host: string) => ({ host, asked: () => void asked.push(name) })
        const [ann, bob] = [named("ann", "one.example"), named("bob", "two.example")]
        yield* limits.take(ann)
        yield* limits.take(bob)
        yield* Effect.forkScoped(limits.take(named("eve", host)), { startImmediately: true })
        return { asked, short: [limits.isShort(ann), limits.isShort(bob)] }
      }, Effect.scoped)
      assert.deepStrictEqual(yield* shortFor({ connections: 2 }, "one.example"), {
        asked: ["ann", "bob"],
        short: [true, true]
      })
      assert.deepStrictEqual(yield* shortFor({ connectionsPerHost: 1 }, "one.example"), {
        asked: ["ann"],
        short: [true, false]
      })
    }))

  it.effect("let no login begin while credentials are refused again and again, and each host for itself", () =>
    Effect.gen(function*() {
      const limits = new HostLimits({})
      const began: Array<string> = []
      const login = (host: string) =>
        Effect.forkScoped(
          Effect.scoped(
            Effect.andThen(
              limits.take({ host, asked: () => {} }),
              Effect.clockWith((clock) => Effect.sync(() => began.push(`${host} ${clock.currentTimeMillisUnsafe()}`)))
            )
          ),
          { startImmediately: true }
        )
      limits.refused("one.example", 0)
      yield* login("one.example")
      yield* login("two.example")
      yield* TestClock.adjust("3 seconds")
      limits.refused("one.example", 3_000)
      yield* TestClock.adjust("7999 millis")
      assert.deepStrictEqual(began, ["two.example 0"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(began, ["two.example 0", "one.example 11000"])
    }))

  it.effect("leave the place of a login that rests to other hosts, as long as it does", () =>
    Effect.gen(function*() {
      const limits = new HostLimits({ connections: 1 })
      limits.refused("one.example", yield* steadyTime)
      const resting = yield* Effect.forkChild(
        Effect.scoped(limits.take({ host: "one.example", asked: () => {} })),
        { startImmediately: true }
      )
      yield* Effect.scoped(limits.take({ host: "two.example", asked: () => {} }))
      assert.isUndefined(resting.pollUnsafe())
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(resting)
    }))
})
