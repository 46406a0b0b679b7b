/** Results as text, and as the blocks of the two READMEs. Pure: the same results are always the same documents. */
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

export const number = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)))

const spread = ({ high, low, median }: Spread): string => `${number(median)} (${number(low)}–${number(high)})`

const ratio = ({ high, low, median }: Spread): string => `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`

const columns = ({ cpu, name, ratio: found, skipped = "", time }: SubjectResult): ReadonlyArray<string> =>
  time === undefined
    ? [name, `skipped: ${skipped}`, "", ""]
    : [name, spread(time), cpu === undefined ? "" : number(cpu.median), found === undefined ? "" : ratio(found)]

const units: Readonly<Record<Unit, string>> = { ms: "ms", us: "µs", MB: "MB" }

/** The unit of a figure, and what the figure is for. */
export const unitOf = ({ isPeak, per, unit }: Pick<CaseResult, "isPeak" | "per" | "unit">): string =>
  unit === "MB"
    ? `MB ${isPeak === true ? "at the peak, " : ""}over the start`
    : `${units[unit]} for ${per === "run" ? "all" : "each operation"}`

const heads = (test: CaseResult): ReadonlyArray<string> => [
  test.name,
  unitOf(test),
  test.unit === "MB" ? "" : `CPU of the client, ${units[test.unit]}`,
  "effect-mail ÷ it"
]

/** A quick run is too short to judge by. */
const verdicts = ({ targets }: CaseResult, quick: boolean): ReadonlyArray<string> =>
  targets.map(({ met, ratio, text }) => `${quick ? "target" : met ? "met" : "MISSED"}: ${text} (${number(ratio)})`)

const roundsOf = ({ rounds }: CaseResult) => rounds === 1 ? "one round" : `median of ${rounds} rounds (and quartiles)`

export const toText = (results: Results): string => {
  const lines = [...about(results), "Ratios below 1: effect-mail needs less than the peer.", ""]
  for (const suite of results.suites) {
    lines.push(`${suite.name}: ${suite.question}`, `  ${suite.server}${busyNote(results, suite.name)}`)
    for (const test of suite.cases) {
      const rows = [heads(test), ...test.subjects.map(columns)]
      const widths = heads(test).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
      lines.push(
        "",
        ...rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd()),
        `    ${roundsOf(test)}`,
        ...verdicts(test, results.quick).map((line) => `    ${line}`)
      )
      if (test.bound !== undefined) lines.push(`    bound by: ${test.bound}`)
    }
    lines.push(...suite.notes.map((note) => `  ${note}`), "")
  }
  for (const [name, why] of Object.entries(results.failed)) lines.push(`FAILED ${name}: ${why}`)
  return `${lines.join("\n")}\n`
}

/** When and where a run was. */
export const placeOf = ({ date, machine, quick }: Results): string => {
  const { cores, cpu, memoryGb, node, platform } = machine
  return [
    date.slice(0, 10),
    `${cores} cores of ${cpu}`,
    `${memoryGb} GB`,
    platform,
    `Node ${node}`,
    ...quick ? ["a quick run: its times say nothing"] : []
  ].join(", ")
}

const about = (results: Results): ReadonlyArray<string> => [
  placeOf(results),
  Object.entries(results.versions).map(([name, version]) => `${name} ${version}`).join(", ")
]

const busyNote = ({ busy }: Results, suite: string): string => {
  const share = busy[suite] ?? 0
  return share > quiet ? `; other programs kept the processors ${Math.round(share * 100)} % busy` : ""
}

/** All tables, for benchmarks/README.md. */
const toMarkdown = (results: Results): string => {
  const lines = about(results).flatMap((line) => [line, ""])
  for (const suite of results.suites) {
    lines.push(
      `### ${suite.name}`,
      "",
      suite.question,
      "",
      `![${suite.name}](../${chartOf(suite)})`,
      "",
      `Server: ${suite.server}${busyNote(results, suite.name)}.`,
      ""
    )
    for (const test of suite.cases) {
      lines.push(`| ${heads(test).join(" | ")} |`, "|---|---|---|---|")
      lines.push(...test.subjects.map((subject) => `| ${columns(subject).join(" | ")} |`))
      const below = [...verdicts(test, results.quick), ...(test.bound === undefined ? [] : [`Bound by ${test.bound}.`])]
      lines.push("", ...[`${roundsOf(test)}.`, ...below].map((line) => `- ${line}`), "")
    }
    lines.push(...suite.notes.flatMap((note) => [note, ""]))
  }
  return lines.join("\n").trimEnd()
}

/** Where the chart of a suite is written, from the root. */
export const chartOf = (suite: SuiteResult): string => `docs/benchmarks/${suite.name}.svg`

/** For README.md: the first case of each suite beside the best of its peers, and some charts. */
const toSummary = (results: Results): string => {
  const rows = results.suites.flatMap((suite) => {
    const [test] = suite.cases
    const own = test?.subjects.find(({ role }) => role === "library")
    const [best] = (test?.subjects ?? []).filter(({ role, time }) => role === "peer" && time !== undefined)
      .sort((a, b) => (a.time?.median ?? 0) - (b.time?.median ?? 0))
    if (test === undefined || own?.time === undefined || best?.time === undefined || best.ratio === undefined) return []
    const figures = [own.time, best.time].map(({ median }) => `${number(median)} ${units[test.unit]}`)
    return [
      `| ${suite.name}: ${test.name} | ${figures[0]} | ${figures[1]} (${best.name}) | ${best.ratio.median.toFixed(2)} |`
    ]
  })
  const images = results.suites.filter(({ name }) => shown.includes(name))
    .flatMap((suite) => ["", `![${suite.question}](${chartOf(suite)})`])
  return [
    ...about(results).slice(0, 1),
    "",
    "| | effect-mail | the best peer | effect-mail ÷ it |",
    "|---|---|---|---|",
    ...rows,
    ...images
  ].join("\n")
}

/** The charts that README.md shows. */
const shown = ["agents", "parsed", "memory"]

/** Documents, from the root, with the block of results that each holds. */
export const blocksOf = (results: Results): ReadonlyArray<readonly [path: string, block: string]> => [
  ["benchmarks/README.md", toMarkdown(results)],
  ["README.md", toSummary(results)]
]

const begin = "<!-- results: written by npm run bench -- --save -->"
const end = "<!-- /results -->"

/** The document with its block of results replaced. */
export const withResults = (document: string, block: string): string => {
  const [before, rest] = document.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`the document lacks "${begin}" or "${end}"`)
  return `${before}${begin}\n\n${block}\n\n${end}${after}`
}
