import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Redacted, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { Password } from "../../src/domain/Credentials.ts"
import type { Reason } from "../../src/domain/MailError.ts"
import type { SendOptions, SendPhase, SmtpConnectOptions } from "../../src/driver/SmtpDriver.ts"
import { type FaultAction, MemoryMail, type MemoryMailOptions } from "../../src/testing/index.ts"

const connection = (secret = "secret", user = "ann"): SmtpConnectOptions => ({
  endpoint: new Endpoint({ host: "mail.test" }),
  credentials: new Password({ user, password: Redacted.make(secret, { label: "password" }) }),
  connectTimeoutMillis: 30_000
})

const serve = (options: MemoryMailOptions = {}) =>
  MemoryMail.make({
    users: [
      { name: "ann", password: "secret", address: "ann@example.com" },
      { name: "bob", password: "secret", address: "bob@example.com", quota: 100 }
    ],
    ...options
  })

const bounds: SendOptions = { commandTimeoutMillis: 60_000, answerTimeoutMillis: 600_000 }
const source = new TextEncoder().encode("Subject: hello\r\n\r\nhello\r\n")
const envelope = { from: "ann@example.com", to: ["Bob@Example.com", "eve@elsewhere.org"] }

const fault = (at: string, action: FaultAction, mailbox?: string) =>
  ({ protocol: "smtp", at, action, ...mailbox === undefined ? {} : { mailbox } }) as const

const reply = (code: number, text: string): FaultAction => ({ _tag: "Reply", code, text })

const cut = (when: "before" | "after"): FaultAction => ({ _tag: "Drop", when })

const tagOf = <A>(effect: Effect.Effect<A, Reason, Scope.Scope>) =>
  Effect.map(Effect.flip(effect), (reason) => reason._tag)

/** Lets other fibers run until something is so. */
const until = (isSo: () => boolean) => Effect.repeat(Effect.yieldNow, { until: isSo })

/** Sends over a new connection with one fault, and looks at both ends. */
const sendWith = Effect.fnUntraced(function*(at: string, action: FaultAction, to = envelope.to) {
  const mail = serve({ faults: [fault(at, action)] })
  const smtp = yield* mail.smtp.connect(connection())
  const outcome = yield* Effect.result(smtp.send({ ...envelope, to }, source, bounds))
  return {
    tag: outcome._tag === "Success" ? "Accepted" : outcome.failure._tag,
    delivered: mail.store.user("bob")?.inbox.exists ?? 0,
    accepted: mail.accepted().length,
    isUsable: smtp.isUsable()
  }
})

describe("MemoryMail over SMTP", () => {
  it.effect("delivers to users of the store, records the rest, and tells the phases", () =>
    Effect.gen(function*() {
      const mail = serve()
      const phases: Array<SendPhase> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const smtp = yield* mail.smtp.connect(connection())
        const result = yield* smtp.send(envelope, source, { ...bounds, onPhase: (phase) => phases.push(phase) })
        assert.deepStrictEqual(result.accepted, envelope.to)
        assert.match(result.response, /^250 /)
        assert.strictEqual(smtp.sent(), 1)
        assert.deepStrictEqual(mail.connections({ protocol: "smtp" }).map(({ user }) => user), ["ann"])
      }))
      assert.deepStrictEqual(phases, ["envelope", "body", "committed"])
      assert.deepStrictEqual(mail.store.user("bob")?.inbox.message(1)?.source, source)
      assert.deepInclude(mail.accepted()[0], { connection: 1, user: "ann", ...envelope })
      assert.deepStrictEqual(mail.commands().map(({ verb }) => verb), [
        "connect",
        "EHLO",
        "AUTH",
        "MAIL",
        "RCPT",
        "RCPT",
        "DATA",
        "body",
        "end",
        "QUIT"
      ])
      assert.strictEqual(mail.connections().length, 0)
    }))

  it.effect("costs one round trip for the envelope and one for the message, and none for QUIT", () =>
    Effect.gen(function*() {
      const mail = serve({ latency: "40 millis", loginLatency: "200 millis" })
      const times: Array<number> = []
      const sending = yield* Effect.forkChild(
        Effect.scoped(Effect.gen(function*() {
          const smtp = yield* mail.smtp.connect(connection())
          times.push(yield* Clock.currentTimeMillis)
          yield* smtp.send(envelope, source, { ...bounds, holdMillis: 5 })
          times.push(yield* Clock.currentTimeMillis)
        })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(sending)
      assert.deepStrictEqual(times, [280, 280 + 40 + 5 + 40])
    }))

  it.effect("tells a wrong password from one connection too many", () =>
    Effect.gen(function*() {
      const mail = serve({ maxConnections: { smtp: 1 } })
      assert.strictEqual(yield* tagOf(mail.smtp.connect(connection("wrong"))), "AuthenticationFailed")
      yield* mail.smtp.connect(connection())
      assert.strictEqual(yield* tagOf(mail.smtp.connect(connection())), "ConnectionRefusedByLimit")
      assert.strictEqual(mail.connections().length, 1)
      assert.strictEqual(mail.peak({ user: "ann" }), 2)
    }))

  it.effect("bounds the connection by connectTimeoutMillis, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const mail = serve({ faults: [fault("connect", { _tag: "Stall" }), fault("AUTH", { _tag: "Stall" })] })
      for (const wait of ["connect", "login"] as const) {
        const opening = yield* Effect.forkChild(Effect.flip(mail.smtp.connect(connection())), {
          startImmediately: true
        })
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude(yield* Fiber.join(opening), { _tag: "TimedOut", wait })
        assert.strictEqual(mail.connections().length, 0)
      }
    }))

  it.effect("refuses single recipients, all of them, or the message if all were asked for", () =>
    Effect.gen(function*() {
      const mail = serve()
      const smtp = yield* mail.smtp.connect(connection())
      mail.faults.add(fault("RCPT", reply(550, "5.1.1 No such user"), "eve@elsewhere.org"))
      const { accepted, refused } = yield* smtp.send(envelope, source, bounds)
      assert.deepStrictEqual(accepted, ["Bob@Example.com"])
      assert.deepInclude(refused[0], { address: "eve@elsewhere.org", code: 550, permanent: true })
      assert.strictEqual(refused[0]?.response, "550 5.1.1 No such user")

      mail.faults.add(fault("RCPT", reply(450, "4.2.0 Greylisted"), "eve@elsewhere.org"))
      const all = yield* Effect.flip(smtp.send(envelope, source, { ...bounds, allRecipients: true }))
      assert.deepInclude(all, { _tag: "RecipientsRejected", isRetryable: true })

      const toBob = { from: "", to: ["bob@example.com"] }
      const full = yield* Effect.flip(smtp.send(toBob, new Uint8Array(101), bounds))
      assert.deepInclude(full, { _tag: "RecipientsRejected", isRetryable: true })

      assert.strictEqual(mail.accepted().length, 1)
      assert.isTrue(smtp.isUsable())
    }))

  it.effect("refuses what is larger than its SIZE before a word is said", () =>
    Effect.gen(function*() {
      const mail = serve({ maxMessageBytes: 10 })
      const smtp = yield* mail.smtp.connect(connection())
      assert.deepInclude(yield* Effect.flip(smtp.send(envelope, source, bounds)), {
        _tag: "TooLarge",
        size: source.length,
        limit: 10
      })
      assert.notInclude(mail.commands().map(({ verb }) => verb), "MAIL")
    }))
})

describe("the fate of a message", () => {
  const fates: ReadonlyArray<readonly [at: string, FaultAction, tag: string, delivered: number, isUsable: boolean]> = [
    ["MAIL", cut("before"), "ConnectionLost", 0, false],
    ["MAIL", cut("after"), "ConnectionLost", 0, false],
    ["RCPT", cut("after"), "ConnectionLost", 0, false],
    ["DATA", cut("after"), "ConnectionLost", 0, false],
    ["body", cut("before"), "ConnectionLost", 0, false],
    ["body", cut("after"), "ConnectionLost", 0, false],
    ["end", cut("before"), "OutcomeUnknown", 0, false],
    ["end", cut("after"), "OutcomeUnknown", 1, false],
    ["MAIL", { _tag: "Corrupt" }, "ProtocolViolation", 0, false],
    ["end", { _tag: "Corrupt" }, "OutcomeUnknown", 1, false],
    ["MAIL", reply(421, "4.3.2 Closing"), "Throttled", 0, false],
    ["MAIL", reply(450, "4.7.1 Too much mail, slow down"), "Throttled", 0, true],
    ["MAIL", reply(550, "5.7.1 Not you"), "Rejected", 0, true],
    ["RCPT", reply(421, "4.7.0 Closing"), "Throttled", 0, false],
    ["DATA", reply(554, "5.7.1 No"), "Rejected", 0, true],
    ["end", reply(554, "5.7.1 Spam"), "Rejected", 0, true],
    ["end", reply(451, "4.3.0 Later"), "Rejected", 0, true],
    ["end", reply(552, "5.3.4 Too big"), "TooLarge", 0, true],
    ["end", reply(552, "5.2.2 Full"), "QuotaExceeded", 0, true],
    ["end", reply(421, "4.3.2 Closing"), "Throttled", 0, false],
    ["end", reply(250, "2.0.0 Ok"), "Accepted", 1, true],
    ["end", { _tag: "Refuse", status: "NO", text: "wrong protocol" }, "Rejected", 0, true]
  ]
  for (const [at, action, tag, delivered, isUsable] of fates) {
    const what = action._tag === "Reply" ? action.code : action._tag === "Drop" ? `a cut ${action.when}` : action._tag
    it.effect(`is ${tag}, ${delivered === 0 ? "not delivered" : "delivered"}, after ${what} at ${at}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* sendWith(at, action, ["bob@example.com"]), {
          tag,
          delivered,
          accepted: delivered,
          isUsable
        })
      }))
  }

  it.effect("can be tried again over the same connection after a refusal", () =>
    Effect.gen(function*() {
      const mail = serve({ faults: [fault("end", reply(451, "4.3.0 Later"))] })
      const smtp = yield* mail.smtp.connect(connection())
      yield* Effect.flip(smtp.send(envelope, source, bounds))
      yield* smtp.send(envelope, source, bounds)
      assert.strictEqual(smtp.sent(), 1)
    }))

  const stalls: ReadonlyArray<readonly [at: string, minutes: number, tag: Reason["_tag"]]> = [
    ["MAIL", 1, "TimedOut"],
    ["RCPT", 1, "TimedOut"],
    ["body", 1, "TimedOut"],
    ["end", 10, "OutcomeUnknown"]
  ]
  for (const [at, minutes, tag] of stalls) {
    it.effect(`is ${tag} after ${minutes} min of silence at ${at}`, () =>
      Effect.gen(function*() {
        const sending = yield* Effect.forkChild(sendWith(at, { _tag: "Stall" }), { startImmediately: true })
        yield* TestClock.adjust(Duration.seconds(minutes * 60 - 1))
        assert.isUndefined(sending.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.join(sending), { tag, delivered: 0, accepted: 0, isUsable: false })
      }))
  }

  it.effect("is certain when the connection is cut while the end of the message is held back", () =>
    Effect.gen(function*() {
      const mail = serve()
      const smtp = yield* mail.smtp.connect(connection())
      const sending = yield* Effect.forkChild(
        Effect.flip(smtp.send(envelope, source, { ...bounds, holdMillis: 1000 })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("500 millis")
      mail.drop({ protocol: "smtp" })
      assert.deepInclude(yield* Fiber.join(sending), { _tag: "ConnectionLost", written: false })
      assert.deepInclude(yield* Effect.flip(smtp.send(envelope, source, bounds)), { _tag: "ConnectionLost" })
    }))
})

describe("an interrupted send", () => {
  const interruptedAfter = Effect.fnUntraced(function*(at: string, graceMillis: number, answerAfter: Duration.Input) {
    const delay: FaultAction = { _tag: "Delay", duration: Duration.fromInputUnsafe(answerAfter) }
    const mail = serve({ faults: [fault(at, delay)] })
    const smtp = yield* mail.smtp.connect(connection())
    const start = yield* Clock.currentTimeMillis
    const sending = yield* Effect.forkChild(smtp.send(envelope, source, { ...bounds, graceMillis }), {
      startImmediately: true
    })
    yield* until(() => mail.commands().some(({ verb }) => verb === at))
    yield* TestClock.adjust("1 second")
    const ending = yield* Effect.forkChild(
      Effect.andThen(Fiber.interrupt(sending), Clock.currentTimeMillis),
      { startImmediately: true }
    )
    yield* TestClock.adjust("1 minute")
    const took = (yield* Fiber.join(ending)) - start
    assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(sending)))
    return { took, accepted: mail.accepted().length, isUsable: smtp.isUsable(), open: mail.connections().length }
  })

  it.effect("ends at once before the message is committed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* interruptedAfter("body", 5000, "3 seconds"), {
        took: 1000,
        accepted: 0,
        isUsable: false,
        open: 0
      })
    }))

  it.effect("waits for the answer as long as the grace allows, and then knows it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* interruptedAfter("end", 5000, "3 seconds"), {
        took: 3000,
        accepted: 1,
        isUsable: true,
        open: 1
      })
    }))

  it.effect("waits no longer than the grace", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* interruptedAfter("end", 500, "3 seconds"), {
        took: 1500,
        accepted: 0,
        isUsable: false,
        open: 0
      })
    }))
})
