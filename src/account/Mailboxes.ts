/** Mailboxes of an account: listing, counters, creating, renaming, deleting, subscriptions, quota; and finding one by its use. */
import { Clock, Effect, Option } from "effect"
import type { Mailbox, MailboxStatus, Quota, SpecialUse } from "../domain/Mailbox.ts"
import type { Reason } from "../domain/MailError.ts"
import type { ImapConnection } from "../driver/ImapDriver.ts"
import type { Operations } from "./Operations.ts"

export interface ListOptions {
  /** Also fetch the counters of each mailbox; costs the server some work. */
  readonly status?: boolean | undefined
}

/** How long a listing is believed when a mailbox is looked for by its use: other programs rename and delete too. */
const knownMillis = 60_000

/** A server may answer STATUS of the selected mailbox from the session's view (RFC 9051 6.3.11): NOOP brings it up to date. */
const upToDate = (connection: ImapConnection): Effect.Effect<void, Reason> =>
  connection.selected() === undefined ? Effect.void : connection.noop

export const make = (operations: Operations) => {
  const { onConnection, removals, retrying } = operations
  const always = retrying("always")
  let known: { readonly mailboxes: ReadonlyArray<Mailbox>; readonly until: number } | undefined
  /** How often the account itself may have changed what a listing says. */
  let changes = 0

  const simple = <A>(work: (connection: ImapConnection) => Effect.Effect<A, Reason>) => always(onConnection(work))

  /** Whatever becomes of it, no listing that was begun before is believed afterwards. */
  const changing = <A>(
    safety: "change" | "unwritten",
    work: (connection: ImapConnection) => Effect.Effect<A, Reason>
  ): Effect.Effect<A, Reason> =>
    Effect.ensuring(
      retrying(safety)(onConnection(work)),
      Effect.sync(() => {
        changes++
        known = undefined
      })
    )

  /** Whatever became of it: a mailbox may have another name now, or none. */
  const removing = (work: Effect.Effect<void, Reason>) => Effect.ensuring(work, Effect.sync(() => removals.happened()))

  const list = (options?: ListOptions): Effect.Effect<ReadonlyArray<Mailbox>, Reason> =>
    Effect.suspend(() => {
      const before = changes
      return Effect.tap(
        simple((connection) =>
          options?.status === true
            ? Effect.andThen(upToDate(connection), connection.list({ status: true }))
            : connection.list({ status: false })
        ),
        (mailboxes) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            if (changes === before) known = { mailboxes, until: now + knownMillis }
          })
      )
    })

  /** The mailboxes as the account listed them not long ago. */
  const lastListed: Effect.Effect<ReadonlyArray<Mailbox>, Reason> = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => known !== undefined && now < known.until ? Effect.succeed(known.mailboxes) : list()
  )

  /** The mailbox of a special use, as the account listed its mailboxes not long ago. */
  const bySpecialUse = (use: SpecialUse): Effect.Effect<Option.Option<Mailbox>, Reason> =>
    Effect.map(
      lastListed,
      (mailboxes) => Option.fromUndefinedOr(mailboxes.find((mailbox) => mailbox.specialUse === use))
    )

  const statusOn = (connection: ImapConnection, mailbox: string): Effect.Effect<MailboxStatus, Reason> =>
    connection.selected()?.path === mailbox
      ? Effect.andThen(upToDate(connection), connection.status(mailbox))
      : connection.status(mailbox)

  return {
    capabilities: simple((connection) => Effect.succeed(connection.capabilities)),
    list,
    known: lastListed,
    bySpecialUse,
    statusOn,
    status: (mailbox: string): Effect.Effect<MailboxStatus, Reason> =>
      simple((connection) => statusOn(connection, mailbox)),
    create: (mailbox: string): Effect.Effect<void, Reason> =>
      changing("change", (connection) => connection.create(mailbox)),
    rename: (from: string, to: string): Effect.Effect<void, Reason> =>
      changing("unwritten", (connection) => removing(connection.rename(from, to))),
    /** Deleting what is not there is done. */
    delete: (mailbox: string): Effect.Effect<void, Reason> =>
      changing(
        "change",
        (connection) => Effect.catchTag(removing(connection.delete(mailbox)), "MailboxNotFound", () => Effect.void)
      ),
    subscribe: (mailbox: string): Effect.Effect<void, Reason> =>
      changing("change", (connection) => connection.subscribe(mailbox)),
    unsubscribe: (mailbox: string): Effect.Effect<void, Reason> =>
      changing("change", (connection) => connection.unsubscribe(mailbox)),
    quota: (mailbox: string): Effect.Effect<Option.Option<Quota>, Reason> =>
      simple((connection) => connection.quota(mailbox)).pipe(
        Effect.map(Option.fromUndefinedOr),
        Effect.catchTag("Unsupported", () => Effect.succeedNone)
      )
  }
}

export type Mailboxes = ReturnType<typeof make>
