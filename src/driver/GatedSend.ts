/**
 * Sends one message and knows its fate. The end of the message (the final dot) is the commit point: it is written only
 * when all octets before it are with the kernel and nothing was heard meanwhile. Before it nothing can have been
 * accepted; after it a complete answer decides, and without one nobody can know (RFC 5321 4.5.3.2.6, 4.2.5).
 *
 *   envelope --354--> body --all written, nothing heard--> committed --answer--> accepted | refused
 *       |               |                                      |
 *       +---------------+--> certainly not accepted            +--> unknown
 *
 * Owns the order of things and every deadline. Knows of the SMTP package only the few members in `Session`, and of its
 * errors only what no reply can tell: the recipients refused, and a write that failed.
 */
import { Clock, Duration, Effect } from "effect"
import type { Socket } from "node:net"
import { Readable, type Writable } from "node:stream"
import {
  ConnectionLost,
  InvalidInput,
  OutcomeUnknown,
  ProtocolViolation,
  type Reason,
  RecipientsRejected,
  RefusedRecipient,
  TimedOut
} from "../domain/MailError.ts"
import { parseSmtpReply, smtpReason } from "./Classification.ts"
import { isEvery, makeReplyReader, type ReplyReader } from "./ReplyReader.ts"
import type { SendOptions, SendPhase, SmtpAccepted, SmtpEnvelope } from "./SmtpDriver.ts"

/** What the package tells about a refused recipient or a failed send. */
export interface SendFailure {
  readonly message: string
  readonly command?: string | undefined
  readonly syscall?: string | undefined
  readonly response?: string | undefined
  readonly recipient?: string | undefined
  readonly rejectedErrors?: ReadonlyArray<SendFailure> | undefined
}

export interface SendRequest {
  readonly from: string
  readonly to: Array<string>
  readonly size: number
  readonly use8BitMime: boolean
}

/** The part of an SMTP session that a send needs. */
export interface Session {
  readonly socket: Socket
  readonly isOpen: () => boolean
  /** Writes the envelope; calls `pipe` of the body when the server is ready for it, in the same turn as its reply. */
  readonly send: (request: SendRequest, body: Readable, done: (failure: SendFailure | undefined) => void) => void
  /** The octets that came, as soon as they come, and every change of the socket. One listener at a time. */
  readonly listen: (listener: SessionListener) => () => void
}

export interface SessionListener {
  readonly data: (chunk: Uint8Array) => void
  readonly changed: () => void
}

/** How a send left the session: as new, in need of RSET, or in a state nobody knows. */
export type Aftermath = "clean" | "reset" | "broken"

export interface Sent {
  readonly result: Effect.Effect<SmtpAccepted, Reason>
  readonly aftermath: Aftermath
}

/** The package pipes the body into its own stream, which stuffs dots; here that only opens the gate. */
class GatedBody extends Readable {
  readonly #open: (sink: Writable) => void
  constructor(open: (sink: Writable) => void) {
    super({ read() {} })
    this.#open = open
  }
  override pipe<T extends NodeJS.WritableStream>(sink: T): T {
    // the only caller hands over its Transform stream
    this.#open(sink as unknown as Writable)
    return sink
  }
}

const chunkOctets = 64 * 1024

interface Attempt {
  readonly session: Session
  readonly envelope: SmtpEnvelope
  readonly source: Uint8Array
  readonly options: SendOptions
  readonly clock: Clock.Clock
  readonly request: SendRequest
  readonly reader: ReplyReader
  phase: SendPhase
  sink: Writable & { readonly readableLength?: number } | undefined
  /** Replies that had come when the body was asked for: those of the envelope. */
  before: number
  /** Something was heard between the go-ahead for the body and its end. */
  heard: boolean
  verdict: { readonly failure: SendFailure | undefined } | undefined
  lost: boolean
  expired: boolean
  deadline: number
  wake: () => void
}

/**
 * Runs one send. Interrupted before the commit point it gives up at once; after it, it waits `graceMillis` for the
 * answer. `settled` hears in each case how the session was left, before the effect ends.
 */
export const gatedSend = (
  session: Session,
  envelope: SmtpEnvelope,
  source: Uint8Array,
  eightBit: boolean,
  options: SendOptions,
  settled: (aftermath: Aftermath) => void
): Effect.Effect<SmtpAccepted, Reason> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const attempt = begin(session, envelope, source, eightBit, options, clock)
    const stop = session.listen({
      data: (chunk) => {
        const before = attempt.reader.replies.length
        attempt.reader.feed(chunk)
        if (attempt.phase === "body") attempt.heard = true
        else if (attempt.phase === "envelope" && attempt.reader.replies.length > before) {
          extend(attempt, options.commandTimeoutMillis)
        }
        attempt.wake()
      },
      changed: () => attempt.wake()
    })
    const finish = (sent: Sent) => {
      settled(sent.aftermath)
      return sent.result
    }
    return Effect.raceFirst(run(attempt), watch(attempt)).pipe(
      Effect.flatMap(finish),
      Effect.onInterrupt(() =>
        Effect.map(grace(attempt), () => settled(isOver(attempt) ? conclude(attempt).aftermath : "broken"))
      ),
      Effect.ensuring(Effect.sync(stop))
    )
  })

const begin = (
  session: Session,
  envelope: SmtpEnvelope,
  source: Uint8Array,
  eightBit: boolean,
  options: SendOptions,
  clock: Clock.Clock
): Attempt => ({
  session,
  envelope,
  source,
  options,
  clock,
  // the package changes this object while it sends
  request: { from: envelope.from, to: [...envelope.to], size: source.length, use8BitMime: eightBit },
  reader: makeReplyReader(),
  phase: "envelope",
  sink: undefined,
  before: 0,
  heard: false,
  verdict: undefined,
  lost: false,
  expired: false,
  deadline: clock.currentTimeMillisUnsafe() + options.commandTimeoutMillis,
  wake: () => {}
})

const run = Effect.fnUntraced(function*(attempt: Attempt) {
  const { options, session } = attempt
  options.onPhase?.("envelope")
  session.send(
    attempt.request,
    new GatedBody((sink) => {
      enter(attempt, "body")
      attempt.before = attempt.reader.replies.length
      attempt.heard ||= attempt.reader.pending()
      attempt.sink = sink
      extend(attempt, options.answerTimeoutMillis)
      attempt.wake()
    }),
    (failure) => {
      attempt.verdict ??= { failure }
      attempt.wake()
    }
  )
  yield* until(attempt, () => attempt.sink !== undefined || isOver(attempt))
  if (attempt.sink !== undefined && isReady(attempt)) {
    yield* deliver(attempt, attempt.sink)
    if (options.holdMillis !== undefined && !isStopped(attempt)) {
      yield* Effect.timeoutOption(until(attempt, () => isStopped(attempt)), Duration.millis(options.holdMillis))
    }
    if (commit(attempt, attempt.sink)) yield* until(attempt, () => isOver(attempt))
    // what was heard may be a reply that the package is about to report
    else if (!isOver(attempt)) yield* turn
  }
  return conclude(attempt)
})

const enter = (attempt: Attempt, phase: SendPhase): void => {
  attempt.phase = phase
  attempt.options.onPhase?.(phase)
}

const extend = (attempt: Attempt, millis: number): void => {
  attempt.deadline = attempt.clock.currentTimeMillisUnsafe() + millis
}

/** Wakes at the deadline, which moves while the send gets on; every slice is short enough to see it move nearer. */
const watch = Effect.fnUntraced(function*(attempt: Attempt) {
  const { answerTimeoutMillis, commandTimeoutMillis } = attempt.options
  const slice = Math.min(answerTimeoutMillis, commandTimeoutMillis)
  for (;;) {
    const left = attempt.deadline - attempt.clock.currentTimeMillisUnsafe()
    if (left <= 0) break
    yield* attempt.clock.sleep(Duration.millis(Math.min(left, slice)))
  }
  attempt.expired = true
  attempt.wake()
  // `run` ends the race, with its own reading of what has happened
  return yield* Effect.never
})

const isOver = (attempt: Attempt): boolean => attempt.verdict !== undefined || attempt.lost || attempt.expired

/** In the body any word of the server, and any sign that it left, is a reason never to write the end. */
const isStopped = (attempt: Attempt): boolean => attempt.heard || isOver(attempt) || !attempt.session.isOpen()

const until = (attempt: Attempt, ready: () => boolean): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const check = () => {
      if (!attempt.session.isOpen() && !attempt.lost) leave(attempt)
      if (!ready()) return
      attempt.wake = () => {}
      resume(Effect.void)
    }
    attempt.wake = check
    check()
    return Effect.sync(() => {
      attempt.wake = () => {}
    })
  })

/** The package reports a reply that came before the end in the same turn or the next: it goes first. */
const leave = (attempt: Attempt): void => {
  setImmediate(() => {
    attempt.lost = true
    attempt.wake()
  })
}

/** Only 354 is the go-ahead (RFC 5321 4.3.2), and only after one reply for each command of the envelope. */
const isReady = (attempt: Attempt): boolean => {
  if (isStopped(attempt)) return false
  const expected = attempt.envelope.to.length + 2
  if (attempt.before !== expected || attempt.reader.replies[expected - 1]?.startsWith("354") !== true) return false
  return attempt.options.allRecipients !== true || refused(attempt).length === 0
}

const turn: Effect.Effect<void> = Effect.callback((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** Writes the body and waits until it is with the kernel; then two turns, so that a poll has shown what came in. */
const deliver = Effect.fnUntraced(function*(attempt: Attempt, sink: NonNullable<Attempt["sink"]>) {
  const { options, session, source } = attempt
  for (let at = 0; at < source.length; at += chunkOctets) {
    if (sink.write(source.subarray(at, at + chunkOctets))) continue
    yield* either(attempt, (wake) => {
      sink.once("drain", wake)
      return () => sink.off("drain", wake)
    })
    if (isStopped(attempt)) return
    extend(attempt, options.answerTimeoutMillis)
  }
  while (
    !isStopped(attempt) &&
    (sink.writableLength > 0 || (sink.readableLength ?? 0) > 0 || session.socket.writableLength > 0)
  ) {
    const left = session.socket.writableLength
    if (session.socket.writableNeedDrain) {
      yield* either(attempt, (wake) => {
        session.socket.once("drain", wake)
        return () => session.socket.off("drain", wake)
      })
    } else if (left > 0) {
      yield* either(attempt, (wake) => {
        // writes are answered in their order: this one when all before it are with the kernel
        session.socket.write("", wake)
        return () => {}
      })
    } else yield* turn
    if (session.socket.writableLength < left) extend(attempt, options.answerTimeoutMillis)
  }
  yield* turn
  yield* turn
})

/** Waits for an event of a stream, or for a reason to stop. */
const either = (attempt: Attempt, arm: (wake: () => void) => () => void): Effect.Effect<void> =>
  Effect.suspend(() => {
    let happened = false
    const disarm = arm(() => {
      happened = true
      attempt.wake()
    })
    return Effect.ensuring(until(attempt, () => happened || isStopped(attempt)), Effect.sync(disarm))
  })

/** The commit point: check and write are one step that nothing can come between. */
const commit = (attempt: Attempt, sink: Writable): boolean => {
  if (isStopped(attempt)) return false
  enter(attempt, "committed")
  extend(attempt, attempt.options.answerTimeoutMillis)
  sink.end()
  return true
}

/** An interruption after the commit point still wants to know, for a while. */
const grace = (attempt: Attempt): Effect.Effect<void> => {
  const millis = attempt.options.graceMillis ?? 0
  if (attempt.phase !== "committed" || millis <= 0 || isOver(attempt)) return Effect.void
  // a finalizer is uninterruptible, and so would be the arms of the race
  return Effect.asVoid(
    Effect.timeoutOption(Effect.interruptible(until(attempt, () => isOver(attempt))), Duration.millis(millis))
  )
}

const conclude = (attempt: Attempt): Sent => {
  if (attempt.phase === "committed") return afterCommit(attempt)
  return attempt.phase === "body" ? inBody(attempt) : inEnvelope(attempt)
}

const fail = (reason: Reason, aftermath: Aftermath): Sent => ({ result: Effect.fail(reason), aftermath })

const afterCommit = (attempt: Attempt): Sent => {
  const answer = attempt.reader.replies[attempt.before]
  const open = attempt.session.isOpen()
  if (answer !== undefined && isEvery(answer, "2")) {
    const out = refused(attempt)
    const addresses = new Set(out.map(({ address }) => address))
    return {
      result: Effect.succeed({
        accepted: attempt.envelope.to.filter((address) => !addresses.has(address)),
        refused: out,
        response: printable(answer)
      }),
      aftermath: open ? "clean" : "broken"
    }
  }
  if (answer !== undefined && isEvery(answer, "refusal")) {
    return fail(reasonOf(answer, "message", attempt), open && !answer.startsWith("421") ? "reset" : "broken")
  }
  // all else was with the kernel: if this write failed, the end of the message is still here
  if (attempt.verdict?.failure?.syscall === "write") {
    return fail(new ConnectionLost({ detail: attempt.verdict.failure.message, written: false }), "broken")
  }
  const detail = answer !== undefined
    ? `the answer to the message was ${JSON.stringify(printable(answer).slice(0, 200))}`
    : attempt.expired
    ? `no answer to the message within ${Duration.format(Duration.millis(attempt.options.answerTimeoutMillis))}`
    : `the connection was lost before the answer to the message (${cause(attempt)})`
  return fail(new OutcomeUnknown({ detail }), "broken")
}

const inBody = (attempt: Attempt): Sent => {
  const { before, envelope, reader } = attempt
  const expected = envelope.to.length + 2
  const goAhead = reader.replies[before - 1] ?? ""
  if (before !== expected || !goAhead.startsWith("354")) {
    return fail(
      violation(`the body was asked for with ${JSON.stringify(goAhead)}, reply ${before} of ${expected}`),
      "broken"
    )
  }
  const out = refused(attempt)
  if (attempt.options.allRecipients === true && out.length > 0) {
    return fail(new RecipientsRejected({ recipients: out }), "broken")
  }
  const early = reader.replies[before]
  if (early !== undefined) {
    return isEvery(early, "refusal")
      ? fail(reasonOf(early, "message", attempt), "broken")
      : fail(violation(`an answer before the end of the message: ${JSON.stringify(early.slice(0, 200))}`), "broken")
  }
  if (attempt.expired) return fail(timedOut("answer", attempt.options.answerTimeoutMillis), "broken")
  if (attempt.heard && attempt.session.isOpen()) {
    return fail(violation("octets before the end of the message"), "broken")
  }
  return fail(lostBefore(attempt), "broken")
}

const inEnvelope = (attempt: Attempt): Sent => {
  const { reader, session, verdict } = attempt
  const failure = verdict?.failure
  const open = session.isOpen()
  // 421 may answer any command and ends the session (RFC 5321 3.8)
  const closing = reader.replies.findIndex((reply) => reply.startsWith("421"))
  if (closing !== -1) return fail(reasonOf(reader.replies[closing] ?? "", stepOf(attempt, closing), attempt), "broken")
  if (failure?.rejectedErrors !== undefined && failure.rejectedErrors.length > 0) {
    return fail(new RecipientsRejected({ recipients: refused(attempt) }), open ? "reset" : "broken")
  }
  if (failure?.response !== undefined) {
    const command = failure.command ?? ""
    const step = command.startsWith("MAIL") ? "sender" : command.startsWith("RCPT") ? "recipient" : "message"
    const clean = open && isEvery(failure.response, "refusal")
    return fail(reasonOf(failure.response, step, attempt), clean ? "reset" : "broken")
  }
  if (attempt.expired) return fail(timedOut("command", attempt.options.commandTimeoutMillis), "broken")
  return fail(lostBefore(attempt), "broken")
}

const stepOf = (attempt: Attempt, reply: number): "sender" | "recipient" | "message" =>
  reply === 0 ? "sender" : reply <= attempt.envelope.to.length ? "recipient" : "message"

const violation = (detail: string): ProtocolViolation => new ProtocolViolation({ detail, written: false })

const timedOut = (wait: "command" | "answer", millis: number): TimedOut =>
  new TimedOut({ wait, after: Duration.millis(millis), written: false })

const lostBefore = (attempt: Attempt): ConnectionLost => new ConnectionLost({ detail: cause(attempt), written: false })

const cause = (attempt: Attempt): string => attempt.verdict?.failure?.message ?? "closed by the server"

const reasonOf = (response: string, step: "sender" | "recipient" | "message", attempt: Attempt): Reason => {
  const reply = parseSmtpReply(response)
  return reply === undefined || !isEvery(response, "refusal")
    ? violation(`the answer was ${JSON.stringify(response.slice(0, 200))}`)
    : smtpReason(reply, step, attempt.source.length)
}

/** The replies to RCPT that are not 2xx, each with its recipient: replies come in the order of the commands. */
const refused = (attempt: Attempt): ReadonlyArray<RefusedRecipient> =>
  attempt.envelope.to.flatMap((address, index) => {
    const response = attempt.reader.replies[index + 1]
    if (response === undefined || response.startsWith("2")) return []
    const code = parseSmtpReply(response)?.code
    return [
      new RefusedRecipient({
        address,
        ...(code === undefined ? {} : { code }),
        response: printable(response),
        permanent: code !== undefined && code >= 500
      })
    ]
  })

/** Reply text has no charset; most servers write UTF-8 where they write more than ASCII. */
const printable = (response: string): string => {
  const utf8 = Buffer.from(response, "latin1").toString("utf8")
  return utf8.includes("\uFFFD") ? response : utf8
}

// Addresses of the transport.

/** Refuses what could end or split a command: white space, control characters, angle brackets (RFC 5321 4.1.2). */
export const checkEnvelope = (envelope: SmtpEnvelope): InvalidInput | undefined => {
  if (envelope.to.length === 0) return new InvalidInput({ field: "to", problem: "a message needs a recipient" })
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  const bad = /[\s\x00-\x1f\x7f<>]/
  if (bad.test(envelope.from)) return new InvalidInput({ field: "from", problem: notAnAddress(envelope.from) })
  const to = envelope.to.find((address) => address === "" || bad.test(address))
  return to === undefined ? undefined : new InvalidInput({ field: "to", problem: notAnAddress(to) })
}

const notAnAddress = (address: string): string => `${JSON.stringify(address)} is not an address`
