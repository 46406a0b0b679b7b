/**
 * `npm run demo` as a stranger runs it: a process of its own, judged by what it prints, how it ends, and what a server
 * saw of it. What `package.json` says is what is run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { MailServer, type MailServerShape, SampleMail } from "../../src/testing/index.ts"

const root = new URL("../..", import.meta.url).pathname

/** A process with stages and pauses by intention takes seconds; this only ends one that hangs. */
const hanging = 60_000

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const command = (): ReadonlyArray<string> => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { scripts: { demo: string } } // our own file
  const [node, ...args] = scripts.demo.split(" ")
  assert.strictEqual(node, "node")
  return args
}

/** Runs the demo with exactly these of its environment variables. Interrupting ends the process. */
const run = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("MAIL_"))
    const child = spawn(process.execPath, [...command(), ...args], {
      cwd: root,
      env: { ...Object.fromEntries(own), ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const output = { stdout: "", stderr: "" }
    child.stdout.setEncoding("utf8").on("data", (text: string) => output.stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => output.stderr += text)
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code) => resume(Effect.succeed({ code, ...output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** The rows of a table by its head. */
const rowsBelow = (text: string, head: RegExp): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = text.split("\n")
  const start = lines.findIndex((line) => head.test(line))
  assert.isAtLeast(start, 0, `no table ${head} in:\n${text}`)
  const rows: Array<ReadonlyArray<string>> = []
  for (const line of lines.slice(start + 2)) {
    if (!/\S {2,}\S/.test(line)) break
    rows.push(line.trim().split(/ {2,}/))
  }
  return rows
}

const password = "correct-horse"

const startServer = MailServer.make({
  users: [{
    name: "carol",
    password,
    specialUse: true,
    mailboxes: { INBOX: SampleMail.make({ seed: 7, count: 90 }).map(({ source }) => source) }
  }]
})

const environmentOf = (server: MailServerShape) => ({
  MAIL_HOST: server.host,
  MAIL_IMAP_PORT: String(server.imapPort),
  MAIL_IMAP_SECURITY: "none",
  MAIL_SMTP_PORT: String(server.smtpPort),
  MAIL_SMTP_SECURITY: "none",
  MAIL_USER: "carol",
  MAIL_PASSWORD: password
})

/** The commands that change nothing a user keeps (RFC 9051 6). */
const reading = ["LOGIN", "AUTHENTICATE", "CAPABILITY", "NOOP", "ID", "NAMESPACE", "LIST", "ENABLE", "LOGOUT"]
  .concat(["SELECT", "EXAMINE", "STATUS", "UID SEARCH", "UID FETCH", "IDLE", "DONE", "UNSELECT"])

describe("npm run demo", () => {
  it.live("does its work on a server of its own, within the cap, and loses nothing", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run({}, "100")
      assert.strictEqual(code, 0, stderr)

      const connections = rowsBelow(stdout, /^account +protocol +cap +peak +opened/)
      assert.deepStrictEqual(
        connections.map(([account, protocol]) => `${account} ${protocol}`),
        ["alice IMAP", "alice SMTP", "bob IMAP", "bob SMTP"]
      )
      for (const [account, protocol, cap, peak] of connections) {
        assert.isAtMost(Number(peak), Number(cap), `${account} ${protocol}`)
      }
      assert.isAbove(Number(connections[0]?.[3]), 1, "agents share several connections")

      const checks = rowsBelow(stdout, /^counted again/)
      assert.isAtLeast(checks.length, 10)
      for (const [what, expected, found] of checks) assert.strictEqual(found, expected, what)

      assert.match(stdout, /^The library repeated: .*envelopes \d+ x after ConnectionLost/m)
      assert.include(stdout, "Nothing was lost")
      assert.include(rowsBelow(stdout, /^stage +done/).map(([stage]) => stage), "download")

      // Progress where there is no terminal: plain lines.
      assert.match(stderr, /^read +\[#{24}\] 100\/100 messages, \d+\.\d\d s/m)
      for (const control of ["\r", "\u001b"]) assert.notInclude(stderr, control)
    }), hanging)

  it.live("reads an account of one's own and changes nothing there", () =>
    Effect.gen(function*() {
      const server = yield* startServer
      const state = () =>
        JSON.stringify(server.store.user("carol")?.mailbox("INBOX")?.messages.map(({ flags }) => [...flags]))
      const before = state()
      const { code, stderr, stdout } = yield* run({ ...environmentOf(server), MAIL_IMAP_CONNECTIONS: "2" })
      assert.strictEqual(code, 0, stderr)
      const seen = new Set(server.commands().map(({ verb }) => verb))
      assert.deepStrictEqual([...seen].filter((verb) => !reading.includes(verb)), [])
      assert.isTrue(seen.has("UID FETCH"))
      assert.isFalse(server.commands().some(({ protocol }) => protocol === "smtp"), "nothing is sent")
      assert.strictEqual(state(), before)
      assert.isAtMost(server.peak({ protocol: "imap" }), 2)

      const [imap] = rowsBelow(stdout, /^account +protocol +cap +peak +opened/)
      assert.deepStrictEqual(imap?.slice(0, 3), ["carol", "IMAP", "2"])
      assert.strictEqual(imap?.[3], String(server.peak({ protocol: "imap" })))
      assert.include(stdout, "All 90 messages were read.")
      assert.include(stdout, "came as a stream")
      assert.notInclude(stdout + stderr, password)
    }), hanging)

  it.live("ends with a sentence and exit code 1 where the password is wrong", () =>
    Effect.gen(function*() {
      const server = yield* startServer
      const { code, stderr, stdout } = yield* run({ ...environmentOf(server), MAIL_PASSWORD: "wrong-pony" })
      assert.strictEqual(code, 1)
      assert.match(stderr.trimEnd().split("\n").at(-1) ?? "", /refused the credentials.*Check user name and password/)
      assert.notMatch(stderr, /\n\s+at /)
      assert.notInclude(stdout + stderr, "wrong-pony")
    }), hanging)

  it.live("names the variable that is missing", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run({ MAIL_HOST: "mail.example.com", MAIL_USER: "carol" })
      assert.strictEqual(code, 1)
      assert.match(stderr.trimEnd().split("\n").at(-1) ?? "", /MAIL_PASSWORD/)
    }), hanging)
})
