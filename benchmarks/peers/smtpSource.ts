/** Postfix's smtp-source (C): the limit. It composes nothing, writes the same octets each time, and reads no further than the code of a reply. */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { ended } from "../Program.ts"

const program = "/usr/sbin/smtp-source"

export const smtpSourceMissing = (): string | undefined => existsSync(program) ? undefined : "Postfix is not installed"

/** Milliseconds from its start to its end, which includes connecting. */
export const smtpSource = (
  port: number,
  connections: number,
  count: number,
  octets: number
): Effect.Effect<number> =>
  Effect.suspend(() => {
    const before = performance.now()
    const options = [
      ["-s", `${connections}`],
      ["-m", `${count}`],
      ["-l", `${octets}`],
      ["-f", "user0@example.com"],
      ["-t", "bob@example.com"],
      ["-d", `127.0.0.1:${port}`]
    ]
    return Effect.map(ended(program, options.flat()), () => performance.now() - before)
  })
