import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { DeliveryStatus } from "../../src/domain/DeliveryStatus.ts"
import { layer } from "../../src/driver/mailparser.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"

const lines = (...text: ReadonlyArray<string>) => text.join("\r\n")
const read = (source: string) =>
  Effect.map(
    Effect.flatMap(MessageParser, ({ parse }) => parse(Buffer.from(source))),
    (message) => DeliveryStatus.of(message)
  )
    .pipe(Effect.provide(layer))

const report = (status: ReadonlyArray<string>, returned: ReadonlyArray<string> = [], type = "message/rfc822") =>
  lines(
    "Return-Path: <>",
    "From: MAILER-DAEMON@mx.example.com",
    "To: ann@example.com",
    "Subject: Undelivered Mail Returned to Sender",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    "Sorry.",
    "",
    "--b",
    "Content-Type: message/delivery-status",
    "",
    ...status,
    "",
    ...(returned.length === 0 ? [] : ["--b", `Content-Type: ${type}`, "", ...returned, ""]),
    "--b--",
    ""
  )
const plain = (headers: ReadonlyArray<string>, ...text: ReadonlyArray<string>) =>
  lines(
    "Return-Path: <>",
    ...(headers.some((each) => each.startsWith("From:"))
      ? []
      : ["From: Mail Delivery System <Mailer-Daemon@mx.example.com>"]),
    "Subject: failure",
    ...headers,
    "",
    ...text,
    ""
  )

interface Expected {
  readonly standard: boolean
  readonly id?: string
  readonly recipients: ReadonlyArray<
    readonly [recipient: string, action: string, status: string | undefined, permanent: boolean]
  >
}

const table: ReadonlyArray<readonly [string, string, Expected]> = [
  [
    "one address that does not exist",
    report([
      "Reporting-MTA: dns; mx.example.com",
      "Original-Envelope-Id: 77",
      "",
      "Final-Recipient: rfc822; nobody@example.org",
      "Action: failed",
      "Status: 5.1.1",
      "Remote-MTA: dns; in.example.org",
      "Diagnostic-Code: smtp; 550 5.1.1 <nobody@example.org>:",
      "    no such user"
    ], ["Message-ID: <1@example.com>", "Subject: hi", "", "text", "Message-ID: <not-this@example.com>"]),
    { standard: true, id: "<1@example.com>", recipients: [["nobody@example.org", "failed", "5.1.1", true]] }
  ],
  [
    "several recipients, and the header alone returned",
    report(
      [
        "Reporting-MTA: dns;mx.example.com",
        "",
        "Original-Recipient: rfc822;a@example.org",
        "Final-Recipient: RFC822; <a@mail.example.org>",
        "Action: FAILED (no mailbox)",
        "Status: 5.2.2 (full)",
        "",
        "Final-Recipient: rfc822;b@example.org",
        "Action: delayed",
        "Status: 4.4.1",
        "",
        "Final-Recipient: rfc822;c@example.org",
        "Action: relayed",
        "Status: 2.0.0"
      ],
      ["Subject: hi", "message-id:", " <2@example.com>"],
      "text/rfc822-headers"
    ),
    {
      standard: true,
      id: "<2@example.com>",
      recipients: [
        ["a@mail.example.org", "failed", "5.2.2", true],
        ["b@example.org", "delayed", "4.4.1", false],
        ["c@example.org", "relayed", "2.0.0", false]
      ]
    }
  ],
  [
    "a server that gave up on a transient failure",
    report(["Reporting-MTA: dns; x", "", "Final-Recipient: rfc822; a@example.org", "Action: failed", "Status: 4.4.7"]),
    { standard: true, recipients: [["a@example.org", "failed", "4.4.7", false]] }
  ],
  [
    "a report without fields of the message, nor an action",
    report(["Final-Recipient: rfc822; a@example.org", "Status: 5.7.1"]),
    { standard: true, recipients: [["a@example.org", "failed", "5.7.1", true]] }
  ],
  [
    "Exim, with the recipients in a field",
    plain(
      ["X-Failed-Recipients: a@example.org, b@example.org"],
      "This message was created automatically by mail delivery software.",
      "",
      "  a@example.org",
      "    host in.example.org [192.0.2.1]",
      "    SMTP error from remote mail server after RCPT TO:<a@example.org>:",
      "    550 5.1.1 unknown user",
      "",
      "  b@example.org",
      "    452 4.2.2 mailbox full",
      "",
      "------ This is a copy of the message, including all the headers. ------",
      "",
      "Message-Id: <3@example.com>",
      "To: c@example.org"
    ),
    {
      standard: false,
      id: "<3@example.com>",
      recipients: [["a@example.org", "failed", "5.1.1", true], ["b@example.org", "failed", "4.2.2", false]]
    }
  ],
  [
    "Exim, which has not given up yet",
    plain(
      ["Subject: Warning: message delayed"],
      "A message that you sent has not yet been delivered to one or more of its",
      "recipients after more than 24 hours on the queue.",
      "",
      "  a@example.org",
      "    Delay reason: connection refused",
      "",
      "No action is required on your part."
    ),
    { standard: false, recipients: [["a@example.org", "delayed", undefined, false]] }
  ],
  [
    "qmail",
    plain(
      ["From: MAILER-DAEMON@example.net"],
      "Hi. This is the qmail-send program at example.net.",
      "I'm afraid I wasn't able to deliver your message to the following addresses.",
      "",
      "<a@example.org>:",
      "192.0.2.1 does not like recipient.",
      "Remote host said: 550 No such user here",
      "Giving up on 192.0.2.1.",
      "",
      "--- Below this line is a copy of the message.",
      "",
      "Return-Path: <ann@example.com>",
      "Message-ID: <4@example.com>",
      "",
      "<not@example.org>:"
    ),
    { standard: false, id: "<4@example.com>", recipients: [["a@example.org", "failed", undefined, true]] }
  ],
  [
    "a server that only names the address",
    plain(
      ["From: postmaster@example.net"],
      "Your message to these could not be delivered:",
      "",
      "   a@example.org",
      ""
    ),
    { standard: false, recipients: [["a@example.org", "failed", undefined, true]] }
  ]
]

describe("delivery status", () => {
  for (const [title, source, expected] of table) {
    it.effect(`is read from ${title}`, () =>
      Effect.gen(function*() {
        const found = Option.getOrThrow(yield* read(source))
        assert.deepStrictEqual<unknown>(
          {
            standard: found.standard,
            ...(found.originalMessageId === undefined ? {} : { id: found.originalMessageId }),
            recipients: found.recipients.map((each) => [each.recipient, each.action, each.status, each.permanent])
          },
          expected
        )
      }))
  }

  it.effect("tells who said what", () =>
    Effect.gen(function*() {
      const found = Option.getOrThrow(yield* read(table[0]?.[1] ?? ""))
      assert.deepStrictEqual([found.reportingMta, found.originalEnvelopeId], ["mx.example.com", "77"])
      assert.deepStrictEqual([found.recipients[0]?.remoteMta, found.recipients[0]?.diagnostic], [
        "in.example.org",
        "550 5.1.1 <nobody@example.org>: no such user"
      ])
      const [first] = Option.getOrThrow(yield* read(table[1]?.[1] ?? "")).recipients
      assert.strictEqual(first?.originalRecipient, "a@example.org")
      const [exim] = Option.getOrThrow(yield* read(table[4]?.[1] ?? "")).recipients
      assert.include(exim?.diagnostic ?? "", "550 5.1.1 unknown user")
    }))

  it.effect("is in no other message", () =>
    Effect.gen(function*() {
      const others = [
        lines("From: ann@example.com", "Subject: 550 5.1.1", "", "<a@example.org>:", "550 no", ""),
        lines("From: postmaster@example.com", "", "The server is down on Friday. Write to me@example.com.", ""),
        report(["Reporting-MTA: dns; x"]),
        report(["Final-Recipient: rfc822; no address", "Action: failed"]),
        ""
      ]
      for (const source of others) assert.isTrue(Option.isNone(yield* read(source)), source)
    }))

  it.effect.prop(
    "is looked for in anything without failing",
    [Schema.String, Schema.String],
    ([status, text]) =>
      Effect.gen(function*() {
        yield* read(report([status], [text]))
        yield* read(plain([], status, text))
      }),
    { arbitrary: { runs: 40 } }
  )
})
