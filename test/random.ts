/** Random numbers that can be drawn again. */

/** Numbers from 0 to below 1 (mulberry32): the same seed gives the same sequence on every machine. */
const mulberry32 = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = state + 0x6D2B79F5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 4294967296
  }
}

/** Whole numbers from 0 to below `below`. */
export const randomFrom = (seed: number) => {
  const next = mulberry32(seed)
  return (below: number): number => Math.floor(next() * below)
}

export interface Dice {
  /** A whole number from 0 to below `below`. */
  readonly below: (below: number) => number
  readonly oneOf: <A>(values: readonly [A, ...ReadonlyArray<A>]) => A
  readonly chance: (percent: number) => boolean
  /** Up to `count` different ones, in their order. */
  readonly some: <A>(values: ReadonlyArray<A>, count: number) => ReadonlyArray<A>
}

/** The sequence of a seed and a name (FNV-1a). */
export const dice = (seed: number, name: string): Dice => {
  let state = seed | 0
  for (const char of name) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  const next = mulberry32(state)
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
