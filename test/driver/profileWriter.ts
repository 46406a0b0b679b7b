/**
 * A program that changes a file: `profileWriter.ts PATH WORD TIMES` adds the word that often, one change each. With
 * `dies-at-rename` for TIMES it is killed when all is written and nothing is in place yet.
 */
import { Effect } from "effect"
import { promises } from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const [, , path = "", word = "", times = ""] = process.argv
if (times === "dies-at-rename") {
  promises.rename = async () => void process.kill(process.pid, "SIGKILL")
  syncBuiltinESMExports()
}
const { update } = await import("../../src/driver/profiles.ts")
for (let left = Number.parseInt(times) || 1; left > 0; left--) {
  await Effect.runPromise(update(path, (file) => Effect.succeed(`${file?.text ?? ""}${word}\n`)))
}
