import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MailServer } from "../../src/testing/MailServer.ts"
import { mail, users } from "./mail-server.ts"
import { Transcript } from "./transcript.ts"

const start = MailServer.make({ users: users ?? [] })

const login = Effect.fnUntraced(function*(port: number) {
  const transcript = yield* Transcript.open(port)
  yield* transcript.until(/OK/)
  yield* transcript.say("a LOGIN bob secret", /^a OK/)
  return transcript
})

const selected = Effect.fnUntraced(function*(port: number) {
  const transcript = yield* login(port)
  yield* transcript.say("s SELECT INBOX", /^s OK/)
  return transcript
})

describe("MailServer given odd input", () => {
  it.live("refuses an overlong line, and goes on with the next", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* login(server.imapPort)
      const lines = yield* transcript.say(`b ${"x".repeat(200_000)}\r\nc NOOP`, /^c /)
      assert.deepStrictEqual(lines, ["b BAD Too long argument", "c OK NOOP completed"])
    }))

  it.live("refuses a literal beyond the bound, with and without waiting for it", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* login(server.imapPort)
      assert.deepStrictEqual(yield* transcript.say("b APPEND INBOX {999999999999}", /^b /), ["b BAD literal too large"])
      yield* transcript.write("c APPEND INBOX {70000000+}\r\n")
      yield* transcript.write(Buffer.alloc(70_000_000, 65))
      assert.deepStrictEqual(yield* transcript.say("\r\nd NOOP", /^d /), [
        "c BAD literal too large",
        "d OK NOOP completed"
      ])
    }))

  it.live("answers what is no command with BAD and its tag, if it has one", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* selected(server.imapPort)
      const said: ReadonlyArray<readonly [line: string, answer: RegExp]> = [
        ["x FROBNICATE", /^x BAD Unknown command FROBNICATE/],
        ["x UID NOOP", /^x BAD Unknown command UID NOOP/],
        ["x", /^x BAD /],
        ["", /^\* BAD /],
        ["* NOOP", /^\* BAD /],
        ["x FETCH 1 (FLAGS", /^x BAD missing \)/],
        ["x FETCH 1 FLAGS)", /^x BAD unexpected \)/],
        ["x FETCH 1 BODY[HEADER.FIELDS ()]", /^x BAD /],
        ["x FETCH 1 BODY[1.]", /^x BAD invalid section/],
        ["x FETCH 1 BODY[]<a.b>", /^x BAD invalid partial/],
        ["x FETCH 0 FLAGS", /^x BAD invalid sequence set/],
        ["x FETCH 9 FLAGS", /^x BAD no such message number/],
        ["x FETCH 1:x FLAGS", /^x BAD /],
        ["x SEARCH NONSENSE", /^x BAD unknown search key/],
        ["x SEARCH", /^x BAD missing search key/],
        ["x STORE 1 FLAGZ ()", /^x BAD /],
        [`x SEARCH ${"(".repeat(100)}ALL${")".repeat(100)}`, /^x BAD too many levels/],
        [`x SEARCH ${"NOT ".repeat(10_000)}ALL`, /^x BAD search is nested too deeply/],
        ["x LIST \"\" \"abc", /^x BAD missing quote/],
        ["x STATUS INBOX (NONSENSE)", /^x BAD Unknown status item/],
        ["x ENABLE", /^\* ENABLED|^x OK/]
      ]
      for (const [line, answer] of said) assert.match((yield* transcript.say(line, /^(?:x|\*) /)).at(-1) ?? "", answer)
    }))

  it.live("refuses commands that the state does not allow", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* Transcript.open(server.imapPort)
      yield* transcript.until(/OK/)
      assert.deepStrictEqual(yield* transcript.say("a SELECT INBOX", /^a /), ["a BAD log in first"])
      yield* transcript.say("b LOGIN bob secret", /^b OK/)
      assert.deepStrictEqual(yield* transcript.say("c FETCH 1 FLAGS", /^c /), ["c BAD no mailbox is selected"])
      assert.deepStrictEqual(yield* transcript.say("d LOGIN bob secret", /^d /), ["d BAD already logged in"])
    }))

  it.live("answers pipelined commands in order, also those with literals", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* Transcript.open(server.imapPort)
      const appends = Array.from({ length: 50 }, (_, n) => `${n} APPEND Sent {${mail(n).length}+}\r\n${mail(n)}\r\n`)
      yield* transcript.write(`a LOGIN {3+}\r\nbob {6+}\r\nsecret\r\n${appends.join("")}`)
      yield* transcript.write("z LOGOUT\r\nnever NOOP\r\n")
      const tags = (yield* transcript.rest).filter((line) => !line.startsWith("*")).map((line) =>
        line.split(" ", 2).join(" ")
      )
      assert.deepStrictEqual(tags, ["a OK", ...appends.map((_, n) => `${n} OK`), "z OK"])
      assert.strictEqual(server.store.user("bob")?.mailbox("Sent")?.exists, 50)
    }))

  it.live("answers what a half-closed client had asked, and closes", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* selected(server.imapPort)
      yield* transcript.write("b FETCH 1:* (RFC822.SIZE)\r\nc NOOP\r\n")
      yield* transcript.end
      assert.deepStrictEqual((yield* transcript.rest).slice(-2), ["b OK FETCH completed", "c OK NOOP completed"])
    }))

  it.live("takes commands octet by octet, and literals in pieces", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* Transcript.open(server.imapPort)
      yield* transcript.until(/OK/)
      for (const octet of "a LOGIN {3}\r\n") {
        yield* transcript.write(octet)
        yield* Effect.sleep("1 millis")
      }
      assert.deepStrictEqual(yield* transcript.until(/^\+/), ["+ OK"])
      yield* transcript.write("bo")
      yield* Effect.sleep("2 millis")
      yield* transcript.write("b \"se")
      yield* Effect.sleep("2 millis")
      assert.match((yield* transcript.say("cret\"", /^a /)).at(-1) ?? "", /^a OK/)
    }))

  it.live("never falls over random octets", () =>
    Effect.gen(function*() {
      const server = yield* start
      // Small and fixed, so that a failure repeats: a linear congruential generator
      let seed = 20261122
      const random = (below: number) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
        return Math.floor(seed / 2 ** 32 * below)
      }
      const pieces = [
        "a ",
        "LOGIN bob secret",
        "SELECT INBOX",
        "UID ",
        "FETCH 1:* ",
        "(BODY[",
        "]",
        ")",
        "(",
        "\"",
        "{3}",
        "{3+}",
        "{0+}"
      ]
      const more = [
        "\r\n",
        "\n",
        "<0.5>",
        "STORE 1 FLAGS ",
        "SEARCH OR NOT ",
        "IDLE",
        "DONE",
        "AUTHENTICATE PLAIN",
        "*",
        "\\",
        "\0",
        "\xff",
        "~{2+}"
      ]
      const smtp = ["EHLO x\r\n", "AUTH PLAIN ", "MAIL FROM:<", ">", "RCPT TO:<", "DATA\r\n", ".\r\n"]
      const all = [...pieces, ...more, ...smtp]
      for (let round = 0; round < 300; round++) {
        const length = 1 + random(40)
        const octets = Array.from({ length }, () =>
          random(4) === 0 ? String.fromCharCode(random(256)) : all[random(all.length)] ?? "").join("")
        yield* Effect.scoped(Effect.gen(function*() {
          const transcript = yield* Transcript.open(round % 3 === 0 ? server.smtpPort : server.imapPort)
          yield* transcript.until(/^(?:220|\* OK)/)
          if (round % 3 !== 0) {
            yield* transcript.write("l LOGIN bob secret\r\ns SELECT INBOX\r\n")
          }
          yield* transcript.write(`${octets}\r\n`)
          yield* transcript.end
          yield* transcript.rest
        }))
      }
      const transcript = yield* selected(server.imapPort)
      assert.match((yield* transcript.say("x NOOP", /^x /)).at(-1) ?? "", /^x OK/)
      assert.strictEqual(server.connections().length, 1)
    }))
})

describe("MailServer with several sessions", () => {
  it.live("keeps sequence numbers while FETCH, STORE and SEARCH run, and tells expunges after other commands", () =>
    Effect.gen(function*() {
      const server = yield* start
      const inbox = server.store.user("bob")?.inbox
      const transcript = yield* selected(server.imapPort)
      inbox?.take([2])
      assert.deepStrictEqual(yield* transcript.say("a FETCH 1:4 (UID)", /^a /), [
        "* 1 FETCH (UID 1)",
        "* 3 FETCH (UID 3)",
        "* 4 FETCH (UID 4)",
        "a OK FETCH completed"
      ])
      assert.deepStrictEqual(yield* transcript.say("b SEARCH ALL", /^b /), ["* SEARCH 1 3 4", "b OK SEARCH completed"])
      assert.deepStrictEqual(yield* transcript.say("c NOOP", /^c /), ["* 2 EXPUNGE", "c OK NOOP completed"])
      assert.deepStrictEqual(yield* transcript.say("d SEARCH ALL", /^d /), ["* SEARCH 1 2 3", "d OK SEARCH completed"])
    }))

  it.live("tells new mail and flags at any command, and what came and went between two never", () =>
    Effect.gen(function*() {
      const server = yield* start
      const bob = server.store.user("bob")
      const transcript = yield* selected(server.imapPort)
      bob?.append("INBOX", Buffer.from(mail(5)), { internalDate: new Date() })
      bob?.append("INBOX", Buffer.from(mail(6)), { internalDate: new Date() })
      bob?.inbox.take([5])
      bob?.inbox.store([1], "add", ["\\Seen"])
      assert.deepStrictEqual(yield* transcript.say("a UID FETCH 9:* (UID)", /^a /), [
        "* 4 FETCH (UID 4)",
        "* 5 EXISTS",
        "* 1 FETCH (FLAGS (\\Seen))",
        "a OK FETCH completed"
      ])
      assert.deepStrictEqual(yield* transcript.say("b FETCH 5 (UID)", /^b /), [
        "* 5 FETCH (UID 6)",
        "b OK FETCH completed"
      ])
    }))

  it.live("tells each session in its own terms: sequence numbers, mod-sequences, VANISHED", () =>
    Effect.gen(function*() {
      const server = yield* start
      const inbox = server.store.user("bob")?.inbox
      const plain = yield* selected(server.imapPort)
      const condstore = yield* login(server.imapPort)
      yield* condstore.say("s SELECT INBOX (CONDSTORE)", /^s OK/)
      const qresync = yield* login(server.imapPort)
      yield* qresync.say("e ENABLE QRESYNC", /^e OK/)
      yield* qresync.say("s SELECT INBOX", /^s OK/)
      inbox?.take([1, 3])
      inbox?.store([2], "add", ["\\Flagged"])
      assert.deepStrictEqual((yield* plain.say("n NOOP", /^n /)).slice(0, -1), [
        "* 3 EXPUNGE",
        "* 1 EXPUNGE",
        "* 1 FETCH (FLAGS (\\Flagged))"
      ])
      assert.strictEqual((yield* condstore.say("n NOOP", /^n /)).at(2), "* 1 FETCH (MODSEQ (7) FLAGS (\\Flagged))")
      assert.deepStrictEqual((yield* qresync.say("n NOOP", /^n /)).slice(0, -1), [
        "* VANISHED 1,3",
        "* 1 FETCH (UID 2 MODSEQ (7) FLAGS (\\Flagged))"
      ])
    }))

  it.live("tells an idling session at once, and says BYE when its mailbox is deleted", () =>
    Effect.gen(function*() {
      const server = yield* start
      const bob = server.store.user("bob")
      const transcript = yield* login(server.imapPort)
      yield* transcript.say("s SELECT Archive", /^s OK/)
      yield* transcript.say("i IDLE", /^\+/)
      bob?.append("Archive", Buffer.from(mail(1)), { internalDate: new Date() })
      assert.deepStrictEqual(yield* transcript.until(/EXISTS/), ["* 1 EXISTS"])
      bob?.inbox.store([1], "add", ["\\Seen"])
      bob?.deleteMailbox("Archive")
      assert.match((yield* transcript.rest).at(-1) ?? "", /^\* BYE .*deleted/)
    }))

  it.live("refuses a conditional STORE where another session was faster", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* selected(server.imapPort)
      server.store.user("bob")?.inbox.store([2], "add", ["\\Seen"])
      const lines = yield* transcript.say("a UID STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Flagged)", /^a /)
      assert.strictEqual(lines.at(-1), "a OK [MODIFIED 2] Conditional STORE failed for some")
      assert.isFalse(server.store.user("bob")?.inbox.message(2)?.flags.has("\\Flagged"))
      assert.isTrue(server.store.user("bob")?.inbox.message(1)?.flags.has("\\Flagged"))
    }))

  it.live("marks as seen what is read without PEEK, unless the mailbox was only examined", () =>
    Effect.gen(function*() {
      const server = yield* start
      const transcript = yield* login(server.imapPort)
      yield* transcript.say("e EXAMINE INBOX", /^e OK/)
      assert.match((yield* transcript.say("s STORE 1 FLAGS (\\Seen)", /^s /)).at(-1) ?? "", /^s NO \[READ-ONLY\]/)
      yield* transcript.say("f FETCH 1 (BODY[HEADER])", /^f /)
      assert.deepStrictEqual([...server.store.user("bob")?.inbox.message(1)?.flags ?? []], [])
      yield* transcript.say("s SELECT INBOX", /^s OK/)
      const lines = yield* transcript.say("f FETCH 1 (BODY[TEXT])", /^f /)
      assert.deepStrictEqual(lines, [
        "* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {9}",
        "hello 1",
        ")",
        "f OK FETCH completed"
      ])
    }))
})

describe("MailServer without an extension", () => {
  it.live("does not announce it and does not know its commands", () =>
    Effect.gen(function*() {
      const without = [
        "IDLE",
        "MOVE",
        "UIDPLUS",
        "CONDSTORE",
        "QUOTA",
        "OBJECTID",
        "ESEARCH",
        "SPECIAL-USE",
        "LITERAL+"
      ] as const
      const server = yield* MailServer.make({ users: users ?? [], without })
      const transcript = yield* selected(server.imapPort)
      const [capabilities = ""] = yield* transcript.say("c CAPABILITY", /^c /)
      for (const name of [...without, "QRESYNC"]) assert.notInclude(capabilities.split(" "), name)
      for (
        const command of [
          "IDLE",
          "UID MOVE 1 Archive",
          "UID EXPUNGE 1",
          "FETCH 1 MODSEQ",
          "FETCH 1 EMAILID",
          "GETQUOTAROOT INBOX",
          "SEARCH RETURN (COUNT) ALL"
        ]
      ) assert.match((yield* transcript.say(`x ${command}`, /^x /)).at(-1) ?? "", /^x BAD/, command)
      assert.deepStrictEqual(yield* transcript.say("y UID COPY 1 Archive", /^y /), ["y OK COPY completed"])
      assert.notMatch((yield* transcript.say("l LIST \"\" Sent", /^l /)).join(), /\\Sent/)
    }))
})
