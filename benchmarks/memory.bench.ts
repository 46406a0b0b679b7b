/** How much memory does it take to read more mail than one wants to hold? */
import { Effect } from "effect"
import type { Outcome, Subject, Suite } from "./Harness.ts"
import type { MailboxRecipe } from "./Mail.ts"
import type { Reading } from "./MemoryReader.ts"
import { answerOf } from "./Program.ts"
import { type ImapServer, imapServer } from "./Servers.ts"

/** A child's peak of resident memory over what it had after it was connected, in MB. */
const peakOf = (reading: Reading): Effect.Effect<Outcome> =>
  answerOf("MemoryReader.ts", JSON.stringify(reading), ["-C", "effect-mail-source"])

const subject = (name: string, role: Subject["role"], kind: Reading["kind"], server: ImapServer): Subject => ({
  name,
  role,
  open: Effect.succeed(peakOf({ kind, server }))
})

export const suite: Suite = {
  name: "memory",
  question: "How much memory does it take to read more mail than one wants to hold?",
  run: (bench) =>
    Effect.gen(function*() {
      const many: MailboxRecipe = { path: "INBOX", count: bench.size(5_000, 200), octets: 100_000, kind: "plain" }
      const large: MailboxRecipe = {
        path: "INBOX",
        count: 1,
        octets: bench.size(200_000_000, 20_000_000),
        kind: "plain"
      }
      const rounds = bench.size(3, 1)
      const limit = bench.size([{ atMost: 150 }], [])
      const name = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* imapServer([many])
        yield* bench.measure({
          name: `${(many.count * many.octets) / 1e6} MB in ${many.count} messages, to a slow consumer`,
          unit: "MB",
          isPeak: true,
          rounds,
          apart: true,
          expected: { count: many.count, octets: many.count * many.octets },
          subjects: [
            subject("effect-mail", "library", "stream", server),
            subject("imapflow, fetchAll", "peer", "fetchAll", server)
          ],
          targets: limit,
          bound: "`limits.batchBytes`, and garbage not yet collected"
        })
        return server.name
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* imapServer([large])
        yield* bench.measure({
          name: `one message of ${large.octets / 1e6} MB`,
          unit: "MB",
          isPeak: true,
          rounds,
          apart: true,
          expected: { count: 1, octets: large.octets },
          subjects: [
            subject("effect-mail, source", "library", "source", server),
            subject("imapflow, fetchOne", "peer", "fetchOne", server),
            subject("imapflow, fetchOne + simpleParser", "peer", "simpleParser", server)
          ],
          targets: limit,
          bound: "the pages of a source, and garbage not yet collected"
        })
      }))
      return name
    })
}
