import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, type Scope, Stream } from "effect"
import { Cursor, type MailError, type MailEvent, Query, type WatchOptions } from "../../src/index.ts"
import type { MemoryMail, StoredUser } from "../../src/testing/index.ts"
import { reasonOf } from "../contract/Subject.ts"
import { type Account, begin, mail, open, type OpenOptions, pass, serve, timesOf } from "./MemoryAccount.ts"

const minute = 60_000

interface Watched {
  /** What was told so far, a line for each event. */
  readonly told: Array<string>
  /** The size of each batch. */
  readonly batches: Array<number>
  readonly cursors: Array<Cursor>
  readonly fiber: Fiber.Fiber<void, MailError>
}

const line = (event: MailEvent) =>
  event._tag === "Reset"
    ? `Reset ${event.mailbox}`
    : [event._tag, event.ref.uid, ...(event._tag === "Expunged" ? [] : event.flags)].join(" ")

const watching = (
  account: Account,
  mailbox = "INBOX",
  options?: WatchOptions & { readonly work?: Effect.Effect<void> }
): Effect.Effect<Watched> =>
  Effect.gen(function*() {
    const told: Array<string> = []
    const batches: Array<number> = []
    const cursors: Array<Cursor> = []
    const fiber = yield* begin(Stream.runForEach(account.watch(mailbox, options), ({ cursor, events }) =>
      Effect.suspend(() => {
        told.push(...events.map(line))
        batches.push(events.length)
        cursors.push(cursor)
        return options?.work ?? Effect.void
      })))
    yield* pass(500)
    return { told, batches, cursors, fiber }
  })

const annOf = (server: MemoryMail["Service"]): StoredUser => {
  const ann = server.store.user("ann")
  assert.isDefined(ann)
  return ann
}

const append = (server: MemoryMail["Service"], mailbox = "INBOX", ...flags: ReadonlyArray<string>) =>
  void annOf(server).append(mailbox, new TextEncoder().encode(mail(9)), { flags, internalDate: new Date(0) })

const create = (server: MemoryMail["Service"], ...mailboxes: ReadonlyArray<string>) => {
  for (const mailbox of mailboxes) annOf(server).createMailbox(mailbox)
}

const withAccount = (
  options: OpenOptions & { readonly server?: Parameters<typeof serve>[0] },
  test: (account: Account, server: MemoryMail["Service"]) => Effect.Effect<unknown, MailError, Scope.Scope>
) =>
  Effect.gen(function*() {
    const server = serve(options.server)
    yield* test(yield* open(server, options), server)
    assert.strictEqual(server.overlaps(), 0)
  })

const ended = ({ fiber }: Watched): Effect.Effect<string> =>
  Effect.suspend(() => {
    assert.isDefined(fiber.pollUnsafe(), "it has ended")
    return Effect.match(Fiber.join(fiber), { onSuccess: () => "at its end", onFailure: ({ reason }) => reason._tag })
  })

describe("a watch", () => {
  it.effect("begins with a batch, even where there is nothing to tell, and tells what comes at once", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        assert.deepStrictEqual(watched.batches, [0])
        append(server, "INBOX", "\\Seen")
        yield* pass(100)
        assert.deepStrictEqual(watched.told, ["Arrived 5 \\Seen"])
        annOf(server).mailbox("INBOX")?.take([2])
        annOf(server).mailbox("INBOX")?.store([1], "add", ["$Work"])
        yield* pass(1_000)
        assert.deepStrictEqual(watched.told.slice(1).sort(), ["Expunged 2", "FlagsChanged 1 $Work"])
        yield* pass(30 * minute, 5_000)
        assert.deepStrictEqual(watched.told.length, 3)
      })))

  it.effect("goes on from a stored cursor, on another day", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        const first = yield* watching(account)
        yield* Fiber.interrupt(first.fiber)
        const [cursor] = first.cursors
        assert.isDefined(cursor)
        append(server)
        const since = yield* Effect.orDie(Cursor.decode(Cursor.encode(cursor)))
        const second = yield* watching(account, "inbox", { since })
        assert.deepStrictEqual(second.told, ["Arrived 5"])
      })))

  it.effect("refuses to look without a pause", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        for (const options of [{ heartbeat: 0 }, { heartbeat: -1 }, { heartbeat: Number.NaN }, { poll: 0 }]) {
          assert.strictEqual(yield* ended(yield* watching(account, "INBOX", options)), "InvalidInput")
        }
        assert.deepStrictEqual(server.commands(), [])
      })))

  it.effect("refuses a cursor of another mailbox", () =>
    withAccount({}, (account) =>
      Effect.gen(function*() {
        const since = Cursor.start("Archive")
        assert.strictEqual(yield* ended(yield* watching(account, "INBOX", { since })), "InvalidInput")
        assert.strictEqual((yield* reasonOf(account.changes("INBOX", since)))._tag, "InvalidInput")
      })))

  it.effect("asks a server without IDLE from time to time", () =>
    withAccount({ server: { without: ["IDLE"] } }, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        append(server)
        yield* pass(31_000, 500)
        assert.deepStrictEqual(watched.told, ["Arrived 5"])
      })))

  it.effect("waits for its consumer before it looks again, and then tells all at once", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account, "INBOX", { work: Effect.sleep("10 seconds") })
        yield* pass(1_000)
        server.forget()
        for (let n = 0; n < 5; n++) {
          append(server)
          yield* pass(1_000)
        }
        assert.deepStrictEqual(timesOf(server, "SELECT"), [])
        yield* pass(10_000, 500)
        assert.deepStrictEqual(watched.batches, [0, 5])
      })))

  it.effect("tells the account's own changes too", () =>
    withAccount({}, (account) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        const inbox = yield* begin(account.search(Query.inbox))
        yield* pass(500)
        const messages = yield* Fiber.join(inbox)
        yield* begin(account.flag(messages, { add: ["\\Seen"] }))
        yield* pass(1_000)
        assert.deepStrictEqual(watched.told, [1, 2, 3, 4].map((uid) => `FlagsChanged ${uid} \\Seen`))
      })))

  it.effect("tells at once what happened while its only connection was in another mailbox", () =>
    withAccount(
      { limits: { imapConnections: 1 }, server: { latency: "100 millis" } },
      (account, server) =>
        Effect.gen(function*() {
          create(server, "Archive")
          const watched = yield* watching(account)
          yield* pass(1_000)
          const request = yield* begin(account.search(Query.in("Archive")))
          yield* pass(150)
          append(server)
          yield* pass(2_000)
          yield* Fiber.join(request)
          assert.deepStrictEqual(watched.told, ["Arrived 5"])
          assert.strictEqual(server.peak(), 1)
          append(server)
          yield* pass(1_000)
          assert.deepStrictEqual(watched.told, ["Arrived 5", "Arrived 6"], "and listens again")
        })
    ))

  it.effect("loses no news to a round of somebody else", () =>
    withAccount({ limits: { imapConnections: 1 } }, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        const other = yield* watching(account)
        // before the server says it in IDLE, another round reads it
        server.faults.add({ protocol: "imap", at: "IDLE", action: { _tag: "Stall" }, times: Infinity })
        server.drop()
        yield* pass(2_000)
        append(server)
        yield* begin(account.changes("INBOX", watched.cursors[0]))
        yield* pass(1_000)
        assert.deepStrictEqual([watched.told, other.told], [["Arrived 5"], ["Arrived 5"]])
      })))
})

describe("watches of an account", () => {
  it.effect("of one mailbox share one connection, and each is told everything once", () =>
    withAccount({ limits: { imapConnections: 4 } }, (account, server) =>
      Effect.gen(function*() {
        const all = yield* Effect.forEach([1, 2, 3, 4, 5], () => watching(account), { concurrency: "unbounded" })
        for (let n = 0; n < 3; n++) {
          append(server)
          yield* pass(2_000)
        }
        yield* pass(20 * minute, 5_000)
        for (const { told } of all) assert.deepStrictEqual(told, ["Arrived 5", "Arrived 6", "Arrived 7"])
        assert.strictEqual(server.peak(), 1)
      })))

  it.effect.each([1, 2])(
    "of three mailboxes with a cap of %i tell a change in any within a minute",
    (imapConnections) =>
      withAccount({ limits: { imapConnections } }, (account, server) =>
        Effect.gen(function*() {
          const mailboxes = ["INBOX", "Archive", "Lists"]
          create(server, "Archive", "Lists")
          const all = yield* Effect.forEach(mailboxes, (mailbox) => watching(account, mailbox), {
            concurrency: "unbounded"
          })
          yield* pass(10 * minute, 1_000)
          for (const mailbox of mailboxes) append(server, mailbox)
          yield* pass(minute, 1_000)
          assert.deepStrictEqual(all.map(({ told }) => told.length), [1, 1, 1])
          assert.strictEqual(server.peak(), 1, "they leave the last slot alone")
        }))
  )

  it.effect("of one mailbox let each other know what the server has told to one of them alone", () =>
    withAccount({ limits: { imapConnections: 1 } }, (account, server) =>
      Effect.gen(function*() {
        const often = yield* watching(account, "INBOX", { heartbeat: "10 seconds" })
        const seldom = yield* watching(account, "INBOX", { heartbeat: "1 hour" })
        // nothing is heard in IDLE
        server.faults.add({ protocol: "imap", at: "IDLE", action: { _tag: "Stall" }, times: Infinity })
        server.drop()
        yield* pass(2_000)
        append(server)
        yield* pass(15_000, 500)
        assert.deepStrictEqual([often.told, seldom.told], [["Arrived 5"], ["Arrived 5"]])
      })))

  it.effect("of fifty mailboxes with a cap of two tell a change in any within a minute, and let requests through", () =>
    withAccount(
      { limits: { imapConnections: 2 }, server: { latency: "40 millis" } },
      (account, server) =>
        Effect.gen(function*() {
          const mailboxes = Array.from({ length: 50 }, (_, index) => `List ${index}`)
          create(server, ...mailboxes)
          const all = yield* Effect.forEach(mailboxes, (mailbox) => watching(account, mailbox), {
            concurrency: "unbounded"
          })
          yield* pass(2 * minute, 1_000)
          for (const mailbox of mailboxes) append(server, mailbox)
          const request = yield* begin(account.status("INBOX"))
          yield* pass(1_000)
          assert.isDefined(request.pollUnsafe())
          yield* pass(minute, 1_000)
          assert.deepStrictEqual(all.map(({ told }) => told), mailboxes.map(() => ["Arrived 1"]))
          assert.isAtMost(server.peak(), 2)
        })
    ))

  it.effect("take no slot that a request needs", () =>
    withAccount(
      { limits: { imapConnections: 2 }, server: { latency: "20 millis" } },
      (account, server) =>
        Effect.gen(function*() {
          create(server, "Archive", "Lists")
          yield* Effect.forEach(["INBOX", "Archive", "Lists"], (mailbox) => watching(account, mailbox))
          yield* pass(minute, 1_000)
          const requests = yield* begin(
            Effect.all([account.status("Archive"), account.status("Lists")], { concurrency: 2 })
          )
          yield* pass(300)
          assert.isDefined(requests.pollUnsafe())
        })
    ))

  it.effect("keep their connection from expiring as long as they last", () =>
    withAccount({ limits: { idleTimeToLive: Duration.minutes(1) } }, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        yield* pass(4 * minute, 5_000)
        assert.strictEqual(server.connections().length, 1)
        assert.strictEqual(timesOf(server, "LOGIN").length, 1)
        yield* Fiber.interrupt(watched.fiber)
        yield* pass(2 * minute, 1_000)
        assert.strictEqual(server.connections().length, 0)
      })))
})

describe("a watch whose connection", () => {
  it.effect.each([
    { what: "is cut", lose: (server: MemoryMail["Service"]) => void server.drop() },
    {
      what: "is ended by the server",
      lose: (server: MemoryMail["Service"]) => {
        server.faults.add({
          protocol: "imap",
          at: "SELECT",
          action: { _tag: "Refuse", status: "BYE", text: "Server shutting down" }
        })
        append(server)
      }
    }
  ])(
    "$what goes on with another, and loses nothing",
    ({ lose }) =>
      withAccount({}, (account, server) =>
        Effect.gen(function*() {
          const watched = yield* watching(account)
          lose(server)
          append(server)
          yield* pass(3_000)
          const { exists = 0 } = annOf(server).mailbox("INBOX") ?? {}
          assert.strictEqual(watched.told.length, exists - 4)
          append(server)
          yield* pass(500)
          assert.strictEqual(watched.told.length, exists - 3)
        }))
  )

  it.effect("no longer answers finds out within the heartbeat and the time for a command", () =>
    withAccount({ limits: { commandTimeout: Duration.seconds(20) } }, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account, "INBOX", { heartbeat: "2 minutes" })
        // silence: what happens is not said, and nothing is answered
        server.faults.add(...["IDLE", "SELECT", "NOOP"].map((at) => ({
          protocol: "imap" as const,
          at,
          action: { _tag: "Stall" as const }
        })))
        yield* begin(account.status("INBOX"))
        yield* pass(1_000)
        append(server)
        yield* pass(2 * minute + 21_000, 1_000)
        assert.deepStrictEqual(watched.told, ["Arrived 5"])
      })))

  it.effect("is let be by all rounds is made to answer anyway", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        yield* watching(account, "INBOX", { heartbeat: "1 hour" })
        server.forget()
        yield* pass(16 * minute, 5_000)
        assert.strictEqual(timesOf(server, "NOOP").length, 3)
        assert.strictEqual(timesOf(server, "SELECT").length, 0)
        server.faults.add({ protocol: "imap", at: "NOOP", action: { _tag: "Stall" } })
        yield* pass(10 * minute, 5_000)
        assert.strictEqual(timesOf(server, "LOGIN").length, 1)
      })))

  it.effect("cannot be opened tries on, ever more rarely, and goes on from where it was", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        server.faults.add({
          protocol: "imap",
          at: "connect",
          times: Infinity,
          action: { _tag: "Drop", when: "before" }
        })
        server.drop()
        server.forget()
        append(server)
        yield* pass(30 * minute, 1_000)
        const times = timesOf(server, "connect")
        assert.isAbove(times.length, 25)
        assert.isBelow(times.length, 60)
        server.faults.clear()
        yield* pass(2 * minute, 1_000)
        assert.deepStrictEqual(watched.told, ["Arrived 5"])
      })))
})

describe("a watch ends", () => {
  it.effect("with MailboxNotFound where the mailbox is not there", () =>
    withAccount({}, (account) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* ended(yield* watching(account, "Nowhere")), "MailboxNotFound")
      })))

  it.effect("with MailboxNotFound when the mailbox goes, and begins anew when there is another of its name", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        create(server, "Lists")
        append(server, "Lists")
        const watched = yield* watching(account, "Lists")
        annOf(server).deleteMailbox("Lists")
        yield* pass(2_000)
        assert.strictEqual(yield* ended(watched), "MailboxNotFound")
        create(server, "Lists")
        append(server, "Lists", "\\Seen")
        const again = yield* watching(account, "Lists", { since: watched.cursors.at(-1) })
        assert.deepStrictEqual(again.told, ["Reset Lists", "Arrived 1 \\Seen"])
      })))

  it.effect("with MailboxNotFound when the mailbox gets another name, under which the cursor is refused", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        create(server, "Lists")
        const watched = yield* watching(account, "Lists")
        yield* account.renameMailbox("Lists", "Old lists")
        yield* pass(6 * minute, 1_000)
        assert.strictEqual(yield* ended(watched), "MailboxNotFound")
        const again = yield* watching(account, "Old lists", { since: watched.cursors.at(-1) })
        assert.strictEqual(yield* ended(again), "InvalidInput")
      })))

  it.effect("not when the mailbox is replaced meanwhile: it begins anew", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        create(server, "Lists")
        const watched = yield* watching(account, "Lists")
        annOf(server).deleteMailbox("Lists")
        create(server, "Lists")
        append(server, "Lists")
        yield* pass(2_000)
        assert.deepStrictEqual(watched.told, ["Reset Lists", "Arrived 1"])
      })))

  it.effect("with AuthenticationFailed where the credentials are refused", () =>
    withAccount({ password: "wrong" }, (account, server) =>
      Effect.gen(function*() {
        const watched = yield* watching(account)
        yield* pass(5_000)
        assert.strictEqual(yield* ended(watched), "AuthenticationFailed")
        assert.strictEqual(timesOf(server, "LOGIN").length, 1)
      })))

  it.effect("with its account", () =>
    Effect.gen(function*() {
      const server = serve()
      const watched = yield* Effect.scoped(Effect.flatMap(open(server), (account) => watching(account)))
      yield* pass(50)
      assert.strictEqual(yield* ended(watched), "AccountClosed")
      assert.strictEqual(server.connections().length, 0)
    }))
})

describe("a mailbox that cannot be selected", () => {
  it.effect("is not asked for all the time while nobody takes what the watch tells", () =>
    withAccount({}, (account, server) =>
      Effect.gen(function*() {
        create(server, "Lists")
        yield* watching(account, "Lists", { work: Effect.sleep("5 minutes") })
        annOf(server).deleteMailbox("Lists")
        server.forget()
        yield* pass(3 * minute, 1_000)
        assert.isBelow(timesOf(server, "SELECT").length, 10)
      })))
})
