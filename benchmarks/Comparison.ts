/** Compares a run with an earlier one by their ratios, since what slows the machine down slows both sides of a ratio. */
import type { Spread } from "./Harness.ts"
import type { Results } from "./Report.ts"

export interface Comparison {
  /** Ratios that both runs have. */
  readonly compared: number
  /** Those that are worse than before by more than the noise that either run has measured. */
  readonly worse: ReadonlyArray<string>
}

/** No run is so quiet that less than this is a difference. */
const leastNoise = 0.1

const noiseOf = ({ high, low, median }: Spread) => (high - low) / median

export const compareResults = (before: Results, now: Results): Comparison => {
  const key = (...names: ReadonlyArray<string>) => JSON.stringify(names)
  const known = new Map(ratiosOf(before).map(({ names, ratio }) => [key(...names), ratio]))
  const worse: Array<string> = []
  let compared = 0
  for (const { names, ratio } of ratiosOf(now)) {
    const base = known.get(key(...names))
    if (base === undefined) continue
    compared++
    const allowed = base.median * (1 + Math.max(leastNoise, noiseOf(base), noiseOf(ratio)))
    if (ratio.median <= allowed) continue
    const [suite, test, peer] = names
    worse.push(
      `${suite}, ${test}, against ${peer}: ${ratio.median} (was ${base.median}, allowed ${allowed.toFixed(2)})`
    )
  }
  return { compared, worse }
}

const ratiosOf = ({ suites }: Results) =>
  suites.flatMap((suite) =>
    suite.cases.flatMap((test) =>
      test.subjects.flatMap(({ name, ratio }) =>
        ratio === undefined ? [] : [{ names: [suite.name, test.name, name], ratio }]
      )
    )
  )
