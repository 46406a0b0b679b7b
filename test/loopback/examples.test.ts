/**
 * Every example of the documentation loads, and one that exports `main` is run: an Effect that succeeds and needs at
 * most a `MailServer` with the users alice and bob, which it finds in its context.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { MailServer } from "../../src/testing/MailServer.ts"

const folder = new URL("../../docs/examples", import.meta.url).pathname

const examples = readdirSync(folder).filter((file) => file.endsWith(".ts")).sort()

const users = ["alice", "bob"].map((name) => ({ name, password: `${name}-secret`, specialUse: true }))

describe("examples", () => {
  it.live.each(examples)("%s loads, and runs where it is a program", (file) =>
    Effect.gen(function*() {
      // What an example may need is this file's to say: its type is known when it is imported, not before.
      const example = (yield* Effect.promise(() => import(join(folder, file)))) as {
        readonly main?: Effect.Effect<unknown, unknown, MailServer | Scope.Scope>
      }
      assert.isNotEmpty(Object.keys(example))
      if (example.main !== undefined) yield* example.main
    }).pipe(Effect.provide(MailServer.layer({ users }))))
})
