/**
 * The governor's promises under a crowd, judged from the server's side: fifty agents, two thousand operations, and a
 * server that misbehaves. The seed of a failure is in its message; `PROOF_SEED` replays its choices.
 */
import { assert } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import { AccountConfig, Limits, MailAccount, RetryPolicy } from "../../src/index.ts"
import { type Dice, dice } from "../random.ts"
import { boxes, type Tally, work } from "./agents.ts"
import { type Found, Ledger } from "./Ledger.ts"
import { Sends, type Sent } from "./Sends.ts"

/** The seed of this run: `PROOF_SEED` from the environment, or another one each time. */
const seed = Number(process.env["PROOF_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

/** A server with one user, as the proof needs it. */
export interface ProofServer {
  readonly config: AccountConfig
  /** Connections that are open now. */
  readonly connections: Effect.Effect<number>
  /** The most connections of each protocol at one time while an effect runs. */
  readonly peaks: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<{ readonly value: A; readonly imap: number; readonly smtp: number }, E, R>
  /**
   * Misbehaves until it is interrupted: between two misdeeds it waits until so many more operations have begun, for a
   * fast machine to see as many of them as a slow one.
   */
  readonly misbehave: (die: Dice, pause: (operations: number) => Effect.Effect<void>) => Effect.Effect<void>
  /** Behaves again. */
  readonly behave: Effect.Effect<void>
  /** What it holds, by the subjects of the messages. */
  readonly contents: Effect.Effect<ReadonlyMap<string, ReadonlyArray<Found>>>
  /** What was sent over it, where it takes messages. */
  readonly sent?: Effect.Effect<Sent>
}

const agents = 50
const operationsPerAgent = 40

/** The endings an operation may have beside being done: every one of them typed. */
const endings = new Set([
  "done",
  "interrupted",
  "OutcomeUnknown?",
  "ConnectionLost?",
  "TimedOut?",
  "ProtocolViolation?",
  "ConnectionLost",
  "ConnectionFailed",
  "ConnectionRefusedByLimit",
  "ProtocolViolation",
  "Throttled",
  "TimedOut",
  "Rejected"
])

/** Runs the crowd, and judges. */
export const proof = (server: ProofServer, cap: number) =>
  Effect.gen(function*() {
    const ledger = new Ledger()
    const sends = server.sent === undefined ? undefined : new Sends()
    const tally: Tally = { endings: new Map(), operations: 0 }
    const limits = new Limits({
      imapConnections: cap,
      smtpConnections: cap,
      connectTimeout: Duration.seconds(1),
      commandTimeout: Duration.millis(400),
      answerTimeout: Duration.millis(600),
      idleTimeToLive: Duration.seconds(1)
    })
    const config = new AccountConfig({ ...server.config, limits })
    const retry = RetryPolicy.make({ base: "20 millis", times: 4 })

    const pause = (operations: number) =>
      Effect.suspend(() => {
        const until = tally.operations + operations
        return Effect.sync(() => tally.operations >= until).pipe(
          Effect.repeat({ until: (isOver) => isOver, schedule: Schedule.spaced("1 millis") }),
          Effect.asVoid
        )
      })

    const day = Effect.gen(function*() {
      const account = Context.get(yield* Layer.build(MailAccount.layer(config, { retry })), MailAccount)
      yield* Effect.forEach(boxes, (box) => account.createMailbox(box), { discard: true })
      const crowd = { account, ledger, sends, tally, seed, operations: operationsPerAgent, impatience: 4 }
      yield* Effect.raceFirst(
        Effect.forEach(Array.from({ length: agents }, (_, n) => `agent-${n}`), (name) => work(crowd, name), {
          concurrency: "unbounded",
          discard: true
        }),
        Effect.andThen(server.misbehave(dice(seed, "server"), pause), Effect.never)
      )
      yield* server.behave
      // an answer reaches its caller before its connection is reported free
      const stats = yield* account.stats.pipe(
        Effect.repeat({
          until: ({ imap, smtp }) => imap.connections.busy + smtp.connections.busy === 0,
          schedule: Schedule.spaced("1 millis"),
          times: 100
        })
      )
      return [stats.imap, stats.smtp]
    })
    const { imap, smtp, value } = yield* server.peaks(Effect.scoped(day))

    const note = `with PROOF_SEED=${seed}, cap ${cap}`
    assert.isAtMost(imap, cap, `IMAP connections the server counted ${note}`)
    assert.isAtMost(smtp, cap, `SMTP connections the server counted ${note}`)
    for (const { connections, peak, waiting } of value) {
      assert.isAtMost(peak, cap, `connections the account counted ${note}`)
      assert.deepStrictEqual({ waiting, busy: connections.busy }, { waiting: 0, busy: 0 }, note)
    }
    assert.strictEqual(tally.operations, agents * operationsPerAgent)
    for (const ending of tally.endings.keys()) assert.isTrue(endings.has(ending), `an end in ${ending} ${note}`)
    yield* server.connections.pipe(
      Effect.repeat({ until: (open) => open === 0, schedule: Schedule.spaced("5 millis"), times: 200 })
    )
    assert.strictEqual(yield* server.connections, 0, `connections left open ${note}`)
    assert.deepStrictEqual(ledger.differences(yield* server.contents), [], note)
    if (sends !== undefined && server.sent !== undefined) {
      assert.isAbove(sends.size, 100, note)
      assert.deepStrictEqual(sends.differences(yield* server.sent), [], note)
    }
    return tally
  })
