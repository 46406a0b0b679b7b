import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { Password } from "../../src/domain/Credentials.ts"
import { ImapDriver } from "../../src/driver/ImapDriver.ts"
import * as imapflow from "../../src/driver/imapflow.ts"
import { MailServer, SampleMail } from "../../src/testing/index.ts"
import { failure, session } from "./Session.ts"

const opened = Effect.gen(function*() {
  const sources = [300, 400, 500].map((octets, index) => SampleMail.plain({ index, octets }))
  const server = yield* MailServer.make({
    users: [{ name: "ann", password: "secret", mailboxes: { INBOX: sources } }]
  })
  const driver = yield* ImapDriver
  const connection = yield* driver.connect({
    endpoint: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
    credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
    connectTimeoutMillis: 30_000
  })
  yield* connection.select("INBOX", { readOnly: true })
  return { connection, sources }
}).pipe(Effect.provide(imapflow.layer))

describe("a fetch of plain items", () => {
  it.live("answers exactly what was asked for", () =>
    Effect.gen(function*() {
      const { connection, sources } = yield* opened
      const rows = yield* connection.fetch("1:*", { source: true, size: true, flags: true, internalDate: true })
      assert.deepStrictEqual(
        rows.map(({ flags, internalDate, size, source, uid }) => ({
          uid,
          size,
          flags,
          at: internalDate?.getTime(),
          source: Buffer.from(source ?? []).toString()
        })),
        sources.map((source, index) => ({
          uid: index + 1,
          size: source.length,
          flags: [],
          at: 0,
          source: Buffer.from(source).toString()
        }))
      )
      assert.deepStrictEqual(yield* connection.fetch("2", {}), [{ uid: 2 }])
    }))

  it.live("decodes ENVELOPE and BODYSTRUCTURE", () =>
    Effect.gen(function*() {
      const { connection } = yield* opened
      const [row] = yield* connection.fetch("2", { envelope: true, structure: true, flags: true })
      assert.strictEqual(row?.envelope?.subject, "Message 1")
      assert.deepStrictEqual(row?.envelope?.from.map(String), ["Sender 1 <sender1@example.com>"])
      assert.deepStrictEqual([row?.structure?.part, row?.structure?.type], ["1", "text/plain"])
      assert.deepStrictEqual(row?.flags, [])
    }))

  it.live("takes a span of each source, empty past its end", () =>
    Effect.gen(function*() {
      const { connection } = yield* opened
      const rows = yield* connection.fetch("1:3", { source: true }, { sourceStart: 350, sourceLimit: 100 })
      assert.deepStrictEqual(rows.map(({ source }) => source?.length), [0, 50, 100])
    }))

  it.live("leaves an IDLE first", () =>
    Effect.gen(function*() {
      const { connection } = yield* opened
      const waiting = yield* Effect.forkChild(connection.idle, { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* connection.fetch("1:*", { size: true })).length, 3)
    }))
})

describe("a server that sends more than is kept", () => {
  it.effect("is not read on where an answer is larger than it may be", () =>
    Effect.gen(function*() {
      const row = `S: * 1 FETCH (UID 1 BODY[HEADER] "Subject: ${"x".repeat(400)}")`
      const { connection, server } = yield* session({
        lines: ["C: UID FETCH …", ...Array.from({ length: 5 }, () => row)]
      }, { select: "read-write" })
      const reason = yield* failure(connection.fetch("1", { headers: true }, { answerLimit: 1_000 }))
      assert.strictEqual(reason._tag, "TooLarge")
      assert.isFalse(connection.isUsable())
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))

  it.effect("is not read on where a literal is larger than it may be", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* session({
        lines: ["C: UID FETCH …", "S: * 1 FETCH (UID 1 BODY[HEADER] {5000000}", "S: Subject: x"]
      }, { select: "read-write", literalLimit: 1_000_000 })
      const reason = yield* failure(connection.fetch("1", { headers: true }))
      assert.deepInclude(reason, { _tag: "TooLarge", size: 5_000_000, limit: 1_000_000 })
      assert.isFalse(connection.isUsable())
      yield* server.idle
    }).pipe(Effect.provide(imapflow.layer)))
})
