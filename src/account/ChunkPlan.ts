/**
 * How a long list of messages is cut into commands: small at first, so that something arrives soon, then as large as
 * the byte budget, the length of a command line and the bound on a command's time allow, learning from what has arrived.
 * Each command costs a round trip in which its connection does nothing, so few are better. Plain state, no I/O.
 *
 * Sources are asked for with a bound per message (`partial`), so that a chunk has a bound even where sizes are unknown;
 * the few longer messages are completed afterwards.
 */
import { endOfLine } from "../domain/CommandLine.ts"

/** Messages of a chunk while nothing has been learned: few, so that each may be long without being over the budget. */
const firstCount = 32
/** Fewer are not worth a round trip of their own. */
const handful = 256
/** Messages per millisecond that a server is trusted with before it has shown what it can, where they are small. */
const presumedRate = 1 / 2
/** No chunk holds more messages. */
const maxCount = 10_000
/** A message is whole in its chunk up to this part of what the chunk may hold, and this many times the mean, */
const wholeShare = 1 / 8
const wholeMeans = 8
/** and no message beyond this many octets. */
const largestPartial = 4 * 1024 * 1024

export interface ChunkPlanOptions {
  /** Chunks that run at the same time. */
  readonly lanes: number
  /**
   * Octets for all chunks in memory: those that run, one that is ready, one in the consumer's hands, and one that the
   * consumer has dropped and nobody has collected yet.
   */
  readonly budget: number
  /** What a chunk may take, as far as can be told beforehand. */
  readonly millis: number
  /** Octets that each message takes, where that is known beforehand. */
  readonly octets?: number | undefined
}

export class ChunkPlan {
  static readonly firstCount = firstCount

  readonly #uids: ReadonlyArray<number>
  readonly #lanes: number
  readonly #chunkBytes: number
  readonly #chunkMillis: number
  #position = 0
  #chunks = 0
  #messages = 0
  #octets = 0
  /** Messages per millisecond, of the fastest chunk: a short one says more about the round trip than about the line. */
  #rate = 0
  #limit = maxCount
  /** Chunks planned since something was learned. */
  #begun = 0
  #chunksLeft = 0

  constructor(uids: ReadonlyArray<number>, { budget, lanes, millis, octets }: ChunkPlanOptions) {
    this.#uids = uids
    this.#lanes = lanes
    this.#chunkBytes = budget / (lanes + 3)
    this.#chunkMillis = millis
    if (octets !== undefined) this.learn(1, octets, 1 / presumedRate)
  }

  /** Nothing has arrived yet, so what is planned now is a guess. */
  get isLearning(): boolean {
    return this.#messages === 0
  }

  /** Chunks planned so far. */
  get planned(): number {
    return this.#chunks
  }

  /** The UIDs of the next chunk; undefined at the end. */
  next(): ReadonlyArray<number> | undefined {
    if (this.#position >= this.#uids.length) return undefined
    const wanted = Math.min(this.#count(), this.#limit)
    const start = this.#position
    this.#position = endOfLine(this.#uids, start, wanted)
    this.#chunks++
    return this.#uids.slice(start, this.#position)
  }

  /** What a chunk turned out to be, and how long its command took. */
  learn(messages: number, octets: number, millis: number): void {
    this.#messages += messages
    this.#octets += octets
    this.#rate = Math.max(this.#rate, messages / Math.max(1, millis))
  }

  /** A chunk took too long, or was too large: smaller ones from now on. */
  shrink(count: number): void {
    this.#limit = Math.max(1, Math.floor(count / 2))
  }

  /** Octets to ask of each message at most. */
  get partial(): number {
    const whole = this.isLearning ? 1 / firstCount : wholeShare
    return Math.ceil(Math.min(largestPartial, Math.max(whole * this.#chunkBytes, wholeMeans * this.#mean)))
  }

  get #mean(): number {
    return this.#messages === 0 ? 0 : this.#octets / this.#messages
  }

  #count(): number {
    if (this.isLearning) return firstCount
    const most = Math.max(
      1,
      Math.min(
        maxCount,
        Math.floor(this.#chunkBytes / Math.max(1, this.#mean)),
        Math.floor(this.#rate * this.#chunkMillis)
      )
    )
    const left = this.#uids.length - this.#position
    // Lanes that begin with the same end at the same time, and then all wait for an answer together.
    if (++this.#begun < this.#lanes && left > this.#lanes * most) return Math.ceil(most * this.#begun / this.#lanes)
    // As few as can be, but the same for each lane, and of one size: a lane that ends early helps nobody.
    if (this.#chunksLeft === 0 || left / this.#chunksLeft > most) {
      const fewest = Math.ceil(left / most)
      const even = Math.ceil(fewest / this.#lanes) * this.#lanes
      // lanes are not worth a round trip each for a handful
      this.#chunksLeft = Math.max(fewest, Math.min(even, Math.ceil(left / handful)))
    }
    return Math.ceil(left / this.#chunksLeft--)
  }
}
