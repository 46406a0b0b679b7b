import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { loadedOnce } from "../../src/driver/LoadedOnce.ts"

describe("a module that is loaded when it is first needed", () => {
  it.effect("is not loaded before, and not again", () =>
    Effect.gen(function*() {
      let loads = 0
      const module = loadedOnce(() => Promise.resolve({ number: ++loads }))
      assert.strictEqual(loads, 0)
      assert.deepStrictEqual(yield* module, { number: 1 })
      assert.deepStrictEqual(yield* module, { number: 1 })
      assert.strictEqual(loads, 1)
    }))

  it.effect("is tried again after it could not be loaded", () =>
    Effect.gen(function*() {
      let loads = 0
      const module = loadedOnce(() =>
        ++loads === 1 ? Promise.reject(new Error("no such package")) : Promise.resolve("here")
      )
      assert.isTrue((yield* Effect.exit(module))._tag === "Failure")
      assert.strictEqual(yield* module, "here")
    }))
})
