/**
 * What a sandbox keeps to, on any pair of servers: nothing reaches them that changes anything, a change that is not
 * possible fails as it would on the real account, and a replay does what the plan says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Redacted, Schema, type Scope, Stream } from "effect"
import {
  AccountConfig,
  Dkim,
  Draft,
  type Endpoint,
  Limits,
  MailAccount,
  type MailError,
  MessageRef,
  MessageSet,
  Password,
  Plan,
  Query,
  Sandbox,
  type SandboxOptions
} from "../../src/index.ts"
import type { MailStore, ObservedCommand } from "../../src/testing/index.ts"

export type Account = MailAccount["Service"]

/** Servers with one user, ann, with the secret "secret". */
export interface Servers {
  readonly store: MailStore
  readonly endpoints: { readonly imap: Endpoint; readonly smtp: Endpoint }
  readonly layer: (config: AccountConfig) => Layer.Layer<MailAccount>
  readonly commands: () => ReadonlyArray<ObservedCommand>
  readonly accepted: () => ReadonlyArray<{ readonly to: ReadonlyArray<string> }>
}

export interface ServerOptions {
  readonly quota?: number
  readonly without?: ReadonlyArray<"MOVE" | "UIDPLUS">
  readonly specialUse?: boolean
}

export type Start = (
  users: ReadonlyArray<typeof user>,
  options: ServerOptions
) => Effect.Effect<Servers, never, Scope.Scope>

const letter = (subject: string, octets = 10) =>
  `From: Bob <bob@example.org>\r\nSubject: ${subject}\r\n\r\n${"a".repeat(octets)}\r\n`

const user = {
  name: "ann",
  password: "secret",
  address: "ann@example.com",
  specialUse: true,
  mailboxes: {
    INBOX: [letter("one"), letter("two"), letter("three", 3_000)],
    Work: [letter("work")],
    "Work/Old": [letter("old")]
  }
}

type ConfigFields = Partial<ConstructorParameters<typeof AccountConfig>[0]>

export interface World extends Servers {
  readonly config: AccountConfig
  readonly account: Account
  readonly sandboxed: Account
  readonly sandbox: Sandbox["Service"]
}

/** Everything that is stored, by mailbox: subjects and flags. */
const stored = ({ store }: Servers) => {
  const ann = store.user("ann") ?? assert.fail()
  return [
    ...ann.names.map(({ mailbox, path, subscribed }) => ({
      path,
      subscribed,
      uidValidity: mailbox?.uidValidity,
      messages: mailbox?.uids.map((uid) => [uid, [...mailbox.message(uid)?.flags ?? []].sort()])
    })),
    ann.subscriptions
  ]
}

const changing = /STORE|COPY|MOVE|EXPUNGE|APPEND|CREATE|RENAME|DELETE|SUBSCRIBE|CLOSE|MAIL|RCPT|DATA|BDAT/

/** Of the commands since, those that change anything. */
export const changes = (world: Servers): ReadonlyArray<string> =>
  world.commands().map(({ verb }) => verb).filter((verb) => changing.test(verb))

export const worldOf = Effect.fnUntraced(function*(
  start: Start,
  options: ServerOptions = {},
  changed: ConfigFields = {},
  sandboxOptions?: SandboxOptions
): Effect.fn.Return<World, never, Scope.Scope> {
  const servers = yield* start([{ ...user, specialUse: options.specialUse ?? true }], options)
  const config = new AccountConfig({
    sentCopy: "never",
    name: "work",
    ...servers.endpoints,
    credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
    address: "ann@example.com",
    ...changed
  })
  const real = servers.layer(config)
  const account = Context.get(yield* Layer.build(real), MailAccount)
  const context = yield* Layer.build(
    Sandbox.layer(config, sandboxOptions).pipe(Layer.provide(Layer.succeed(MailAccount, account)))
  )
  return {
    ...servers,
    config,
    account,
    sandboxed: Context.get(context, MailAccount),
    sandbox: Context.get(context, Sandbox)
  }
})

export const all = (account: Account, mailbox = "INBOX") => account.search(Query.in(mailbox))

const draft = new Draft({
  to: ["Bob <bob@example.org>", "ann@example.com"],
  bcc: "carol@example.org",
  subject: "the report",
  text: "hello",
  attachments: [{ content: { stream: Stream.make(new Uint8Array([1, 2, 3])) }, filename: "a.bin" }]
})

/** One change of every kind, each possible after those before it. */
const everything = (account: Account): Effect.Effect<unknown, MailError> =>
  Effect.gen(function*() {
    const inbox = yield* all(account)
    yield* account.createMailbox("New")
    yield* account.renameMailbox("Work", "Job")
    yield* account.unsubscribe("Job")
    yield* account.subscribe("New")
    yield* account.flag(inbox, { add: ["\\Seen", "$Done"] })
    yield* account.flag(inbox.ref(inbox.uids[0] ?? 0), { set: [] })
    yield* account.copy(inbox.ref(inbox.uids[0] ?? 0), "New")
    yield* account.move(inbox.ref(inbox.uids[0] ?? 0), "Job/Old")
    yield* account.remove(inbox.ref(inbox.uids[1] ?? 0))
    yield* account.remove(inbox.ref(inbox.uids[2] ?? 0), { to: "expunge" })
    yield* account.append("New", draft, { flags: ["\\Draft"], internalDate: new Date(1_700_000_000_000) })
    yield* account.append("Drafts", Buffer.from(letter("raw")))
    yield* account.deleteMailbox("Job")
    yield* account.deleteMailbox("nowhere")
    yield* account.createMailbox("New")
    yield* account.send(draft, { allRecipients: true })
  })

/** Changes that are not possible, each after some that are. */
const impossible: Readonly<
  Record<
    string,
    {
      readonly options?: ServerOptions
      readonly config?: ConfigFields
      readonly run: (account: Account) => Effect.Effect<unknown, MailError>
    }
  >
> = {
  "renaming a mailbox that is not there": { run: (account) => account.renameMailbox("nowhere", "New") },
  "renaming to a name that is taken": { run: (account) => account.renameMailbox("Work", "Archive") },
  "renaming below itself": { run: (account) => account.renameMailbox("Work", "Work/Old/Work") },
  "renaming what was renamed": {
    run: (account) => Effect.andThen(account.renameMailbox("Work", "Job"), account.renameMailbox("Work", "Other"))
  },
  "renaming to a name that was created": {
    run: (account) => Effect.andThen(account.createMailbox("New"), account.renameMailbox("Work", "New"))
  },
  "deleting INBOX": { run: (account) => account.deleteMailbox("inbox") },
  "moving to INBOX what is nowhere": {
    run: (account) => account.move(new MessageRef({ mailbox: "inbox", uidValidity: 1, uid: 9 }), "Inbox")
  },
  "filing beyond the quota in INBOX": {
    options: { quota: 10_240 },
    run: (account) => account.append("inbox", Buffer.from(letter("a", 20_000)))
  },
  "subscribing to nothing": { run: (account) => account.subscribe("nowhere") },
  "creating a mailbox without a name": { run: (account) => account.createMailbox("") },
  "a name with a line break": { run: (account) => account.deleteMailbox("a\r\nb") },
  "flags that are none": {
    run: (account) => Effect.flatMap(all(account), (set) => account.flag(set, { add: ["a b"] }))
  },
  "two changes of flags": {
    run: (account) => Effect.flatMap(all(account), (set) => account.flag(set, { add: ["a"], remove: ["b"] }))
  },
  "messages that are not there": {
    run: (account) => Effect.flatMap(all(account), (set) => account.flag(set.with([998, 999]), { add: ["\\Seen"] }))
  },
  "copying messages that are not there": {
    run: (account) => Effect.flatMap(all(account), (set) => account.copy(set.with([999]), "Archive"))
  },
  "messages of several mailboxes": {
    run: (account) =>
      Effect.flatMap(
        Effect.all([all(account), all(account, "Work")]),
        (sets) => account.flag(sets, { add: ["\\Seen"] })
      )
  },
  "messages of a mailbox that was replaced": {
    run: (account) =>
      Effect.flatMap(all(account), (set) => account.remove(MessageSet.of("INBOX", set.uidValidity + 7, set.uids)))
  },
  "messages of no mailbox": {
    run: (account) => account.move(new MessageRef({ mailbox: "nowhere", uidValidity: 1, uid: 1 }), "Archive")
  },
  "moving to no mailbox": { run: (account) => Effect.flatMap(all(account), (set) => account.move(set, "nowhere")) },
  "copying to no mailbox": { run: (account) => Effect.flatMap(all(account), (set) => account.copy(set, "nowhere")) },
  "messages that were moved away": {
    run: (account) =>
      Effect.flatMap(
        all(account),
        (set) => Effect.andThen(account.move(set, "Archive"), account.flag(set, { add: ["\\Seen"] }))
      )
  },
  "messages that were removed": {
    run: (account) => Effect.flatMap(all(account), (set) => Effect.andThen(account.remove(set), account.remove(set)))
  },
  "messages of a mailbox that was deleted": {
    run: (account) =>
      Effect.flatMap(
        all(account, "Work"),
        (set) => Effect.andThen(account.deleteMailbox("Work"), account.flag(set, { add: ["\\Seen"] }))
      )
  },
  "messages that went with INBOX when it was renamed": {
    run: (account) =>
      Effect.flatMap(
        all(account),
        (set) => Effect.andThen(account.renameMailbox("INBOX", "Before"), account.flag(set, { add: ["\\Seen"] }))
      )
  },
  "moving without MOVE and UIDPLUS": {
    options: { without: ["MOVE", "UIDPLUS"] },
    run: (account) => Effect.flatMap(all(account), (set) => account.move(set, "Archive"))
  },
  "removing for ever without UIDPLUS": {
    options: { without: ["UIDPLUS"] },
    run: (account) => Effect.flatMap(all(account), (set) => account.remove(set, { to: "expunge" }))
  },
  "removing without a trash": {
    options: { specialUse: false },
    run: (account) => Effect.flatMap(all(account), (set) => account.remove(set))
  },
  "removing after the trash was deleted": {
    run: (account) =>
      Effect.flatMap(all(account), (set) => Effect.andThen(account.deleteMailbox("Trash"), account.remove(set)))
  },
  "filing in no mailbox": { run: (account) => account.append("nowhere", draft) },
  "filing with flags that are none": { run: (account) => account.append("Work", draft, { flags: ["(a)"] }) },
  "filing with a date that is none": {
    run: (account) => account.append("Work", draft, { internalDate: new Date(Number.NaN) })
  },
  "filing with a date that cannot be written": {
    run: (account) => account.append("Work", draft, { internalDate: new Date("+012345-01-01") })
  },
  "filing beyond the quota": {
    options: { quota: 10_240 },
    run: (account) =>
      Effect.andThen(
        account.append("Work", Buffer.from(letter("a", 4_000))),
        account.append("Work", Buffer.from(letter("b", 4_000)))
      )
  },
  "copying beyond the quota": {
    options: { quota: 10_240 },
    run: (account) =>
      Effect.flatMap(
        all(account),
        (set) => Effect.andThen(account.append("Work", Buffer.from(letter("a", 4_000))), account.copy(set, "Work"))
      )
  },
  "a recipient that is none": { run: (account) => account.send(new Draft({ to: "bob@exa mple.org", text: "a" })) },
  "no recipient": { run: (account) => account.send(new Draft({ text: "a" })) },
  "a header that would become two": {
    run: (account) => account.send(new Draft({ to: "a@b.example", subject: "a\r\nb: c" }))
  },
  "more recipients than one message may have": {
    config: { limits: new Limits({ recipientsPerMessage: 2 }) },
    run: (account) =>
      Effect.andThen(
        account.send(new Draft({ to: "a@b.example", cc: "c@b.example", messageId: "<1@x>", text: "a" })),
        account.send(new Draft({ to: ["a@b.example", "c@b.example"], bcc: "d@b.example", text: "a" }))
      )
  },
  "a message larger than may be composed": {
    config: { limits: new Limits({ maxMessageBytes: 1_000 }) },
    run: (account) => account.send(new Draft({ to: "a@b.example", text: "a".repeat(2_000), messageId: "<1@x>" }))
  },
  "filing a message larger than may be composed": {
    config: { limits: new Limits({ maxMessageBytes: 1_000 }) },
    run: (account) => account.append("Work", new Draft({ text: "a".repeat(2_000), messageId: "<1@x>" }))
  },
  "a key that does not sign": {
    config: { dkim: new Dkim({ domainName: "b.example", keySelector: "k", privateKey: Redacted.make("none") }) },
    run: (account) => account.send(new Draft({ to: "a@b.example", text: "a" }))
  },
  "steps in one mailbox on messages of another": {
    run: (account) =>
      Effect.flatMap(
        all(account, "Work"),
        (set) => account.withMailbox("INBOX", (inbox) => inbox.flag(set, { add: ["\\Seen"] }))
      )
  },
  "steps in a mailbox on messages of the one it replaced": {
    run: (account) =>
      account.withMailbox(
        "INBOX",
        (inbox) => inbox.expunge(MessageSet.of("INBOX", inbox.uidValidity + 7, [1, 2]))
      )
  },
  "steps in a mailbox after the work in it": {
    run: (account) =>
      Effect.flatMap(
        account.withMailbox("INBOX", (inbox) => Effect.succeed(inbox)),
        (inbox) => inbox.append(Buffer.from(letter("late")))
      )
  },
  "steps in a mailbox opened to read only": {
    run: (account) =>
      account.withMailbox("INBOX", (inbox) => Effect.flatMap(inbox.search(), (set) => inbox.move(set, "Archive")), {
        readOnly: true
      })
  },
  "an attachment that cannot be read": {
    run: (account) =>
      account.send(new Draft({ to: "a@b.example", attachments: [{ content: { path: "/nowhere/at/all" } }] }))
  }
}

export const sandboxing = (name: string, start: Start): void => {
  describe(`a sandbox around an account on ${name}`, () => {
    it.live("sends no command that changes anything, and stores nothing", () =>
      Effect.gen(function*() {
        const world = yield* worldOf(start)
        const before = stored(world)
        yield* everything(world.sandboxed)
        assert.lengthOf((yield* world.sandbox.plan).steps, 16)
        assert.deepStrictEqual(changes(world), [])
        assert.deepStrictEqual(stored(world), before)
        assert.deepStrictEqual(world.accepted(), [])
        // the record would have shown it
        yield* world.account.createMailbox("New")
        assert.deepStrictEqual(changes(world).slice(0, 1), ["CREATE"])
      }))

    it.live("has its plan performed exactly, also after it was stored", () =>
      Effect.gen(function*() {
        const planned = yield* worldOf(start)
        yield* everything(planned.sandboxed)
        const plan = yield* planned.sandbox.plan
        const codec = Schema.toCodecJson(Plan)
        const text = JSON.stringify(yield* Effect.orDie(Schema.encodeEffect(codec)(plan)))
        const back = yield* Effect.orDie(Schema.decodeUnknownEffect(codec)(JSON.parse(text)))
        assert.strictEqual(back.toString(), plan.toString())
        const { done, error, rest } = yield* Sandbox.replay(back).pipe(
          Effect.provideService(MailAccount, planned.account)
        )
        assert.isUndefined(error)
        assert.deepStrictEqual([done.steps.length, rest.steps.length], [16, 0])
        // what comes of it is what comes of the same changes without a sandbox
        const direct = yield* worldOf(start)
        yield* everything(direct.account)
        const names = (world: Servers) =>
          world.store.user("ann")?.names.map(({ mailbox, path }) => [path, mailbox?.uids.length])
        assert.deepStrictEqual(names(planned), names(direct))
        assert.deepStrictEqual(planned.accepted().map(({ to }) => to), direct.accepted().map(({ to }) => to))
        assert.deepStrictEqual(changes(planned), changes(direct))
      }))

    it.live("answers like the account, as far as that can be told", () =>
      Effect.gen(function*() {
        const { account, sandbox, sandboxed } = yield* worldOf(start)
        const set = yield* all(sandboxed)
        const some = set.with([...set.uids, 999])
        assert.deepStrictEqual(yield* sandboxed.flag(some, { add: ["\\Seen"] }), set)
        assert.deepStrictEqual(yield* sandboxed.copy(some, "Archive"), Option.none())
        assert.deepStrictEqual(yield* sandboxed.append("Work", draft), Option.none())
        assert.deepStrictEqual(yield* sandboxed.remove(some), set)
        assert.isTrue((yield* sandboxed.flag(MessageSet.empty, { add: ["\\Seen"] })).isEmpty)
        const receipt = yield* sandboxed.send(draft)
        assert.deepStrictEqual([receipt.accepted, receipt.refused, receipt.response], [[], [], Sandbox.plannedResponse])
        assert.match(receipt.messageId, /^<.+@example\.com>$/)
        assert.isAbove(receipt.size, 100)
        // reads show what is there, not what is planned
        assert.deepStrictEqual(yield* all(sandboxed), yield* all(account))
        const steps = (yield* sandbox.plan).steps
        assert.lengthOf(steps, 5)
        yield* sandbox.clear
        assert.isEmpty((yield* sandbox.plan).steps)
        assert.deepStrictEqual(yield* sandboxed.remove(some), set)
      }))

    it.live.each(Object.keys(impossible))("fails as the account does: %s", (title) =>
      Effect.gen(function*() {
        const { config, options, run } = impossible[title] ?? assert.fail()
        const world = yield* worldOf(start, options, config)
        const planned = yield* Effect.flip(run(world.sandboxed))
        const steps = (yield* world.sandbox.plan).steps.length
        assert.deepStrictEqual(changes(world), [])
        const real = yield* Effect.flip(run(world.account))
        assert.strictEqual(planned.reason._tag, real.reason._tag)
        assert.deepStrictEqual([planned.account, planned.operation, planned.mailbox], [
          real.account,
          real.operation,
          real.mailbox
        ])
        const fields = ({ reason }: MailError) =>
          reason._tag === "Rejected" ? reason.code : reason._tag === "QuotaExceeded" ? "" : { ...reason, stack: "" }
        if (real.reason._tag !== "Unsupported") assert.deepStrictEqual(fields(planned), fields(real))
        // what was possible before it is in the plan, the failed change is not
        assert.isBelow(steps, 2)
      }))
  })
}
