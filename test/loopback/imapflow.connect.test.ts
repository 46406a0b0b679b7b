/** Opening and closing: what is told apart, what is never sent, and that nothing stays open. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Trust } from "../../src/domain/AccountConfig.ts"
import * as imapflow from "../../src/driver/imapflow.ts"
import { certificate } from "./certificate.ts"
import { type Script, scripted } from "./ScriptedImapServer.ts"
import { connect, type ConnectOptions, failure, secret, session } from "./Session.ts"

const noLogin = "IMAP4rev1"

describe("connecting over IMAP", () => {
  const refusals: ReadonlyArray<readonly [answer: string, tag: string]> = [
    ["NO [AUTHENTICATIONFAILED] wrong", "AuthenticationFailed"],
    ["NO LOGIN failed", "AuthenticationFailed"],
    ["NO [ALERT] Too many simultaneous connections. (Failure)", "ConnectionRefusedByLimit"],
    ["NO [LIMIT] Maximum number of connections from user+IP exceeded", "ConnectionRefusedByLimit"],
    ["NO [INUSE] busy", "ConnectionRefusedByLimit"],
    ["NO [UNAVAILABLE] later", "Throttled"],
    ["BAD Request is throttled. Suggested Backoff Time: 100000 milliseconds", "Throttled"],
    ["NO [PRIVACYREQUIRED] TLS first", "Rejected"]
  ]
  for (const [answer, tag] of refusals) {
    it.effect(`takes "${answer}" for ${tag}, and closes at once`, () =>
      Effect.gen(function*() {
        const server = yield* scripted({ lines: ["C: LOGIN …", `S: $ ${answer}`] })
        const reason = yield* failure(Effect.scoped(connect(server.port)))
        assert.strictEqual(reason._tag, tag)
        yield* server.idle
      }).pipe(Effect.provide(imapflow.layer)))
  }

  it.effect("reads the reason out of a BYE instead of a greeting", () =>
    Effect.gen(function*() {
      const full = yield* scripted({ lines: ["S: * BYE Too many connections from your address", "S! FIN"] })
      assert.strictEqual((yield* failure(connect(full.port)))._tag, "ConnectionRefusedByLimit")
      const down = yield* scripted({ lines: ["S: * BYE shutting down", "S! FIN"] })
      const reason = yield* failure(connect(down.port))
      assert.deepInclude(reason, { _tag: "ConnectionFailed", step: "greeting", permanent: false })
      assert.include(JSON.stringify(reason), "shutting down")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("says how far it came when the server leaves", () =>
    Effect.gen(function*() {
      const greeting = yield* scripted({ lines: ["S! FIN"] })
      assert.deepInclude(yield* failure(connect(greeting.port)), { _tag: "ConnectionFailed", step: "greeting" })
      for (const end of ["FIN", "RST"]) {
        const login = yield* scripted({ lines: ["C: LOGIN …", `S! ${end}`] })
        assert.deepInclude(yield* failure(connect(login.port)), { _tag: "ConnectionFailed", step: "login" })
      }
      const port = yield* Effect.scoped(Effect.map(scripted({}), ({ port }) => port))
      assert.deepInclude(yield* failure(connect(port)), { _tag: "ConnectionFailed", step: "tcp", permanent: false })
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("refuses a server that speaks no TLS where TLS is wanted, for good", () =>
    Effect.gen(function*() {
      const server = yield* scripted({})
      const reason = yield* failure(connect(server.port, { security: "tls" }))
      assert.deepInclude(reason, { _tag: "ConnectionFailed", step: "tls", permanent: true })
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("never sends the password in clear where STARTTLS is wanted and not offered", () =>
    Effect.gen(function*() {
      const server = yield* scripted({})
      const reason = yield* failure(connect(server.port, { security: "starttls" }))
      assert.deepInclude(reason, { _tag: "Unsupported", capability: "STARTTLS" })
      const refusing = yield* scripted({
        capabilities: "IMAP4rev1 STARTTLS",
        lines: ["C: STARTTLS", "S: $ NO not today"]
      })
      assert.deepInclude(yield* failure(connect(refusing.port, { security: "starttls" })), {
        _tag: "Unsupported",
        capability: "STARTTLS"
      })
      const preauth = yield* scripted({ greeting: "* PREAUTH come in" })
      assert.strictEqual((yield* failure(connect(preauth.port, { security: "starttls" })))._tag, "Unsupported")
      const heard = [...server.heard, ...refusing.heard, ...preauth.heard].join("\n")
      assert.notInclude(heard, "LOGIN")
      assert.notInclude(heard, secret)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("speaks TLS from the start with a certificate it trusts, and no other", () =>
    Effect.gen(function*() {
      const server = yield* scripted({ tls: true })
      const trust = new Trust({ ca: certificate })
      yield* Effect.scoped(connect(server.port, { security: "tls", trust }))
      yield* Effect.scoped(connect(server.port, { security: "tls", trust: new Trust({ verify: false }) }))
      yield* server.idle
      const heard = server.heard.length
      assert.deepInclude(yield* failure(connect(server.port, { security: "tls" })), {
        _tag: "ConnectionFailed",
        step: "tls",
        permanent: true
      })
      const other = new Trust({ ca: certificate, servername: "mail.example" })
      assert.deepInclude(yield* failure(connect(server.port, { security: "tls", trust: other })), {
        _tag: "ConnectionFailed",
        step: "tls",
        permanent: true
      })
      assert.strictEqual(server.heard.length, heard)
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("says nothing but STARTTLS before STARTTLS, and closes the socket below as well", () =>
    Effect.gen(function*() {
      const script = { capabilities: "IMAP4rev1 STARTTLS ID", lines: ["C: STARTTLS", "S: $ OK go on", "S! TLS"] }
      const server = yield* scripted(script)
      yield* Effect.scoped(connect(server.port, { security: "starttls", trust: new Trust({ ca: certificate }) }))
      assert.strictEqual(server.heard[0], "STARTTLS")
      assert.isTrue(server.heard.some((line) => line.startsWith("LOGIN")))
      yield* server.idle
      const untrusted = yield* scripted(script)
      assert.deepInclude(yield* failure(connect(untrusted.port, { security: "starttls" })), {
        _tag: "ConnectionFailed",
        step: "tls",
        permanent: true
      })
      assert.deepStrictEqual(untrusted.heard, ["STARTTLS"])
      yield* untrusted.idle
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("does not log in where LOGIN is disabled, and says so", () =>
    Effect.gen(function*() {
      const server = yield* scripted({ capabilities: `${noLogin} LOGINDISABLED` })
      assert.deepInclude(yield* failure(connect(server.port)), { _tag: "Unsupported", capability: "LOGIN" })
      assert.notInclude(server.heard.join("\n"), secret)
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("uses AUTHENTICATE PLAIN for what LOGIN cannot carry, and where LOGIN is disabled", () =>
    Effect.gen(function*() {
      const plain = {
        capabilities: `${noLogin} AUTH=PLAIN`,
        lines: ["C: AUTHENTICATE PLAIN", "S: + ", "C: …", "S: $ OK in"]
      }
      const accented = yield* scripted(plain)
      yield* Effect.scoped(connect(accented.port, { password: "pässword" }))
      assert.strictEqual(
        Buffer.from(accented.heard[1] ?? "", "base64").toString(),
        "\0anna\0pässword"
      )
      const disabled = yield* scripted({ ...plain, capabilities: `${plain.capabilities} LOGINDISABLED` })
      yield* Effect.scoped(connect(disabled.port))
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("sends an access token with XOAUTH2, and reads its refusal", () =>
    Effect.gen(function*() {
      const server = yield* scripted({
        capabilities: `${noLogin} AUTH=XOAUTH2 SASL-IR`,
        lines: [
          "C: AUTHENTICATE XOAUTH2 …",
          "S: + eyJzdGF0dXMiOiI0MDAifQ==",
          "C: ",
          "S: $ NO [AUTHENTICATIONFAILED] bad token"
        ]
      })
      const reason = yield* failure(connect(server.port, { token: "tok-123" }))
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      assert.notInclude(JSON.stringify(reason), "tok-123")
      const without = yield* scripted({ capabilities: noLogin })
      assert.strictEqual((yield* failure(connect(without.port, { token: "tok-123" })))._tag, "Unsupported")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect.each([
    `BAD LOGIN anna ${secret} is what you said`,
    `BAD Request is throttled. Suggested Backoff Time: 1000 milliseconds. LOGIN anna ${secret}`
  ])("keeps a password out of the reason even if the server repeats it: %s", (answer) =>
    Effect.gen(function*() {
      const server = yield* scripted({ lines: ["C: LOGIN …", `S: $ ${answer}`] })
      const reason = yield* failure(connect(server.port))
      assert.strictEqual(reason._tag, answer.includes("throttled") ? "Throttled" : "Rejected")
      assert.notInclude(`${reason.message} ${JSON.stringify(reason)}`, secret)
    }).pipe(Effect.provide(imapflow.layer)))

  const quoting = "pass\"wo\\rd"
  const echoes: ReadonlyArray<
    readonly [what: string, options: ConnectOptions, script: (token: string) => Script, sent: RegExp]
  > = [
    [
      "a password in a quoted string",
      { password: quoting },
      () => ({ lines: ["C: LOGIN …", `S: $ BAD LOGIN anna "pass\\"wo\\\\rd" is what you said`] }),
      /wo\\+rd/
    ],
    ...["XOAUTH2", "OAUTHBEARER"].map((mechanism) =>
      [
        `the message of ${mechanism}`,
        { token: "tok-123-abcdef" },
        (message: string) => ({
          capabilities: `${noLogin} AUTH=${mechanism} SASL-IR`,
          lines: [`C: AUTHENTICATE ${mechanism} …`, `S: $ BAD what is AUTHENTICATE ${mechanism} ${message}?`]
        }),
        /[A-Za-z0-9+/]{30,}/
      ] as const
    )
  ]
  for (const [what, options, script, sent] of echoes) {
    it.effect(`keeps ${what} out of the reason if the server repeats it`, () =>
      Effect.gen(function*() {
        // what is sent is learned from a first connection
        const first = yield* scripted(script("-"))
        yield* failure(connect(first.port, options))
        const message = first.heard.map((line) => line.split(" ")[2] ?? "").find((word) => word.length > 20) ?? ""
        const second = yield* scripted(script(message))
        const reason = yield* failure(connect(second.port, options))
        assert.match(second.heard.join("\n"), sent)
        const shown = `${reason.message} ${JSON.stringify(reason)}`
        assert.include(shown, "<redacted>")
        assert.notMatch(shown, sent)
      }).pipe(Effect.provide(imapflow.layer)))
  }

  it.effect("refuses credentials that could end the command before anything is sent", () =>
    Effect.gen(function*() {
      const server = yield* scripted({})
      assert.strictEqual((yield* failure(connect(server.port, { password: "a\r\nb" })))._tag, "InvalidInput")
      assert.strictEqual((yield* failure(connect(server.port, { user: "a\nb" })))._tag, "InvalidInput")
      assert.deepStrictEqual(server.heard, [])
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("gives up on the Clock, and names the wait", () =>
    Effect.gen(function*() {
      const silent = yield* scripted({ lines: ["S! STALL"] })
      const connecting = yield* Effect.forkChild(failure(connect(silent.port, { connectTimeoutMillis: 20_000 })))
      while (silent.open() === 0) yield* Effect.promise(() => new Promise(setImmediate))
      yield* TestClock.adjust("20 seconds")
      assert.deepInclude(yield* Fiber.join(connecting), { _tag: "TimedOut", wait: "connect", written: false })
      yield* silent.idle
      const slow = yield* scripted({ lines: ["C: LOGIN …", "S! STALL"] })
      const login = yield* Effect.forkChild(failure(connect(slow.port, { connectTimeoutMillis: 20_000 })))
      yield* slow.hears("LOGIN")
      yield* TestClock.adjust("20 seconds")
      assert.deepInclude(yield* Fiber.join(login), { _tag: "TimedOut", wait: "login" })
      yield* slow.idle
    }).pipe(Effect.provide(imapflow.layer)))

  for (
    const [phase, lines, command] of [
      ["before the greeting", ["S! STALL"], undefined],
      ["in the login", ["C: LOGIN …", "S! STALL"], "LOGIN"],
      ["behind the login", ["C: NAMESPACE", "S! STALL"], "NAMESPACE"],
      ["while it enables extensions", ["C: ENABLE …", "S! STALL"], "ENABLE"]
    ] as const
  ) {
    it.effect(`leaves no socket when it is interrupted ${phase}`, () =>
      Effect.gen(function*() {
        const server = yield* scripted({ lines })
        const fiber = yield* Effect.forkChild(connect(server.port))
        if (command === undefined) {
          while (server.open() === 0) yield* Effect.promise(() => new Promise(setImmediate))
        } else yield* server.hears(command)
        yield* Fiber.interrupt(fiber)
        yield* server.idle
      }).pipe(Effect.provide(imapflow.layer)))
  }

  it.effect("leaves no socket when it is interrupted in the TLS handshake", () =>
    Effect.gen(function*() {
      const server = yield* scripted({ lines: ["S! STALL"] })
      const fiber = yield* Effect.forkChild(connect(server.port, { security: "tls" }))
      while (server.open() === 0) yield* Effect.promise(() => new Promise(setImmediate))
      yield* Fiber.interrupt(fiber)
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("survives a server that resets while nobody waits for anything", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({ lines: ["C: NOOP", "S: $ OK", "S! RST"] })
      yield* Effect.ignore(connection.noop)
      yield* connection.closed
      assert.isFalse(connection.isUsable())
      assert.deepInclude(yield* failure(connection.noop), { _tag: "ConnectionLost", written: false })
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))
})

describe("closing an IMAP connection", () => {
  it.effect("says LOGOUT after success, and is closed when the scope is", () =>
    Effect.gen(function*() {
      const server = yield* scripted({})
      const scope = yield* Scope.make()
      const connection = yield* connect(server.port).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(server.heard.at(-1), "LOGOUT")
      assert.isFalse(connection.isUsable())
      yield* connection.closed
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("says nothing after a failure", () =>
    Effect.gen(function*() {
      const server = yield* scripted({})
      const scope = yield* Scope.make()
      const connection = yield* connect(server.port).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.fail("no"))
      yield* connection.closed
      yield* server.idle
      assert.notInclude(server.heard, "LOGOUT")
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("waits for LOGOUT one second at most", () =>
    Effect.gen(function*() {
      const server = yield* scripted({ lines: ["C: LOGOUT", "S! STALL"] })
      const scope = yield* Scope.make()
      const connection = yield* connect(server.port).pipe(Scope.provide(scope))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* server.hears("LOGOUT")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      yield* connection.closed
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))
})
