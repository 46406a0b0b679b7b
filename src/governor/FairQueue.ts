/**
 * The requests that wait, by agent: agents take turns, each agent's own requests keep their order, and an agent of
 * weight n has n turns in a row. It is a plain data structure with no clock and no bound of its own.
 */

/** What the queue knows of a request. */
export interface Queued {
  readonly id: number
  readonly agent: string
}

interface Line<R> {
  readonly requests: Map<number, R>
  /** Turns left before the next agent's. */
  turns: number
}

export class FairQueue<R extends Queued> {
  /** Agents with waiting requests, the one whose turn it is first. */
  readonly #ring = new Map<string, Line<R>>()
  readonly #weightOf: (agent: string) => number
  #size = 0

  constructor(weightOf: (agent: string) => number = () => 1) {
    this.#weightOf = weightOf
  }

  get size(): number {
    return this.#size
  }

  add(request: R): void {
    const line = this.#ring.get(request.agent)
    if (line === undefined) {
      this.#ring.set(request.agent, {
        requests: new Map([[request.id, request]]),
        turns: this.#turnsOf(request.agent)
      })
    } else line.requests.set(request.id, request)
    this.#size++
  }

  /** Takes a request out without using up a turn. */
  remove(request: R): boolean {
    const line = this.#ring.get(request.agent)
    if (line === undefined || !line.requests.delete(request.id)) return false
    this.#size--
    if (line.requests.size === 0) this.#ring.delete(request.agent)
    return true
  }

  /** Takes out a request that is given its turn: its agent steps back behind the others once its turns are used up. */
  serve(request: R): void {
    const line = this.#ring.get(request.agent)
    if (line === undefined || !this.remove(request)) return
    line.turns--
    if (line.turns <= 0 && line.requests.size > 0) {
      line.turns = this.#turnsOf(request.agent)
      this.#ring.delete(request.agent)
      this.#ring.set(request.agent, line)
    }
  }

  /** The first request of each agent, in the order in which the agents come next. */
  *heads(): Iterable<R> {
    for (const line of this.#ring.values()) {
      for (const request of line.requests.values()) {
        yield request
        break
      }
    }
  }

  *requests(): Iterable<R> {
    for (const line of this.#ring.values()) yield* line.requests.values()
  }

  /** Waiting requests by agent. */
  get sizes(): ReadonlyMap<string, number> {
    return new Map([...this.#ring].map(([agent, line]) => [agent, line.requests.size]))
  }

  #turnsOf(agent: string): number {
    return Math.max(1, Math.floor(this.#weightOf(agent)))
  }
}
