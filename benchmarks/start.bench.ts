/** How long does a program wait, and how much memory is gone, before it has done anything? */
import { Effect, type Scope } from "effect"
import * as mail from "effect-mail"
import { execFile } from "node:child_process"
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Outcome, Subject, Suite } from "./Harness.ts"
import { answerOf } from "./Program.ts"
import type { Start } from "./StartReader.ts"

/** The entry points that the library uses: the rest of nodemailer is no part of the comparison. */
const nodemailer = ["addressparser", "base64", "dkim", "mail-composer", "qp", "smtp-connection", "well-known"]
  .map((name) => `nodemailer/lib/${name}`)

/** What the library loads when it is first needed: with the first connection, message, or autoconfiguration file. */
const later = ["imapflow", "mailparser", "htmlparser2"]

const root = join(import.meta.dirname, "..")

/** A directory in which a program finds the package as npm would install it, freshly built. */
const installed: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = await mkdtemp(join(tmpdir(), "bench-start-"))
    const home = join(directory, "node_modules", "effect-mail")
    await mkdir(home, { recursive: true })
    await copyFile(join(root, "package.json"), join(home, "package.json"))
    await symlink(join(root, "node_modules"), join(home, "node_modules"))
    for (const name of ["effect", "imapflow", "mailparser", "nodemailer", "htmlparser2"]) {
      await symlink(join(root, "node_modules", name), join(directory, "node_modules", name))
    }
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc")
    const project = ["-p", join(root, "tsconfig.build.json"), "--outDir", join(home, "dist")]
    await promisify(execFile)(process.execPath, [compiler, ...project])
    return directory
  }),
  (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
)

const startOf = (file: string): Effect.Effect<Start> => answerOf("StartReader.ts", file, [])

export const suite: Suite = {
  name: "start",
  question: "What does it take to import the library, beside what importing the packages below it takes?",
  run: (bench) =>
    Effect.gen(function*() {
      const directory = yield* installed
      const rounds = bench.size(15, 1)
      /** A program that imports these and says how many names the first of them has. */
      const program = (name: string, packages: ReadonlyArray<string>) =>
        Effect.promise(async () => {
          const [first = "", ...others] = packages
          const file = join(directory, `${name}.mjs`)
          const lines = [`import * as names from "${first}"`, ...others.map((each) => `import "${each}"`)]
          await writeFile(file, [...lines, "export const count = Object.keys(names).length", ""].join("\n"))
          return file
        })
      const subject = (
        name: string,
        role: Subject["role"],
        file: string,
        outcome: (start: Start) => Outcome
      ): Subject => ({
        name,
        role,
        // it was the whole package that was imported
        ...(role === "library" ? { expected: { count: Object.keys(mail).length } } : {}),
        open: Effect.succeed(
          Effect.map(startOf(file), (start) => ({ ...outcome(start), digest: { count: start.count } }))
        )
      })
      const time = ({ cpu, millis }: Start): Outcome => ({ millis, cpu })
      const memory = ({ megabytes }: Start): Outcome => ({ value: megabytes })

      const below = "effect, imapflow, nodemailer, mailparser"
      const library = yield* program("library", ["effect-mail"])
      const complete = yield* program("complete", ["effect-mail", ...later])
      const effect = yield* program("effect", ["effect"])
      const peers = yield* program("peers", ["effect", "imapflow", "mailparser", ...nodemailer])
      const completePeers = yield* program("complete-peers", ["effect", ...later, ...nodemailer])

      const alone = (outcome: (start: Start) => Outcome) => [
        subject("import \"effect-mail\"", "library", library, outcome),
        subject(below, "peer", peers, outcome),
        subject("import \"effect\"", "limit", effect, outcome)
      ]
      const together = (outcome: (start: Start) => Outcome) => [
        subject("effect-mail, with all it loads later", "library", complete, outcome),
        subject(`${below}, and htmlparser2`, "peer", completePeers, outcome)
      ]
      const target = { against: below, atMost: 1.15 }
      const bound = "the number of modules, most of them effect's"
      yield* bench.measure({ name: "time", rounds, subjects: alone(time), targets: [target], bound })
      bench.note(
        "The package is imported as npm installs it. Of nodemailer the peer imports what the library uses. The library " +
          "loads imapflow with its first IMAP connection, and mailparser with the first message it parses."
      )
      if (bench.quick) return "none"
      yield* bench.measure({ name: "time, with all that is loaded later", rounds, subjects: together(time), bound })
      const inMemory = { unit: "MB", rounds: 7 } as const
      yield* bench.measure({ ...inMemory, name: "memory", subjects: alone(memory), targets: [target] })
      yield* bench.measure({
        ...inMemory,
        name: "memory, with all that is loaded later",
        subjects: together(memory)
      })
      return "none"
    })
}
