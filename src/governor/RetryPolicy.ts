/**
 * When a failed operation is tried again. A policy (a Schedule, the user's or ours) says how often and how long
 * between; the guard says whether it may be repeated at all, and no policy overrides the guard. Knows reasons and how
 * an operation may be repeated; knows no operation, connection or queue.
 */
import { Duration, Effect, Random, Schedule } from "effect"
import { mayHaveTakenPlace, type Reason } from "../domain/MailError.ts"
import { numberFrom, timeFrom } from "../domain/OptionCheck.ts"

/** How often and how long between attempts; its input is the reason of the last failure. Any schedule will do. */
export type RetryPolicy = Schedule.Schedule<unknown, Reason>

/**
 * How an operation may be repeated.
 *
 * - `always`: it changes nothing: reads.
 * - `change`: doing it twice is doing it once: flag changes, subscribe, move by UID. Once an attempt may have been done,
 *   a failure says so, whatever later attempts failed with.
 * - `unwritten`: only while the command certainly was not written, or the server has answered no: copy, append.
 * - `send`: the connection knows the fate of a message, and every reason but `OutcomeUnknown` means "not accepted".
 */
export type Safety = "always" | "change" | "unwritten" | "send"

/**
 * What `RetryPolicy.make` takes. Fields left out have the value in `RetryPolicy.defaults`. It throws a `TypeError` for a
 * number or time that is none, or less than none.
 */
export interface RetryOptions {
  /** The first delay. */
  readonly base?: Duration.Input | undefined
  /** What each further delay is multiplied with. */
  readonly factor?: number | undefined
  /** No delay is longer, unless the server asks for it. */
  readonly cap?: Duration.Input | undefined
  /** Attempts after the first one. */
  readonly times?: number | undefined
  /** No attempt starts later than this after the first failure. */
  readonly elapsed?: Duration.Input | undefined
  /** The part of a delay that chance may take away: 0 is none, 1 is all of it. */
  readonly jitter?: number | undefined
}

const defaults = {
  base: Duration.millis(500),
  factor: 2,
  cap: Duration.seconds(30),
  times: 4,
  elapsed: Duration.minutes(2),
  jitter: 0.5
} as const

/**
 * An exponential policy. The nth delay is drawn evenly from `(1 - jitter) * d` to `d`, where `d` is
 * `base * factor ** (n - 1)`, at most `cap`. Where the server named a time and it is longer, that time is taken, to
 * the millisecond. The delay about to be taken counts towards `elapsed`: a wait that would end too late is not begun.
 */
const make = (options?: RetryOptions): RetryPolicy => {
  const time = (field: "base" | "cap" | "elapsed") =>
    timeFrom(`RetryPolicy: ${field}`, 0, options?.[field] ?? defaults[field])
  const number = (field: "factor" | "times" | "jitter") =>
    numberFrom(`RetryPolicy: ${field}`, 0, options?.[field] ?? defaults[field])
  const cap = time("cap")
  const elapsedMillis = Duration.toMillis(time("elapsed"))
  const jitter = Math.min(1, number("jitter"))
  const times = number("times")
  return Schedule.exponential(time("base"), number("factor")).pipe(
    Schedule.setInputType<Reason>(),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.map(Random.next, (chance) => {
        const drawn = Duration.times(Duration.min(duration, cap), 1 - jitter * chance)
        const asked = retryAfter(input)
        return asked === undefined ? drawn : Duration.max(drawn, asked)
      })
    ),
    Schedule.while(({ duration, elapsed }) => elapsed + Duration.toMillis(duration) <= elapsedMillis),
    Schedule.upTo({ times })
  )
}

const retryAfter = (reason: Reason): Duration.Duration | undefined =>
  "retryAfter" in reason ? reason.retryAfter : undefined

/**
 * Whether an operation that failed with `reason` may be repeated by the library. Holds whatever the policy says:
 * refused credentials, refusals that stay, and unknown outcomes are never repeated. `RateLimited`, `QueueFull` and a
 * time-out in the queue are our own answers to the caller, who asked not to wait (any longer).
 */
const repeatable = (reason: Reason, safety: Safety): boolean => {
  switch (reason._tag) {
    case "AuthenticationFailed":
    case "OutcomeUnknown":
    case "AccountClosed":
    case "RateLimited":
    case "QueueFull":
      return false
    case "TimedOut":
    case "ConnectionLost":
    case "ProtocolViolation":
      return reason.isRetryable && allows(safety, reason.written)
    default:
      // A connection that was never made, or a "no" of the server: nothing has been done.
      return reason.isRetryable
  }
}

/** The end of a message sent is written by a connection that reports its own doubt as `OutcomeUnknown`. */
const allows = (safety: Safety, written: boolean) => safety !== "unwritten" || !written

/** What is told about each repetition before its delay begins; `attempt` is 1 for the first one. */
export interface Retry {
  readonly reason: Reason
  readonly attempt: number
  readonly delay: Duration.Duration
}

/**
 * Repeats an effect as the policy says, and never where `repeatable` says no. Defects and interruption end it at once.
 * The last reason is the one it fails with.
 */
const retrying = (policy: RetryPolicy, safety: Safety, onRetry?: (retry: Retry) => Effect.Effect<void>) => {
  const schedule = () => {
    const guarded = policy.pipe(Schedule.while(({ input }) => repeatable(input, safety)))
    return onRetry === undefined ? guarded : guarded.pipe(
      Schedule.tap(({ attempt, duration, input }) => onRetry({ reason: input, attempt, delay: duration }))
    )
  }
  /** The schedule is made with the first failure: what succeeds at once, as most do, costs nothing more. */
  const repeated = <A, E extends Reason, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.catch(self, (reason) => {
      if (!repeatable(reason, safety)) return Effect.fail(reason)
      let isFirst = true
      const attempt = Effect.suspend(() => {
        if (!isFirst) return self
        isFirst = false
        return Effect.fail(reason)
      })
      return Effect.retry(attempt, schedule())
    })
  return <A, E extends Reason, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    safety === "change"
      ? Effect.suspend(() => {
        let doubt: E | undefined
        return self.pipe(
          Effect.tapError((reason) =>
            Effect.sync(() => {
              if (mayHaveTakenPlace(reason)) doubt = reason
            })
          ),
          repeated,
          Effect.mapError((reason) => mayHaveTakenPlace(reason) ? reason : doubt ?? reason)
        )
      })
      : repeated(self)
}

/** Retry policies, and the guard that holds for all of them. `none` never repeats. */
export const RetryPolicy = {
  default: make(),
  defaults,
  make,
  none: Schedule.recurs(0) as RetryPolicy, // widens only: recurs takes any input
  repeatable,
  retryAfter,
  retrying
} as const
