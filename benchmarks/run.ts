/**
 * `npm run bench`: runs the suites and reports. Options:
 *
 *   --only NAME,NAME   these suites only          --quick   small sizes, two suites at a time, for correctness
 *   --rounds N         rounds of every case       --json FILE        write all results to this file
 *   --compare          fail if a ratio is worse than before by more than the noise
 *   --baseline FILE    what was before, as --json wrote it; benchmarks/baseline.json unless given
 *   --save             make these results the baseline, and write tables and charts from it
 */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { toChart } from "./Chart.ts"
import { compareResults, suitesOf, toLine, toVerdict, worseTwice } from "./Comparison.ts"
import { blocksOf, chartOf, placeOf, type Results, toText, withResults } from "./Report.ts"
import { elapsed, runSuites } from "./SuiteRuns.ts"
import { suites } from "./suites.ts"

const root = join(import.meta.dirname, "..")
const committed = join(import.meta.dirname, "baseline.json")

/** Fewer have no quartiles to speak of, and so no noise. */
const leastRounds = 3

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    json: { type: "string" },
    compare: { type: "boolean", default: false },
    baseline: { type: "string", default: committed },
    save: { type: "boolean", default: false }
  }
})

const chosen = options.only === undefined ? Object.keys(suites) : options.only.split(",")
const unknown = chosen.filter((name) => !(name in suites))
if (unknown.length > 0) throw new Error(`no suite ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`)
const rounds = options.rounds === undefined ? undefined : Number(options.rounds)
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) throw new Error("--rounds wants a number from 1")
if (options.save && (options.quick || options.only !== undefined)) {
  throw new Error("only a complete run can be saved: without --quick and --only")
}
if (options.compare && (options.quick || (rounds !== undefined && rounds < leastRounds))) {
  throw new Error(`--compare concludes nothing from a quick run, nor from fewer than ${leastRounds} rounds`)
}

// written by --save or --json; a file that is missing is told of before anything is measured
const before = options.compare ? JSON.parse(await readFile(options.baseline, "utf8")) as Results : undefined

const measure = async (names: ReadonlyArray<string>): Promise<Results> => {
  const results = await runSuites(names, { quick: options.quick, rounds })
  process.stdout.write(toText(results))
  process.stderr.write(`${elapsed()}\n`)
  return results
}

const hasFailed = ({ failed }: Results) => Object.keys(failed).length > 0

const say = (headline: string, lines: ReadonlyArray<string>) =>
  process.stdout.write([headline, ...lines.map((line) => `  ${line}`), ""].join("\n"))

/** Whether nothing is worse; what seems to be is measured once more. */
const isAsGood = async (before: Results, now: Results): Promise<boolean> => {
  const first = compareResults(before, now)
  if (first.missing.length > 0) say("Only before, and not compared:", first.missing.map(toLine))
  if (first.compared === 0) {
    say("Nothing was compared, so nothing is known.", [])
    return false
  }
  say(`Compared with ${placeOf(before)}: ${first.compared} ratios.`, [])
  if (first.worse.length > 0) {
    say("Worse at first sight, so their suites are measured once more:", first.worse.map(toVerdict))
    const again = await measure(suitesOf(first.worse))
    if (hasFailed(again)) return false
    const worse = worseTwice(first, compareResults(before, again))
    if (worse.length > 0) {
      say(`WORSE than before, both times, ${worse.length} of ${first.compared} ratios:`, worse.map(toVerdict))
      return false
    }
  }
  say("No ratio is worse than before.", [])
  return true
}

const results = await measure(chosen)
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`)
if (hasFailed(results)) process.exitCode = 1
if (before !== undefined && !await isAsGood(before, results)) process.exitCode = 1

if (options.save) {
  if (hasFailed(results)) throw new Error("a run with failures is not saved")
  await writeFile(committed, `${JSON.stringify(results, null, 2)}\n`)
  for (const [path, block] of blocksOf(results)) {
    const file = join(root, path)
    await writeFile(file, withResults(await readFile(file, "utf8"), block))
  }
  await mkdir(join(root, "docs", "benchmarks"), { recursive: true })
  for (const suite of results.suites) await writeFile(join(root, chartOf(suite)), toChart(suite))
}
