/** The proof of the governor's promises on a Dovecot that ends sessions at random, its connections counted by the kernel. */
import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { AccountConfig, Endpoint, Password } from "../../src/index.ts"
import { proof, type ProofServer } from "../proof/governor.ts"
import type { Found } from "../proof/Ledger.ts"
import { describeLive } from "./available.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"

const proofServer = (server: DovecotServer): ProofServer => ({
  config: new AccountConfig({
    name: "alice",
    imap: new Endpoint({ host: server.host, port: server.port, security: "none" }),
    credentials: Password.make({ user: "alice", password: Redacted.make(server.users["alice"] ?? "") })
  }),
  connections: server.connections,
  peak: server.peak,
  misbehave: (die) =>
    Effect.forever(Effect.andThen(
      Effect.suspend(() => Effect.sleep(1_000 + die.below(1_500))),
      // at a moment without a session there is nobody to kick
      Effect.catchDefect(server.kick("alice"), (defect) =>
        String(defect).includes("no users kicked") ? Effect.void : Effect.die(defect))
    )),
  behave: Effect.void,
  contents: Effect.map(
    server.doveadm("-f", "tab", "fetch", "-u", "alice", "mailbox flags hdr.subject", "ALL"),
    (table) => {
      const contents = new Map<string, Array<Found>>()
      for (const row of table.trim().split("\n").slice(1)) {
        const [mailbox = "", flags = "", subject = ""] = row.split("\t")
        const found = { mailbox, flags: flags.split(" ").filter((flag) => flag !== "") }
        contents.set(subject, [...contents.get(subject) ?? [], found])
      }
      return contents
    }
  )
})

describeLive("a crowd on an account of Dovecot", ["dovecot"], () => {
  // two thousand operations on a real server, with sessions ended all the time
  it.live.each([1, 2, 4])(
    "keeps to a cap of %d, ends every operation, and tells the truth about each message",
    (cap) =>
      Effect.gen(function*() {
        const server = yield* startDovecot()
        const tally = yield* proof(proofServer(server), cap)
        assert.isAbove(tally.endings.get("done") ?? 0, 1_500)
      }).pipe(Effect.scoped),
    120_000
  )
})
