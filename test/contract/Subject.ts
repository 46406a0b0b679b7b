/**
 * What the contract of `MailAccount` is run on: a server pair with two users, ann and bob, and what can be known about
 * it from behind. Every test gets a world of its own and leaves no connection in it; a rejection that nobody handles
 * fails the test it falls into.
 */
import { assert, layer, type Vitest } from "@effect/vitest"
import { Context, Effect, Layer, Schedule, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { AssertionError } from "node:assert"
import { HostLimits } from "../../src/governor/HostLimits.ts"
import {
  AccountConfig,
  type AccountOptions,
  type Endpoint,
  Limits,
  MailAccount,
  type MailError,
  type Reason
} from "../../src/index.ts"

export type Who = "ann" | "bob"
export type Account = MailAccount["Service"]

export interface WorldOptions {
  /** Logged-in connections a user may have. */
  readonly maxConnections?: number
  /** Octets each user may store. */
  readonly quota?: number
  /** The largest message SMTP takes. */
  readonly maxMessageBytes?: number
  /** TLS from the first octet, with a certificate that the configuration trusts and nobody else does. */
  readonly tls?: boolean
}

export interface Connections {
  readonly imap: number
  readonly smtp: number
}

/** The servers of one test. Counts are the servers'. */
export interface World {
  readonly config: (who: Who) => AccountConfig
  readonly layer: (config: AccountConfig, options?: AccountOptions) => Layer.Layer<MailAccount>
  /** An address that SMTP refuses for good. */
  readonly refusedAddress: string
  /** Connections that are open now. */
  readonly connections: Effect.Effect<Connections>
  /** The most connections that were open at one time while an effect ran. */
  readonly peak: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<{ readonly value: A; readonly peak: Connections }, E, R>
  /** Attempts to log in so far, good and bad ones. */
  readonly loginAttempts: Effect.Effect<Connections>
}

export interface Subject {
  readonly name: string
  /** What is beyond the subject, and why that is so is said there. */
  readonly lacks?: ReadonlyArray<Feature>
  /** Waits are on Effect's Clock alone, so the test's time runs ahead as fast as it can. */
  readonly simulatesTime?: boolean
  readonly layer: Layer.Layer<Worlds>
}

/** `sockets`: hosts, ports and certificates mean something. */
export type Feature = "sockets"

/** Makes worlds: new ones, or new users of servers that run already where no option asks for more. */
export class Worlds extends Context.Service<Worlds, {
  readonly make: (options: WorldOptions) => Effect.Effect<World, never, Scope.Scope>
}>()("effect-mail/test/Worlds") {}

/** How an account of a test differs from the world's own. */
export interface OpenOptions extends AccountOptions {
  readonly limits?: ConstructorParameters<typeof Limits>[0]
  readonly config?: Partial<ConstructorParameters<typeof AccountConfig>[0]>
  readonly imap?: Partial<Endpoint>
  readonly smtp?: Partial<Endpoint>
}

export interface TestWorld extends World {
  readonly address: (who: Who) => string
  /** An account with its own connections, closed with the scope. */
  readonly open: (who: Who, options?: OpenOptions) => Effect.Effect<Account, never, Scope.Scope>
  readonly openWith: (config: AccountConfig) => Effect.Effect<Account, never, Scope.Scope>
}

/** Declares one test of the contract. */
export type Test = (
  title: string,
  run: (world: TestWorld) => Effect.Effect<void, MailError, Scope.Scope>,
  options?: WorldOptions
) => void

export interface Suite {
  readonly test: Test
  readonly has: (feature: Feature) => boolean
}

const opened = (world: World, config: AccountConfig, options?: AccountOptions) =>
  Effect.map(Layer.build(world.layer(config, options)), Context.get(MailAccount)).pipe(
    // a wrong password makes all logins to that host rest for a while, those of the next test too
    Effect.provideService(HostLimits.current, new HostLimits({}))
  )

const toTestWorld = (world: World): TestWorld => ({
  ...world,
  address: (who) => world.config(who).address ?? "",
  open: (who, options = {}) => {
    const base = world.config(who)
    const config = new AccountConfig({
      ...base,
      ...(base.imap === undefined ? {} : { imap: { ...base.imap, ...options.imap } }),
      ...(base.smtp === undefined ? {} : { smtp: { ...base.smtp, ...options.smtp } }),
      ...(options.limits === undefined ? {} : { limits: new Limits(options.limits) }),
      ...options.config
    })
    return opened(world, config, options)
  },
  openWith: (config) => opened(world, config)
})

/** What an operation fails with; that it does not fail is a defect. */
export const failureOf = (operation: Effect.Effect<unknown, MailError>): Effect.Effect<MailError> =>
  Effect.matchEffect(operation, {
    onFailure: Effect.succeed,
    onSuccess: () => Effect.die(new AssertionError({ message: "this should have failed" }))
  })

export const reasonOf = (operation: Effect.Effect<unknown, MailError>): Effect.Effect<Reason> =>
  Effect.map(failureOf(operation), ({ reason }) => reason)

/** Fails where a promise was rejected meanwhile and nobody took notice. */
export const withoutUnhandledRejections = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const rejections: Array<unknown> = []
    const listener = (reason: unknown) => rejections.push(reason)
    process.on("unhandledRejection", listener)
    return effect.pipe(
      // Node reports a rejection after the microtasks of the turn it happened in
      Effect.tap(() => Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))),
      Effect.tap(() => Effect.sync(() => assert.deepStrictEqual(rejections, [], "a promise was rejected unheard"))),
      Effect.ensuring(Effect.sync(() => process.off("unhandledRejection", listener)))
    )
  })

/** What is left open, once the other side has had the time to notice a close. */
const leftIn = (world: World): Effect.Effect<Connections> =>
  world.connections.pipe(
    Effect.repeat({
      until: ({ imap, smtp }) => imap + smtp === 0,
      schedule: Schedule.spaced("5 millis").pipe(Schedule.upTo({ duration: "1 second" }))
    }),
    Effect.andThen(world.connections)
  )

/** Runs a test in a world, and makes sure that it leaves nothing open there. */
export const guarded = <E>(
  world: World,
  run: (world: TestWorld) => Effect.Effect<void, E, Scope.Scope>
): Effect.Effect<void, E> =>
  Effect.scoped(run(toTestWorld(world))).pipe(
    Effect.andThen(leftIn(world)),
    Effect.tap((left) =>
      Effect.sync(() => assert.deepStrictEqual(left, { imap: 0, smtp: 0 }, "a connection was left open"))
    ),
    withoutUnhandledRejections,
    Effect.asVoid
  )

/** Lets simulated time pass for as long as an effect runs: a few milliseconds with each turn of the event loop. */
const passingTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(
    Effect.andThen(TestClock.setTime(Date.UTC(2026, 10, 1)), effect),
    Effect.forever(Effect.andThen(
      Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
      TestClock.adjust("5 millis")
    ))
  )

/** Declares suites for a subject. */
export const onSubject = (subject: Subject, declare: (suite: Suite) => void): void => {
  const { simulatesTime = false } = subject
  layer(subject.layer, { excludeTestServices: !simulatesTime })(
    subject.name,
    (it: Vitest.MethodsNonLive<Worlds>) =>
      declare({
        has: (feature) => subject.lacks?.includes(feature) !== true,
        test: (title, run, options = {}) =>
          it.effect(title, () =>
            Effect.gen(function*() {
              const worlds = yield* Worlds
              const world = yield* worlds.make(options)
              yield* simulatesTime ? passingTime(guarded(world, run)) : guarded(world, run)
            }))
      })
  )
}
