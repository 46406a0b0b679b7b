/**
 * The metrics of an account: what is open, who waits and how long, what is repeated, what the servers ask for. Names
 * begin with "mail_"; times are in milliseconds. Gauges are read when somebody looks, so they cost nothing in between.
 */
import { Context, Effect, Metric, type Scope } from "effect"
import type { ConnectionState } from "./Dispatcher.ts"

/** What was asked for: the public operation on whose behalf a connection works. */
export const CurrentOperation = Context.Reference<string>("effect-mail/Operation", { defaultValue: () => "none" })

const times = Metric.exponentialBoundaries({ start: 1, factor: 2, count: 16 })

const connections = Metric.gauge("mail_connections", { description: "Connections by account, protocol and state" })
const queueDepth = Metric.gauge("mail_queue_depth", { description: "Requests that wait for a connection" })
const waits = Metric.histogram("mail_wait_ms", { description: "Wait for a connection", boundaries: times })
const commands = Metric.histogram("mail_command_ms", { description: "Work on a connection", boundaries: times })
const retries = Metric.counter("mail_retries", { description: "Repetitions by reason", incremental: true })
const throttles = Metric.counter("mail_throttles", {
  description: "How often a server asked to slow down, or refused one more connection",
  incremental: true
})
const rateDelays = Metric.histogram("mail_rate_delay_ms", { description: "Wait for a rate window", boundaries: times })
const octets = Metric.counter("mail_bytes", { description: "Octets of messages, by direction", incremental: true })

/** Labels are kept for so many combinations of agent and operation; those beyond are counted as agent "other". */
const maxSeries = 1_000

export interface Telemetry {
  /** A request of an agent was given a connection after this wait. */
  readonly waited: (protocol: Protocol, agent: string, operation: string, millis: number) => void
  /** Its work took so long. */
  readonly worked: (protocol: Protocol, agent: string, operation: string, millis: number) => void
  readonly retried: (operation: string, reason: string) => void
  readonly throttled: (protocol: Protocol) => void
  readonly delayed: (scope: string, millis: number) => void
  readonly transferred: (direction: "received" | "sent", octets: number) => void
  /** Shows connections and queue, read when somebody looks, while the scope is open. */
  readonly observe: (protocol: Protocol, read: () => Load) => Effect.Effect<void, never, Scope.Scope>
}

/** What is open and who waits. */
export interface Load {
  readonly connections: Readonly<Record<ConnectionState, number>>
  readonly waiting: number
}

export type Protocol = "imap" | "smtp"

/** The metrics of one account, in the registry that is in place where the account is made. */
export const make = (account: string): Effect.Effect<Telemetry> =>
  Effect.contextWith((context: Context.Context<never>) => Effect.sync(() => telemetry(account, context)))

const telemetry = (account: string, context: Context.Context<never>): Telemetry => {
  const labelled = <Input, State>(metric: Metric.Metric<Input, State>) => {
    let series: Map<string, Metric.Metric<Input, State>> | undefined
    return (attributes: Readonly<Record<string, string>>, input: Input) => {
      const key = Object.values(attributes).join("\n")
      series ??= new Map()
      let bound = series.get(key)
      if (bound === undefined) {
        const known = series.size < maxSeries || attributes["agent"] === undefined
        bound = Metric.withAttributes(metric, { account, ...attributes, ...(known ? {} : { agent: "other" }) })
        if (known) series.set(key, bound)
      }
      bound.updateUnsafe(input, context)
    }
  }
  const wait = labelled(waits)
  const command = labelled(commands)
  const retry = labelled(retries)
  const throttle = labelled(throttles)
  const delay = labelled(rateDelays)
  const transfer = labelled(octets)

  return {
    waited: (protocol, agent, operation, millis) => wait({ protocol, agent, operation }, millis),
    worked: (protocol, agent, operation, millis) => command({ protocol, agent, operation }, millis),
    retried: (operation, reason) => retry({ operation, reason }, 1),
    throttled: (protocol) => throttle({ protocol }, 1),
    delayed: (scope, millis) => delay({ scope }, millis),
    transferred: (direction, count) => transfer({ direction }, count),
    observe: (protocol, read) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const gauge = (
            metric: Metric.Gauge<number>,
            attributes: Readonly<Record<string, string>>,
            value: () => number
          ) =>
            Metric.registerUnsafe(Metric.withAttributes(metric, { account, protocol, ...attributes }), context, {
              get: () => ({ value: value() }),
              update: () => {},
              modify: () => {}
            })
          return [
            gauge(queueDepth, {}, () => read().waiting),
            ...states.map((state) => gauge(connections, { state }, () => read().connections[state]))
          ]
        }),
        (registrations) => Effect.sync(() => registrations.forEach((registration) => registration.remove()))
      )
  }
}

const states = ["opening", "idle", "busy", "resting", "closing"] as const
