/**
 * A waiting line in which agents alternate, however much one of them asks for. Each call gets a number when it arrives:
 * one more than its agent's last, and more than the last number served. The order is by number, then by arrival; so the
 * calls of one agent stay in order, and a call that is passed keeps its place until nobody can come before it any more.
 * Calls of one agent and kind are alike to whoever serves them: where the first has to wait, the others need not be
 * looked at. Pure bookkeeping: knows neither what is waited for nor when.
 */
import { Chain, type Link } from "./Chain.ts"

/** A place in the line. */
export interface Turn<A, K> {
  readonly agent: string
  readonly kind: K
  readonly value: A
  readonly number: number
  readonly arrival: number
}

class Place<A, K> implements Turn<A, K> {
  readonly agent: string
  readonly kind: K
  readonly value: A
  readonly number: number
  readonly arrival: number
  /** Where it is in its queue, while it waits. */
  link: Link<Place<A, K>> | undefined

  constructor({ agent, arrival, kind, number, value }: Turn<A, K>) {
    this.agent = agent
    this.kind = kind
    this.value = value
    this.number = number
    this.arrival = arrival
  }
}

/** The calls of one kind: a queue for each agent that has any, and these queues in the order of their first calls. */
class Line<A, K> {
  readonly byAgent = new Map<string, Chain<Place<A, K>>>()
  readonly queues: Array<Chain<Place<A, K>>> = []

  append(place: Place<A, K>): void {
    let queue = this.byAgent.get(place.agent)
    const isFirst = queue === undefined
    if (queue === undefined) this.byAgent.set(place.agent, queue = new Chain())
    place.link = queue.append(place)
    if (isFirst) this.queues.splice(this.indexFrom(place), 0, queue)
  }

  remove(place: Place<A, K>): boolean {
    const queue = this.byAgent.get(place.agent)
    if (queue === undefined || place.link === undefined) return false
    const wasFirst = queue.first === place
    const index = wasFirst ? this.indexFrom(place) : 0
    queue.remove(place.link)
    place.link = undefined
    if (!wasFirst) return true
    this.queues.splice(index, 1)
    const { first } = queue
    if (first === undefined) this.byAgent.delete(place.agent)
    else this.queues.splice(this.indexFrom(first), 0, queue)
    return true
  }

  /** The index of the first queue that does not begin before a turn. */
  indexFrom(turn: Turn<A, K>): number {
    let [from, to] = [0, this.queues.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      const first = this.queues[middle]?.first
      if (first !== undefined && inOrder(first, turn) < 0) from = middle + 1
      else to = middle
    }
    return from
  }
}

const inOrder = <A, K>(one: Turn<A, K>, other: Turn<A, K>): number =>
  one.number - other.number || one.arrival - other.arrival

/** Which calls a walk passes over from now on. */
export interface PassedOver<K> {
  readonly kind: (kind: K) => boolean
  readonly agent: (agent: string) => boolean
}

export class Turns<A, K> {
  readonly #lines = new Map<K, Line<A, K>>()
  /** Agents that wait: the last number given to each, and how many of its calls do. */
  readonly #waitingByAgent = new Map<string, { last: number; calls: number }>()
  #size = 0
  #served = 0
  #arrivals = 0

  get size(): number {
    return this.#size
  }

  /** How many agents wait. */
  get agents(): number {
    return this.#waitingByAgent.size
  }

  /** Those who wait now, in order. */
  inOrder(): ReadonlyArray<Turn<A, K>> {
    return [...this.#lines.values()].flatMap(({ queues }) => queues.flatMap((queue) => [...queue])).sort(inOrder)
  }

  /**
   * The first call of each agent and kind, in order; behind one that was taken out meanwhile, also the next of them.
   * Whoever arrives during the walk may be left out of it.
   */
  *walk(passed: PassedOver<K>): Generator<Turn<A, K>, void> {
    const reached = new Map<K, Turn<A, K>>()
    for (;;) {
      let next: Turn<A, K> | undefined
      for (const [kind, line] of this.#lines) {
        if (passed.kind(kind)) continue
        const candidate = this.#firstOf(line, kind, reached, passed)
        if (candidate !== undefined && (next === undefined || inOrder(candidate, next) < 0)) next = candidate
      }
      if (next === undefined) return
      reached.set(next.kind, next)
      yield next
    }
  }

  add(agent: string, kind: K, value: A): Turn<A, K> {
    const waiting = this.#waitingByAgent.get(agent) ?? { last: 0, calls: 0 }
    this.#waitingByAgent.set(agent, waiting)
    waiting.calls++
    waiting.last = Math.max(this.#served, waiting.last) + 1
    const place = new Place({ agent, kind, value, number: waiting.last, arrival: this.#arrivals++ })
    let line = this.#lines.get(kind)
    if (line === undefined) this.#lines.set(kind, line = new Line())
    line.append(place)
    this.#size++
    return place
  }

  /** Nobody of its agent and kind is before it. */
  isFirst({ agent, kind, number }: Turn<A, K>): boolean {
    return this.#lines.get(kind)?.byAgent.get(agent)?.first?.number === number
  }

  /** Takes a call out because it was served. False if it no longer waited. */
  serve(turn: Turn<A, K>): boolean {
    if (!this.remove(turn)) return false
    this.#served = Math.max(this.#served, turn.number)
    return true
  }

  /** Takes a call out. False if it no longer waited. */
  remove(turn: Turn<A, K>): boolean {
    if (!(turn instanceof Place) || this.#lines.get(turn.kind)?.remove(turn) !== true) return false
    this.#size--
    const waiting = this.#waitingByAgent.get(turn.agent)
    if (waiting !== undefined && --waiting.calls === 0) this.#waitingByAgent.delete(turn.agent)
    return true
  }

  /** Takes everybody out, in order. */
  clear(): ReadonlyArray<Turn<A, K>> {
    const all = this.inOrder()
    for (const turn of all) this.remove(turn)
    return all
  }

  /** The first call of a line that was not reached yet and is not passed over. */
  #firstOf(
    line: Line<A, K>,
    kind: K,
    reached: Map<K, Turn<A, K>>,
    passed: PassedOver<K>
  ): Turn<A, K> | undefined {
    const last = reached.get(kind)
    let index = last === undefined ? 0 : line.indexFrom(last)
    for (; index < line.queues.length; index++) {
      const first = line.queues[index]?.first
      if (first === undefined || first === last) continue
      if (!passed.agent(first.agent)) return first
      reached.set(kind, first)
    }
    return undefined
  }
}
