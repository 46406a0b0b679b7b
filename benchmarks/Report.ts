/** Results as text, as the block of the README, and as SVG charts. Pure: the same results are always the same documents. */
import type { CaseResult, Spread, SubjectResult, SuiteResult, Unit } from "./Harness.ts"

/** One run of the benchmarks: where, when, with what, and what came out. */
export interface Results {
  readonly date: string
  readonly quick: boolean
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGb: number
    readonly platform: string
    readonly node: string
  }
  readonly versions: Readonly<Record<string, string>>
  /** How busy other programs kept the processors just before each suite, 0 to 1. */
  readonly busy: Readonly<Record<string, number>>
  readonly suites: ReadonlyArray<SuiteResult>
  /** Suites that did not finish, and what they said. */
  readonly failed: Readonly<Record<string, string>>
}

/** Above this, other programs had a part in the times. */
const quiet = 0.1

const number = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)))

const time = ({ high, low, median }: Spread, unit: Unit): string =>
  `${number(median)} ${unit} (${number(low)}–${number(high)})`

const ratio = ({ high, low, median }: Spread): string => `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`

const columns = (subject: SubjectResult, unit: Unit): ReadonlyArray<string> =>
  subject.time === undefined
    ? [subject.name, `skipped: ${subject.skipped ?? ""}`, "", ""]
    : [
      subject.name,
      time(subject.time, unit),
      subject.cpu === undefined ? "" : `${number(subject.cpu.median)} ${unit}`,
      subject.ratio === undefined ? "" : ratio(subject.ratio)
    ]

const heads = ["", "median (quartiles)", "CPU of the client", "effect-mail / it"]

const verdicts = ({ targets }: CaseResult): ReadonlyArray<string> =>
  targets.map(({ met, ratio, text }) => `${met ? "met" : "MISSED"}: ${text} (${number(ratio)})`)

export const toText = (results: Results): string => {
  const lines = [...about(results), ""]
  for (const suite of results.suites) {
    lines.push(
      `${suite.name}: ${suite.question}`,
      `  ${suite.server}, ${suite.rounds} rounds${busyNote(results, suite.name)}`
    )
    for (const test of suite.cases) {
      const rows = [[test.name, ...heads.slice(1)], ...test.subjects.map((subject) => columns(subject, test.unit))]
      const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
      lines.push(
        "",
        ...rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd())
      )
      lines.push(...verdicts(test).map((line) => `    ${line}`))
      if (test.bound !== undefined) lines.push(`    bound by: ${test.bound}`)
    }
    lines.push(...suite.notes.map((note) => `  ${note}`), "")
  }
  for (const [name, why] of Object.entries(results.failed)) lines.push(`FAILED ${name}: ${why}`)
  return `${lines.join("\n")}\n`
}

const about = ({ date, machine, quick, versions }: Results): ReadonlyArray<string> => [
  `${
    date.slice(0, 10)
  }, ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB, ${machine.platform}, Node ${machine.node}${
    quick ? ", quick" : ""
  }`,
  Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
]

const busyNote = ({ busy }: Results, suite: string): string => {
  const share = busy[suite] ?? 0
  return share > quiet ? `; other programs kept the processors ${Math.round(share * 100)} % busy` : ""
}

/** The block between the markers of benchmarks/README.md. */
export const toMarkdown = (results: Results): string => {
  const lines = about(results).flatMap((line) => [line, ""])
  for (const suite of results.suites) {
    lines.push(
      `### ${suite.name}`,
      "",
      suite.question,
      "",
      `![${suite.name}](../docs/benchmarks/${suite.name}.svg)`,
      "",
      `Server: ${suite.server}. ${suite.rounds} rounds${busyNote(results, suite.name)}.`,
      ""
    )
    for (const test of suite.cases) {
      lines.push(`| ${[test.name, ...heads.slice(1)].join(" | ")} |`, "|---|---|---|---|")
      lines.push(...test.subjects.map((subject) => `| ${columns(subject, test.unit).join(" | ")} |`))
      const below = [...verdicts(test), ...(test.bound === undefined ? [] : [`Bound by ${test.bound}.`])]
      lines.push("", ...below.flatMap((line) => [`- ${line}`]), "")
    }
    lines.push(...suite.notes.flatMap((note) => [note, ""]))
  }
  return lines.join("\n").trimEnd()
}

const begin = "<!-- results: written by npm run bench -- --save -->"
const end = "<!-- /results -->"

/** The document with its block of results replaced. */
export const withResults = (document: string, results: Results): string => {
  const [before, rest] = document.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`the document lacks "${begin}" or "${end}"`)
  return `${before}${begin}\n\n${toMarkdown(results)}\n\n${end}${after}`
}

const width = 760
const nameWidth = 260
const barHeight = 18
const step = 24
const colours: Readonly<Record<SubjectResult["role"], string>> = { library: "own", peer: "peer", limit: "limit" }

/** One chart: a group of bars for each case, each group with its own scale. */
export const toChart = (suite: SuiteResult): string => {
  const parts: Array<string> = []
  let y = 30
  for (const test of suite.cases) {
    const shown = test.subjects.filter(({ time }) => time !== undefined)
    const longest = Math.max(...shown.map(({ time }) => time?.median ?? 0))
    parts.push(`<text class="head" x="8" y="${y}">${escape(test.name)}</text>`)
    y += 10
    for (const { name, role, time } of shown) {
      if (time === undefined) continue
      const scale = (value: number) => Math.round(Math.min(value / longest, 1.1) * (width - nameWidth - 150))
      const [low, high] = [nameWidth + scale(time.low), nameWidth + scale(time.high)]
      parts.push(
        `<text x="${nameWidth - 8}" y="${y + 13}" text-anchor="end">${escape(name)}</text>`,
        `<rect class="${colours[role]}" x="${nameWidth}" y="${y}" width="${
          Math.max(1, scale(time.median))
        }" height="${barHeight}"/>`,
        `<line x1="${low}" x2="${high}" y1="${y + barHeight / 2}" y2="${y + barHeight / 2}"/>`,
        `<text x="${Math.max(high, nameWidth + scale(time.median)) + 6}" y="${y + 13}">${
          number(time.median)
        } ${test.unit}</text>`
      )
      y += step
    }
    y += 20
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" role="img" aria-label="${
    escape(suite.question)
  }">
<style>
text { font: 12px sans-serif; fill: #24292f } .head { font-weight: bold }
.own { fill: #2563eb } .peer { fill: #94a3b8 } .limit { fill: #d4d4d8 } line { stroke: #24292f; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } line { stroke: #e6edf3 } .own { fill: #60a5fa } .peer { fill: #64748b } .limit { fill: #3f3f46 } }
</style>
${parts.join("\n")}
</svg>
`
}

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;")

/** Ratios that are worse than before by more than the noise that either run has measured. */
export const regressions = (before: Results, now: Results): ReadonlyArray<string> =>
  now.suites.flatMap((suite) =>
    suite.cases.flatMap((test) =>
      test.subjects.flatMap(({ name, ratio }) => {
        const base = before.suites.find((other) => other.name === suite.name)
          ?.cases.find((other) => other.name === test.name)
          ?.subjects.find((other) => other.name === name)?.ratio
        if (base === undefined || ratio === undefined) return []
        const allowed = base.median * (1 + Math.max(leastNoise, noiseOf(base), noiseOf(ratio)))
        return ratio.median <= allowed ? [] : [
          `${suite.name}, ${test.name}, against ${name}: ${ratio.median} (was ${base.median}, allowed ${
            allowed.toFixed(2)
          })`
        ]
      })
    )
  )

/** No run is so quiet that less than this is a difference. */
const leastNoise = 0.1

const noiseOf = ({ high, low, median }: Spread) => (high - low) / median
