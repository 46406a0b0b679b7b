/** The kinds of sample messages, one maker each: what mail is like, and what it should not be like and is. */
import {
  base64,
  encodedWords,
  entity,
  multipart,
  type SampleCharset,
  type SampleRandom,
  textEntity,
  toOctets
} from "./SampleMime.ts"

/** What a maker knows of the message it fills. */
export interface SampleContext {
  readonly random: SampleRandom
  /** About how many octets of text. */
  readonly size: number
  readonly subject: string
  readonly boundary: string
  /** Message-IDs of the conversation so far, oldest first. */
  readonly references: ReadonlyArray<string>
}

/** An attachment as it should be found after decoding. */
export interface SampleAttachment {
  readonly filename: string
  readonly content: Uint8Array
}

/** What a maker says of a message. Fields given here replace the ordinary ones of the same name. */
export interface SampleShape {
  readonly entity: string
  /** Words that the decoded text holds; absent where no reader can be expected to find them. */
  readonly text?: string
  readonly attachments?: ReadonlyArray<SampleAttachment>
  /** The subject as it is written, and as it reads. */
  readonly subject?: { readonly written: string; readonly reads: string }
  readonly fields?: ReadonlyArray<string>
  readonly without?: ReadonlyArray<string>
  readonly broken?: true
}

type Maker = (context: SampleContext) => SampleShape

const english = "The quick brown fox jumps over the lazy dog"
const german = "Grüße aus Köln, wo die Straße „Süd“ heißt – für 5 €"
const french = "Déjà vu à l'été, où le garçon mange une crêpe"
const russian = "Съешь же ещё этих мягких французских булок"
const japanese = "日本語の本文です。こんにちは、世界"

/** Lines that begin with a sentence and go on with words of it until there are enough octets. */
const prose = ({ random, size }: SampleContext, sentence: string): string => {
  const words = sentence.split(" ")
  const lines = [sentence]
  for (let octets = sentence.length; octets < size;) {
    const line = Array.from({ length: 8 }, () => words[random.below(words.length)]).join(" ")
    lines.push(line)
    octets += line.length + 2
  }
  return `${lines.join("\r\n")}\r\n`
}

const text = (
  sentence: string,
  charset: SampleCharset,
  encoding: "7bit" | "8bit" | "quoted-printable" | "base64"
): Maker =>
(context) => ({ entity: textEntity(prose(context, sentence), { charset, encoding }), text: sentence })

const html = (context: SampleContext, sentence: string) =>
  `<!DOCTYPE html>\r\n<html><head><title>Sample</title><style>p { color: #333 }</style></head>\r\n<body><p>` +
  `${prose(context, sentence)}</p>\r\n<p><a href="https://example.com/?a=1&amp;b=2">more</a></p></body></html>\r\n`

const htmlEntity = (context: SampleContext, sentence: string) =>
  textEntity(html(context, sentence), { type: "text/html", charset: "utf-8", encoding: "quoted-printable" })

const alternative = (context: SampleContext, sentence: string, boundary = context.boundary) =>
  multipart("alternative", boundary, [
    textEntity(prose(context, sentence), { charset: "utf-8", encoding: "quoted-printable" }),
    htmlEntity(context, sentence)
  ])

const attached = (type: string, filename: string, content: string, parameter = `filename="${filename}"`) =>
  entity([
    `Content-Type: ${type}`,
    `Content-Disposition: attachment; ${parameter}`,
    "Content-Transfer-Encoding: base64"
  ], base64(content))

const withAttachment = (
  context: SampleContext,
  part: string,
  filename: string,
  content: string
): SampleShape => ({
  entity: multipart("mixed", context.boundary, [textEntity(prose(context, english)), part]),
  text: english,
  attachments: [{ filename, content: toOctets(content) }]
})

/** The smallest PNG: one transparent pixel. */
const pixel = atob(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

const calendar = [
  "BEGIN:VCALENDAR",
  "VERSION:2.0",
  "METHOD:REQUEST",
  "BEGIN:VEVENT",
  "UID:sample@example.com",
  "DTSTART:20260301T100000Z",
  "DTEND:20260301T110000Z",
  "SUMMARY:Sample meeting",
  "END:VEVENT",
  "END:VCALENDAR",
  ""
].join("\r\n")

export const makers = {
  "plain": text(english, "us-ascii", "7bit"),
  "utf-8-8bit": text(german, "utf-8", "8bit"),
  "utf-8-quoted-printable": text(german, "utf-8", "quoted-printable"),
  "utf-8-base64": text(japanese, "utf-8", "base64"),
  "iso-8859-1": text(french, "iso-8859-1", "quoted-printable"),
  "windows-1252": text(german, "windows-1252", "8bit"),
  "koi8-r": text(russian, "koi8-r", "base64"),
  "iso-2022-jp": text(japanese, "iso-2022-jp", "7bit"),
  "utf-16": text(russian, "utf-16", "base64"),
  "flowed": (context) => ({
    entity: textEntity(
      `${english} \r\n and a stuffed line that goes \r\non.\r\n\r\n> quoted \r\n> and on\r\n-- \r\n${
        prose(context, english)
      }`,
      { type: "text/plain; format=flowed; delsp=no" }
    ),
    text: english
  }),
  "html": (context) => ({ entity: htmlEntity(context, french), text: french }),
  "alternative": (context) => ({ entity: alternative(context, german), text: german }),
  "nested": (context) => ({
    entity: multipart("mixed", context.boundary, [
      multipart("mixed", `${context.boundary}-1`, [
        alternative(context, english, `${context.boundary}-1-1`),
        textEntity("second part\r\n")
      ]),
      textEntity("third part\r\n")
    ]),
    text: english
  }),
  "inline-image": (context) => ({
    entity: multipart("related", context.boundary, [
      textEntity(`<p>${english}</p><img src="cid:pixel@example.com">\r\n`, { type: "text/html" }),
      entity([
        "Content-Type: image/png; name=\"pixel.png\"",
        "Content-Disposition: inline; filename=\"pixel.png\"",
        "Content-ID: <pixel@example.com>",
        "Content-Transfer-Encoding: base64"
      ], base64(pixel))
    ]),
    text: english,
    attachments: [{ filename: "pixel.png", content: toOctets(pixel) }]
  }),
  "attachment-binary": (context) => {
    const content = context.random.octets(200 + context.random.below(300))
    const part = attached("application/octet-stream", "data.bin", content)
    return withAttachment(context, part, "data.bin", content)
  },
  "attachment-text": (context) =>
    withAttachment(context, attached("text/csv", "table.csv", "a,b\r\n1,2\r\n"), "table.csv", "a,b\r\n1,2\r\n"),
  "attachment-name": (context) => {
    const part = attached(
      "text/plain",
      "",
      "notes\r\n",
      "filename*0*=UTF-8''%E6%97%A5%E6%9C%AC;\r\n filename*1*=%E8%AA%9E.txt"
    )
    return withAttachment(context, part, "日本語.txt", "notes\r\n")
  },
  "calendar": (context) =>
    withAttachment(
      context,
      attached("text/calendar; method=REQUEST; charset=utf-8", "invite.ics", calendar),
      "invite.ics",
      calendar
    ),
  "forwarded": (context) => ({
    entity: multipart("mixed", context.boundary, [
      textEntity(prose(context, english)),
      entity(
        ["Content-Type: message/rfc822", "Content-Disposition: attachment; filename=\"original.eml\""],
        `From: Zoe <zoe@example.net>\r\nSubject: the original\r\n${textEntity("text of the original\r\n")}`
      )
    ]),
    text: english
  }),
  "reply": (context) => ({
    entity: textEntity(`${english}\r\n\r\nOn Thursday somebody wrote:\r\n> ${english}\r\n`),
    text: english,
    subject: { written: `Re: ${context.subject}`, reads: `Re: ${context.subject}` },
    fields: context.references.length === 0 ? [] : [
      `In-Reply-To: ${context.references.at(-1)}`,
      `References: ${context.references.join("\r\n ")}`
    ]
  }),
  "mailing-list": (context) => ({
    entity: textEntity(prose(context, english)),
    text: english,
    subject: { written: `[dev] ${context.subject}`, reads: `[dev] ${context.subject}` },
    fields: [
      "List-Id: Developers <dev.lists.example.com>",
      "List-Post: <mailto:dev@lists.example.com>",
      "List-Unsubscribe: <https://lists.example.com/leave>, <mailto:leave@lists.example.com>",
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
      "Precedence: list",
      "Sender: dev-bounces@lists.example.com"
    ]
  }),
  "long-header": (context) => ({
    entity: textEntity(prose(context, english)),
    text: english,
    subject: {
      written: `${context.subject} ${Array.from({ length: 12 }, () => english).join("\r\n ")}`,
      reads: `${context.subject} ${Array.from({ length: 12 }, () => english).join(" ")}`
    },
    fields: [
      `To: ${Array.from({ length: 60 }, (_, at) => `Reader ${at} <reader${at}@example.com>`).join(",\r\n ")}`,
      `X-Long: ${"x".repeat(900)}`
    ]
  }),
  "encoded-words": (context) => {
    const [sentence, charset] = context.random.pick<readonly [string, SampleCharset]>([
      [german, "utf-8"],
      [french, "iso-8859-1"],
      [russian, "koi8-r"],
      [japanese, "utf-8"]
    ])
    const reads = `${sentence} ${context.subject}`
    return {
      entity: textEntity(prose(context, english)),
      text: english,
      subject: { written: encodedWords(reads, charset, context.random.pick(["B", "Q"])), reads },
      fields: [`From: ${encodedWords("Jörg Ñandú", "utf-8", "Q")} <joerg@example.com>`]
    }
  },
  "odd-date": (context) => ({
    entity: textEntity(prose(context, english)),
    text: english,
    fields: [
      `Date: ${
        context.random.pick([
          "1 Jan 70 00:00 GMT",
          "Thu, 29 Feb 2024 23:59:60 +0000",
          "Mon, 5 May 2025 10:00:00 -0330 (NST)",
          "Mon,  5 May 2025 10:00:00 EST",
          "Tue, 32 Jun 2025 25:61:00 +9999",
          "2025-05-05T10:00:00Z",
          "yesterday"
        ])
      }`
    ]
  }),
  "empty-body": () => ({ entity: entity(["Content-Type: text/plain; charset=us-ascii"], "") }),
  "empty-subject": (context) => ({
    entity: textEntity(prose(context, english)),
    text: english,
    subject: { written: "", reads: "" }
  }),
  "no-content-type": (context) => ({
    entity: `\r\n${prose(context, english)}`,
    text: english,
    without: ["MIME-Version"]
  }),
  "no-boundary-parameter": (context) => ({
    entity: multipart("mixed", context.boundary, [textEntity(prose(context, english))], { parameter: false }),
    broken: true
  }),
  "no-final-boundary": (context) => ({
    entity: multipart("mixed", context.boundary, [textEntity(prose(context, english))], { closed: false }),
    text: english,
    broken: true
  }),
  "bad-base64": () => ({
    entity: entity([
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: base64"
    ], "VGhlI!!cXVpY2s*gYnJvd24\r\nZm94=IGp1bXBz=\r\n%%%\r\nA"),
    broken: true
  }),
  "wrong-charset": (context) => ({
    entity: textEntity(prose(context, russian), { charset: "koi8-r", encoding: "8bit", label: "utf-8" }),
    broken: true
  }),
  "unknown-charset": (context) => ({
    entity: textEntity(prose(context, german), { charset: "utf-8", encoding: "8bit", label: "x-no-such-charset" }),
    broken: true
  }),
  "unknown-encoding": (context) => ({
    entity: entity(["Content-Type: text/plain", "Content-Transfer-Encoding: x-rot13"], prose(context, english)),
    broken: true
  }),
  "header-junk": (context) => ({
    entity: textEntity(prose(context, english)),
    text: english,
    fields: ["this line is no header field", ": no name", "X-Empty:", "X-8bit: caf\xe9 \xff", "X Space: in the name"],
    broken: true
  }),
  "long-lines": (context) => ({
    entity: textEntity(`${english} ${"x".repeat(20_000)}\r\n${prose(context, english)}`),
    text: english,
    broken: true
  }),
  "no-date-no-from": (context) => ({
    entity: textEntity(prose(context, english)),
    text: english,
    without: ["Date", "From", "Message-ID"],
    broken: true
  }),
  "cut-header": () => ({ entity: "Content-Type: text/plain; charset=\"ut", broken: true }),
  "mismatched-boundary": (context) => ({
    entity: multipart("mixed", context.boundary, [textEntity(prose(context, english))])
      .replace(`boundary="${context.boundary}"`, "boundary=\"another\""),
    broken: true
  })
} as const satisfies Record<string, Maker>

/** The name of a kind of sample. */
export type SampleKind = keyof typeof makers
