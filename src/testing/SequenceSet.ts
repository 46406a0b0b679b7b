/**
 * Sequence sets as a server reads them (RFC 9051 9, sequence-set): "1:5,9,100:*", where "*" is the largest number in
 * use and a range may be written backwards. Serves UIDs and message sequence numbers alike.
 */

/** Tells whether a number is in the set. Undefined for text that is no sequence set. */
export const parse = (range: string, largest: number): ((number: number) => boolean) | undefined => {
  const intervals: Array<readonly [low: number, high: number]> = []
  for (const part of range.split(",")) {
    const match = /^(\d+|\*)(?::(\d+|\*))?$/.exec(part)
    if (match === null) return undefined
    const first = toNumber(match[1], largest)
    const last = match[2] === undefined ? first : toNumber(match[2], largest)
    intervals.push(first <= last ? [first, last] : [last, first])
  }
  return (number) => intervals.some(([low, high]) => low <= number && number <= high)
}

const toNumber = (text: string | undefined, largest: number): number =>
  text === undefined || text === "*" ? largest : Number(text)
