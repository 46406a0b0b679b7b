/** Each command against each way in which a server can fail it: what is refused, lost and interrupted is told apart. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { Reason } from "../../src/domain/MailError.ts"
import type { ImapConnection } from "../../src/driver/ImapDriver.ts"
import * as imapflow from "../../src/driver/imapflow.ts"
import { failure, select, session } from "./Session.ts"

interface Family {
  readonly run: (connection: ImapConnection) => Effect.Effect<unknown, Reason>
  readonly wire: string
  /** What a server that lacks the mailbox is asked afterwards. */
  readonly after?: ReadonlyArray<string>
}

const probe = ["C: LIST …", "S: * LIST () \"/\" \"Archive\"", "S: $ OK found"]
const source = Buffer.from("Subject: x\r\n\r\nbody\r\n")

const families: { readonly [name: string]: Family } = {
  list: { run: (c) => c.list({ status: false }), wire: "LIST \"\" \"*\"" },
  status: { run: (c) => c.status("Archive"), wire: "STATUS Archive …", after: probe },
  create: { run: (c) => c.create("Archive"), wire: "CREATE Archive" },
  rename: { run: (c) => c.rename("Archive", "Old"), wire: "RENAME Archive Old" },
  delete: { run: (c) => c.delete("Archive"), wire: "DELETE Archive" },
  subscribe: { run: (c) => c.subscribe("Archive"), wire: "SUBSCRIBE Archive" },
  unsubscribe: { run: (c) => c.unsubscribe("Archive"), wire: "UNSUBSCRIBE Archive" },
  quota: { run: (c) => c.quota("INBOX"), wire: "GETQUOTAROOT INBOX" },
  select: {
    run: (c) => c.select("INBOX", { readOnly: true }),
    wire: "EXAMINE INBOX",
    after: [
      "C: LIST …",
      "S: * LIST () \"/\" INBOX",
      "S: $ OK found"
    ]
  },
  search: { run: (c) => c.search({ _tag: "All" }), wire: "UID SEARCH ALL" },
  fetch: { run: (c) => c.fetch("1:3", { flags: true }), wire: "UID FETCH 1:3 …" },
  fetchPartial: {
    run: (c) => c.fetchPartial({ uid: 1, section: "1", start: 0, length: 5 }),
    wire: "UID FETCH 1 …"
  },
  store: { run: (c) => c.store("1:3", { mode: "add", flags: ["\\Seen"] }), wire: "UID STORE 1:3 …" },
  copy: { run: (c) => c.copy("1:3", "Archive"), wire: "UID COPY 1:3 Archive" },
  move: { run: (c) => c.move("1:3", "Archive"), wire: "UID MOVE 1:3 Archive" },
  expunge: { run: (c) => c.expunge("1:3"), wire: "UID STORE 1:3 …" },
  append: { run: (c) => c.append("Archive", source, { flags: [] }), wire: "APPEND Archive …" },
  noop: { run: (c) => c.noop, wire: "NOOP" }
}

const caps = { capabilities: "IMAP4rev1 UIDPLUS MOVE IDLE CONDSTORE QRESYNC ENABLE LITERAL+ NAMESPACE UNSELECT QUOTA" }
/** The LIST before the first SELECT, so that a script about LIST is about the second. */
const first = ["C: LIST \"\" \"*\"", "S: * LIST () \"/\" INBOX", "S: $ OK done"]
const script = (wire: string, answer: ReadonlyArray<string>, after: ReadonlyArray<string> = []) => ({
  ...caps,
  lines: [...first, `C: ${wire}`, ...answer, ...after]
})

describe("a command of the IMAP adapter", () => {
  for (const [name, { after = [], run, wire }] of Object.entries(families)) {
    it.effect(`${name}: a NO is the server's no, and the connection goes on`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session(
          script(wire, ["S: $ NO [NOPERM] not you (0.001 + 0.000 secs)."], after),
          select
        )
        const reason = yield* failure(run(connection))
        assert.deepInclude(reason, { _tag: "Rejected", code: "NOPERM", text: "not you", transient: false })
        assert.isTrue(connection.isUsable())
        yield* connection.select("INBOX", { readOnly: false, refresh: true })
        assert.deepStrictEqual(server.unexpected, [])
      }).pipe(Effect.provide(imapflow.layer)))

    it.effect(`${name}: [OVERQUOTA] is a full mailbox`, () =>
      Effect.gen(function*() {
        const { connection } = yield* session(script(wire, ["S: $ NO [OVERQUOTA] full"], after), select)
        assert.deepInclude(yield* failure(run(connection)), { _tag: "QuotaExceeded", response: "full" })
      }).pipe(Effect.provide(imapflow.layer)))

    it.effect(`${name}: a session that does not know of the mailbox any more is given up, and nothing has been done`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session(
          script(wire, ["S: $ NO [TRYCREATE] Mailbox was deleted under us (0.001 + 0.000 secs)."], after),
          select
        )
        const detail = "Mailbox was deleted under us"
        assert.deepInclude(yield* failure(run(connection)), { _tag: "ConnectionLost", detail, written: false })
        assert.isFalse(connection.isUsable())
        yield* server.idle
      }).pipe(Effect.provide(imapflow.layer)))

    it.effect(`${name}: a BAD is a rejection with that code`, () =>
      Effect.gen(function*() {
        const { connection } = yield* session(script(wire, ["S: $ BAD what"]), select)
        assert.deepInclude(yield* failure(run(connection)), { _tag: "Rejected", code: "BAD", text: "what" })
      }).pipe(Effect.provide(imapflow.layer)))

    it.effect(`${name}: throttling is heard at once, with its time, and not waited for inside`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session(
          script(wire, ["S: $ BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"]),
          select
        )
        const reason = yield* failure(run(connection))
        assert.strictEqual(reason._tag, "Throttled")
        assert.include(JSON.stringify(reason), "92415")
        yield* server.idle
        assert.isFalse(connection.isUsable())
      }).pipe(Effect.provide(imapflow.layer)))

    for (
      const [end, lines] of [
        ["BYE", ["S: * BYE shutting down", "S! FIN"]],
        ["FIN", ["S! FIN"]],
        ["RST", ["S! RST"]]
      ] as const
    ) {
      it.effect(`${name}: ${end} instead of an answer is a lost connection after the command was written`, () =>
        Effect.gen(function*() {
          const { connection, server } = yield* session(script(wire, lines), select)
          const reason = yield* failure(run(connection))
          assert.deepInclude(reason, { _tag: "ConnectionLost", written: true })
          if (end === "BYE") assert.include(JSON.stringify(reason), "shutting down")
          if (end === "RST") assert.include(JSON.stringify(reason), "ECONNRESET")
          assert.isFalse(connection.isUsable())
          yield* connection.closed
          yield* server.idle
          assert.deepInclude(yield* failure(run(connection)), { _tag: "ConnectionLost", written: false })
        }).pipe(Effect.provide(imapflow.layer)))
    }

    it.effect(`${name}: interrupted while it waits, it closes the connection and does not hang`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* session(script(wire, ["S! STALL"]), select)
        const skip = server.heard.length
        const fiber = yield* Effect.forkChild(run(connection))
        yield* server.hears(wire.replace("…", "").trim(), skip)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
        assert.isFalse(connection.isUsable())
        yield* connection.closed
        yield* server.idle
      }).pipe(Effect.provide(imapflow.layer)))
  }
})
