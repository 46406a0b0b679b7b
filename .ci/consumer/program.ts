/** A user's first program, compiled and run against the packed library alone. */
import { Effect } from "effect"
import { Agent } from "effect-mail"
import { MailServer } from "effect-mail/testing"

const program = Effect.gen(function*() {
  const server = yield* MailServer
  const agent = yield* Agent.current
  yield* Effect.log(`${agent} may connect to port ${server.imapPort}, peak so far ${server.peak()}`)
}).pipe(Agent.as("consumer"))

await Effect.runPromise(Effect.provide(program, MailServer.layer({ users: [{ name: "alice", password: "secret" }] })))
