/** What the SMTP loopback tests share: a target on a scripted server, its credentials, a message and its envelope. */
import { Effect, Redacted } from "effect"
import { Endpoint, Trust } from "../../src/domain/AccountConfig.ts"
import { type Login, Password } from "../../src/domain/Credentials.ts"
import { type SendOptions, type SmtpConnectOptions, SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import { certificate } from "./certificate.ts"
import type { Action, Script, ScriptedSmtpServer, Step } from "./ScriptedSmtpServer.ts"

export const secret = "s3cret-word"
export const password = new Password({ user: "ann", password: Redacted.make(secret, { label: "password" }) })
export const timeouts: SendOptions = { commandTimeoutMillis: 5000, answerTimeoutMillis: 5000 }
export const envelope = { from: "ann@example.com", to: ["bob@example.org"] }
export const source = Buffer.from("Subject: hello\r\n\r\nfirst\r\n.\r\n..two dots\r\nlast\r\n")
export const large = Buffer.concat([source, Buffer.alloc(40_000 * 80, `${"x".repeat(78)}\r\n`)])

export type Wire = "tls" | "starttls" | "none"

export const target = (
  server: ScriptedSmtpServer,
  security: Wire = "none",
  credentials: Login = password,
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

export const connect = (options: SmtpConnectOptions) => Effect.flatMap(SmtpDriver, (driver) => driver.connect(options))

/** One action at the nth time a step is reached, all else as usual. */
export const at = (step: Step, action: Action, nth = 1): Script => (reached, times) =>
  reached === step && times === nth ? action : undefined

/** More than the kernel takes in advance, so that a client still has octets to write when the server speaks. */
export const huge = Buffer.concat([source, Buffer.alloc(300_000 * 80, `${"x".repeat(78)}\r\n`)])
