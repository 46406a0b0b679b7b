import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { AccessToken, Password } from "../../src/domain/Credentials.ts"
import { layerSmtp } from "../../src/driver/nodemailer.ts"
import type { SendPhase, SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import { type Action, defaultExtensions, scriptedSmtpServer, type Step } from "./ScriptedSmtpServer.ts"
import { at, connect, envelope, password, secret, source, target, timeouts, type Wire } from "./SmtpFixture.ts"

const live = <E>(title: string, effect: Effect.Effect<void, E, SmtpDriver | Scope.Scope>) =>
  it.live(title, () => Effect.scoped(effect).pipe(Effect.provide(layerSmtp)))

describe("connecting", () => {
  for (const security of ["none", "starttls", "tls"] as const) {
    live(
      `sends the octets as they are over ${security}, and leaves with QUIT`,
      Effect.gen(function*() {
        const server = yield* scriptedSmtpServer({ security })
        const response = yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* connect(target(server, security))
          const phases: Array<SendPhase> = []
          const sent = yield* connection.send(envelope, source, { ...timeouts, onPhase: (phase) => phases.push(phase) })
          assert.deepStrictEqual(phases, ["envelope", "body", "committed"])
          assert.deepStrictEqual(sent.accepted, ["bob@example.org"])
          assert.strictEqual(connection.sent(), 1)
          assert.isTrue(connection.isUsable())
          return sent.response
        }))
        assert.strictEqual(response, "250 2.0.0 queued")
        assert.deepStrictEqual(server.queued.map(({ octets }) => octets.toString()), [source.toString()])
        assert.include(server.commands, `MAIL FROM:<ann@example.com> SIZE=${source.length}`)
        assert.strictEqual(server.commands.at(-1), "QUIT")
        yield* server.allClosed
      })
    )
  }
})

describe("connecting to a slow server", () => {
  for (const millis of [Infinity, 30 * 24 * 60 * 60 * 1000]) {
    live(
      `has the time it is given, however long: ${millis}`,
      Effect.gen(function*() {
        const server = yield* scriptedSmtpServer({
          script: at("greeting", { reply: "220 slow ESMTP", delayMillis: 50 })
        })
        yield* connect(target(server, "none", password, millis))
      })
    )
  }
})

/** Wire, step, what the server does there, and the reason it must give. */
const refusals: ReadonlyArray<readonly [Wire, Step, Action, string]> = [
  ["none", "greeting", { next: "rst", delayMillis: 20 }, "ConnectionFailed greeting"],
  ["none", "greeting", { next: "fin" }, "ConnectionFailed greeting"],
  ["none", "greeting", { next: "silence" }, "TimedOut connect"],
  ["none", "greeting", { reply: "421 4.7.0 too many connections" }, "ConnectionRefusedByLimit"],
  ["none", "greeting", { reply: "554 5.7.1 go away" }, "Rejected"],
  ["none", "greeting", { reply: "HTTP/1.1 400 Bad Request" }, "ConnectionFailed greeting"],
  ["none", "greeting", { dribbleMillis: 20 }, "TimedOut connect"],
  ["none", "ehlo", { next: "rst" }, "ConnectionFailed greeting"],
  ["none", "ehlo", { next: "fin" }, "ConnectionFailed greeting"],
  ["none", "ehlo", { next: "silence" }, "TimedOut connect"],
  ["none", "ehlo", { reply: "421 4.3.2 closing" }, "Throttled"],
  ["none", "ehlo", { reply: "450 4.3.2 come back later" }, "Rejected transient"],
  ["none", "ehlo", { reply: "502 5.5.1 not implemented" }, "Unsupported AUTH"],
  ["starttls", "ehlo", { reply: "450 4.3.2 come back later" }, "Rejected transient"],
  ["tls", "ehlo", { reply: "450 4.3.2 come back later" }, "Rejected transient"],
  ["starttls", "starttls", { next: "rst" }, "ConnectionFailed greeting"],
  ["starttls", "starttls", { next: "fin" }, "ConnectionFailed greeting"],
  ["starttls", "starttls", { next: "silence" }, "TimedOut connect"],
  ["starttls", "starttls", { reply: "220 go", next: "rst" }, "ConnectionFailed tls"],
  ["starttls", "starttls", { reply: "220 go", next: "silence" }, "TimedOut connect"],
  ["starttls", "starttls", { reply: "454 4.7.0 TLS not available" }, "Rejected transient"],
  ["starttls", "starttls", { reply: "502 5.5.1 not implemented" }, "Unsupported STARTTLS"],
  ["starttls", "starttls", { reply: "421 4.3.2 closing" }, "Throttled"],
  ...(["none", "tls"] as const).flatMap((wire) =>
    [
      [wire, "auth", { next: "rst" }, "ConnectionFailed login"],
      [wire, "auth", { next: "fin" }, "ConnectionFailed login"],
      [wire, "auth", { next: "silence" }, "TimedOut connect"],
      [wire, "auth", { reply: "535 5.7.8 bad credentials" }, "AuthenticationFailed"],
      [wire, "auth", { reply: "454 4.7.0 too many login attempts" }, "Throttled"],
      [wire, "auth", { reply: "432 4.3.2 concurrent connections limit exceeded" }, "ConnectionRefusedByLimit"],
      [wire, "auth", { reply: "421 4.7.0 too many connections" }, "ConnectionRefusedByLimit"]
    ] as const
  )
]

describe("a connection that cannot be had", () => {
  for (const [wire, step, action, expected] of refusals) {
    live(
      `fails with ${expected} over ${wire} where the server at ${step} does ${JSON.stringify(action)}`,
      Effect.gen(function*() {
        const server = yield* scriptedSmtpServer({ security: wire, script: at(step, action) })
        const reason = yield* Effect.flip(
          connect(target(server, wire, password, expected.startsWith("TimedOut") ? 150 : 5000))
        )
        const detail = "step" in reason
          ? reason.step
          : "wait" in reason
          ? reason.wait
          : "capability" in reason
          ? reason.capability
          : reason._tag === "Rejected" && reason.transient
          ? "transient"
          : ""
        assert.strictEqual(`${reason._tag} ${detail}`.trim(), expected)
        // the scope is still open: nothing is left behind
        yield* server.allClosed
        assert.strictEqual(server.connections(), 1)
      })
    )
  }

  live(
    "is refused by name and port where nobody listens",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer()
      const { port } = server
      const reason = yield* Effect.flip(
        connect({
          ...target(server),
          endpoint: new Endpoint({ host: "127.0.0.1", port: port === 1 ? 2 : 1, security: "none" })
        })
      )
      assert.strictEqual(reason._tag, "ConnectionFailed")
      const unknown = yield* Effect.flip(
        connect({ ...target(server), endpoint: new Endpoint({ host: "nobody.invalid", port: 25 }) })
      )
      assert.isTrue(unknown._tag === "ConnectionFailed" && unknown.step === "dns")
    })
  )

  live(
    "does not trust a certificate that nobody vouches for",
    Effect.gen(function*() {
      for (const security of ["tls", "starttls"] as const) {
        const server = yield* scriptedSmtpServer({ security })
        const options = target(server, security)
        const endpoint = new Endpoint({ host: "127.0.0.1", port: server.port, security })
        const reason = yield* Effect.flip(connect({ ...options, endpoint }))
        assert.isTrue(reason._tag === "ConnectionFailed" && reason.step === "tls" && reason.permanent, String(reason))
        yield* server.allClosed
        assert.isFalse(server.commands.some((command) => command.startsWith("AUTH")))
      }
    })
  )

  live(
    "never logs in where no AUTH is offered, nor with a mechanism that is not",
    Effect.gen(function*() {
      for (const extensions of [["PIPELINING"], ["AUTH GSSAPI"], ["AUTH XOAUTH2"]]) {
        const server = yield* scriptedSmtpServer({ extensions })
        const reason = yield* Effect.flip(connect(target(server)))
        assert.isTrue(reason._tag === "Unsupported" && reason.capability === "AUTH")
        yield* server.allClosed
        assert.isFalse(server.commands.some((command) => command.startsWith("AUTH")))
      }
    })
  )

  live(
    "keeps a password out of the error when the server repeats it",
    Effect.gen(function*() {
      const plain = Buffer.from(`\0ann\0${secret}`).toString("base64")
      const server = yield* scriptedSmtpServer({ script: at("auth", { reply: `535 5.7.8 no: ${secret} ${plain}` }) })
      const reason = yield* Effect.flip(connect(target(server)))
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      const shown = `${String(reason)} ${JSON.stringify(reason)}`
      assert.notInclude(shown, secret)
      assert.notInclude(shown, plain)
    })
  )
})

describe("logging in", () => {
  live(
    "uses LOGIN where that is all there is",
    Effect.gen(function*() {
      const server = yield* scriptedSmtpServer({ extensions: ["AUTH LOGIN"] })
      yield* connect(target(server))
      assert.strictEqual(Buffer.from(server.commands.at(-1) ?? "", "base64").toString(), secret)
    })
  )

  live(
    "sends a token with XOAUTH2 or OAUTHBEARER, whichever is offered",
    Effect.gen(function*() {
      const token = new AccessToken({ user: "ann,a", token: Redacted.make("t0ken", { label: "token" }) })
      const said = Effect.fnUntraced(function*(offered: string) {
        const server = yield* scriptedSmtpServer({ extensions: [`AUTH PLAIN ${offered}`] })
        yield* connect(target(server, "none", token))
        const [, name, message = ""] = /^AUTH (\S+) (\S+)$/.exec(server.commands.at(-1) ?? "") ?? []
        return [name, Buffer.from(message, "base64").toString(), server.port] as const
      })
      const [xoauth2, first] = yield* said("XOAUTH2 OAUTHBEARER")
      assert.deepStrictEqual([xoauth2, first], ["XOAUTH2", "user=ann,a\x01auth=Bearer t0ken\x01\x01"])
      const [oauthbearer, second, port] = yield* said("OAUTHBEARER")
      assert.deepStrictEqual([oauthbearer, second], [
        "OAUTHBEARER",
        `n,a=ann=2Ca,\x01host=127.0.0.1\x01port=${port}\x01auth=Bearer t0ken\x01\x01`
      ])
    })
  )

  live(
    "answers the challenge behind a refused token and reports the refusal",
    Effect.gen(function*() {
      const token = new AccessToken({ user: "ann", token: Redacted.make("t0ken", { label: "token" }) })
      for (const offered of ["XOAUTH2", "OAUTHBEARER"]) {
        const server = yield* scriptedSmtpServer({
          extensions: [`AUTH ${offered}`],
          script: (step, nth) =>
            step === "auth" ? { reply: nth === 1 ? "334 eyJzdGF0dXMiOiI0MDEifQ==" : "535 5.7.8 expired" } : undefined,
          authSteps: 2
        })
        const reason = yield* Effect.flip(connect(target(server, "none", token)))
        assert.isTrue(reason._tag === "AuthenticationFailed" && reason.response.includes("expired"), String(reason))
      }
    })
  )
})
void [Password, defaultExtensions]
