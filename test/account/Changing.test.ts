import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  AccountConfig,
  Agent,
  Endpoint,
  Limits,
  MailAccount,
  type MailError,
  MessageSet,
  Password,
  RetryPolicy
} from "../../src/index.ts"
import { type Fault, MemoryMail } from "../../src/testing/index.ts"

const mail = (n: number) =>
  `From: ann@example.com\r\nMessage-ID: <${n}@example.com>\r\nSubject: mail ${n}\r\n\r\nhello\r\n`

const config = new AccountConfig({
  name: "ann",
  imap: new Endpoint({ host: "imap.example.com" }),
  credentials: Password.make({ user: "ann", password: Redacted.make("secret") }),
  limits: new Limits({ imapConnections: 1, commandTimeout: Duration.seconds(10) })
})

/** An account with two messages in its INBOX, on a server with these faults, that tries everything twice. */
const open = Effect.fnUntraced(function*(...faults: ReadonlyArray<Omit<Fault, "protocol">>) {
  const servers = MemoryMail.layer({
    users: [{ name: "ann", password: "secret", mailboxes: { INBOX: [mail(1), mail(2)], Archive: [] } }],
    faults: faults.map((fault) => ({ protocol: "imap" as const, ...fault }))
  })
  const retry = RetryPolicy.make({ times: 1, base: "1 second", jitter: 0 })
  const context = yield* Layer.build(
    MailAccount.layerNoDeps(config, { retry }).pipe(Layer.provideMerge(servers))
  )
  const { store } = Context.get(context, MemoryMail)
  const inbox = store.user("ann")?.inbox
  const archive = store.user("ann")?.mailbox("Archive")
  return {
    account: Context.get(context, MailAccount),
    both: MessageSet.of("INBOX", inbox?.uidValidity ?? 0, [1, 2]),
    inInbox: () => inbox?.messages.map(({ flags }) => [...flags].join()),
    inArchive: () => archive?.exists
  }
})

/** How an operation ends, once all its waits are over. */
const ending = <A>(operation: Effect.Effect<A, MailError>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.flip(operation), { startImmediately: true })
    for (let second = 0; second < 30; second++) yield* TestClock.adjust("1 second")
    return (yield* Fiber.join(fiber)).reason
  })

const lost = { _tag: "Drop", when: "after" } as const
const refusedLogin: Omit<Fault, "protocol"> = {
  at: "connect",
  skip: 1,
  times: Infinity,
  action: { _tag: "Drop", when: "before" }
}

describe("a change whose answer was lost", () => {
  it.effect("may have been done, says the failure, although no later attempt got as far", () =>
    Effect.gen(function*() {
      const { account, both, inInbox } = yield* open({ at: "STORE", action: lost }, refusedLogin)
      const reason = yield* ending(account.flag(both, { add: ["\\Seen"] }))
      assert.deepInclude(reason, { _tag: "ConnectionLost", written: true })
      assert.deepStrictEqual(inInbox(), ["\\Seen", "\\Seen"])
    }))

  it.effect("has not been done, says the failure, where no attempt got as far as the change", () =>
    Effect.gen(function*() {
      const { account, both, inInbox } = yield* open(
        { at: "connect", times: Infinity, action: { _tag: "Drop", when: "before" } }
      )
      const reason = yield* ending(account.flag(both, { add: ["\\Seen"] }))
      assert.strictEqual(reason._tag, "ConnectionFailed")
      assert.deepStrictEqual(inInbox(), ["", ""])
    }))

  it.effect("of a mailbox may have been done, too", () =>
    Effect.gen(function*() {
      const { account } = yield* open({ at: "CREATE", action: lost }, refusedLogin)
      const reason = yield* ending(account.createMailbox("New"))
      assert.deepInclude(reason, { _tag: "ConnectionLost", written: true })
    }))

  it.effect("is done again where that is the same as doing it once", () =>
    Effect.gen(function*() {
      const { account, both, inArchive, inInbox } = yield* open({ at: "MOVE", action: lost })
      const fiber = yield* Effect.forkChild(account.move(both, "Archive"), { startImmediately: true })
      for (let second = 0; second < 5; second++) yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(inInbox(), [])
      assert.strictEqual(inArchive(), 2)
    }))
})

describe("a copy whose answer was lost", () => {
  it.effect("is looked for, and done where it is found", () =>
    Effect.gen(function*() {
      const { account, both, inArchive } = yield* open({ at: "COPY", action: lost })
      const fiber = yield* Effect.forkChild(account.copy(both, "Archive"), { startImmediately: true })
      for (let second = 0; second < 5; second++) yield* TestClock.adjust("1 second")
      const copies = Option.getOrThrow(yield* Fiber.join(fiber))
      assert.deepStrictEqual([copies.mailbox, ...copies.uids], ["Archive", 1, 2])
      assert.strictEqual(inArchive(), 2)
    }))

  it.effect("lets others have their turn while its messages are looked for", () =>
    Effect.gen(function*() {
      const messages = Array.from({ length: 60 }, (_, n) => mail(n))
      const servers = MemoryMail.layer({
        users: [{ name: "ann", password: "secret", mailboxes: { INBOX: messages, Archive: [] } }],
        faults: [{ protocol: "imap", at: "COPY", action: lost }]
      })
      const context = yield* Layer.build(MailAccount.layerNoDeps(config).pipe(Layer.provideMerge(servers)))
      const account = Context.get(context, MailAccount)
      const { commands, store } = Context.get(context, MemoryMail)
      const uidValidity = store.user("ann")?.inbox.uidValidity ?? 0
      const all = MessageSet.of("INBOX", uidValidity, messages.map((_, n) => n + 1))
      const copying = yield* Effect.forkChild(account.copy(all, "Archive"), { startImmediately: true })
      const asking = yield* Effect.forkChild(
        Agent.as("other")(Effect.forEach(messages, () => account.status("INBOX"))),
        { startImmediately: true }
      )
      for (let second = 0; second < 20; second++) yield* TestClock.adjust("1 second")
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(copying)).size, 60)
      yield* Fiber.join(asking)
      // "S" is a search for one message, "." whatever others were given meanwhile
      const history = commands().map(({ verb }) => verb === "UID SEARCH" ? "S" : ".").join("")
      assert.isAtMost(Math.max(...(history.match(/S+/g) ?? []).map((run) => run.length)), 10)
      assert.isAbove((history.match(/S/g) ?? []).length, 59)
    }))

  it.effect("is not made again where it is not found: the server may still be at it", () =>
    Effect.gen(function*() {
      const { account, both, inArchive } = yield* open({ at: "COPY", action: { _tag: "Stall" } })
      assert.strictEqual((yield* ending(account.copy(both, "Archive")))._tag, "OutcomeUnknown")
      assert.strictEqual(inArchive(), 0)
    }))

  it.effect("is not taken for a message that was there before, though it has the same name", () =>
    Effect.gen(function*() {
      const { account, both, inArchive } = yield* open({ at: "COPY", skip: 1, action: { _tag: "Stall" } })
      const first = both.with([1])
      yield* account.copy(first, "Archive")
      assert.strictEqual((yield* ending(account.copy(first, "Archive")))._tag, "OutcomeUnknown")
      assert.strictEqual(inArchive(), 1)
    }))

  it.effect("is in doubt where nobody can look for it", () =>
    Effect.gen(function*() {
      const { account, both, inArchive } = yield* open({ at: "COPY", action: lost }, refusedLogin)
      assert.strictEqual((yield* ending(account.copy(both, "Archive")))._tag, "OutcomeUnknown")
      assert.strictEqual(inArchive(), 2)
    }))

  it.effect("is made once more where only a question before it was lost", () =>
    Effect.gen(function*() {
      const { account, both, inArchive } = yield* open({ at: "STATUS", action: lost })
      const fiber = yield* Effect.forkChild(account.copy(both, "Archive"), { startImmediately: true })
      for (let second = 0; second < 5; second++) yield* TestClock.adjust("1 second")
      assert.isTrue(Option.isSome(yield* Fiber.join(fiber)))
      assert.strictEqual(inArchive(), 2)
    }))
})

describe("a move that had to be repeated", () => {
  it.effect("does not tell where the messages are, as it knows only what it moved itself", () =>
    Effect.gen(function*() {
      const { account, both, inArchive, inInbox } = yield* open({
        at: "MOVE",
        action: { _tag: "Drop", when: "before" }
      })
      const fiber = yield* Effect.forkChild(account.move(both, "Archive"), { startImmediately: true })
      for (let second = 0; second < 5; second++) yield* TestClock.adjust("1 second")
      assert.isTrue(Option.isNone(yield* Fiber.join(fiber)))
      assert.deepStrictEqual([inArchive(), inInbox()], [2, []])
    }))
})
