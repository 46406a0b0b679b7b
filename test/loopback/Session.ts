/** A connection of the imapflow driver to a scripted server, and what tests ask of it. */
import { Effect, Redacted, type Scope } from "effect"
import { Endpoint, type Trust } from "../../src/domain/AccountConfig.ts"
import { AccessToken, Password } from "../../src/domain/Credentials.ts"
import type { Reason } from "../../src/domain/MailError.ts"
import { type ImapConnection, ImapDriver } from "../../src/driver/ImapDriver.ts"
import { type Script, scripted, type ScriptedImapServer } from "./ScriptedImapServer.ts"

export interface ConnectOptions {
  readonly security?: "tls" | "starttls" | "none"
  readonly trust?: Trust
  readonly token?: string
  readonly user?: string
  readonly password?: string
  readonly connectTimeoutMillis?: number
  readonly literalLimit?: number
}

export const secret = "s3cret-pass"

export const connect = (
  port: number,
  options: ConnectOptions = {}
): Effect.Effect<ImapConnection, Reason, ImapDriver | Scope.Scope> => {
  const user = options.user ?? "anna"
  return ImapDriver.use((driver) =>
    driver.connect({
      endpoint: new Endpoint({
        host: "127.0.0.1",
        port,
        security: options.security ?? "none",
        ...(options.trust === undefined ? {} : { trust: options.trust })
      }),
      credentials: options.token === undefined
        ? new Password({ user, password: Redacted.make(options.password ?? secret, { label: "password" }) })
        : new AccessToken({ user, token: Redacted.make(options.token, { label: "token" }) }),
      connectTimeoutMillis: options.connectTimeoutMillis ?? 60_000,
      literalLimit: options.literalLimit
    })
  )
}

export interface Session {
  readonly server: ScriptedImapServer
  readonly connection: ImapConnection
}

/** Connects to a server that follows the script; with `select` set, INBOX is selected before the script's commands. */
export const session = (
  script: Script,
  options: ConnectOptions & { readonly select?: "read-write" | "read-only" } = {}
): Effect.Effect<Session, Reason, ImapDriver | Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* scripted(script)
    const connection = yield* connect(server.port, options)
    if (options.select !== undefined) yield* connection.select("INBOX", { readOnly: options.select === "read-only" })
    return { server, connection }
  })

/** The reason of a failure; a success is a test that fails. */
export const failure = <A, R>(effect: Effect.Effect<A, Reason, R>): Effect.Effect<Reason, never, R> =>
  effect.pipe(Effect.flip, Effect.catch((value) => Effect.die(new Error(`expected a failure, got ${String(value)}`))))

export const select = { select: "read-write" } as const
