/** One suite, in a process of its own: started by `run.ts` with a name and options, it writes its result to a file. */
import { Cause, Effect, Exit } from "effect"
import { writeFile } from "node:fs/promises"
import { runSuite, type SuiteOptions } from "./Harness.ts"
import { suites } from "./suites.ts"

export interface SuiteTask extends SuiteOptions {
  readonly resultFile: string
}

const [name = "", text = "{}"] = process.argv.slice(2)
const options = JSON.parse(text) as SuiteTask // written by run.ts, in this form
const load = suites[name]
if (load === undefined) throw new Error(`there is no suite "${name}"; there are: ${Object.keys(suites).join(", ")}`)
// Servers and programs end with the scope of what is running, also where that is stopped or nobody is left to hear of it.
const stopping = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort())
process.once("disconnect", () => stopping.abort())
const suite = await load()
const exit = await Effect.runPromiseExit(
  runSuite(suite, { ...options, log: (line) => process.stderr.write(`  ${line}\n`) }),
  { signal: stopping.signal }
)
if (Exit.isSuccess(exit)) await writeFile(options.resultFile, JSON.stringify(exit.value))
else process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
// oxlint-disable-next-line unicorn/no-process-exit -- a peer that keeps a handle must not keep the run
process.exit(Exit.isSuccess(exit) ? 0 : 1)
