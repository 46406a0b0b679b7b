import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Deferred, Effect, Exit, Fiber, Redacted } from "effect"
import { Endpoint, Trust } from "../../src/domain/AccountConfig.ts"
import { AccessToken, type Credentials, Password } from "../../src/domain/Credentials.ts"
import type { Reason } from "../../src/domain/MailError.ts"
import { layerSmtp } from "../../src/driver/nodemailer.ts"
import { type SendOptions, type SendPhase, type SmtpConnectOptions, SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import { certificate } from "./certificate.ts"
import {
  type Action,
  defaultExtensions,
  type ScriptedSmtpServer,
  scriptedSmtpServer,
  type ServerOptions,
  type Step
} from "./ScriptedSmtpServer.ts"

const password = new Password({ user: "ann", password: Redacted.make("s3cret-word", { label: "password" }) })
const timeouts: SendOptions = { commandTimeoutMillis: 5000, answerTimeoutMillis: 5000 }
const envelope = { from: "ann@example.com", to: ["bob@example.org"] }
const source = Buffer.from("Subject: hello\r\n\r\nfirst\r\n.\r\n..two dots\r\nlast\r\n")

const target = (
  server: ScriptedSmtpServer,
  security: "tls" | "starttls" | "none" = "none",
  credentials: Credentials = password,
  connectTimeoutMillis = 5000
): SmtpConnectOptions => ({
  endpoint: new Endpoint({
    host: "127.0.0.1",
    port: server.port,
    security,
    ...(security === "none" ? {} : { trust: new Trust({ ca: certificate }) })
  }),
  credentials,
  connectTimeoutMillis
})

const connect = (options: SmtpConnectOptions) => Effect.flatMap(SmtpDriver, (driver) => driver.connect(options))

const at = (step: Step, action: Action, nth = 1): ServerOptions["script"] => (reached, times) =>
  reached === step && times === nth ? action : undefined

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
void [Deferred, Exit, Fiber, AccessToken, defaultExtensions, at]
export type { Reason }
