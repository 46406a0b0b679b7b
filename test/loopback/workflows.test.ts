/** The five programs of docs/workflows.md, run against a mail server and judged by what it saw. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Redacted, Ref, Schedule, Stream } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { autoFile, rules } from "../../docs/examples/auto-file.ts"
import { digest } from "../../docs/examples/digest.ts"
import { exportMailbox } from "../../docs/examples/export.ts"
import { invitation, limits, mailMerge, type Outcome } from "../../docs/examples/mail-merge.ts"
import { type CursorStore, replyBot } from "../../docs/examples/reply-bot.ts"
import { layer as layerParser } from "../../src/driver/mailparser.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"
import { AccountConfig, Endpoint, Limits, MailAccount, Password, RateWindow } from "../../src/index.ts"
import { MailServer, SampleMail } from "../../src/testing/index.ts"

let count = 0
const letter = (fields: Readonly<Record<string, string>>, body = "hello") => {
  const all = {
    From: "Bob <bob@example.com>",
    To: "alice@example.com",
    "Message-ID": `<${++count}@w.example>`,
    ...fields
  }
  return [...Object.entries(all).map(([name, value]) => `${name}: ${value}`), "", body, ""].join("\r\n")
}

type Seeds = ReadonlyArray<
  string | Uint8Array | {
    readonly source: string
    readonly flags?: ReadonlyArray<string>
    readonly internalDate?: Date
  }
>

/** Received now: the server's clock is the machine's here. */
const fresh = (source: string) => ({ source, internalDate: new Date() })

const world = (inbox: Seeds, accountLimits = new Limits({})) => {
  const server = MailServer.layer({
    users: [
      {
        name: "alice",
        password: "secret",
        address: "alice@example.com",
        specialUse: true,
        mailboxes: { INBOX: inbox }
      },
      { name: "bob", password: "secret", address: "bob@example.com" }
    ]
  })
  const account = Layer.unwrap(Effect.map(MailServer, ({ host, imapPort, smtpPort }) =>
    MailAccount.layer(
      new AccountConfig({
        filesSentMail: false,
        name: "alice",
        imap: new Endpoint({ host, port: imapPort, security: "none" }),
        smtp: new Endpoint({ host, port: smtpPort, security: "none" }),
        credentials: new Password({ user: "alice", password: Redacted.make("secret") }),
        address: "alice@example.com",
        limits: accountLimits
      })
    )))
  return Layer.mergeAll(Layer.provideMerge(account, server), layerParser)
}

const sent = Effect.gen(function*() {
  const { accepted } = yield* MailServer
  const { parse } = yield* MessageParser
  return yield* Effect.forEach(accepted(), ({ source }) => parse(source))
})

/** Waits for what a program that does not end by itself has done. */
const until = <A, E, R>(effect: Effect.Effect<A, E, R>, done: (value: A) => boolean) =>
  Effect.repeat(effect, { until: done, schedule: Schedule.spaced("10 millis") })

describe("docs/workflows.md", () => {
  it.live("files mail by rules, each message by the first that fits, and finds nothing to do a second time", () =>
    Effect.gen(function*() {
      const mail = yield* MailAccount
      assert.deepStrictEqual(yield* autoFile(rules), [
        { to: "Lists", filed: 2 },
        { to: "Invoices", filed: 1 },
        { to: "Archive", filed: 1 }
      ])
      assert.deepStrictEqual((yield* autoFile(rules)).map(({ filed }) => filed), [0, 0, 0])
      assert.strictEqual((yield* mail.status("INBOX")).messages, 2)
      assert.strictEqual((yield* mail.status("Lists")).messages, 2)
    }).pipe(Effect.provide(world([
      letter({ "List-Id": "<a.example>", Subject: "invoice for all" }, "x".repeat(2000)),
      letter({ "List-Id": "<b.example>" }),
      letter({ Subject: "Your invoice" }, "x".repeat(2000)),
      letter({ Subject: "a small invoice" }),
      { source: letter({ From: "no-reply@example.com" }), flags: ["\\Seen"], internalDate: new Date(0) },
      { source: letter({ From: "no-reply@example.com" }), internalDate: new Date(0) }
    ]))))

  it.live("sends one digest of the unread conversations, and leaves them unread", () =>
    Effect.gen(function*() {
      const mail = yield* MailAccount
      const receipt = yield* digest("alice@example.com")
      assert.deepStrictEqual(receipt?.accepted, ["alice@example.com"])
      const [message] = yield* sent
      assert.strictEqual(message?.subject, "2 unread conversations")
      assert.strictEqual(
        message?.text,
        "2026-01-05  plan  (2: Bob, Cy)\n2026-01-06  other  (1: Bob)\n"
      )
      // the digest itself has been delivered
      assert.strictEqual((yield* mail.status("INBOX")).unseen, 4)
    }).pipe(Effect.provide(world([
      fresh(letter({ Subject: "plan", "Message-ID": "<p@x>", Date: "Sun, 04 Jan 2026 10:00:00 +0000" })),
      fresh(letter({ Subject: "other", Date: "Tue, 06 Jan 2026 10:00:00 +0000" })),
      fresh(
        letter({
          From: "Cy <cy@x.org>",
          Subject: "Re: plan",
          "In-Reply-To": "<p@x>",
          Date: "Mon, 05 Jan 2026 10:00:00 +0000"
        })
      ),
      { source: letter({ Subject: "read" }), flags: ["\\Seen"] }
    ]))))

  it.live("answers each message once, over a restart, and no program", () =>
    Effect.gen(function*() {
      const mail = yield* MailAccount
      const saved = yield* Ref.make(Option.none<string>())
      const store: CursorStore<never> = {
        load: Ref.get(saved),
        save: (cursor) => Ref.set(saved, Option.some(cursor))
      }
      const addressees = Effect.map(sent, (messages) => messages.flatMap(({ to }) => to.map(({ address }) => address)))
      const arrive = (from: string, fields: Readonly<Record<string, string>> = {}) =>
        mail.append("INBOX", Buffer.from(letter({ From: from, ...fields })))

      const first = yield* Effect.forkChild(replyBot(store))
      yield* until(Ref.get(saved), Option.isSome)
      yield* arrive("one@x.org")
      yield* arrive("two@x.org", { "Auto-Submitted": "auto-replied" })
      yield* arrive("three@x.org")
      // interrupted before the flag, it would answer once more
      const { store: stored } = yield* MailServer
      const answered = Effect.sync(() =>
        stored.user("alice")?.mailbox("INBOX")?.messages.filter(({ flags }) => flags.has("\\Answered")).length
      )
      yield* until(answered, (count) => count === 2)
      yield* Fiber.interrupt(first)
      yield* arrive("four@x.org")

      const second = yield* Effect.forkChild(replyBot(store))
      yield* until(addressees, ({ length }) => length >= 3)
      yield* arrive("five@x.org")
      yield* until(addressees, ({ length }) => length >= 4)
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(yield* addressees, ["one@x.org", "three@x.org", "four@x.org", "five@x.org"])
    }).pipe(Effect.provide(world([letter({ From: "before@x.org" })]))))

  const archive = SampleMail.make({ seed: 7, count: 60 }).map(({ source }) => source)
  it.live("exports every message as it is stored, with progress, and goes on where it was stopped", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-mail-"))),
      (folder) =>
        Effect.gen(function*() {
          const part = yield* Stream.runCollect(Stream.take(exportMailbox("INBOX", folder), 10))
          assert.deepStrictEqual(part.at(-1), { done: 10, of: 60 })
          const kept = readdirSync(folder).filter((file) => file.endsWith(".eml"))
          for (const file of kept) writeFileSync(join(folder, file), "kept")
          const rest = yield* Stream.runCollect(exportMailbox("INBOX", folder))
          assert.deepStrictEqual(rest[0], { done: kept.length + 1, of: 60 })
          assert.deepStrictEqual(rest.at(-1), { done: 60, of: 60 })
          const files = readdirSync(folder)
          assert.strictEqual(files.length, 60)
          for (const [index, source] of archive.entries()) {
            const file = files.find((name) => name.endsWith(`-${index + 1}.eml`)) ?? assert.fail(`message ${index + 1}`)
            const written = readFileSync(join(folder, file))
            assert.isTrue(kept.includes(file) ? written.toString() === "kept" : written.equals(source), file)
          }
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    ).pipe(Effect.provide(world(archive))))

  const window = Duration.millis(400)
  const merged = new Limits({ ...limits, rates: [new RateWindow({ per: "send", limit: 5, window })] })
  it.live("sends a letter to each, within the limits, and tells what became of it", () =>
    Effect.gen(function*() {
      const { accepted, faults, peak } = yield* MailServer
      faults.add({
        protocol: "smtp",
        at: "RCPT",
        mailbox: "p3@example.org",
        action: { _tag: "Reply", code: 550, text: "5.1.1 no such user" }
      })
      const people = Array.from({ length: 12 }, (_, n) => ({ address: `p${n}@example.org`, name: `P${n}` }))
      const notes = new Map<string, Outcome>()
      const [elapsed, outcomes] = yield* Effect.timed(mailMerge(people, invitation, (person, outcome) =>
        Effect.sync(() => {
          notes.set(person.address, outcome)
        })))
      assert.deepStrictEqual(
        outcomes,
        people.map(({ address }) =>
          address === "p3@example.org" ? "refused" : "sent"
        )
      )
      assert.strictEqual(notes.size, 12)
      assert.sameMembers(
        accepted().flatMap(({ to }) => to),
        people.map(({ address }) => address).filter((each) => each !== "p3@example.org")
      )
      assert.isAtMost(peak({ protocol: "smtp" }), 2)
      // the eleventh start is two windows after the first
      assert.isAtLeast(Duration.toMillis(elapsed), 2 * Duration.toMillis(window) - 5)
    }).pipe(Effect.provide(world([], merged))))
})
