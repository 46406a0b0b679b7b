import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { createConnection } from "node:net"
import { MailServer } from "../../src/testing/MailServer.ts"
import { ask, client, mail, untilConnections, users } from "./mail-server.ts"
import { smtpDialogue, Transcript } from "./transcript.ts"

const start = MailServer.make({ users: users ?? [] })

describe("MailServer observations", () => {
  it.live("counts connections from accept to close, now and at peak, by protocol and user", () =>
    Effect.gen(function*() {
      const server = yield* start
      yield* Effect.scoped(Effect.gen(function*() {
        yield* client(server)
        yield* client(server)
        yield* Transcript.open(server.smtpPort)
        const silent = yield* Transcript.open(server.imapPort)
        yield* silent.until(/OK/)
        assert.strictEqual(server.connections().length, 4)
        assert.strictEqual(server.connections({ protocol: "imap" }).length, 3)
        assert.strictEqual(server.connections({ user: "bob" }).length, 2)
      }))
      yield* untilConnections(server, 0)
      assert.strictEqual(server.peak(), 4)
      assert.strictEqual(server.peak({ protocol: "imap" }), 3)
      assert.strictEqual(server.peak({ protocol: "imap", user: "bob" }), 2)
      assert.strictEqual(server.peak({ protocol: "smtp" }), 1)
      server.forget()
      assert.strictEqual(server.peak(), 0)
    }))

  it.live("counts one connection where a client opens the next as soon as its last has closed", () =>
    Effect.gen(function*() {
      const server = yield* start
      for (const port of [server.imapPort, server.smtpPort]) {
        for (let times = 0; times < 50; times++) {
          yield* Effect.callback<void>((resume) => {
            const socket = createConnection(port, "127.0.0.1")
            socket.once("data", () => socket.destroy()).once("close", () => resume(Effect.void))
          })
        }
      }
      assert.strictEqual(server.peak({ protocol: "imap" }), 1)
      assert.strictEqual(server.peak({ protocol: "smtp" }), 1)
    }))

  it.live("records each command with its connection, verb and mailbox", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* Transcript.open(server.imapPort)
      yield* transcript.until(/OK/)
      yield* transcript.say("a LOGIN bob secret", /^a /)
      yield* transcript.say("b SELECT inbox", /^b /)
      yield* transcript.say("c UID FETCH 1 (FLAGS)", /^c /)
      yield* transcript.say("d STATUS Sent (MESSAGES)", /^d /)
      const seen = server.commands().map(({ mailbox, user, verb }) => [verb, user, mailbox])
      assert.deepStrictEqual(seen, [
        ["LOGIN", undefined, undefined],
        ["SELECT", "bob", "INBOX"],
        ["UID FETCH", "bob", "INBOX"],
        ["STATUS", "bob", "Sent"]
      ])
      assert.strictEqual(new Set(server.commands().map(({ connection }) => connection)).size, 1)
    }))

  it.live("remembers so many commands and no more", () =>
    Effect.gen(function*() {
      const server = yield* MailServer.make({ users: users ?? [], maxCommands: 3 })
      const transcript = yield* Transcript.open(server.imapPort)
      yield* transcript.until(/OK/)
      yield* transcript.write("a NOOP\r\n".repeat(20))
      yield* transcript.say("b CAPABILITY", /^b /)
      assert.deepStrictEqual(server.commands().map(({ verb }) => verb), ["NOOP", "NOOP", "CAPABILITY"])
    }))

  it.live("records the steps of SMTP, and every message it took, copy by copy", () =>
    Effect.gen(function*() {
      const server = yield* start
      yield* smtpDialogue(server.smtpPort, mail(1))
      const steps = ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "body", "end", "QUIT"]
      assert.deepStrictEqual(server.commands().map(({ verb }) => verb), steps)
      yield* smtpDialogue(server.smtpPort, mail(1))
      assert.deepStrictEqual(server.accepted().map(({ source }) => Buffer.from(source).toString()), [mail(1), mail(1)])
      assert.strictEqual(server.store.user("bob")?.inbox.exists, 6)
    }))

  it.live("refuses logins beyond the bound per user, and takes them again once one has gone", () =>
    Effect.gen(function*() {
      const server = yield* MailServer.make({ users: users ?? [], maxConnections: { imap: 1, smtp: 1 } })
      const scope = yield* Scope.make()
      yield* client(server).pipe(Scope.provide(scope))
      const refused = yield* client(server).pipe(Effect.catchDefect(Effect.succeed))
      assert.propertyVal(refused, "serverResponseCode", "LIMIT")
      yield* Scope.close(scope, Exit.void)
      yield* untilConnections(server, 0)
      yield* client(server)
      server.setMaxConnections("imap", undefined)
      yield* client(server)
      server.setMaxConnections("smtp", 0)
      assert.include(yield* smtpDialogue(server.smtpPort, mail(1)), "432 4.3.2 Concurrent connections limit exceeded")
    }))

  it.live("kicks a user with BYE and 421, and drops everybody without a word", () =>
    Effect.gen(function*() {
      const server = yield* start
      const imap = yield* Transcript.open(server.imapPort)
      yield* imap.until(/OK/)
      yield* imap.say("a LOGIN bob secret", /^a /)
      yield* imap.say("i IDLE", /^\+/)
      const smtp = yield* Transcript.open(server.smtpPort)
      yield* smtp.until(/^220/)
      yield* smtp.say("EHLO x", /^250 /)
      yield* smtp.say(`AUTH PLAIN ${Buffer.from("\0bob\0secret").toString("base64")}`, /^235/)
      const stranger = yield* Transcript.open(server.imapPort)
      yield* stranger.until(/OK/)
      assert.strictEqual(server.kick("bob"), 2)
      assert.deepStrictEqual(yield* imap.rest, ["* BYE Disconnected by the server"])
      assert.match((yield* smtp.rest).at(-1) ?? "", /^421 /)
      assert.isAtLeast(server.dropAll(), 1)
      assert.deepStrictEqual(yield* stranger.rest, [])
    }))

  it.live("ends every connection with its scope, and frees its ports", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = yield* start.pipe(Scope.provide(scope))
      const { imapPort, smtpPort } = server
      const transcripts = yield* Effect.forEach([imapPort, imapPort, smtpPort], (port) => Transcript.open(port))
      yield* Effect.forEach(transcripts, (transcript) => transcript.until(/OK|220/))
      server.faults.add({ protocol: "imap", at: "NOOP", action: { _tag: "Stall" } })
      yield* transcripts[0]?.write("a NOOP\r\n") ?? Effect.void
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(server.connections(), [])
      for (const transcript of transcripts) assert.deepStrictEqual(yield* transcript.rest, [])
      for (const port of [imapPort, smtpPort]) {
        const refused = yield* ask(() =>
          new Promise<string | undefined>((resolve) => {
            createConnection(port, "127.0.0.1").on("error", (error: NodeJS.ErrnoException) => resolve(error.code))
          })
        )
        assert.strictEqual(refused, "ECONNREFUSED")
      }
    }))

  it.live("waits for a client that does not read, and does not buffer for it", () =>
    Effect.gen(function*() {
      const source = Buffer.alloc(100_000, "x")
      const server = yield* MailServer.make({
        users: [{ name: "bob", password: "secret", mailboxes: { INBOX: Array.from({ length: 400 }, () => source) } }]
      })
      const socket = createConnection(server.imapPort, "127.0.0.1")
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
      socket.pause()
      const before = process.memoryUsage().arrayBuffers
      socket.write("a LOGIN bob secret\r\nb SELECT INBOX\r\nc UID FETCH 1:* (BODY.PEEK[])\r\n")
      yield* Effect.sleep("200 millis")
      // 40 MB were asked for; what waits is bounded by the wire and the kernel
      assert.isBelow(process.memoryUsage().arrayBuffers - before, 10_000_000)
      const heard = yield* ask(() =>
        new Promise<number>((resolve) => {
          let octets = 0
          socket.on("data", (chunk: Buffer) => {
            octets += chunk.length
            if (chunk.subarray(-40).includes("c OK")) resolve(octets)
          })
          socket.resume()
        })
      )
      assert.isAbove(heard, 40_000_000)
    }))
})
