/**
 * Many accounts in one program: opens them all, leaves them idle, asks each for one thing, closes them; with the library
 * or with bare clients, in a process of its own. Tells its parent what that took. The packages are loaded, and one
 * account was opened and closed, before it begins to count.
 */
import { Effect, Exit, Layer, Scope } from "effect"
import { HostLimits, MailAccounts } from "effect-mail"
import { configOf } from "./Library.ts"
import { makeClient } from "./peers/imapflow.ts"

export interface Accounts {
  readonly kind: "library" | "bare"
  readonly port: number
  readonly count: number
  /** Connections to the host at a time. */
  readonly cap: number
}

export interface AccountsOutcome {
  /** Of all accounts, opened, asked and closed. */
  readonly millis: number
  readonly cpu: number
  /** What the open, idle accounts hold. */
  readonly resident: number
  readonly heap: number
  /** Messages that the servers told of, over all accounts. */
  readonly messages: number
}

/** So many are opened, asked or closed at the same time. */
const together = 50

const { cap, count, kind, port } = JSON.parse(process.argv[2] ?? "{}") as Accounts // written by the parent, in this form
const users = Array.from({ length: count }, (_, index) => `user${index}`)

/** Accounts by index, as either subject has them. */
interface Opened {
  readonly ask: (index: number) => Effect.Effect<number, unknown>
  readonly close: Effect.Effect<void, unknown>
}

const library = (names: ReadonlyArray<string>): Effect.Effect<Opened, unknown> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const configs = names.map((name) => configOf({ name, user: name, imapPort: port }))
    const layer = MailAccounts.layer(configs).pipe(Layer.provide(HostLimits.layer({ connectionsPerHost: cap })))
    const context = yield* Layer.buildWithScope(layer, scope)
    const open = Effect.forEach(
      names,
      (name) =>
        Effect.flatMap(MailAccounts, (accounts) => accounts.account(name)).pipe(
          Scope.provide(scope),
          // an account connects when it is first asked for something; where all can be connected at once, they are now
          Effect.tap((account) => cap >= names.length ? account.capabilities : Effect.void)
        ),
      { concurrency: together }
    )
    const accounts = yield* Effect.provideContext(open, context)
    return {
      ask: (index) =>
        Effect.map(accounts[index]?.status("INBOX") ?? Effect.die("no account"), ({ messages }) => messages),
      close: Scope.close(scope, Exit.void)
    }
  })

const bare = (names: ReadonlyArray<string>): Effect.Effect<Opened, unknown> =>
  Effect.gen(function*() {
    const connect = (user: string) =>
      Effect.promise(async () => {
        const client = makeClient({ user, password: "secret" }, port)
        await client.connect()
        return client
      })
    const messagesOf = (client: ReturnType<typeof makeClient>) =>
      Effect.promise(async () => {
        const status = await client.status("INBOX", { messages: true, uidNext: true, uidValidity: true, unseen: true })
        return status === false ? 0 : status.messages ?? 0
      })
    if (cap < names.length) {
      // what cannot be held is opened for its one operation
      return {
        ask: (index) =>
          Effect.acquireUseRelease(
            connect(names[index] ?? ""),
            messagesOf,
            (client) => Effect.promise(() => client.logout())
          ),
        close: Effect.void
      }
    }
    const clients = yield* Effect.forEach(names, connect, { concurrency: together })
    return {
      ask: (index) => clients[index] === undefined ? Effect.die("no client") : messagesOf(clients[index]),
      close: Effect.forEach(clients, (client) => Effect.promise(() => client.logout()), {
        concurrency: together,
        discard: true
      })
    }
  })

const subject = kind === "library" ? library : bare

const collected = Effect.promise(async () => {
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    globalThis.gc?.()
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { resident: rss / 1e6, heap: (heapUsed + external) / 1e6 }
})

const askAll = ({ ask }: Opened, names: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(names, (_, index) => ask(index), { concurrency: Math.min(cap, together) }),
    (messages) => messages.reduce((sum, each) => sum + each, 0)
  )

const program = Effect.gen(function*() {
  const first = users.slice(0, 1)
  const warm = yield* subject(first)
  yield* askAll(warm, first)
  yield* warm.close

  const before = yield* collected
  const cpu = process.cpuUsage()
  const start = performance.now()
  const opened = yield* subject(users)
  const idle = performance.now()
  const after = yield* collected
  const resumed = performance.now()
  const messages = yield* askAll(opened, users)
  yield* opened.close
  const millis = performance.now() - resumed + idle - start
  const { system, user } = process.cpuUsage(cpu)
  const outcome: AccountsOutcome = {
    millis,
    cpu: (user + system) / 1000,
    resident: after.resident - before.resident,
    heap: after.heap - before.heap,
    messages
  }
  return outcome
})

const outcome = await Effect.runPromise(program)
process.send?.(outcome, () => process.disconnect())
