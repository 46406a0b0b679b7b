/**
 * `ImapDriver` over a `MailStore`: greeting, login and release of connections without sockets. What a connection can do
 * once it is logged in is `MemorySession`'s; counting, faults and time are the wire's.
 */
import { Duration, Effect, Exit, type Scope } from "effect"
import { portOf } from "../domain/AccountConfig.ts"
import { type Login, secretOf } from "../domain/Credentials.ts"
import { ConnectionFailed, type Reason, TimedOut } from "../domain/MailError.ts"
import { imapLogin } from "../driver/Classification.ts"
import type { ImapConnection, ImapConnectOptions } from "../driver/ImapDriver.ts"
import type { MailStore } from "./MailStore.ts"
import { sessionExchange, toRefusal } from "./MemoryAnswers.ts"
import { openSession } from "./MemorySession.ts"
import type { MemoryNetwork, MemoryWire } from "./MemoryWire.ts"
import type { StoredUser } from "./StoredUser.ts"

/** What the server is like. Times in milliseconds. */
export interface MemoryImapOptions {
  readonly store: MailStore
  readonly network: MemoryNetwork
  readonly capabilities: ReadonlySet<string>
  readonly latency: number
  readonly loginLatency: number
}

/** How long a closing connection waits for the answer to LOGOUT. */
export const logoutTimeout = Duration.seconds(5)

export const connect = (
  server: MemoryImapOptions
) =>
(options: ImapConnectOptions): Effect.Effect<ImapConnection, Reason, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const wire = server.network.open("imap", options.credentials.user)
      yield* Effect.addFinalizer((exit) => release(wire, exit))
      const user = yield* restore(login(server, wire, options)).pipe(
        Effect.onError(() => Effect.sync(() => wire.close("no login")))
      )
      return openSession(server, wire, user)
    })
  )

const login = (server: MemoryImapOptions, wire: MemoryWire, options: ImapConnectOptions) => {
  const { connectTimeoutMillis, credentials, endpoint } = options
  let wait: "connect" | "login" = "connect"
  const failed = (step: "greeting" | "login") => (detail: string) =>
    new ConnectionFailed({ host: endpoint.host, port: portOf("imap", endpoint), step, detail, permanent: false })
  const handshake = Effect.gen(function*() {
    yield* wire.exchange({
      command: "connect",
      roundTrip: server.latency,
      act: () => Effect.void,
      answered: (answer) => Effect.fail(imapLogin(toRefusal(answer))),
      lost: failed("greeting"),
      garbled: failed("greeting")
    })
    wait = "login"
    return yield* wire.exchange({
      command: credentials._tag === "Password" ? "LOGIN" : "AUTHENTICATE",
      roundTrip: server.loginLatency,
      act: () => Effect.suspend(() => admit(server, wire, credentials)),
      answered: (answer) => Effect.fail(imapLogin(toRefusal(answer))),
      lost: failed("login"),
      garbled: failed("login")
    })
  })
  return handshake.pipe(Effect.timeoutOrElse({
    duration: connectTimeoutMillis,
    orElse: () =>
      Effect.fail(new TimedOut({ wait, after: Duration.millis(connectTimeoutMillis), written: wait === "login" }))
  }))
}

const admit = (
  { network, store }: MemoryImapOptions,
  wire: MemoryWire,
  credentials: Login
): Effect.Effect<StoredUser, Reason> => {
  const user = store.login(credentials.user, secretOf(credentials))
  if (user === undefined) {
    return Effect.fail(imapLogin({ status: "NO", code: "AUTHENTICATIONFAILED", text: "Authentication failed." }))
  }
  if (network.isFull(wire)) {
    return Effect.fail(imapLogin({ status: "NO", code: "LIMIT", text: "Too many simultaneous connections." }))
  }
  wire.isLoggedIn = true
  return Effect.succeed(user)
}

/** LOGOUT takes no time unless a fault says so: a test under TestClock may end without moving the clock. */
const release = (wire: MemoryWire, exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) && wire.isOpen
    ? wire.exchange({ ...sessionExchange("LOGOUT", 0), act: () => Effect.void }).pipe(
      Effect.timeoutOption(logoutTimeout),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => wire.close("logged out")))
    )
    : Effect.sync(() => wire.close("closed by the client"))
