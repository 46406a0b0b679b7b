/**
 * Runs an Effect program in a world of its own, in one go: a scheduler whose turns come in an order drawn from a seed,
 * and a clock that stands still while there is anything to do and then goes to the next timer. What hangs is found at
 * once: nothing is left to be done, no timer is set, and the program has not ended. Knows nothing of mail.
 */
import { Clock, Duration, Effect, Exit, Scheduler } from "effect"
import { AssertionError } from "node:assert"
import type { Dice } from "../random.ts"

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

export interface World {
  readonly dice: Dice
  /** Operations of a fiber until it lets others go first; the smaller, the more ways to be interrupted. */
  readonly opsBeforeYield: number
  /** Milliseconds that pass with each look at the clock, counted from 0. Default: none. */
  readonly passes?: (look: number) => number
  /** Timers go off so many milliseconds too early, as those of the platform may. */
  readonly early?: number
  /** How far the time of day is off, asked whenever somebody has slept. Default: not at all. */
  readonly setBy?: () => number
}

/** How a simulation ended. */
export interface Ending<A> {
  readonly value: A
  /** Timers that were left. */
  readonly timers: number
  /** Milliseconds that were slept. */
  readonly slept: number
  /** Looks at the clock. */
  readonly looks: number
}

export const simulate = <A, E>(program: Effect.Effect<A, E>, world: World): Ending<A> => {
  const { dice, early = 0, opsBeforeYield, passes = () => 0, setBy = () => 0 } = world
  let tasks: Array<() => void> = []
  const sleepers = new Set<Sleeper>()
  let slept = 0
  let passed = 0
  let looks = 0
  let offset = 0

  const millis = () => {
    passed += passes(looks++)
    return slept + passed
  }
  const timeOfDay = () => millis() + offset
  const nanosOf = (time: () => number) => () => BigInt(time()) * 1_000_000n
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: timeOfDay,
    currentTimeMillis: Effect.sync(timeOfDay),
    currentTimeNanosUnsafe: nanosOf(timeOfDay),
    currentTimeNanos: Effect.sync(nanosOf(timeOfDay)),
    monotonicTimeNanosUnsafe: nanosOf(millis),
    monotonicTimeNanos: Effect.sync(nanosOf(millis)),
    sleep: (duration) => {
      const wait = Duration.toMillis(duration)
      if (wait <= 0) return Effect.yieldNow
      return Effect.callback<void>((resume) => {
        if (wait === Infinity) return
        const sleeper = { at: slept + Math.max(1, wait - early), wake: () => resume(Effect.void) }
        sleepers.add(sleeper)
        return Effect.sync(() => sleepers.delete(sleeper))
      })
    }
  }
  const scheduler = new Scheduler.MixedScheduler("async", (task) => {
    tasks.push(task)
    return () => {
      tasks = tasks.filter((other) => other !== task)
    }
  })

  const fiber = Effect.runFork(
    program.pipe(
      Effect.provideService(Clock.Clock, clock),
      Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield)
    ),
    { scheduler }
  )
  let turns = 0
  for (;;) {
    if (++turns > 3_000_000) throw new AssertionError({ message: `no end after ${slept} ms` })
    const [task] = tasks.length === 0 ? [] : tasks.splice(dice.below(tasks.length), 1)
    if (task !== undefined) {
      task()
      continue
    }
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      if (Exit.isSuccess(exit)) return { value: exit.value, timers: sleepers.size, slept, looks }
      throw exit.cause.reasons.map((reason) => reason._tag === "Die" ? reason.defect : reason)[0]
    }
    const next = [...sleepers].reduce<Sleeper | undefined>((a, b) => a === undefined || b.at < a.at ? b : a, undefined)
    if (next === undefined) throw new AssertionError({ message: `hangs after ${slept} ms` })
    slept = Math.max(slept, next.at)
    offset = setBy()
    sleepers.delete(next)
    next.wake()
  }
}
