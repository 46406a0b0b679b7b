import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import { gone, unanswered } from "../../docs/examples/bounces.ts"
import * as Forward from "../../docs/examples/forward.ts"
import * as Invite from "../../docs/examples/invite.ts"
import * as Reply from "../../docs/examples/reply.ts"
import { layer as layerParser } from "../../src/driver/mailparser.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"
import { AccountConfig, CalendarPart, Endpoint, MailAccount, type Message, Password, Query } from "../../src/index.ts"
import { MailServer, SampleMail } from "../../src/testing/index.ts"

const letter = (...lines: ReadonlyArray<string>) => [...lines, ""].join("\r\n")
const invoice = letter(
  "From: Bob <bob@example.com>",
  "To: alice@example.com, cy@example.com",
  "Subject: AW: invoice",
  "Date: Mon, 05 Jan 2026 10:00:00 +0000",
  "Message-ID: <2@example.com>",
  "References: <1@example.com>",
  "",
  "Here it is."
)
const bounce = letter(
  "Return-Path: <>",
  "From: MAILER-DAEMON@example.org",
  "Subject: Undelivered",
  "Date: Tue, 06 Jan 2026 10:00:00 +0000",
  "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
  "",
  "--b",
  "Content-Type: message/delivery-status",
  "",
  "Reporting-MTA: dns; example.org",
  "",
  "Final-Recipient: rfc822; dan@example.org",
  "Action: failed",
  "Status: 5.1.1",
  "",
  "--b",
  "Content-Type: text/rfc822-headers",
  "",
  "Message-ID: <9@example.com>",
  "",
  "--b--"
)

const server = MailServer.layer({
  users: ["alice", "bob"].map((name) => ({
    name,
    password: "secret",
    address: `${name}@example.com`,
    specialUse: true,
    mailboxes: { INBOX: [invoice, bounce] }
  }))
})
const account = Layer.unwrap(Effect.map(MailServer, ({ host, imapPort, smtpPort }) =>
  MailAccount.layer(
    new AccountConfig({
      filesSentMail: false,
      name: "alice",
      imap: new Endpoint({ host, port: imapPort, security: "none" }),
      smtp: new Endpoint({ host, port: smtpPort, security: "none" }),
      credentials: new Password({ user: "alice", password: Redacted.make("secret") }),
      address: "alice@example.com"
    })
  )))
const layers = Layer.mergeAll(Layer.provideMerge(account, server), layerParser)

const sent = Effect.gen(function*() {
  const { accepted } = yield* MailServer
  const { parse } = yield* MessageParser
  return yield* Effect.forEach(accepted(), ({ source }) => parse(source))
})

describe("docs/composing.md", () => {
  it.live("answers people in their thread, and no program", () =>
    Effect.gen(function*() {
      yield* Reply.main
      const [answer, ...others] = yield* sent
      assert.isEmpty(others)
      assert.strictEqual(answer?.subject, "Re: invoice")
      assert.deepStrictEqual(answer?.from.map(String), ["Alice <alice@example.com>"])
      assert.deepStrictEqual(answer?.to.map(String), ["Bob <bob@example.com>", "cy@example.com"])
      assert.deepStrictEqual([answer?.inReplyTo, answer?.references], ["<2@example.com>", [
        "<1@example.com>",
        "<2@example.com>"
      ]])
      assert.strictEqual(
        answer?.text,
        "Thank you, we have it.\n\nOn 2026-01-05 10:00 UTC, Bob <bob@example.com> wrote:\n> Here it is.\n"
      )
      assert.isTrue(answer?.headers.some(({ name, value }) => name === "Auto-Submitted" && value === "auto-replied"))
    }).pipe(Effect.provide(layers)))

  it.live("forwards whole and inside the text", () =>
    Effect.gen(function*() {
      yield* Forward.main
      const [whole, inside] = yield* sent
      assert.strictEqual(Buffer.from(whole?.attachments[0]?.content ?? []).toString(), invoice)
      assert.include(inside?.text ?? "", "Here it is.")
    }).pipe(Effect.provide(layers)))

  it.live("invites", () =>
    Effect.gen(function*() {
      yield* Invite.main
      const [invitation] = yield* sent
      assert.deepStrictEqual(CalendarPart.of(invitation ?? assert.fail()).map(({ method }) => method), ["REQUEST"])
      assert.sameMembers(invitation?.attachments.map(({ type }) => type) ?? [], [
        "text/calendar",
        "image/gif",
        "text/plain",
        "application/ics"
      ])
    }).pipe(Effect.provide(layers)))

  it.live("finds addresses that are gone, and conversations without an answer", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* gone(new Set(["<9@example.com>"])), ["dan@example.org"])
      assert.deepStrictEqual(yield* gone(new Set()), [])
      const threads = yield* unanswered("bob@example.com")
      assert.deepStrictEqual(threads.map(({ subject }) => subject), ["Undelivered"])
    }).pipe(Effect.provide(layers)))

  it.live("is right that a message without attachments says the same, and fetches each when it is wanted", () =>
    Effect.gen(function*() {
      const { store } = yield* MailServer
      const mail = yield* MailAccount
      yield* mail.createMailbox("Samples")
      const box = store.user("alice")
      const samples = SampleMail.make({ seed: 11, count: 150 })
      for (const { source } of samples) {
        box?.append("Samples", source, { flags: [], internalDate: new Date(0) })
      }
      const whole = yield* Stream.runCollect(mail.messages(Query.in("Samples")))
      const outlines = yield* Stream.runCollect(mail.messages(Query.in("Samples"), { attachments: "names" }))
      assert.strictEqual(outlines.length, 150)
      for (const [index, outline] of outlines.entries()) {
        const message = whole[index] ?? assert.fail()
        // of broken parts, a server and the parser may each make their own
        if (samples[index]?.broken === true) continue
        const said = ({ html, subject, text, to }: Pick<Message, "html" | "subject" | "text" | "to">) => ({
          html: html?.trimEnd() ?? "",
          subject,
          text: text?.trimEnd() ?? "",
          to
        })
        assert.deepStrictEqual(said(outline), said(message), samples[index]?.kind)
        assert.deepStrictEqual(
          outline.attachments.map(({ filename, type }) => [filename, type]),
          message.attachments.map(({ filename, type }) => [filename, type]),
          samples[index]?.kind
        )
      }
    }).pipe(Effect.provide(layers)))
})
