/** The contract of bad input and unwilling servers: each ends in its own reason, and nothing is done by halves. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import { AccountConfig, Draft, MailError, MessageRef, Password, Query, RetryPolicy } from "../../src/index.ts"
import { file, letter } from "./letters.ts"
import { failureOf, reasonOf, type Suite, type TestWorld } from "./Subject.ts"

const withoutRetries = { retry: RetryPolicy.none }

/** An account with the right name and a wrong password. */
const openWithWrongPassword = ({ config, open }: TestWorld) =>
  open("ann", {
    config: {
      credentials: Password.make({ user: config("ann").credentials.user, password: Redacted.make("wrong-secret") })
    }
  })

export const refusing = ({ has, test }: Suite): void => {
  describe("bad input and unwilling servers", () => {
    test("logs in to IMAP once with a wrong password, and not again for the calls right after", (world) =>
      Effect.gen(function*() {
        const ann = yield* openWithWrongPassword(world)
        const reasons = yield* Effect.all([
          reasonOf(ann.mailboxes()),
          reasonOf(ann.search(Query.inbox)),
          reasonOf(ann.status("INBOX"))
        ], { concurrency: "unbounded" })
        for (const reason of [...reasons, yield* reasonOf(ann.capabilities), yield* reasonOf(ann.createMailbox("x"))]) {
          assert.strictEqual(reason._tag, "AuthenticationFailed")
        }
        assert.deepStrictEqual(yield* world.loginAttempts, { imap: 1, smtp: 0 })
      }))

    test("logs in to SMTP once with a wrong password, and not again for the messages right after", (world) =>
      Effect.gen(function*() {
        const ann = yield* openWithWrongPassword(world)
        const draft = new Draft({ to: world.address("bob"), text: "x" })
        const reasons = yield* Effect.all([reasonOf(ann.send(draft)), reasonOf(ann.send(draft))], { concurrency: 2 })
        for (const reason of [...reasons, yield* reasonOf(ann.send(draft))]) {
          assert.strictEqual(reason._tag, "AuthenticationFailed")
        }
        assert.deepStrictEqual(yield* world.loginAttempts, { imap: 0, smtp: 1 })
      }))

    test("names account, operation and mailbox in its error, and no secret", (world) =>
      Effect.gen(function*() {
        const ann = yield* openWithWrongPassword(world)
        const error = yield* failureOf(ann.search(Query.in("Archive")))
        assert.instanceOf(error, MailError)
        assert.deepInclude(error, { account: "ann", operation: "search", mailbox: "Archive" })
        for (const text of [error.message, JSON.stringify(error), `${error.stack}`, `${error.reason}`]) {
          assert.notInclude(text, "wrong-secret")
        }
      }))

    test(
      "takes a full server for what it is, and has its connection as soon as one is free",
      ({ open }) =>
        Effect.gen(function*() {
          const holding = yield* Scope.make()
          const holder = yield* Scope.provide(open("ann", { limits: { imapConnections: 1 } }), holding)
          yield* file(holder, "INBOX")
          const hasty = yield* open("ann", { ...withoutRetries, limits: { imapConnections: 1 } })
          const reason = yield* reasonOf(hasty.status("INBOX"))
          assert.strictEqual(reason._tag, "ConnectionRefusedByLimit")
          const patient = yield* open("ann", { limits: { imapConnections: 1 } })
          const waiting = yield* Effect.forkChild(patient.status("INBOX"))
          yield* Effect.sleep("100 millis")
          yield* Scope.close(holding, Exit.void)
          assert.strictEqual((yield* Fiber.join(waiting)).messages, 1)
        }),
      { maxConnections: 1 }
    )

    test("lives with fewer connections than it would like", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 4 } })
        yield* Effect.forEach(Array.from({ length: 8 }), () => file(ann, "INBOX"), { concurrency: "unbounded" })
        const statuses = yield* Effect.forEach(Array.from({ length: 12 }), () => ann.status("INBOX"), {
          concurrency: "unbounded"
        })
        for (const { messages } of statuses) assert.strictEqual(messages, 8)
      }), { maxConnections: 2 })

    const names: ReadonlyArray<readonly [what: string, name: string]> = [
      ["no name", ""],
      ["a line break", "x\r\nA1 DELETE Archive"],
      ["a line feed", "x\ny"],
      ["NUL", "x\0y"]
    ]
    for (const [what, name] of names) {
      test(`refuses ${what} for the name of a mailbox in every operation`, (world) =>
        Effect.gen(function*() {
          const ann = yield* world.open("ann")
          const ref = new MessageRef({ mailbox: name, uidValidity: 1, uid: 1 })
          const operations = {
            status: ann.status(name),
            createMailbox: ann.createMailbox(name),
            "renameMailbox from": ann.renameMailbox(name, "x"),
            "renameMailbox to": ann.renameMailbox("Archive", name),
            deleteMailbox: ann.deleteMailbox(name),
            subscribe: ann.subscribe(name),
            unsubscribe: ann.unsubscribe(name),
            quota: ann.quota(name),
            search: ann.search(Query.in(name)),
            append: ann.append(name, letter()),
            message: ann.message(ref),
            source: Stream.runDrain(ann.source(ref)),
            attachment: Stream.runDrain(ann.attachment(ref, "1")),
            envelopes: Stream.runDrain(ann.envelopes(ref)),
            flag: ann.flag(ref, { add: ["\\Seen"] }),
            copy: ann.copy(ref, "Archive"),
            move: ann.move(ref, "Archive"),
            remove: ann.remove(ref, { to: "expunge" })
          }
          for (const [operation, run] of Object.entries(operations)) {
            assert.strictEqual((yield* reasonOf(run))._tag, "InvalidInput", operation)
          }
          const there = yield* file(ann, "Archive")
          for (const operation of [ann.copy(there, name), ann.move(there, name)]) {
            assert.strictEqual((yield* reasonOf(operation))._tag, "InvalidInput")
          }
          assert.strictEqual((yield* ann.status("Archive")).messages, 1)
        }))
    }

    test("has no IMAP, or no SMTP, where none is configured, and says so", ({ address, config, openWith }) =>
      Effect.gen(function*() {
        const { address: from, credentials, imap, name, smtp } = config("ann")
        const common = { name, credentials, ...(from === undefined ? {} : { address: from }) }
        const sender = yield* openWith(new AccountConfig({ ...common, ...(smtp === undefined ? {} : { smtp }) }))
        const noImap = yield* reasonOf(sender.mailboxes())
        assert.deepInclude(noImap, { _tag: "InvalidInput", field: "imap" })
        yield* sender.send(new Draft({ to: address("bob"), text: "x" }))
        const reader = yield* openWith(new AccountConfig({ ...common, ...(imap === undefined ? {} : { imap }) }))
        const noSmtp = yield* reasonOf(reader.send(new Draft({ to: address("bob"), text: "x" })))
        assert.deepInclude(noSmtp, { _tag: "InvalidInput", field: "smtp" })
        yield* reader.mailboxes()
      }))

    if (has("sockets")) {
      test("tells a name that is not known, and a port where nobody listens, from each other", ({ address, open }) =>
        Effect.gen(function*() {
          const draft = new Draft({ to: address("bob"), text: "x" })
          const nowhere = { host: "nowhere.invalid" }
          const unnamed = yield* open("ann", { ...withoutRetries, imap: nowhere, smtp: nowhere })
          for (const operation of [unnamed.mailboxes(), unnamed.send(draft)]) {
            assert.deepInclude(yield* reasonOf(operation), {
              _tag: "ConnectionFailed",
              step: "dns",
              host: "nowhere.invalid"
            })
          }
          const closed = { port: 1 }
          const unheard = yield* open("ann", { ...withoutRetries, imap: closed, smtp: closed })
          for (const operation of [unheard.mailboxes(), unheard.send(draft)]) {
            assert.deepInclude(yield* reasonOf(operation), { _tag: "ConnectionFailed", step: "tcp", port: 1 })
          }
        }))

      test(
        "speaks TLS with a server whose certificate it trusts, and with no other",
        ({ address, config, loginAttempts, open }) =>
          Effect.gen(function*() {
            const ann = yield* open("ann")
            const draft = new Draft({ to: address("bob"), text: "x" })
            assert.strictEqual((yield* ann.status("INBOX")).messages, 0)
            yield* ann.send(draft)
            const before = yield* loginAttempts
            const untrusted = { trust: {} }
            const wary = yield* open("ann", { ...withoutRetries, imap: untrusted, smtp: untrusted })
            for (const operation of [wary.mailboxes(), wary.send(draft)]) {
              assert.deepInclude(yield* reasonOf(operation), { _tag: "ConnectionFailed", step: "tls", permanent: true })
            }
            const misnamed = { trust: { ...config("ann").imap?.trust, servername: "mail.example.org" } }
            const strict = yield* open("ann", { ...withoutRetries, imap: misnamed, smtp: misnamed })
            for (const operation of [strict.mailboxes(), strict.send(draft)]) {
              assert.deepInclude(yield* reasonOf(operation), { _tag: "ConnectionFailed", step: "tls" })
            }
            assert.deepStrictEqual(yield* loginAttempts, before)
          }),
        { tls: true }
      )

      test("does not log in over a wire that was to be protected and is not", ({ address, loginAttempts, open }) =>
        Effect.gen(function*() {
          const draft = new Draft({ to: address("bob"), text: "x" })
          const eager = yield* open("ann", { ...withoutRetries, imap: { security: "tls" }, smtp: { security: "tls" } })
          for (const operation of [eager.mailboxes(), eager.send(draft)]) {
            assert.deepInclude(yield* reasonOf(operation), { _tag: "ConnectionFailed", step: "tls" })
          }
          const asking = { security: "starttls" } as const
          const careful = yield* open("ann", { ...withoutRetries, imap: asking, smtp: asking })
          for (const operation of [careful.mailboxes(), careful.send(draft)]) {
            assert.deepInclude(yield* reasonOf(operation), { _tag: "Unsupported", capability: "STARTTLS" })
          }
          assert.deepStrictEqual(yield* loginAttempts, { imap: 0, smtp: 0 })
        }))
    }
  })
}
