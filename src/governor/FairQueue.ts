/**
 * The requests that wait, by agent: agents take turns, each agent's own requests keep their order, and an agent of
 * weight n has n turns in a row. A request may be served before its turn, but nobody is overtaken more than a bounded
 * number of times, nor for longer than a bounded time. Plain data, without a clock, and without a bound on its length.
 */
import { Chain, type Link } from "./Chain.ts"

/** What the queue knows of a request. */
export interface Queued {
  readonly id: number
  readonly agent: string
  /** Since when it waits. */
  readonly since: number
}

export interface FairQueueOptions {
  /** How often the agent whose turn it is may be overtaken before it is served. */
  readonly overtakings: number
  /** For how long, since it was first overtaken. */
  readonly overtakingMillis: number
  /** Turns in a row, at least one. */
  readonly weightOf?: (agent: string) => number
}

class Line<R> {
  readonly requests = new Chain<R>()
  place: Link<Line<R>>
  /** Turns left before the next agent's. */
  turns: number
  /** How often others went first since it had its last turn, and since when. */
  overtaken = 0
  overtakenSince = 0

  constructor(ring: Chain<Line<R>>, turns: number) {
    this.place = ring.append(this)
    this.turns = turns
  }
}

interface Entry<R> {
  readonly request: R
  readonly line: Line<R>
  readonly inLine: Link<R>
  readonly inArrival: Link<R>
}

/** So many agents are asked whether they could go first. More would cost time with each request, and gain little. */
const lookAhead = 32

export class FairQueue<R extends Queued> {
  readonly #options: FairQueueOptions
  readonly #entries = new Map<number, Entry<R>>()
  readonly #lines = new Map<string, Line<R>>()
  /** Agents with waiting requests, the one whose turn it is first. */
  readonly #ring = new Chain<Line<R>>()
  readonly #arrivals = new Chain<R>()

  constructor(options: FairQueueOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  get(id: number): R | undefined {
    return this.#entries.get(id)?.request
  }

  /** The request that has waited longest. */
  get oldest(): R | undefined {
    return this.#arrivals.first
  }

  /** The request whose turn it is. */
  get next(): R | undefined {
    return this.#ring.first?.requests.first
  }

  add(request: R): void {
    const line = this.#lines.get(request.agent) ?? this.#newLine(request.agent)
    this.#entries.set(request.id, {
      request,
      line,
      inLine: line.requests.append(request),
      inArrival: this.#arrivals.appendInOrder(request, (other) => request.since < other.since)
    })
  }

  /** Takes a request out without using up a turn. */
  remove(id: number): R | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const { inArrival, inLine, line, request } = entry
    this.#entries.delete(id)
    this.#arrivals.remove(inArrival)
    line.requests.remove(inLine)
    if (line.requests.size === 0) {
      this.#lines.delete(request.agent)
      this.#ring.remove(line.place)
    }
    return request
  }

  /** The requests that may go before the one whose turn it is: the first of the agents that come next. */
  mayOvertake(now: number): ReadonlyArray<R> {
    const requests: Array<R> = []
    let last: Line<R> | undefined
    for (const line of this.#ring) {
      if (last !== undefined) {
        if (!this.#mayBeOvertaken(last, now) || requests.length === lookAhead) break
        const { first } = line.requests
        if (first !== undefined) requests.push(first)
      }
      last = line
    }
    return requests
  }

  /** Takes out a request that is given its turn: its agent steps back behind the others once its turns are used up. */
  serve(id: number, now: number): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    const { line, request } = entry
    for (let { before } = line.place; before !== undefined; { before } = before) {
      if (before.value.overtaken++ === 0) before.value.overtakenSince = now
    }
    line.overtaken = 0
    line.turns--
    this.remove(id)
    if (line.turns > 0 || line.requests.size === 0) return
    line.turns = this.#turnsOf(request.agent)
    this.#ring.remove(line.place)
    line.place = this.#ring.append(line)
  }

  /** Waiting requests by agent. */
  get sizes(): ReadonlyMap<string, number> {
    return new Map([...this.#lines].map(([agent, line]) => [agent, line.requests.size]))
  }

  #newLine(agent: string): Line<R> {
    const line = new Line<R>(this.#ring, this.#turnsOf(agent))
    this.#lines.set(agent, line)
    return line
  }

  #mayBeOvertaken({ overtaken, overtakenSince }: Line<R>, now: number): boolean {
    return overtaken === 0
      ? this.#options.overtakings > 0
      : overtaken < this.#options.overtakings && now - overtakenSince < this.#options.overtakingMillis
  }

  #turnsOf(agent: string): number {
    return Math.max(1, Math.floor(this.#options.weightOf?.(agent) ?? 1))
  }
}
