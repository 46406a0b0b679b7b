/**
 * The metrics of an account: what is open, who waits and how long, what is repeated, what the servers ask for. Names
 * begin with "mail_"; times are in milliseconds. Gauges are read when somebody looks, so they cost nothing in between.
 */
import { Context, Effect, Metric, type Scope } from "effect"
import type { ConnectionState } from "./Dispatcher.ts"

/** What was asked for: the public operation on whose behalf a connection works. */
export const CurrentOperation = Context.Reference<string>("effect-mail/Operation", { defaultValue: () => "none" })

const times = Metric.exponentialBoundaries({ start: 1, factor: 2, count: 16 })

type Labels = Readonly<Record<string, string>>

/** A metric under the labels of one account. */
type Labelled<M> = (attributes: Labels) => M

const connections: Labelled<Metric.Gauge<number>> = (attributes) =>
  Metric.gauge("mail_connections", { description: "Connections by account, protocol and state", attributes })

const queueDepth: Labelled<Metric.Gauge<number>> = (attributes) =>
  Metric.gauge("mail_queue_depth", { description: "Requests that wait for a connection", attributes })

const waits: Labelled<Metric.Histogram<number>> = (attributes) =>
  Metric.histogram("mail_wait_ms", { description: "Wait for a connection", boundaries: times, attributes })

const commands: Labelled<Metric.Histogram<number>> = (attributes) =>
  Metric.histogram("mail_command_ms", { description: "Work on a connection", boundaries: times, attributes })

const retries: Labelled<Metric.Counter<number>> = (attributes) =>
  Metric.counter("mail_retries", { description: "Repetitions by reason", incremental: true, attributes })

const throttles: Labelled<Metric.Counter<number>> = (attributes) =>
  Metric.counter("mail_throttles", {
    description: "How often a server asked to slow down, or refused one more connection",
    incremental: true,
    attributes
  })

const rateDelays: Labelled<Metric.Histogram<number>> = (attributes) =>
  Metric.histogram("mail_rate_delay_ms", { description: "Wait for a rate window", boundaries: times, attributes })

const octets: Labelled<Metric.Counter<number>> = (attributes) =>
  Metric.counter("mail_bytes", { description: "Octets of messages, by direction", incremental: true, attributes })

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
  Effect.contextWith((context: Context.Context<never>) => Effect.sync(() => new AccountTelemetry(account, context)))

type Counted = Metric.Metric<number, unknown>

class AccountTelemetry implements Telemetry {
  readonly #account: string
  readonly #context: Context.Context<never>
  readonly #series = new Map<Labelled<Counted>, Map<string, Counted>>()

  constructor(account: string, context: Context.Context<never>) {
    this.#account = account
    this.#context = context
  }

  waited(protocol: Protocol, agent: string, operation: string, millis: number): void {
    this.#count(waits, { protocol, agent, operation }, millis)
  }

  worked(protocol: Protocol, agent: string, operation: string, millis: number): void {
    this.#count(commands, { protocol, agent, operation }, millis)
  }

  retried(operation: string, reason: string): void {
    this.#count(retries, { operation, reason }, 1)
  }

  throttled(protocol: Protocol): void {
    this.#count(throttles, { protocol }, 1)
  }

  delayed(scope: string, millis: number): void {
    this.#count(rateDelays, { scope }, millis)
  }

  transferred(direction: "received" | "sent", count: number): void {
    this.#count(octets, { direction }, count)
  }

  observe(protocol: Protocol, read: () => Load): Effect.Effect<void, never, Scope.Scope> {
    const labels = { account: this.#account, protocol }
    const shown = (metric: Metric.Gauge<number>, value: () => number) =>
      Metric.registerUnsafe(metric, this.#context, {
        get: () => ({ value: value() }),
        update: nothing,
        modify: nothing
      })
    return Effect.acquireRelease(
      Effect.sync(() => [
        shown(queueDepth(labels), () => read().waiting),
        ...states.map((state) => shown(connections({ ...labels, state }), () => read().connections[state]))
      ]),
      (registrations) => Effect.sync(() => registrations.forEach((registration) => registration.remove()))
    )
  }

  #count(metric: Labelled<Counted>, labels: Labels, amount: number): void {
    let series = this.#series.get(metric)
    if (series === undefined) this.#series.set(metric, series = new Map())
    const key = Object.values(labels).join("\n")
    let counted = series.get(key)
    if (counted === undefined) {
      const known = series.size < maxSeries || labels["agent"] === undefined
      counted = metric({ account: this.#account, ...labels, ...(known ? {} : { agent: "other" }) })
      if (known) series.set(key, counted)
    }
    counted.updateUnsafe(amount, this.#context)
  }
}

const nothing = () => {}

const states = ["opening", "idle", "busy", "resting", "closing"] as const
