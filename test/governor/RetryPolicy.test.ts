import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Reasons from "../../src/domain/MailError.ts"
import { type Retry, RetryPolicy, type Safety } from "../../src/governor/RetryPolicy.ts"

const lost = (written: boolean) => new Reasons.ConnectionLost({ detail: "reset", written })
const timedOut = (wait: Reasons.TimedOut["wait"], written: boolean) =>
  new Reasons.TimedOut({ wait, after: Duration.seconds(1), written })
const failed = (step: Reasons.ConnectionFailed["step"], permanent: boolean) =>
  new Reasons.ConnectionFailed({ host: "h", port: 993, step, detail: "x", permanent })
const recipients = (permanent: boolean) =>
  new Reasons.RecipientsRejected({
    recipients: [new Reasons.RefusedRecipient({ address: "a@b", response: "no", permanent })]
  })
const throttled = (retryAfter?: Duration.Duration) =>
  new Reasons.Throttled({ response: "slow", ...(retryAfter === undefined ? {} : { retryAfter }) })

/** reason, then whether it is repeated for "always", "unwritten", "send" */
const table: ReadonlyArray<readonly [string, Reasons.Reason, boolean, boolean, boolean]> = [
  ["refused credentials", new Reasons.AuthenticationFailed({ response: "no" }), false, false, false],
  ["too many connections", new Reasons.ConnectionRefusedByLimit({ response: "[LIMIT]" }), true, true, true],
  ["no connection", failed("tcp", false), true, true, true],
  ["a server that left during login", failed("login", false), true, true, true],
  ["a bad certificate", failed("tls", true), false, false, false],
  ["lost before the command was written", lost(false), true, true, true],
  ["lost after the command was written", lost(true), true, false, true],
  ["slow connect", timedOut("connect", false), true, true, true],
  ["slow login", timedOut("login", false), true, true, true],
  ["no answer to a command", timedOut("command", true), true, false, true],
  ["a command that never left", timedOut("command", false), true, true, true],
  ["no answer to a message whose connection knows it was not taken", timedOut("answer", true), true, false, true],
  ["a store of rate windows that says nothing", timedOut("store", false), false, false, false],
  ["a full wait in the queue", timedOut("queue", false), false, false, false],
  ["throttled", throttled(), true, true, true],
  [
    "our own rate limit",
    new Reasons.RateLimited({ scope: "send", retryAfter: Duration.seconds(1) }),
    false,
    false,
    false
  ],
  ["our own queue", new Reasons.QueueFull({ limit: 1 }), false, false, false],
  ["a closed account", new Reasons.AccountClosed({}), false, false, false],
  ["no such mailbox", new Reasons.MailboxNotFound({ mailbox: "x" }), false, false, false],
  [
    "a replaced mailbox",
    new Reasons.MailboxChanged({ mailbox: "x", expected: 1, actual: 2 }),
    false,
    false,
    false
  ],
  ["no such message", new Reasons.MessageNotFound({ mailbox: "x", uids: [1] }), false, false, false],
  ["a refusal that passes", new Reasons.Rejected({ text: "in use", transient: true }), true, true, true],
  ["a refusal that stays", new Reasons.Rejected({ text: "no", transient: false }), false, false, false],
  ["a full mailbox", new Reasons.QuotaExceeded({ response: "full" }), false, false, false],
  ["too large", new Reasons.TooLarge({ size: 1 }), false, false, false],
  ["recipients refused for now", recipients(false), true, true, true],
  ["recipients refused for good", recipients(true), false, false, false],
  ["an unknown outcome", new Reasons.OutcomeUnknown({ detail: "x" }), false, false, false],
  ["a missing capability", new Reasons.Unsupported({ capability: "MOVE", detail: "x" }), false, false, false],
  ["unusable input", new Reasons.InvalidInput({ field: "x", problem: "y" }), false, false, false],
  ["nonsense before the command", new Reasons.ProtocolViolation({ detail: "x", written: false }), true, true, true],
  ["nonsense after the command", new Reasons.ProtocolViolation({ detail: "x", written: true }), true, false, true]
]

/** Runs a failing effect to its end; gives the times of its attempts, milliseconds since the first. */
const attempts = (
  reason: Reasons.Reason | ((attempt: number) => Reasons.Reason),
  policy: RetryPolicy,
  safety: Safety = "always",
  onRetry?: (retry: Retry) => Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    const start = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.suspend(() =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        times.push(now - start)
        return Effect.fail(typeof reason === "function" ? reason(times.length) : reason)
      })
    ).pipe(RetryPolicy.retrying(policy, safety, onRetry), Effect.forkChild)
    yield* TestClock.adjust("1 day")
    const exit = yield* Fiber.await(fiber)
    assert.isTrue(Exit.isFailure(exit))
    return times
  })

const delays = (times: ReadonlyArray<number>) => times.slice(1).map((time, index) => time - (times[index] ?? 0))

/** A policy that asks to go on a hundred times, whatever happened. */
const stubborn = Schedule.recurs(100)

describe("RetryPolicy", () => {
  describe("repeatable", () => {
    it("names every reason in the table of what may be repeated", () => {
      const tags = new Set(table.map(([, reason]) => reason._tag))
      assert.strictEqual(tags.size, Reasons.Reason.members.length)
    })

    for (const [title, reason, always, unwritten, send] of table) {
      it(
        `${title}: ${always ? "yes" : "no"} if always, ${unwritten ? "yes" : "no"} if unwritten, ${
          send ? "yes" : "no"
        } for a send`,
        () => {
          assert.deepStrictEqual(
            (["always", "unwritten", "send"] as const).map((safety) => RetryPolicy.repeatable(reason, safety)),
            [always, unwritten, send]
          )
        }
      )
    }

    it.effect("holds for a schedule that would go on", () =>
      Effect.gen(function*() {
        for (const [title, reason, always, unwritten, send] of table) {
          const expected = { always, unwritten, send }
          for (const safety of ["always", "unwritten", "send"] as const) {
            const times = yield* attempts(reason, stubborn, safety)
            assert.strictEqual(times.length, expected[safety] ? 101 : 1, `${title}, ${safety}`)
          }
        }
      }))

    it.effect("holds for Schedule.forever after transient failures came first", () =>
      Effect.gen(function*() {
        const denied = new Reasons.AuthenticationFailed({ response: "no" })
        const times = yield* attempts((attempt) => attempt < 3 ? lost(false) : denied, Schedule.forever)
        assert.strictEqual(times.length, 3)
      }))
  })

  describe("default", () => {
    it.effect("tries again as often as its constant says, at growing distances within the jitter", () =>
      Effect.gen(function*() {
        const { base, factor, jitter, times } = RetryPolicy.defaults
        for (const seed of ["a", "b", "c", "d"]) {
          const waits = delays(yield* attempts(lost(false), RetryPolicy.default).pipe(Random.withSeed(seed)))
          assert.strictEqual(waits.length, times)
          waits.forEach((wait, index) => {
            const full = Duration.toMillis(base) * factor ** index
            assert.isAtMost(wait, full)
            assert.isAtLeast(wait, Math.floor(full * (1 - jitter)))
          })
        }
      }))

    it.effect("spreads callers that failed together", () =>
      Effect.gen(function*() {
        const first = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, seed) => seed),
          (seed) => attempts(lost(false), RetryPolicy.make({ times: 1 })).pipe(Random.withSeed(seed))
        )
        assert.isAbove(new Set(first.map((times) => times[1])).size, 15)
      }))
  })

  describe("make", () => {
    it.effect("has no delay above the cap", () =>
      Effect.gen(function*() {
        const policy = RetryPolicy.make({ base: 100, factor: 3, cap: 1000, times: 6, jitter: 0 })
        assert.deepStrictEqual(delays(yield* attempts(lost(false), policy)), [100, 300, 900, 1000, 1000, 1000])
      }))

    it.effect("stays at the cap when the exponent grows out of bounds", () =>
      Effect.gen(function*() {
        const policy = RetryPolicy.make({ base: 1, factor: 1e100, cap: 10, times: 8, jitter: 0 })
        assert.deepStrictEqual(delays(yield* attempts(lost(false), policy)), [1, 10, 10, 10, 10, 10, 10, 10])
      }))

    it.effect("makes no second attempt with times 0", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* attempts(lost(false), RetryPolicy.make({ times: 0 })), [0])
        assert.deepStrictEqual(yield* attempts(lost(false), RetryPolicy.none), [0])
      }))

    it.effect("waits as long as the server asks where that is longer, even above the cap", () =>
      Effect.gen(function*() {
        const policy = RetryPolicy.make({ base: 100, cap: 400, times: 3, jitter: 0.5 })
        const waits = delays(yield* attempts(throttled(Duration.millis(4321)), policy))
        assert.deepStrictEqual(waits, [4321, 4321, 4321])
      }))

    it.effect("keeps its own delay where the server asks for less", () =>
      Effect.gen(function*() {
        const policy = RetryPolicy.make({ base: 100, times: 3, jitter: 0 })
        assert.deepStrictEqual(delays(yield* attempts(throttled(Duration.millis(150)), policy)), [150, 200, 400])
      }))

    it.effect("begins no wait that would end after the elapsed bound", () =>
      Effect.gen(function*() {
        const policy = RetryPolicy.make({ base: 1000, factor: 2, times: 50, elapsed: "10 seconds", jitter: 0 })
        assert.deepStrictEqual(yield* attempts(lost(false), policy), [0, 1000, 3000, 7000])
        assert.deepStrictEqual(yield* attempts(throttled(Duration.seconds(11)), policy), [0])
        assert.deepStrictEqual(yield* attempts(throttled(Duration.seconds(10)), policy), [0, 10_000])
      }))
  })

  describe("retrying", () => {
    it.effect("answers with the success and tells of each repetition before it waits", () =>
      Effect.gen(function*() {
        const told: Array<readonly [string, number, number]> = []
        let runs = 0
        const fiber = yield* Effect.suspend(() => ++runs < 3 ? Effect.fail(lost(false)) : Effect.succeed(runs)).pipe(
          RetryPolicy.retrying(
            RetryPolicy.make({ base: 100, jitter: 0 }),
            "unwritten",
            ({ attempt, delay, reason }) =>
              Effect.sync(() => told.push([reason._tag, attempt, Duration.toMillis(delay)]))
          ),
          Effect.forkChild
        )
        yield* TestClock.adjust(300)
        assert.strictEqual(yield* Fiber.join(fiber), 3)
        assert.deepStrictEqual(told, [["ConnectionLost", 1, 100], ["ConnectionLost", 2, 200]])
      }))

    it.effect("does not tell of a repetition that the guard forbids", () =>
      Effect.gen(function*() {
        let told = 0
        yield* attempts(lost(true), stubborn, "unwritten", () => Effect.sync(() => void told++))
        assert.strictEqual(told, 0)
      }))

    it.effect("does not repeat a defect or an interruption", () =>
      Effect.gen(function*() {
        let runs = 0
        const dying = Effect.suspend(() => {
          runs++
          return Effect.die("broken")
        })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(RetryPolicy.retrying(stubborn, "always")(dying))))
        const fiber = yield* Effect.fail(lost(false)).pipe(
          RetryPolicy.retrying(RetryPolicy.default, "always"),
          Effect.forkChild
        )
        yield* TestClock.adjust(10)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(runs, 1)
      }))
  })
})
