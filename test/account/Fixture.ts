/** An account on servers in memory: users ann and bob, time on the TestClock. */
import { Clock, Context, Effect, Fiber, Layer, Redacted, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { ImapDriver } from "../../src/driver/ImapDriver.ts"
import { SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import {
  AccountConfig,
  type AccountOptions,
  Endpoint,
  Limits,
  MailAccount,
  type MailError,
  Password,
  type Reason
} from "../../src/index.ts"
import { type Fault, type FaultAction, MemoryMail, type MemoryMailOptions } from "../../src/testing/index.ts"

export interface FixtureOptions extends MemoryMailOptions, AccountOptions {
  readonly config?: Partial<ConstructorParameters<typeof AccountConfig>[0]>
  readonly limits?: ConstructorParameters<typeof Limits>[0]
}

export interface Fixture {
  readonly mail: MemoryMail["Service"]
  readonly account: MailAccount["Service"]
  /** The sources in ann's mailbox for sent mail. */
  readonly sent: () => ReadonlyArray<string>
}

let hosts = 0

const text = (octets: Uint8Array) => Buffer.from(octets).toString("utf8")

export const fixture = (options: FixtureOptions = {}): Effect.Effect<Fixture, never, Scope.Scope> =>
  Effect.gen(function*() {
    const mail = MemoryMail.make({
      users: [
        { name: "ann", password: "secret", address: "ann@example.com", specialUse: true },
        { name: "bob", password: "secret", address: "bob@example.com", specialUse: true }
      ],
      ...options
    })
    // what a host asks for is remembered by the process
    const endpoint = new Endpoint({ host: `mail${++hosts}.test` })
    const config = new AccountConfig({
      name: "ann",
      imap: endpoint,
      smtp: endpoint,
      credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
      address: "ann@example.com",
      ...(options.limits === undefined ? {} : { limits: new Limits(options.limits) }),
      ...options.config
    })
    const drivers = Layer.merge(Layer.succeed(ImapDriver, mail.imap), Layer.succeed(SmtpDriver, mail.smtp))
    const layer = MailAccount.layerNoDeps(config, options).pipe(Layer.provide(drivers))
    const account = Context.get(yield* Layer.build(layer), MailAccount)
    return {
      mail,
      account,
      sent: () => {
        const mailbox = mail.store.user("ann")?.mailbox("Sent")
        return mailbox?.uids.map((uid) => text(mailbox.message(uid)?.source ?? new Uint8Array())) ?? []
      }
    }
  })

export const reasonOf = <A>(effect: Effect.Effect<A, MailError>): Effect.Effect<Reason, A> =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

export const smtpFault = (at: string, action: FaultAction, more: Partial<Fault> = {}): Fault => ({
  protocol: "smtp",
  at,
  action,
  ...more
})
export const cutBefore: FaultAction = { _tag: "Drop", when: "before" }
export const cutAfter: FaultAction = { _tag: "Drop", when: "after" }

/** Lets everything run that needs no time: fibers hop, and some of the packages answer in later turns. */
export const settled: Effect.Effect<void> = Effect.repeat(
  Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve))),
  { times: 8 }
)

/** Runs an effect while time goes by in steps, each after all that needs none, and tells how long it took. */
export const timed = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  stepMillis = 50
): Effect.Effect<{ readonly value: A; readonly millis: number }, E, R> =>
  Effect.gen(function*() {
    const begin = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.forkChild(
      Effect.flatMap(Effect.exit(effect), (exit) => Effect.map(Clock.currentTimeMillis, (end) => ({ exit, end })))
    )
    yield* settled
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust(stepMillis)
      yield* settled
    }
    const { end, exit } = yield* Fiber.join(fiber)
    return { value: yield* exit, millis: end - begin }
  })
