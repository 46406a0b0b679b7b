/**
 * mbsync (C): pulls the mailbox into an empty Maildir. Its start, login and the files it writes are part of its time, as
 * they are of its use; it keeps no connection that could be warmed.
 */
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { mkdir, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { temporaryDirectory } from "../../test/live/Daemon.ts"
import type { Outcome } from "../Harness.ts"
import { ended } from "../Program.ts"
import type { ImapServer } from "../Servers.ts"

const program = "/usr/bin/mbsync"

export const mbsyncMissing = (): string | undefined => existsSync(program) ? undefined : "isync is not installed"

export const mbsync = (
  server: ImapServer,
  port: number
): Effect.Effect<Effect.Effect<Outcome>, never, Scope.Scope> =>
  Effect.map(temporaryDirectory, (directory) =>
    Effect.gen(function*() {
      const mail = join(directory, "mail")
      const configuration = join(directory, "mbsyncrc")
      yield* Effect.promise(async () => {
        await rm(mail, { recursive: true, force: true })
        await mkdir(mail)
        await writeFile(
          configuration,
          `FSync no

IMAPAccount bench
Host 127.0.0.1
Port ${port}
User ${server.user}
Pass ${server.password}
SSLType None
AuthMechs LOGIN
PipelineDepth 50

IMAPStore far
Account bench

MaildirStore near
Path ${mail}/
Inbox ${mail}/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Sync Pull
Create Near
SyncState *
`
        )
      })
      const before = performance.now()
      yield* ended(program, ["-q", "-q", "-c", configuration, "all"])
      const millis = performance.now() - before
      const files = yield* Effect.promise(() =>
        Promise.all(["cur", "new"].map((folder) => readdir(join(mail, "INBOX", folder))))
      )
      // It writes LF line ends and a header of its own, so its octets are not those of the server: counted only.
      return { millis, digest: { count: files.flat().length } }
    }))
