import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as LateGovernor from "../../src/governor/LateGovernor.ts"
import * as Telemetry from "../../src/governor/Telemetry.ts"
import { governorOptions } from "./options.ts"

/** Counts the governors that were made, and the connections that were opened. */
const late = Effect.gen(function*() {
  const counts = { made: 0, opened: 0 }
  const telemetry = yield* Telemetry.make("test")
  const governor = yield* LateGovernor.make<Connection>(2, () => {
    counts.made++
    return {
      ...governorOptions,
      cap: 2,
      telemetry,
      connecting: {
        open: Effect.sync(() => {
          counts.opened++
          return { isUsable: () => true, closed: Effect.never }
        }),
        affinityOf: () => undefined,
        isSpent: () => false,
        rest: () => Effect.void
      }
    }
  })
  return { counts, governor }
})

interface Connection {
  readonly isUsable: () => boolean
  readonly closed: Effect.Effect<string>
}

const request = { agent: "a", operation: "test" }

describe("a governor that is made when it is needed", () => {
  it.effect("is made once, for all who ask first at the same time", () =>
    Effect.gen(function*() {
      const { counts, governor } = yield* late
      const share = governor.sharing<number, number>()
      assert.deepInclude(governor.observe(), { cap: 2, opened: 0, waiting: 0 })
      assert.deepStrictEqual(counts, { made: 0, opened: 0 })
      const answers = yield* Effect.all([
        ...[1, 2, 3].map((n) => governor.submit(request, () => Effect.succeed(n))),
        share({ ...request, key: "k", size: 1 }, 4, (_, all) => Effect.succeed(all.map((n) => Exit.succeed(n))))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(answers, [1, 2, 3, 4])
      assert.strictEqual(counts.made, 1)
      assert.strictEqual(governor.observe().opened, counts.opened)
    }))

  it.effect("is made whole even where the first who asks is interrupted", () =>
    Effect.gen(function*() {
      const { governor } = yield* late
      const ask = governor.submit(request, () => Effect.succeed("done"))
      yield* Effect.forEach([0, 1, 2, 3, 4], (turns) =>
        Effect.raceFirst(ask, Effect.yieldNow.pipe(Effect.repeat({ times: turns }))))
      assert.strictEqual(yield* ask, "done")
    }))

  it.effect("serves nobody after its scope has closed, whether it was made before or not", () =>
    Effect.gen(function*() {
      for (const isMade of [false, true]) {
        const scope = yield* Scope.make()
        const { counts, governor } = yield* Scope.provide(late, scope)
        if (isMade) yield* governor.submit(request, () => Effect.void)
        yield* Scope.close(scope, Exit.void)
        const failure = yield* Effect.flip(governor.submit(request, () => Effect.void))
        assert.strictEqual(failure._tag, "AccountClosed")
        assert.strictEqual(counts.opened, isMade ? 1 : 0)
      }
    }))
})
