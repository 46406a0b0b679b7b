import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Agent, Draft, Limits, type MailError, MessageRef, RateWindow } from "../../src/index.ts"
import { begin, open, pass, serve, settle } from "./MemoryAccount.ts"

const cap = 3
const callers = 1_000

describe("a thousand callers that are interrupted at any moment", () => {
  it.effect.each([1, 2])("leave nothing behind, and harm nobody who stays: %d", (seed) =>
    Effect.gen(function*() {
      const server = serve({ latency: "7 millis" })
      const uidValidity = server.store.user("ann")?.inbox.uidValidity ?? 0
      const scope = yield* Scope.make()
      const account = yield* Scope.provide(
        open(server, {
          limits: {
            imapConnections: cap,
            idleTimeToLive: Duration.millis(50),
            rates: [new RateWindow({ per: "account", limit: 400, window: Duration.millis(300) })]
          }
        }),
        scope
      )
      const operation = (kind: number): Effect.Effect<unknown, MailError> => {
        switch (kind) {
          case 0:
            return account.message(new MessageRef({ mailbox: "INBOX", uidValidity, uid: 1 }))
          case 1:
            return account.status("INBOX")
          case 2:
            return account.send(new Draft({ to: "bob@example.com", subject: "x", text: "x" }))
          default:
            return account.mailboxes()
        }
      }
      const staying: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let n = 0; n < callers; n++) {
        const kind = yield* Random.nextIntBetween(0, 3)
        const fiber = yield* begin(Agent.as(`agent-${n % 7}`)(operation(kind)))
        if (n % 10 === 0) staying.push(fiber)
        else {
          const millis = yield* Random.nextIntBetween(0, 60)
          yield* begin(Effect.andThen(Effect.sleep(millis), Fiber.interrupt(fiber)))
        }
        if (n % 25 === 0) {
          yield* TestClock.adjust(3)
          yield* settle
        }
      }
      yield* pass(5_000, 50)
      for (const fiber of staying) assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      const { imap, rates, smtp, waitingForRates } = yield* account.stats
      assert.strictEqual(waitingForRates, 0)
      assert.deepStrictEqual(rates.map(({ used }) => used), [0])
      for (const { connections, peak, waiting } of [imap, smtp]) {
        assert.isAtMost(peak, cap)
        assert.deepStrictEqual(connections, { opening: 0, idle: 0, busy: 0, resting: 0, closing: 0 })
        assert.strictEqual(waiting, 0)
      }
      assert.isAtMost(server.peak({ protocol: "imap" }), cap)
      assert.isAtMost(server.peak({ protocol: "smtp" }), 1)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(server.connections().length, 0)
    }).pipe(Random.withSeed(seed)))
})

describe("agents without end", () => {
  it.effect("cost no more than those that wait or have been counted", () =>
    Effect.gen(function*() {
      const server = serve()
      const rates = [new RateWindow({ per: "agent", limit: 5, window: Duration.seconds(1) })]
      const account = yield* open(server, { limits: { rates } })
      for (let n = 0; n < 1_200; n++) {
        const fiber = yield* begin(Agent.as(`agent-${n}`)(account.status("INBOX")))
        if (n % 100 === 0) yield* TestClock.adjust(100)
        yield* Fiber.join(fiber)
      }
      yield* TestClock.adjust(2_000)
      const stats = yield* account.stats
      assert.strictEqual(stats.imap.waitingByAgent.size, 0)
      assert.strictEqual(stats.rates.length, 0)
      assert.strictEqual(stats.imap.agents.size, 1_001)
      assert.strictEqual(stats.imap.agents.get("other")?.served, 200)
    }))

  it("have weights that are whole numbers from one on", () => {
    for (const weight of [0, -1, Number.NaN, 1.5, Infinity]) {
      assert.throws(() => new Limits({ weights: { a: weight } }))
    }
  })
})

describe("a time in the limits", () => {
  it("that is none, or less, is refused", () => {
    for (const none of [Duration.zero, Duration.millis(-1)]) {
      assert.throws(() => new Limits({ maxWait: none }))
      assert.throws(() => new Limits({ commandTimeout: none }))
      assert.throws(() => new RateWindow({ per: "account", limit: 1, window: none }))
    }
  })
})
