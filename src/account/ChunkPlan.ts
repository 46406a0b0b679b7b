/**
 * How a long list of messages is cut into commands: small at first, so that something arrives soon, then as large as
 * the byte budget and the length of a command line allow, learning from what has arrived. Plain state, no I/O.
 *
 * Sources are asked for with a bound per message (`partial`), so that a chunk has a bound even where sizes are unknown;
 * the few longer messages are completed one by one.
 */

/** The first chunk, and the next ones while nothing has been learned. */
const firstCount = 32
const unlearnedCount = 256
/** No chunk holds more messages. */
const maxCount = 2_000
/** A UID set no longer than this, in octets: RFC 7162 section 4 names 8192 as the portable length of a line. */
const maxRangeLength = 7_500
/** Bounds for a message in a chunk, octets; the one over twice the mean size seen is used. */
const partials = [64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024]

export class ChunkPlan {
  readonly #uids: ReadonlyArray<number>
  readonly #chunkBytes: number
  #position = 0
  #chunks = 0
  #messages = 0
  #octets = 0
  #limit = maxCount

  /** `budget` octets for chunks on `lanes` connections: each may be in transfer, waiting, or in the consumer's hands. */
  constructor(uids: ReadonlyArray<number>, options: { readonly lanes: number; readonly budget: number }) {
    this.#uids = uids
    this.#chunkBytes = options.budget / (4 * options.lanes)
  }

  /** The UIDs of the next chunk; undefined at the end. */
  next(): ReadonlyArray<number> | undefined {
    if (this.#position >= this.#uids.length) return undefined
    const wanted = Math.min(this.#count(), this.#limit)
    const start = this.#position
    let end = start
    let length = 0
    let previous = -1
    while (end < this.#uids.length && end - start < wanted && length < maxRangeLength) {
      const uid = this.#uids[end] ?? 0
      // a run costs its two ends, "123:456,"
      if (uid !== previous + 1) length += 2 * (String(uid).length + 1)
      previous = uid
      end++
    }
    this.#position = end
    this.#chunks++
    return this.#uids.slice(start, end)
  }

  /** What a chunk turned out to be. */
  learn(messages: number, octets: number): void {
    this.#messages += messages
    this.#octets += octets
  }

  /** A chunk took too long: smaller ones from now on. */
  shrink(count: number): void {
    this.#limit = Math.max(1, Math.floor(count / 2))
  }

  /** Octets to ask of each message at most. */
  get partial(): number {
    const mean = this.#mean
    return partials.find((octets) => octets >= 2 * mean) ?? partials.at(-1) ?? 0
  }

  get #mean(): number {
    return this.#messages === 0 ? 0 : this.#octets / this.#messages
  }

  #count(): number {
    if (this.#messages === 0) return this.#chunks === 0 ? firstCount : unlearnedCount
    return Math.max(1, Math.min(maxCount, Math.floor(this.#chunkBytes / Math.max(1, this.#mean))))
  }
}
