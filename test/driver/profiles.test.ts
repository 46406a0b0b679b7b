import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { InvalidInput } from "../../src/domain/MailError.ts"
import { read, secretOf, update } from "../../src/driver/profiles.ts"
import { temporaryDirectory } from "./TemporaryDirectory.ts"

const file = Effect.map(temporaryDirectory, (directory) => join(directory, "accounts.json"))

const adding = (path: string, word: string) =>
  update(path, (stored) => Effect.succeed(`${stored?.text ?? ""}${word}\n`))

const wordsIn = (path: string) => fs.readFileSync(path, "utf8").trimEnd().split("\n").sort()

/** A busy machine takes seconds to start a process; this only ends one that hangs. */
const hanging = 60_000

/** Runs `profileWriter.ts`, and answers with what ended it. */
const writer = (...args: ReadonlyArray<string>): Effect.Effect<number | string | null> =>
  Effect.callback<number | string | null>((resume) => {
    const program = new URL("profileWriter.ts", import.meta.url).pathname
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "inherit", "inherit"] })
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code, signal) => resume(Effect.succeed(code ?? signal)))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** A process id that nobody has any more. */
const deadPid = Effect.callback<number>((resume) => {
  const child = spawn("true")
  child.once("close", () => resume(Effect.succeed(child.pid ?? assert.fail())))
})

const others = (path: string) => fs.readdirSync(join(path, "..")).filter((name) => name !== "accounts.json")

/** Lets time pass until a fiber that also waits for the disk has ended. */
const untilEnded = Effect.fnUntraced(function*<A, E>(fiber: Fiber.Fiber<A, E>) {
  while (fiber.pollUnsafe() === undefined) {
    yield* TestClock.adjust("1 second")
    yield* TestClock.withLive(Effect.sleep("1 millis"))
  }
  return yield* Fiber.await(fiber)
})

describe("the profile file", () => {
  it.live("is made for its owner's eyes only, with the folder it is in", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryDirectory, "a", "b", "accounts.json")
      assert.isUndefined(yield* read(path))
      yield* adding(path, "one")
      assert.deepStrictEqual(yield* read(path), { text: "one\n", isPrivate: true })
      assert.strictEqual(fs.statSync(path).mode & 0o777, 0o600)
      assert.strictEqual(fs.statSync(join(path, "..")).mode & 0o777, 0o700)
      assert.deepStrictEqual(others(path), [])
    }))

  it.live("becomes its owner's alone when it is changed", () =>
    Effect.gen(function*() {
      const path = yield* file
      fs.writeFileSync(path, "one\n", { mode: 0o644 })
      assert.deepStrictEqual(yield* read(path), { text: "one\n", isPrivate: false })
      yield* adding(path, "two")
      assert.deepStrictEqual(yield* read(path), { text: "one\ntwo\n", isPrivate: true })
    }))

  it.live("stays where a link leads", () =>
    Effect.gen(function*() {
      const path = yield* file
      const link = `${path}.link`
      fs.symlinkSync(path, link)
      fs.writeFileSync(path, "one\n")
      yield* adding(link, "two")
      assert.isTrue(fs.lstatSync(link).isSymbolicLink())
      assert.deepStrictEqual(wordsIn(path), ["one", "two"])
    }))

  it.live("keeps the old text when a change fails or is interrupted", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* adding(path, "one")
      assert.strictEqual(yield* Effect.flip(update(path, () => Effect.fail("no"))), "no")
      const changing = yield* Effect.forkChild(update(path, () => Effect.never))
      yield* Effect.sleep("30 millis")
      yield* Fiber.interrupt(changing)
      assert.deepStrictEqual(wordsIn(path), ["one"])
      assert.deepStrictEqual(others(path), [])
      yield* adding(path, "two")
    }))

  it.live("loses nothing to twenty writers at once", () =>
    Effect.gen(function*() {
      const path = yield* file
      const words = Array.from({ length: 20 }, (_, index) => `w${index}`)
      yield* Effect.forEach(words, (word) => adding(path, word), { concurrency: "unbounded" })
      assert.deepStrictEqual(wordsIn(path), words.toSorted())
      assert.deepStrictEqual(others(path), [])
    }))

  it.live(
    "loses nothing to several processes, one of which is killed between writing and renaming",
    () =>
      Effect.gen(function*() {
        const path = yield* file
        yield* adding(path, "own")
        const own = Array.from({ length: 10 }, (_, index) => `own${index}`)
        const ends = yield* Effect.all([
          writer(path, "other", "10"),
          writer(path, "dead", "dies-at-rename"),
          Effect.forEach(own, (word) => Effect.delay(adding(path, word), "50 millis"))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(ends.slice(0, 2), [0, "SIGKILL"])
        // whether or not one came after the dead, the next one goes on, and leaves nothing of it
        yield* adding(path, "own")
        assert.deepStrictEqual(
          wordsIn(path),
          [...Array.from({ length: 10 }, () => "other"), "own", "own", ...own].sort()
        )
        assert.deepStrictEqual(others(path), [])
      }),
    hanging
  )

  it.live("is taken over from a writer that was killed between writing and renaming", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* adding(path, "one")
      assert.strictEqual(yield* writer(path, "dead", "dies-at-rename"), "SIGKILL")
      assert.deepStrictEqual(others(path).filter((name) => !name.endsWith(".new")), ["accounts.json.lock"])
      assert.lengthOf(others(path), 2)
      assert.deepStrictEqual(yield* read(path), { text: "one\n", isPrivate: true })
      const words = Array.from({ length: 10 }, (_, index) => `w${index}`)
      yield* Effect.forEach(words, (word) => adding(path, word), { concurrency: "unbounded" })
      assert.deepStrictEqual(wordsIn(path), ["one", ...words])
      assert.deepStrictEqual(others(path), [])
    }), hanging)

  it.live("is taken over from a process that does not run, and from one that took too long", () =>
    Effect.gen(function*() {
      const path = yield* file
      fs.writeFileSync(`${path}.lock`, `${yield* deadPid} ${hostname()} x`)
      yield* adding(path, "one")
      fs.writeFileSync(`${path}.lock`, `${process.pid} ${hostname()} x`)
      fs.utimesSync(`${path}.lock`, new Date(), new Date(Date.now() - 31_000))
      yield* adding(path, "two")
      // a process of another machine cannot be looked for, and is not old
      fs.writeFileSync(`${path}.lock`, `${yield* deadPid} elsewhere.example x`)
      const waiting = yield* Effect.forkChild(adding(path, "three"))
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(wordsIn(path), ["one", "two"])
      fs.rmSync(`${path}.lock`)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(wordsIn(path), ["one", "three", "two"])
    }))

  it.live("is left alone by a writer that is interrupted while it waits", () =>
    Effect.gen(function*() {
      const path = yield* file
      const lock = `${process.pid} ${hostname()} x`
      fs.writeFileSync(`${path}.lock`, lock)
      const waiting = yield* Effect.forkChild(adding(path, "one"))
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(fs.readFileSync(`${path}.lock`, "utf8"), lock)
      assert.deepStrictEqual(others(path), ["accounts.json.lock"])
    }))

  it.effect("is not waited for without end", () =>
    Effect.gen(function*() {
      const path = yield* file
      fs.writeFileSync(`${path}.lock`, `${process.pid} ${hostname()} x`)
      const exit = yield* untilEnded(yield* Effect.forkChild(Effect.flip(adding(path, "one"))))
      const error = Exit.isSuccess(exit) ? exit.value : assert.fail()
      assert.strictEqual(error.field, path)
      assert.include(error.problem, `${path}.lock`)
    }))

  it.live("that cannot be read or written is a typed failure that names it", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryDirectory
      fs.writeFileSync(join(folder, "file"), "")
      const failures = yield* Effect.all([
        Effect.flip(read(folder)),
        Effect.flip(adding(folder, "one")),
        Effect.flip(adding(join(folder, "file", "accounts.json"), "one"))
      ])
      for (const failure of failures) assert.instanceOf(failure, InvalidInput)
      assert.deepStrictEqual(failures.map(({ field }) => field), [
        folder,
        folder,
        join(folder, "file", "accounts.json")
      ])
    }))
})

describe("a secret from a command", () => {
  const node = (script: string, ...args: ReadonlyArray<string>) =>
    secretOf([process.execPath, "-e", script, ...args], "accounts.work.password")

  it.live("is the first line it prints, and its arguments are not read by a shell", () =>
    Effect.gen(function*() {
      const secret = yield* node("console.log(process.argv[1] + '\\nurl: x')", "$HOME; echo `id`")
      assert.strictEqual(Redacted.value(secret), "$HOME; echo `id`")
      assert.notInclude(String(secret), "HOME")
    }))

  it.live("finds nothing to read, so that a command that asks for something ends", () =>
    Effect.gen(function*() {
      const secret = yield* node("process.stdin.resume().on('end', () => console.log('ended'))")
      assert.strictEqual(Redacted.value(secret), "ended")
    }))

  it.live.each<readonly [string, ReadonlyArray<string>, RegExp]>([
    ["fails", ["-e", "console.log('s3cret'); console.error('s3cret'); process.exit(3)", "s3cret"], /exit code 3/],
    ["is killed", ["-e", "console.log('s3cret'); process.kill(process.pid, 'SIGKILL')"], /SIGKILL/],
    ["prints nothing", ["-e", ""], /printed nothing/],
    ["begins with an empty line", ["-e", "console.log('\\ns3cret')"], /printed nothing/],
    ["prints too much", ["-e", "process.stdout.write('s3cret'.repeat(20_000))"], /MAXBUFFER/]
  ])("is refused if the command %s", ([, args, problem]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(secretOf([process.execPath, ...args], "accounts.work.password"))
      assert.strictEqual(error.field, "accounts.work.password")
      assert.match(error.problem, problem)
      assert.notInclude(JSON.stringify(error) + String(error.stack), "s3cret")
    }))

  it.effect("refuse a command that is none, and do not show it", () =>
    Effect.gen(function*() {
      for (const command of [[""], [], ["pass", "s3cret\0"]]) {
        const error = yield* Effect.flip(secretOf(command, "accounts.work.password"))
        assert.deepInclude(error, { _tag: "InvalidInput", field: "accounts.work.password" })
        assert.notInclude(error.message, "s3cret")
      }
    }))

  it.live("is refused if there is no such command", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(secretOf(["/nothing/here", "s3cret"], "accounts.work.password"))
      assert.strictEqual(error.problem, "the command /nothing/here failed (ENOENT)")
    }))

  it.effect("is refused if the command hangs, which is ended", () =>
    Effect.gen(function*() {
      const path = yield* file
      const script = `require("fs").writeFileSync(${
        JSON.stringify(path)
      }, String(process.pid)); setInterval(() => {}, 1e6)`
      const fiber = yield* Effect.forkChild(Effect.flip(node(script)))
      // an empty file is one that is being written
      const pid = yield* TestClock.withLive(
        Effect.sync(() => fs.existsSync(path) ? Number(fs.readFileSync(path, "utf8")) : 0).pipe(
          Effect.tap(Effect.sleep("5 millis")),
          Effect.repeat({ until: (pid) => pid > 0 })
        )
      )
      yield* TestClock.adjust(Duration.minutes(1))
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.problem, "the command did not answer in time")
      const isGone = Effect.sync(() => {
        try {
          return !process.kill(pid, 0)
        } catch {
          return true
        }
      })
      yield* TestClock.withLive(Effect.repeat(Effect.tap(isGone, Effect.sleep("5 millis")), { until: (gone) => gone }))
    }))
})
