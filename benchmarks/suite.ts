/** One suite, in a process of its own: started by `run.ts` with a name and options, it writes its result to a file. */
import { Effect } from "effect"
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
const suite = await load()
const result = await Effect.runPromise(
  runSuite(suite, { ...options, log: (line) => process.stderr.write(`  ${line}\n`) })
)
await writeFile(options.resultFile, JSON.stringify(result))
// oxlint-disable-next-line unicorn/no-process-exit -- a peer that keeps a handle must not keep the run
process.exit()
