/** Runs suites, each in a process of its own, and puts their results together with where and when that was. */
import { type ChildProcess, fork } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { availableParallelism, constants, cpus, platform, release, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { SuiteOptions, SuiteResult } from "./Harness.ts"
import type { Results } from "./Report.ts"
import type { SuiteTask } from "./suite.ts"

const root = join(import.meta.dirname, "..")
const began = performance.now()

export const elapsed = (): string => {
  const seconds = Math.round((performance.now() - began) / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s since the start`
}

const running = new Set<ChildProcess>()
let stoppedBy: "SIGINT" | "SIGTERM" | undefined

/** A run that is stopped waits for its suites, which end what they have started. */
const passOn = (signal: "SIGINT" | "SIGTERM") => {
  stoppedBy ??= signal
  for (const suite of running) suite.kill(signal)
}

/** Runs these suites one after another; two at a time where their times do not matter. */
export const runSuites = async (names: ReadonlyArray<string>, options: SuiteOptions): Promise<Results> => {
  const directory = await mkdtemp(join(tmpdir(), "bench-"))
  process.on("SIGINT", passOn).on("SIGTERM", passOn)
  const busy: Record<string, number> = {}
  const failed: Record<string, string> = {}
  const done = new Map<string, SuiteResult>()
  const waiting = names.entries()
  const runWaiting = async () => {
    for (const [index, name] of waiting) {
      if (stoppedBy !== undefined) return
      process.stderr.write(`${name} (suite ${index + 1} of ${names.length}, ${elapsed()})\n`)
      if (!options.quick) busy[name] = await busyness()
      try {
        const result = await runSuite(name, options, directory)
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
    process.off("SIGINT", passOn).off("SIGTERM", passOn)
  }
  // oxlint-disable-next-line unicorn/no-process-exit -- as a shell tells of a program that a signal has ended
  if (stoppedBy !== undefined) process.exit(128 + constants.signals[stoppedBy])
  return {
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
    suites: names.flatMap((name) => done.get(name) ?? []),
    failed
  }
}

const runSuite = async (name: string, options: SuiteOptions, directory: string): Promise<SuiteResult> => {
  const resultFile = join(directory, `${name}.json`)
  const task: SuiteTask = { ...options, resultFile }
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
  running.add(child)
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve))
  running.delete(child)
  if (code !== 0) throw new Error(`ended with ${code}: ${said}`)
  return JSON.parse(await readFile(resultFile, "utf8")) as SuiteResult // written by suite.ts, in this form
}

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

const versionOf = async (name: string) => {
  const { version } = JSON.parse(await readFile(join(root, "node_modules", name, "package.json"), "utf8"))
  return [name, String(version)] as const
}
