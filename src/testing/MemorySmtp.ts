/**
 * `SmtpDriver` over a `MailStore`: messages for users of the store arrive in their INBOX, all others are recorded. MAIL,
 * RCPT and DATA are pipelined (RFC 2920) and cost one round trip, the end of the message costs another. It gives the
 * reasons of the contract by the same tables as an adapter does. Counting, faults and time are the wire's.
 */
import { Duration, Effect, Exit, Fiber, type Scope } from "effect"
import { portOf } from "../domain/AccountConfig.ts"
import { secretOf } from "../domain/Credentials.ts"
import {
  ConnectionFailed,
  ConnectionLost,
  OutcomeUnknown,
  ProtocolViolation,
  type Reason,
  RecipientsRejected,
  RefusedRecipient,
  TimedOut,
  TooLarge
} from "../domain/MailError.ts"
import { parseSmtpReply, smtpReason, type SmtpReply, type SmtpStep } from "../driver/Classification.ts"
import type {
  DsnOptions,
  SendOptions,
  SmtpAccepted,
  SmtpConnection,
  SmtpConnectOptions,
  SmtpEnvelope
} from "../driver/SmtpDriver.ts"
import { checkDsn, noDsn } from "../driver/SmtpHandshake.ts"
import type { MailStore } from "./MailStore.ts"
import { logoutTimeout } from "./MemoryImap.ts"
import type { Answer, Exchange, MemoryNetwork, MemoryWire } from "./MemoryWire.ts"
import type { AcceptedMessage } from "./server/Observations.ts"

/** What the server is like. Times in milliseconds. */
export interface MemorySmtpOptions {
  readonly store: MailStore
  readonly network: MemoryNetwork
  readonly accept: (message: AcceptedMessage) => void
  readonly latency: number
  readonly loginLatency: number
  /** The SIZE it announces, octets. */
  readonly maxSize: number | undefined
  /** It has DSN (RFC 3461). */
  readonly hasDsn: boolean
  /** It files what it accepts for the user who sent it. */
  readonly filesSentMail: boolean
}

export const connect = (
  server: MemorySmtpOptions
) =>
(options: SmtpConnectOptions): Effect.Effect<SmtpConnection, Reason, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const wire = server.network.open("smtp", options.credentials.user)
      yield* Effect.addFinalizer((exit) => release(wire, exit))
      yield* restore(login(server, wire, options)).pipe(
        Effect.onError(() => Effect.sync(() => wire.close("no login")))
      )
      return open(server, wire)
    })
  )

const login = (server: MemorySmtpOptions, wire: MemoryWire, options: SmtpConnectOptions) => {
  const { connectTimeoutMillis, credentials, endpoint } = options
  let wait: "connect" | "login" = "connect"
  const failed = (step: "greeting" | "login") => (detail: string) =>
    new ConnectionFailed({ host: endpoint.host, port: portOf("smtp", endpoint), step, detail, permanent: false })
  const step = (command: string, name: SmtpStep, roundTrip: number, act: () => Effect.Effect<void, Reason>) =>
    wire.exchange({
      command,
      roundTrip,
      act,
      answered: (answer) => Effect.fail(smtpReason(toReply(answer), name)),
      lost: failed(name === "login" ? "login" : "greeting"),
      garbled: failed(name === "login" ? "login" : "greeting")
    })
  const admit = Effect.suspend(() => {
    const user = server.store.login(credentials.user, secretOf(credentials))
    if (user === undefined) {
      return Effect.fail(smtpReason({ code: 535, enhanced: "5.7.8", text: "Authentication failed" }, "login"))
    }
    if (server.network.isFull(wire)) {
      return Effect.fail(smtpReason({ code: 421, enhanced: "4.7.0", text: "Too many connections" }, "login"))
    }
    wire.isLoggedIn = true
    return Effect.void
  })
  return Effect.gen(function*() {
    yield* step("connect", "greeting", server.latency, () => Effect.void)
    yield* step("EHLO", "ehlo", server.latency, () => Effect.void)
    wait = "login"
    yield* step("AUTH", "login", server.loginLatency, () => admit)
  }).pipe(Effect.timeoutOrElse({
    duration: connectTimeoutMillis,
    orElse: () =>
      Effect.fail(new TimedOut({ wait, after: Duration.millis(connectTimeoutMillis), written: wait === "login" }))
  }))
}

/** QUIT takes no time unless a fault says so: a test under TestClock may end without moving the clock. */
const release = (wire: MemoryWire, exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) && wire.isOpen
    ? wire.exchange(refusable("QUIT", 0, "message", 0)).pipe(
      Effect.timeoutOption(logoutTimeout),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => wire.close("the client said QUIT")))
    )
    : Effect.sync(() => wire.close("closed by the client"))

/**
 * A step before the end of the message. Nothing of it can have been accepted, so `written` is false: the message as a
 * whole has not reached the server.
 */
const refusable = (command: string, roundTrip: number, step: SmtpStep, size: number): Exchange<void> => ({
  command,
  roundTrip,
  act: () => Effect.void,
  answered: (answer) => Effect.fail(smtpReason(toReply(answer), step, size)),
  lost: (detail) => new ConnectionLost({ detail, written: false }),
  garbled: (detail) => new ProtocolViolation({ detail, written: false })
})

/** A script that gives an IMAP answer to SMTP is read as a permanent refusal, BYE as 421. */
const toReply = (answer: Answer): SmtpReply => {
  if (answer._tag === "Refuse") return { code: answer.status === "BYE" ? 421 : 554, text: answer.text }
  return parseSmtpReply(`${answer.code} ${answer.text}`) ?? { code: answer.code, text: answer.text }
}

const spoken = ({ code, enhanced, text }: SmtpReply): string =>
  enhanced === undefined ? `${code} ${text}` : `${code} ${enhanced} ${text}`

const refusal = (address: string, reply: SmtpReply) =>
  new RefusedRecipient({ address, code: reply.code, response: spoken(reply), permanent: reply.code >= 500 })

const open = (server: MemorySmtpOptions, wire: MemoryWire): SmtpConnection => {
  const { accept, hasDsn, latency, maxSize, store } = server
  let sent = 0

  const within = <A>(effect: Effect.Effect<A, Reason>, millis: number, late: (after: Duration.Duration) => Reason) =>
    Effect.timeoutOrElse(effect, { duration: millis, orElse: () => Effect.fail(late(Duration.millis(millis))) })

  /** RCPT; the answer is the refusal, if there is one. 421 is about the connection, not about the recipient. */
  const recipient = (address: string, size: number): Effect.Effect<RefusedRecipient | undefined, Reason> =>
    wire.exchange({
      ...refusable("RCPT", 0, "recipient", size),
      mailbox: address,
      act: () => {
        const user = store.userOfAddress(address)
        const isFull = user?.quota !== undefined && user.usage + size > user.quota
        return Effect.succeed(
          isFull ? refusal(address, { code: 452, enhanced: "4.2.2", text: "Mailbox full" }) : undefined
        )
      },
      answered: (answer) => {
        const reply = toReply(answer)
        return reply.code === 421
          ? Effect.fail(smtpReason(reply, "recipient", size))
          : Effect.succeed(refusal(address, reply))
      }
    })

  const negotiate = Effect.fnUntraced(function*({ from, to }: SmtpEnvelope, size: number, options: SendOptions) {
    yield* wire.exchange({ ...refusable("MAIL", latency, "sender", size), mailbox: from })
    const accepted: Array<string> = []
    const refused: Array<RefusedRecipient> = []
    for (const address of to) {
      const refusedOne = yield* recipient(address, size)
      if (refusedOne === undefined) accepted.push(address)
      else refused.push(refusedOne)
    }
    if (accepted.length === 0 || (options.allRecipients === true && refused.length > 0)) {
      return yield* new RecipientsRejected({ recipients: refused })
    }
    yield* wire.exchange(refusable("DATA", 0, "message", size))
    return { accepted, refused }
  })

  /** The end of the message and its answer, which is all that makes it accepted. */
  const commit = (
    from: string,
    to: ReadonlyArray<string>,
    refused: ReadonlyArray<RefusedRecipient>,
    source: Uint8Array,
    dsn: DsnOptions | undefined
  ) => {
    const unknown = (detail: string) => new OutcomeUnknown({ detail, ...(refused.length === 0 ? {} : { refused }) })
    return wire.exchange<string>({
      ...refusable("end", latency, "message", source.length),
      act: (at) =>
        Effect.sync(() => {
          for (const address of to) store.deliver(address, source, at)
          if (server.filesSentMail) store.fileSent(wire.user, source, at)
          accept({
            connection: wire.id,
            user: wire.user,
            from,
            to,
            source: source.slice(),
            receivedAt: at,
            ...(dsn === undefined ? {} : { dsn })
          })
          sent++
          return `250 2.0.0 Ok: queued as Q${wire.id}-${sent}`
        }),
      answered: (answer) => Effect.fail(smtpReason(toReply(answer), "message", source.length)),
      lost: unknown,
      garbled: unknown
    })
  }

  /** An interruption gives the answer some time, in a fiber of its own, before the connection closes. */
  const committed = (answer: Effect.Effect<string, Reason>, graceMillis: number) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const waiting = yield* Effect.forkChild(answer, { startImmediately: true })
        return yield* restore(Fiber.join(waiting)).pipe(Effect.onInterrupt(() =>
          Effect.gen(function*() {
            const impatience = yield* Effect.forkChild(
              Effect.andThen(Effect.sleep(graceMillis), Fiber.interrupt(waiting))
            )
            yield* Fiber.await(waiting)
            yield* Fiber.interrupt(impatience)
          })
        ))
      })
    )

  const send = Effect.fnUntraced(function*(envelope: SmtpEnvelope, source: Uint8Array, options: SendOptions) {
    const { answerTimeoutMillis, commandTimeoutMillis, dsn, graceMillis = 0, onPhase } = options
    const holdMillis = options.holdMillis === "round-trip" ? latency : options.holdMillis ?? 0
    const size = source.length
    const late = (after: Duration.Duration) => new TimedOut({ wait: "command", after, written: false })
    if (maxSize !== undefined && size > maxSize) {
      return yield* new TooLarge({ size, limit: maxSize, response: `SIZE ${maxSize}` })
    }
    const odd = dsn === undefined ? undefined : hasDsn ? checkDsn(dsn) : noDsn()
    if (odd !== undefined) return yield* odd
    onPhase?.("envelope")
    const { accepted, refused } = yield* within(negotiate(envelope, size, options), commandTimeoutMillis, late)
    onPhase?.("body")
    const body = refusable("body", 0, "message", size)
    yield* within(wire.exchange(body), commandTimeoutMillis, late)
    if (holdMillis > 0) {
      yield* wire.wait(Effect.sleep(holdMillis), body.lost).pipe(
        Effect.onInterrupt(() => Effect.sync(() => wire.close("interrupted")))
      )
    }
    if (!wire.isOpen) return yield* Effect.fail(body.lost("closed", false))
    onPhase?.("committed")
    const answer = within(
      commit(envelope.from, accepted, refused, source, dsn),
      answerTimeoutMillis,
      (after) => new OutcomeUnknown({ detail: `no answer within ${Duration.format(after)}` })
    )
    const response = yield* committed(answer, graceMillis)
    return { accepted, refused, response } satisfies SmtpAccepted
  })

  return { isUsable: () => wire.isOpen, closed: wire.closed, maxSize, sent: () => sent, send }
}
