/**
 * Measures subjects side by side: opened together, warmed up, then run in rounds whose order rotates, so that what the
 * machine does to one it does to all. A ratio is taken within each round, and its median is the answer. Every run's
 * digest is compared with what the server holds; one that differs fails the suite. It knows nothing of mail.
 */
import { Cause, Data, Effect, type Scope } from "effect"

/** What was read or sent: how many, how many octets, and a sum over them that does not depend on the order. */
export interface Digest {
  readonly count: number
  readonly octets?: number | undefined
  readonly checksum?: number | undefined
}

/** What a run has to show. `millis` and `cpu` where the work is timed in another process; `value` where it is no time. */
export interface Outcome {
  readonly digest?: Digest | undefined
  readonly millis?: number | undefined
  readonly cpu?: number | undefined
  readonly value?: number | undefined
}

export type Role = "library" | "peer" | "limit"

export interface Subject {
  readonly name: string
  readonly role: Role
  /** Why it cannot run here; it is then reported and passed over. */
  readonly skip?: string | undefined
  /** Opens what is held while all subjects run, and answers one run. */
  readonly open: Effect.Effect<Effect.Effect<Outcome, unknown>, unknown, Scope.Scope>
  /** Divides the time, where one run does fewer operations than another. Default: the case's. */
  readonly operations?: number
  /** The subject reads something else than the others, and has a digest of its own. */
  readonly expected?: Digest
}

/** What is aimed at, as library / subject. */
export interface Target {
  readonly against: string
  readonly atMost: number
}

/** An absolute aim in the unit of the case; of what the library needs more than a subject, where one is named. */
export interface Bound {
  readonly atMost: number
  readonly over?: string
}

export type Unit = "ms" | "us" | "MB"

export interface Case {
  readonly name: string
  readonly subjects: ReadonlyArray<Subject>
  readonly expected?: Digest
  /** Times are shown for one of so many operations. Default: for the whole run. */
  readonly operations?: number
  readonly unit?: Unit
  /** The figure is the highest there was, and not what there is at the end. */
  readonly isPeak?: true
  readonly targets?: ReadonlyArray<Target | Bound>
  /** Rounds, where `usualRounds` is too many or too few for what one takes. */
  readonly rounds?: number
  /** What bounds this case, for the reader of the table. */
  readonly bound?: string
  /** Run subjects that hold much apart from each other: each is opened for its run only. */
  readonly apart?: boolean
}

export interface Spread {
  readonly median: number
  /** Quartiles. */
  readonly low: number
  readonly high: number
}

export interface SubjectResult {
  readonly name: string
  readonly role: Role
  readonly skipped?: string
  readonly time?: Spread
  /** CPU of this process in the unit of the case; absent where the work is another process's. */
  readonly cpu?: Spread
  /** library / subject, of the same round. */
  readonly ratio?: Spread
  readonly runs?: ReadonlyArray<number>
}

export interface TargetResult {
  readonly text: string
  readonly ratio: number
  readonly met: boolean
}

export interface CaseResult {
  readonly name: string
  readonly unit: Unit
  readonly isPeak?: true
  /** What a figure is for. */
  readonly per: "operation" | "run"
  /** Runs that were counted, of each subject. */
  readonly rounds: number
  readonly subjects: ReadonlyArray<SubjectResult>
  readonly targets: ReadonlyArray<TargetResult>
  readonly bound?: string
}

export interface SuiteResult {
  readonly name: string
  readonly question: string
  readonly server: string
  readonly cases: ReadonlyArray<CaseResult>
  readonly notes: ReadonlyArray<string>
  /** Cases that did not come to their end, each with the reason; none where all is well. */
  readonly failures: ReadonlyArray<string>
}

/** How a suite is run. */
export interface SuiteOptions {
  /** Small sizes and one round without another to warm up: for correctness. */
  readonly quick: boolean
  /** For every case, whatever it thinks right. */
  readonly rounds?: number | undefined
}

/** Rounds of a case that says nothing else. */
const usualRounds = 7

/** A run answered something else than the server holds. */
export class WrongDigest extends Data.TaggedError("WrongDigest")<{ readonly message: string }> {}

/** What a suite is given. */
export interface Bench {
  readonly quick: boolean
  /** One number for a full run, another for `--quick`. */
  readonly size: <A>(full: A, quick: A) => A
  /** Measures, or takes note of why it could not: the cases after it are measured all the same. */
  readonly measure: (test: Case) => Effect.Effect<void>
  readonly note: (text: string) => void
}

export interface Suite {
  readonly name: string
  readonly question: string
  /** Answers the name of the server it ran against. */
  readonly run: (bench: Bench) => Effect.Effect<string, unknown, Scope.Scope>
}

/** Milliseconds to the unit that is shown. A value that is no time is in its unit already. */
const perMilli: Readonly<Record<Unit, number>> = { ms: 1, us: 1000, MB: 1 }

/** Runs one suite to its result; fails only where it cannot so much as begin. */
export const runSuite = (
  suite: Suite,
  options: SuiteOptions & { readonly log: (line: string) => void }
): Effect.Effect<SuiteResult, unknown> =>
  Effect.gen(function*() {
    const cases: Array<CaseResult> = []
    const notes: Array<string> = []
    const failures: Array<string> = []
    const began = performance.now()
    const server = yield* Effect.scoped(suite.run({
      quick: options.quick,
      size: (full, quick) => options.quick ? quick : full,
      measure: (test) => {
        const log = (step: string) => {
          const seconds = Math.round((performance.now() - began) / 1000)
          options.log(`${suite.name}, ${test.name}: ${step} (${seconds} s)`)
        }
        const rounds = options.rounds ?? (options.quick ? 1 : test.rounds ?? usualRounds)
        const warmUps = options.quick || test.apart === true ? 0 : 1
        return measure(test, { rounds, warmUps }, log).pipe(
          Effect.matchCause({
            onSuccess: (result) => void cases.push(result),
            onFailure: (cause) => {
              const why = wordsOf(Cause.squash(cause))
              failures.push(`${test.name}: ${why}`)
              log(`FAILED: ${why}`)
            }
          })
        )
      },
      note: (text) => notes.push(text)
    }))
    return { name: suite.name, question: suite.question, server, cases, notes, failures }
  })

const wordsOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

interface Sample {
  readonly value: number
  readonly cpu: number | undefined
}

const measure = (
  test: Case,
  { rounds, warmUps }: { readonly rounds: number; readonly warmUps: number },
  log: (step: string) => void
): Effect.Effect<CaseResult, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const unit = test.unit ?? "ms"
    const able = test.subjects.filter(({ skip }) => skip === undefined)
    const samples = new Map<string, Array<Sample>>(able.map(({ name }) => [name, []]))
    const runs = new Map<string, Effect.Effect<Outcome, unknown>>()
    for (const subject of able) {
      const run = test.apart === true
        ? Effect.scoped(Effect.flatten(subject.open))
        : yield* subject.open
      runs.set(subject.name, run)
    }
    for (let round = -warmUps; round < rounds; round++) {
      log(round < 0 ? "warming up" : `round ${round + 1} of ${rounds}`)
      for (let turn = 0; turn < able.length; turn++) {
        const subject = able[(turn + Math.max(0, round)) % able.length]
        const run = subject === undefined ? undefined : runs.get(subject.name)
        if (subject === undefined || run === undefined) continue
        const sample = yield* once(test, subject, run, unit)
        // The first round warms up: code is compiled, mailboxes are selected, indexes are built.
        if (round >= 0) samples.get(subject.name)?.push(sample)
      }
    }
    const library = able.find(({ role }) => role === "library")
    const own = library === undefined ? [] : samples.get(library.name) ?? []
    const subjects = test.subjects.map((subject): SubjectResult => {
      const { name, role, skip } = subject
      const taken = samples.get(name)
      if (skip !== undefined || taken === undefined) return { name, role, skipped: skip ?? "was not run" }
      const values = taken.map(({ value }) => value)
      const cpus = taken.flatMap(({ cpu }) => cpu ?? [])
      return {
        name,
        role,
        time: spread(values),
        ...(cpus.length === 0 ? {} : { cpu: spread(cpus) }),
        ...(role === "library"
          ? {}
          : { ratio: spread(values.map((value, round) => (own[round]?.value ?? Number.NaN) / value)) }),
        runs: values.map(rounded)
      }
    })
    const targets = (test.targets ?? []).flatMap((target) => judge(target, subjects, unit))
    const per = test.operations === undefined ? "run" : "operation"
    return {
      name: test.name,
      unit,
      ...(test.isPeak === true ? { isPeak: true } : {}),
      per,
      rounds,
      subjects,
      targets,
      ...(test.bound === undefined ? {} : { bound: test.bound })
    }
  }))

const once = (
  test: Case,
  subject: Subject,
  run: Effect.Effect<Outcome, unknown>,
  unit: Unit
): Effect.Effect<Sample, unknown> =>
  Effect.gen(function*() {
    // What the one before left behind is not this one's work.
    globalThis.gc?.()
    const cpuBefore = process.cpuUsage()
    const before = performance.now()
    const outcome = yield* run
    const millis = outcome.millis ?? performance.now() - before
    const cpu = process.cpuUsage(cpuBefore)
    const ownCpu = outcome.millis === undefined ? (cpu.user + cpu.system) / 1000 : outcome.cpu
    yield* compare(subject.name, test.name, outcome.digest, subject.expected ?? test.expected)
    const scale = perMilli[unit] / (subject.operations ?? test.operations ?? 1)
    return {
      value: outcome.value ?? millis * scale,
      cpu: ownCpu === undefined || outcome.value !== undefined ? undefined : ownCpu * scale
    }
  })

const compare = (
  subject: string,
  test: string,
  found: Digest | undefined,
  expected: Digest | undefined
): Effect.Effect<void, WrongDigest> => {
  if (expected === undefined) return Effect.void
  const wrong = (["count", "octets", "checksum"] as const).filter((field) =>
    // What a subject cannot know, as a counter of raw octets cannot, is not held against it; the count always is.
    expected[field] !== undefined && (found?.[field] !== undefined || field === "count") &&
    found?.[field] !== expected[field]
  )
  return wrong.length === 0 ? Effect.void : Effect.fail(
    new WrongDigest({
      message: `${subject} in "${test}": ${
        wrong.map((field) => `${field} ${found?.[field]}, the server holds ${expected[field]}`).join("; ")
      }`
    })
  )
}

const judge = (
  target: Target | Bound,
  subjects: ReadonlyArray<SubjectResult>,
  unit: Unit
): ReadonlyArray<TargetResult> => {
  if (!("against" in target)) {
    const { atMost, over } = target
    const runs = subjects.find(({ role }) => role === "library")?.runs
    const less = over === undefined ? [] : subjects.find(({ name }) => name === over)?.runs
    if (runs === undefined || less === undefined) return []
    const { median } = spread(runs.map((value, round) => value - (less[round] ?? 0)))
    const text = `at most ${atMost} ${unit}${over === undefined ? "" : ` more than ${over}`}`
    return [{ text, ratio: median, met: median <= atMost }]
  }
  const ratio = subjects.find(({ name }) => name === target.against)?.ratio?.median
  if (ratio === undefined) return []
  const { against, atMost } = target
  return [{
    text: atMost >= 1 ? `at most ${atMost} x ${against}` : `at least ${rounded(1 / atMost)} x faster than ${against}`,
    ratio: rounded(atMost >= 1 ? ratio : 1 / ratio),
    met: ratio <= atMost
  }]
}

export const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (quantile: number) => {
    const position = quantile * (sorted.length - 1)
    const low = sorted[Math.floor(position)] ?? Number.NaN
    const high = sorted[Math.ceil(position)] ?? Number.NaN
    return rounded(low + (high - low) * (position - Math.floor(position)))
  }
  return { median: at(0.5), low: at(0.25), high: at(0.75) }
}

/** Four significant digits: more is noise. */
const rounded = (value: number): number => Number(value.toPrecision(4))
