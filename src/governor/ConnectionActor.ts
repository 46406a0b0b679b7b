/**
 * One fiber that owns one connection, from before it is opened until after its socket has closed. Nobody else touches
 * the connection: work comes in through the inbox, one message at a time, and reports go out.
 *
 *   open ──▶ wait for a message ──Work──▶ run it ──usable──▶ wait …
 *                │        │                 └──otherwise──▶ close at once
 *                │        └──Rest──▶ IDLE until a message comes or the server speaks ──▶ wait …
 *                └──Close──▶ say goodbye, close
 *
 * Interrupting the fiber closes the connection at once, whatever it is doing.
 */
import { Effect, Exit, type Scope } from "effect"
import type { Reason } from "../domain/MailError.ts"
import type { Inbox } from "./Inbox.ts"

/** What the governor needs to know of a connection, IMAP or SMTP. */
export interface Governed {
  readonly isUsable: () => boolean
  /** Completes when the socket has closed. */
  readonly closed: Effect.Effect<string>
}

export type Message<C> =
  /** Work answers whoever asked for it, and tells how it ended. */
  | { readonly _tag: "Work"; readonly run: (connection: C) => Effect.Effect<Exit.Exit<unknown, unknown>> }
  | { readonly _tag: "Rest"; readonly mailbox: string }
  | { readonly _tag: "Close" }
  | { readonly _tag: "Died" }

/** How connections of one protocol are opened, used up, and rested. */
export interface Connecting<C extends Governed> {
  /** Opens one connection; it closes with the scope: politely on success, at once otherwise. */
  readonly open: Effect.Effect<C, Reason, Scope.Scope>
  /** What it has selected. */
  readonly affinityOf: (connection: C) => string | undefined
  /** It has done its share and is replaced before it is used again. */
  readonly isSpent: (connection: C) => boolean
  /** Listens on a mailbox; completes when something was heard. May be interrupted without harm. */
  readonly rest: (connection: C, mailbox: string) => Effect.Effect<void, Reason>
}

/** What the owner of the actor is told. */
export interface Reports {
  readonly opened: () => void
  /** Free again, with this mailbox selected. */
  readonly done: (affinity: string | undefined) => void
  /** It listens no more, and has this mailbox selected. */
  readonly rested: (affinity: string | undefined) => void
  /** Closing; no more messages, please. */
  readonly closing: () => void
  /** Something happened in a mailbox it rested on, or may have happened while it did not listen; and how the rest ended. */
  readonly heard: (mailbox: string, exit: Exit.Exit<void, Reason>) => void
}

/** Opens a connection, serves it, closes it. Fails only with the reason for which it could not be opened. */
export const serve = <C extends Governed>(
  connecting: Connecting<C>,
  inbox: Inbox<Message<C>>,
  reports: Reports
): Effect.Effect<void, Reason> =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* connecting.open
    yield* Effect.forkScoped(connection.closed.pipe(Effect.map(() => inbox.put({ _tag: "Died" }))))
    reports.opened()
    // The scope sees how the work ends: after `Broken` or an interruption the socket closes without a goodbye.
    yield* work(connection, connecting, inbox, reports)
  })).pipe(Effect.catchTag("Broken", () => Effect.void))

/** The connection cannot be used any more. */
interface Broken {
  readonly _tag: "Broken"
}
const broken: Broken = { _tag: "Broken" }

/**
 * Serves messages until there is nothing left to serve. No generator goes around them: one that waits for the next
 * message would keep the one before and its answer, which may be large.
 */
const work = <C extends Governed>(
  connection: C,
  connecting: Connecting<C>,
  inbox: Inbox<Message<C>>,
  reports: Reports
): Effect.Effect<void, Broken> => {
  const next: Effect.Effect<void, Broken> = inbox.next((message) =>
    Effect.flatMap(
      serveOne(connection, connecting, inbox, reports, message),
      (goesOn) => goesOn ? next : Effect.void
    )
  )
  return next
}

/** Serves one message, and tells whether there may be more. */
const serveOne = Effect.fnUntraced(function*<C extends Governed>(
  connection: C,
  connecting: Connecting<C>,
  inbox: Inbox<Message<C>>,
  reports: Reports,
  message: Message<C>
): Effect.fn.Return<boolean, Broken> {
  switch (message._tag) {
    case "Work": {
      const exit = yield* message.run(connection)
      // a defect or an interruption may have left a command half done
      if (Exit.isFailure(exit) && exit.cause.reasons.some(({ _tag }) => _tag !== "Fail")) {
        reports.closing()
        return yield* Effect.fail(broken)
      }
      break
    }
    case "Rest": {
      const rested = yield* Effect.raceFirst(
        Effect.exit(connecting.rest(connection, message.mailbox)),
        inbox.arrival
      )
      if (!Exit.isExit(rested)) return true
      reports.heard(message.mailbox, rested)
      if (!connection.isUsable()) break
      reports.rested(connecting.affinityOf(connection))
      return true
    }
    case "Close":
      return false
    case "Died":
      reports.closing()
      return yield* Effect.fail(broken)
  }
  if (!connection.isUsable()) {
    reports.closing()
    return yield* Effect.fail(broken)
  }
  if (connecting.isSpent(connection)) {
    reports.closing()
    return false
  }
  reports.done(connecting.affinityOf(connection))
  return true
})
