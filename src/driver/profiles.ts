/**
 * The profile file on disk, and the commands that print secrets: the only place that reads or writes either. A change is
 * made under a lock beside the file and put in place by a rename, so that a reader sees the old file or the new one and
 * two writers lose nothing; a writer that died leaves at most its lock and its unfinished file, and the next one takes
 * over the first and removes the second.
 */
import { Clock, Duration, Effect, Redacted } from "effect"
import { execFile } from "node:child_process"
import { createHash, randomUUID } from "node:crypto"
import { link, mkdir, open, readdir, readFile, realpath, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import { basename, dirname, join } from "node:path"
import { InvalidInput } from "../domain/MailError.ts"

/** The file as it is. `isPrivate`: nobody but its owner can read it. */
export interface StoredFile {
  readonly text: string
  readonly isPrivate: boolean
}

/** How long a writer waits for another one. */
const lockTimeout = Duration.seconds(10)
/** A lock this old belongs to nobody any more: a change takes milliseconds. */
const staleMillis = 30_000
/** How often a waiting writer looks again. */
const lockSpacing = Duration.millis(20)
const commandTimeout = Duration.seconds(60)
/** Secrets are short; a command that prints more than this is the wrong one. */
const maxSecretOctets = 64 * 1024

/** Undefined where there is no such file. */
export const read = (path: string): Effect.Effect<StoredFile | undefined, InvalidInput> =>
  attempt(path, async () => {
    const file = await open(path, "r").catch(absent)
    if (file === undefined) return undefined
    try {
      const { mode } = await file.stat()
      // Windows keeps no such mode: what is below a person's home is theirs
      return { text: await file.readFile("utf8"), isPrivate: process.platform === "win32" || (mode & 0o077) === 0 }
    } finally {
      await file.close()
    }
  })

/** Changes the file: `change` gets what is there and answers what shall be there, for its owner's eyes only. */
export const update = <E>(
  path: string,
  change: (file: StoredFile | undefined) => Effect.Effect<string, E>
): Effect.Effect<void, E | InvalidInput> =>
  // where a link leads, the file is replaced and not the link
  Effect.flatMap(attempt(path, async () => await realpath(path).catch(absent) ?? path), (target) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(lock(target, restore), (mine) =>
        restore(Effect.flatMap(read(target), change)).pipe(
          Effect.flatMap((text) =>
            attempt(path, () => replace(target, text))
          ),
          Effect.ensuring(unlock(target, mine))
        ))
    ))

const replace = async (path: string, text: string): Promise<void> => {
  for (const name of await readdir(dirname(path))) {
    // under the lock nobody else writes: what is unfinished stays so, and may hold secrets
    if (name.startsWith(`${basename(path)}.`) && name.endsWith(".new")) {
      await rm(join(dirname(path), name), { force: true })
    }
  }
  const temporary = `${path}.${randomUUID()}.new`
  try {
    const file = await open(temporary, "wx", 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw cause
  }
}

/** The first line that a command prints. It is run as it is, without a shell. */
export const secretOf = (
  command: ReadonlyArray<string>,
  field: string
): Effect.Effect<Redacted.Redacted, InvalidInput> =>
  Effect.callback<Redacted.Redacted, InvalidInput>((resume) => {
    const [program = "", ...args] = command
    const problem = program === "" ? "is empty" : command.some((word) => word.includes("\0")) ? "holds NUL" : undefined
    if (problem !== undefined) {
      return resume(Effect.fail(new InvalidInput({ field, problem: `the command ${problem}` })))
    }
    const child = execFile(program, args, { maxBuffer: maxSecretOctets }, (error, stdout) => {
      const line = stdout.split(/\r?\n/)[0] ?? ""
      if (error === null && line !== "") return resume(Effect.succeed(Redacted.make(line)))
      // neither what it printed nor what it was called with belongs into an error
      const how = error === null
        ? "printed nothing"
        : `failed (${typeof error.code === "number" ? `exit code ${error.code}` : error.code ?? error.signal})`
      return resume(Effect.fail(new InvalidInput({ field, problem: `the command ${program} ${how}` })))
    })
    child.stdin?.end()
    return Effect.sync(() => child.kill())
  }).pipe(Effect.timeoutOrElse({
    duration: commandTimeout,
    orElse: () => Effect.fail(new InvalidInput({ field, problem: "the command did not answer in time" }))
  }))

const lockOf = (path: string) => `${path}.lock`

/** Takes the lock, waiting for others, and answers with the word that says whose it is. Interruptible while it waits. */
const lock = (
  path: string,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<string, InvalidInput> =>
  Effect.gen(function*() {
    const mine = `${process.pid} ${hostname()} ${randomUUID()}`
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(lockTimeout)
    while (true) {
      const now = yield* Clock.currentTimeMillis
      const isTaken = yield* attempt(path, async () => {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        if (await claim(lockOf(path), mine, now)) return true
        await removeStale(lockOf(path), mine, now)
        return false
      })
      if (isTaken) return mine
      if (now >= until) {
        return yield* failure(
          path,
          `another program keeps it locked; if there is none any more, remove ${lockOf(path)}`
        )
      }
      yield* restore(Effect.sleep(lockSpacing))
    }
  })

/** Creates a lock, complete at once with its owner's word. False where there is one already. */
const claim = async (lock: string, mine: string, now: number): Promise<boolean> => {
  const temporary = `${lock}.${randomUUID()}`
  await writeFile(temporary, mine, { flag: "wx", mode: 0o600 })
  try {
    // its age is told by the clock that judges it
    await utimes(temporary, now / 1_000, now / 1_000)
    await link(temporary, lock)
    return true
  } catch (cause) {
    if (!isCode(cause, "EEXIST")) throw cause
    return false
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Removes a lock whose writer is gone: it names a process that does not run here, or it is too old. */
const removeStale = async (lock: string, mine: string, now: number): Promise<void> => {
  const owner = await readFile(lock, "utf8").catch(absent)
  const info = await stat(lock).catch(absent)
  if (owner === undefined || info === undefined) return
  const [pid = "", host] = owner.split(" ")
  const isDead = host === hostname() && !isRunning(Number(pid))
  if (isDead || now - info.mtimeMs >= staleMillis) await takeAway(lock, owner, mine, now)
}

/**
 * Removes a lock if it is still the one with this owner's word. Whoever does so holds a lock on that word first, so that
 * of several who found the same stale lock none removes the one that came after it.
 */
const takeAway = async (lock: string, owner: string, mine: string, now: number): Promise<void> => {
  const right = `${lock}.${createHash("sha256").update(owner).digest("hex").slice(0, 16)}`
  if (!await claim(right, mine, now)) return removeStale(right, mine, now)
  try {
    if (await readFile(lock, "utf8").catch(absent) === owner) await rm(lock, { force: true })
  } finally {
    await rm(right, { force: true })
  }
}

const unlock = (path: string, mine: string): Effect.Effect<void> =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => Effect.ignore(attempt(path, () => takeAway(lockOf(path), mine, mine, now)))
  )

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return isCode(cause, "EPERM")
  }
}

const attempt = <A>(path: string, task: () => Promise<A>): Effect.Effect<A, InvalidInput> =>
  Effect.tryPromise({
    try: task,
    catch: (cause) => failure(path, cause instanceof Error ? cause.message : String(cause))
  })

const failure = (path: string, problem: string) => new InvalidInput({ field: path, problem })

const isCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code

const absent = (cause: unknown): undefined => {
  if (!isCode(cause, "ENOENT")) throw cause
  return undefined
}
