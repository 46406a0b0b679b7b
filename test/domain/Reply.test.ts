import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { isAutomatic } from "../../src/domain/Automatic.ts"
import { Draft } from "../../src/domain/Draft.ts"
import { Address } from "../../src/domain/Envelope.ts"
import { ParsedMessage, ReceivedAttachment } from "../../src/domain/Message.ts"
import { maxReferences } from "../../src/domain/MessageId.ts"
import { quoteText } from "../../src/domain/Reply.ts"
import { layer as layerParser } from "../../src/driver/mailparser.ts"
import { MessageComposer } from "../../src/driver/MessageComposer.ts"
import { MessageParser } from "../../src/driver/MessageParser.ts"
import { layerComposer } from "../../src/driver/nodemailer.ts"

type Fields = ConstructorParameters<typeof ParsedMessage>[0]

const at = (address: string, name?: string) => new Address({ address, ...(name === undefined ? {} : { name }) })
const message = (fields: Partial<Fields> = {}) =>
  new ParsedMessage({
    headers: [],
    date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
    subject: "offer",
    from: [at("ann@example.com", "Ann")],
    sender: [],
    replyTo: [],
    to: [at("me@example.org"), at("bob@example.com")],
    cc: [at("cy@example.com", "Cy")],
    bcc: [],
    messageId: "<1@example.com>",
    references: [],
    text: "hello\n",
    attachments: [],
    problems: [],
    ...fields
  })
const header = (name: string, value: string) => ({ headers: [{ name, value }] })

const names = (given: Draft["to"]): ReadonlyArray<string> =>
  (Array.isArray(given) ? given : given === undefined ? [] : [given]).map(String)
const me = "Me <ME@example.org>"

describe("the recipients of an answer", () => {
  const table: ReadonlyArray<
    readonly [
      string,
      Partial<Fields>,
      Parameters<typeof Draft.reply>[1],
      ReadonlyArray<string>,
      ReadonlyArray<string>
    ]
  > = [
    ["are the author", {}, {}, ["Ann <ann@example.com>"], []],
    [
      "are where the author wants answers",
      { replyTo: [at("desk@example.com")] },
      { own: me },
      ["desk@example.com"],
      []
    ],
    [
      "are all, without the one who answers, Cc kept",
      {},
      { recipients: "all", own: me },
      ["Ann <ann@example.com>", "bob@example.com"],
      ["Cy <cy@example.com>"]
    ],
    [
      "are each named once",
      { to: [at("ANN@example.com"), at("bob@example.com")], cc: [at("bob@EXAMPLE.com"), at("cy@example.com")] },
      { recipients: "all" },
      ["Ann <ann@example.com>", "bob@example.com"],
      ["cy@example.com"]
    ],
    [
      "leave out every address of one's own, also where it is written in another form",
      { to: [at("me@xn--jgeva-dua.ee"), at("alias@example.org")] },
      { recipients: "all", own: ["me@j\u00f5geva.ee", at("Alias@example.org")], from: "cy@example.com" },
      ["Ann <ann@example.com>"],
      []
    ],
    [
      "of a message of one's own are its recipients",
      { from: [at("me@example.org")], to: [at("bob@example.com")] },
      { own: me },
      ["bob@example.com"],
      []
    ],
    [
      "of a note to oneself are oneself",
      { from: [at("me@example.org")], to: [at("me@example.org")], cc: [] },
      { own: me, recipients: "all" },
      ["me@example.org"],
      []
    ],
    [
      "follow Mail-Followup-To where all are answered",
      header("Mail-Followup-To", "List <list@example.net>, me@example.org"),
      { recipients: "all", own: me },
      ["List <list@example.net>"],
      []
    ],
    [
      "do not follow Mail-Followup-To where the sender is answered",
      header("Mail-Followup-To", "list@example.net"),
      {},
      ["Ann <ann@example.com>"],
      []
    ],
    [
      "are the list where it says how to post",
      header("List-Post", "<mailto:list%40example.net?subject=x>"),
      { recipients: "list" },
      ["list@example.net"],
      []
    ],
    [
      "are all where a list takes no posts",
      header("List-Post", "NO"),
      { recipients: "list", own: me },
      ["Ann <ann@example.com>", "bob@example.com"],
      ["Cy <cy@example.com>"]
    ],
    ["are the sender where there is no author", { from: [at("")], sender: [at("desk@example.com")] }, {}, [
      "desk@example.com"
    ], []],
    ["have names without line breaks", { from: [at("ann@example.com", "A\r\nBcc: eve@x")] }, {}, [
      "A Bcc: eve@x <ann@example.com>"
    ], []]
  ]
  for (const [title, fields, options, to, cc] of table) {
    it(title, () => {
      const draft = Draft.reply(message(fields), options)
      assert.deepStrictEqual([names(draft.to), names(draft.cc)], [to, cc])
    })
  }

  it("are answered from the address the message was sent to", () => {
    const from = (options: Parameters<typeof Draft.reply>[1]) => Draft.reply(message(), options).from?.toString()
    assert.strictEqual(from({ own: ["other@example.org", me] }), "Me <ME@example.org>")
    assert.strictEqual(from({ own: me, from: "desk@example.org" }), "desk@example.org")
    assert.isUndefined(from({ own: "other@example.org" }))
  })
})

describe("the thread of an answer", () => {
  it("is named by In-Reply-To and References", () => {
    const draft = Draft.reply(message({ references: ["<a@x>", "<b@x>", "<a@x>", "no id", "<1@example.com>"] }))
    assert.strictEqual(draft.inReplyTo, "<1@example.com>")
    assert.deepStrictEqual(draft.references, ["<a@x>", "<b@x>", "<1@example.com>"])
  })

  it("goes back to In-Reply-To where there are no References", () => {
    assert.deepStrictEqual(Draft.reply(message({ inReplyTo: "<0@x>" })).references, ["<0@x>", "<1@example.com>"])
  })

  it("leaves out ids that no header can hold", () => {
    const { messageId: _, ...rest } = message()
    assert.isUndefined(Draft.reply(new ParsedMessage(rest)).inReplyTo)
    const draft = Draft.reply(message({ messageId: "<a b@x>", references: ["<\r\n@x>", `<${"a".repeat(300)}@x>`] }))
    assert.isUndefined(draft.inReplyTo)
    assert.deepStrictEqual(draft.references, [])
  })
})

describe("the text of an answer", () => {
  it("stands above the quotation", () => {
    const draft = Draft.reply(message({ text: "one\n\n> two\n\n" }), { text: "yes\n" })
    assert.strictEqual(
      draft.text,
      "yes\n\nOn 2026-01-02 03:04 UTC, Ann <ann@example.com> wrote:\n> one\n>\n>> two\n"
    )
    assert.isUndefined(draft.html)
  })

  it("quotes what is only there as HTML", () => {
    assert.strictEqual(
      Draft.reply(message({ text: "", html: "<p>a &lt; b" }), { text: "x", attribution: "She:" }).text,
      "x\n\nShe:\n"
    )
    const { text: _, ...rest } = message({ html: "<p>a &lt; b" })
    assert.strictEqual(
      Draft.reply(new ParsedMessage(rest), { text: "x", attribution: "She:" }).text,
      "x\n\nShe:\n> a < b\n"
    )
  })

  it("as HTML quotes the HTML, with the pictures it shows, and has a text of its own", () => {
    const picture = (contentId: string) =>
      new ReceivedAttachment({
        type: "image/png",
        size: 1,
        disposition: "inline",
        contentId,
        content: Uint8Array.of(1)
      })
    const draft = Draft.reply(
      message({
        html: "<body>see <img src=\"cid:1@x\"><img src=\"cid:3@x\"></div>",
        attachments: [picture("1@x"), picture("<3@x>"), picture("2@x")]
      }),
      { html: "<p>yes</p>" }
    )
    assert.strictEqual(
      draft.html,
      "<p>yes</p>\n<p>On 2026-01-02 03:04 UTC, Ann &lt;ann@example.com&gt; wrote:</p>\n" +
        "<blockquote type=\"cite\">\nsee <img src=\"cid:1@x\"><img src=\"cid:3@x\">\n</blockquote>\n"
    )
    assert.strictEqual(draft.text?.split("\n")[0], "yes")
    assert.deepStrictEqual(draft.attachments?.map(({ contentId }) => contentId), ["1@x", "3@x"])
  })

  it("quotes nothing where that is not wanted", () => {
    assert.strictEqual(Draft.reply(message(), { text: "yes", quote: false }).text, "yes")
  })

  it.prop("is quoted line by line", [Schema.String], ([text]) => {
    const lines = text.replace(/\r\n?/g, "\n").trimEnd().split("\n")
    const quoted = quoteText(text)
    if (quoted === "") return assert.strictEqual(text.trimEnd(), "")
    const unquoted = quoted.split("\n").map((line) => line.replace(/^>/, "").replace(/^ (?!>)/, ""))
    assert.deepStrictEqual(unquoted, lines)
  })

  it("says that a program wrote it, where one did", () => {
    const draft = Draft.reply(message(), { automatic: true, headers: { "X-A": "b" } })
    assert.deepStrictEqual(draft.headers, { "X-A": "b", "Auto-Submitted": "auto-replied" })
  })
})

describe("messages that no program may answer", () => {
  it("are told by their header or their author", () => {
    assert.isFalse(isAutomatic(message()))
    assert.isFalse(isAutomatic(message(header("Auto-Submitted", "no"))))
    for (
      const [name, value] of [
        ["Auto-Submitted", "auto-replied"],
        ["AUTO-SUBMITTED", "auto-generated; x=y"],
        ["Precedence", "bulk"],
        ["List-Id", "<a.example.com>"],
        ["Return-Path", "<>"],
        ["Content-Type", "multipart/report; report-type=delivery-status"],
        ["X-Auto-Response-Suppress", "DR, AutoReply"]
      ] as const
    ) assert.isTrue(isAutomatic(message(header(name, value))), name)
    for (
      const address of [
        "MAILER-DAEMON@x.org",
        "no-reply@x.org",
        "noreply+1@x.org",
        "list-bounces@x.org",
        "owner-l@x.org"
      ]
    ) {
      assert.isTrue(isAutomatic(message({ from: [at(address)] })), address)
    }
    assert.isFalse(isAutomatic(message({ from: [at("norah@x.org")] })))
    assert.isTrue(isAutomatic(message({ from: [] })))
  })
})

describe("answers, composed and read", () => {
  const layers = Layer.merge(layerComposer, layerParser)
  const send = (draft: Draft, messageId: string, from: string) =>
    Effect.gen(function*() {
      const { compose } = yield* MessageComposer
      const { parse } = yield* MessageParser
      const date = new Date(Date.UTC(2026, 0, 3))
      const { source } = yield* compose(new Draft({ ...draft, from, date, messageId }), { recipients: "required" })
      return { source, read: yield* parse(source) }
    })

  it.effect("keep a bounded and ordered chain over fifty answers, and one prefix", () =>
    Effect.gen(function*() {
      let last = message()
      const ids = ["<1@example.com>"]
      for (let n = 2; n <= 51; n++) {
        const id = `<${n}@a-rather-long-name-of-a-host.example.com>`
        const { read, source } = yield* send(Draft.reply(last, { text: `answer ${n}` }), id, `p${n % 2}@example.com`)
        assert.deepStrictEqual(
          read.references,
          ids.length <= maxReferences ? ids : [...ids.slice(0, 1), ...ids.slice(1 - maxReferences)]
        )
        assert.strictEqual(read.inReplyTo, ids.at(-1))
        assert.strictEqual(read.subject, "Re: offer")
        assert.isBelow(
          Math.max(...Buffer.from(source).toString("latin1").split("\r\n").map((line) => line.length)),
          999
        )
        ids.push(id)
        last = read
      }
      assert.isAtMost(last.references.length, maxReferences)
    }).pipe(Effect.provide(layers)))

  it.effect("quote a message that has HTML alone, as text and as HTML", () =>
    Effect.gen(function*() {
      const { text: _, ...rest } = message({
        html: "<html><head><style>p{}</style></head><body><p>One &amp; two</p><script>x()</script>" +
          "<blockquote><p>before</p></blockquote><table><tr><td>a<td>b</table><p>unclosed <b>bold"
      })
      const original = new ParsedMessage(rest)
      const lines = ["> One & two", ">", ">> before", ">", "> a b", ">", "> unclosed bold"]
      for (const options of [{ text: "Yes." }, { html: "<p>Yes.</p>" }, {}]) {
        const { read } = yield* send(Draft.reply(original, options), "<2@example.com>", "bob@example.com")
        assert.deepStrictEqual(read.problems, [])
        assert.deepStrictEqual((read.text ?? "").trimEnd().split("\n").slice(3), lines)
        assert.strictEqual("html" in options, read.html !== undefined)
        assert.notMatch(read.html ?? "", /<script|<style/)
        assert.match(read.html ?? "<b>bold</b>", /<b>bold<\/b>/)
      }
    }).pipe(Effect.provide(layers)))

  const hostile = Schema.Array(Schema.Union([
    Schema.String,
    Schema.Literals([
      "\r\n",
      "\nBcc: eve@example.net",
      "\0",
      "<",
      ">",
      ",",
      ";",
      "\"",
      ":",
      "@",
      "=?utf-8?Q?=0D=0A?=",
      "\ud800"
    ])
  ]))
  const word = hostile.check(Schema.isMaxLength(12))
  it.effect.prop(
    "can be composed whatever a stranger wrote, and gain no header from it",
    [word, word, word, word, word, word, word],
    (given) =>
      Effect.gen(function*() {
        const [subject = "", name = "", address = "", id = "", text = "", file = "", list = ""] = given.map((pieces) =>
          pieces.join("")
        )
        const original = message({
          subject,
          text,
          html: text,
          from: [at("ann@example.com", name), at(address, name)],
          to: [at(address), at("bob@example.com", subject)],
          messageId: id,
          references: [id, `<${id}>`, "<0@x>"],
          ...header("Mail-Followup-To", list),
          attachments: [
            new ReceivedAttachment({
              filename: file,
              type: file,
              size: 1,
              disposition: "attachment",
              contentId: id,
              content: Uint8Array.of(7)
            })
          ]
        })
        for (
          const draft of [
            Draft.reply(original, { recipients: "all", html: "<p>a</p>" }),
            Draft.reply(original, { recipients: "list", text: "a" }),
            Draft.forward(original, { to: "cy@example.com", text: "b" }),
            Draft.forward(original, { to: "cy@example.com", source: Uint8Array.of(65) })
          ]
        ) {
          const { read } = yield* send(draft, "<9@example.com>", "me@example.org")
          assert.deepStrictEqual(
            read.headers.map((field) => field.name.toLowerCase()).filter((name) =>
              !["from", "to", "cc", "subject", "message-id", "in-reply-to", "references", "date", "mime-version"]
                .includes(name) &&
              !name.startsWith("content-")
            ),
            []
          )
        }
      }).pipe(Effect.provide(layers)),
    { arbitrary: { runs: 60 } }
  )
})
