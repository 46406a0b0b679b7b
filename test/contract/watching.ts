/** The contract of knowing what changed: from a cursor on, everything, each once, whoever did it. */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { Cursor, type MailError, type MailEvent, Query, type WatchOptions } from "../../src/index.ts"
import { file } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

/** An event in a line, for comparing. */
const line = (event: MailEvent): string => {
  switch (event._tag) {
    case "Reset":
      return `Reset ${event.mailbox}`
    case "Expunged":
      return `Expunged ${event.ref.uid}`
    default:
      return [event._tag, event.ref.uid, ...event.flags].join(" ")
  }
}

interface Watched {
  readonly told: Array<string>
  /** The cursor of the last batch, as text. */
  readonly cursor: () => string | undefined
  readonly fiber: Fiber.Fiber<void, MailError>
}

/** Watches in the background, from when the first batch is there. */
const follow = (
  account: Account,
  mailbox: string,
  options?: WatchOptions
): Effect.Effect<Watched, MailError, Scope.Scope> =>
  Effect.gen(function*() {
    const told: Array<string> = []
    let cursor: string | undefined
    const fiber = yield* Effect.forkScoped(Stream.runForEach(account.watch(mailbox, options), (changes) =>
      Effect.sync(() => {
        told.push(...changes.events.map(line))
        cursor = Cursor.encode(changes.cursor)
      })))
    yield* until(() =>
      cursor !== undefined || fiber.pollUnsafe() !== undefined
    )
    return { told, fiber, cursor: () => cursor }
  })

const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(holds)))

const untilTold = ({ told }: Watched, ...lines: ReadonlyArray<string>) =>
  until(() => lines.every((line) => told.includes(line)))

export const watching = ({ test }: Suite): void => {
  describe("changes", () => {
    test("are told from a cursor on, each once, and the cursor is text", ({ open }) =>
      Effect.gen(function*() {
        const here = yield* open("ann")
        const there = yield* open("ann")
        const one = yield* file(there, "INBOX")
        const two = yield* file(there, "INBOX")
        const three = yield* file(there, "INBOX")
        const first = yield* here.changes("INBOX")
        assert.deepStrictEqual(first.events, [])
        yield* there.flag(two, { add: ["\\Seen", "$Work"] })
        yield* there.move(one, "Archive")
        yield* there.remove(three, { to: "expunge" })
        const four = yield* file(there, "INBOX")
        const since = yield* Effect.orDie(Cursor.decode(Cursor.encode(first.cursor)))
        const second = yield* here.changes("INBOX", since)
        assert.deepStrictEqual(second.events.map(line), [
          `Expunged ${one.uid}`,
          `Expunged ${three.uid}`,
          `FlagsChanged ${two.uid} $Work \\Seen`,
          `Arrived ${four.uid}`
        ])
        const third = yield* here.changes("INBOX", second.cursor)
        assert.deepStrictEqual(third.events, [])
        assert.deepStrictEqual((yield* here.changes("INBOX", since)).events.map(line), second.events.map(line))
      }))

    test("from the start are every message as arrived", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX")
        yield* ann.flag(ref, { add: ["\\Flagged"] })
        const { events } = yield* ann.changes("INBOX", Cursor.start("INBOX"))
        assert.deepStrictEqual(events.map(line), [`Arrived ${ref.uid} \\Flagged`])
        const [arrived] = events
        assert.isTrue(arrived?._tag === "Arrived" && arrived.ref.uidValidity === ref.uidValidity)
      }))

    test("of a mailbox that was replaced begin anew", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        yield* ann.createMailbox("Lists")
        yield* file(ann, "Lists")
        const { cursor } = yield* ann.changes("Lists", Cursor.start("Lists"))
        yield* ann.deleteMailbox("Lists")
        yield* ann.createMailbox("Lists")
        const ref = yield* file(ann, "Lists")
        const { events } = yield* ann.changes("Lists", cursor)
        assert.deepStrictEqual(events.map(line), ["Reset Lists", `Arrived ${ref.uid}`])
      }))

    test("of a mailbox that was emptied are all its messages, and then none", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const one = yield* file(ann, "INBOX")
        const two = yield* file(ann, "INBOX")
        const { cursor } = yield* ann.changes("INBOX")
        yield* ann.remove([one, two], { to: "expunge" })
        const emptied = yield* ann.changes("INBOX", cursor)
        assert.deepStrictEqual(emptied.events.map(line), [`Expunged ${one.uid}`, `Expunged ${two.uid}`])
        assert.deepStrictEqual((yield* ann.changes("INBOX", emptied.cursor)).events, [])
      }))

    test("need a mailbox that is there, and a cursor of it", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        assert.strictEqual((yield* reasonOf(ann.changes("Nowhere")))._tag, "MailboxNotFound")
        const { cursor } = yield* ann.changes("INBOX")
        assert.strictEqual((yield* reasonOf(ann.changes("Archive", cursor)))._tag, "InvalidInput")
      }))
  })

  describe("a watch", () => {
    test("tells what others do, and what the account does itself", ({ open }) =>
      Effect.gen(function*() {
        const here = yield* open("ann")
        const there = yield* open("ann")
        const old = yield* file(there, "INBOX")
        const watched = yield* follow(here, "INBOX")
        const ref = yield* file(there, "INBOX")
        yield* untilTold(watched, `Arrived ${ref.uid}`)
        yield* there.flag(old, { add: ["\\Seen"] })
        yield* untilTold(watched, `FlagsChanged ${old.uid} \\Seen`)
        yield* here.flag(old, { add: ["\\Flagged"] })
        yield* untilTold(watched, `FlagsChanged ${old.uid} \\Flagged \\Seen`)
        yield* there.move(old, "Archive")
        yield* untilTold(watched, `Expunged ${old.uid}`)
        yield* here.remove(ref, { to: "expunge" })
        yield* untilTold(watched, `Expunged ${ref.uid}`)
        assert.lengthOf(new Set(watched.told), watched.told.length, "nothing twice")
      }))

    test("goes on where the last one ended, in another account", ({ open }) =>
      Effect.gen(function*() {
        const there = yield* open("ann")
        const cursor = yield* Effect.scoped(
          Effect.flatMap(open("ann"), (here) => Effect.map(follow(here, "INBOX"), ({ cursor }) => cursor()))
        )
        const ref = yield* file(there, "INBOX")
        const since = yield* Effect.orDie(Cursor.decode(cursor ?? ""))
        const watched = yield* follow(yield* open("ann"), "INBOX", { since })
        yield* untilTold(watched, `Arrived ${ref.uid}`)
      }))

    test("shares the only connection with all that is asked meanwhile", ({ open, peak }) =>
      Effect.gen(function*() {
        const there = yield* open("ann")
        const here = yield* open("ann", { limits: { imapConnections: 1 } })
        const watched = yield* Effect.forEach([1, 2, 3], () => follow(here, "INBOX"))
        const refs = yield* peak(Effect.forEach([1, 2, 3], () =>
          Effect.gen(function*() {
            const ref = yield* file(there, "INBOX")
            yield* here.search(Query.in("Archive"))
            yield* Effect.forEach(watched, (each) => untilTold(each, `Arrived ${ref.uid}`))
            return `Arrived ${ref.uid}`
          })))
        for (const { told } of watched) assert.deepStrictEqual(told, refs.value)
        assert.isAtMost(refs.peak.imap, 2, "the other account's is one of them")
      }))

    test("of several mailboxes with one connection tells of each", ({ open }) =>
      Effect.gen(function*() {
        const there = yield* open("ann")
        const here = yield* open("ann", { limits: { imapConnections: 1 } })
        const mailboxes = ["INBOX", "Archive", "Drafts"]
        const watched = yield* Effect.forEach(mailboxes, (mailbox) => follow(here, mailbox, { poll: "200 millis" }))
        const refs = yield* Effect.forEach(mailboxes, (mailbox) => file(there, mailbox))
        yield* Effect.forEach(watched, (each, index) => untilTold(each, `Arrived ${refs[index]?.uid}`))
      }))

    test("ends with its mailbox", ({ open }) =>
      Effect.gen(function*() {
        const here = yield* open("ann")
        const there = yield* open("ann")
        yield* here.createMailbox("Lists")
        const watched = yield* follow(here, "Lists", { heartbeat: "1 second" })
        yield* there.deleteMailbox("Lists")
        assert.strictEqual((yield* reasonOf(Fiber.join(watched.fiber)))._tag, "MailboxNotFound")
        assert.strictEqual((yield* reasonOf(Stream.runDrain(here.watch("Lists"))))._tag, "MailboxNotFound")
      }))
  })
}
