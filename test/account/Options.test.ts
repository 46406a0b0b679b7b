/** Options of all kinds: what is no number, no time, or less than none, is refused by its name and never passed over. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Redacted, Stream } from "effect"
import {
  Draft,
  HostLimits,
  MailAccount,
  MailAccounts,
  OAuth2Grant,
  RateStore,
  RetryPolicy,
  Sandbox,
  type SendingOptions
} from "../../src/index.ts"
import { configFor, open, serve } from "./MemoryAccount.ts"

/** The message of the `TypeError` that the thunk throws; "" where it does not. */
const thrownBy = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    return error instanceof TypeError ? error.message : `no TypeError: ${String(error)}`
  }
  return ""
}

const draft = new Draft({ to: "bob@example.com", text: "hello" })

describe("options", () => {
  it("of host limits, retry policies, stores of rates and grants are refused by name", () => {
    for (const bad of [Number.NaN, -1, -Infinity]) {
      for (const field of ["connections", "connectionsPerHost"] as const) {
        assert.include(thrownBy(() => new HostLimits({ [field]: bad })), `HostLimits: ${field} `)
      }
      for (const field of ["base", "factor", "cap", "times", "elapsed", "jitter"] as const) {
        assert.include(thrownBy(() => RetryPolicy.make({ [field]: bad })), `RetryPolicy: ${field} `)
      }
      for (const field of ["maxKeys", "maxEntries"] as const) {
        assert.include(thrownBy(() => RateStore.makeMemory({ [field]: bad })), `RateStore: ${field} `)
      }
      const grant = { url: "https://example.com", clientId: "id", refreshToken: Redacted.make("token") }
      assert.include(thrownBy(() => OAuth2Grant.refreshToken({ ...grant, timeout: bad })), "OAuth2Grant: timeout ")
    }
    assert.strictEqual(thrownBy(() => RetryPolicy.make({ base: 0, factor: 1, times: Infinity, elapsed: Infinity })), "")
    assert.strictEqual(thrownBy(() => new HostLimits({ connections: Infinity })), "")
  })

  it.effect("of accounts and sandboxes are refused by name, when their layer is built", () =>
    Effect.gen(function*() {
      const defectOf = <A, R>(layer: Layer.Layer<A, never, R>) =>
        Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), (exit) =>
          Exit.isFailure(exit) ? String(exit.cause) : "none")
      const account = yield* open(serve())
      const names = defectOf(MailAccounts.layer([], { idleTimeToLive: Duration.millis(-1) }))
      assert.include(yield* names, "MailAccounts: idleTimeToLive ")
      const sandbox = Sandbox.layer(configFor("ann"), { maxMessageBytes: Number.NaN }).pipe(
        Layer.provide(Layer.succeed(MailAccount, account))
      )
      assert.include(yield* defectOf(sandbox), "Sandbox: maxMessageBytes ")
    }))

  it.effect("of a send and a watch fail with the field, and nothing is sent", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server)
      const holds: ReadonlyArray<SendingOptions["hold"]> = [Number.NaN, -1, Infinity, "-3 seconds", Duration.infinity]
      for (const hold of holds) {
        const { reason } = yield* Effect.flip(account.send(draft, { hold }))
        assert.deepInclude(reason, { _tag: "InvalidInput", field: "hold" }, String(hold))
        const [sent] = yield* Stream.runCollect(account.sendAll(Stream.make(draft), { hold }))
        assert.strictEqual(sent?.result._tag, "Failure", String(hold))
      }
      assert.deepStrictEqual(server.accepted(), [])
      for (const field of ["heartbeat", "poll"] as const) {
        for (const bad of [Number.NaN, 0, -1]) {
          const { reason } = yield* Effect.flip(Stream.runDrain(account.watch("INBOX", { [field]: bad })))
          assert.deepInclude(reason, { _tag: "InvalidInput", field })
        }
      }
      yield* account.send(draft, { hold: 0 })
      assert.strictEqual(server.accepted().length, 1)
    }))
})
