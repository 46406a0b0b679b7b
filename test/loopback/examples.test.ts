/**
 * Every example of the documentation loads, and one that exports `main` is run: an Effect that succeeds and needs at
 * most a `MailServer` with the users alice and bob, alice's `MailAccount` there, and a scope.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { fromData, unread } from "../../docs/examples/accounts.ts"
import { wasSent } from "../../docs/examples/sending.ts"
import { AccountConfig, Draft, Endpoint, MailAccount, Password } from "../../src/index.ts"
import { MailServer, type MailServerShape } from "../../src/testing/index.ts"

const folder = new URL("../../docs/examples", import.meta.url).pathname

/** Those named `.test.ts` are run as tests. */
const examples = readdirSync(folder).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts")).sort()

const letter = (subject: string) =>
  `From: Bob <bob@example.com>\nTo: alice@example.com\nSubject: ${subject}\nMessage-ID: <${subject}@example.com>\n\nHello.\n`

const users = ["alice", "bob"].map((name) => ({
  name,
  password: `${name}-secret`,
  address: `${name}@example.com`,
  specialUse: true,
  mailboxes: {
    INBOX: [letter("Invoice1"), letter("Lunch"), { source: letter("Invoice2"), flags: ["\\Seen"] }, letter("Invoice3")]
  }
}))

const aliceAccount = Layer.unwrap(Effect.map(MailServer, (server) =>
  MailAccount.layer(
    new AccountConfig({
      filesSentMail: false,
      name: "alice",
      imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
      smtp: new Endpoint({ host: server.host, port: server.smtpPort, security: "none" }),
      credentials: new Password({ user: "alice", password: Redacted.make("alice-secret") }),
      address: "alice@example.com"
    })
  )))

/** What an example has to have done, beside not failing. */
const outcomes: Readonly<Record<string, (server: MailServerShape, answer: unknown) => void>> = {
  "readme.ts": (server) => {
    assert.deepStrictEqual(server.accepted().map(({ to }) => to), [["bob@example.com"], ["bob@example.com"]])
    const inbox = server.store.user("alice")?.mailbox("INBOX")
    const answered = inbox?.messages.filter(({ flags }) => flags.has("\\Answered")).map(({ uid }) => uid)
    assert.deepStrictEqual(answered, [1, 4])
  },
  "searching.ts": (_, answer) => {
    assert.deepStrictEqual(answer, { subjects: ["Invoice1", "Invoice3"], seen: 3 })
  },
  "sockets.ts": (_, answer) => {
    assert.deepStrictEqual(answer, { found: 50, searches: 2, peak: 1 })
  },
  "watch.ts": (_, answer) => {
    const before = { 1: [], 2: [], 3: ["\\Seen"], 4: [] }
    assert.deepStrictEqual(answer, { before, after: { ...before, 1: ["\\Flagged"], 5: [] } })
  }
}

describe("examples", () => {
  it.live.each(examples)("%s loads, and runs where it is a program", (file) =>
    Effect.gen(function*() {
      // What an example may need is this file's to say: its type is known when it is imported, not before.
      const example = (yield* Effect.promise(() => import(join(folder, file)))) as {
        readonly main?: Effect.Effect<unknown, unknown, MailServer | MailAccount | Scope.Scope>
      }
      assert.isNotEmpty(Object.keys(example))
      const answer = example.main === undefined ? undefined : yield* example.main
      outcomes[file]?.(yield* MailServer, answer)
    }).pipe(Effect.provide(aliceAccount.pipe(Layer.provideMerge(MailServer.layer({ users }))))))

  it.live("opens several accounts from plain data", () =>
    Effect.gen(function*() {
      const server = yield* MailServer
      const accounts = fromData(users.map(({ name, password }) => ({
        name,
        imap: { host: server.host, port: server.imapPort, security: "none" },
        credentials: { user: name, password },
        limits: { imapConnections: 1, maxWait: "10 seconds" }
      })))
      const statuses = yield* unread.pipe(Effect.provide(accounts))
      assert.deepStrictEqual(statuses.map(({ unseen }) => unseen), [3, 3])
      const mistake = yield* Effect.flip(Effect.scoped(Layer.build(fromData([{ name: "alice" }]))))
      assert.strictEqual(mistake.message, "credentials: is missing")
    }).pipe(Effect.provide(MailServer.layer({ users }))))

  it.live("does not take a look that failed for a message that was not sent", () =>
    Effect.gen(function*() {
      const server = yield* MailServer
      server.faults.add({ protocol: "smtp", at: "end", action: { _tag: "Drop", when: "after" } })
      server.store.user("alice")?.deleteMailbox("Sent")
      assert.strictEqual(yield* wasSent(new Draft({ to: "bob@example.com", subject: "Lunch?" })), undefined)
      assert.strictEqual(server.accepted().length, 1)
    }).pipe(Effect.provide(aliceAccount.pipe(Layer.provideMerge(MailServer.layer({ users }))))))

  it("holds only examples that exist to outcomes", () => {
    assert.deepStrictEqual(Object.keys(outcomes).filter((file) => !examples.includes(file)), [])
  })
})
