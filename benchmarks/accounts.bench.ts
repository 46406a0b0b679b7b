/** What does an account cost in a program that has many of them? */
import { Data, Effect } from "effect"
import type { Accounts, AccountsOutcome } from "./AccountsReader.ts"
import type { Outcome, Subject, Suite } from "./Harness.ts"
import { answerOf } from "./Program.ts"
import { type Embedded, embedded } from "./Servers.ts"

const programOf = (accounts: Accounts): Effect.Effect<AccountsOutcome> =>
  answerOf("AccountsReader.ts", JSON.stringify(accounts), ["-C", "effect-mail-source", "--expose-gc"])

class CapExceeded extends Data.TaggedError("CapExceeded")<{ readonly message: string }> {}

/**
 * Runs the program, and fails where the server was left with a connection, or has seen more of them than the library
 * allows: `late` more, whose end it may hear of behind the beginning of the next. A bare client has no cap.
 */
const counted = (
  server: Embedded,
  accounts: Accounts
): Effect.Effect<AccountsOutcome & { readonly peak: number }, CapExceeded> =>
  Effect.gen(function*() {
    yield* server.forget
    const outcome = yield* programOf(accounts)
    const { open, peak } = yield* server.counts
    return (accounts.kind === "library" && peak > accounts.cap + late) || open > 0
      ? yield* new CapExceeded({
        message: `${accounts.kind}: ${peak} connections at a time, allowed ${accounts.cap}; ${open} left open`
      })
      : { ...outcome, peak }
  })

const late = 3

export const suite: Suite = {
  name: "accounts",
  question: "What does an account cost in a program that has many of them?",
  run: (bench) =>
    Effect.gen(function*() {
      const count = bench.size(1_000, 50)
      const cap = bench.size(20, 5)
      const messages = 3
      let peak = 0
      const server = yield* embedded({
        users: count,
        mailboxes: [{ path: "INBOX", count: messages, octets: 1_000, kind: "plain" }]
      })
      const subject = (
        name: string,
        kind: Accounts["kind"],
        cap: number,
        of: (outcome: AccountsOutcome) => Outcome
      ): Subject => ({
        name,
        role: kind === "library" ? "library" : "peer",
        open: Effect.succeed(
          Effect.map(counted(server, { kind, port: server.ports.imap, count, cap }), (outcome) => {
            if (kind === "library" && cap < count) peak = Math.max(peak, outcome.peak)
            return { ...of(outcome), digest: { count: outcome.messages } }
          })
        )
      })
      const both = (cap: number, of: (outcome: AccountsOutcome) => Outcome) => [
        subject("effect-mail, MailAccounts", "library", cap, of),
        subject("imapflow, a client for each", "bare", cap, of)
      ]
      const shared = {
        apart: true,
        rounds: bench.size(5, 1),
        expected: { count: count * messages },
        targets: bench.size([{ against: "imapflow, a client for each", atMost: 1.3 }], [])
      }
      yield* bench.measure({
        ...shared,
        name: `time of each of ${count} accounts, all connected`,
        unit: "us",
        operations: count,
        subjects: both(count, ({ cpu, millis }) => ({ millis, cpu })),
        bound: "CPU of client and server"
      })
      if (!bench.quick) {
        yield* bench.measure({
          ...shared,
          name: `resident memory of ${count} idle accounts`,
          unit: "MB",
          subjects: both(count, ({ resident }) => ({ value: resident }))
        })
        yield* bench.measure({
          ...shared,
          name: `heap of ${count} idle accounts`,
          unit: "MB",
          subjects: both(count, ({ heap }) => ({ value: heap }))
        })
      }
      yield* bench.measure({
        ...shared,
        name: `time of each of ${count} accounts, ${cap} connections to their host`,
        unit: "us",
        operations: count,
        subjects: both(cap, ({ cpu, millis }) => ({ millis, cpu })),
        bound: "CPU of client and server"
      })
      bench.note(
        "All accounts are opened and left idle, each tells the counters of INBOX once, and all are closed, by the peer " +
          "with LOGOUT. Memory is what they hold when idle, after garbage collection. Where there are fewer connections " +
          "than accounts, the peer opens one for each operation, and the library lets idle ones go. " +
          `Where ${cap} were allowed, the server counted at most ${peak} at a time.`
      )
      return server.name
    })
}
