/** Sequence sets of the wire (RFC 9051 9): "1:5,9", "100:*", "*:3". Pure. */

/** An inclusive range; Infinity stands for `*`. Not ordered yet, as "*:3" may mean 3 to the last. */
export interface SequenceRange {
  readonly from: number
  readonly to: number
}

const largest = 4294967295

/** The ranges of a set, or undefined where it is none. */
export const parseSequenceSet = (text: string): ReadonlyArray<SequenceRange> | undefined => {
  const ranges: Array<SequenceRange> = []
  for (const part of text.split(",")) {
    const match = /^(\d{1,10}|\*)(?::(\d{1,10}|\*))?$/.exec(part)
    if (match === null) return undefined
    const from = numberOf(match[1] ?? "")
    const to = match[2] === undefined ? from : numberOf(match[2])
    if (from === undefined || to === undefined) return undefined
    ranges.push({ from, to })
  }
  return ranges
}

const numberOf = (text: string): number | undefined => {
  if (text === "*") return Infinity
  const value = Number(text)
  return value >= 1 && value <= largest ? value : undefined
}

/** The ranges with `*` replaced by `last`, each ascending, in ascending order, joined where they touch. */
export const normalise = (ranges: ReadonlyArray<SequenceRange>, last: number): ReadonlyArray<SequenceRange> => {
  const ordered = ranges
    .map(({ from, to }) => {
      const a = from === Infinity ? last : from
      const b = to === Infinity ? last : to
      return a <= b ? { from: a, to: b } : { from: b, to: a }
    })
    .sort((a, b) => a.from - b.from)
  const joined: Array<{ from: number; to: number }> = []
  for (const range of ordered) {
    const previous = joined.at(-1)
    if (previous !== undefined && range.from <= previous.to + 1) previous.to = Math.max(previous.to, range.to)
    else joined.push({ ...range })
  }
  return joined
}

/** Whether a number lies in normalised ranges. */
export const includes = (ranges: ReadonlyArray<SequenceRange>, value: number): boolean => {
  for (const range of ranges) {
    if (value < range.from) return false
    if (value <= range.to) return true
  }
  return false
}

/** Where in an ascending list the first number at or above `value` stands. */
export const lowerBound = (sorted: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}
