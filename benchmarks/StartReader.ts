/**
 * Imports one module, as a program of its own, and tells its parent what that took: time, CPU, and resident memory.
 * Node's own start, and its reading of this file, are over by then and count for nobody.
 */
import { pathToFileURL } from "node:url"

/** What an import took. */
export interface Start {
  readonly millis: number
  readonly cpu: number
  readonly megabytes: number
  /** What the module says of itself. */
  readonly count: number
}

const cpuBefore = process.cpuUsage()
const memoryBefore = process.memoryUsage.rss()
const before = performance.now()
const { count } = await import(pathToFileURL(process.argv[2] ?? "").href)
const millis = performance.now() - before
const { system, user } = process.cpuUsage(cpuBefore)
const start: Start = {
  millis,
  cpu: (user + system) / 1000,
  megabytes: (process.memoryUsage.rss() - memoryBefore) / 1e6,
  count
}
process.send?.(start, () => process.disconnect())
