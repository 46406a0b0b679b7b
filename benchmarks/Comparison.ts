/** Compares a run with an earlier one by their ratios, since what slows the machine down slows both sides of a ratio. */
import type { Spread } from "./Harness.ts"
import type { Results } from "./Report.ts"

/** A ratio by what it is of. */
export interface Compared {
  readonly suite: string
  readonly test: string
  readonly peer: string
}

export interface Worse extends Compared {
  readonly before: number
  readonly now: number
  /** The most that noise would explain. */
  readonly allowed: number
}

export interface Comparison {
  /** Ratios that both runs have. */
  readonly compared: number
  /** Those that are worse than before by more than the noise that the two runs have measured. */
  readonly worse: ReadonlyArray<Worse>
  /** Ratios of the same suites that only the earlier run has: a case was renamed, or a peer is not installed here. */
  readonly missing: ReadonlyArray<Compared>
}

/** No two runs are so quiet that less than this is a difference. */
const leastNoise = 0.1

/** A median lies somewhere between its quartiles, in each of two runs. */
const noiseOf = ({ high, low, median }: Spread) => (high - low) / median

export const compareResults = (before: Results, now: Results): Comparison => {
  const suites = new Set(now.suites.map(({ name }) => name))
  const found = new Map(ratiosOf(now).map((each) => [keyOf(each), each.ratio]))
  const worse: Array<Worse> = []
  const missing: Array<Compared> = []
  let compared = 0
  for (const { ratio: base, ...names } of ratiosOf(before)) {
    if (!suites.has(names.suite)) continue
    const ratio = found.get(keyOf(names))
    if (ratio === undefined) {
      missing.push(names)
      continue
    }
    compared++
    const allowed = base.median * (1 + Math.max(leastNoise, noiseOf(base) + noiseOf(ratio)))
    // a ratio that is no number is worse than any
    if (!(ratio.median <= allowed)) worse.push({ ...names, before: base.median, now: ratio.median, allowed })
  }
  return { compared, worse, missing }
}

/** What was worse in both of two runs. Of a hundred ratios some are worse by chance, but hardly the same ones twice. */
export const worseTwice = (first: Comparison, second: Comparison): ReadonlyArray<Worse> => {
  const again = new Set(second.worse.map(keyOf))
  return first.worse.filter((each) => again.has(keyOf(each)))
}

/** The suites that hold what is worse. */
export const suitesOf = (worse: ReadonlyArray<Compared>): ReadonlyArray<string> => [
  ...new Set(worse.map(({ suite }) => suite))
]

export const toLine = ({ peer, suite, test }: Compared): string => `${suite}, ${test}, against ${peer}`

export const toVerdict = (worse: Worse): string =>
  `${toLine(worse)}: ${worse.now.toFixed(2)}, was ${worse.before.toFixed(2)} (noise would explain ${
    worse.allowed.toFixed(2)
  })`

const keyOf = ({ peer, suite, test }: Compared) => JSON.stringify([suite, test, peer])

const ratiosOf = ({ suites }: Results): ReadonlyArray<Compared & { readonly ratio: Spread }> =>
  suites.flatMap((suite) =>
    suite.cases.flatMap((test) =>
      test.subjects.flatMap(({ name, ratio }) =>
        ratio === undefined ? [] : [{ suite: suite.name, test: test.name, peer: name, ratio }]
      )
    )
  )
