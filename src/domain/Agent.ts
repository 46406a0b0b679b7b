/** Who is calling: the key of fairness, of rate limits per agent, and of telemetry. */
import { Context, Effect } from "effect"

/** The name of the calling agent; programs that never set it share `Agent.defaultName`. */
const reference = Context.Reference<string>("effect-mail/Agent", { defaultValue: () => defaultName })

const defaultName = "default"

/**
 * Runs an effect in the name of an agent: `Agent.as("agent-1")(effect)`. A stream is in the name of whoever runs it:
 * `Agent.as("agent-1")(Stream.runDrain(stream))`. Fibers forked by the effect have its name.
 */
const as = (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, reference, name)

/** Names the caller. `yield* Agent.current` reads the name, `Agent.as(name)` sets it for an effect. */
export const Agent = { current: reference, defaultName, as } as const
