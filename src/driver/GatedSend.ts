/**
 * Sends one message and knows its fate. The end of the message (the final dot) is the commit point: it is written only
 * when all octets before it are with the kernel and nothing was heard meanwhile. Before it nothing can have been
 * accepted; after it a complete answer decides, and without one nobody can know (RFC 5321 4.5.3.2.6, 4.2.5).
 *
 *   envelope --354--> body --all written, nothing heard--> committed --answer--> accepted | refused
 *       |               |                                      |
 *       +---------------+--> certainly not accepted            +--> unknown
 *
 * Owns the order of things and every deadline; `SendFate` draws the conclusions. Knows of the SMTP package only the few
 * members in `Session`.
 */
import { type Clock, Duration, Effect } from "effect"
import type { Socket } from "node:net"
import { Readable, type Writable } from "node:stream"
import type { Reason } from "../domain/MailError.ts"
import { makeReplyReader, type ReplyReader } from "./ReplyReader.ts"
import { type Aftermath, concludeSend, type Fate, refusedRecipients, type SendFailure } from "./SendFate.ts"
import type { DsnOptions, SendOptions, SendPhase, SmtpAccepted, SmtpEnvelope } from "./SmtpDriver.ts"
import { steadyMillis } from "./SteadyTime.ts"

export interface SendRequest {
  readonly from: string
  readonly to: Array<string>
  readonly size: number
  readonly use8BitMime: boolean
  readonly dsn?: DsnOptions
}

/** The part of an SMTP session that a send needs. */
export interface Session {
  readonly socket: Socket
  readonly isOpen: () => boolean
  /** Writes the envelope; calls `pipe` of the body when the server is ready for it, in the same turn as its reply. */
  readonly send: (request: SendRequest, body: Readable, done: (failure: SendFailure | undefined) => void) => void
  /** The octets that came, as soon as they come, and every change of the socket. One listener at a time. */
  readonly listen: (listener: SessionListener) => () => void
  /** The session's time, by which all its deadlines are. */
  readonly clock: Clock.Clock
  /** Has the listener asked again at this time, or earlier: one timer serves all messages of a session. */
  readonly askAgain: (at: number) => Effect.Effect<void>
}

export interface SessionListener {
  readonly data: (chunk: Uint8Array) => void
  readonly changed: () => void
  /** Answers when it is to be asked again. */
  readonly asked: () => number
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
  readonly request: SendRequest
  readonly reader: ReplyReader
  phase: SendPhase
  sink: Writable & { readonly readableLength?: number } | undefined
  /** Replies that had come when the body was asked for: those of the envelope. */
  before: number
  /** Something was heard between the go-ahead for the body and its end. */
  heard: boolean
  readonly begunAt: number
  /** How long the server took from the first command to its go-ahead for the body. */
  envelopeMillis: number
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
  Effect.suspend(() => {
    const attempt = begin(session, envelope, source, eightBit, options)
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
      changed: () => attempt.wake(),
      asked: () => expire(attempt)
    })
    const finish = (fate: Fate) => {
      settled(fate.aftermath)
      return fate._tag === "Accepted" ? Effect.succeed(fate.accepted) : Effect.fail(fate.reason)
    }
    return session.askAgain(nextLook(attempt)).pipe(
      Effect.andThen(run(attempt)),
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
  options: SendOptions
): Attempt => ({
  session,
  envelope,
  source,
  options,
  // the package changes this object while it sends
  request: {
    from: envelope.from,
    to: [...envelope.to],
    size: source.length,
    use8BitMime: eightBit,
    ...(options.dsn === undefined ? {} : { dsn: options.dsn })
  },
  reader: makeReplyReader(),
  phase: "envelope",
  sink: undefined,
  before: 0,
  heard: false,
  begunAt: steadyMillis(session.clock),
  envelopeMillis: 0,
  verdict: undefined,
  lost: false,
  expired: false,
  deadline: steadyMillis(session.clock) + options.commandTimeoutMillis,
  wake: () => {}
})

const run = Effect.fnUntraced(function*(attempt: Attempt) {
  const { options, session } = attempt
  options.onPhase?.("envelope")
  session.send(
    attempt.request,
    new GatedBody((sink) => {
      enter(attempt, "body")
      attempt.envelopeMillis = steadyMillis(attempt.session.clock) - attempt.begunAt
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
    // a clock of whole milliseconds may read a round trip as one less
    const hold = options.holdMillis === "round-trip" ? attempt.envelopeMillis + 1 : options.holdMillis ?? 0
    if (hold > 0 && !isStopped(attempt)) {
      yield* Effect.timeoutOption(until(attempt, () => isStopped(attempt)), Duration.millis(hold))
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
  attempt.deadline = steadyMillis(attempt.session.clock) + millis
}

/** Ends the send where its deadline has passed. Answers when to look again, or Infinity. */
const expire = (attempt: Attempt): number => {
  if (attempt.deadline > steadyMillis(attempt.session.clock)) return nextLook(attempt)
  attempt.expired = true
  attempt.wake()
  return Infinity
}

/** The deadline moves while the send gets on: it is looked at often enough to see it move nearer. */
const nextLook = ({ deadline, options, session: { clock } }: Attempt): number =>
  Math.min(
    deadline,
    steadyMillis(clock) + Math.min(options.answerTimeoutMillis, options.commandTimeoutMillis)
  )

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
  return attempt.options.allRecipients !== true ||
    refusedRecipients({ to: attempt.envelope.to, replies: attempt.reader.replies }).length === 0
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
  return Effect.asVoid(Effect.timeoutOption(until(attempt, () => isOver(attempt)), Duration.millis(millis)))
}

const conclude = (attempt: Attempt): Fate =>
  concludeSend({
    phase: attempt.phase,
    to: attempt.envelope.to,
    size: attempt.source.length,
    replies: attempt.reader.replies,
    before: attempt.before,
    heard: attempt.heard,
    expired: attempt.expired,
    isOpen: attempt.session.isOpen(),
    failure: attempt.verdict?.failure,
    allRecipients: attempt.options.allRecipients === true,
    commandTimeoutMillis: attempt.options.commandTimeoutMillis,
    answerTimeoutMillis: attempt.options.answerTimeoutMillis
  })
