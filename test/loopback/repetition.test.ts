import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, type Scope, Stream } from "effect"
import { Draft, type MailError, type MessageRef, Query, RetryPolicy } from "../../src/index.ts"
import type { Fault, MailServerShape } from "../../src/testing/index.ts"
import { file, letter } from "../contract/letters.ts"
import { type Account, guarded, reasonOf, type TestWorld } from "../contract/Subject.ts"
import { startMailServer, worldOf } from "./MailServerSubject.ts"

interface Scene extends TestWorld {
  readonly ann: Account
  readonly server: MailServerShape
  /** A message in INBOX, which is selected. */
  readonly ref: MessageRef
  readonly strike: (at: string, action: Fault["action"], protocol?: Fault["protocol"]) => void
  /** How often clients asked for this since the last strike. */
  readonly asked: (verb: string) => number
}

const quickly = RetryPolicy.make({ base: "1 millis", times: 4 })

const scene = (
  title: string,
  run: (scene: Scene) => Effect.Effect<void, MailError, Scope.Scope>,
  limits: { readonly commandTimeout?: Duration.Duration } = {}
) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const server = yield* startMailServer({ quota: 1024 * 1024 })
      yield* guarded(worldOf(server), (world) =>
        Effect.gen(function*() {
          const ann = yield* world.open("ann", { retry: quickly, limits: { imapConnections: 1, ...limits } })
          const ref = yield* file(ann, "INBOX", { fields: { "Message-ID": "<original@example.com>" } })
          yield* ann.message(ref)
          yield* run({
            ...world,
            ann,
            server,
            ref,
            strike: (at, action, protocol = "imap") => {
              server.forget()
              server.faults.add({ protocol, at, action })
            },
            asked: (verb) => server.commands().filter((command) => command.verb === verb).length
          })
          assert.isAtMost(server.peak({ protocol: "imap" }), 1)
        }))
    }))

const cutBefore = { _tag: "Drop", when: "before" } as const
const cutAfter = { _tag: "Drop", when: "after" } as const
const cuts = [["before it did anything", cutBefore], ["before it could answer", cutAfter]] as const

const holdsIn = (server: MailServerShape, path: string) =>
  (server.store.user("ann")?.mailbox(path)?.messages ?? []).length

describe("an operation whose connection is lost", () => {
  const reads: Readonly<
    Record<string, readonly [at: string, run: (scene: Scene) => Effect.Effect<unknown, MailError>]>
  > = {
    mailboxes: ["LIST", ({ ann }) => ann.mailboxes()],
    status: ["STATUS", ({ ann }) => ann.status("Archive")],
    search: ["SEARCH", ({ ann }) => ann.search(Query.inbox)],
    fetch: ["FETCH", ({ ann, ref }) => Stream.runDrain(ann.fetch(ref, { flags: true }))],
    message: ["FETCH", ({ ann, ref }) => ann.message(ref)],
    source: ["FETCH", ({ ann, ref }) => Stream.runDrain(ann.source(ref))],
    quota: ["GETQUOTAROOT", ({ ann }) => ann.quota()],
    subscribe: ["SUBSCRIBE", ({ ann }) => ann.subscribe("Archive")],
    unsubscribe: ["UNSUBSCRIBE", ({ ann }) => ann.unsubscribe("Archive")]
  }
  for (const [when, cut] of cuts) {
    for (const [operation, [at, run]] of Object.entries(reads)) {
      scene(`is repeated: ${operation}, cut ${when}`, (scene) =>
        Effect.gen(function*() {
          scene.strike(at, cut)
          yield* run(scene)
          const asked = scene.asked(at) + scene.asked(`UID ${at}`)
          assert.isAtLeast(asked, 2)
        }))
    }

    scene(`is repeated, and done once: flag, cut ${when}`, ({ ann, ref, server, strike }) =>
      Effect.gen(function*() {
        strike("STORE", cut)
        assert.deepStrictEqual([...(yield* ann.flag(ref, { add: ["\\Flagged"] })).uids], [ref.uid])
        assert.deepStrictEqual([...server.store.user("ann")?.inbox.message(ref.uid)?.flags ?? []], ["\\Flagged"])
      }))

    scene(
      `is done where the server has done it already: create and delete, cut ${when}`,
      ({ ann, server, strike }) =>
        Effect.gen(function*() {
          strike("CREATE", cut)
          yield* ann.createMailbox("New")
          assert.isDefined(server.store.user("ann")?.mailbox("New"))
          strike("DELETE", cut)
          yield* ann.deleteMailbox("New")
          assert.isUndefined(server.store.user("ann")?.mailbox("New"))
        })
    )

    scene(`takes place once: move and remove, cut ${when}`, ({ ann, ref, server, strike }) =>
      Effect.gen(function*() {
        const other = yield* file(ann, "INBOX")
        const last = yield* file(ann, "INBOX")
        strike("MOVE", cut)
        yield* ann.move(ref, "Archive")
        assert.strictEqual(holdsIn(server, "Archive"), 1)
        strike("MOVE", cut)
        assert.deepStrictEqual([...(yield* ann.remove(other)).uids], [other.uid])
        assert.strictEqual(holdsIn(server, "Trash"), 1)
        strike("EXPUNGE", cut)
        assert.deepStrictEqual([...(yield* ann.remove(last, { to: "expunge" })).uids], [last.uid])
        assert.strictEqual(holdsIn(server, "INBOX"), 0)
      }))

    scene(
      `is left to the caller where it cannot be told apart: rename, cut ${when}`,
      ({ ann, asked, strike }) =>
        Effect.gen(function*() {
          yield* ann.createMailbox("Old")
          strike("RENAME", cut)
          assert.deepInclude(yield* reasonOf(ann.renameMailbox("Old", "New")), {
            _tag: "ConnectionLost",
            written: true
          })
          assert.strictEqual(asked("RENAME"), 1)
        })
    )

    scene(`has an unknown outcome where nothing tells it: a message without Message-ID, cut ${when}`, ({
      ann,
      asked,
      strike
    }) =>
      Effect.gen(function*() {
        const anonymous = letter({ fields: { "Message-ID": "" } })
        strike("APPEND", cut)
        assert.strictEqual((yield* reasonOf(ann.append("Archive", anonymous)))._tag, "OutcomeUnknown")
        assert.strictEqual(asked("APPEND"), 1)
        const ref = yield* file(ann, "INBOX", anonymous)
        strike("COPY", cut)
        assert.strictEqual((yield* reasonOf(ann.copy(ref, "Archive")))._tag, "OutcomeUnknown")
        assert.strictEqual(asked("UID COPY"), 1)
      }))
  }

  scene("is looked for, and done where it is found: copy and append, cut before the server could answer", ({
    ann,
    ref,
    server,
    strike
  }) =>
    Effect.gen(function*() {
      const uids = () => [...server.store.user("ann")?.mailbox("Archive")?.uids ?? []]
      strike("COPY", cutAfter)
      const copies = Option.getOrThrow(yield* ann.copy(ref, "Archive"))
      assert.deepStrictEqual([...copies.uids], uids())
      assert.strictEqual(copies.size, 1)
      strike("APPEND", cutAfter)
      const filed = Option.getOrThrow(yield* ann.append("Archive", letter()))
      assert.deepStrictEqual([...copies.uids, filed.uid], uids())
      strike("APPEND", cutAfter)
      yield* ann.append("Archive", new Draft({ to: "bob@example.com", text: "x" }))
      assert.strictEqual(uids().length, 3)
    }))

  // The server may still carry out what it had read, so that it is not there yet proves nothing
  scene("is left to the caller where it is not found: copy and append, cut before the server did anything", ({
    ann,
    asked,
    ref,
    server,
    strike
  }) =>
    Effect.gen(function*() {
      strike("COPY", cutBefore)
      assert.strictEqual((yield* reasonOf(ann.copy(ref, "Archive")))._tag, "OutcomeUnknown")
      assert.strictEqual(asked("UID COPY"), 1)
      strike("APPEND", cutBefore)
      assert.strictEqual((yield* reasonOf(ann.append("Archive", letter())))._tag, "OutcomeUnknown")
      assert.strictEqual(asked("APPEND"), 1)
      assert.strictEqual(holdsIn(server, "Archive"), 0)
    }))

  for (const at of ["connect", "EHLO", "MAIL", "RCPT", "DATA", "body"]) {
    scene(`is repeated: send, cut at ${at}`, ({ address, ann, server, strike }) =>
      Effect.gen(function*() {
        strike(at, cutBefore, "smtp")
        yield* ann.send(new Draft({ to: address("bob"), text: "x" }))
        assert.strictEqual(server.accepted().length, 1)
      }))
  }

  for (const [when, cut] of cuts) {
    scene(
      `is never repeated: send, cut after the end of the message ${when}`,
      ({ address, ann, asked, server, strike }) =>
        Effect.gen(function*() {
          strike("end", cut, "smtp")
          const reason = yield* reasonOf(
            ann.send(new Draft({ to: address("bob"), text: "x", messageId: "<sent@example.com>" }))
          )
          assert.deepInclude(reason, { _tag: "OutcomeUnknown", messageId: "<sent@example.com>" })
          assert.strictEqual(asked("end"), 1)
          assert.strictEqual(server.accepted().length, cut === cutAfter ? 1 : 0)
          yield* ann.send(new Draft({ to: address("bob"), text: "next" }))
        })
    )
  }
})

describe("a server that stops answering", () => {
  scene(
    "is waited for as long as a command may take, and its connection is replaced",
    ({ ann, ref, server, strike }) =>
      Effect.gen(function*() {
        server.faults.add(
          ...[1, 2, 3, 4, 5].map(() => ({ protocol: "imap", at: "SEARCH", action: { _tag: "Stall" } } as const))
        )
        const reason = yield* reasonOf(ann.search(Query.inbox))
        assert.deepInclude(reason, { _tag: "TimedOut", wait: "command", written: true })
        server.faults.clear()
        assert.strictEqual((yield* ann.search(Query.inbox)).size, 1)
        strike("FETCH", { _tag: "Stall" })
        assert.deepStrictEqual((yield* ann.message(ref)).ref, ref)
        assert.strictEqual(server.connections({ protocol: "imap" }).length, 1)
      }),
    { commandTimeout: Duration.millis(100) }
  )

  scene(
    "costs those who wait for the same connection no more than the wait",
    ({ ann, strike }) =>
      Effect.gen(function*() {
        strike("SEARCH", { _tag: "Stall" })
        const [found, status] = yield* Effect.all([ann.search(Query.inbox), ann.status("INBOX")], { concurrency: 2 })
        assert.strictEqual(found.size, 1)
        assert.strictEqual(status.messages, 1)
      }),
    { commandTimeout: Duration.millis(100) }
  )

  scene("does not hold an interruption up", ({ ann, server, strike }) =>
    Effect.gen(function*() {
      strike("SEARCH", { _tag: "Stall" })
      const outcome = yield* Effect.timeoutOption(ann.search(Query.inbox), "50 millis")
      assert.isTrue(Option.isNone(outcome))
      assert.strictEqual((yield* ann.status("INBOX")).messages, 1)
      assert.strictEqual(server.connections({ protocol: "imap" }).length, 1)
    }))
})

describe("octets that are no answer", () => {
  scene("end the connection, and the question is asked again", ({ ann, asked, strike }) =>
    Effect.gen(function*() {
      strike("SEARCH", { _tag: "Corrupt" })
      assert.strictEqual((yield* ann.search(Query.inbox)).size, 1)
      assert.strictEqual(asked("UID SEARCH"), 2)
    }), { commandTimeout: Duration.millis(100) })
})
