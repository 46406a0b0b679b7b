/** Postfix's smtp-source (C): the limit. It composes nothing, writes the same octets each time, and reads no further than the code of a reply. */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"

const program = "/usr/sbin/smtp-source"

export const smtpSourceMissing = (): string | undefined => existsSync(program) ? undefined : "Postfix is not installed"

/** Milliseconds from its start to its end, which includes connecting. */
export const smtpSource = async (port: number, connections: number, count: number, octets: number): Promise<number> => {
  const before = performance.now()
  await new Promise<void>((resolve, reject) => {
    const child = spawn(
      program,
      [
        ["-s", `${connections}`],
        ["-m", `${count}`],
        ["-l", `${octets}`],
        ["-f", "user0@example.com"],
        ["-t", "bob@example.com"],
        ["-d", `127.0.0.1:${port}`]
      ].flat(),
      { stdio: ["ignore", "ignore", "pipe"] }
    )
    let said = ""
    child.stderr.on("data", (chunk: Buffer) => said += chunk.toString("utf8"))
    child.once("close", (code) => code === 0 ? resolve() : reject(new Error(`smtp-source ended with ${code}: ${said}`)))
  })
  return performance.now() - before
}
