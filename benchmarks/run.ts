/**
 * `npm run bench`: runs the suites one after another, each in a process of its own, and reports. Options:
 *
 *   --only NAME,NAME   these suites only          --quick        small sizes, two suites at a time, for correctness
 *   --rounds N         interleaved runs of each   --json FILE    all results
 *   --compare          fail if a ratio is worse than in baseline.json by more than the noise
 *   --save             make these results the baseline, and write tables and charts from it
 */
import { fork } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { availableParallelism, cpus, platform, release, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { parseArgs } from "node:util"
import { toChart } from "./Chart.ts"
import { compareResults } from "./Comparison.ts"
import type { SuiteResult } from "./Harness.ts"
import { blocksOf, chartOf, type Results, toText, withResults } from "./Report.ts"
import type { SuiteTask } from "./suite.ts"
import { suites } from "./suites.ts"

const root = join(import.meta.dirname, "..")
const baselineFile = join(import.meta.dirname, "baseline.json")

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    json: { type: "string" },
    compare: { type: "boolean", default: false },
    save: { type: "boolean", default: false }
  }
})

/** How busy the processors are with other work, over half a second in which this process does nothing. */
const busyness = async (): Promise<number> => {
  const sum = () => {
    let [idle, all] = [0, 0]
    for (const { times } of cpus()) {
      idle += times.idle
      all += times.user + times.nice + times.sys + times.idle + times.irq
    }
    return { idle, all }
  }
  const before = sum()
  await pause(500)
  const after = sum()
  return Number((1 - (after.idle - before.idle) / Math.max(1, after.all - before.all)).toFixed(2))
}

const runSuite = async (name: string, directory: string): Promise<SuiteResult> => {
  const resultFile = join(directory, `${name}.json`)
  const task: SuiteTask = {
    quick: options.quick,
    ...(options.rounds === undefined ? {} : { rounds: Number(options.rounds) }),
    resultFile
  }
  const child = fork(join(import.meta.dirname, "suite.ts"), [name, JSON.stringify(task)], {
    execArgv: ["--expose-gc", "-C", "effect-mail-source"],
    // otherwise each process would compile the same sources again
    env: options.quick ? { ...process.env, NODE_COMPILE_CACHE: join(directory, "compiled") } : process.env,
    stdio: ["ignore", "inherit", "pipe", "ipc"]
  })
  let said = ""
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString("utf8")).slice(-4_000)
    process.stderr.write(chunk)
  })
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve))
  if (code !== 0) throw new Error(`ended with ${code}: ${said}`)
  return JSON.parse(await readFile(resultFile, "utf8")) as SuiteResult // written by suite.ts, in this form
}

const versionOf = async (name: string) => {
  const { version } = JSON.parse(await readFile(join(root, "node_modules", name, "package.json"), "utf8"))
  return [name, String(version)] as const
}

const chosen = options.only === undefined ? Object.keys(suites) : options.only.split(",")
const unknown = chosen.filter((name) => !(name in suites))
if (unknown.length > 0) throw new Error(`no suite ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`)

const began = performance.now()
const elapsed = () => {
  const seconds = Math.round((performance.now() - began) / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s since the start`
}

const directory = await mkdtemp(join(tmpdir(), "bench-"))
const busy: Record<string, number> = {}
const failed: Record<string, string> = {}
const done = new Map<string, SuiteResult>()
const waiting = chosen.entries()
const runWaiting = async () => {
  for (const [index, name] of waiting) {
    process.stderr.write(`${name} (suite ${index + 1} of ${chosen.length}, ${elapsed()})\n`)
    if (!options.quick) busy[name] = await busyness()
    try {
      const result = await runSuite(name, directory)
      done.set(name, result)
      if (result.failures.length > 0) failed[name] = result.failures.join("; ")
    } catch (error) {
      failed[name] = error instanceof Error ? error.message : String(error)
    }
  }
}
try {
  const together = options.quick ? Math.min(2, availableParallelism()) : 1
  await Promise.all(Array.from({ length: together }, runWaiting))
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}

const results: Results = {
  date: new Date().toISOString(),
  quick: options.quick,
  machine: {
    cpu: cpus()[0]?.model.trim() ?? "?",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${release()}`,
    node: process.versions.node
  },
  versions: Object.fromEntries(
    await Promise.all(["effect", "imapflow", "nodemailer", "mailparser"].map(versionOf))
  ),
  busy,
  suites: chosen.flatMap((name) => done.get(name) ?? []),
  failed
}
process.stdout.write(toText(results))
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`)

process.stderr.write(`${elapsed()}\n`)

const hasFailed = Object.keys(failed).length > 0
if (hasFailed) process.exitCode = 1

if (options.compare) {
  const baseline = JSON.parse(await readFile(baselineFile, "utf8")) as Results // written by --save
  const { compared, worse } = compareResults(baseline, results)
  // A comparison of nothing is no comparison: sizes or names have changed since, or the run was a quick one.
  if (compared === 0 || worse.length > 0) process.exitCode = 1
  process.stdout.write(
    worse.length === 0
      ? `Of ${compared} ratios that the baseline has too, none is worse.\n`
      : `Worse than the baseline, ${worse.length} of ${compared} ratios:\n  ${worse.join("\n  ")}\n`
  )
}

if (options.save) {
  if (hasFailed || options.quick || options.only !== undefined) {
    throw new Error("only a complete, full run without failures can be saved")
  }
  await writeFile(baselineFile, `${JSON.stringify(results, null, 2)}\n`)
  for (const [path, block] of blocksOf(results)) {
    const file = join(root, path)
    await writeFile(file, withResults(await readFile(file, "utf8"), block))
  }
  await mkdir(join(root, "docs", "benchmarks"), { recursive: true })
  for (const suite of results.suites) await writeFile(join(root, chartOf(suite)), toChart(suite))
}
