/**
 * A set of UIDs kept as ranges: a mailbox of a million messages without holes costs as much as one of ten. Immutable.
 * Its text is a sequence set ("1:5,9", RFC 9051 9); the empty set is "".
 */
import { isUid, toRange } from "./MessageSet.ts"

type Range = readonly [first: number, last: number]

export class UidRanges {
  static readonly empty = new UidRanges([])

  /** Sorted, neither overlapping nor adjacent. */
  readonly #ranges: ReadonlyArray<Range>

  private constructor(ranges: ReadonlyArray<Range>) {
    this.#ranges = ranges
  }

  static from(uids: Iterable<number>): UidRanges {
    return UidRanges.parse(toRange([...new Set(uids)].sort((a, b) => a - b))) ?? UidRanges.empty
  }

  /** Numbers that come one by one, in any order, without keeping each: a run of them costs as much as one. */
  static collecting(): { readonly add: (uid: number) => void; readonly ranges: () => UidRanges } {
    const runs: Array<[number, number]> = []
    return {
      add: (uid) => {
        const last = runs.at(-1)
        if (last !== undefined && uid === last[1] + 1) last[1] = uid
        else if (last !== undefined && uid === last[0] - 1) last[0] = uid
        else runs.push([uid, uid])
      },
      ranges: () => new UidRanges(normal(runs))
    }
  }

  /** Reads a sequence set of UIDs, none of them "*"; undefined for any other text. */
  static parse(text: string): UidRanges | undefined {
    if (text === "") return UidRanges.empty
    const ranges: Array<Range> = []
    for (const part of text.split(",")) {
      const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(part)
      if (match === null) return undefined
      const first = Number(match[1])
      const last = Number(match[2] ?? match[1])
      if (!isUid(first) || !isUid(last)) return undefined
      ranges.push(first <= last ? [first, last] : [last, first])
    }
    return new UidRanges(normal(ranges))
  }

  get size(): number {
    return this.#ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0)
  }

  has(uid: number): boolean {
    let low = 0
    let high = this.#ranges.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const [first, last] = this.#ranges[middle] ?? [0, 0]
      if (uid < first) high = middle - 1
      else if (uid > last) low = middle + 1
      else return true
    }
    return false
  }

  union(other: UidRanges): UidRanges {
    return new UidRanges(normal([...this.#ranges, ...other.#ranges]))
  }

  intersection(other: UidRanges): UidRanges {
    return this.without(this.without(other))
  }

  without(other: UidRanges): UidRanges {
    const kept: Array<Range> = []
    let taken = 0
    for (const [first, last] of this.#ranges) {
      let start = first
      while (taken < other.#ranges.length && (other.#ranges[taken]?.[1] ?? 0) < start) taken++
      for (let index = taken; index < other.#ranges.length; index++) {
        const [from, to] = other.#ranges[index] ?? [0, 0]
        if (from > last) break
        if (from > start) kept.push([start, from - 1])
        start = to + 1
      }
      if (start <= last) kept.push([start, last])
    }
    return new UidRanges(kept)
  }

  *[Symbol.iterator](): Iterator<number> {
    for (const [first, last] of this.#ranges) for (let uid = first; uid <= last; uid++) yield uid
  }

  toString(): string {
    return this.#ranges.map(([first, last]) => first === last ? `${first}` : `${first}:${last}`).join(",")
  }
}

const normal = (ranges: ReadonlyArray<Range>): ReadonlyArray<Range> => {
  const sorted = [...ranges].sort(([a], [b]) => a - b)
  const merged: Array<[number, number]> = []
  for (const [first, last] of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else merged.push([first, last])
  }
  return merged
}
