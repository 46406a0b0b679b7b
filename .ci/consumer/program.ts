/** A user's first program, compiled and run against the packed library alone. */
import { Effect } from "effect"
import { Agent } from "effect-mail"
import { Faults } from "effect-mail/testing"

const program = Effect.gen(function*() {
  const agent = yield* Agent.current
  yield* Effect.log(`${agent} sees ${Object.keys(Faults).length > 0}`)
})

await Effect.runPromise(program)
