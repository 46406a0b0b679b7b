/** A directory of its own for a test, removed with its scope. */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-mail-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)
