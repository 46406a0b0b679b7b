import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Inspectable, Redacted, type Scope } from "effect"
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import {
  AccountConfig,
  Draft,
  Endpoint,
  MailAccount,
  OAuth2,
  OAuth2Grant,
  Query,
  RetryPolicy
} from "../../src/index.ts"
import { MailServer } from "../../src/testing/index.ts"
import { untilConnections } from "./mail-server.ts"

interface Answer {
  readonly status: number
  readonly body: string
}

/** A token endpoint: what it was asked, and where it is. */
const tokenServer = (
  answer: (form: URLSearchParams, count: number) => Answer | undefined
): Effect.Effect<{ readonly url: string; readonly forms: ReadonlyArray<URLSearchParams> }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly forms: Array<URLSearchParams>; readonly close: () => void }>(
      (resume) => {
        const forms: Array<URLSearchParams> = []
        const server = createServer((request, response) => {
          void read(request).then((text) => {
            forms.push(new URLSearchParams(text))
            const said = answer(new URLSearchParams(text), forms.length)
            if (said !== undefined) {
              response.writeHead(said.status, { "content-type": "application/json" }).end(said.body)
            }
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo // it listens on TCP
          const close = () => {
            server.closeAllConnections()
            server.close()
          }
          resume(Effect.succeed({ url: `http://127.0.0.1:${port}/token`, forms, close }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

const read = async (request: IncomingMessage) => {
  let text = ""
  for await (const chunk of request) text += String(chunk)
  return text
}

const json = (status: number, body: object): Answer => ({ status, body: JSON.stringify(body) })
const refreshToken = Redacted.make("r1-secret")

describe("OAuth2Grant.refreshToken", () => {
  it.live("exchanges the refresh token for an access token and its lifetime", () =>
    Effect.gen(function*() {
      const server = yield* tokenServer(() => json(200, { access_token: "a1", expires_in: 1800, token_type: "Bearer" }))
      const source = OAuth2Grant.refreshToken({
        url: server.url,
        clientId: "me",
        clientSecret: Redacted.make("s1"),
        refreshToken,
        scope: "mail"
      })
      const { expiresIn, token } = yield* source
      assert.strictEqual(Redacted.value(token), "a1")
      assert.strictEqual(Duration.toMinutes(expiresIn), 30)
      assert.deepStrictEqual(Object.fromEntries(server.forms[0] ?? []), {
        grant_type: "refresh_token",
        client_id: "me",
        client_secret: "s1",
        refresh_token: "r1-secret",
        scope: "mail"
      })
    }))

  it.live("goes on with a refresh token that the server has put in the old one's place, and tells of it", () =>
    Effect.gen(function*() {
      const server = yield* tokenServer((_, count) =>
        json(200, { access_token: `a${count}`, expires_in: "60", ...(count === 1 ? { refresh_token: "r2" } : {}) })
      )
      const told: Array<string> = []
      const source = OAuth2Grant.refreshToken({
        url: server.url,
        clientId: "me",
        refreshToken,
        onRefreshToken: (token) => Effect.sync(() => void told.push(Redacted.value(token)))
      })
      yield* source
      yield* source
      assert.deepStrictEqual(server.forms.map((form) => form.get("refresh_token")), ["r1-secret", "r2"])
      assert.deepStrictEqual(told, ["r2"])
    }))

  it.live("tells a withdrawn grant from a token server that is out of order, and never shows the secret", () =>
    Effect.gen(function*() {
      const answers = [
        json(400, { error: "invalid_grant", error_description: "Token has been revoked" }),
        json(400, { error: "temporarily_unavailable" }),
        { status: 502, body: "<html>" },
        { status: 200, body: "{}" }
      ]
      const server = yield* tokenServer((_, count) => answers[count - 1])
      const source = OAuth2Grant.refreshToken({ url: server.url, clientId: "me", refreshToken })
      const failures = yield* Effect.forEach(answers, () => Effect.flip(source))
      assert.deepStrictEqual(failures.map(({ _tag, isRetryable }) => [_tag, isRetryable]), [
        ["AuthenticationFailed", false],
        ["ConnectionFailed", true],
        ["ConnectionFailed", true],
        ["ConnectionFailed", true]
      ])
      assert.notInclude(
        failures.map((failure) => `${failure.message} ${Inspectable.toStringUnknown(failure)}`).join(),
        "r1-secret"
      )
    }))

  it.live("fails when there is no server, and when it does not answer in time", () =>
    Effect.gen(function*() {
      const silent = yield* tokenServer(() => undefined)
      const source = (url: string) =>
        OAuth2Grant.refreshToken({ url, clientId: "me", refreshToken, timeout: "50 millis" })
      assert.include((yield* Effect.flip(source(silent.url))).message, "no answer in time")
      const closed = yield* Effect.scoped(Effect.map(tokenServer(() => undefined), ({ url }) => url))
      const { isRetryable, message } = yield* Effect.flip(source(closed))
      assert.isTrue(isRetryable)
      assert.include(message, "the token server: connect ECONNREFUSED")
    }))

  it("refuses an address that is no URL when it is made, and not at the first login", () => {
    assert.throws(() => OAuth2Grant.refreshToken({ url: "example.com/token", clientId: "me", refreshToken }), TypeError)
  })
})

describe("an account with OAuth2", () => {
  it.live("logs in to IMAP and SMTP with one token, and goes on when the token was replaced", () =>
    Effect.gen(function*() {
      const mail = yield* MailServer.make({ users: [{ name: "ann", password: "a2", address: "ann@example.com" }] })
      // the embedded server takes the user's password as the token: the first one granted here is no longer good
      const server = yield* tokenServer((_, count) => json(200, { access_token: `a${count}`, expires_in: 3600 }))
      const endpoint = (port: number) => new Endpoint({ host: mail.host, port, security: "none" })
      const config = new AccountConfig({
        filesSentMail: false,
        name: "ann",
        address: "ann@example.com",
        credentials: new OAuth2({
          user: "ann",
          tokens: OAuth2Grant.refreshToken({ url: server.url, clientId: "me", refreshToken })
        }),
        imap: endpoint(mail.imapPort),
        smtp: endpoint(mail.smtpPort)
      })
      yield* Effect.gen(function*() {
        const account = yield* MailAccount
        yield* account.send(new Draft({ to: "ann@example.com", subject: "to myself" }))
        assert.strictEqual((yield* account.search(Query.inbox)).size, 1)
      }).pipe(Effect.provide(MailAccount.layer(config, { retry: RetryPolicy.none })))
      assert.strictEqual(server.forms.length, 2)
      yield* untilConnections(mail, 0)
    }).pipe(Effect.scoped))
})

describe("the body of a token server's answer", () => {
  const source = (handle: RequestListener) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const server = createServer(handle)
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            server.closeAllConnections()
            server.close()
          })
      ),
      (server) =>
        OAuth2Grant.refreshToken({
          url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, // it listens on TCP
          clientId: "me",
          refreshToken,
          timeout: "200 millis"
        })
    )

  it.live("is not waited for beyond the time-out", () =>
    Effect.gen(function*() {
      const tokens = yield* source((_, response) => void response.writeHead(200).write("{"))
      assert.include((yield* Effect.flip(tokens)).message, "no answer in time")
    }))

  it.live("is not read beyond 64 KiB", () =>
    Effect.gen(function*() {
      const tokens = yield* source((_, response) =>
        void response.end(JSON.stringify({ access_token: "a", padding: "x".repeat(70_000) }))
      )
      assert.include((yield* Effect.flip(tokens)).message, "too long")
    }))
})
