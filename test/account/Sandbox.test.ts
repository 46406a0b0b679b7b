import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Draft,
  Endpoint,
  ImapDriver,
  Limits,
  MailAccount,
  MessageSet,
  Plan,
  Query,
  RateWindow,
  Sandbox,
  type SendingOptions,
  SmtpDriver
} from "../../src/index.ts"
import { MemoryMail } from "../../src/testing/index.ts"
import { all, changes, sandboxing, type Start, worldOf } from "./sandboxing.ts"

const start: Start = (users, { quota, without = [] }) =>
  Effect.sync(() => {
    const mail = MemoryMail.make({
      users: users.map((user) => ({ ...user, ...(quota === undefined ? {} : { quota }) })),
      without
    })
    const drivers = Layer.mergeAll(Layer.succeed(ImapDriver, mail.imap), Layer.succeed(SmtpDriver, mail.smtp))
    return {
      store: mail.store,
      endpoints: { imap: new Endpoint({ host: "mail.test" }), smtp: new Endpoint({ host: "mail.test" }) },
      layer: (config) => MailAccount.layerNoDeps(config).pipe(Layer.provide(drivers)),
      commands: mail.commands,
      accepted: mail.accepted
    }
  })

sandboxing("MemoryMail", start)

const letter = new Draft({ to: "bob@example.org", subject: "hello", text: "hello", messageId: "<1@example.com>" })

const limited = (onLimit: "wait" | "fail", ...rates: ReadonlyArray<readonly [RateWindow["per"], number]>) =>
  worldOf(start, {}, {
    limits: new Limits({
      onLimit,
      rates: rates.map(([per, limit]) => new RateWindow({ per, limit, window: Duration.minutes(1) }))
    })
  })

const plan = [
  "What would be changed in \"work\":",
  " 1. create mailbox \"New \\\"and\\\" shiny\"",
  " 2. create mailbox \"Archive\", which is there already",
  " 3. rename mailbox \"Work\" to \"Job\"",
  " 4. subscribe to mailbox \"Job\"",
  " 5. unsubscribe from mailbox \"Job\"",
  " 6. add the flags \\Seen $Done to 4 messages of \"INBOX\"",
  "      UID 1: \"one\" from Bob <bob@example.org> (57 B)",
  "      UID 2: \"two\" from Bob <bob@example.org> (57 B)",
  "      UID 3: \"three\" from Bob <bob@example.org> (3.0 kB)",
  "      and 1 more: all of UID 1:4",
  " 7. take the flags \\Seen from 1 message of \"INBOX\"",
  "      UID 1: \"one\" from Bob <bob@example.org> (57 B)",
  " 8. set exactly the flags \\Seen of 1 message of \"INBOX\"",
  "      UID 1: \"one\" from Bob <bob@example.org> (57 B)",
  " 9. take all flags from 1 message of \"INBOX\"",
  "      UID 1: \"one\" from Bob <bob@example.org> (57 B)",
  "10. copy 1 message of \"INBOX\" to \"Job\"",
  "      UID 1: \"one\" from Bob <bob@example.org> (57 B)",
  "11. move 1 message of \"INBOX\" to \"Job\"",
  "      UID 1: \"one\" from Bob <bob@example.org> (57 B)",
  "12. remove 1 message of \"INBOX\", into \"Trash\"",
  "      UID 2: \"two\" from Bob <bob@example.org> (57 B)",
  "13. remove 1 message of \"INBOX\", for ever",
  "      UID 4: \"\\u{1b}[2Jfour\\u{202e}\" from a@b.example (63 B)",
  "14. file \"hello\" in \"Job\" (N B) with \\Draft",
  "15. delete mailbox \"Job\" and the 4 messages in it, for ever",
  "16. delete mailbox \"Nowhere\", which is not there",
  "17. send \"hello\" (N B, 1 attachment)",
  "      to bob@example.org, carol@example.org"
].join("\n")

describe("a plan", () => {
  it.effect("says what would happen, to a person", () =>
    Effect.gen(function*() {
      const { account, sandbox, sandboxed } = yield* worldOf(start)
      const odd = "From: a@b.example\r\nSubject: =?utf-8?q?=1B[2Jfour=E2=80=AE?=\r\n\r\n"
      yield* account.append("INBOX", Buffer.from(odd))
      const inbox = yield* all(sandboxed)
      const [first = 0, second = 0] = inbox.uids
      yield* sandboxed.createMailbox("New \"and\" shiny")
      yield* sandboxed.createMailbox("Archive")
      yield* sandboxed.renameMailbox("Work", "Job")
      yield* sandboxed.subscribe("Job")
      yield* sandboxed.unsubscribe("Job")
      yield* sandboxed.flag(inbox, { add: ["\\Seen", "$Done"] })
      yield* sandboxed.flag(inbox.ref(first), { remove: ["\\Seen"] })
      yield* sandboxed.flag(inbox.ref(first), { set: ["\\Seen"] })
      yield* sandboxed.flag(inbox.ref(first), { set: [] })
      yield* sandboxed.copy(inbox.ref(first), "Job")
      yield* sandboxed.move(inbox.ref(first), "Job")
      yield* sandboxed.remove(inbox.ref(second))
      yield* sandboxed.remove(inbox.ref(inbox.uids[3] ?? 0), { to: "expunge" })
      yield* sandboxed.append("Job", letter, { flags: ["\\Draft"] })
      yield* sandboxed.deleteMailbox("Job")
      yield* sandboxed.deleteMailbox("Nowhere")
      yield* sandboxed.send(
        new Draft({ ...letter, cc: "carol@example.org", attachments: [{ content: { text: "a" } }] })
      )
      const text = String(yield* sandbox.plan).replace(
        /\((\d+) B/g,
        (_, size) => Number(size) > 100 ? "(N B" : `(${size} B`
      )
      assert.strictEqual(
        text,
        plan
      )
    }))

  it.effect("holds what a draft attaches, which is read once", () =>
    Effect.gen(function*() {
      const { sandbox, sandboxed } = yield* worldOf(start)
      let reads = 0
      const once = Stream.suspend(() => reads++ === 0 ? Stream.make(new Uint8Array([1, 2, 3])) : Stream.empty)
      yield* sandboxed.send(new Draft({ ...letter, attachments: [{ content: { stream: once }, filename: "a.bin" }] }))
      const attached = (yield* sandbox.plan).steps.flatMap((step) =>
        step._tag === "Send" ? step.draft.attachments ?? [] : []
      )
      assert.deepStrictEqual(
        attached.map(({ content, filename }) => ["bytes" in content ? [...content.bytes] : content, filename]),
        [[[1, 2, 3], "a.bin"]]
      )
      assert.strictEqual(reads, 1)
    }))

  it.effect("of nothing says so", () =>
    Effect.gen(function*() {
      const { sandbox } = yield* worldOf(start)
      assert.strictEqual(String(yield* sandbox.plan), `Nothing would be changed in "work".`)
    }))

  it.effect("knows mailboxes by the names it has given them", () =>
    Effect.gen(function*() {
      const { sandbox, sandboxed } = yield* worldOf(start)
      const inbox = yield* all(sandboxed)
      const old = yield* all(sandboxed, "Work/Old")
      yield* sandboxed.renameMailbox("Work", "Job")
      yield* sandboxed.renameMailbox("Job/Old", "Older")
      yield* sandboxed.createMailbox("Work")
      yield* sandboxed.createMailbox("Work/Old")
      yield* sandboxed.move(inbox, "Older")
      yield* sandboxed.flag(MessageSet.of("Older", old.uidValidity, old.uids), { add: ["\\Seen"] })
      yield* sandboxed.deleteMailbox("Older")
      yield* sandboxed.deleteMailbox("Work/Old")
      yield* sandboxed.renameMailbox("INBOX", "Before")
      yield* sandboxed.deleteMailbox("Before")
      const lost = (yield* sandbox.plan).steps.flatMap((step) =>
        step._tag === "DeleteMailbox" ? [[step.mailbox, step.lost]] : []
      )
      assert.deepStrictEqual(lost, [["Older", 4], ["Work/Old", 0], ["Before", 0]])
    }))

  it.effect("moves a message once, whoever plans it at the same time", () =>
    Effect.gen(function*() {
      const { sandbox, sandboxed } = yield* worldOf(start)
      const inbox = yield* all(sandboxed)
      const results = yield* Effect.forEach(
        ["Archive", "Trash", "Work", "Drafts"],
        (to) => Effect.result(sandboxed.move(inbox, to)),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(results.filter(Result.isSuccess), 1)
      assert.lengthOf((yield* sandbox.plan).steps, 1)
    }))

  it.effect("tells how long the rate windows hold each message back", () =>
    Effect.gen(function*() {
      const { sandbox, sandboxed } = yield* limited("wait", ["send", 2], ["recipients", 3])
      yield* sandboxed.send(letter)
      yield* TestClock.adjust("10 seconds")
      yield* sandboxed.send(new Draft({ ...letter, to: "a@example.org, b@example.org" }))
      yield* sandboxed.send(letter)
      yield* sandboxed.send(letter)
      const waits = (yield* sandbox.plan).steps.map((step) => step._tag === "Send" ? step.wait : assert.fail())
      // the third when the first has left the window, the fourth when the second has, which held two recipients
      assert.deepStrictEqual(waits.map((wait) => wait && Duration.toSeconds(wait)), [undefined, undefined, 50, 60])
      const problem = yield* Effect.flip(sandboxed.send(new Draft({ ...letter, to: "a@b.c, d@b.c, e@b.c, f@b.c" })))
      assert.strictEqual(problem.reason._tag, "InvalidInput")
    }))

  it.effect("refuses what the rate windows would refuse", () =>
    Effect.gen(function*() {
      const { account, sandbox, sandboxed } = yield* limited("fail", ["send", 1])
      const twice = (account: MailAccount["Service"]) =>
        Effect.flip(Effect.andThen(account.send(letter), account.send(letter)))
      const planned = yield* twice(sandboxed)
      const real = yield* twice(account)
      assert.deepStrictEqual({ ...planned.reason, stack: "" }, { ...real.reason, stack: "" })
      assert.lengthOf((yield* sandbox.plan).steps, 1)
    }))

  it.effect("refuses larger messages than are allowed", () =>
    Effect.gen(function*() {
      const { sandbox, sandboxed } = yield* worldOf(start, {}, {}, { maxMessageBytes: 2_000 })
      yield* sandboxed.send(letter)
      const large = yield* Effect.flip(sandboxed.send(new Draft({ ...letter, text: "a".repeat(3_000) })))
      assert.strictEqual(large.reason._tag, "TooLarge")
      assert.lengthOf((yield* sandbox.plan).steps, 1)
    }))

  it.effect("says under which conditions a message is sent", () =>
    Effect.gen(function*() {
      const { sandbox, sandboxed } = yield* worldOf(start)
      yield* sandboxed.send(letter, choices)
      yield* sandboxed.send(letter, { hold: "round trip", sentCopy: "always", onUnknown: "fail" })
      const lines = String(yield* sandbox.plan).split("\n").filter((line) => !/^(What|\d\.|.*to bob)/.test(line))
      assert.deepStrictEqual(lines.map((line) => line.trim()), [
        "only if every recipient is taken",
        "its end held back for 2s",
        "asking for notifications of delivery",
        "looked for where its fate is unknown, and sent again if it was certainly not taken",
        "without a copy for the sender",
        "its end held back for a round trip",
        "with a copy for the sender"
      ])
    }))
})

const choices: SendingOptions = {
  allRecipients: true,
  hold: "2 seconds",
  dsn: { notify: ["failure", "delay"], ret: "headers", envid: "x" },
  onUnknown: "reconcile-then-retry",
  sentCopy: "never"
}

describe("a replay", () => {
  it.effect("sends with the options that were given", () =>
    Effect.gen(function*() {
      const { account, sandbox, sandboxed } = yield* worldOf(start)
      yield* sandboxed.send(letter, choices)
      yield* sandboxed.sendAll([letter], { sentCopy: "always", unordered: true }).pipe(Stream.runDrain)
      yield* sandboxed.send(letter)
      const codec = Schema.toCodecJson(Plan)
      const stored = yield* Schema.encodeEffect(codec)(yield* sandbox.plan)
      const given: Array<SendingOptions | undefined> = []
      const recording = MailAccount.of({
        ...account,
        send: (draft, options) => {
          given.push(options)
          return account.send(draft)
        }
      })
      yield* Sandbox.replay(yield* Schema.decodeUnknownEffect(codec)(JSON.parse(JSON.stringify(stored)))).pipe(
        Effect.provideService(MailAccount, recording)
      )
      assert.deepStrictEqual(given, [{ ...choices, hold: Duration.seconds(2) }, { sentCopy: "always" }, {}])
    }))

  it.live("stops at the first step that fails, and what is left can be replayed", () =>
    Effect.gen(function*() {
      const { account, sandbox, sandboxed, store } = yield* worldOf(start)
      yield* sandboxed.createMailbox("New")
      yield* sandboxed.move(yield* all(sandboxed), "Archive")
      yield* sandboxed.send(letter)
      const plan = yield* sandbox.plan
      store.user("ann")?.deleteMailbox("Archive")
      const replay = (plan: Plan) => Sandbox.replay(plan).pipe(Effect.provideService(MailAccount, account))
      const { done, error, rest } = yield* replay(plan)
      assert.deepStrictEqual([done, rest].map(({ steps }) => steps.map(({ _tag }) => _tag)), [["CreateMailbox"], [
        "Move",
        "Send"
      ]])
      assert.deepStrictEqual([error?.operation, error?.reason._tag], ["move", "MailboxNotFound"])
      store.user("ann")?.createMailbox("Archive")
      const again = yield* replay(rest)
      assert.isUndefined(again.error)
      assert.strictEqual((yield* account.search(Query.in("Archive"))).size, 3)
    }))

  it.live("begins nothing for an account of another name", () =>
    Effect.gen(function*() {
      const world = yield* worldOf(start)
      yield* world.sandboxed.createMailbox("New")
      const { steps } = yield* world.sandbox.plan
      const { done, error, rest } = yield* Sandbox.replay(new Plan({ account: "home", steps })).pipe(
        Effect.provideService(MailAccount, world.account)
      )
      assert.deepStrictEqual([done.steps.length, rest.steps.length, error?.reason._tag], [0, 1, "InvalidInput"])
      assert.deepStrictEqual(changes(world), [])
    }))
})
