/**
 * The servers that are measured against, each in a process of its own: Dovecot and smtp-sink where they are installed,
 * the embedded server where they are not. A suite is told which it got.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, execFileSync, fork } from "node:child_process"
import { chown, mkdir, readdir, readFile, unlink, writeFile } from "node:fs/promises"
import { userInfo } from "node:os"
import { join } from "node:path"
import { missing } from "../test/live/available.ts"
import { daemon, freePorts, greets, memoryDirectory } from "../test/live/Daemon.ts"
import { startDovecot } from "../test/live/Dovecot.ts"
import type { EmbeddedCounts, EmbeddedOptions, EmbeddedPorts } from "./EmbeddedServer.ts"
import type { Digest } from "./Harness.ts"
import { bodyOf, type MailboxRecipe, messagesOf, Tally } from "./Mail.ts"

export interface ImapServer {
  /** With its version, as the results name it. */
  readonly name: string
  readonly port: number
  readonly user: string
  readonly password: string
}

export interface SmtpServer {
  readonly name: string
  readonly port: number
  /** The bodies of the messages it took since it was last asked. */
  readonly taken: Effect.Effect<Digest>
}

const nobody = 65_534

/** An IMAP server that holds these mailboxes. */
export const imapServer = (
  mailboxes: ReadonlyArray<MailboxRecipe>
): Effect.Effect<ImapServer, never, Scope.Scope> =>
  missing(["dovecot"]).length === 0
    ? dovecot(mailboxes)
    : Effect.map(embedded({ users: 1, mailboxes }), ({ name, ports }) => ({
      name,
      port: ports.imap,
      user: "user0",
      password: "secret"
    }))

const dovecot = (mailboxes: ReadonlyArray<MailboxRecipe>) =>
  Effect.gen(function*() {
    const server = yield* startDovecot({ users: { user0: "secret" } })
    // Written as Maildir before the first login: much faster than 10 000 APPENDs, and the same to the reader.
    yield* Effect.promise(async () => {
      const owned: Array<string> = [join(server.directory, "home", "user0")]
      for (const recipe of mailboxes) {
        const root = join(server.directory, "home", "user0", "mail")
        const mailbox = recipe.path === "INBOX" ? root : join(root, `.${recipe.path.replaceAll("/", ".")}`)
        owned.push(root, mailbox)
        for (const folder of ["cur", "new", "tmp"]) {
          await mkdir(join(mailbox, folder), { recursive: true })
          owned.push(join(mailbox, folder))
        }
        let index = 0
        for (const source of messagesOf(recipe)) {
          const name = `${1_700_000_000 + index}.M${index}P1.bench,S=${source.length},W=${source.length}:2,S`
          const file = join(mailbox, "cur", name)
          await writeFile(file, source)
          if (userInfo().uid === 0) await chown(file, nobody, nobody)
          index++
        }
      }
      if (userInfo().uid === 0) { for (const path of owned) await chown(path, nobody, nobody) }
    })
    return { name: dovecotName(), port: server.port, user: "user0", password: "secret" }
  })

const dovecotName = () =>
  `Dovecot ${/^[\d.]+/.exec(execFileSync("/usr/sbin/dovecot", ["--version"], { encoding: "utf8" }))?.[0] ?? ""}`

export interface Embedded {
  readonly name: string
  readonly ports: EmbeddedPorts
  readonly counts: Effect.Effect<EmbeddedCounts>
  readonly forget: Effect.Effect<EmbeddedCounts>
}

/** The library's own test server, in another process. Its users are user0, user1, … with the password "secret". */
export const embedded = (options: EmbeddedOptions): Effect.Effect<Embedded, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<{ child: ChildProcess; ports: EmbeddedPorts }>((resolve, reject) => {
          const child = fork(join(import.meta.dirname, "EmbeddedServer.ts"), [JSON.stringify(options)], {
            execArgv: ["-C", "effect-mail-source"]
          })
          // the first message of the program is its ports
          child.once("message", (message) => resolve({ child, ports: message as EmbeddedPorts }))
          child.once("exit", (code) => reject(new Error(`the embedded server ended with ${code}`)))
        })
      ),
      ({ child }) => Effect.sync(() => child.kill())
    ),
    ({ child, ports }) => {
      const ask = (question: string) =>
        Effect.promise(() =>
          new Promise<EmbeddedCounts>((resolve) => {
            child.once("message", (message) => resolve(message as EmbeddedCounts)) // every further one is the counts
            child.send(question)
          })
        )
      return { name: "embedded server", ports, counts: ask("count"), forget: ask("forget") }
    }
  )

const attempts = 5

/** An SMTP server that takes everything and keeps a file for each message, to be counted. */
export const smtpServer: Effect.Effect<SmtpServer, never, Scope.Scope> = Effect.gen(function*() {
  if (missing(["smtp-sink"]).length > 0) {
    const { forget, name, ports } = yield* embedded({ users: 1, mailboxes: [] })
    return { name, port: ports.smtp, taken: Effect.map(forget, ({ bodies }) => bodies) }
  }
  // on a disk smtp-sink is slower than any client
  const directory = yield* memoryDirectory
  const messages = join(directory, "messages")
  yield* Effect.promise(() => mkdir(messages, { mode: 0o777 }))
  if (userInfo().uid === 0) yield* Effect.promise(() => chown(messages, nobody, nobody))
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const [port = 0] = yield* Effect.promise(() => freePorts(1))
    const asUser = userInfo().uid === 0 ? ["-u", "nobody"] : []
    const sink = yield* daemon({
      command: "/usr/sbin/smtp-sink",
      args: [...asUser, "-h", "sink.bench", "-d", join(messages, "%M."), `127.0.0.1:${port}`, "100"],
      cwd: directory
    })
    if (yield* Effect.promise(() => greets(sink, port, "sink.bench"))) {
      return {
        name: "Postfix smtp-sink",
        port,
        taken: Effect.promise(async () => {
          // one that greets again has done with what it answered before
          await greets(sink, port, "sink.bench")
          const tally = new Tally()
          for (const name of await readdir(messages)) {
            const file = join(messages, name)
            tally.add(bodyOf(await readFile(file)))
            await unlink(file)
          }
          return tally.digest
        })
      }
    }
  }
  return yield* Effect.die(new Error("smtp-sink did not start"))
})
