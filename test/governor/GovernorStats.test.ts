import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Dispatcher } from "../../src/governor/Dispatcher.ts"
import { AgentCounts, statsOf } from "../../src/governor/GovernorStats.ts"
import { governorOptions } from "./options.ts"

describe("the figures of a governor", () => {
  it("tell of each agent what it was given, how long it waited together and at most, and what waits now", () => {
    const counts = new AgentCounts()
    counts.served("a", 300)
    counts.served("a", 100)
    assert.deepStrictEqual(Object.fromEntries(counts.stats(new Map([["a", 2], ["b", 1]]))), {
      a: { served: 2, waitedMillis: 400, longestWaitMillis: 300, waiting: 2 },
      b: { served: 0, waitedMillis: 0, longestWaitMillis: 0, waiting: 1 }
    })
  })

  it.effect("tell the end of a pause by the time of day, whatever it is measured by", () =>
    Clock.clockWith((clock) =>
      Effect.sync(() => {
        const dispatcher = new Dispatcher({ ...governorOptions, cap: 1 })
        const told = () =>
          statsOf({
            agentCounts: new AgentCounts(),
            clock: {
              ...clock,
              currentTimeMillisUnsafe: () => 1_000_000,
              monotonicTimeNanosUnsafe: () => 5_000_000_000n
            },
            dispatcher,
            opened: 0,
            peak: 0
          }).cooledUntil
        assert.strictEqual(told(), 0)
        dispatcher.apply({ _tag: "Cooled", until: 7_000 }, 5_000)
        assert.strictEqual(told(), 1_002_000)
      })
    ))
})
