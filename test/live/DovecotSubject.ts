/**
 * Dovecot and Postfix as a subject of the contract. One pair serves all tests, each with two users of its own; a test
 * that asks for limits gets a pair of its own.
 */
import { Effect, Layer, Redacted } from "effect"
import { AccountConfig, Endpoint, MailAccount, Password } from "../../src/index.ts"
import { type Connections, type Subject, type Who, type World, type WorldOptions, Worlds } from "../contract/Subject.ts"
import { socketsNow } from "./Daemon.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"
import { type PostfixServer, startPostfix } from "./Postfix.ts"

interface Servers {
  readonly dovecot: DovecotServer
  readonly postfix: PostfixServer
}

const worlds = 300

const userOf = (who: Who, world: number) => `${who}${world}`
const secretOf = (user: string) => `${user}-secret`

const usersOf = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, world) => [userOf("ann", world), userOf("bob", world)])
      .flat().map((user) => [user, secretOf(user)])
  )

const start = (options: WorldOptions, count: number) =>
  Effect.gen(function*() {
    const dovecot = yield* startDovecot({
      users: usersOf(count),
      ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
      ...(options.quota === undefined ? {} : { quota: options.quota }),
      tls: options.tls ?? false
    })
    const postfix = yield* startPostfix(dovecot, {
      ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
      ...(options.maxMessageBytes === undefined ? {} : { messageSizeLimit: options.maxMessageBytes }),
      tls: options.tls ?? false
    })
    return { dovecot, postfix }
  })

const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].length

/** What the logs tell of logins by this user; Dovecot writes a line when a connection ends, or gets in. */
const attemptsIn = (user: string, dovecot: string, postfix: string): Connections => {
  const own = dovecot.split("\n").filter((line) => line.includes(`user=<${user}>`))
  return {
    imap: own.filter((line) => line.includes("Login: ")).length +
      own.reduce((sum, line) => sum + Number(/auth failed, (\d+) attempts/.exec(line)?.[1] ?? 0), 0),
    smtp: matches(
      postfix,
      new RegExp(`sasl_username=${user}\\b|SASL \\w+ authentication failed.*sasl_username=${user}\\b`, "g")
    )
  }
}

const endpointOf = ({ certificate, host, port, tlsPort }: DovecotServer | PostfixServer) =>
  tlsPort === undefined || certificate === undefined
    ? new Endpoint({ host, port, security: "none" })
    : new Endpoint({ host, port: tlsPort, security: "tls", trust: { ca: certificate } })

const openAt = ({ port, tlsPort = port }: DovecotServer | PostfixServer) => socketsNow(port, tlsPort).established

const worldOf = ({ dovecot, postfix }: Servers, world: number): World => {
  const connections = Effect.map(
    Effect.all([dovecot.connections, postfix.connections]),
    ([imap, smtp]) => ({ imap, smtp })
  )
  return {
    config: (who) => {
      const user = userOf(who, world)
      return new AccountConfig({
        name: who,
        imap: endpointOf(dovecot),
        smtp: endpointOf(postfix),
        credentials: Password.make({ user, password: Redacted.make(secretOf(user)) }),
        address: `${user}@${postfix.domain}`,
        sentCopy: "never"
      })
    },
    layer: MailAccount.layer,
    refusedAddress: `nobody@${postfix.domain}`,
    connections,
    peak: (effect) =>
      Effect.suspend(() => {
        const peak = { imap: 0, smtp: 0 }
        const look = Effect.sync(() => {
          peak.imap = Math.max(peak.imap, openAt(dovecot))
          peak.smtp = Math.max(peak.smtp, openAt(postfix))
        })
        // What ends between two looks still leaves its connections to the last one.
        return Effect.raceFirst(effect, Effect.forever(Effect.delay(look, "20 millis"))).pipe(
          Effect.tap(() => look),
          Effect.map((value) => ({ value, peak }))
        )
      }),
    loginAttempts: Effect.map(
      Effect.all([dovecot.log, postfix.log]),
      ([imap, smtp]) => attemptsIn(userOf("ann", world), imap, smtp)
    )
  }
}

export const DovecotSubject: Subject = {
  name: "Dovecot and Postfix",
  layer: Layer.effect(
    Worlds,
    Effect.map(start({}, worlds), (shared) => {
      let next = 0
      return {
        make: (options: WorldOptions) =>
          Object.keys(options).length === 0
            ? Effect.sync(() => worldOf(shared, next++))
            : Effect.map(start(options, 1), (servers) => worldOf(servers, 0))
      }
    })
  )
}
