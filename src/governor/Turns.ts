/**
 * A waiting line in which agents alternate, however much one of them asks for. Each call gets a number when it arrives:
 * one more than its agent's last, and more than the last number served. The order is by number, then by arrival; so the
 * calls of one agent stay in order, and a call that is passed keeps its place until nobody can come before it any more.
 * Pure bookkeeping: knows neither what is waited for nor when.
 */

/** A place in the line. */
export interface Turn<A> {
  readonly agent: string
  readonly value: A
  readonly number: number
  readonly arrival: number
}

export class Turns<A> {
  private readonly line: Array<Turn<A>> = []
  /** Agents that wait: the last number given to each, and how many of its calls do. */
  private readonly waitingByAgent = new Map<string, { last: number; calls: number }>()
  private served = 0
  private arrivals = 0

  get size(): number {
    return this.line.length
  }

  /** How many agents wait. */
  get agents(): number {
    return this.waitingByAgent.size
  }

  /** Those who wait now, in order. */
  inOrder(): ReadonlyArray<Turn<A>> {
    return this.line.slice()
  }

  add(agent: string, value: A): Turn<A> {
    const waiting = this.waitingByAgent.get(agent) ?? { last: 0, calls: 0 }
    this.waitingByAgent.set(agent, waiting)
    waiting.calls++
    waiting.last = Math.max(this.served, waiting.last) + 1
    const turn = { agent, value, number: waiting.last, arrival: this.arrivals++ }
    this.line.splice(this.placeOf(turn), 0, turn)
    return turn
  }

  /** Takes a call out because it was served. False if it no longer waited. */
  serve(turn: Turn<A>): boolean {
    if (!this.remove(turn)) return false
    this.served = Math.max(this.served, turn.number)
    return true
  }

  /** Takes a call out. False if it no longer waited. */
  remove(turn: Turn<A>): boolean {
    const place = this.placeOf(turn)
    if (this.line[place] !== turn) return false
    this.line.splice(place, 1)
    const waiting = this.waitingByAgent.get(turn.agent)
    if (waiting !== undefined && --waiting.calls === 0) this.waitingByAgent.delete(turn.agent)
    return true
  }

  /** Takes everybody out, in order. */
  clear(): ReadonlyArray<Turn<A>> {
    this.waitingByAgent.clear()
    return this.line.splice(0)
  }

  private placeOf({ arrival, number }: Turn<A>): number {
    let [from, to] = [0, this.line.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      const other = this.line[middle]
      const before = other !== undefined &&
        (other.number < number || (other.number === number && other.arrival < arrival))
      if (before) from = middle + 1
      else to = middle
    }
    return from
  }
}
