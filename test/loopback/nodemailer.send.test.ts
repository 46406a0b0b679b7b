import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, type Scope } from "effect"
import { layerSmtp } from "../../src/driver/nodemailer.ts"
import type { SendOptions, SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import { type Action, defaultExtensions, type Script, scriptedSmtpServer, type Step } from "./ScriptedSmtpServer.ts"
import { at, connect, envelope, huge, large, source, target, timeouts, type Wire } from "./SmtpFixture.ts"

const live = <E>(title: string, effect: Effect.Effect<void, E, SmtpDriver | Scope.Scope>) =>
  it.live(title, () => Effect.scoped(effect).pipe(Effect.provide(layerSmtp)))

interface Row {
  readonly step: Step
  readonly action: Action
  /** The tag of the reason, or Accepted. */
  readonly expected: string
  /** What the server queued, where it is not what the conclusion says. */
  readonly queued?: number
  readonly octets?: Uint8Array
  /** True where the connection must stay usable. */
  readonly reusable?: boolean
}

const quick: SendOptions = { commandTimeoutMillis: 150, answerTimeoutMillis: 150 }
const lost = "ConnectionLost"
const cuts: ReadonlyArray<Action> = [{ next: "rst" }, { next: "fin" }]

const rows: ReadonlyArray<Row> = [
  ...(["mail", "rcpt", "data"] as const).flatMap((step): ReadonlyArray<Row> => [
    ...cuts.map((action) => ({ step, action, expected: lost })),
    { step, action: { next: "silence" }, expected: "TimedOut" },
    { step, action: { dribbleMillis: 20 }, expected: "TimedOut" },
    { step, action: { reply: "421 4.3.2 shutting down", next: "fin" }, expected: "Throttled" }
  ]),
  { step: "mail", action: { reply: "451 4.3.0 try later" }, expected: "Rejected", reusable: true },
  { step: "mail", action: { reply: "550 5.7.1 not you" }, expected: "Rejected", reusable: true },
  { step: "mail", action: { reply: "452 4.3.1 throttled, slow down" }, expected: "Throttled", reusable: true },
  { step: "mail", action: { reply: "nonsense" }, expected: "ProtocolViolation" },
  { step: "rcpt", action: { reply: "550 5.1.1 nobody" }, expected: "RecipientsRejected", reusable: true },
  { step: "rcpt", action: { reply: "450 4.2.1 busy" }, expected: "RecipientsRejected", reusable: true },
  { step: "data", action: { reply: "451 4.3.0 try later" }, expected: "Rejected", reusable: true },
  { step: "data", action: { reply: "554 5.7.1 no" }, expected: "Rejected", reusable: true },
  { step: "data", action: { reply: "250 go on", next: "on" }, expected: "ProtocolViolation" },
  { step: "rcpt", action: { raw: "250 ok\r\n250 ok\r\n", next: "on" }, expected: "ProtocolViolation" },
  { step: "data", action: { raw: "354 go\r\n250 2.0.0 queued\r\n", next: "on" }, expected: "ProtocolViolation" },
  { step: "data", action: { raw: "354 go\r\n25", next: "on" }, expected: "ProtocolViolation" },
  ...[
    { reply: "451 4.3.0 no", next: "fin" } as const,
    { reply: "552 5.3.4 too big", next: "fin" } as const,
    { reply: "421 4.3.2 closing", next: "fin" } as const
  ].map((action): Row => ({
    step: "body",
    action: { ...action, octets: 100_000 },
    octets: huge,
    expected: action.reply.startsWith("451") ? "Rejected" : action.reply.startsWith("552") ? "TooLarge" : "Throttled"
  })),
  ...cuts.map((action): Row => ({
    step: "body",
    action: { ...action, octets: 100_000 },
    octets: huge,
    expected: lost
  })),
  {
    step: "body",
    action: { reply: "250 2.0.0 queued", octets: 100_000, next: "on" },
    octets: huge,
    expected: "ProtocolViolation"
  },
  {
    step: "body",
    action: { reply: "354 again", octets: 100_000, next: "on" },
    octets: huge,
    expected: "ProtocolViolation"
  },
  ...([
    { next: "rst" },
    { next: "fin" },
    { next: "silence" },
    { raw: "2", next: "fin" },
    { raw: "250", next: "fin" },
    { raw: "250 2.0.0 queued", next: "fin" },
    { raw: "451 4.3.0 n", next: "fin" },
    { raw: "250-queued\r\n", next: "fin" },
    { reply: "nonsense" },
    { reply: "354 go" },
    { reply: "334 go" },
    { reply: "999 go" },
    { raw: "250-ok\r\n451 no\r\n" },
    { raw: "451-no\r\n250 ok\r\n" },
    { dribbleMillis: 20 }
  ] as const).flatMap((action): ReadonlyArray<Row> => [
    { step: "dot", action, expected: "OutcomeUnknown", queued: 0 },
    { step: "dot", action: { ...action, queue: true }, expected: "OutcomeUnknown", queued: 1 }
  ]),
  { step: "dot", action: { reply: "421 4.3.2 closing", next: "fin" }, expected: "Throttled" },
  { step: "dot", action: { reply: "421 4.3.2 closing" }, expected: "Throttled" },
  { step: "dot", action: { reply: "432 4.3.2 too fast" }, expected: "Throttled", reusable: true },
  { step: "dot", action: { reply: "451 4.3.0 no" }, expected: "Rejected", reusable: true },
  { step: "dot", action: { reply: "552 5.3.4 too big" }, expected: "TooLarge", reusable: true },
  { step: "dot", action: { raw: "550-5.7.1 spam\r\n550 5.7.1 no\r\n" }, expected: "Rejected", reusable: true },
  { step: "dot", action: { reply: "451 4.3.0 no", next: "rst" }, expected: "Rejected" },
  { step: "dot", action: { raw: "250-ok\r\n250 2.0.0 queued\r\n", queue: true }, expected: "Accepted", reusable: true },
  { step: "dot", action: { reply: "250 2.0.0 queued", queue: true, next: "fin" }, expected: "Accepted" }
]

const variants: ReadonlyArray<readonly [Wire, boolean]> = [["none", true], ["none", false], ["tls", true], [
  "starttls",
  true
]]

for (const [wire, isPipelined] of variants) {
  describe(`a send over ${wire}${isPipelined ? "" : ", one command at a time"}`, () => {
    for (
      const { action, expected, octets = source, queued = expected === "Accepted" ? 1 : 0, reusable = false, step }
        of rows
    ) {
      live(
        `concludes ${expected} where the server at ${step} does ${JSON.stringify(action)}`,
        Effect.gen(function*() {
          const extensions = isPipelined ? defaultExtensions : defaultExtensions.filter((each) => each !== "PIPELINING")
          const server = yield* scriptedSmtpServer({ security: wire, extensions, script: at(step, action) })
          const connection = yield* connect(target(server, wire))
          const waits = action.next === "silence" || action.dribbleMillis !== undefined
          const conclusion = yield* connection.send(envelope, octets, waits ? quick : timeouts).pipe(
            Effect.match({ onSuccess: () => "Accepted", onFailure: (reason) => reason._tag })
          )
          assert.strictEqual(conclusion, expected)
          assert.strictEqual(server.queued.length, queued)
          if (expected !== "Accepted") assert.strictEqual(connection.sent(), 0)
          if (reusable) {
            assert.isTrue(connection.isUsable())
            yield* connection.send(envelope, source, timeouts)
            assert.strictEqual(server.queued.length, queued + 1)
            assert.strictEqual(server.connections(), 1)
          } else {
            yield* connection.closed
            assert.isFalse(connection.isUsable())
            assert.strictEqual((yield* Effect.flip(connection.send(envelope, source, timeouts)))._tag, lost)
            yield* server.allClosed
          }
        })
      )
    }
  })
}

describe("a send", () => {
  live(
    "tells which recipients were taken and which were not",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ script: at("rcpt", { reply: "550 5.1.1 nobody" }, 2) })
      const connection = yield* connect(target(server))
      const to = ["a@example.org", "b@example.org", "c@example.org"]
      const sent = yield* connection.send({ ...envelope, to }, source, timeouts)
      assert.deepStrictEqual(sent.accepted, ["a@example.org", "c@example.org"])
      assert.deepStrictEqual(sent.refused.map((each) => [each.address, each.code, each.permanent]), [[
        "b@example.org",
        550,
        true
      ]])
      assert.deepStrictEqual(server.queued[0]?.to, ["a@example.org", "c@example.org"])
    })
  )

  live(
    "of unknown outcome tells who had been refused before, to whom it was certainly not sent",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({
        script: (step, nth) =>
          step === "rcpt" && nth === 2
            ? { reply: "550 5.1.1 nobody" }
            : step === "dot"
            ? { next: "rst" }
            : undefined
      })
      const connection = yield* connect(target(server))
      const to = ["a@example.org", "b@example.org", "c@example.org"]
      const reason = yield* Effect.flip(connection.send({ ...envelope, to }, source, timeouts))
      assert.strictEqual(reason._tag, "OutcomeUnknown")
      const refused = reason._tag === "OutcomeUnknown" ? reason.refused : undefined
      assert.deepStrictEqual(refused?.map(({ address, code }) => [address, code]), [["b@example.org", 550]])
    })
  )

  live(
    "is for all recipients or for none where that is asked for",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ script: at("rcpt", { reply: "450 4.2.1 busy" }, 1) })
      const connection = yield* connect(target(server))
      const reason = yield* Effect.flip(
        connection.send({ ...envelope, to: ["a@example.org", "b@example.org"] }, source, {
          ...timeouts,
          allRecipients: true
        })
      )
      assert.isTrue(
        reason._tag === "RecipientsRejected" && reason.recipients.map((each) => each.address).join() === "a@example.org"
      )
      assert.strictEqual(server.queued.length, 0)
      yield* server.allClosed
    })
  )

  live(
    "has a deadline of its own, whatever those before it on the connection had",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({
        // the fourth answers in time, though later than a deadline of the first ones would have been
        script: (step, nth) =>
          step === "dot" && nth === 4
            ? { reply: "250 2.0.0 queued", queue: true, delayMillis: 300 }
            : step === "mail" && nth === 5
            ? { next: "silence" }
            : undefined
      })
      const connection = yield* connect(target(server))
      yield* connection.send(envelope, source, timeouts)
      // shorter than what the timer is set to
      yield* connection.send(envelope, source, quick)
      yield* Effect.sleep(100)
      yield* connection.send(envelope, source, quick)
      yield* connection.send(envelope, source, { commandTimeoutMillis: 10_000, answerTimeoutMillis: 10_000 })
      const before = performance.now()
      const reason = yield* Effect.flip(connection.send(envelope, source, quick))
      assert.strictEqual(reason._tag, "TimedOut")
      // Node's timers are a millisecond early at most
      assert.isAtLeast(performance.now() - before, quick.commandTimeoutMillis - 1)
      assert.isBelow(performance.now() - before, 9_000)
      assert.strictEqual(server.queued.length, 4)
    })
  )

  live(
    "ends the empty message that a server without recipients asks for",
    Effect.gen(function*() {
      const script: Script = (step) =>
        step === "rcpt" ? { reply: "550 5.1.1 nobody" } : step === "data" ? { reply: "354 go", next: "on" } : undefined
      const server = yield* scriptedSmtpServer({ script })
      const connection = yield* connect(target(server))
      const reason = yield* Effect.flip(connection.send(envelope, source, timeouts))
      assert.strictEqual(reason._tag, "RecipientsRejected")
      assert.deepStrictEqual(server.queued.map(({ octets }) => octets.length), [0])
    })
  )

  live(
    "holds the end of the message back until a late cut is seen",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ script: at("body", { next: "rst", octets: 10, delayMillis: 60 }) })
      const connection = yield* connect(target(server))
      const reason = yield* Effect.flip(connection.send(envelope, source, { ...timeouts, holdMillis: 400 }))
      assert.strictEqual(reason._tag, lost)
      const healthy = yield* connect(target(server))
      yield* healthy.send(envelope, source, { ...timeouts, holdMillis: 20 })
      assert.strictEqual(server.queued.length, 1)
    })
  )

  live(
    "gives up on a server that does not read, with nothing accepted",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ script: at("data", { reply: "354 go", next: "silence", deaf: true }) })
      const connection = yield* connect(target(server))
      const reason = yield* Effect.flip(connection.send(envelope, huge, { ...timeouts, answerTimeoutMillis: 200 }))
      assert.isTrue(reason._tag === "TimedOut" && !reason.written)
      yield* connection.closed
    })
  )

  live(
    "sends octets exactly, whatever the size and the dots",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer()
      const connection = yield* connect(target(server))
      const eight = Buffer.from("Subject: x\r\n\r\n.\r\n..\r\n.dot\r\ngr\u00fc\u00dfe\r\n\r\n\r\n")
      for (
        const octets of [
          eight,
          large,
          Buffer.from("a: b\r\n\r\n"),
          Buffer.concat([Buffer.alloc(65_535, "x"), Buffer.from("\r\n.\r\n")])
        ]
      ) {
        yield* connection.send(envelope, octets, timeouts)
        assert.isTrue(server.queued.at(-1)?.octets.equals(octets))
      }
      assert.include(server.commands, `MAIL FROM:<ann@example.com> BODY=8BITMIME SIZE=${eight.length}`)
      assert.strictEqual(connection.sent(), 4)
      assert.strictEqual(server.connections(), 1)
    })
  )

  live(
    "takes one message at a time",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer()
      const connection = yield* connect(target(server))
      const bodies = Array.from({ length: 8 }, (_, index) => Buffer.from(`Subject: ${index}\r\n\r\n${index}\r\n`))
      yield* Effect.forEach(bodies, (body) => connection.send(envelope, body, timeouts), { concurrency: "unbounded" })
      assert.deepStrictEqual(server.queued.map(({ octets }) => octets.toString()), bodies.map(String))
    })
  )

  live(
    "writes nothing where the message cannot be sent",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ extensions: ["AUTH PLAIN", "SIZE 100"] })
      const connection = yield* connect(target(server))
      assert.strictEqual(connection.maxSize, 100)
      const before = server.commands.length
      const tag = (to: ReadonlyArray<string>, octets: Uint8Array = source, from = envelope.from) =>
        Effect.map(Effect.flip(connection.send({ from, to }, octets, timeouts)), (reason) => reason._tag)
      assert.strictEqual(yield* tag(envelope.to, Buffer.alloc(101)), "TooLarge")
      assert.strictEqual(yield* tag(["b\u00fc@example.org"]), "Unsupported")
      for (const bad of ["a@b>\r\nRSET", "a@b\rx", "a@b\nx", "a@b\0", "a b@c", "<a@b>", ""]) {
        assert.strictEqual(yield* tag([bad]), "InvalidInput")
      }
      assert.strictEqual(yield* tag(envelope.to, source, "a@b> SIZE=1"), "InvalidInput")
      assert.strictEqual(yield* tag([]), "InvalidInput")
      assert.strictEqual(server.commands.length, before)
      assert.isTrue(connection.isUsable())
    })
  )

  live(
    "notices a server that left while nothing was sent",
    Effect.gen(function*() {
      for (
        const action of [{ next: "fin" }, { next: "rst" }, { reply: "421 4.4.2 idle", next: "fin" }, {
          reply: "250 stray"
        }] as const
      ) {
        const script: Script = (step, nth) =>
          step === "dot" && nth === 1
            ? { reply: "250 2.0.0 queued", queue: true, later: { ...action, delayMillis: 20 } }
            : undefined
        const server = yield* scriptedSmtpServer({ script })
        const connection = yield* connect(target(server))
        yield* connection.send(envelope, source, timeouts)
        yield* connection.closed
        assert.isFalse(connection.isUsable())
        assert.strictEqual((yield* Effect.flip(connection.send(envelope, source, timeouts)))._tag, lost)
        assert.strictEqual(server.queued.length, 1)
      }
    })
  )

  live(
    "does not trust a session whose RSET fails",
    Effect.gen(function*() {
      for (const action of [{ next: "fin" }, { next: "silence" }, { reply: "500 what" }] as const) {
        const script: Script = (step, nth) =>
          step === "rcpt" && nth === 1 ? { reply: "550 5.1.1 nobody" } : step === "reset" ? action : undefined
        const server = yield* scriptedSmtpServer({ script })
        const connection = yield* connect(target(server))
        assert.strictEqual((yield* Effect.flip(connection.send(envelope, source, timeouts)))._tag, "RecipientsRejected")
        const reason = yield* Effect.flip(connection.send(envelope, source, quick))
        assert.strictEqual(reason._tag, "next" in action && action.next === "silence" ? "TimedOut" : lost)
        yield* connection.closed
        assert.strictEqual(server.queued.length, 0)
      }
    })
  )
})

describe("an interrupted send", () => {
  const interrupted = (step: Step, script: Script, options: SendOptions, octets: Uint8Array = source) =>
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ script })
      const connection = yield* connect(target(server))
      const fiber = yield* Effect.forkChild(connection.send(envelope, octets, options))
      yield* server.reached(step)
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(fiber)
      return { server, connection, exit: yield* Fiber.await(fiber) }
    })

  for (const step of ["mail", "rcpt", "data"] as const) {
    live(
      `at ${step} closes the connection`,
      Effect.gen(function*() {
        const { connection, exit, server } = yield* interrupted(step, at(step, { next: "silence" }), timeouts)
        assert.isTrue(Exit.isFailure(exit) && Exit.hasInterrupts(exit))
        assert.isFalse(connection.isUsable())
        yield* connection.closed
        yield* server.allClosed
        assert.strictEqual(server.queued.length, 0)
      })
    )
  }

  live(
    "in the body closes the connection",
    Effect.gen(function*() {
      const script = at("data", { reply: "354 go", next: "silence", deaf: true })
      const { connection, server } = yield* interrupted("data", script, timeouts, huge)
      yield* connection.closed
      assert.strictEqual(server.queued.length, 0)
    })
  )

  live(
    "after the end of the message waits for the answer, and keeps a connection that gave one",
    Effect.gen(function*() {
      const script = at("dot", { reply: "250 2.0.0 queued", queue: true, delayMillis: 120 })
      const { connection, server } = yield* interrupted("dot", script, { ...timeouts, graceMillis: 3000 })
      assert.isTrue(connection.isUsable())
      yield* connection.send(envelope, source, timeouts)
      assert.strictEqual(server.queued.length, 2)
      assert.strictEqual(server.connections(), 1)
    })
  )

  live(
    "after the end of the message waits no longer than it may",
    Effect.gen(function*() {
      for (const graceMillis of [0, 60]) {
        const { connection, server } = yield* interrupted("dot", at("dot", { next: "silence" }), {
          ...timeouts,
          graceMillis
        })
        yield* connection.closed
        yield* server.allClosed
      }
    })
  )

  live(
    "leaves an idle connection alone where it was only waiting for its turn",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({
        script: at("dot", { reply: "250 2.0.0 queued", queue: true, delayMillis: 100 })
      })
      const connection = yield* connect(target(server))
      const first = yield* Effect.forkChild(connection.send(envelope, source, timeouts))
      const second = yield* Effect.forkChild(connection.send(envelope, source, timeouts))
      yield* server.reached("dot")
      yield* Fiber.interrupt(second)
      yield* Fiber.join(first)
      assert.isTrue(connection.isUsable())
      assert.strictEqual(server.queued.length, 1)
    })
  )
})

describe("leaving", () => {
  live(
    "does not wait for a server that never answers QUIT",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ script: at("quit", { next: "silence" }) })
      yield* Effect.scoped(connect(target(server)))
      yield* server.allClosed
      assert.strictEqual(server.commands.at(-1), "QUIT")
    })
  )

  live(
    "closes at once, without QUIT, when the scope fails",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer()
      yield* Effect.exit(Effect.scoped(Effect.andThen(connect(target(server)), Effect.fail("enough"))))
      yield* server.allClosed
      assert.notInclude(server.commands, "QUIT")
    })
  )

  live(
    "is complete when the release is: the socket is gone, and its end is told",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer()
      const told = yield* Deferred.make<string>()
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* connect(target(server))
        yield* Effect.addFinalizer(() => Effect.void)
        yield* Effect.forkDetach(Deferred.into(connection.closed, told))
      }))
      assert.isString(yield* Deferred.await(told))
      yield* server.allClosed
    })
  )

  for (const step of ["greeting", "ehlo", "auth"] as const) {
    live(
      `leaves nothing behind when connecting is interrupted at ${step}`,
      Effect.gen(function*() {
        const server = yield* scriptedSmtpServer({ script: at(step, { next: "silence" }) })
        const fiber = yield* Effect.forkChild(connect(target(server)))
        yield* server.reached(step)
        yield* Fiber.interrupt(fiber)
        yield* server.allClosed
      })
    )
  }
})
