/** What the benchmarks' documents say comes from the committed results, and the rules that read them do what they say. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { toChart } from "../../benchmarks/Chart.ts"
import { spread, type SuiteResult } from "../../benchmarks/Harness.ts"
import { blocksOf, chartOf, type Results, toText, withResults } from "../../benchmarks/Report.ts"

const at = (path: string) => new URL(`../../${path}`, import.meta.url)
const read = (path: string) => readFileSync(at(path), "utf8")

const suite = (median: number, low: number, high: number, met = true): SuiteResult => ({
  name: "fetch",
  question: "How fast?",
  server: "a server",
  notes: [],
  failures: [],
  cases: [{
    name: "near & far",
    unit: "ms",
    per: "run",
    rounds: 3,
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

const markers = "<!-- results: written by npm run bench -- --save -->"

describe("the documents of the benchmarks", () => {
  it("hold the numbers of the committed results and no others", () => {
    if (!existsSync(at("benchmarks/baseline.json"))) {
      for (const path of ["benchmarks/README.md", "README.md"]) assert.notInclude(read(path), "| effect-mail ÷ it")
      return
    }
    const baseline = JSON.parse(read("benchmarks/baseline.json")) as Results // written by npm run bench -- --save
    for (const [path, block] of blocksOf(baseline)) assert.strictEqual(withResults(read(path), block), read(path))
    for (const suite of baseline.suites) assert.strictEqual(toChart(suite), read(chartOf(suite)))
  })

  it("have room for the results", () => {
    for (const [path, block] of blocksOf(results(suite(1, 1, 1)))) assert.include(withResults(read(path), block), block)
  })

  it("say what was missed, what was skipped and that the machine was busy", () => {
    const text = toText(results(suite(1.3, 1.2, 1.4, false)))
    assert.include(text, "MISSED: at most 1.1 x bare (1.3)")
    assert.include(text, "skipped: it is not installed")
    assert.include(text, "other programs kept the processors 80 % busy")
    assert.include(text, "ms for all")
    assert.include(text, "median of 3 rounds")
  })

  it("say of memory whether it is a peak", () => {
    const [head] = suite(1, 1, 1).cases
    const textOf = (memory: { readonly unit: "MB"; readonly isPeak?: true }) =>
      toText(results({ ...suite(1, 1, 1), cases: head === undefined ? [] : [{ ...head, ...memory }] }))
    assert.include(textOf({ unit: "MB", isPeak: true }), "MB at the peak, over the start")
    assert.include(textOf({ unit: "MB" }), "MB over the start")
    const baseline = JSON.parse(read("benchmarks/baseline.json")) as Results // written by npm run bench -- --save
    const peaks = baseline.suites.filter(({ cases }) => cases.some(({ isPeak }) => isPeak === true))
    assert.deepStrictEqual(peaks.map(({ name }) => name), ["memory"])
  })

  it("judge nothing by a quick run", () => {
    const text = toText({ ...results(suite(1.3, 1.2, 1.4, false)), quick: true })
    assert.include(text, "target: at most 1.1 x bare (1.3)")
    assert.notMatch(text, /MISSED|met:/)
  })

  it("name the suites that failed", () => {
    assert.include(toText({ ...results(), failed: { sends: "count 3, the server holds 4" } }), "FAILED sends: count 3")
  })

  it("show each suite beside the best of its peers", () => {
    const [, summary] = blocksOf(results(suite(1.3, 1.2, 1.4))).find(([path]) => path === "README.md") ?? []
    assert.include(summary, "| fetch: near & far | 10 ms | 9 ms (bare) | 1.30 |")
  })

  it("replace their block of results and nothing else", () => {
    const document = `before\n${markers}\nold\n<!-- /results -->\nafter\n`
    const written = withResults(document, "new")
    assert.strictEqual(written, `before\n${markers}\n\nnew\n\n<!-- /results -->\nafter\n`)
    assert.strictEqual(withResults(written, "new"), written)
    assert.throws(() => withResults("no markers", "new"))
  })
})

describe("a chart", () => {
  it("shows every subject that ran, with its figure, and escapes what would be markup", () => {
    const chart = toChart(suite(1, 1, 1))
    assert.include(chart, "near &amp; far (ms for all)")
    assert.strictEqual(chart.match(/class="(?:own|peer)" x/g)?.length, 2)
    assert.notInclude(chart, "not installed")
  })

  it("keeps bars and figures within its width", () => {
    const chart = toChart(suite(1, 1, 1))
    const right = [...chart.matchAll(/x="(\d+)" y="\d+" width="(\d+)"/g)].map(([, x, w]) => Number(x) + Number(w))
    assert.isAtMost(Math.max(...right), 860 - 16)
  })
})

describe("a spread", () => {
  it("is the median and the quartiles, between the values where there is none", () => {
    assert.deepStrictEqual(spread([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4 })
    assert.deepStrictEqual(spread([1, 2]), { median: 1.5, low: 1.25, high: 1.75 })
  })
})
