/** The proof of the governor's promises on `MailServer`, which counts, drops, stalls and refuses. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import { AccountConfig, Endpoint, Password } from "../../src/index.ts"
import { type FaultAction, Faults, type FaultStep, MailServer, type MailServerShape } from "../../src/testing/index.ts"
import { proof, type ProofServer } from "../proof/governor.ts"
import type { Found } from "../proof/Ledger.ts"
import type { Dice } from "../random.ts"

const slowDown = "4.7.1 Request is throttled. Suggested Backoff Time: 150 milliseconds"

/** Strikes each step with the same small chance, whatever it is. */
class RandomFaults extends Faults {
  die: Dice | undefined

  override take(step: FaultStep): FaultAction | undefined {
    const { die } = this
    if (die === undefined || !die.chance(1.2)) return undefined
    const kind = die.below(100)
    if (kind < 40) return { _tag: "Drop", when: "after" }
    if (kind < 65) return { _tag: "Drop", when: "before" }
    if (kind < 68) return { _tag: "Stall" }
    if (kind < 82) return { _tag: "Delay", duration: Duration.millis(die.below(40)) }
    if (kind < 87) return { _tag: "Corrupt" }
    if (step.protocol === "smtp") {
      // a greeting or EHLO that is refused leaves a server without AUTH
      if (step.at === "connect" || step.at === "EHLO") return { _tag: "Drop", when: "before" }
      return kind < 96
        ? { _tag: "Reply", code: 450, text: "4.3.2 Somebody else is at it" }
        : { _tag: "Reply", code: 421, text: slowDown }
    }
    if (kind < 93 || step.at === "connect") return { _tag: "Refuse", status: "BYE", text: "Goodbye" }
    if (kind < 98) return { _tag: "Refuse", status: "NO", code: "INUSE", text: "Somebody else is at it" }
    return { _tag: "Refuse", status: "NO", text: slowDown }
  }
}

const proofServer = (server: MailServerShape, faults: RandomFaults): ProofServer => ({
  config: new AccountConfig({
    name: "ann",
    imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
    smtp: new Endpoint({ host: server.host, port: server.smtpPort, security: "none" }),
    address: "ann@example.com",
    filesSentMail: false,
    credentials: Password.make({ user: "ann", password: Redacted.make("secret") })
  }),
  connections: Effect.sync(() => server.connections().length),
  peaks: (effect) =>
    Effect.map(effect, (value) => ({
      value,
      imap: server.peak({ protocol: "imap" }),
      smtp: server.peak({ protocol: "smtp" })
    })),
  misbehave: (die, pause) =>
    Effect.gen(function*() {
      faults.die = die
      for (;;) {
        yield* pause(20 + die.below(80))
        if (die.chance(50)) server.dropAll()
        // 421 is taken for a wish for a pause, which would grow with each of them
        else server.kick("ann", "imap")
      }
    }),
  behave: Effect.sync(() => {
    faults.die = undefined
  }),
  contents: Effect.sync(() => {
    const contents = new Map<string, Array<Found>>()
    for (const { messages, path } of server.store.user("ann")?.mailboxes ?? []) {
      if (path === "Sent") continue
      for (const message of messages) {
        const subject = subjectOf(message)
        contents.set(subject, [...contents.get(subject) ?? [], { mailbox: path, flags: message.flags }])
      }
    }
    return contents
  }),
  sent: Effect.sync(() => ({
    accepted: counted(server.accepted()),
    copies: counted(server.store.user("ann")?.mailbox("Sent")?.messages ?? [])
  }))
})

const subjectOf = ({ source }: { readonly source: Uint8Array }) =>
  /^Subject: (.*)\r$/m.exec(Buffer.from(source).toString())?.[1] ?? "?"

const counted = (messages: Iterable<{ readonly source: Uint8Array }>) => {
  const counts = new Map<string, number>()
  for (const message of messages) counts.set(subjectOf(message), (counts.get(subjectOf(message)) ?? 0) + 1)
  return counts
}

/** Sockets and timers of the process, once closed ones have had a turn of the loop to go. */
const resources = Effect.promise(() => new Promise((resolve) => setImmediate(resolve))).pipe(
  Effect.repeat({ times: 3 }),
  Effect.map(() => {
    const kinds = process.getActiveResourcesInfo()
    const count = (kind: string) => kinds.filter((other) => other === kind).length
    return { sockets: count("TCPSocketWrap"), servers: count("TCPServerWrap"), timers: count("Timeout") }
  })
)

describe("a crowd on an account", () => {
  // thousands of commands, dozens of reconnects and stalls: seconds, where a test of one thing takes milliseconds
  it.live.each([1, 2, 4])(
    "keeps to a cap of %d, ends every operation, and tells the truth about each message",
    (cap) =>
      Effect.gen(function*() {
        const before = yield* resources
        const tally = yield* Effect.scoped(Effect.gen(function*() {
          const faults = new RandomFaults()
          const server = yield* MailServer.make({
            users: ["ann", "bob"].map((name) => ({
              name,
              password: "secret",
              address: `${name}@example.com`,
              specialUse: true
            })),
            faults
          })
          return yield* proof(proofServer(server, faults), cap)
        }))
        assert.isAbove(tally.endings.get("done") ?? 0, 1_500)
        const after = yield* resources
        assert.deepStrictEqual({ ...after, timers: 0 }, { ...before, timers: 0 })
        // the runner's own timer may have gone meanwhile
        assert.isAtMost(after.timers, before.timers)
      }),
    120_000
  )
})
