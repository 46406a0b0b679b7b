import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Duration, Effect, Exit, Fiber, Option, Result, Stream } from "effect"
import {
  Agent,
  Draft,
  type Limits,
  MailError,
  type OpenMailbox,
  Query,
  RateWindow,
  Throttled
} from "../../src/index.ts"
import { fixture, reasonOf, settled, timed } from "./Fixture.ts"

const letter = (id: number) => `Message-ID: <${id}@example.com>\nSubject: letter ${id}\n\nbody ${id}\n`

/** How long it took on the clock. */
const timedOnly = <A, E>(step: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (begun) => Effect.andThen(step, Effect.map(Clock.currentTimeMillis, (ended) => ended - begun))
  )

const open = (
  limits: ConstructorParameters<typeof Limits>[0] = { imapConnections: 1 },
  latency: Duration.Input = 0
) =>
  fixture({
    limits,
    latency,
    config: { filesSentMail: false },
    users: [
      {
        name: "ann",
        password: "secret",
        address: "ann@example.com",
        specialUse: true,
        mailboxes: { INBOX: [letter(1), letter(2), letter(3)], Projects: [letter(4)] }
      },
      { name: "bob", password: "secret", address: "bob@example.com" }
    ]
  })

const uids = (set: { readonly uids: Iterable<number> }) => [...set.uids]

describe("withMailbox", () => {
  it.effect("runs several steps on one connection, selected once", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open({ imapConnections: 4 })
      const found = yield* account.withMailbox("INBOX", (inbox) =>
        Effect.gen(function*() {
          const all = yield* inbox.search()
          assert.deepStrictEqual(uids(all), [1, 2, 3])
          const rows = yield* Stream.runCollect(inbox.fetch(all, { envelope: true }))
          assert.deepStrictEqual(rows.map(({ envelope }) => envelope.subject), ["letter 1", "letter 2", "letter 3"])
          const [first, second] = all.refs
          if (first === undefined || second === undefined) return assert.fail("there are three")
          assert.strictEqual((yield* inbox.message(first)).text?.trim(), "body 1")
          yield* inbox.flag(first, { add: ["\\Flagged"] })
          assert.deepStrictEqual(uids(yield* inbox.search({ flagged: true })), [1])
          yield* inbox.copy(first, "Archive")
          yield* inbox.move(second, "Archive")
          yield* inbox.expunge(first)
          const filed = Option.getOrThrow(yield* inbox.append(new Draft({ subject: "new", text: "x" })))
          assert.deepStrictEqual(uids(yield* inbox.search()), [3, filed.uid])
          return inbox.uidValidity
        }))
      assert.strictEqual(found, mail.store.user("ann")?.inbox.uidValidity)
      assert.strictEqual(mail.store.user("ann")?.mailbox("Archive")?.exists, 2)
      assert.strictEqual(mail.peak({ protocol: "imap" }), 1)
      assert.strictEqual(mail.commands().filter(({ verb }) => verb === "SELECT").length, 1)
      assert.strictEqual(mail.overlaps(), 0)
    }))

  it.effect("runs what is asked of the account itself on the same connection, also with a cap of one", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open()
      yield* account.withMailbox("INBOX", (inbox) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* account.status("Projects")).messages, 1)
          const elsewhere = yield* account.search(Query.in("Projects"))
          yield* account.move(elsewhere, "Archive")
          const subjects = yield* account.messages(Query.in("Archive")).pipe(
            Stream.mapEffect((message) => Effect.as(inbox.search(), message.subject)),
            Stream.runCollect
          )
          assert.deepStrictEqual([...subjects], ["letter 4"])
          const receipt = yield* account.send(new Draft({ to: "bob@example.com", text: "x" }))
          assert.strictEqual(receipt.sentCopy._tag, "Filed")
          yield* account.withMailbox("Sent", (sent) =>
            Effect.gen(function*() {
              assert.strictEqual((yield* sent.search()).size, 1)
              assert.strictEqual((yield* inbox.search()).size, 3)
            }))
          assert.strictEqual((yield* inbox.search()).size, 3)
        }))
      assert.strictEqual(mail.peak({ protocol: "imap" }), 1)
      assert.strictEqual(mail.overlaps(), 0)
    }))

  it.effect("takes steps that are begun at once one after another", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open({ imapConnections: 2 }, 10)
      yield* timed(account.withMailbox("INBOX", (inbox) =>
        Effect.all([inbox.search(), account.status("Projects"), inbox.search({ seen: true }), account.mailboxes()], {
          concurrency: "unbounded"
        })))
      assert.strictEqual(mail.overlaps(), 0)
      assert.strictEqual(mail.peak({ protocol: "imap" }), 1)
    }))

  it.effect("lets no step wait longer for those before it than for a connection", () =>
    Effect.gen(function*() {
      const { account } = yield* open({ imapConnections: 1, maxWait: Duration.millis(4_500) }, "1 second")
      const { value } = yield* timed(
        account.withMailbox("INBOX", (inbox) =>
          Effect.all(
            [1, 2, 3, 4, 5, 6, 7].map(() => Effect.result(timedOnly(inbox.search()))),
            { concurrency: "unbounded" }
          )),
        100
      )
      assert.deepStrictEqual(
        value.map((step) => Result.isSuccess(step) ? step.success : step.failure.reason._tag),
        [1_000, 2_000, 3_000, 4_000, 5_000, "TimedOut", "TimedOut"]
      )
    }))

  it.effect("lets others wait until it has ended, and then go on", () =>
    Effect.gen(function*() {
      const { account } = yield* open()
      const latch = yield* Deferred.make<void>()
      const long = yield* Effect.forkChild(account.withMailbox("INBOX", () => Deferred.await(latch)))
      yield* settled
      const other = yield* Effect.forkChild(account.search(Query.inbox))
      yield* settled
      assert.isUndefined(other.pollUnsafe())
      yield* Deferred.succeed(latch, undefined)
      yield* Fiber.join(long)
      assert.strictEqual((yield* Fiber.join(other)).size, 3)
    }))

  it.effect("keeps the errors and the requirements of the work, and the connection", () =>
    Effect.gen(function*() {
      const { account } = yield* open()
      class Colour extends Context.Service<Colour, string>()("test/Colour") {}
      const work: Effect.Effect<never, "no" | MailError> = account.withMailbox("INBOX", (inbox) =>
        Effect.flatMap(Colour, (colour) => Effect.andThen(inbox.search(), Effect.fail(colour as "no")))).pipe(
          Effect.provideService(Colour, "no")
        )
      assert.strictEqual(yield* Effect.flip(work), "no")
      const throttled = new MailError({ account: "mine", operation: "x", reason: new Throttled({ response: "slow" }) })
      assert.strictEqual(
        (yield* timed(Effect.flip(account.withMailbox("INBOX", () =>
          Effect.fail(throttled))))).value,
        throttled
      )
      assert.strictEqual((yield* account.stats).imap.opened, 1)
    }))

  it.effect("can be opened to read only, and then changes nothing", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open()
      yield* account.withMailbox("INBOX", (inbox) =>
        Effect.gen(function*() {
          const all = yield* inbox.search()
          assert.strictEqual((yield* Stream.runCollect(inbox.fetch(all, { flags: true }))).length, 3)
          for (
            const change of [
              inbox.flag(all, { add: ["\\Seen"] }),
              inbox.move(all, "Archive"),
              inbox.expunge(all),
              inbox.append(new Uint8Array())
            ]
          ) {
            assert.strictEqual(
              (yield* Effect.flip(change as Effect.Effect<unknown, MailError>)).reason._tag,
              "InvalidInput"
            )
          }
        }), { readOnly: true })
      assert.strictEqual(mail.commands().filter(({ verb }) => verb === "EXAMINE").length, 1)
      assert.strictEqual(mail.commands().filter(({ verb }) => verb === "SELECT").length, 0)
      yield* account.flag(yield* account.search(Query.inbox), { add: ["\\Seen"] })
    }))

  it.effect("refuses messages and queries of another mailbox, and UIDs of another time", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open()
      const strangers = yield* account.search(Query.in("Projects"))
      yield* account.withMailbox("inbox", (inbox) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* reasonOf(inbox.flag(strangers, { add: ["\\Seen"] })))._tag, "InvalidInput")
          assert.strictEqual((yield* reasonOf(inbox.search(Query.in("Projects"))))._tag, "InvalidInput")
          assert.strictEqual((yield* inbox.search(Query.inbox)).size, 3)
        }))
      const before = yield* account.search(Query.inbox)
      mail.store.user("ann")?.resetUidValidity("INBOX")
      yield* account.withMailbox("INBOX", (inbox) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* reasonOf(inbox.flag(before, { add: ["\\Seen"] })))._tag, "MailboxChanged")
        }))
    }))

  it.effect("fails where there is no such mailbox, before the work is begun", () =>
    Effect.gen(function*() {
      const { account } = yield* open()
      const reason = yield* reasonOf(account.withMailbox("Nowhere", () => Effect.die("begun")))
      assert.strictEqual(reason._tag, "MailboxNotFound")
    }))

  it.effect("is not repeated where the connection is lost in it, and the account goes on", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open()
      let begun = 0
      const reason = yield* reasonOf(account.withMailbox("INBOX", (inbox) => {
        begun++
        mail.drop({ protocol: "imap" })
        return inbox.search()
      }))
      assert.strictEqual(reason._tag, "ConnectionLost")
      assert.strictEqual(begun, 1)
      assert.strictEqual((yield* account.search(Query.inbox)).size, 3)
    }))

  it.effect("has a message that is sent meanwhile repeated like any other: it needs no connection of the mailbox", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open()
      mail.faults.add({ protocol: "smtp", at: "MAIL", action: { _tag: "Drop", when: "before" } })
      const { value } = yield* timed(
        account.withMailbox("INBOX", () => account.send(new Draft({ to: "bob@example.com", text: "hello" })))
      )
      assert.deepStrictEqual([...value.accepted], ["bob@example.com"])
      assert.deepStrictEqual(mail.faults.pending, [])
      assert.strictEqual(mail.accepted().length, 1)
    }))

  it.effect("gives the connection up when it is interrupted, and closes it", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open()
      const fiber = yield* Effect.forkChild(account.withMailbox("INBOX", () => Effect.never))
      yield* settled
      assert.strictEqual(mail.connections().length, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(mail.connections().length, 0)
      assert.strictEqual((yield* account.search(Query.inbox)).size, 3)
    }))

  it.effect("ends the children of its work with it, while the connection goes on", () =>
    Effect.gen(function*() {
      const { account } = yield* open()
      const child = yield* account.withMailbox("INBOX", () => Effect.forkChild(Effect.never))
      const exit = child.pollUnsafe()
      assert.isTrue(exit !== undefined && Exit.hasInterrupts(exit))
      assert.strictEqual((yield* account.search(Query.inbox)).size, 3)
      assert.strictEqual((yield* account.stats).imap.opened, 1)
    }))

  it.effect("cuts off what outlives it: a step, and a fiber in the middle of one", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open({ imapConnections: 1 }, 100)
      let escaped: OpenMailbox | undefined
      const left = yield* Effect.map(
        timed(account.withMailbox("INBOX", (inbox) => {
          escaped = inbox
          return Effect.forkDetach(reasonOf(Effect.forever(inbox.search())), { startImmediately: true })
        })),
        ({ value }) => value
      )
      assert.strictEqual((yield* timed(Fiber.join(left))).value._tag, "InvalidInput")
      if (escaped === undefined) return assert.fail("it was opened")
      assert.strictEqual((yield* reasonOf(escaped.search()))._tag, "InvalidInput")
      assert.strictEqual((yield* timed(account.search(Query.inbox))).value.size, 3)
      assert.strictEqual(mail.overlaps(), 0)
    }))

  it.effect("does not wait for the answer to a step that outlives it", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* open({ imapConnections: 1 }, 100)
      mail.faults.add({ protocol: "imap", at: "SEARCH", action: { _tag: "Stall" } })
      const { millis, value: left } = yield* timed(
        account.withMailbox("INBOX", (inbox) =>
          Effect.forkDetach(reasonOf(inbox.search()), { startImmediately: true }).pipe(
            Effect.tap(Effect.sleep("1 second"))
          ))
      )
      assert.deepStrictEqual(mail.faults.pending, [])
      assert.isBelow(millis, 5_000)
      assert.strictEqual((yield* timed(Fiber.join(left))).value._tag, "InvalidInput")
      assert.strictEqual((yield* timed(account.search(Query.inbox))).value.size, 3)
    }))

  it.effect("cuts off a step that waited for a rate window until after its end, and leaves the connection alone", () =>
    Effect.gen(function*() {
      const rates = [new RateWindow({ per: "agent", limit: 1, window: Duration.seconds(10) })]
      const { account, mail } = yield* open({ imapConnections: 1, rates }, 100)
      const step = reasonOf(account.search(Query.inbox))
      const opened = yield* timed(
        Agent.as("one")(account.withMailbox("INBOX", () => Effect.forkDetach(step, { startImmediately: true })))
      )
      const left = opened.value
      const other = yield* Effect.forkChild(
        Effect.sleep("9950 millis").pipe(
          Effect.andThen(Agent.as("other")(account.status("Projects")))
        )
      )
      assert.strictEqual((yield* timed(Fiber.join(left))).value._tag, "InvalidInput")
      assert.strictEqual((yield* timed(Fiber.join(other))).value.messages, 1)
      assert.strictEqual(mail.overlaps(), 0)
      assert.strictEqual((yield* account.stats).imap.opened, 1)
    }))

  it.effect("does not mix up the connections of two accounts", () =>
    Effect.gen(function*() {
      const one = yield* open()
      const other = yield* open()
      yield* one.account.withMailbox("INBOX", (inbox) =>
        other.account.withMailbox("Projects", (projects) =>
          Effect.gen(function*() {
            assert.strictEqual((yield* inbox.search()).size, 3)
            assert.strictEqual((yield* projects.search()).size, 1)
            assert.strictEqual((yield* one.account.status("Projects")).messages, 1)
          })))
      assert.strictEqual(one.mail.peak({ protocol: "imap" }), 1)
      assert.strictEqual(other.mail.peak({ protocol: "imap" }), 1)
    }))
})
