/**
 * Postfix's smtp-sink in a scope: an SMTP server that takes everything and keeps each copy in a file, so that a test can
 * count how often a message really arrived. Its faults are smtp-sink's own options (smtp-sink(1)).
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { chmod, mkdir, readdir, readFile, stat } from "node:fs/promises"
import { userInfo } from "node:os"
import { join } from "node:path"
import { daemon, freePorts, greeted, lostPort, socketsOf, temporaryDirectory } from "./Daemon.ts"

export interface SmtpSinkOptions {
  /** Further options of smtp-sink(1): ["-q", "data"], ["-w", "2"], … */
  readonly args?: ReadonlyArray<string>
}

/** One accepted copy, as smtp-sink wrote it down. */
export interface SunkMessage {
  readonly from: string
  readonly to: ReadonlyArray<string>
  /** Header and body with LF line ends, the trace lines of smtp-sink itself left out. */
  readonly source: string
}

export interface SmtpSinkServer {
  readonly host: "127.0.0.1"
  readonly port: number
  readonly pid: number
  readonly connections: Effect.Effect<number>
  /**
   * Every copy taken so far, oldest first: one per transaction, however many recipients. A transaction that was cut
   * short leaves none; one that is under way may show as far as it has come.
   */
  readonly messages: Effect.Effect<ReadonlyArray<SunkMessage>>
  /** What its option -v prints: the dialogue. */
  readonly log: Effect.Effect<string>
}

const parse = (dump: string): SunkMessage => {
  const to: Array<string> = []
  let from = ""
  const lines = dump.replaceAll("\r\n", "\n").split("\n")
  let line = 0
  for (; line < lines.length; line++) {
    const [, name, value = ""] = /^X-(Mail|Rcpt)-Args: (.*)$/.exec(lines[line] ?? "") ?? []
    const address = /<([^>]*)>/.exec(value)?.[1] ?? value
    if (name === "Mail") from = address
    else if (name === "Rcpt") to.push(address)
    else if (!/^(X-(Client|Helo)|Received: )|^\s/.test(lines[line] ?? "")) break
  }
  return { from, to, source: lines.slice(line).join("\n") }
}

const attempts = 5

/** Starts an smtp-sink. A start that fails is a defect that holds what it said. */
export const startSmtpSink = (options: SmtpSinkOptions = {}): Effect.Effect<SmtpSinkServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const dumps = join(directory, "messages")
    yield* Effect.promise(async () => {
      await mkdir(dumps)
      await chmod(dumps, 0o777)
    })
    const start = Effect.fnUntraced(function*(attempt: number) {
      const [port = 0] = yield* Effect.promise(() => freePorts(1))
      const process = yield* daemon({
        command: "/usr/sbin/smtp-sink",
        args: [
          ...(userInfo().uid === 0 ? ["-u", "nobody"] : []),
          "-v",
          "-d",
          `${dumps}/%Y%m%d%H%M%S.`,
          "-h",
          directory,
          ...(options.args ?? []),
          `127.0.0.1:${port}`,
          "100"
        ],
        cwd: directory
      })
      if (yield* Effect.promise(() => greeted(process, port, directory))) return { process, port }
      return attempt < attempts && (yield* Effect.promise(() => lostPort(process, [port])))
        ? undefined
        : yield* Effect.die(new Error(`smtp-sink did not start:\n${process.output()}`))
    })
    let started: Effect.Success<ReturnType<typeof start>>
    for (let attempt = 1; started === undefined; attempt++) started = yield* start(attempt)
    const { port, process } = started
    const server: SmtpSinkServer = {
      host: "127.0.0.1",
      port,
      pid: process.pid,
      connections: Effect.map(Effect.promise(() => socketsOf(port)), (count) => count.established),
      messages: Effect.promise(async () => {
        const files = (await readdir(dumps)).map((name) => join(dumps, name))
        const written = await Promise.all(files.map(async (file) => ({ file, at: (await stat(file)).mtimeMs })))
        written.sort((a, b) => a.at - b.at)
        return Promise.all(written.map(async ({ file }) => parse(await readFile(file, "latin1"))))
      }),
      log: Effect.sync(() => process.output())
    }
    return server
  })

/** One smtp-sink, shared by the tests it is provided to. */
export class SmtpSink extends Context.Service<SmtpSink, SmtpSinkServer>()("effect-mail/test/SmtpSink") {
  static readonly layer = (options?: SmtpSinkOptions): Layer.Layer<SmtpSink> =>
    Layer.effect(SmtpSink, startSmtpSink(options))
}
