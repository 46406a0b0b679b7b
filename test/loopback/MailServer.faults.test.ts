import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { type FaultAction, MailServer, type MailServerShape } from "../../src/testing/index.ts"
import { certificate, privateKey } from "./certificate.ts"
import { ask, client, mail, until, untilConnections, users } from "./mail-server.ts"
import { smtpDialogue, Transcript } from "./transcript.ts"

const start = MailServer.make({ users: users ?? [] })

const strike = (server: MailServerShape, at: string, action: FaultAction) =>
  server.faults.add({ protocol: "imap", at, action })

/** The lines from a command up to its tagged answer, or to the end of the connection. */
const answer = (server: MailServerShape, command: string) =>
  Effect.scoped(Effect.gen(function*() {
    const transcript = yield* Transcript.open(server.imapPort)
    yield* transcript.until(/OK/)
    yield* transcript.say("a LOGIN bob secret", /^a /)
    yield* transcript.say("b SELECT INBOX", /^b /)
    return yield* transcript.say(command, /^c /)
  }))

/** A dialogue that has come to a step, and comes no further. */
const isNeverAnswered = Effect.fnUntraced(
  function*<A>(server: MailServerShape, at: string, dialogue: Effect.Effect<A>) {
    yield* untilConnections(server, 0)
    server.forget()
    const fiber = yield* Effect.forkChild(dialogue)
    yield* until(() =>
      at === "connect" ? server.connections().length > 0 : server.commands().some(({ verb }) => verb.endsWith(at))
    )
    yield* Effect.sleep("20 millis")
    assert.isUndefined(fiber.pollUnsafe())
    yield* Fiber.interrupt(fiber)
  }
)

describe("MailServer faults of IMAP", () => {
  const steps: ReadonlyArray<readonly [at: string, command: string]> = [
    ["NOOP", "c NOOP"],
    ["LIST", "c LIST \"\" *"],
    ["STATUS", "c STATUS INBOX (MESSAGES)"],
    ["FETCH", "c UID FETCH 1 (FLAGS)"],
    ["STORE", "c UID STORE 1 +FLAGS (\\Seen)"],
    ["SEARCH", "c UID SEARCH ALL"],
    ["COPY", "c UID COPY 1 Archive"],
    ["MOVE", "c UID MOVE 1 Archive"],
    ["EXPUNGE", "c EXPUNGE"],
    ["APPEND", "c APPEND Sent {2+}\r\nxx"],
    ["CREATE", "c CREATE New"],
    ["IDLE", "c IDLE"]
  ]

  for (const [at, command] of steps) {
    it.live(`refuses ${at} as told, once`, () =>
      Effect.gen(function*() {
        const server = yield* start
        strike(server, at, { _tag: "Refuse", status: "NO", code: "OVERQUOTA", text: "later" })
        assert.strictEqual((yield* answer(server, command)).at(-1), "c NO [OVERQUOTA] later")
        if (at !== "IDLE") assert.match((yield* answer(server, command)).at(-1) ?? "", /^c OK/)
      }))

    it.live(`cuts before and after ${at}, and stalls in it`, () =>
      Effect.gen(function*() {
        const server = yield* start
        for (const when of ["before", "after"] as const) {
          strike(server, at, { _tag: "Drop", when })
          const heard = yield* answer(server, command)
          assert.deepStrictEqual(heard, at === "IDLE" && when === "after" ? ["+ idling"] : [], "no answer")
        }
        strike(server, at, { _tag: "Stall" })
        yield* isNeverAnswered(server, at, answer(server, command))
      }))
  }

  it.live("does what was asked where it cuts after the step, and not where it cuts before", () =>
    Effect.gen(function*() {
      const server = yield* start
      const sent = server.store.user("bob")?.mailbox("Sent")
      strike(server, "APPEND", { _tag: "Drop", when: "before" })
      yield* answer(server, "c APPEND Sent {2+}\r\nxx")
      assert.strictEqual(sent?.exists, 0)
      strike(server, "APPEND", { _tag: "Drop", when: "after" })
      yield* answer(server, "c APPEND Sent {2+}\r\nxx")
      assert.strictEqual(sent?.exists, 1)
    }))

  it.live("says BYE, or what is no IMAP, or answers later", () =>
    Effect.gen(function*() {
      const server = yield* start
      strike(server, "NOOP", { _tag: "Refuse", status: "BYE", text: "too busy" })
      assert.deepStrictEqual(yield* answer(server, "c NOOP"), ["* BYE too busy"])
      strike(server, "NOOP", { _tag: "Corrupt" })
      yield* isNeverAnswered(server, "NOOP", answer(server, "c NOOP"))
      strike(server, "NOOP", { _tag: "Delay", duration: Duration.millis(60) })
      const begun = performance.now()
      assert.deepStrictEqual(yield* answer(server, "c NOOP"), ["c OK NOOP completed"])
      assert.isAtLeast(performance.now() - begun, 55)
    }))

  it.live("strikes at logins by user, whichever way they are made, and before the greeting", () =>
    Effect.gen(function*() {
      const server = yield* start
      const action = { _tag: "Refuse", status: "NO", code: "UNAVAILABLE", text: "try later" } as const
      server.faults.add({ protocol: "imap", at: "LOGIN", user: "bob", times: 2, action })
      for (const loginMethod of ["LOGIN", "AUTH=PLAIN"]) {
        const auth = { user: "bob", pass: "secret", loginMethod }
        const failure = yield* client(server, { auth }).pipe(Effect.catchDefect(Effect.succeed))
        assert.propertyVal(failure, "serverResponseCode", "UNAVAILABLE")
      }
      strike(server, "connect", { _tag: "Refuse", status: "BYE", text: "full" })
      const refused = yield* Transcript.open(server.imapPort)
      assert.deepStrictEqual(yield* refused.rest, ["* BYE full"])
      yield* client(server)
    }))

  it.live("keeps a stalled connection counted until the client goes", () =>
    Effect.gen(function*() {
      const server = yield* start
      strike(server, "NOOP", { _tag: "Stall" })
      yield* Effect.scoped(Effect.gen(function*() {
        const flow = yield* Transcript.open(server.imapPort)
        yield* flow.until(/OK/)
        yield* flow.write("c NOOP\r\nd EXPUNGE\r\n")
        yield* Effect.sleep("20 millis")
        assert.strictEqual(server.connections().length, 1)
      }))
      yield* untilConnections(server, 0)
    }))
})

describe("MailServer faults of SMTP", () => {
  const steps = ["connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "body", "end"]

  for (const at of steps) {
    it.live(`answers ${at} as told, cuts before and after, and stalls`, () =>
      Effect.gen(function*() {
        const server = yield* start
        const act = (action: FaultAction) => {
          server.faults.add({ protocol: "smtp", at, action })
          return smtpDialogue(server.smtpPort, mail(1))
        }
        const refused = yield* act({ _tag: "Reply", code: 452, text: "4.3.1 later" })
        assert.include(refused, "452 4.3.1 later")
        const farewell = yield* act({ _tag: "Reply", code: 421, text: "4.3.2 bye" })
        assert.strictEqual(farewell.at(-1), "421 4.3.2 bye")
        assert.strictEqual(server.accepted().length, 0)
        const before = yield* act({ _tag: "Drop", when: "before" })
        assert.strictEqual(server.accepted().length, 0)
        const after = yield* act({ _tag: "Drop", when: "after" })
        assert.strictEqual(server.accepted().length, at === "end" || at === "body" ? 1 : 0)
        for (const replies of [before, after]) {
          assert.isFalse(replies.some((line) => line.startsWith("250 OK: message")))
        }
        yield* isNeverAnswered(server, at, act({ _tag: "Stall" }))
        assert.include(yield* smtpDialogue(server.smtpPort, mail(1)), "250 OK: message queued", "once only")
        yield* untilConnections(server, 0)
      }))
  }
})

describe("MailServer's texts", () => {
  it.live("never end as a literal would begin, whoever wrote them", () =>
    Effect.gen(function*() {
      const server = yield* start
      const refusal = (status: "NO" | "BAD" | "BYE", text: string) => {
        strike(server, "NOOP", { _tag: "Refuse", status, text })
        return answer(server, "c NOOP")
      }
      assert.deepStrictEqual(yield* refusal("NO", "not {5}"), ["c NO not {5}."])
      assert.deepStrictEqual(yield* refusal("BAD", "{12+}"), ["c BAD {12+}."])
      assert.deepStrictEqual(yield* refusal("BYE", "gone {0}"), ["* BYE gone {0}."])
      assert.deepStrictEqual(yield* refusal("NO", "{5} is no end"), ["c NO {5} is no end"])
      const [unknown] = yield* answer(server, "c STATUS \"none{5}\" (MESSAGES)")
      assert.strictEqual(unknown, "c NO [NONEXISTENT] Mailbox doesn't exist: none{5}.")
    }))
})

describe("MailServer faults of the wire", () => {
  it.live("cuts after exactly so many octets sent", () =>
    Effect.gen(function*() {
      const server = yield* start
      for (const octets of [0, 1, 10, 25]) {
        server.setWire("imap", { cutAfterSent: octets })
        const transcript = yield* Transcript.open(server.imapPort)
        assert.strictEqual((yield* transcript.octets).length, octets)
      }
    }))

  it.live("cuts after exactly so many octets received, and acts on those", () =>
    Effect.gen(function*() {
      const server = yield* start
      const command = "a LOGIN bob secret\r\nb CREATE One\r\nc CREATE Two\r\n"
      server.setWire("imap", { cutAfterReceived: command.length - 1 })
      const transcript = yield* Transcript.open(server.imapPort)
      yield* transcript.write(command)
      yield* transcript.rest
      assert.isDefined(server.store.user("bob")?.mailbox("One"))
      assert.isUndefined(server.store.user("bob")?.mailbox("Two"))
    }))

  it.live("delays each direction, keeping the order", () =>
    Effect.gen(function*() {
      const server = yield* start
      server.setWire("imap", { delayReceivedMillis: 30, delaySentMillis: 30 })
      const begun = performance.now()
      const flow = yield* client(server)
      yield* ask(() => flow.mailboxOpen("INBOX"))
      const rows = yield* ask(() => flow.fetchAll("1:*", { source: true }, { uid: true }))
      assert.deepStrictEqual(rows.map(({ source }) => source?.toString()), [1, 2, 3, 4].map(mail))
      assert.isAtLeast(performance.now() - begun, 5 * 60)
      server.setWire("imap", { delayReceivedMillis: 3_600_000, delaySentMillis: 3_600_000 })
      server.setWire("imap", {})
      yield* ask(() => flow.noop())
    }))
})

describe("MailServer faults over TLS and in memory", () => {
  it.live("cuts, stalls and kicks over TLS, and keeps no connection", () =>
    Effect.gen(function*() {
      const server = yield* MailServer.make({ users: users ?? [], tls: { key: privateKey, cert: certificate } })
      const secure = { doSTARTTLS: true, tls: { rejectUnauthorized: false } }
      const cut = yield* client(server, secure)
      strike(server, "NOOP", { _tag: "Drop", when: "after" })
      yield* ask(() => cut.noop())
      assert.isFalse(cut.usable)
      yield* untilConnections(server, 0)
      const kicked = yield* client(server, secure)
      const closed = new Promise<void>((resolve) => kicked.once("close", resolve))
      assert.isTrue(kicked.secureConnection)
      assert.strictEqual(server.kick("bob"), 1)
      yield* ask(() => closed)
      yield* untilConnections(server, 0)
    }))

  it.live("cuts a connection in memory, of either protocol", () =>
    Effect.gen(function*() {
      const server = yield* start
      for (const protocol of ["imap", "smtp"] as const) {
        const socket = server.connectInMemory(protocol)
        yield* ask(() => new Promise((resolve) => socket.once("data", resolve)))
        assert.strictEqual(server.dropAll(), 1)
        yield* untilConnections(server, 0)
      }
    }))
})
