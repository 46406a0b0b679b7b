/**
 * How many messages one command may name. A line that is too long is refused, or ends the connection; which length that
 * is differs, and nobody announces it. Knows sets of numbers, and nothing of the command around them.
 */

/** A set no longer than this, in octets: RFC 7162 section 4 names 8192 as the length of a line that is portable. */
export const maxSetLength = 7_500

/** Where the run of UIDs that one command may name ends: it begins at `start` and holds at most `most`, and at least one. */
export const endOfLine = (uids: ReadonlyArray<number>, start: number, most: number): number => {
  let end = start
  let length = 0
  let isRun = false
  while (end < uids.length && end - start < most && length < maxSetLength) {
    const uid = uids[end] ?? 0
    const goesOn = end > start && uid === (uids[end - 1] ?? 0) + 1
    // "123,", or the other end of a run, "123:456,", which costs the same however long the run is
    if (!goesOn || !isRun) length += String(uid).length + 1
    isRun = goesOn
    end++
  }
  return end
}

/** The UIDs of one command after the other, each with at most `most`. */
export const inLines = (uids: ReadonlyArray<number>, most: number): ReadonlyArray<ReadonlyArray<number>> => {
  const lines: Array<ReadonlyArray<number>> = []
  for (let start = 0; start < uids.length;) {
    const end = endOfLine(uids, start, most)
    lines.push(uids.slice(start, end))
    start = end
  }
  return lines
}

/** A sequence set ("1:5,9") as sets no longer than `length`, in the same order. */
export const cutSet = (set: string, length: number): ReadonlyArray<string> => {
  const sets: Array<string> = []
  let start = 0
  while (set.length - start > length) {
    const comma = set.lastIndexOf(",", start + length)
    // a single range is never cut
    const end = comma > start ? comma : set.indexOf(",", start)
    if (end < 0) break
    sets.push(set.slice(start, end))
    start = end + 1
  }
  return [...sets, set.slice(start)]
}
