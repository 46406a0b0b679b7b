/**
 * How every operation of an account reaches its servers: who asks, through which limits, on which connection, repeated
 * when and how often. Works in `Reason`s; the public service names the account and the operation around them.
 */
import { Context, Duration, Effect, Exit, type Scope } from "effect"
import type { AccountConfig, Endpoint } from "../domain/AccountConfig.ts"
import { Agent } from "../domain/Agent.ts"
import type { Limits } from "../domain/Limits.ts"
import {
  ConnectionLost,
  InvalidInput,
  MailboxChanged,
  ProtocolViolation,
  type Reason,
  TimedOut
} from "../domain/MailError.ts"
import { type ImapConnection, ImapDriver, type SelectedMailbox } from "../driver/ImapDriver.ts"
import { type SmtpConnection, SmtpDriver } from "../driver/SmtpDriver.ts"
import { bounded } from "../governor/CommandTimeout.ts"
import type * as Governor from "../governor/Governor.ts"
import * as LateGovernor from "../governor/LateGovernor.ts"
import * as Logins from "../governor/Logins.ts"
import { type RateCosts, RateLimit } from "../governor/RateLimit.ts"
import { RetryPolicy, type Safety } from "../governor/RetryPolicy.ts"
import * as Telemetry from "../governor/Telemetry.ts"
import { Arrivals } from "./Arrivals.ts"
import { CurrentLease, Lease } from "./Lease.ts"
import { Listening } from "./Listening.ts"
import { Removals } from "./Removals.ts"

/**
 * A mailbox to be selected; with `uidValidity` only as long as it is the same mailbox. The connection will know of
 * the messages named: of `uid`, or the last of `uids`; Infinity for whatever there is.
 */
export interface Place {
  readonly mailbox: string
  readonly uidValidity?: number | undefined
  readonly uid?: number | undefined
  readonly uids?: ReadonlyArray<number> | undefined
  /** It is to be searched: the connection will know of all that the account has changed there. */
  readonly searched?: boolean | undefined
}

/** What an attempt says of itself: the mailbox it will select, and octets for the windows that limit them. */
export interface Needs<A> {
  readonly affinity?: string | undefined
  /** Octets known beforehand, and those of the answer. */
  readonly octets?: number | undefined
  readonly octetsOf?: ((answer: A) => number) | undefined
}

/** One caller's part of a shared command: those with the same key that wait at the same moment run together. */
export interface Shared<P, A> extends Needs<A> {
  readonly key: string
  readonly size: number
  /** The last message it names. */
  readonly uid: number
  readonly payload: P
}

export interface Operations {
  readonly config: AccountConfig
  readonly imap: Governor.Governor<ImapConnection>
  readonly smtp: Governor.Governor<SmtpConnection>
  readonly rates: RateLimit
  /** What connections know of new messages. */
  readonly arrivals: Arrivals
  /** Mailboxes that the account has deleted or renamed. */
  readonly removals: Removals
  /** Repeats as the account's policy says, where it is safe. */
  readonly retrying: (safety: Safety) => <A>(attempt: Effect.Effect<A, Reason>) => Effect.Effect<A, Reason>
  /** One attempt of IMAP work on any connection. */
  readonly onConnection: <A, E>(
    work: (connection: ImapConnection) => Effect.Effect<A, E>,
    needs?: Needs<A>
  ) => Effect.Effect<A, E | Reason>
  /** One attempt of IMAP work with a mailbox selected. */
  readonly inMailbox: <A, E>(
    place: Place,
    work: (connection: ImapConnection, selected: SelectedMailbox) => Effect.Effect<A, E>,
    needs?: Needs<A>
  ) => Effect.Effect<A, E | Reason>
  /** Makes a kind of IMAP request in which several callers share one command: one attempt, with the mailbox selected. */
  readonly sharing: <P, A>() => (
    place: Place,
    shared: Shared<P, A>,
    work: Governor.SharedWork<ImapConnection, P, A>
  ) => Effect.Effect<A, Reason>
  /**
   * IMAP work in a mailbox for which the connection stays reserved: what the fiber asks of the account meanwhile runs on
   * it too. Where the fiber has one already, it is used.
   */
  readonly leasing: <A, E>(
    mailbox: string,
    readOnly: boolean,
    work: (lease: Lease) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | Reason>
  /** Notes that the selected mailbox has just been read up to date: what the connection hears from now on is news. */
  readonly synchronised: (connection: ImapConnection) => void
  /** One attempt of SMTP work. */
  readonly onSubmission: <A, E>(
    costs: RateCosts,
    work: (connection: SmtpConnection) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | Reason>
}

/** Selects the mailbox, and makes sure that it is the one that was meant, and that the messages meant are known there. */
const select = (
  arrivals: Arrivals,
  connection: ImapConnection,
  { mailbox, searched, uid, uids, uidValidity }: Place,
  lease?: Lease
): Effect.Effect<SelectedMailbox, Reason> => {
  const before = connection.selected()
  // a mailbox that was opened to read only stays so
  return connection.select(mailbox, { readOnly: lease?.readOnly === true && lease.mailbox === mailbox }).pipe(
    Effect.filterOrFail(
      (selected) => uidValidity === undefined || uidValidity === selected.uidValidity,
      (selected) => new MailboxChanged({ mailbox, expected: uidValidity ?? 0, actual: selected.uidValidity })
    ),
    Effect.tap((selected) => {
      if (selected !== before) arrivals.selected(selected)
      return arrivals.upTo(uid ?? uids?.at(-1) ?? 0, connection, selected, searched)
    }),
    // where it fails, what was to be done there has not been begun
    Effect.mapError(unwritten)
  )
}

/** The same reason, of a command that is known not to have taken place. */
export const unwritten = (reason: Reason): Reason => {
  switch (reason._tag) {
    case "ConnectionLost":
      return new ConnectionLost({ detail: reason.detail, written: false })
    case "ProtocolViolation":
      return new ProtocolViolation({ detail: reason.detail, written: false })
    case "TimedOut":
      return new TimedOut({ wait: reason.wait, after: reason.after, written: false })
    default:
      return reason
  }
}

/** Pages of messages and long lists of UIDs are read, however small the messages are to be. */
const leastLiteralLimit = 16 * 1024 * 1024
const overtakings = 8
const overtakingMillis = 1_000
const shareLimit = 100
const selects = 6
const selectsMillis = 10_000
const lingerMillis = 200
const pressedMillis = 5_000

/** How requests of either protocol wait. */
const queueing = ({ idleTimeToLive, maxWait, queue, weights }: Limits) => ({
  queue,
  maxWaitMillis: Duration.toMillis(maxWait),
  idleTimeToLiveMillis: Duration.toMillis(idleTimeToLive),
  overtakings,
  overtakingMillis,
  shareLimit,
  selects,
  selectsMillis,
  pressedMillis,
  lingerMillis,
  weightOf: (agent: string) => Object.hasOwn(weights, agent) ? weights[agent] ?? 1 : 1
})

/** Opens nothing yet: connections are opened when they are first needed, and close with the scope. */
export const make = Effect.fnUntraced(function*(
  config: AccountConfig,
  policy: RetryPolicy
): Effect.fn.Return<Operations, never, ImapDriver | SmtpDriver | Scope.Scope> {
  const { limits } = config
  const logins = yield* Logins.make(config.credentials)
  const imapDriver = yield* ImapDriver
  const smtpDriver = yield* SmtpDriver
  const arrivals = new Arrivals()
  const removals = new Removals()
  const telemetry = yield* Telemetry.make(config.name)
  const listening = new Listening()

  const connectImap = (endpoint: Endpoint) =>
    logins.connect((credentials) =>
      imapDriver.connect({
        endpoint,
        credentials,
        connectTimeoutMillis: Duration.toMillis(limits.connectTimeout),
        literalLimit: Math.max(limits.maxMessageBytes, leastLiteralLimit)
      })
    ).pipe(
      Effect.flatMap((connection) => bounded(connection, limits.commandTimeout)),
      Effect.map((connection) => listening.attentive(connection))
    )
  const connectSmtp = (endpoint: Endpoint) =>
    logins.connect((credentials) =>
      smtpDriver.connect({ endpoint, credentials, connectTimeoutMillis: Duration.toMillis(limits.connectTimeout) })
    )

  const imap = yield* LateGovernor.make<ImapConnection>(limits.imapConnections, () => ({
    ...queueing(limits),
    protocol: "imap",
    host: config.imap?.host ?? "",
    telemetry,
    cap: limits.imapConnections,
    connecting: {
      open: config.imap === undefined
        ? Effect.fail(new InvalidInput({ field: "imap", problem: "this account has no IMAP server" }))
        : connectImap(config.imap),
      affinityOf: (connection) => connection.selected()?.path,
      isSpent: () => false,
      rest: (connection, mailbox) => listening.rest(connection, mailbox)
    }
  }))

  const smtp = yield* LateGovernor.make<SmtpConnection>(limits.smtpConnections, () => ({
    ...queueing(limits),
    protocol: "smtp",
    host: config.smtp?.host ?? "",
    telemetry,
    cap: limits.smtpConnections,
    connecting: {
      open: config.smtp === undefined
        ? Effect.fail(new InvalidInput({ field: "smtp", problem: "this account has no SMTP server" }))
        : connectSmtp(config.smtp),
      affinityOf: () => undefined,
      isSpent: (connection) => connection.sent() >= limits.messagesPerConnection,
      rest: () => Effect.void
    }
  }))

  const maxWaitMillis = Duration.toMillis(limits.maxWait)
  const rates = yield* RateLimit.make({
    account: config.name,
    rates: limits.rates,
    onLimit: limits.onLimit,
    queue: limits.queue,
    maxWaitMillis,
    // what was admitted waits in the queue, and begins with its first command
    holdMillis: maxWaitMillis + Duration.toMillis(limits.commandTimeout)
  })

  /** Runs an attempt once all rate windows allow it. The attempt runs `begin` when it begins; if it never does, its room is free again. */
  const admitted = <A, E>(
    costs: RateCosts,
    octetsOf: ((answer: A) => number) | undefined,
    attempt: (caller: Governor.RequestOptions, begin: Effect.Effect<void>) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Reason> =>
    Effect.contextWith((context: Context.Context<never>) => {
      const agent = Context.get(context, Agent.current)
      const caller = { agent, operation: Context.get(context, Telemetry.CurrentOperation) }
      const counted = (begin: Effect.Effect<void>, waited?: number) =>
        Effect.tap(attempt(waited === undefined ? caller : { ...caller, waited }, begin), (answer) =>
          Effect.sync(() => {
            if (costs.bytes !== undefined && costs.bytes > 0) telemetry.transferred("sent", costs.bytes)
            if (octetsOf !== undefined) telemetry.transferred("received", octetsOf(answer))
          }))
      if (limits.rates.length === 0) return counted(Effect.void)
      return Effect.acquireUseRelease(
        Effect.tap(rates.admit({ agent, costs }), ({ waited }) =>
          waited === undefined ? Effect.void : Effect.sync(() =>
            telemetry.delayed(waited.scope, waited.millis)
          )),
        (permit) =>
          octetsOf === undefined
            ? counted(permit.start, permit.waited?.millis)
            : Effect.tap(counted(permit.start, permit.waited?.millis), (answer) => permit.charge(octetsOf(answer))),
        (permit) => permit.refund
      )
    })

  const leased = Effect.map(CurrentLease, (lease) => lease?.of(imap))

  const upToDate = (connection: ImapConnection) => Effect.mapError(removals.noted(connection), unwritten)

  const submit = <A, E>(
    work: (connection: ImapConnection, lease: Lease | undefined) => Effect.Effect<A, E>,
    needs?: Needs<A>
  ) =>
    Effect.flatMap(leased, (lease) =>
      admitted(
        { bytes: needs?.octets ?? 0 },
        needs?.octetsOf,
        (caller, begin) => {
          const begun = (connection: ImapConnection) => Effect.andThen(begin, work(connection, lease))
          return lease === undefined
            ? imap.submit(
              { ...caller, affinity: needs?.affinity },
              (connection) => Effect.andThen(upToDate(connection), begun(connection))
            )
            : lease.run(begun)
        }
      ))

  const leasing: Operations["leasing"] = (mailbox, readOnly, work) =>
    Effect.flatMap(
      CurrentLease,
      (outer) =>
        submit((connection) =>
          Effect.flatMap(connection.select(mailbox, { readOnly, refresh: true }), ({ uidValidity }) => {
            const lease = new Lease({
              source: imap,
              connection,
              mailbox,
              uidValidity,
              readOnly,
              maxWait: limits.maxWait,
              outer
            })
            // in a fiber of its own, whose children end with it: the connection's goes on with the work of others
            return Effect.ensuring(Effect.raceAllFirst([work(lease)]), lease.end)
          }), { affinity: mailbox })
    )

  const sharing: Operations["sharing"] = <P, A>() => {
    const share = imap.sharing<
      { readonly begin: Effect.Effect<void>; readonly uid: number; readonly payload: P },
      A
    >()
    return (
      place: Place,
      { key, octetsOf, payload, size, uid }: Shared<P, A>,
      work: Governor.SharedWork<ImapConnection, P, A>
    ) =>
      Effect.flatMap(leased, (lease) =>
        admitted({ bytes: 0 }, octetsOf, (caller, begin) =>
          lease === undefined
            ? share(
              {
                ...caller,
                affinity: place.mailbox,
                // quoted, since "A" with a key "5 …" would otherwise be the same as "A 5" with "…"
                key: `${place.uidValidity} ${JSON.stringify(place.mailbox)} ${key}`,
                size
              },
              { begin, uid, payload },
              (connection, entries) =>
                Effect.forEach(entries, (entry) => entry.begin, { discard: true }).pipe(
                  Effect.andThen(upToDate(connection)),
                  Effect.andThen(
                    select(arrivals, connection, { ...place, uid: Math.max(...entries.map((entry) => entry.uid)) })
                  ),
                  Effect.andThen(work(connection, entries.map((entry) => entry.payload)))
                )
            )
            : lease.run((connection) =>
              begin.pipe(
                Effect.andThen(select(arrivals, connection, { ...place, uid }, lease)),
                Effect.andThen(work(connection, [payload])),
                Effect.flatMap(([answer = Exit.die("unanswered")]) => answer)
              )
            )))
  }

  const operations: Operations = {
    config,
    imap,
    smtp,
    rates,
    arrivals,
    removals,
    retrying: (safety) => {
      const repeating = RetryPolicy.retrying(
        policy,
        safety,
        ({ reason }) => Effect.map(Telemetry.CurrentOperation, (operation) => telemetry.retried(operation, reason._tag))
      )
      // whoever has a connection reserved has nothing left to repeat on when it is lost
      return safety === "send"
        ? repeating
        : (attempt) => Effect.flatMap(leased, (lease) => lease === undefined ? repeating(attempt) : attempt)
    },
    onConnection: submit,
    inMailbox: (place, work, needs) =>
      submit(
        (connection, lease) =>
          Effect.flatMap(select(arrivals, connection, place, lease), (selected) => work(connection, selected)),
        { ...needs, affinity: place.mailbox }
      ),
    sharing,
    leasing,
    synchronised: (connection) => listening.synchronised(connection),
    onSubmission: (costs, work) =>
      admitted(
        costs,
        undefined,
        (caller, begin) => smtp.submit(caller, (connection) => Effect.andThen(begin, work(connection)))
      )
  }
  return operations
})
