/** An account on servers in memory, under the TestClock: what its tests have in common. */
import { Context, Effect, type Fiber, Layer, Redacted, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ImapConnection, ImapDriver } from "../../src/driver/ImapDriver.ts"
import { SmtpDriver } from "../../src/driver/SmtpDriver.ts"
import {
  AccountConfig,
  type AccountOptions,
  Endpoint,
  HostLimits,
  Limits,
  MailAccount,
  OAuth2,
  Password,
  type TokenSource
} from "../../src/index.ts"
import { MemoryMail, type MemoryMailOptions } from "../../src/testing/index.ts"

export type Account = MailAccount["Service"]

export const mail = (n: number) =>
  `From: ann@example.com\r\nMessage-ID: <${n}@example.com>\r\nSubject: mail ${n}\r\n\r\nhello ${n}\r\n`

/** Servers with the users ann and bob, each with four messages in the INBOX. */
export const serve = (options: MemoryMailOptions = {}) =>
  MemoryMail.make({
    users: ["ann", "bob"].map((name) => ({
      name,
      password: "secret",
      address: `${name}@example.com`,
      mailboxes: { INBOX: [1, 2, 3, 4].map(mail) }
    })),
    ...options
  })

export interface OpenOptions extends AccountOptions {
  readonly user?: "ann" | "bob"
  readonly password?: string | undefined
  /** Instead of a password. */
  readonly tokens?: TokenSource | undefined
  readonly limits?: ConstructorParameters<typeof Limits>[0] | undefined
  /** Default: nothing is shared with other accounts. */
  readonly hostLimits?: HostLimits
}

export const configFor = (
  user: "ann" | "bob",
  { limits = {}, password = "secret", tokens }: OpenOptions = {}
): AccountConfig =>
  new AccountConfig({
    name: user,
    imap: new Endpoint({ host: "mail.example.com" }),
    smtp: new Endpoint({ host: "mail.example.com" }),
    credentials: tokens === undefined
      ? new Password({ user, password: Redacted.make(password) })
      : new OAuth2({ user, tokens }),
    address: `${user}@example.com`,
    sentCopy: "never",
    limits: new Limits(limits)
  })

export const open = (
  server: MemoryMail["Service"],
  { hostLimits = new HostLimits({}), limits, password, tokens, user = "ann", ...options }: OpenOptions = {}
): Effect.Effect<Account, never, Scope.Scope> =>
  Effect.map(
    Layer.build(
      MailAccount.layerNoDeps(
        configFor(user, { limits, password, tokens }),
        options
      ).pipe(Layer.provide([
        Layer.succeed(ImapDriver, server.imap),
        Layer.succeed(SmtpDriver, server.smtp),
        Layer.succeed(HostLimits.current, hostLimits)
      ]))
    ),
    Context.get(MailAccount)
  )

/** The servers, with IMAP connections that do what `but` says instead of what they would. */
export const withConnections = (
  server: MemoryMail["Service"],
  but: (connection: ImapConnection) => Partial<ImapConnection>
): MemoryMail["Service"] => ({
  ...server,
  imap: {
    connect: (options) =>
      Effect.map(server.imap.connect(options), (connection) => ({ ...connection, ...but(connection) }))
  }
})

/** Lets fibers do all that they can do without time. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 50 })

/** Lets time pass in small steps, so that whatever takes several turns is there when its time comes. */
export const pass = (millis: number, step = 50): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* settle
    for (let left = millis; left > 0; left -= step) {
      yield* TestClock.adjust(Math.min(step, left))
      yield* settle
    }
  })

/** Begins an operation that goes on beside the test. */
export const begin = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<Fiber.Fiber<A, E>> =>
  Effect.forkDetach(operation, { startImmediately: true })

/** When the commands of these names came, in milliseconds of the Clock. */
export const timesOf = (server: MemoryMail["Service"], ...verbs: ReadonlyArray<string>): ReadonlyArray<number> =>
  server.commands().filter(({ verb }) => verbs.includes(verb)).map(({ atMillis }) => atMillis)
