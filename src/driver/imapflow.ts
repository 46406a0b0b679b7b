/**
 * The IMAP driver over imapflow. Everything above the contract in `ImapDriver` is independent of it. Its own time-outs are
 * set far beyond any bound of ours: every wait is bounded on the Clock.
 */
import { Effect, Layer, type Scope } from "effect"
import { portOf } from "../domain/AccountConfig.ts"
import { type Login, secretOf } from "../domain/Credentials.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import { withoutSecretOf } from "./EchoedSecret.ts"
import { type ImapConnection, type ImapConnectOptions, ImapDriver } from "./ImapDriver.ts"
import type { ImapFlow } from "./imapflow/client.ts"
import { makeConnection } from "./imapflow/connection.ts"
import { Link } from "./imapflow/link.ts"
import { Wire } from "./imapflow/wire.ts"
import { Witness } from "./imapflow/witness.ts"
import { loadedOnce } from "./LoadedOnce.ts"
import { tlsOptions } from "./TlsOptions.ts"

const imapflow = loadedOnce(() => import("./imapflow/client.ts"))

/** Beyond every bound of ours, the 29 minutes of an IDLE (RFC 2177 3) included. */
const farMillis = 60 * 60 * 1000

const connect = Effect.fnUntraced(
  function*(options: ImapConnectOptions): Effect.fn.Return<ImapConnection, Reason, Scope.Scope> {
    const refused = badCredentials(options.credentials)
    if (refused !== undefined) return yield* refused
    const { ImapFlow: Client, ...decoders } = yield* imapflow
    const link = yield* Effect.acquireRelease(
      Effect.sync(() => makeLink(options, Client)),
      (link, exit) => link.end(exit)
    )
    const { endpoint } = options
    yield* link.connect(options, { host: endpoint.host, port: portOf("imap", endpoint) })
    return makeConnection(link, decoders)
  }
)

/** Opens real IMAP connections. */
export const layer: Layer.Layer<ImapDriver> = Layer.succeed(ImapDriver, ImapDriver.of({ connect }))

const makeLink = ({ credentials, endpoint, literalLimit }: ImapConnectOptions, Client: typeof ImapFlow): Link => {
  const wire = new Wire()
  const witness = new Witness()
  const { host, security, trust } = endpoint
  const secret = secretOf(credentials)
  const client: ImapFlow = new Client({
    host,
    port: portOf("imap", endpoint),
    secure: security === "tls",
    // Required where it is wanted: without it imapflow would go on in clear.
    doSTARTTLS: security === "starttls",
    tls: tlsOptions(trust),
    transport: wire.transport,
    auth: {
      user: credentials.user,
      ...(credentials._tag === "Password" ? { pass: secret } : { accessToken: secret }),
      // LOGIN is one round trip less than AUTHENTICATE, but takes only what a quoted string can hold.
      get loginMethod() {
        const isPlain = /^[\x20-\x7e]*$/.test(credentials.user + secret)
        return isPlain && !client.capabilities.has("LOGINDISABLED") ? "LOGIN" : undefined
      }
    },
    clientInfo: { name: "effect-mail", version: false, vendor: false, "support-url": false },
    logger: witness.logger,
    qresync: true,
    disableIMAP4rev2: true,
    disableAutoIdle: true,
    disableCompression: true,
    disableBinary: true,
    ...(literalLimit === undefined ? {} : { maxLiteralSize: literalLimit, maxLineLength: literalLimit }),
    connectionTimeout: farMillis,
    greetingTimeout: farMillis,
    socketTimeout: farMillis
  })
  return new Link(client, wire, witness, withoutSecretOf(credentials))
}

const badCredentials = (credentials: Login): Reason | undefined => {
  const field = /[\r\n\0]/.test(credentials.user)
    ? "user"
    : /[\r\n\0]/.test(secretOf(credentials))
    ? "secret"
    : undefined
  return field === undefined ? undefined : new InvalidInput({ field, problem: "holds a line break or NUL" })
}
