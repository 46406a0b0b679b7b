/**
 * Puts a bound on every command of a connection, on the Clock. A command that is not answered in time fails with
 * `TimedOut` and, being interrupted, takes its connection with it. IDLE is exempt: waiting is its work.
 */
import { Duration, Effect } from "effect"
import { type Reason, TimedOut } from "../domain/MailError.ts"
import type { ImapConnection } from "../driver/ImapDriver.ts"

/** A transfer of known size may take a second longer for each of these octets. */
const octetsPerSecond = 64 * 1024

export const bounded = (connection: ImapConnection, timeout: Duration.Duration): ImapConnection => {
  const bound = <A>(command: Effect.Effect<A, Reason>, octets = 0): Effect.Effect<A, Reason> => {
    const after = octets === 0 ? timeout : Duration.sum(timeout, Duration.seconds(octets / octetsPerSecond))
    return Effect.timeoutOrElse(command, {
      duration: after,
      orElse: () => Effect.fail(new TimedOut({ wait: "command", after, written: true }))
    })
  }
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
}
