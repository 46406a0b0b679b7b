/** When a run is worse than the one before, and what is said of it. */
import { assert, describe, it } from "@effect/vitest"
import { compareResults, suitesOf, toVerdict, worseTwice } from "../../benchmarks/Comparison.ts"
import type { Spread } from "../../benchmarks/Harness.ts"
import type { Results } from "../../benchmarks/Report.ts"

/** A run of one suite with one case, and the ratios it found, by peer. */
const run = (ratios: Readonly<Record<string, Spread>>, suite = "fetch"): Results => ({
  date: "2026-01-02T03:04:05.000Z",
  quick: false,
  machine: { cpu: "a processor", cores: 2, memoryGb: 4, platform: "linux", node: "24.0.0" },
  versions: {},
  busy: {},
  failed: {},
  suites: [{
    name: suite,
    question: "How fast?",
    server: "a server",
    notes: [],
    failures: [],
    cases: [{
      name: "near",
      unit: "ms",
      per: "run",
      rounds: 3,
      targets: [],
      subjects: Object.entries(ratios).map(([name, ratio]) => ({ name, role: "peer", ratio }))
    }]
  }]
})

const about = (median: number, low = median, high = median): Spread => ({ median, low, high })

const worse = (before: Spread, now: Spread) => compareResults(run({ bare: before }), run({ bare: now })).worse

describe("a comparison of two runs", () => {
  it("names the ratio that is worse by more than the noise of both, and by how much", () => {
    assert.deepStrictEqual(worse(about(1, 0.99, 1.01), about(1.2, 1.19, 1.21)).map(toVerdict), [
      "fetch, near, against bare: 1.20, was 1.00 (noise would explain 1.10)"
    ])
    assert.lengthOf(worse(about(1, 0.9, 1.1), about(1.4, 1.3, 1.5)), 1)
  })

  it("lets pass what their noise explains", () => {
    assert.lengthOf(worse(about(1, 0.85, 1.15), about(1.2, 1.19, 1.21)), 0)
    assert.lengthOf(worse(about(1, 0.99, 1.01), about(1.2, 1, 1.4)), 0)
    assert.lengthOf(worse(about(1, 0.95, 1.05), about(1.15, 1.1, 1.2)), 0)
    assert.lengthOf(worse(about(1), about(1.05)), 0)
  })

  it("lets pass what is better", () => {
    assert.deepStrictEqual(compareResults(run({ bare: about(1) }), run({ bare: about(0.5) })), {
      compared: 1,
      worse: [],
      missing: []
    })
  })

  it("takes a ratio that is none for worse", () => {
    assert.lengthOf(worse(about(1), about(Number.NaN)), 1)
  })

  it("tells what it could not compare, of the suites that were run again", () => {
    const before = run({ bare: about(1), other: about(1) })
    assert.deepStrictEqual(compareResults(before, run({ bare: about(1), another: about(9) })), {
      compared: 1,
      worse: [],
      missing: [{ suite: "fetch", test: "near", peer: "other" }]
    })
    assert.deepStrictEqual(compareResults(before, run({ bare: about(9) }, "sends")), {
      compared: 0,
      worse: [],
      missing: []
    })
  })

  it("measures again the suites of what is worse, and counts only what is worse both times", () => {
    const before = run({ bare: about(1), other: about(1) })
    const first = compareResults(before, run({ bare: about(2), other: about(3) }))
    assert.deepStrictEqual(suitesOf(first.worse), ["fetch"])
    const second = compareResults(before, run({ bare: about(1), other: about(4) }))
    assert.deepStrictEqual(worseTwice(first, second).map(({ now, peer }) => [peer, now]), [["other", 3]])
    assert.lengthOf(worseTwice(first, compareResults(before, before)), 0)
  })
})
