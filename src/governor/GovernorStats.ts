/**
 * What a governor tells of itself, and the figures of agents that it keeps for it. The figures are bounded: agents that
 * come when the table is full are counted together.
 */
import type { Clock } from "effect"
import { steadyMillis } from "../driver/SteadyTime.ts"
import type { ConnectionState, Dispatcher } from "./Dispatcher.ts"

/** The connections and the queue of one protocol. */
export interface GovernorStats {
  /** By state; they all count against the cap. */
  readonly connections: Readonly<Record<ConnectionState, number>>
  /** The most connections there ever were at once. */
  readonly peak: number
  /** Connections opened since the start. */
  readonly opened: number
  /** The cap in force: lower than the configured one for a while after the server refused a connection. */
  readonly cap: number
  readonly waiting: number
  readonly waitingByAgent: ReadonlyMap<string, number>
  /** What each agent was given since the start. Times in milliseconds. */
  readonly agents: ReadonlyMap<string, AgentStats>
  /** Nothing is begun before this time, in milliseconds of the Clock, because the server asked to slow down. */
  readonly cooledUntil: number
}

export interface AgentStats {
  /** Requests that wait now. */
  readonly waiting: number
  /** Requests that were given a connection. */
  readonly served: number
  /** How long they waited for it, together and at most. */
  readonly waitedMillis: number
  readonly longestWaitMillis: number
}

/** What a governor is made of, as far as it has something to tell. */
interface Told {
  readonly agentCounts: AgentCounts
  readonly clock: Clock.Clock
  readonly dispatcher: Dispatcher
  readonly opened: number
  readonly peak: number
}

/** The dispatcher measures by a time without a date; whoever reads `cooledUntil` has a clock. */
export const statsOf = ({ agentCounts, clock, dispatcher, opened, peak }: Told): GovernorStats => ({
  connections: dispatcher.connections,
  peak,
  opened,
  cap: dispatcher.cap,
  waiting: dispatcher.waiting,
  waitingByAgent: dispatcher.waitingByAgent,
  agents: agentCounts.stats(dispatcher.waitingByAgent),
  cooledUntil: dispatcher.cooledUntil === 0
    ? 0
    : dispatcher.cooledUntil - steadyMillis(clock) + clock.currentTimeMillisUnsafe()
})

/** Agents that are counted by name. */
const maxAgents = 1_000

/** The name under which the others are counted; as in the metrics. */
const otherAgents = "other"

export class AgentCounts {
  readonly #byName = new Map<string, { served: number; waitedMillis: number; longestWaitMillis: number }>()

  /** A request of this agent was given a connection after this wait. */
  served(agent: string, millis: number): void {
    const name = this.#byName.has(agent) || this.#byName.size < maxAgents ? agent : otherAgents
    const counts = this.#byName.get(name) ?? { served: 0, waitedMillis: 0, longestWaitMillis: 0 }
    counts.served++
    counts.waitedMillis += millis
    counts.longestWaitMillis = Math.max(counts.longestWaitMillis, millis)
    this.#byName.set(name, counts)
  }

  /** The figures, beside those of agents that wait for the first time. */
  stats(waiting: ReadonlyMap<string, number>): ReadonlyMap<string, AgentStats> {
    const none = { served: 0, waitedMillis: 0, longestWaitMillis: 0 }
    return new Map(
      [...new Set([...this.#byName.keys(), ...waiting.keys()])].map((agent) => [
        agent,
        { ...this.#byName.get(agent) ?? none, waiting: waiting.get(agent) ?? 0 }
      ])
    )
  }
}
