/** The contract of everything that reads messages: what is asked for, octet for octet, in order, and nothing marked as seen. */
import { assert, describe } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { type FetchItems, type MessageRef, MessageSet, Query } from "../../src/index.ts"
import { file, fileAll, letter, letterOf } from "./letters.ts"
import { type Account, reasonOf, type Suite } from "./Subject.ts"

const bytes = (chunks: ReadonlyArray<Uint8Array>) => Buffer.concat(chunks)

const sourceOf = (account: Account, ref: MessageRef) => Effect.map(Stream.runCollect(account.source(ref)), bytes)

const attachmentOf = (account: Account, ref: MessageRef, part: string) =>
  Effect.map(Stream.runCollect(account.attachment(ref, part)), bytes)

/** Not `deepStrictEqual`, whose difference of two megabytes takes a minute to print. */
const assertSame = (actual: Uint8Array | undefined, expected: Uint8Array, what: string) => {
  assert.strictEqual(actual?.length, expected.length, what)
  assert.isTrue(Buffer.from(actual ?? []).equals(expected), `${what}: other octets`)
}

/** A server may show \\Recent to the first session that sees a message (RFC 3501 2.3.2). */
const withoutRecent = (flags: ReadonlyArray<string> = []) => flags.filter((flag) => flag !== "\\Recent")

const KiB = 1024
const MiB = 1024 * KiB

/** Around every bound at which a source is read in another way: the limit of a shared command, and the page. */
const sizes = [400, 64 * KiB - 1, 64 * KiB, 64 * KiB + 1, MiB - 1, MiB, MiB + 1, 2 * MiB + 12_345]

const octets = (count: number) => Uint8Array.from({ length: count }, (_, index) => (index * 31 + (index >> 8)) & 0xff)

const base64Lines = (content: Uint8Array) =>
  Buffer.from(content).toString("base64").replace(/.{76}/g, "$&\r\n").replace(/\r\n$/, "")

const multipart = (boundary: string, parts: ReadonlyArray<ReadonlyArray<string>>) =>
  [...parts.flatMap((part) => [`--${boundary}`, ...part]), `--${boundary}--`].join("\r\n")

const attached = octets(MiB * 3 / 2)

/** 1: text, 2: multipart of 2.1 (quoted-printable) and 2.2 (base64), 3: 7bit, 4: empty. */
const letterWithParts = letter({
  fields: { Subject: "parts", "MIME-Version": "1.0", "Content-Type": "multipart/mixed; boundary=outer" },
  body: multipart("outer", [
    ["Content-Type: text/plain; charset=utf-8", "", "hello"],
    [
      "Content-Type: multipart/mixed; boundary=inner",
      "",
      multipart("inner", [
        [
          `Content-Type: text/plain; charset=utf-8; name="=?utf-8?Q?gr=C3=BCn.txt?="`,
          "Content-Transfer-Encoding: quoted-printable",
          "Content-Disposition: attachment; filename*=utf-8''gr%C3%BCn.txt",
          "",
          "gr=C3=BCn =3D soft=\r\n break",
          "end"
        ],
        [
          `Content-Type: application/octet-stream; name="data.bin"`,
          "Content-Transfer-Encoding: base64",
          `Content-Disposition: attachment; filename="data.bin"`,
          "",
          base64Lines(attached)
        ]
      ])
    ],
    ["Content-Type: text/plain; name=\"plain.txt\"", "Content-Disposition: attachment", "", "as it is = =41"],
    ["Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "", ""]
  ])
})

export const reading = ({ test }: Suite): void => {
  describe("reading", () => {
    test("yields envelopes with everything decoded, in order of UID", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const internalDate = new Date("2026-03-04T05:06:07Z")
        const first = {
          fields: {
            From: "=?utf-8?Q?J=C3=BCrgen?= <j@example.com>",
            Sender: "sender@example.com",
            "Reply-To": `"Reply, To" <reply@example.com>`,
            To: "Bob <bob@example.com>, carol@example.com",
            Cc: "undisclosed-recipients:;",
            Subject: "=?utf-8?B?R3LDvMOfZQ==?= and\r\n more",
            Date: "Mon, 05 Jan 2026 10:00:00 +0200",
            "In-Reply-To": "<parent@example.com>",
            "Message-ID": "<envelope@example.com>"
          },
          flags: ["\\Seen", "$Label"],
          internalDate
        }
        const [ref, second] = yield* fileAll(ann, "INBOX", [first, {}])
        const envelopes = yield* Stream.runCollect(ann.envelopes(Query.inbox))
        assert.deepStrictEqual(envelopes.map((envelope) => envelope.ref), [ref, second])
        const envelope = envelopes[0]
        assert.strictEqual(envelope?.subject, "Grüße and more")
        assert.deepStrictEqual(envelope?.date, new Date("2026-01-05T08:00:00Z"))
        assert.deepStrictEqual(envelope?.from.map((address) => ({ ...address })), [
          { name: "Jürgen", address: "j@example.com" }
        ])
        assert.deepStrictEqual(envelope?.sender.map(({ address }) => address), ["sender@example.com"])
        assert.deepStrictEqual(envelope?.replyTo.map((address) => ({ ...address })), [
          { name: "Reply, To", address: "reply@example.com" }
        ])
        assert.deepStrictEqual(envelope?.to.map(String), ["Bob <bob@example.com>", "carol@example.com"])
        assert.strictEqual(envelope?.inReplyTo, "<parent@example.com>")
        assert.strictEqual(envelope?.messageId, "<envelope@example.com>")
        assert.sameMembers(withoutRecent(envelope?.flags), ["\\Seen", "$Label"])
        assert.deepStrictEqual(envelope?.internalDate, internalDate)
        assert.isUndefined(envelope?.structure)
      }))

    test("reads a message without any header field as an envelope with nothing in it", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", Buffer.from("\r\nonly a body\r\n"))
        const [envelope] = yield* Stream.runCollect(ann.envelopes(ref))
        assert.isUndefined(envelope?.subject)
        assert.isUndefined(envelope?.date)
        assert.isUndefined(envelope?.messageId)
        assert.deepStrictEqual(envelope?.from, [])
        assert.strictEqual(envelope?.size, 15)
        assert.strictEqual((yield* ann.message(ref)).text?.trim(), "only a body")
      }))

    test("tells the structure of a body down to the leaves", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", letterWithParts)
        const [envelope] = yield* Stream.runCollect(ann.envelopes(ref, { structure: true }))
        const structure = envelope?.structure
        assert.strictEqual(structure?.type, "multipart/mixed")
        assert.deepStrictEqual(structure?.children.map(({ part, type }) => [part, type]), [
          ["1", "text/plain"],
          ["2", "multipart/mixed"],
          ["3", "text/plain"],
          ["4", "application/octet-stream"]
        ])
        const [printable, data] = structure?.children[1]?.children ?? []
        assert.deepInclude(printable, { part: "2.1", encoding: "quoted-printable", disposition: "attachment" })
        assert.strictEqual(printable?.filename, "grün.txt")
        assert.deepInclude(data, { part: "2.2", type: "application/octet-stream", filename: "data.bin" })
        assert.strictEqual(data?.size, base64Lines(attached).length)
      }))

    test("fetches exactly the items that are asked for, each of them with its value", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const source = letter({ fields: { Subject: "items", "X-One": "1" }, body: "the body" })
        const internalDate = new Date("2026-03-04T05:06:07Z")
        const ref = (yield* fileAll(ann, "INBOX", [source]))[0]
        assert.isDefined(ref)
        yield* ann.append("INBOX", source, { flags: ["\\Flagged"], internalDate })
        const items = {
          envelope: true,
          flags: true,
          internalDate: true,
          size: true,
          structure: true,
          source: true,
          headers: true,
          parts: ["1", "9"],
          modseq: true
        } as const
        const fetched = yield* Stream.runCollect(ann.fetch(Query.inbox, items))
        assert.strictEqual(fetched.length, 2)
        const row = fetched[1]
        assert.sameMembers(Object.keys(row ?? {}), ["ref", ...Object.keys(items)])
        assert.strictEqual(row?.ref.uid, (ref?.uid ?? 0) + 1)
        assert.strictEqual(row?.envelope.subject, "items")
        assert.deepStrictEqual(withoutRecent(row?.flags), ["\\Flagged"])
        assert.deepStrictEqual(row?.internalDate, internalDate)
        assert.strictEqual(row?.size, source.length)
        assert.strictEqual(row?.structure.type, "text/plain")
        assertSame(row?.source, source, "source")
        assert.strictEqual(
          Buffer.from(row?.headers ?? []).toString(),
          `${Buffer.from(source)}`.split("\r\n\r\n")[0] + "\r\n\r\n"
        )
        // NIL or no octets: both are said of a section that is not there
        assert.strictEqual(row?.parts.get("9")?.length ?? 0, 0)
        assert.strictEqual(Buffer.from(row?.parts.get("1") ?? []).toString(), "the body\r\n")
        assert.isAbove(Number(row?.modseq), 0)
      }))

    const single: ReadonlyArray<FetchItems> = [
      { envelope: true },
      { flags: true },
      { internalDate: true },
      { size: true },
      { structure: true },
      { source: true },
      { headers: true },
      { headers: ["Subject"] },
      { parts: ["1"] },
      { modseq: true },
      { flags: true, source: true }
    ]
    test("answers each item alone with nothing beside it", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX")
        for (const items of single) {
          const [row] = yield* Stream.runCollect(ann.fetch(ref, items))
          assert.sameMembers(Object.keys(row ?? {}), ["ref", ...Object.keys(items)], JSON.stringify(items))
        }
      }))

    test("fetches named header fields, folded as they are, and none that are not there", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", {
          fields: { Subject: "folded\r\n and long", "X-One": "1", "X-Two": "2" }
        })
        const [row] = yield* Stream.runCollect(ann.fetch(ref, { headers: ["subject", "X-Two", "X-Three"] }))
        assert.strictEqual(
          Buffer.from(row?.headers ?? []).toString(),
          "Subject: folded\r\n and long\r\nX-Two: 2\r\n\r\n"
        )
      }))

    test("reads every message octet for octet, whatever its size", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const sources = sizes.map((size) => letterOf(size))
        const refs = yield* fileAll(ann, "INBOX", sources)
        const fetched = yield* Stream.runCollect(ann.fetch(Query.inbox, { source: true, size: true }))
        const parsed = yield* Stream.runCollect(ann.messages(Query.inbox))
        assert.strictEqual(fetched.length, sizes.length)
        for (const [index, source] of sources.entries()) {
          const ref = refs[index]
          if (ref === undefined) continue
          assert.deepStrictEqual(fetched[index]?.ref, ref)
          assert.strictEqual(fetched[index]?.size, source.length)
          assertSame(fetched[index]?.source, source, `fetch of ${source.length}`)
          assertSame(yield* sourceOf(ann, ref), source, `source of ${source.length}`)
          const text = Buffer.from(source).toString().split("\r\n\r\n").slice(1).join("").trim()
          const alone = yield* ann.message(ref)
          for (const message of [alone, parsed[index]]) {
            assert.strictEqual(message?.size, source.length)
            assert.strictEqual(message?.subject, `${source.length} octets`)
            assert.isTrue(message?.text?.replaceAll("\n", "\r\n").trim() === text, `text of ${source.length}`)
          }
        }
      }))

    test("reads octets of every value as they are", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const body = Buffer.from(
          Array.from({ length: 255 }, (_, index) => index + 1).filter((octet) => octet !== 10 && octet !== 13)
        )
        const source = Buffer.concat([letter({ body: "" }), body, Buffer.from("\r\n.\r\n..\r\n)\r\n{5}\r\n\r\n")])
        const ref = yield* file(ann, "INBOX", source)
        assertSame(yield* sourceOf(ann, ref), source, "source")
        const [row] = yield* Stream.runCollect(ann.fetch(ref, { source: true }))
        assertSame(row?.source, source, "fetch")
      }))

    test("parses messages: text, HTML, attachments, addresses, flags", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", letterWithParts)
        const message = yield* ann.message(ref)
        assert.deepStrictEqual(message.ref, ref)
        assert.strictEqual(message.subject, "parts")
        assert.strictEqual(message.text?.trim().split("\n")[0], "hello")
        assert.deepStrictEqual(message.from.map(String), ["Ann Example <ann@example.com>"])
        assert.strictEqual(message.size, letterWithParts.length)
        const data = message.attachments.find(({ filename }) => filename === "data.bin")
        assertSame(data?.content, attached, "attachment")
      }))

    test("reads attachments decoded, by their place in the structure", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", letterWithParts)
        assertSame(yield* attachmentOf(ann, ref, "2.2"), attached, "base64")
        assert.strictEqual((yield* attachmentOf(ann, ref, "2.1")).toString(), "grün = soft break\r\nend")
        assert.strictEqual((yield* attachmentOf(ann, ref, "3")).toString(), "as it is = =41")
        assert.strictEqual((yield* attachmentOf(ann, ref, "1")).toString(), "hello")
        assert.strictEqual((yield* attachmentOf(ann, ref, "4")).length, 0)
        const whole = yield* file(ann, "INBOX", { body: "alone" })
        assert.strictEqual((yield* attachmentOf(ann, whole, "1")).toString(), "alone\r\n")
      }))

    test("fails for a part that is not there, and for a message that is not there", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", letterWithParts)
        const gone = yield* file(ann, "INBOX")
        yield* ann.remove(gone, { to: "expunge" })
        for (const part of ["5", "2.3", "2", "", "1.1", "0", "x", "1 RFC822"]) {
          const reason = yield* reasonOf(Stream.runDrain(ann.attachment(ref, part)))
          assert.deepInclude(reason, { _tag: "InvalidInput", field: "part" }, part)
        }
        for (
          const operation of [
            Stream.runDrain(ann.attachment(gone, "1")),
            Stream.runDrain(ann.source(gone)),
            ann.message(gone)
          ]
        ) {
          const reason = yield* reasonOf(operation)
          assert.strictEqual(reason._tag, "MessageNotFound")
          assert.deepInclude(reason, { mailbox: "INBOX" })
        }
      }))

    test("passes over messages that have gone, or fails with their names where it is asked to", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const refs = yield* fileAll(ann, "INBOX", [{}, {}, {}, {}])
        const all = yield* ann.search(Query.inbox)
        const gone = refs.slice(1, 3)
        yield* ann.remove(gone, { to: "expunge" })
        const left = yield* Stream.runCollect(ann.envelopes(all))
        assert.deepStrictEqual(left.map(({ ref }) => ref), [refs[0], refs[3]])
        assert.strictEqual((yield* Stream.runCollect(ann.messages(all))).length, 2)
        assert.strictEqual((yield* Stream.runCollect(ann.fetch(gone, { flags: true }))).length, 0)
        const reason = yield* reasonOf(Stream.runDrain(ann.messages(all, { missing: "fail" })))
        assert.deepInclude(reason, { _tag: "MessageNotFound", mailbox: "INBOX" })
        assert.deepStrictEqual("uids" in reason ? [...reason.uids] : [], gone.map(({ uid }) => uid))
      }))

    test("reads messages in order of UID whatever order they were named in, and all of them where order does not matter", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 3 } })
        yield* Effect.repeat(ann.append("INBOX", letter()), { times: 99 })
        const all = yield* ann.search(Query.inbox)
        const shuffled = all.refs.toSorted((a, b) => (a.uid * 7919) % 101 - (b.uid * 7919) % 101)
        const uids = (stream: Stream.Stream<{ readonly ref: MessageRef }, unknown>) =>
          Effect.map(Effect.orDie(Stream.runCollect(stream)), (rows) => rows.map(({ ref }) => ref.uid))
        assert.deepStrictEqual(yield* uids(ann.envelopes(shuffled)), [...all.uids])
        assert.deepStrictEqual(yield* uids(ann.messages(Query.inbox)), [...all.uids])
        const unordered = yield* uids(ann.fetch(all, { size: true }, { unordered: true }))
        assert.deepStrictEqual(unordered.toSorted((a, b) => a - b), [...all.uids])
      }))

    test("reads messages of several mailboxes in one stream, mailbox by mailbox", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const inbox = yield* fileAll(ann, "INBOX", [{}, {}])
        const archive = yield* fileAll(ann, "Archive", [{}, {}])
        const mixed = [archive[1], inbox[0], archive[0], inbox[1]].flatMap((ref) => ref ?? [])
        const read = yield* Stream.runCollect(ann.envelopes(mixed))
        assert.deepStrictEqual(read.map(({ ref }) => ref), [...archive, ...inbox])
        const again = yield* Stream.runCollect(ann.messages(read))
        assert.deepStrictEqual(again.map(({ ref }) => ref), [...archive, ...inbox])
      }))

    test("reads messages without their attachments, which are fetched when they are wanted", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const plain = letter({ fields: { Subject: "pl\u00e4in" }, body: "one\r\ntwo" })
        const flowed = letter({
          fields: { "MIME-Version": "1.0", "Content-Type": "text/plain; charset=iso-8859-1; format=flowed" },
          body: "one \r\ntwo\r\n--outline"
        })
        const file = letter({ fields: { "MIME-Version": "1.0", "Content-Type": "application/pdf" }, body: "pdf" })
        yield* fileAll(ann, "INBOX", [plain, letterWithParts, flowed, file, letterWithParts])
        const whole = yield* Stream.runCollect(ann.messages(Query.inbox))
        const outlines = yield* Stream.runCollect(ann.messages(Query.inbox, { attachments: "names" }))
        const trimmed = (text: string | undefined) => text?.trimEnd() ?? ""
        for (const [index, outline] of outlines.entries()) {
          const message = whole[index] ?? assert.fail()
          assert.deepStrictEqual(outline.ref, message.ref)
          assert.deepStrictEqual(outline.headers, message.headers)
          assert.deepStrictEqual(outline.from, message.from)
          assert.strictEqual(outline.size, message.size)
          assert.strictEqual(trimmed(outline.text), trimmed(message.text))
          assert.strictEqual(trimmed(outline.html), trimmed(message.html))
          assert.deepStrictEqual(outline.problems, message.problems)
          assert.deepStrictEqual(
            outline.attachments.map(({ disposition, filename, type }) => [type, disposition, filename]),
            message.attachments.map(({ disposition, filename, type }) => [type, disposition, filename])
          )
          for (const [at, { part }] of outline.attachments.entries()) {
            const fetched = yield* attachmentOf(ann, outline.ref, part)
            assertSame(fetched, message.attachments[at]?.content ?? new Uint8Array(), `part ${part}`)
          }
        }
        assert.strictEqual(outlines.length, 5)
      }))

    test("finds the conversations among messages by what they answer", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const at = (day: number, id: string, fields: Readonly<Record<string, string>> = {}) => ({
          fields: { "Message-ID": `<${id}@x>`, Date: `0${day} Jan 2026 10:00:00 +0000`, Subject: id, ...fields }
        })
        const answers = yield* fileAll(ann, "Archive", [
          at(3, "c", { References: "<a@x>\r\n <b@x>", "In-Reply-To": "<b@x>" }),
          at(4, "d", { "In-Reply-To": "<a@x>" })
        ])
        const firsts = yield* fileAll(ann, "INBOX", [at(1, "a"), at(2, "other")])
        const threads = yield* ann.threads([...answers, ...firsts])
        assert.deepStrictEqual(threads.map(({ messages }) => messages.map(({ subject }) => subject)), [
          ["a", "c", "d"],
          ["other"]
        ])
        assert.deepStrictEqual(threads[0]?.messages[1]?.references, ["<a@x>", "<b@x>"])
        assert.deepStrictEqual(yield* ann.threads([]), [])
      }))

    test("reads nothing where nothing is named", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        assert.deepStrictEqual(yield* Stream.runCollect(ann.messages([])), [])
        assert.deepStrictEqual(yield* Stream.runCollect(ann.envelopes(MessageSet.empty)), [])
        assert.deepStrictEqual(yield* Stream.runCollect(ann.envelopes(Query.inbox)), [])
      }))

    test("never marks a message as seen", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann")
        const ref = yield* file(ann, "INBOX", letterWithParts)
        yield* ann.message(ref)
        yield* Stream.runDrain(ann.messages(ref))
        yield* Stream.runDrain(ann.envelopes(ref, { structure: true }))
        yield* Stream.runDrain(ann.fetch(ref, { source: true, headers: true, parts: ["1"] }))
        yield* Stream.runDrain(ann.source(ref))
        yield* Stream.runDrain(ann.attachment(ref, "2.2"))
        yield* ann.copy(ref, "Archive")
        assert.strictEqual((yield* ann.status("INBOX")).unseen, 1)
        assert.strictEqual((yield* ann.search(Query.inbox.and({ seen: false }))).size, 1)
      }))

    test("ends with what has been read where a consumer has enough", ({ open }) =>
      Effect.gen(function*() {
        const ann = yield* open("ann", { limits: { imapConnections: 1 } })
        yield* Effect.repeat(ann.append("INBOX", letterOf(200 * KiB)), { times: 39 })
        const some = yield* Stream.runCollect(Stream.take(ann.messages(Query.inbox), 3))
        assert.strictEqual(some.length, 3)
        assert.strictEqual((yield* ann.search(Query.inbox)).size, 40)
      }))
  })
}
