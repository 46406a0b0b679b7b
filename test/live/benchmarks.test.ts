/** The benchmarks as a program: whoever stops them is left with no server and no client of theirs. */
import { assert, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { describeLive } from "./available.ts"

const root = join(import.meta.dirname, "..", "..")

/** The parent of each process that has not ended. */
const parents = () =>
  new Map(
    readdirSync("/proc").flatMap((entry): ReadonlyArray<readonly [number, number]> => {
      if (!/^\d+$/.test(entry)) return []
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, "latin1")
        const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
        return state === "Z" ? [] : [[Number(entry), Number(parent)]]
      } catch {
        return [] // ended between the listing and the reading
      }
    })
  )

const familyOf = (pid: number): ReadonlyArray<number> => {
  const family = [pid]
  const all = parents()
  for (const member of family) for (const [child, parent] of all) if (parent === member) family.push(child)
  return family
}

/** Starts a suite, stops it in the middle, and answers how it ended and who of its family lives on. */
const stopped = async (signal: NodeJS.Signals, suite: string) => {
  const run = spawn(process.execPath, ["benchmarks/run.ts", "--quick", "--only", suite, "--rounds", "1000"], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"]
  })
  let said = ""
  run.stderr.on("data", (chunk: Buffer) => said += chunk.toString("utf8"))
  const ended = new Promise<number | null>((resolve) => run.once("close", resolve))
  while (!said.includes("round 1 of") && run.exitCode === null) await pause(20)
  const family = familyOf(run.pid ?? 0)
  run.kill(signal)
  const code = await ended
  const alive = parents()
  const left = family.filter((pid) => alive.has(pid))
  for (const pid of left) process.kill(pid, "SIGKILL")
  return { code, family: family.length, left }
}

describeLive("the benchmarks", ["dovecot", "smtp-sink"], () => {
  for (const [signal, code, suite] of [["SIGINT", 130, "sends"], ["SIGTERM", 143, "memory"]] as const) {
    it(`leave nothing running when ${suite} is stopped with ${signal}`, async () => {
      const run = await stopped(signal, suite)
      // the run, its suite, and a server at least
      assert.isAtLeast(run.family, 3)
      assert.deepStrictEqual(run.left, [])
      assert.strictEqual(run.code, code)
    })
  }
})
