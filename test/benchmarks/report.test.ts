/** What the benchmarks' documents say comes from the committed results, and the rules that read them do what they say. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { spread, type SuiteResult } from "../../benchmarks/Harness.ts"
import { regressions, type Results, toChart, toText, withResults } from "../../benchmarks/Report.ts"

const at = (path: string) => new URL(`../../${path}`, import.meta.url)
const read = (path: string) => readFileSync(at(path), "utf8")

const suite = (median: number, low: number, high: number, met = true): SuiteResult => ({
  name: "fetch",
  question: "How fast?",
  server: "a server",
  rounds: 3,
  notes: [],
  failures: [],
  cases: [{
    name: "near & far",
    unit: "ms",
    targets: [{ text: "at most 1.1 x bare", ratio: median, met }],
    subjects: [
      { name: "effect-mail", role: "library", time: { median: 10, low: 9, high: 12 } },
      { name: "bare", role: "peer", time: { median: 9, low: 8, high: 11 }, ratio: { median, low, high } },
      { name: "other", role: "peer", skipped: "it is not installed" }
    ]
  }]
})

const results = (...suites: ReadonlyArray<SuiteResult>): Results => ({
  date: "2026-01-02T03:04:05.000Z",
  quick: false,
  machine: { cpu: "a processor", cores: 2, memoryGb: 4, platform: "linux", node: "24.0.0" },
  versions: { imapflow: "1.0.0" },
  busy: { fetch: 0.8 },
  suites,
  failed: {}
})

describe("the documents of the benchmarks", () => {
  it("hold the numbers of the committed results and no others", () => {
    if (!existsSync(at("benchmarks/baseline.json"))) {
      assert.notMatch(read("benchmarks/README.md"), /\| median/)
      return
    }
    const baseline = JSON.parse(read("benchmarks/baseline.json")) as Results // written by npm run bench -- --save
    assert.strictEqual(withResults(read("benchmarks/README.md"), baseline), read("benchmarks/README.md"))
    for (const suite of baseline.suites) {
      assert.strictEqual(toChart(suite), read(`docs/benchmarks/${suite.name}.svg`))
    }
  })

  it("say what was missed, what was skipped and that the machine was busy", () => {
    const text = toText(results(suite(1.3, 1.2, 1.4, false)))
    assert.include(text, "MISSED: at most 1.1 x bare (1.3)")
    assert.include(text, "skipped: it is not installed")
    assert.include(text, "other programs kept the processors 80 % busy")
  })

  it("replace their block of results and nothing else", () => {
    const document = "before\n<!-- results: written by npm run bench -- --save -->\nold\n<!-- /results -->\nafter\n"
    const written = withResults(document, results(suite(1, 1, 1)))
    assert.match(written, /^before\n/)
    assert.match(written, /\nafter\n$/)
    assert.notInclude(written, "old")
    assert.strictEqual(withResults(written, results(suite(1, 1, 1))), written)
    assert.throws(() => withResults("no markers", results()))
  })

  it("escape what would be markup in a chart", () => {
    assert.include(toChart(suite(1, 1, 1)), "near &amp; far")
  })
})

describe("a comparison with the baseline", () => {
  it("reports a ratio that is worse by more than the noise of either run", () => {
    assert.lengthOf(regressions(results(suite(1, 0.99, 1.01)), results(suite(1.2, 1.19, 1.21))), 1)
  })

  it("lets pass what the noise of one of the runs explains", () => {
    assert.lengthOf(regressions(results(suite(1, 0.85, 1.15)), results(suite(1.2, 1.19, 1.21))), 0)
    assert.lengthOf(regressions(results(suite(1, 1, 1)), results(suite(1.05, 1.05, 1.05))), 0)
  })

  it("lets pass what is better, and what the baseline does not know", () => {
    assert.lengthOf(regressions(results(suite(1, 1, 1)), results(suite(0.5, 0.5, 0.5))), 0)
    assert.lengthOf(regressions(results(), results(suite(9, 9, 9))), 0)
  })
})

describe("a spread", () => {
  it("is the median and the quartiles, between the values where there is none", () => {
    assert.deepStrictEqual(spread([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4 })
    assert.deepStrictEqual(spread([1, 2]), { median: 1.5, low: 1.25, high: 1.75 })
  })
})
