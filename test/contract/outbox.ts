/** The contract of what comes after a send, of many sends, and of several steps on one connection. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option, Result, Schedule, Stream } from "effect"
import { Draft, type MailError, Query } from "../../src/index.ts"
import { fileAll } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

const sources = (account: Account, mailbox: string) =>
  Effect.map(
    Stream.runCollect(account.fetch(Query.in(mailbox), { source: true, flags: true })),
    (rows) => rows.map(({ flags, source }) => ({ flags, source: Buffer.from(source).toString("latin1") }))
  )

/** Waits until so many messages have been delivered: delivery comes after the server's answer. */
const arrived = (account: Account, count: number): Effect.Effect<unknown, MailError> =>
  Effect.repeat(account.status("INBOX"), {
    until: ({ messages }) => messages >= count,
    schedule: Schedule.spaced("20 millis").pipe(Schedule.upTo({ duration: "3 seconds" }))
  })

/** No server of the contract files sent mail itself. */
const filing = { config: { sentCopy: "auto", filesSentMail: false } } as const

export const outbox = ({ test }: Suite): void => {
  describe("the sender's copy", () => {
    test("is filed as it was sent, marked as seen, and found by reconcile", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", filing)
        const bob = yield* open("bob")
        const messageId = "<copy-1@example.com>"
        const receipt = yield* ann.send(new Draft({ to: address("bob"), subject: "kept", text: "x", messageId }))
        assert.strictEqual(receipt.sentCopy._tag, "Filed")
        yield* arrived(bob, 1)
        const [delivered] = yield* sources(bob, "INBOX")
        const [kept] = yield* sources(ann, "Sent")
        assert.strictEqual(kept?.source.length, receipt.size)
        assert.isTrue(delivered?.source.endsWith(kept?.source ?? "missing"))
        assert.include(kept?.flags ?? [], "\\Seen")
        const delivery = yield* ann.reconcile(messageId)
        assert.deepStrictEqual(
          delivery._tag === "Found" ? delivery.ref : undefined,
          receipt.sentCopy._tag === "Filed" ? receipt.sentCopy.ref : undefined
        )
      }))

    test("is not filed twice, and not where it is not wanted", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", filing)
        const draft = new Draft({ to: address("bob"), text: "x", messageId: "<copy-2@example.com>" })
        yield* ann.append("Sent", draft)
        assert.strictEqual((yield* ann.send(draft, { sentCopy: "always" })).sentCopy._tag, "ByServer")
        assert.strictEqual((yield* ann.send(draft, { sentCopy: "never" })).sentCopy._tag, "Skipped")
        assert.strictEqual((yield* ann.status("Sent")).messages, 1)
      }))
  })

  describe("notifications of delivery", () => {
    test("can be asked for", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const draft = new Draft({ to: address("bob"), text: "x" })
        const receipt = yield* ann.send(draft, { dsn: { notify: ["failure"], ret: "headers", envid: "order 17 + 4" } })
        assert.deepStrictEqual([...receipt.accepted], [address("bob")])
      }))
  })

  describe("sendAll", () => {
    test("sends every draft exactly once, answers in their order, and tells the failures", ({ address, open, peak }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { smtpConnections: 3, messagesPerConnection: 5 } })
        const bob = yield* open("bob")
        const drafts = Array.from(
          { length: 40 },
          (_, index) => new Draft({ to: index === 7 ? "nonsense" : address("bob"), subject: `n ${index}`, text: "x" })
        )
        const { peak: most, value: results } = yield* peak(Stream.runCollect(ann.sendAll(drafts)))
        assert.deepStrictEqual(results.map(({ index }) => index), drafts.map((_, index) => index))
        assert.deepStrictEqual(results.flatMap(({ index, result }) => Result.isFailure(result) ? [index] : []), [7])
        assert.isAtMost(most.smtp, 3)
        yield* arrived(bob, 39)
        const subjects = (yield* Stream.runCollect(bob.messages(Query.inbox))).map(({ subject }) => subject)
        assert.sameMembers(subjects, drafts.filter((_, index) => index !== 7).map(({ subject }) => subject))
      }))
  })

  describe("withMailbox", () => {
    test("runs several steps and other requests on one connection", ({ open, peak }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        yield* fileAll(ann, "INBOX", [{}, {}, {}])
        const { peak: most } = yield* peak(ann.withMailbox("INBOX", (inbox) =>
          Effect.gen(function*() {
            const all = yield* inbox.search()
            assert.strictEqual(all.size, 3)
            const [first, second] = all.refs
            if (first === undefined || second === undefined) return assert.fail("there are three")
            yield* inbox.flag(first, { add: ["\\Flagged"] })
            yield* inbox.move(second, "Archive")
            assert.strictEqual((yield* ann.search(Query.in("Archive"))).size, 1)
            yield* inbox.expunge(yield* inbox.search({ flagged: true }))
            const filed = Option.getOrThrow(yield* inbox.append(new Draft({ subject: "new", text: "x" })))
            assert.isTrue((yield* inbox.search()).has(filed.uid))
            assert.strictEqual((yield* inbox.search()).size, 2)
          })))
        assert.strictEqual(most.imap, 1)
      }))

    test("changes nothing in a mailbox that was opened to read only", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        yield* fileAll(ann, "INBOX", [{}])
        yield* ann.withMailbox("INBOX", (inbox) =>
          Effect.gen(function*() {
            const all = yield* inbox.search()
            assert.strictEqual((yield* reasonOf(inbox.flag(all, { add: ["\\Flagged"] })))._tag, "InvalidInput")
            assert.strictEqual((yield* Stream.runCollect(inbox.fetch(all, { flags: true }))).length, 1)
          }), { readOnly: true })
        // and the connection serves changes again
        yield* ann.flag(yield* ann.search(Query.inbox), { add: ["\\Flagged"] })
        assert.strictEqual((yield* ann.search(Query.inbox.and({ flagged: true }))).size, 1)
      }))
  })
}
