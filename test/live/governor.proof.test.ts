/**
 * The proof of the governor's promises on a Dovecot that ends sessions, behind a wire that is cut, stalls and answers
 * for it. The kernel counts the connections whenever one more has come.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { AccountConfig, Endpoint, Password } from "../../src/index.ts"
import { proof, type ProofServer } from "../proof/governor.ts"
import type { Found } from "../proof/Ledger.ts"
import { describeLive } from "./available.ts"
import { socketsNow, socketsOf } from "./Daemon.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"
import { proxyTo } from "./Proxy.ts"

/** How often the server and the wire misbehaved, by the kind of it. */
type Misdeeds = Record<"cut" | "stall" | "throttle" | "kick", number>

/** So often of 25 times. */
const deck: ReadonlyArray<keyof Misdeeds> = [
  ...Array<"cut">(14).fill("cut"),
  ...Array<"stall">(5).fill("stall"),
  ...Array<"throttle">(4).fill("throttle"),
  ...Array<"kick">(2).fill("kick")
]

/** A command in one piece, of those that an overloaded server would refuse. */
const command = /^(\w+) (?:UID|SELECT|STATUS|NOOP)\b[^{]*\r\n$/

const throttled = "NO [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 100 milliseconds"

const proofServer = (
  server: DovecotServer,
  misdeeds: Misdeeds
): Effect.Effect<ProofServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    let most = 0
    let throttles = 0
    const proxy = yield* proxyTo(server.port, {
      connected: (port) => {
        most = Math.max(most, socketsNow(port).established)
      },
      answer: (written) => {
        const tag = throttles > 0 ? command.exec(written)?.[1] : undefined
        if (tag === undefined) return undefined
        throttles--
        misdeeds.throttle++
        return `${tag} ${throttled}\r\n`
      }
    })
    return {
      config: new AccountConfig({
        name: "alice",
        imap: new Endpoint({ host: server.host, port: proxy.port, security: "none" }),
        credentials: Password.make({ user: "alice", password: Redacted.make(server.users["alice"] ?? "") })
      }),
      connections: Effect.promise(async () =>
        (await socketsOf(proxy.port)).established + (await socketsOf(server.port)).established
      ),
      peaks: (effect) => Effect.map(effect, (value) => ({ value, imap: most, smtp: 0 })),
      misbehave: Effect.fnUntraced(function*(die, pause) {
        for (;;) {
          const left = [...deck]
          while (left.length > 0) {
            yield* pause(20 + die.below(40))
            const [misdeed] = left.splice(die.below(left.length), 1)
            switch (misdeed) {
              case "cut":
                misdeeds.cut++
                if (die.chance(70)) proxy.cutAfter(die.below(4_000))
                else proxy.cutAfter(die.below(800), "client")
                break
              case "stall":
                misdeeds.stall++
                proxy.silence(() => die.chance(60))
                break
              case "throttle":
                throttles = 1 + die.below(3)
                break
              case "kick":
                misdeeds.kick++
                // at a moment without a session there is nobody to kick
                yield* Effect.catchDefect(
                  server.kick("alice"),
                  (defect) => String(defect).includes("no users kicked") ? Effect.void : Effect.die(defect)
                )
            }
          }
        }
      }),
      behave: Effect.sync(() => {
        throttles = 0
      }),
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
    }
  })

describeLive("a crowd on an account of Dovecot", ["dovecot"], () => {
  // two thousand operations on a real server whose connections break and stall all the time
  it.live.each([
    { cap: 1, maxConnections: 0 },
    { cap: 2, maxConnections: 0 },
    // one connection less than the account may have: the server refuses the fourth
    { cap: 4, maxConnections: 3 }
  ])(
    "keeps to a cap of $cap, ends every operation, and tells the truth about each message",
    ({ cap, maxConnections }) =>
      Effect.gen(function*() {
        const server = yield* startDovecot({ maxConnections })
        const misdeeds: Misdeeds = { cut: 0, stall: 0, throttle: 0, kick: 0 }
        const tally = yield* proof(yield* proofServer(server, misdeeds), cap)
        assert.isAbove(tally.endings.get("done") ?? 0, 1_500)
        for (const [kind, count] of Object.entries(misdeeds)) assert.isAbove(count, 0, kind)
        const refused = (yield* server.log).includes("Maximum number of connections")
        assert.strictEqual(refused, maxConnections > 0)
      }).pipe(Effect.scoped),
    120_000
  )
})
