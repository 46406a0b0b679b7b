/**
 * A server program in a scope: its process family, its temporary directory, its ports. Knows nothing of mail.
 *
 * The program runs in a session of its own, so that every process it forks can be found again, however it was
 * reparented. It is told to end when its parent dies, and it is gone, family and directory, when the scope is closed.
 * Waiting here uses the machine's timers, not Effect's: servers do not live on a test's clock.
 */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"

export interface Daemon {
  readonly pid: number
  /** Everything the program wrote to stdout and stderr so far. */
  readonly output: () => string
  /** True until the process has ended. */
  readonly isRunning: () => boolean
}

export interface DaemonOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

const patience = 60

/** The processes of a session, zombies left out. */
export const processesOf = (session: number): ReadonlyArray<number> =>
  readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      // The second field is the program's name in parentheses and may hold spaces: count from the last parenthesis.
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1")
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return fields[0] !== "Z" && Number(fields[3]) === session ? [Number(entry)] : []
    } catch {
      return [] // ended between the listing and the reading
    }
  })

const signal = (pid: number, name: NodeJS.Signals) => {
  try {
    process.kill(pid, name)
  } catch {
    // gone already
  }
}

const until = async (condition: () => boolean | Promise<boolean>, millis: number): Promise<boolean> => {
  for (const end = performance.now() + millis; performance.now() < end;) {
    if (await condition()) return true
    await pause(5)
  }
  return condition()
}

/** SIGTERM first; nothing of theirs is kept, so what does not end at once (Dovecot takes a second) is killed. */
const end = async (session: number, isRunning: () => boolean) => {
  if (isRunning()) signal(session, "SIGTERM")
  const isGone = () => !isRunning() && processesOf(session).length === 0
  if (await until(isGone, patience)) return
  const killed = await until(() => {
    for (const pid of processesOf(session)) signal(pid, "SIGKILL")
    return isGone()
  }, 5_000)
  if (!killed) throw new Error(`processes ${processesOf(session).join(", ")} do not end`)
}

/** Starts a program that stays in the foreground. The scope ends it with SIGTERM, and what is left with SIGKILL. */
export const daemon = (options: DaemonOptions): Effect.Effect<Daemon, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const child = spawn("setpriv", ["--pdeathsig", "TERM", "--", options.command, ...options.args], {
          cwd: options.cwd,
          detached: true,
          env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C", TZ: "UTC", ...options.env },
          stdio: ["ignore", "pipe", "pipe"]
        })
        let output = ""
        let running = true
        child.stdout.on("data", (chunk: Buffer) => output += chunk.toString("utf8"))
        child.stderr.on("data", (chunk: Buffer) => output += chunk.toString("utf8"))
        child.once("exit", () => running = false)
        await new Promise<void>((resolve, reject) => {
          child.once("spawn", () => resolve())
          child.once("error", reject)
        })
        if (child.pid === undefined) throw new Error(`${options.command} has no process id`)
        return { pid: child.pid, output: () => output, isRunning: () => running }
      }),
      (daemon) => Effect.promise(() => end(daemon.pid, daemon.isRunning))
    ),
    (daemon): Daemon => daemon
  )

const directoryIn = (parent: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      // Short: paths of sockets inside it must fit into 107 octets.
      const directory = await mkdtemp(join(parent, "mail-"))
      await chmod(directory, 0o755)
      return directory
    }),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  )

/** A directory that every system user may enter, removed with all that is in it when the scope is closed. */
export const temporaryDirectory = directoryIn(tmpdir())

const inMemory = "/dev/shm"

/** The same, with its files in memory where the system has a place for that: nobody waits for a disk. */
export const memoryDirectory = directoryIn(existsSync(inMemory) ? inMemory : tmpdir())

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/**
 * Ports nobody listens on. They lie below the range the kernel gives to clients, so that no outgoing connection can
 * take one before the server does; another server still can, which `lostPort` tells after a start has failed.
 */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

/** True if a program ended because another one holds a port it was given. Not every program says so itself. */
export const lostPort = async (daemon: Daemon, ports: ReadonlyArray<number>): Promise<boolean> =>
  !daemon.isRunning() && (await Promise.all(ports.map(isFree))).includes(false)

/** The first line a server says to a new connection, or undefined where nobody answers. */
const firstLine = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    const finish = (line: string | undefined) => {
      socket.destroy()
      resolve(line)
    }
    socket.setTimeout(1_000, () => finish(undefined))
    socket.on("error", () => finish(undefined))
    socket.on("close", () => finish(undefined))
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (text.includes("\n")) finish(text.slice(0, text.indexOf("\n")).trim())
    })
  })

/** Waits until the server on that port greets with `expected`, which proves that it is this one and no other. */
export const greets = async (daemon: Daemon, port: number, expected: string, millis = 15_000): Promise<boolean> => {
  for (const end = performance.now() + millis; performance.now() < end && daemon.isRunning();) {
    const line = await firstLine(port)
    if (line?.includes(expected) === true) return true
    await pause(10)
  }
  return false
}

/** The same of a server nobody else is connected to, and waits for the end of its own connection: no test counts it. */
export const greeted = async (daemon: Daemon, port: number, expected: string, millis?: number): Promise<boolean> => {
  if (!await greets(daemon, port, expected, millis)) return false
  await until(async () => {
    const { closing, established } = await socketsOf(port)
    return established + closing === 0
  }, 1_000)
  return true
}

export interface SocketCount {
  /** Connections that neither side has closed. */
  readonly established: number
  /** Connections the client has closed and the server still holds, as while it finishes a command. */
  readonly closing: number
  readonly listening: number
}

/**
 * What the kernel knows about the server's side of these ports on 127.0.0.1: neither the client's account of it nor the
 * server's. Costs the kernel some milliseconds, which is why it is asked beside the event loop.
 */
export const socketsOf = async (...ports: ReadonlyArray<number>): Promise<SocketCount> =>
  countIn(await readFile("/proc/net/tcp", "latin1"), ports)

/**
 * The same without giving way: the kernel hands its table out page by page, and what this process closes and opens
 * between two pages would be counted twice.
 */
export const socketsNow = (...ports: ReadonlyArray<number>): SocketCount =>
  countIn(readFileSync("/proc/net/tcp", "latin1"), ports)

/** While others open and close sockets, a page may begin with a row that the last one had: each connection counts once. */
const countIn = (table: string, ports: ReadonlyArray<number>): SocketCount => {
  const count = { established: 0, closing: 0, listening: 0 }
  const counted = new Set<string>()
  for (const row of table.split("\n").slice(1)) {
    const [, local = "", remote = "", state] = row.trim().split(/\s+/)
    if (!ports.includes(Number.parseInt(local.slice(local.indexOf(":") + 1), 16))) continue
    const connection = `${local} ${remote}`
    if (counted.has(connection)) continue
    counted.add(connection)
    // include/net/tcp_states.h: 1 ESTABLISHED, 3 SYN_RECV, 8 CLOSE_WAIT, A LISTEN. The others are the kernel's afterglow.
    if (state === "01" || state === "03") count.established++
    if (state === "08") count.closing++
    if (state === "0A") count.listening++
  }
  return count
}

/** Runs a program to its end and answers its stdout; a failure holds what it said. */
export const run = (command: string, args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => out += chunk.toString("utf8"))
    child.stderr.on("data", (chunk: Buffer) => said += chunk.toString("utf8"))
    child.once("error", reject)
    child.once("close", (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${command} ${args.join(" ")} ended with ${code}: ${said}${out}`)))
  })

/** A certificate for localhost that signs itself, as PEM files in that directory. */
export const selfSigned = async (
  directory: string
): Promise<{ readonly certificate: string; readonly key: string }> => {
  const certificate = join(directory, "certificate.pem")
  const key = join(directory, "key.pem")
  await run("openssl", [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout",
    key,
    "-out",
    certificate
  ])
  return { certificate, key }
}
