/**
 * SMTP connections with nodemailer; this file and its folder are the only ones that know the package. Owns the socket of
 * a connection from the first packet to its `close` event, and how one is opened and logged in. What a send concludes is
 * `GatedSend`'s work.
 */
import { Clock, Deferred, Duration, Effect, Exit, Layer, Redacted, type Scope, Semaphore } from "effect"
import { isAscii } from "node:buffer"
import * as Net from "node:net"
import { type Endpoint, portOf } from "../domain/AccountConfig.ts"
import type { AccessToken, Login } from "../domain/Credentials.ts"
import { ConnectionLost, type Reason, TimedOut, Unsupported } from "../domain/MailError.ts"
import * as Alarm from "./Alarm.ts"
import { gatedSend, type Session, type SessionListener } from "./GatedSend.ts"
import { SMTPConnection, type SMTPConnectionCustomAuthContext } from "./nodemailer/package.ts"
import { type Aftermath, checkEnvelope } from "./SendFate.ts"
import { type DsnOptions, type SmtpConnection, type SmtpConnectOptions, SmtpDriver } from "./SmtpDriver.ts"
import {
  bearerMessage,
  checkDsn,
  checkOffer,
  chooseMechanism,
  connectReason,
  type Failure,
  maxSizeOf,
  type Progress,
  readCapabilities,
  withoutSecret
} from "./SmtpHandshake.ts"
import { tlsOptions } from "./TlsOptions.ts"

export { layerComposer } from "./nodemailer/composer.ts"

/** How long a connection that ends well waits for the answer to QUIT. */
const quitTimeoutMillis = 1000

/**
 * nodemailer's own time-outs run on the wall clock and see inactivity only; they are left as a last resort, as far away
 * as a timer of Node can be set. It takes a longer one for none at all.
 */
const backstopMillis = 2 ** 31 - 1

/**
 * Opens SMTP connections. An 8-bit body is declared with 8BITMIME where the server has it and sent as it is where not:
 * re-encoding would break signatures, and servers without the extension pass the octets on all the same.
 */
export const layerSmtp: Layer.Layer<SmtpDriver> = Layer.succeed(SmtpDriver, {
  connect: Effect.fnUntraced(function*(options): Effect.fn.Return<SmtpConnection, Reason, Scope.Scope> {
    const wire = yield* Effect.acquireRelease(Effect.sync(() => openWire(options)), release)
    yield* Effect.andThen(greet(wire), login(wire, options.credentials)).pipe(
      Effect.timeoutOrElse({
        duration: Duration.millis(options.connectTimeoutMillis),
        orElse: () =>
          Effect.fail(
            new TimedOut({ wait: "connect", after: Duration.millis(options.connectTimeoutMillis), written: false })
          )
      }),
      Effect.onError(() => discard(wire))
    )
    return connection(wire, yield* Clock.Clock, yield* timer(wire))
  })
})

/** Asks whoever listens whether it has waited too long, and asks again when it says so; nobody, nothing. */
const timer = (wire: Wire): Effect.Effect<Session["askAgain"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const set: (at: number) => void = yield* Alarm.make(Effect.sync(() => set(wire.listener?.asked() ?? Infinity)))
    return (at) => Effect.sync(() => set(at))
  })

/** One socket and the session on it. */
interface Wire {
  readonly endpoint: Endpoint
  readonly port: number
  readonly raw: Net.Socket
  readonly smtp: SMTPConnection
  readonly closed: Deferred.Deferred<string>
  /** The first thing that went wrong, as nodemailer or the socket said it. */
  failure: Failure | undefined
  step: "tcp" | "greeting" | "login"
  listener: SessionListener | undefined
  capabilities: ReadonlyMap<string, string>
  after: Aftermath
  busy: boolean
  sent: number
}

const openWire = ({ credentials, endpoint }: SmtpConnectOptions): Wire => {
  const { host, security, trust } = endpoint
  const port = portOf("smtp", endpoint)
  const raw = Net.connect({ host, port })
  const smtp = new SMTPConnection({
    host,
    port,
    // a socket of ours in all cases: its `close` event is the end of the connection, whatever wraps it meanwhile
    connection: raw,
    secure: security === "tls",
    // Where EHLO is refused, that refusal counts: without this HELO is tried, in whose sessions nobody can log in.
    requireTLS: security !== "none",
    ignoreTLS: security === "none",
    tls: tlsOptions(trust),
    customAuth: credentials._tag === "AccessToken" ? { [bearer]: authenticateBearer(endpoint, credentials) } : {},
    connectionTimeout: backstopMillis,
    greetingTimeout: backstopMillis,
    socketTimeout: backstopMillis,
    socketCloseTimeout: 0,
    logger: false
  })
  const wire: Wire = {
    endpoint,
    port,
    raw,
    smtp,
    closed: Deferred.makeUnsafe(),
    failure: undefined,
    step: "tcp",
    listener: undefined,
    capabilities: new Map(),
    after: "clean",
    busy: false,
    sent: 0
  }
  // both emitters must have a listener before anything can happen, or an error would end the process
  raw.on("error", (error) => {
    wire.failure ??= error
  })
  smtp.on("error", (error: Failure) => {
    wire.failure ??= error
    wire.listener?.changed()
  })
  smtp.on("end", () => wire.listener?.changed())
  raw.once("connect", () => {
    wire.step = "greeting"
  })
  raw.once("close", () => {
    Deferred.doneUnsafe(wire.closed, Effect.succeed(wire.failure?.message ?? "closed"))
    wire.listener?.changed()
  })
  return wire
}

/** The socket that carries the session: after STARTTLS the TLS socket around ours. */
const socketOf = (wire: Wire): Net.Socket => wire.smtp._socket || wire.raw

const isOpen = (wire: Wire): boolean => {
  const socket = socketOf(wire)
  return !wire.smtp.destroyed && !wire.raw.destroyed && !socket.destroyed && socket.writable && !socket.readableEnded
}

const destroy = (wire: Wire): void => {
  wire.after = "broken"
  wire.smtp.close()
  socketOf(wire).destroy()
  wire.raw.destroy()
}

const discard = (wire: Wire): Effect.Effect<void> =>
  Effect.andThen(Effect.sync(() => destroy(wire)), Effect.asVoid(Deferred.await(wire.closed)))

/** Ends a session that is well with QUIT, any other at once; done when the socket has closed. */
const release = (wire: Wire, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!Exit.isSuccess(exit) || wire.busy || wire.after === "broken" || !isOpen(wire)) return discard(wire)
    wire.smtp.quit()
    return Deferred.await(wire.closed).pipe(
      Effect.timeoutOption(Duration.millis(quitTimeoutMillis)),
      Effect.andThen(discard(wire))
    )
  })

/**
 * Runs one call of nodemailer that reports by callback. It never calls back where the connection dies meanwhile, so
 * every sign of that ends the wait too.
 */
const call = (wire: Wire, start: (done: (failure?: Failure | null) => void) => void): Effect.Effect<void, Failure> =>
  Effect.callback((resume) => {
    const finish = (failure: Failure | undefined) => {
      wire.listener = undefined
      resume(failure === undefined ? Effect.void : Effect.fail(failure))
    }
    wire.listener = {
      data: () => {},
      changed: () => {
        if (wire.listener === undefined || isOpen(wire)) return
        // an error of the same turn says more than the closed socket
        setImmediate(() => finish(wire.failure ?? { message: "closed by the server" }))
      },
      asked: () => Infinity
    }
    start((failure) => finish(failure ?? undefined))
    return Effect.sync(() => {
      wire.listener = undefined
    })
  })

/** Name lookup, TCP, TLS or STARTTLS, greeting and EHLO. */
const greet = (wire: Wire): Effect.Effect<void, Reason> =>
  Effect.callback<void, Failure>((resume) => {
    wire.raw.once("connect", () => resume(Effect.void))
    wire.raw.once("error", (error: Failure) => resume(Effect.fail(error)))
  }).pipe(
    Effect.andThen(Effect.acquireUseRelease(
      Effect.sync(() => hearRefusedEhlo(wire)),
      ({ refusal }) =>
        call(wire, (done) => wire.smtp.connect(done)).pipe(
          Effect.mapError((failure) => refusal() ?? failure),
          Effect.andThen(Effect.suspend(() => {
            const refused = refusal()
            return refused === undefined ? Effect.void : Effect.fail(refused)
          }))
        ),
      ({ deafen }) => Effect.sync(deafen)
    )),
    Effect.mapError((failure) => connectReason(failure, progress(wire))),
    Effect.andThen(Effect.sync(() => {
      wire.capabilities = readCapabilities(String(wire.smtp.lastServerResponse))
      wire.step = "login"
    }))
  )

/**
 * Where nothing is to be encrypted, nodemailer greets with HELO after any refusal of EHLO, one that passes among them, and
 * then nobody can log in. That refusal is its last reply at the moment when one to HELO arrives.
 */
const hearRefusedEhlo = ({ endpoint, raw, smtp }: Wire) => {
  let refusal: Failure | undefined
  const look = () => {
    const last = smtp.lastServerResponse
    if (last !== false && last.startsWith("4")) refusal = { message: last, response: last, command: "EHLO" }
  }
  // nodemailer listens from the next turn on; whoever listens before it takes the greeting away from it
  const listening = endpoint.security === "none" ? setImmediate(() => raw.prependListener("data", look)) : undefined
  return {
    refusal: () => refusal,
    deafen: () => {
      clearImmediate(listening)
      raw.off("data", look)
    }
  }
}

const bearer = "BEARER"

const login = (wire: Wire, credentials: Login): Effect.Effect<void, Reason> =>
  Effect.suspend(() => {
    if (wire.endpoint.security !== "none" && !wire.smtp.secure) {
      return Effect.fail(new Unsupported({ capability: "STARTTLS", detail: "the wire is not encrypted" }))
    }
    const mechanism = chooseMechanism(wire.capabilities, credentials)
    if (typeof mechanism !== "string") return Effect.fail(mechanism)
    const auth = credentials._tag === "AccessToken"
      ? { method: bearer, user: credentials.user }
      : { method: mechanism, user: credentials.user, pass: Redacted.value(credentials.password) }
    return Effect.mapError(
      call(wire, (done) => wire.smtp.login(auth, done)),
      (failure) => connectReason(withoutSecret(failure, credentials), progress(wire))
    )
  })

/** Sends the token; a refused one is answered with a challenge first, which wants an empty reply (RFC 7628 3.2.3). */
const authenticateBearer =
  (endpoint: Endpoint, credentials: AccessToken) => (context: SMTPConnectionCustomAuthContext) => {
    const mechanism = context.authMethods.includes("XOAUTH2") ? "XOAUTH2" : "OAUTHBEARER"
    const message = Buffer.from(bearerMessage(mechanism, endpoint, portOf("smtp", endpoint), credentials)).toString(
      "base64"
    )
    const conclude = (status: number) => status === 235 ? context.resolve() : context.reject("login refused")
    context.sendCommand(`AUTH ${mechanism} ${message}`, (_, reply) => {
      if (reply.status !== 334) return conclude(reply.status)
      context.sendCommand(mechanism === "XOAUTH2" ? "" : "AQ==", (_, last) => conclude(last.status))
    })
  }

const progress = (wire: Wire): Progress => ({
  host: wire.endpoint.host,
  port: wire.port,
  step: wire.step,
  isUpgrading: wire.smtp.upgrading === true
})

const connection = (wire: Wire, clock: Clock.Clock, askAgain: Session["askAgain"]): SmtpConnection => {
  const socket = socketOf(wire)
  socket.prependListener("data", (chunk: Uint8Array) => wire.listener?.data(chunk))
  socket.on("end", () => wire.listener?.changed())
  socket.on("close", () => wire.listener?.changed())
  const session: Session = {
    socket,
    isOpen: () => isOpen(wire),
    send: ({ dsn, ...request }, body, done) =>
      wire.smtp.send(
        dsn === undefined ? request : { ...request, dsn: toNodemailerDsn(dsn) },
        body,
        (error) => done(error ?? undefined)
      ),
    listen: (listener) => {
      wire.listener = listener
      return () => {
        wire.listener = undefined
      }
    },
    clock,
    askAgain
  }
  const oneAtATime = Semaphore.makeUnsafe(1)
  const settle = (aftermath: Aftermath) => {
    if (aftermath === "broken") destroy(wire)
    else wire.after = aftermath
    wire.busy = false
  }
  const unusable = () =>
    new ConnectionLost({ detail: wire.failure?.message ?? "the connection is closed", written: false })
  return {
    isUsable: () => wire.after !== "broken" && isOpen(wire),
    closed: Deferred.await(wire.closed),
    maxSize: maxSizeOf(wire.capabilities),
    sent: () => wire.sent,
    send: (envelope, source, options) =>
      oneAtATime.withPermit(Effect.suspend(() => {
        const { dsn } = options
        const invalid = checkEnvelope(envelope) ?? (dsn === undefined ? undefined : checkDsn(dsn)) ??
          checkOffer(wire.capabilities, envelope, source.length, dsn)
        if (invalid !== undefined) return Effect.fail(invalid)
        if (wire.after === "broken" || !isOpen(wire)) return Effect.fail(unusable())
        wire.busy = true
        const eightBit = !isAscii(source)
        return (wire.after === "reset" ? reset(wire, options.commandTimeoutMillis) : Effect.void).pipe(
          Effect.andThen(Effect.suspend(() => gatedSend(session, envelope, source, eightBit, options, settle))),
          Effect.tap(() => Effect.sync(() => wire.sent++)),
          // gone for good before the interruption has ended
          Effect.onInterrupt(() => wire.after === "broken" || wire.busy ? discard(wire) : Effect.void)
        )
      }))
  }
}

const toNodemailerDsn = ({ envid, notify, ret }: DsnOptions) => ({
  ...(notify === undefined ? {} : { notify: typeof notify === "string" ? notify : [...notify] }),
  ...(ret === undefined ? {} : { ret: ret === "full" ? "FULL" : "HDRS" }),
  ...(envid === undefined ? {} : { id: envid })
})

/** After a refusal the server may still hold the envelope of the message before (RFC 5321 4.1.1.5). */
const reset = (wire: Wire, timeoutMillis: number): Effect.Effect<void, Reason> =>
  call(wire, (done) => wire.smtp.reset(done)).pipe(
    Effect.mapError((failure) => new ConnectionLost({ detail: failure.message, written: false })),
    Effect.timeoutOrElse({
      duration: Duration.millis(timeoutMillis),
      orElse: () =>
        Effect.fail(new TimedOut({ wait: "command", after: Duration.millis(timeoutMillis), written: false }))
    }),
    Effect.onError(() =>
      Effect.sync(() => {
        wire.busy = false
        destroy(wire)
      })
    )
  )
