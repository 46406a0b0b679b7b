/**
 * Python's imaplib and the package imap_tools, in a process of their own that is started and logged in beforehand; it
 * times itself, so that neither the interpreter's start nor the pipe is counted.
 */
import { Effect, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Outcome } from "../Harness.ts"
import type { ImapServer } from "../Servers.ts"

export type PythonPeer = "imaplib" | "imap_tools" | "imap_tools_parsed"

/** Debian's own interpreter, which sees Debian's packages. */
const python = "/usr/bin/python3"

const can = (module: string) => spawnSync(python, ["-c", `import ${module}`]).status === 0

export const pythonMissing = (peer: PythonPeer): string | undefined =>
  peer === "imaplib"
    ? (can("imaplib") ? undefined : "python3 is not installed")
    : (can("imap_tools") ? undefined : "python3-imap-tools is not installed")

/** Answers a run that fetches the whole INBOX. */
export const pythonFetch = (
  peer: PythonPeer,
  server: ImapServer,
  port: number
): Effect.Effect<Effect.Effect<Outcome>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const child = spawn(
          python,
          [join(import.meta.dirname, "python_fetch.py"), peer, String(port), server.user, server.password],
          { stdio: ["pipe", "pipe", "inherit"] }
        )
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
        const line = async () => {
          const next = await lines.next()
          if (next.done === true) throw new Error(`${peer} ended early`)
          return next.value
        }
        await line()
        return { child, line }
      }),
      ({ child }) => Effect.sync(() => child.kill())
    ),
    ({ child, line }) =>
      Effect.promise(async () => {
        child.stdin.write("go\n")
        return JSON.parse(await line()) as Outcome // written by our own script, in this form
      })
  )
