/** What a run of the benchmarks measures, and that a wrong result is never taken for a fast one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Case, runSuite, type Subject, type SuiteOptions } from "../../benchmarks/Harness.ts"

/** Runs these cases, and answers the result with the names of the subjects in the order in which they were run. */
const run = (options: SuiteOptions, cases: (subject: MakeSubject) => ReadonlyArray<Case>) =>
  Effect.gen(function*() {
    const runs: Array<string> = []
    const subject: MakeSubject = (name, role, answers) => {
      const waiting = answers.values()
      return {
        name,
        role,
        open: Effect.succeed(Effect.sync(() => {
          runs.push(name)
          return { digest: { count: 1 }, ...waiting.next().value }
        }))
      }
    }
    const result = yield* runSuite({
      name: "suite",
      question: "How fast?",
      run: ({ measure }) => Effect.as(Effect.forEach(cases(subject), measure), "a server")
    }, { ...options, log: () => {} })
    return { result, runs }
  })

type MakeSubject = (
  name: string,
  role: Subject["role"],
  answers: ReadonlyArray<{ readonly millis?: number; readonly digest?: { readonly count: number } }>
) => Subject

const expected = { count: 1 }

describe("a suite", () => {
  it.effect("warms every subject up, then runs them in turn, and takes the ratios within each round", () =>
    Effect.gen(function*() {
      const { result, runs } = yield* run({ quick: false, rounds: 3 }, (subject) => [{
        name: "case",
        expected,
        targets: [{ against: "bare", atMost: 1.5 }, { against: "bare", atMost: 0.5 }],
        subjects: [
          subject("own", "library", [{ millis: 900 }, { millis: 10 }, { millis: 20 }, { millis: 90 }]),
          subject("bare", "peer", [{ millis: 1 }, { millis: 10 }, { millis: 20 }, { millis: 30 }])
        ]
      }])
      assert.deepStrictEqual(runs, ["own", "bare", "own", "bare", "bare", "own", "own", "bare"])
      const [test] = result.cases
      assert.deepStrictEqual(test?.subjects.map(({ runs, time }) => [time?.median, runs]), [
        [20, [10, 20, 90]],
        [20, [10, 20, 30]]
      ])
      assert.deepStrictEqual(test?.subjects[1]?.ratio, { median: 1, low: 1, high: 2 })
      assert.deepStrictEqual(test?.targets.map(({ met }) => met), [true, false])
      assert.isEmpty(result.failures)
    }))

  it.effect("runs each subject once where it is only for correctness", () =>
    Effect.gen(function*() {
      const { result, runs } = yield* run({ quick: true }, (subject) => [{
        name: "case",
        expected,
        rounds: 5,
        subjects: [subject("own", "library", []), subject("bare", "peer", [])]
      }])
      assert.deepStrictEqual(runs, ["own", "bare"])
      assert.isEmpty(result.failures)
    }))

  it.effect("fails a case in which one subject read something else, and measures those after it", () =>
    Effect.gen(function*() {
      for (const quick of [true, false]) {
        const { result } = yield* run({ quick, rounds: 1 }, (subject) => [
          {
            name: "wrong",
            expected,
            subjects: [
              subject("own", "library", []),
              subject("bare", "peer", [{ digest: { count: 2 } }])
            ]
          },
          { name: "right", expected, subjects: [subject("own", "library", [])] }
        ])
        assert.deepStrictEqual(result.failures, ["wrong: bare in \"wrong\": count 2, the server holds 1"])
        assert.deepStrictEqual(result.cases.map(({ name }) => name), ["right"])
      }
    }))

  it.effect("holds the library to a bound, or to what it needs more than another, round by round", () =>
    Effect.gen(function*() {
      const { result } = yield* run({ quick: false, rounds: 3 }, (subject) => [{
        name: "case",
        targets: [{ atMost: 30 }, { atMost: 5, over: "without" }, { atMost: 4, over: "without" }],
        subjects: [
          subject("own", "library", [{ millis: 0 }, { millis: 15 }, { millis: 40 }, { millis: 90 }]),
          subject("without", "limit", [{ millis: 0 }, { millis: 10 }, { millis: 35 }, { millis: 10 }])
        ]
      }])
      assert.deepStrictEqual(result.cases[0]?.targets, [
        { text: "at most 30 ms", ratio: 40, met: false },
        { text: "at most 5 ms more than without", ratio: 5, met: true },
        { text: "at most 4 ms more than without", ratio: 5, met: false }
      ])
    }))

  it.effect("passes over a subject that cannot run here, and says why", () =>
    Effect.gen(function*() {
      const { result, runs } = yield* run({ quick: true }, (subject) => [{
        name: "case",
        subjects: [subject("own", "library", []), { ...subject("other", "peer", []), skip: "it is not installed" }]
      }])
      assert.deepStrictEqual(runs, ["own"])
      assert.strictEqual(result.cases[0]?.subjects[1]?.skipped, "it is not installed")
    }))
})
