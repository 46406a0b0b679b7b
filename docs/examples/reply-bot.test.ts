/** The tests of `replyBot`: mail comes in, and time passes, until it has been answered. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { AccountConfig, Endpoint, MailAccount, Password } from "effect-mail"
import { MemoryMail } from "effect-mail/testing"
import { TestClock } from "effect/testing"
import { setImmediate } from "node:timers/promises"
import { replyBot } from "./reply-bot.ts"

const config = new AccountConfig({
  name: "alice",
  imap: new Endpoint({ host: "in.memory" }),
  smtp: new Endpoint({ host: "in.memory" }),
  credentials: new Password({ user: "alice", password: Redacted.make("secret") }),
  address: "Alice <alice@example.com>"
})

const memory = MailAccount.layerNoDeps(config).pipe(
  Layer.provideMerge(MemoryMail.layer({
    users: [{ name: "alice", password: "secret", address: "alice@example.com" }],
    latency: "20 millis"
  }))
)

// #region until
/** Lets time pass, a second at a time, until something is so; between the seconds, real work gets done. */
const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    isSo() ? Effect.void : TestClock.adjust("1 second").pipe(
      Effect.andThen(Effect.promise(() => setImmediate())),
      Effect.andThen(until(isSo))
    )
  )
// #endregion

describe("replyBot", () => {
  // #region test
  it.effect("answers each person once, and no program; mail that cannot be answered holds nobody up", () =>
    Effect.gen(function*() {
      const servers = yield* MemoryMail
      const deliver = (source: string | Uint8Array) =>
        servers.store.deliver("alice@example.com", source, new Date("2026-01-01T12:00:00Z"))
      let saved = 0
      const store = { load: Effect.succeed(Option.none()), save: () => Effect.sync(() => void saved++) }
      yield* Effect.forkScoped(replyBot(store))
      yield* until(() => saved === 1)

      deliver("From: bob@example.net\nSubject: Lunch?\n\nToday?\n")
      yield* until(() => servers.accepted().length === 1)
      // its own answer comes back, then mail from somebody who takes none, and then somebody else writes
      for (const { source } of servers.accepted()) deliver(source)
      servers.faults.add({ protocol: "smtp", at: "RCPT", action: { _tag: "Reply", code: 550, text: "5.1.1 Gone" } })
      deliver("From: mallory@example.net\nSubject: Money!\n\nNow?\n")
      yield* until(() => servers.faults.pending.length === 0)
      deliver("From: eve@example.net\nSubject: Dinner?\n\nTonight?\n")
      yield* until(() => servers.accepted().length === 2)
      assert.deepStrictEqual(servers.accepted().map(({ to }) => to), [["bob@example.net"], ["eve@example.net"]])
    }).pipe(Effect.provide(memory)))
  // #endregion
})
