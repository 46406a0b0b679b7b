/**
 * Puts a bound on every command of a connection, on the Clock. A command that is not answered in time fails with
 * `TimedOut`, and its connection is closed. IDLE is exempt: waiting is its work.
 *
 * One fiber watches for all commands of the connection. Nothing is forked and no timer is set for a command, which would
 * cost more than the command itself.
 */
import { Clock, Duration, Effect, Latch, type Scope } from "effect"
import { type Reason, TimedOut } from "../domain/MailError.ts"
import type { ImapConnection } from "../driver/ImapDriver.ts"
import { steadyMillis } from "../driver/SteadyTime.ts"

/** A transfer of known size may take a second longer for each of these octets. */
const octetsPerSecond = 64 * 1024

/** The connection with its commands bounded, as long as the scope is open. */
export const bounded = Effect.fnUntraced(function*(
  connection: ImapConnection,
  timeout: Duration.Duration
): Effect.fn.Return<ImapConnection, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const timeoutMillis = Duration.toMillis(timeout)
  const running = Latch.makeUnsafe(false)
  let due = Infinity
  let isTooLate = false

  // No command is due earlier than `timeout` after it began, so whoever sleeps no longer than that oversleeps none.
  const watching = Effect.suspend(() => {
    const left = due - steadyMillis(clock)
    if (left > 0) {
      if (left === Infinity) running.closeUnsafe()
      return left === Infinity ? running.await : Effect.sleep(Math.min(left, timeoutMillis))
    }
    isTooLate = true
    connection.abort()
    return Effect.never
  })
  yield* Effect.forkScoped(Effect.forever(watching))

  const bound = <A>(command: Effect.Effect<A, Reason>, octets = 0): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      const millis = timeoutMillis + 1_000 * octets / octetsPerSecond
      due = steadyMillis(clock) + millis
      running.openUnsafe()
      return command.pipe(
        // An interrupted command ends its connection: nothing is left to be watched.
        Effect.matchEffect({
          onSuccess: (answer) => {
            due = Infinity
            return Effect.succeed(answer)
          },
          onFailure: (reason) => {
            due = Infinity
            return Effect.fail(
              isTooLate && reason._tag === "ConnectionLost"
                ? new TimedOut({ wait: "command", after: Duration.millis(millis), written: reason.written })
                : reason
            )
          }
        })
      )
    })

  return {
    ...connection,
    list: (options) => bound(connection.list(options)),
    status: (mailbox) => bound(connection.status(mailbox)),
    create: (mailbox) => bound(connection.create(mailbox)),
    rename: (from, to) => bound(connection.rename(from, to)),
    delete: (mailbox) => bound(connection.delete(mailbox)),
    subscribe: (mailbox) => bound(connection.subscribe(mailbox)),
    unsubscribe: (mailbox) => bound(connection.unsubscribe(mailbox)),
    quota: (mailbox) => bound(connection.quota(mailbox)),
    select: (mailbox, options) => bound(connection.select(mailbox, options)),
    search: (key) => bound(connection.search(key)),
    fetch: (range, items, options) => bound(connection.fetch(range, items, options)),
    fetchPartial: (section) => bound(connection.fetchPartial(section), section.length),
    store: (range, change) => bound(connection.store(range, change)),
    copy: (range, to) => bound(connection.copy(range, to)),
    move: (range, to) => bound(connection.move(range, to)),
    expunge: (range) => bound(connection.expunge(range)),
    append: (mailbox, source, options) => bound(connection.append(mailbox, source, options), source.length),
    noop: bound(connection.noop)
  }
})
