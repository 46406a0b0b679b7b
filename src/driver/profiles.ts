/**
 * The profile file on disk, and the commands that print secrets: the only place that reads or writes either. A change is
 * made under a lock beside the file and put in place by a rename, so that a reader sees the old file or the new one and
 * two writers lose nothing; a writer that died leaves at most its lock, which the next one takes over.
 */
import { Clock, Duration, Effect, Redacted, Schedule } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import { chmod, mkdir, open, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
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
const commandTimeout = Duration.seconds(60)
/** Secrets are short; a command that prints more than this is the wrong one. */
const maxSecretOctets = 64 * 1024

/** Undefined where there is no such file. */
export const read = (path: string): Effect.Effect<StoredFile | undefined, InvalidInput> =>
  attempt(path, async () => {
    const text = await readFile(path, "utf8").catch(absent)
    if (text === undefined) return undefined
    const { mode } = await stat(path)
    return { text, isPrivate: (mode & 0o077) === 0 }
  })

/** Changes the file: `change` gets what is there and answers what shall be there, for its owner's eyes only. */
export const update = <E>(
  path: string,
  change: (file: StoredFile | undefined) => Effect.Effect<string, E>
): Effect.Effect<void, E | InvalidInput> =>
  Effect.acquireUseRelease(
    lock(path),
    () =>
      Effect.flatMap(Effect.flatMap(read(path), change), (text) =>
        attempt(path, async () => {
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
        })),
    (mine) => Effect.ignore(attempt(path, () => unlock(path, mine)))
  )

/** Allows only the owner to read the file. */
export const makePrivate = (path: string): Effect.Effect<void, InvalidInput> => attempt(path, () => chmod(path, 0o600))

/** The first line that a command prints. It is run as it is, without a shell. */
export const secretOf = (
  command: ReadonlyArray<string>,
  field: string
): Effect.Effect<Redacted.Redacted, InvalidInput> =>
  Effect.callback<Redacted.Redacted, InvalidInput>((resume) => {
    const [program = "", ...args] = command
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

/** Takes the lock, waiting for others, and answers with the word that says whose it is. */
const lock = (path: string): Effect.Effect<string, InvalidInput> => {
  const mine = `${process.pid} ${randomUUID()}`
  const take = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    attempt(path, async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      try {
        await writeFile(lockOf(path), mine, { flag: "wx", mode: 0o600 })
        // its age is told by the clock that judges it
        await utimes(lockOf(path), now / 1_000, now / 1_000)
        return true
      } catch (cause) {
        if (!isCode(cause, "EEXIST")) throw cause
        await removeStale(path, now)
        return false
      }
    }))
  return take.pipe(
    Effect.repeat({ until: (taken) => taken, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: lockTimeout,
      orElse: () => Effect.fail(failure(path, `another program keeps it locked (${lockOf(path)})`))
    }),
    Effect.as(mine)
  )
}

/** Removes a lock whose writer is gone: it names a process that does not run, or it is too old. */
const removeStale = async (path: string, now: number): Promise<void> => {
  const owner = await readFile(lockOf(path), "utf8").catch(absent)
  if (owner === undefined) return
  const info = await stat(lockOf(path)).catch(absent)
  const dead = owner !== "" && !isRunning(Number.parseInt(owner, 10))
  if (!dead && info !== undefined && now - info.mtimeMs < staleMillis) return
  // another may have taken it over meanwhile: only the lock that was judged is moved away
  const aside = `${lockOf(path)}.${randomUUID()}`
  await rename(lockOf(path), aside).catch(absent)
  const moved = await readFile(aside, "utf8").catch(absent)
  if (moved !== undefined && moved !== owner) await rename(aside, lockOf(path))
  else await rm(aside, { force: true })
}

const unlock = async (path: string, mine: string): Promise<void> => {
  if (await readFile(lockOf(path), "utf8").catch(absent) === mine) await rm(lockOf(path), { force: true })
}

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
