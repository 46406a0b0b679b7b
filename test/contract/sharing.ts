/** The contract of many fibers on few connections: caps hold, streams hold none, interruption leaves nothing behind. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Stream } from "effect"
import { Agent, Draft, type MailError, type MessageRef, Query } from "../../src/index.ts"
import { file, fileAll, letterOf } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

const lettersOf = (count: number, octets = 2_000) =>
  Array.from({ length: count }, (_, index) => letterOf(octets, `letter ${index}`))

/** Nothing waits and nothing runs: a connection counts as free a turn after it has answered. */
const isAtRest = (account: Account) =>
  Effect.andThen(Effect.sleep("1 millis"), account.stats).pipe(
    Effect.map(({ imap, smtp }) =>
      assert.deepStrictEqual([imap.waiting, imap.connections.busy, smtp.waiting, smtp.connections.busy], [0, 0, 0, 0])
    )
  )

/** Every operation, each made so that it can be run again and again; `index` tells one caller's mailbox from another's. */
const everyOperation = (
  account: Account,
  ref: MessageRef,
  index: number,
  recipient: string
): Readonly<Record<string, Effect.Effect<unknown, MailError>>> => ({
  capabilities: account.capabilities,
  mailboxes: account.mailboxes({ status: true }),
  status: account.status("INBOX"),
  createMailbox: account.createMailbox(`Box ${index}`),
  subscribe: account.subscribe(`Box ${index}`),
  unsubscribe: account.unsubscribe(`Box ${index}`),
  renameMailbox: account.renameMailbox(`Box ${index}`, `Renamed ${index}`),
  deleteMailbox: account.deleteMailbox(`Renamed ${index}`),
  quota: account.quota(),
  search: account.search(Query.inbox.and({ subject: "letter" })),
  envelopes: Stream.runDrain(account.envelopes(ref)),
  fetch: Stream.runDrain(account.fetch(ref, { flags: true })),
  messages: Stream.runDrain(account.messages(ref)),
  message: account.message(ref),
  source: Stream.runDrain(account.source(ref)),
  attachment: Stream.runDrain(account.attachment(ref, "1")),
  flag: account.flag(ref, { add: ["$Read"] }),
  copy: account.copy(ref, "Archive"),
  append: account.append("Drafts", letterOf(500)),
  "append, move and remove": Effect.gen(function*() {
    const own = yield* file(account, "Drafts")
    const moved = Option.getOrThrow(yield* account.move(own, "Junk"))
    yield* account.remove(moved)
  }),
  send: account.send(new Draft({ to: recipient, text: "from inside" }))
})

export const sharing = ({ test }: Suite): void => {
  describe("sharing connections", () => {
    test("serves twenty fibers of mixed operations over two connections, each with its own answer", ({ address, open, peak }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 2, smtpConnections: 1 } })
        const refs = yield* fileAll(ann, "INBOX", lettersOf(20))
        const archived = Option.getOrThrow(yield* ann.copy(refs, "Archive")).refs
        const { peak: most } = yield* peak(Effect.forEach(
          Array.from({ length: 20 }, (_, index) => index),
          (index) =>
            Effect.gen(function*() {
              const [inbox, archive] = [refs[index], archived[index]]
              if (inbox === undefined || archive === undefined) return assert.fail("a letter is missing")
              assert.strictEqual((yield* ann.message(inbox)).subject, `letter ${index}`)
              assert.strictEqual((yield* ann.message(archive)).subject, `letter ${index}`)
              yield* ann.flag(inbox, { add: [`$fiber${index}`] })
              const found = yield* ann.search(Query.inbox.and({ keyword: `$fiber${index}` }))
              assert.deepStrictEqual([...found.uids], [inbox.uid])
              const octets = yield* Stream.runFold(ann.source(archive), () => 0, (sum, page) => sum + page.length)
              assert.strictEqual(octets, 2_000)
              yield* ann.createMailbox(`Box ${index}`)
              const copy = Option.getOrThrow(yield* ann.copy(archive, `Box ${index}`))
              assert.strictEqual((yield* ann.status(`Box ${index}`)).messages, 1)
              yield* ann.move(copy, "Trash")
              yield* ann.deleteMailbox(`Box ${index}`)
              yield* ann.send(new Draft({ to: address("bob"), subject: `from ${index}`, text: "x" }))
            }).pipe(Agent.as(`agent ${index % 4}`)),
          { concurrency: "unbounded", discard: true }
        ))
        assert.isAtMost(most.imap, 2)
        assert.isAtMost(most.smtp, 1)
        const trashed = yield* Stream.runCollect(ann.envelopes(Query.in("Trash")))
        assert.sameMembers(
          trashed.map(({ subject }) => subject),
          Array.from({ length: 20 }, (_, index) => `letter ${index}`)
        )
        yield* isAtRest(ann)
      }))

    const streams: Readonly<
      Record<string, (account: Account, large: MessageRef) => Stream.Stream<unknown, MailError>>
    > = {
      envelopes: (account) => account.envelopes(Query.inbox),
      fetch: (account) => account.fetch(Query.inbox, { size: true }),
      "fetch, unordered": (account) => account.fetch(Query.inbox, { source: true }, { unordered: true }),
      messages: (account) => account.messages(Query.inbox),
      source: (account, large) => account.source(large),
      attachment: (account, large) => account.attachment(large, "1")
    }
    for (const [name, stream] of Object.entries(streams)) {
      test(`runs every operation from inside ${name}, with a cap of one`, ({ address, open, peak }) =>
        Effect.gen(function*() {
          const ann = yield* open("ann", { limits: { imapConnections: 1, smtpConnections: 1 } })
          const [ref] = yield* fileAll(ann, "INBOX", lettersOf(34))
          const large = yield* file(ann, "INBOX", letterOf(2_500_000))
          if (ref === undefined) return assert.fail("a letter is missing")
          let elements = 0
          const { peak: most } = yield* peak(
            Stream.runForEach(stream(ann, large), () =>
              Effect.suspend(() =>
                // twice: while the next chunk is being fetched, and at the end
                ++elements === 1 || elements === 3
                  ? Effect.forEach(
                    Object.entries(everyOperation(ann, ref, elements, address("bob"))),
                    ([operation, run]) => Effect.orDie(Effect.annotateLogs(run, { operation })),
                    { discard: true }
                  )
                  : Effect.void
              ))
          )
          assert.isAtLeast(elements, 3)
          assert.isAtMost(most.imap, 1)
          assert.isAtMost(most.smtp, 1)
        }))
    }

    test("answers many readers of one message at once", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const refs = yield* fileAll(ann, "INBOX", [...lettersOf(5), letterOf(100_000, "letter 5")])
        const gone = yield* file(ann, "INBOX")
        yield* ann.remove(gone, { to: "expunge" })
        const asked = Array.from({ length: 60 }, (_, index) => index % 6)
        const [read, missing] = yield* Effect.all([
          Effect.forEach(asked, (index) => ann.message(refs[index] ?? gone), { concurrency: "unbounded" }),
          reasonOf(ann.message(gone))
        ], { concurrency: 2 })
        assert.deepStrictEqual(read.map(({ subject }) => subject), asked.map((index) => `letter ${index}`))
        assert.deepInclude(missing, { _tag: "MessageNotFound" })
      }))

    test("goes on after an operation was interrupted, wherever that was, within its cap", ({ open, peak }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        yield* fileAll(ann, "INBOX", lettersOf(4, 1_000_000))
        const { peak: most } = yield* peak(Effect.forEach([0, 1, 2, 4, 8, 16, 32], (millis) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.forkChild(Stream.runDrain(ann.messages(Query.inbox)))
            yield* Effect.sleep(millis)
            const waiting = yield* Effect.forkChild(ann.status("Archive"))
            yield* Fiber.interrupt(fiber)
            assert.strictEqual((yield* Fiber.join(waiting)).messages, 0)
            assert.strictEqual((yield* ann.search(Query.inbox)).size, 4)
          })))
        assert.isAtMost(most.imap, 1)
        yield* isAtRest(ann)
      }))

    test("holds nothing for a stream that is interrupted in its consumer's hands", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        yield* fileAll(ann, "INBOX", lettersOf(10))
        const reached = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(
            ann.messages(Query.inbox),
            () => Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
          )
        )
        yield* Deferred.await(reached)
        assert.strictEqual((yield* ann.search(Query.inbox)).size, 10)
        yield* Fiber.interrupt(fiber)
        yield* isAtRest(ann)
      }))

    test("closes everything with its scope, in the middle of work too", ({ connections, open }) =>
      Effect.gen(function*() {
        const outside = yield* open("ann")
        yield* fileAll(outside, "INBOX", lettersOf(10, 500_000))
        const before = yield* connections
        const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
          const ann = yield* open("ann")
          const reached = yield* Deferred.make<void>()
          yield* Effect.forkScoped(
            Stream.runForEach(ann.messages(Query.inbox), () => Deferred.succeed(reached, undefined))
          )
          yield* Deferred.await(reached)
          assert.isAbove((yield* connections).imap, before.imap)
          return ann
        })))
        assert.isTrue(Exit.isSuccess(exit))
        if (Exit.isSuccess(exit)) {
          assert.strictEqual((yield* reasonOf(exit.value.status("INBOX")))._tag, "AccountClosed")
          assert.strictEqual((yield* reasonOf(exit.value.capabilities))._tag, "AccountClosed")
        }
        assert.strictEqual((yield* outside.status("INBOX")).messages, 10)
      }))
  })
}
