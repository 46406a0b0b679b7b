/**
 * Knowing what changed: one round at a time (`changes`), or round after round (`watch`), each begun when the server says
 * something in IDLE, when the heartbeat is due, or when a connection has been lost. The rounds are requests like any
 * other; between them no connection is held, and an idle one listens.
 */
import { Duration, Effect, Latch, Option, Schedule, type Scope, Semaphore, Stream } from "effect"
import type { Cursor } from "../domain/Cursor.ts"
import { mailboxName } from "../domain/MailboxName.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import type { Changes } from "../domain/MailEvent.ts"
import { readTime } from "../domain/OptionCheck.ts"
import { steadyTime } from "../driver/SteadyTime.ts"
import type { Operations } from "./Operations.ts"
import { type Round, round } from "./Round.ts"

export interface WatchOptions {
  /** Where to go on from. Without it, only what happens from now on is told. */
  readonly since?: Cursor | undefined
  /**
   * A look is taken at least this often, whatever the server says: it renews the IDLE, which servers end after half an
   * hour (RFC 2177), and notices a connection that is dead without a word. Longer than none; default: 5 minutes.
   */
  readonly heartbeat?: Duration.Input | undefined
  /**
   * A look is taken this often while no connection listens on the mailbox: there are fewer connections than watched
   * mailboxes, or they are all at work. Longer than none; default: 30 seconds.
   */
  readonly poll?: Duration.Input | undefined
}

const defaultHeartbeat = Duration.minutes(5)
const defaultPoll = Duration.seconds(30)

/** Rounds in a row that may each ask for one more, before the bell is waited for. */
const maxTurns = 3

/** How a watch goes on after failures that pass. */
const patience = Schedule.min([Schedule.exponential("100 millis", 2), Schedule.spaced("1 minute")]).pipe(
  Schedule.jittered
)

/** One who watches a mailbox. */
interface Watcher {
  readonly mailbox: string
  /** What it has been told. */
  cursor: Cursor | undefined
  /** Opens when another has seen more. */
  readonly behind: Latch.Latch
  /** Lets those who watch the same mailbox look one after another: they need one connection together. */
  readonly turn: Semaphore.Semaphore
  /** Waits until it is time to look. */
  readonly wait: Effect.Effect<void>
}

export const make = (operations: Operations) => {
  const { imap, onConnection, retrying, synchronised } = operations
  const watchers = new Set<Watcher>()
  /** Watches leave the last connection to others, however many mailboxes they look into. */
  const looking = Semaphore.makeUnsafe(Math.max(1, operations.config.limits.imapConnections - 1))

  /** The server tells a connection once: whoever has seen it lets the others know. */
  const seen = (cursor: Cursor, by: Watcher | undefined) => {
    for (const watcher of watchers) {
      const { behind, cursor: known, mailbox } = watcher
      const isOther = watcher !== by && mailbox === cursor.mailbox
      if (isOther && known !== undefined && isBehind(known, cursor)) behind.openUnsafe()
    }
  }

  const look = (
    mailbox: string,
    since: Cursor | undefined,
    isDone: (found: Round) => boolean,
    by: Watcher | undefined = undefined
  ) =>
    onConnection(
      (connection) =>
        Effect.tap(
          round(connection, mailbox, since),
          (found) =>
            Effect.sync(() => {
              if (isDone(found)) synchronised(connection)
              seen(found.changes.cursor, by)
            })
        ),
      { affinity: mailbox }
    )

  const changes = (mailbox: string, since?: Cursor): Effect.Effect<Changes, Reason> =>
    Effect.flatMap(
      ofMailbox(mailbox, since),
      (name) => Effect.map(retrying("always")(look(name, since, () => false)), ({ changes }) => changes)
    )

  /** Rounds until there is something to tell, and nothing is known to be left. */
  const next = Effect.fnUntraced(function*(watcher: Watcher, first: boolean) {
    const { behind, mailbox } = watcher
    for (let turn = 1;; turn++) {
      behind.closeUnsafe()
      const isDone = ({ again }: Round) => !again || turn >= maxTurns
      const found = yield* look(mailbox, watcher.cursor, isDone, watcher).pipe(
        looking.withPermit,
        watcher.turn.withPermit,
        Effect.retry(Schedule.while(patience, ({ input }: { readonly input: Reason }) => mayPass(input)))
      )
      watcher.cursor = found.changes.cursor
      if (first || found.changes.events.length > 0) return found
      if (!found.again || turn >= maxTurns) {
        yield* watcher.wait
        turn = 0
      }
    }
  })

  const watcherOf = Effect.fnUntraced(function*(
    mailbox: string,
    options: WatchOptions | undefined
  ): Effect.fn.Return<Watcher, InvalidInput, Scope.Scope> {
    const heartbeat = yield* pause("heartbeat", options?.heartbeat ?? defaultHeartbeat)
    const poll = yield* pause("poll", options?.poll ?? defaultPoll)
    const { heard, isListening } = yield* imap.watch(mailbox)
    const behind = Latch.makeUnsafe(false)
    const isRung = Effect.raceFirst(heard, behind.await)
    const wait = Effect.gen(function*() {
      const until = (yield* steadyTime) + heartbeat
      for (let left = heartbeat; left > 0; left = until - (yield* steadyTime)) {
        const rung = yield* Effect.timeoutOption(isRung, Math.min(left, poll))
        if (Option.isSome(rung) || !isListening()) return
      }
    })
    return yield* Effect.acquireRelease(
      Effect.sync(() => {
        const other = [...watchers].find((watcher) => watcher.mailbox === mailbox)
        const turn = other?.turn ?? Semaphore.makeUnsafe(1)
        const watcher: Watcher = { mailbox, cursor: options?.since, behind, turn, wait }
        watchers.add(watcher)
        return watcher
      }),
      (watcher) => Effect.sync(() => watchers.delete(watcher))
    )
  })

  const watch = (mailbox: string, options?: WatchOptions): Stream.Stream<Changes, Reason> =>
    Stream.unwrap(Effect.gen(function*() {
      const watcher = yield* watcherOf(yield* ofMailbox(mailbox, options?.since), options)
      return Stream.unfold(
        { first: true, again: true },
        ({ again, first }) =>
          (again ? Effect.void : watcher.wait).pipe(
            Effect.andThen(next(watcher, first)),
            Effect.map(({ again, changes }) => [changes, { first: false, again }] as const)
          )
      )
    }))

  return { changes, watch }
}

export type Watch = ReturnType<typeof make>

/** The one name of the mailbox, if the cursor is of it. */
const ofMailbox = (mailbox: string, since: Cursor | undefined): Effect.Effect<string, InvalidInput> => {
  const name = mailboxName(mailbox)
  return since === undefined || mailboxName(since.mailbox) === name ? Effect.succeed(name) : Effect.fail(
    new InvalidInput({ field: "since", problem: `the cursor is of mailbox "${since.mailbox}", not of "${mailbox}"` })
  )
}

/** Milliseconds between two looks; without any, looks would follow each other as fast as the server answers. */
const pause = (field: "heartbeat" | "poll", given: Duration.Input): Effect.Effect<number, InvalidInput> => {
  const time = readTime(given)
  return time !== undefined && Duration.toMillis(time) > 0
    ? Effect.succeed(Duration.toMillis(time))
    : Effect.fail(new InvalidInput({ field, problem: "a time is longer than none" }))
}

/** Whether there is more to know than `known`, if `seen` is what is there. */
const isBehind = (known: Cursor, seen: Cursor): boolean => {
  if (known.uidValidity !== seen.uidValidity) return true
  if (known.modseq > 0n && seen.modseq > 0n) return known.modseq < seen.modseq
  return known.uidNext !== seen.uidNext || !sameKnown(known, seen)
}

const sameKnown = ({ known: left }: Cursor, { known: right }: Cursor): boolean => {
  const flags = Object.keys(left)
  return flags.length === Object.keys(right).length && flags.every((joined) => left[joined] === right[joined])
}

/** Whether a watch outlives this reason: all that heals, and a queue that is full or slow at the moment. */
const mayPass = (reason: Reason): boolean => reason.isRetryable || reason._tag === "TimedOut"
