import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Schema, Stream } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Alternative, Attachment, Draft, Invitation } from "../../src/domain/Draft.ts"
import { Address } from "../../src/domain/Envelope.ts"
import { InvalidInput } from "../../src/domain/MailError.ts"
import { layer as layerParser } from "../../src/driver/mailparser.ts"
import { MessageComposer } from "../../src/driver/MessageComposer.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"
import { layerComposer } from "../../src/driver/nodemailer.ts"

type DraftInput = ConstructorParameters<typeof Draft>[0]
const base: DraftInput = {
  from: "Ann <ann@example.com>",
  to: "bob@example.org",
  messageId: "<1@example.com>",
  date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
  subject: "hello",
  text: "hi\n"
}
const layers = Layer.merge(layerComposer, layerParser)
const compose = (input: DraftInput, recipients: "required" | "optional" = "required") =>
  Effect.flatMap(MessageComposer, (composer) => composer.compose(new Draft({ ...base, ...input }), { recipients }))
    .pipe(
      Effect.provide(layers)
    )
const parse = (octets: Uint8Array) =>
  Effect.flatMap(MessageParser, (parser) => parser.parse(octets)).pipe(Effect.provide(layers))
const refusal = (input: DraftInput, recipients?: "required" | "optional") =>
  Effect.map(Effect.flip(compose(input, recipients)), (reason) => {
    if (!(reason instanceof InvalidInput)) throw new Error(`${reason._tag} is not InvalidInput`)
    return reason.field
  })

describe("composing", () => {
  it.effect("leaves Bcc out of the octets and takes it into the envelope", () =>
    Effect.gen(function*() {
      const composed = yield* compose({ cc: "Cy <cy@example.org>", bcc: "secret@example.net" })
      assert.deepStrictEqual(composed.envelope, {
        from: "ann@example.com",
        to: ["bob@example.org", "cy@example.org", "secret@example.net"]
      })
      assert.notInclude(Buffer.from(composed.source).toString(), "secret@example.net")
      assert.strictEqual(composed.messageId, "<1@example.com>")
    }))

  const words = Schema.String.check(Schema.isPattern(/^[^"\\\p{C}\s]+$/u), Schema.isMaxLength(20))
  const box = Schema.Struct({
    name: Schema.optionalKey(words),
    address: Schema.Literals(["a@x.org", "\u5c71@y.org", "b@z.org"])
  })
  const group = Schema.Struct({ title: words, members: Schema.Array(box).check(Schema.isMaxLength(3)) })
  const list = Schema.Array(Schema.Union([box, group])).check(Schema.isMaxLength(4))
  it.effect.prop(
    "sends to every member of a group, and names them all",
    [list, list],
    ([to, cc]) =>
      Effect.gen(function*() {
        const text = ({ address, name }: typeof box.Type) => name === undefined ? address : `"${name}" <${address}>`
        const written = (given: typeof list.Type) =>
          given.map((each) => "title" in each ? `"${each.title}": ${each.members.map(text).join(", ")};` : text(each))
        const boxes = (given: typeof list.Type) => given.flatMap((each) => "title" in each ? each.members : [each])
        const pairs = (given: ReadonlyArray<{ readonly name?: string; readonly address: string }>) =>
          given.map(({ address, name = "" }) => [name, address])
        const { envelope, source } = yield* compose({ to: written(to).join(", "), cc: written(cc), bcc: "c@x.org" })
        assert.sameMembers([...envelope.to], [
          ...new Set([...boxes(to), ...boxes(cc)].map(({ address }) => address)),
          "c@x.org"
        ])
        const read = yield* parse(source)
        assert.deepStrictEqual(pairs(read.to), pairs(boxes(to)))
        assert.deepStrictEqual(pairs(read.cc), pairs(boxes(cc)))
      }),
    { arbitrary: { runs: 40 } }
  )

  it.effect("names the sender as the envelope's sender where there is one", () =>
    Effect.gen(function*() {
      const { envelope } = yield* compose({ sender: "desk@example.com" })
      assert.strictEqual(envelope.from, "desk@example.com")
    }))

  it.effect("writes CRLF throughout, whatever line ends it was given", () =>
    Effect.gen(function*() {
      const eml = Buffer.from("Subject: inner\n\nbare\rcr and\nlf\r\n")
      const { source } = yield* compose({
        text: "a\nb\rc\r\nd",
        html: "<p>a\n</p>\r",
        attachments: [
          new Attachment({ content: { bytes: eml }, type: "message/rfc822", filename: "inner.eml" }),
          new Attachment({ content: { bytes: Buffer.from([13, 10, 13, 10, 0, 255]) }, filename: "x.bin" })
        ]
      })
      const text = Buffer.from(source).toString("latin1")
      assert.strictEqual(text.replace(/\r\n/g, "").search(/[\r\n]/), -1)
      assert.isTrue(text.endsWith("\r\n"))
      const read = yield* parse(source)
      assert.strictEqual(read.text?.trimEnd(), "a\nb\nc\nd")
      assert.deepStrictEqual([...read.attachments.find((each) => each.filename === "x.bin")?.content ?? []], [
        13,
        10,
        13,
        10,
        0,
        255
      ])
    }))

  it.effect("keeps names and texts of any script", () =>
    Effect.gen(function*() {
      const { envelope, source } = yield* compose({
        from: new Address({ name: "J\u00f5geva, \u5c71\u7530 \"x\"", address: "ann@j\u00f5geva.ee" }),
        subject: "Gr\u00fc\u00dfe \u{1F600} ".repeat(12).trim(),
        html: "<b>\u5c71</b>",
        headers: { "X-MyHeader": "\u00e4" }
      })
      assert.strictEqual(envelope.from, "ann@xn--jgeva-dua.ee")
      const read = yield* parse(source)
      assert.strictEqual(read.from[0]?.name, "J\u00f5geva, \u5c71\u7530 \"x\"")
      assert.strictEqual(read.subject, "Gr\u00fc\u00dfe \u{1F600} ".repeat(12).trim())
      assert.strictEqual(read.html?.trim(), "<b>\u5c71</b>")
      assert.isTrue(read.headers.some(({ name, value }) => name === "X-MyHeader" && value === "\u00e4"))
    }))

  it.effect("adds the angle brackets that ids lack", () =>
    Effect.gen(function*() {
      const composed = yield* compose({ messageId: "2@example.com", inReplyTo: "1@x", references: ["0@x", "<1@x>"] })
      assert.strictEqual(composed.messageId, "<2@example.com>")
      const read = yield* parse(composed.source)
      assert.deepStrictEqual([read.messageId, read.inReplyTo, read.references], ["<2@example.com>", "<1@x>", [
        "<0@x>",
        "<1@x>"
      ]])
    }))

  it.effect("reads attachments from octets, text, files and streams, and shows inline ones in the HTML", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-mail-"))),
      (folder) =>
        Effect.gen(function*() {
          writeFileSync(join(folder, "notes.txt"), "from a file")
          const { source } = yield* compose({
            html: "<img src='cid:pic@x'>",
            attachments: [
              new Attachment({ content: { path: join(folder, "notes.txt") } }),
              new Attachment({
                content: { stream: Stream.make(Buffer.from("a"), Buffer.from("b")) },
                filename: "s.bin"
              }),
              new Attachment({ content: { text: "caf\u00e9" } }),
              new Attachment({
                content: { bytes: Buffer.from("png") },
                type: "image/png",
                contentId: "pic@x",
                disposition: "inline"
              })
            ]
          })
          const read = yield* parse(source)
          assert.sameDeepMembers(
            read.attachments.map((
              each
            ) => [
              each.filename ?? "",
              each.type,
              each.disposition,
              each.contentId ?? "",
              Buffer.from(each.content).toString()
            ]),
            [
              ["notes.txt", "text/plain", "attachment", "", "from a file"],
              ["s.bin", "application/octet-stream", "attachment", "", "ab"],
              ["attachment-3.txt", "text/plain", "attachment", "", "caf\u00e9"],
              ["", "image/png", "inline", "pic@x", "png"]
            ]
          )
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    ))

  const contentId = Schema.String.check(Schema.isPattern(/^[!#-;=?-~]{1,60}$/))
  it.effect.prop("shows a part by one and the same id, written with or without brackets, sent, read and forwarded", [
    contentId
  ], ([id]) =>
    Effect.gen(function*() {
      const picture = (contentId: string) =>
        new Attachment({ content: { bytes: Buffer.from("png") }, type: "image/png", contentId, disposition: "inline" })
      const url = encodeURIComponent(id).replace(/['()]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)
      const html = `<img src="cid:${url}">`
      let read = yield* parse((yield* compose({ html, attachments: [picture(id)] })).source)
      const bracketed = yield* parse((yield* compose({ html, attachments: [picture(`<${id}>`)] })).source)
      for (const message of [read, bracketed]) assert.deepStrictEqual(message.attachments[0]?.contentId, id)
      for (
        const draft of [
          Draft.forward(read, { to: "a@x.org", carryAttachments: false }),
          Draft.reply(read, { html: "" })
        ]
      ) {
        assert.deepStrictEqual(draft.attachments?.map(({ contentId }) => contentId), [id])
        read = yield* parse((yield* compose({ ...draft })).source)
        assert.deepStrictEqual(read.attachments.map(({ contentId, disposition }) => [contentId, disposition]), [[
          id,
          "inline"
        ]])
        assert.include(read.html ?? "", html)
      }
    }), { arbitrary: { runs: 25 } })

  const calendar =
    "BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nBEGIN:VEVENT\nSUMMARY:\u5c71\nEND:VEVENT\nEND:VCALENDAR\n"

  it.effect("writes an invitation as an alternative of the text and as a file", () =>
    Effect.gen(function*() {
      const { source } = yield* compose({
        html: "<p>come</p>",
        calendar: new Invitation({ method: "request", text: calendar })
      })
      const octets = Buffer.from(source).toString("latin1")
      assert.match(octets, /multipart\/alternative[\s\S]*text\/plain[\s\S]*text\/html[\s\S]*text\/calendar/)
      assert.match(octets, /Content-Type: text\/calendar; charset=utf-8;\s+method=REQUEST\r\n/)
      const read = yield* parse(source)
      assert.deepStrictEqual(
        read.attachments.map(({ content, filename, type }) => [type, filename, Buffer.from(content).toString()]),
        [
          ["text/calendar", undefined, calendar.replaceAll("\n", "\r\n")],
          ["application/ics", "invite.ics", calendar.replaceAll("\n", "\r\n")]
        ]
      )
      const named = yield* compose({
        calendar: new Invitation({ method: "REQUEST", text: calendar, filename: "\u5c71.ics" })
      })
      assert.isTrue((yield* parse(named.source)).attachments.some(({ filename }) => filename === "\u5c71.ics"))
    }))

  it.effect("refuses an invitation whose calendar names another method", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* refusal({ calendar: new Invitation({ method: "CANCEL", text: calendar }) }),
        "calendar.method"
      )
      assert.strictEqual(yield* refusal({ calendar: new Invitation({ method: "", text: "" }) }), "calendar.method")
    }))

  it.effect("writes other forms of the text beside it", () =>
    Effect.gen(function*() {
      const { source } = yield* compose({
        html: "<p>hi</p>",
        alternatives: [new Alternative({ type: "text/x-amp-html", text: "<html amp4email>\u5c71</html>" })]
      })
      assert.match(
        Buffer.from(source).toString("latin1"),
        /multipart\/alternative[\s\S]*text\/plain[\s\S]*text\/html[\s\S]*text\/x-amp-html/
      )
      assert.strictEqual(
        yield* refusal({ alternatives: [new Alternative({ type: "multipart/x", text: "" })] }),
        "alternatives[0].type"
      )
    }))

  it.effect("marks priority the way mail programs read it", () =>
    Effect.gen(function*() {
      const read = yield* parse((yield* compose({ priority: "high" })).source)
      assert.strictEqual(read.headers.find(({ name }) => name === "X-Priority")?.value, "1 (Highest)")
    }))

  it.effect("files a draft without recipients where that is allowed", () =>
    Effect.gen(function*() {
      const { to: _, ...rest } = base
      const draft = new Draft(rest)
      const composed = yield* Effect.flatMap(MessageComposer, (composer) =>
        composer.compose(draft, { recipients: "optional" }))
      assert.deepStrictEqual(composed.envelope.to, [])
      const reason = yield* Effect.flip(Effect.flatMap(MessageComposer, (composer) =>
        composer.compose(draft, { recipients: "required" })))
      assert.isTrue(reason._tag === "InvalidInput" && reason.field === "to")
    }).pipe(Effect.provide(layers)))

  const evil = ["\r\nBcc: eve@example.net", "\rx", "\nx", "\0"]
  const injections: ReadonlyArray<readonly [string, (text: string) => DraftInput]> = [
    ["subject", (text) => ({ subject: `s${text}` })],
    ["from", (text) => ({ from: `ann@example.com${text}` })],
    ["from", (text) => ({ from: new Address({ name: `n${text}`, address: "ann@example.com" }) })],
    ["sender", (text) => ({ sender: new Address({ address: `ann@example.com${text}` }) })],
    ["replyTo", (text) => ({ replyTo: [`r@example.com${text}`] })],
    ["to", (text) => ({ to: [new Address({ name: text, address: "a@example.com" })] })],
    ["cc", (text) => ({ cc: `c@example.com${text}` })],
    ["bcc", (text) => ({ bcc: `b@example.com${text}` })],
    ["messageId", (text) => ({ messageId: `<1@x${text}>` })],
    ["inReplyTo", (text) => ({ inReplyTo: `<1@x${text}>` })],
    ["references", (text) => ({ references: ["<0@x>", `<1@x${text}>`] })],
    ["headers.X-Foo", (text) => ({ headers: { "X-Foo": `v${text}` } })],
    [
      "attachments[0].filename",
      (text) => ({ attachments: [new Attachment({ content: { text: "" }, filename: `f${text}` })] })
    ],
    [
      "attachments[0].type",
      (text) => ({ attachments: [new Attachment({ content: { text: "" }, type: `text/plain${text}` })] })
    ],
    [
      "attachments[0].contentId",
      (text) => ({ attachments: [new Attachment({ content: { text: "" }, contentId: `c${text}` })] })
    ],
    ["alternatives[0].type", (text) => ({ alternatives: [new Alternative({ type: `text/x${text}`, text: "" })] })],
    ["calendar.method", (text) => ({ calendar: new Invitation({ method: `REQUEST${text}`, text: "" }) })],
    [
      "calendar.filename",
      (text) => ({ calendar: new Invitation({ method: "REQUEST", text: "", filename: `i${text}` }) })
    ]
  ]
  for (const [field, draft] of injections) {
    it.effect(`refuses a line break or NUL in ${field}`, () =>
      Effect.gen(function*() {
        for (const text of evil) assert.strictEqual(yield* refusal(draft(text)), field)
      }))
  }

  it.effect("refuses names that are no header names, and headers the draft sets itself", () =>
    Effect.gen(function*() {
      for (const name of ["X-A\r\nBcc", "X A", "X:A", "", "X-\u00e4"]) {
        assert.strictEqual(yield* refusal({ headers: { [name]: "v" } }), `headers.${name}`)
      }
      for (
        const name of [
          "Bcc",
          "to",
          "FROM",
          "Content-Type",
          "content-transfer-encoding",
          "Message-Id",
          "Date",
          "MIME-Version"
        ]
      ) {
        assert.strictEqual(yield* refusal({ headers: { [name]: "v" } }), `headers.${name}`)
      }
      assert.strictEqual(yield* refusal({ priority: "low", headers: { importance: "High" } }), "headers.importance")
    }))

  it.effect("refuses what is no address, no id, no file and no media type, by field", () =>
    Effect.gen(function*() {
      for (const to of ["bob", "bob@", "@example.org", "bob@exa mple.org", "Bob <bob>", "a@b@", "a@b..c"]) {
        assert.strictEqual(yield* refusal({ to }), "to", to)
      }
      for (const address of ["", "bob", "b b@x.org", "<b@x.org>", "b@x.org, c@x.org", "b@x.org\t"]) {
        assert.strictEqual(yield* refusal({ cc: new Address({ address }) }), "cc", address)
      }
      assert.strictEqual(yield* refusal({ to: [] }), "to")
      assert.strictEqual(yield* refusal({ to: "undisclosed-recipients:;" }), "to")
      assert.strictEqual(yield* refusal({ from: "a@x.org, b@x.org" }), "from")
      assert.strictEqual(yield* refusal({ messageId: "<>" }), "messageId")
      // an id can be encoded in no way, and its octets mean nothing without SMTPUTF8 (RFC 6532 3.3)
      for (const odd of ["<grüße@example.com>", "<1@bücher.example>", "<1@x\u{1F600}>", "<\u00a0@x>"]) {
        assert.strictEqual(yield* refusal({ messageId: odd }), "messageId", odd)
        assert.strictEqual(yield* refusal({ inReplyTo: odd }), "inReplyTo", odd)
        assert.strictEqual(yield* refusal({ references: ["<0@x>", odd] }), "references", odd)
      }
      const attached = (input: ConstructorParameters<typeof Attachment>[0]) =>
        refusal({ attachments: [new Attachment(input)] })
      assert.strictEqual(yield* attached({ content: { path: "/nowhere/at/all" } }), "attachments[0].path")
      assert.strictEqual(yield* attached({ content: { path: "/" } }), "attachments[0].path")
      assert.strictEqual(yield* attached({ content: { stream: Stream.fail("no") } }), "attachments[0].stream")
      assert.strictEqual(yield* attached({ content: { stream: Stream.die("no") } }), "attachments[0].stream")
      assert.strictEqual(yield* attached({ content: { text: "" }, contentId: "ü@x" }), "attachments[0].contentId")
      assert.strictEqual(yield* attached({ content: { text: "" }, type: "nonsense" }), "attachments[0].type")
      assert.strictEqual(yield* attached({ content: { text: "" }, type: "multipart/mixed" }), "attachments[0].type")
    }))

  const anyName = Schema.Union([
    Schema.String.check(Schema.isMaxLength(60)),
    Schema.Literals([
      "a\"b.txt",
      "a\\b;c=d.txt",
      "a'b%20c*d.txt",
      "../../etc/passwd",
      "utf-8''x",
      "=?utf-8?q?a?=.txt",
      "\u{1F600}\u202egpj.exe",
      ".",
      " a  b ",
      "x".repeat(400),
      "\u5c71".repeat(133)
    ])
  ])
  it.effect.prop(
    "keeps the names of files, whatever is in them, in lines that fit",
    [anyName],
    ([given]) =>
      Effect.gen(function*() {
        const filename = given.toWellFormed().replace(/[\r\n\0]/g, "")
        const file = new Attachment({ content: { text: "x" }, filename })
        const calendar = new Invitation({ method: "REQUEST", text: "BEGIN:VCALENDAR", filename })
        const { source } = yield* compose({ attachments: [file], calendar })
        const text = Buffer.from(source).toString("latin1")
        assert.isBelow(Math.max(...text.split("\r\n").map((line) => line.length)), 999)
        assert.notMatch(text, /[^\0-\x7f]/)
        const read = yield* parse(source)
        assert.deepStrictEqual(read.problems, [])
        assert.include(read.attachments.map((each) => each.filename), filename === "" ? undefined : filename)
      }),
    { arbitrary: { runs: 40 } }
  )

  const long = Schema.Struct({
    text: Schema.Literals(["x", "\u00fc", "\u{1F600}", "x ", "=?utf-8?Q?a?= ", "\"", "\u00fcx "]),
    times: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_200 }))
  })
  it.effect.prop(
    "writes lines that fit, or nothing, and says the same",
    [long, long],
    ([head, tail]) =>
      Effect.gen(function*() {
        const text = `${head.text.repeat(head.times)}${tail.text.repeat(tail.times)}`.trim()
        const subject = yield* compose({ subject: text, text, html: text })
        assert.strictEqual((yield* parse(subject.source)).subject, text)
        const sources = [subject]
        for (
          const input of [
            { to: new Address({ name: text, address: "a@example.com" }) },
            { to: `"${text.replaceAll("\"", "")}" <a@example.com>` },
            { to: `"${text.replaceAll("\"", "")}": a@example.com;` },
            { cc: new Address({ address: `${text.replace(/\W/g, "x")}@example.com` }) },
            { headers: { "X-Text": text } },
            { attachments: [new Attachment({ content: { text: "" }, filename: text })] },
            { inReplyTo: `<${text.replace(/\W/g, "x")}@example.com>` },
            { attachments: [new Attachment({ content: { text: "" }, type: `text/x; a=${text.replace(/\W/g, "x")}` })] }
          ]
        ) {
          const result = yield* Effect.result(compose(input))
          if (Result.isSuccess(result)) sources.push(result.success)
          else assert.strictEqual(result.failure._tag, "InvalidInput")
        }
        for (const { source } of sources) {
          const lines = Buffer.from(source).toString("latin1").split("\r\n")
          assert.isBelow(Math.max(...lines.map((line) => line.length)), 999)
        }
      }),
    { arbitrary: { runs: 25 } }
  )

  const strings = Schema.String.check(Schema.isMaxLength(200))
  it.effect.prop(
    "is read back as it was written",
    [strings, strings, strings, Schema.Array(Schema.Uint8Array).check(Schema.isMaxLength(3)), strings, strings],
    ([subject, text, name, files, html, value]) =>
      Effect.gen(function*() {
        // what a header cannot hold is refused, see above; controls and doubled blanks do not survive folding
        const plain = (given: string) => given.toWellFormed().replace(/\p{Cc}/gu, "").replace(/\s+/g, " ").trim()
        const { source } = yield* compose({
          subject: plain(subject),
          text,
          html,
          headers: { "X-Value": plain(value) },
          to: [new Address({ name: plain(name), address: "bob@example.org" }), "\u5c71@example.net"],
          cc: new Address({ name: plain(value), address: "o'neill+x@xn--jgeva-dua.ee" }),
          references: ["<1@x>", "<2@x>"],
          attachments: files.map((bytes, index) => new Attachment({ content: { bytes }, filename: `${index}.bin` }))
        })
        const read = yield* parse(source)
        assert.deepStrictEqual(read.problems, [])
        assert.strictEqual(read.subject ?? "", plain(subject))
        assert.strictEqual(read.to[0]?.name ?? "", plain(name))
        assert.strictEqual(read.cc[0]?.name ?? "", plain(value))
        assert.deepStrictEqual(read.to.map(({ address }) => address), ["bob@example.org", "\u5c71@example.net"])
        assert.deepStrictEqual(read.references, ["<1@x>", "<2@x>"])
        assert.strictEqual(read.headers.find((field) => field.name === "X-Value")?.value ?? "", plain(value))
        const sameLines = (given: string) => given.toWellFormed().replace(/\r\n|\r/g, "\n").trimEnd()
        assert.strictEqual((read.html ?? "").trimEnd(), sameLines(html))
        assert.strictEqual((read.text ?? "").trimEnd(), text.toWellFormed().replace(/\r\n|\r/g, "\n").trimEnd())
        assert.deepStrictEqual(read.attachments.map(({ content }) => [...content]), files.map((bytes) => [...bytes]))
      }),
    { arbitrary: { runs: 60 } }
  )
})
