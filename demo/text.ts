/** How the demo writes numbers, tables and failures for a person. Knows nothing of mail but its error. */
import { Cause, Config, Data } from "effect"

/** The demo did not find what it should; the message is a sentence. */
export class DemoFailed extends Data.TaggedError("DemoFailed")<{ readonly message: string }> {}

export const bytes = (octets: number): string =>
  octets >= 1_000_000
    ? `${(octets / 1_000_000).toFixed(1)} MB`
    : octets >= 1_000
    ? `${(octets / 1_000).toFixed(1)} kB`
    : `${Math.round(octets)} B`

export const seconds = (millis: number): string => `${(millis / 1000).toFixed(2)} s`

export const rate = (count: number, millis: number, unit: string): string =>
  `${Math.round(count / Math.max(0.001, millis / 1000))} ${unit}/s`

/** Columns as wide as they need to be, two spaces apart. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string => {
  const cells = [head, ...rows.map((row) => row.map(String))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
  const [first = "", ...others] = lines
  return [first, widths.map((width) => "-".repeat(width)).join("  "), ...others].join("\n")
}

/** Why the demo ended, in one sentence; with the trace only where it is a defect of ours. */
export const sentence = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "Stopped."
  if (Cause.hasDies(cause)) return `The demo has a defect:\n${Cause.pretty(cause)}`
  const error = Cause.squash(cause)
  if (error instanceof Config.ConfigError) {
    // SchemaError(Expected … at ["NAME"])
    const [, problem = error.message, name = "a variable"] = /\((.*?)\s+at \["(\w+)"\]/s.exec(error.message) ?? []
    return `The environment does not describe an account. ${name}: ${problem}.`
  }
  return `The demo has failed. ${error instanceof Error ? error.message : String(error)}.`
}
