import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
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
})
