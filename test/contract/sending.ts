/** The contract of sending: what arrives is what was composed, and what cannot be sent is not sent at all. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option, Schedule, Stream } from "effect"
import { Address, Attachment, Draft, type MailError, Query } from "../../src/index.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

/** The sources in INBOX, once there are so many: delivery comes after the server's answer. */
const arrived = (account: Account, count: number): Effect.Effect<ReadonlyArray<Buffer>, MailError> =>
  account.status("INBOX").pipe(
    Effect.repeat({
      until: ({ messages }) => messages >= count,
      schedule: Schedule.spaced("20 millis").pipe(Schedule.upTo({ duration: "3 seconds" }))
    }),
    Effect.andThen(Stream.runCollect(account.fetch(Query.inbox, { source: true }))),
    Effect.map((rows) => rows.map(({ source }) => Buffer.from(source)))
  )

const parsed = (account: Account) => Stream.runCollect(account.messages(Query.inbox))

const header = (source: Buffer | undefined) => `${source}`.split("\r\n\r\n")[0] ?? ""

const date = new Date("2026-05-06T07:08:09Z")

export const sending = ({ test }: Suite): void => {
  describe("sending", () => {
    test("delivers octet for octet what was composed, below the fields of the servers on the way", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const draft = new Draft({
          to: address("bob"),
          subject: "Grüße an alle",
          text: "Zeile eins\n.\n..zwei\n\nžluťoučký kůň\n",
          messageId: "<sent-1@example.com>",
          date
        })
        const receipt = yield* ann.send(draft)
        assert.strictEqual(receipt.messageId, "<sent-1@example.com>")
        assert.deepStrictEqual([...receipt.accepted], [address("bob")])
        assert.deepStrictEqual([...receipt.refused], [])
        assert.match(receipt.response, /^250/)
        const [source] = yield* arrived(bob, 1)
        const composed = Option.getOrThrow(yield* ann.append("Sent", draft))
        const filed = Buffer.concat(yield* Stream.runCollect(ann.source(composed)))
        assert.strictEqual(receipt.size, filed.length)
        assert.strictEqual(source?.subarray(-filed.length).toString(), filed.toString())
        const [message] = yield* parsed(bob)
        assert.strictEqual(message?.subject, "Grüße an alle")
        assert.strictEqual(message?.text?.trimEnd(), "Zeile eins\n.\n..zwei\n\nžluťoučký kůň")
        assert.deepStrictEqual(message?.from.map((from) => from.address), [address("ann")])
        assert.deepStrictEqual(message?.date, date)
      }))

    test("gives a draft that has none a Message-ID and a date", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const draft = new Draft({ to: address("bob"), text: "hello" })
        const receipts = [yield* ann.send(draft), yield* ann.send(draft)]
        yield* arrived(bob, 2)
        const messages = yield* parsed(bob)
        assert.sameMembers(messages.map(({ messageId }) => messageId), receipts.map(({ messageId }) => messageId))
        assert.notStrictEqual(receipts[0]?.messageId, receipts[1]?.messageId)
        assert.isTrue(messages.every((message) => message.date !== undefined))
      }))

    test("makes a Message-ID of ASCII alone, also for a sender in a domain that is not", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const draft = new Draft({ from: "Änn <ann@bücher.example>", subject: "to be filed" })
        const filed = Option.getOrThrow(yield* ann.append("Drafts", draft))
        const { messageId = "" } = yield* ann.message(filed)
        assert.match(messageId, /^<[0-9a-f]+@xn--bcher-kva\.example>$/)
      }))

    test("carries text, HTML, and attachments of every kind", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const content = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) & 0xff)
        yield* ann.send(
          new Draft({
            to: new Address({ name: `Bob "B." Müller, Dr.`, address: address("bob") }),
            subject: "a".repeat(200) + " 日本語",
            text: "plain",
            html: `<p>rich <img src="cid:dot@example.com"></p>`,
            attachments: [
              new Attachment({ content: { bytes: content }, filename: "größe.bin", type: "application/octet-stream" }),
              new Attachment({ content: { text: "text\nlines\n" }, filename: "lines.txt" }),
              new Attachment({
                content: { stream: Stream.make(Uint8Array.of(1, 2), Uint8Array.of(3)) },
                filename: "dot.png",
                type: "image/png",
                contentId: "dot@example.com",
                disposition: "inline"
              }),
              new Attachment({ content: { bytes: new Uint8Array() }, filename: "empty.bin" })
            ],
            headers: { "X-Custom": "übrig", "List-Id": "<list.example.com>" },
            inReplyTo: "<parent@example.com>",
            references: ["<root@example.com>", "<parent@example.com>"],
            replyTo: "replies@example.com"
          })
        )
        yield* arrived(bob, 1)
        const [message] = yield* parsed(bob)
        assert.strictEqual(message?.subject, "a".repeat(200) + " 日本語")
        assert.strictEqual(message?.text?.trim(), "plain")
        assert.include(message?.html, "rich")
        assert.deepStrictEqual(message?.to.map((to) => ({ ...to })), [
          { name: `Bob "B." Müller, Dr.`, address: address("bob") }
        ])
        assert.strictEqual(message?.header("x-custom"), "übrig")
        assert.strictEqual(message?.inReplyTo, "<parent@example.com>")
        assert.deepStrictEqual([...message?.references ?? []], ["<root@example.com>", "<parent@example.com>"])
        assert.deepStrictEqual(message?.replyTo.map(String), ["replies@example.com"])
        const named = (name: string) => message?.attachments.find(({ filename }) => filename === name)
        assert.isTrue(Buffer.from(content).equals(named("größe.bin")?.content ?? new Uint8Array()))
        assert.strictEqual(
          `${Buffer.from(named("lines.txt")?.content ?? [])}`.replaceAll("\r\n", "\n"),
          "text\nlines\n"
        )
        assert.deepStrictEqual([...named("dot.png")?.content ?? []], [1, 2, 3])
        assert.deepInclude(named("dot.png"), { disposition: "inline", contentId: "dot@example.com" })
        assert.strictEqual(named("empty.bin")?.size, 0)
        assert.deepStrictEqual(message?.problems, [])
      }))

    test("delivers copies and blind copies, and shows nobody the blind ones", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const draft = { to: "Somebody <" + address("ann") + ">", subject: "hidden", text: "x" }
        const receipt = yield* ann.send(new Draft({ ...draft, bcc: address("bob") }))
        assert.sameMembers([...receipt.accepted], [address("ann"), address("bob")])
        const [seen] = yield* arrived(ann, 1)
        const [blind] = yield* arrived(bob, 1)
        for (const source of [seen, blind]) {
          assert.notMatch(header(source), /^bcc:/im)
          const own = header(source).split("\r\n").filter((line) => /^(To|Cc|From|Subject):/i.test(line)).join("\n")
          assert.notInclude(own, address("bob"))
        }
        const copied = yield* ann.send(
          new Draft({ ...draft, to: address("ann"), cc: [address("bob"), address("ann")] })
        )
        assert.strictEqual(copied.accepted.length, 2, "nobody gets it twice")
        yield* arrived(bob, 2)
        assert.deepStrictEqual((yield* parsed(bob))[1]?.cc.map((cc) => cc.address), [address("bob"), address("ann")])
      }))

    test("sends to those the server takes, and tells whom it refused", ({ address, open, refusedAddress }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const draft = new Draft({ to: [address("bob"), refusedAddress], subject: "in part", text: "x" })
        const receipt = yield* ann.send(draft)
        assert.deepStrictEqual([...receipt.accepted], [address("bob")])
        assert.strictEqual(receipt.refused.length, 1)
        assert.deepInclude(receipt.refused[0], { address: refusedAddress, code: 550, permanent: true })
        assert.strictEqual((yield* arrived(bob, 1)).length, 1)
      }))

    test("sends to nobody where one recipient is refused and all were asked for", ({ address, open, refusedAddress }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const draft = new Draft({ to: [address("bob"), refusedAddress], text: "x" })
        const reason = yield* reasonOf(ann.send(draft, { allRecipients: true }))
        assert.strictEqual(reason._tag, "RecipientsRejected")
        yield* ann.send(new Draft({ to: address("bob"), subject: "after", text: "x" }))
        yield* arrived(bob, 1)
        assert.deepStrictEqual((yield* parsed(bob)).map(({ subject }) => subject), ["after"])
      }))

    test("fails where every recipient is refused, and the connection serves the next message", ({ address, open, refusedAddress }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const reason = yield* reasonOf(ann.send(new Draft({ to: refusedAddress, text: "x" })))
        assert.strictEqual(reason._tag, "RecipientsRejected")
        const recipients = "recipients" in reason ? reason.recipients : []
        assert.deepStrictEqual(recipients.map((recipient) => recipient.address), [refusedAddress])
        yield* ann.send(new Draft({ to: address("bob"), text: "x" }))
        assert.strictEqual((yield* arrived(bob, 1)).length, 1)
        assert.strictEqual((yield* ann.stats).smtp.opened, 1)
      }))

    test("does not send what is larger than the server takes", ({ address, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const bob = yield* open("bob")
        const reason = yield* reasonOf(ann.send(new Draft({ to: address("bob"), text: "x".repeat(70_000) })))
        assert.strictEqual(reason._tag, "TooLarge")
        assert.deepInclude(reason, { limit: 65_536 })
        yield* ann.send(new Draft({ to: address("bob"), subject: "after", text: "x" }))
        yield* arrived(bob, 1)
        assert.deepStrictEqual((yield* parsed(bob)).map(({ subject }) => subject), ["after"])
      }), { maxMessageBytes: 65_536 })

    test("sends no message with more recipients than one may have, copies and blind copies counted, and files it all the same", ({ address, connections, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { recipientsPerMessage: 2 } })
        const bob = yield* open("bob")
        const three = new Draft({ to: address("bob"), cc: address("ann"), bcc: "carol@example.com", subject: "three" })
        const reason = yield* reasonOf(ann.send(three))
        assert.deepInclude(reason, { _tag: "InvalidInput", field: "to" })
        assert.include(reason.message, "3 recipients are more than the 2")
        assert.deepStrictEqual(yield* connections, { imap: 0, smtp: 0 }, "nobody was contacted")
        const two = new Draft({ to: address("bob"), bcc: address("ann"), subject: "two" })
        const results = yield* Stream.runCollect(ann.sendAll(Stream.make(three, two)))
        assert.deepStrictEqual(results.map(({ result }) => result._tag), ["Failure", "Success"])
        yield* arrived(bob, 1)
        assert.deepStrictEqual((yield* parsed(bob)).map(({ subject }) => subject), ["two"])
        assert.isTrue(Option.isSome(yield* ann.append("Drafts", three)))
      }))

    test("sends many messages at once over few connections, each exactly once", ({ address, open, peak }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { smtpConnections: 2, messagesPerConnection: 4 } })
        const bob = yield* open("bob")
        const subjects = Array.from({ length: 20 }, (_, index) => `message ${index}`)
        const { peak: most } = yield* peak(Effect.forEach(
          subjects,
          (subject) => ann.send(new Draft({ to: address("bob"), subject, text: subject })),
          { concurrency: "unbounded" }
        ))
        assert.isAtMost(most.smtp, 2)
        yield* arrived(bob, 20)
        const messages = yield* parsed(bob)
        assert.sameMembers(messages.map(({ subject }) => subject), subjects)
        for (const { subject, text } of messages) assert.strictEqual(text?.trim(), subject)
      }))

    const malformed: ReadonlyArray<readonly [what: string, field: string, draft: Partial<Draft>]> = [
      ["no recipients", "to", { to: [] }],
      ["an empty recipient", "to", { to: "" }],
      ["an address without a domain", "to", { to: "bob" }],
      ["an address with two at signs", "to", { to: "a@b@c" }],
      ["a name in place of an address", "to", { to: new Address({ name: "Bob", address: "" }) }],
      ["a malformed copy", "cc", { cc: ["carol@example.com", "nonsense"] }],
      ["a malformed blind copy", "bcc", { bcc: "non sense@" }],
      ["a line break in an address", "to", { to: "bob@example.com\r\nRCPT TO:<eve@example.com>" }],
      ["a line break in a name", "to", {
        to: new Address({ name: "B\r\nBcc: eve@example.com", address: "b@example.com" })
      }],
      ["a line break in the subject", "subject", { subject: "x\r\nBcc: eve@example.com" }],
      ["a line feed in a header", "headers", { headers: { "X-One": "1\nBcc: eve@example.com" } }],
      ["a line break in the name of a header", "headers", { headers: { "X\r\nBcc": "eve@example.com" } }],
      ["a colon in the name of a header", "headers", { headers: { "X:Y": "z" } }],
      ["a malformed Message-ID", "messageId", { messageId: "<a@b>\r\nX: y" }],
      ["a malformed sender", "from", { from: "me" }],
      ["two senders", "from", { from: "a@example.com, b@example.com" }],
      ["an attachment that is not there", "attachments[0]", {
        attachments: [new Attachment({ content: { path: "/nowhere/nothing.txt" } })]
      }],
      ["an attachment that is a directory", "attachments[0]", {
        attachments: [new Attachment({ content: { path: "/" } })]
      }],
      ["an attachment whose stream fails", "attachments[0]", {
        attachments: [new Attachment({ content: { stream: Stream.fail("broken") } })]
      }],
      ["a line break in a filename", "attachments[0]", {
        attachments: [new Attachment({ content: { text: "x" }, filename: "a\r\nb" })]
      }]
    ]
    test("refuses a draft that cannot be sent, names the field, and contacts nobody", ({ address, connections, open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        for (const [what, field, fields] of malformed) {
          const draft = new Draft({ to: address("bob"), text: "x", ...fields }, { disableChecks: true })
          const reason = yield* reasonOf(ann.send(draft))
          assert.strictEqual(reason._tag, "InvalidInput", what)
          assert.include("field" in reason ? reason.field : "", field, what)
        }
        assert.deepStrictEqual(yield* connections, { imap: 0, smtp: 0 })
      }))
  })
}
