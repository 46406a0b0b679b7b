/**
 * Knowing what changed: one round at a time (`changes`), or round after round (`watch`), each begun when the server says
 * something in IDLE, when the heartbeat is due, or when a connection has been lost. The rounds are requests like any
 * other; between them no connection is held, and an idle one listens.
 */
import { Duration, Effect, Schedule, Stream } from "effect"
import type { Cursor } from "../domain/Cursor.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import type { Changes } from "../domain/MailEvent.ts"
import type { Operations } from "./Operations.ts"
import { round } from "./Round.ts"

export interface WatchOptions {
  /** Where to go on from. Without it, only what happens from now on is told. */
  readonly since?: Cursor | undefined
  /**
   * A look is taken at least this often, whatever the server says: it renews the IDLE, which servers end after half an
   * hour (RFC 2177), and notices a connection that is dead without a word. Default: `defaultHeartbeat`.
   */
  readonly heartbeat?: Duration.Input | undefined
}

export const defaultHeartbeat = Duration.minutes(5)

/** Rounds in a row that may each ask for one more, before the bell is waited for. */
const maxTurns = 3

/** How a watch goes on after failures that pass. */
const patience = Schedule.min([Schedule.exponential("1 second", 2), Schedule.spaced("1 minute")]).pipe(
  Schedule.jittered
)

export const make = (operations: Operations) => {
  const { imap, onConnection, retrying, synchronised } = operations

  const look = (mailbox: string, since: Cursor | undefined, thorough: boolean) =>
    onConnection(
      (connection) =>
        Effect.tap(
          round(connection, mailbox, since, { thorough }),
          () => Effect.sync(() => synchronised(connection, mailbox))
        ),
      { affinity: mailbox }
    )

  const changes = (mailbox: string, since?: Cursor): Effect.Effect<Changes, Reason> =>
    Effect.flatMap(
      ofMailbox(mailbox, since),
      () => Effect.map(retrying("always")(look(mailbox, since, false)), ({ changes }) => changes)
    )

  /** Rounds until there is something to tell, and nothing is known to be left. */
  const next = Effect.fnUntraced(function*(
    mailbox: string,
    since: Cursor | undefined,
    wait: Effect.Effect<void>,
    first: boolean
  ) {
    let cursor = since
    if (!first) yield* wait
    for (let turn = 1;; turn++) {
      const { again, changes } = yield* look(mailbox, cursor, turn === maxTurns).pipe(
        Effect.retry(Schedule.while(patience, ({ input }: { readonly input: Reason }) => mayPass(input)))
      )
      if (first || changes.events.length > 0) return { changes, again }
      cursor = changes.cursor
      if (!again || turn >= maxTurns) {
        yield* wait
        turn = 0
      }
    }
  })

  const watch = (mailbox: string, options?: WatchOptions): Stream.Stream<Changes, Reason> =>
    Stream.unwrap(Effect.gen(function*() {
      yield* ofMailbox(mailbox, options?.since)
      const bell = yield* imap.watch(mailbox)
      const wait = Effect.asVoid(Effect.timeoutOption(bell, options?.heartbeat ?? defaultHeartbeat))
      return Stream.unfold(
        { cursor: options?.since, first: true, again: false },
        ({ again, cursor, first }) =>
          Effect.map(
            next(mailbox, cursor, again ? Effect.void : wait, first),
            (found) => [found.changes, { cursor: found.changes.cursor, first: false, again: found.again }] as const
          )
      )
    }))

  return { changes, watch }
}

export type Watch = ReturnType<typeof make>

const ofMailbox = (mailbox: string, since: Cursor | undefined): Effect.Effect<void, InvalidInput> =>
  since === undefined || since.mailbox === mailbox ? Effect.void : Effect.fail(
    new InvalidInput({ field: "since", problem: `the cursor is of mailbox "${since.mailbox}", not of "${mailbox}"` })
  )

/** Whether a watch outlives this reason: all that heals, and a queue that is full or slow at the moment. */
const mayPass = (reason: Reason): boolean => reason.isRetryable || reason._tag === "TimedOut"
