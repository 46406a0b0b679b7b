/** Random numbers that can be drawn again: a seed and a name make a sequence (mulberry32 over FNV-1a). */

export interface Dice {
  /** A whole number from 0 to below `below`. */
  readonly below: (below: number) => number
  readonly oneOf: <A>(values: readonly [A, ...ReadonlyArray<A>]) => A
  readonly chance: (percent: number) => boolean
  /** Up to `count` different ones, in their order. */
  readonly some: <A>(values: ReadonlyArray<A>, count: number) => ReadonlyArray<A>
}

export const dice = (seed: number, name: string): Dice => {
  let state = seed | 0
  for (const char of name) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  const next = () => {
    state = state + 0x6D2B79F5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 4294967296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    oneOf: (values) => values[below(values.length)] ?? values[0],
    chance: (percent) => next() * 100 < percent,
    some: (values, count) => {
      const left = [...values]
      while (left.length > count) left.splice(below(left.length), 1)
      return left
    }
  }
}

/** The seed of this run: `PROOF_SEED` from the environment, or another one each time. */
export const seed = Number(process.env["PROOF_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
