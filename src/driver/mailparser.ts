/**
 * Reads messages with mailparser, the only file that knows the package. The parser is driven directly: what
 * `simpleParser` adds (HTML from text, text from HTML, links, checksums, inlined images) is none of our results and
 * costs more than the parsing. Headers are read by `HeaderBlock`, so they survive whatever happens to the body.
 */
import { Effect, Layer } from "effect"
import {
  type AttachmentStream,
  type EmailAddress,
  type Headers,
  type HeaderValue,
  MailParser,
  type MailParserOptions,
  parseAddressHeader
} from "mailparser"
import { Address } from "../domain/Envelope.ts"
import { HeaderField, ParsedMessage, ReceivedAttachment } from "../domain/Message.ts"
import { decodeWords, headerDate, isKnownCharset, messageIds, readHeaderBlock } from "./HeaderBlock.ts"
import { MessageParser } from "./MessageParser.ts"

/** The longest that a message may take, in milliseconds. A parser that is silent for so long will not end by itself. */
export const parseTimeoutMillis = 60_000

/** More MIME parts than this are not read. */
export const maxParts = 1000

const options: MailParserOptions = {
  skipHtmlToText: true,
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true,
  checksumAlgo: false,
  // a forwarded message and a delivery report are data of their own, not text of this message
  ignoreEmbedded: true,
  keepDeliveryStatus: true,
  maxChildNodes: maxParts,
  maxHeadSize: 16 * 1024 * 1024
}

/** One node of the tree that mailparser builds, as far as it is read here. */
interface Part {
  readonly contentType?: string | false
  readonly charset?: string
  readonly textContent?: string
  readonly children?: ReadonlyArray<Part>
}

interface Body {
  readonly tree: Part | undefined
  readonly headers: Headers | undefined
  readonly attachments: ReadonlyArray<ReceivedAttachment>
  readonly problem: string | undefined
}

/** Reads messages in memory; needs nothing and keeps nothing. */
export const layer: Layer.Layer<MessageParser> = Layer.succeed(MessageParser, {
  parse: (source) =>
    Effect.suspend(() => {
      const octets = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
      return Effect.map(readBody(octets), (body) => assemble(octets, body))
    })
})

/** Completes in any case: with the end of the message, with the first error, or when the time is over. */
const readBody = (octets: Buffer): Effect.Effect<Body> =>
  Effect.suspend(() => {
    const attachments: Array<ReceivedAttachment> = []
    const parser = new MailParser(options)
    // `tree` is missing from the declarations of 3.14.2. The joined texts it declares cannot be told apart from the
    // empty ones that skipHtmlToText and skipTextToHtml put between them
    const body = (problem?: string): Body => ({
      tree: (parser as unknown as { readonly tree: Part | false }).tree || undefined,
      headers: parser.headers || undefined,
      attachments,
      problem
    })
    return Effect.callback<Body>((resume) => {
      parser.on("error", (error: unknown) => resume(Effect.sync(() => body(words(error)))))
      parser.on("data", (data) => {
        if (data.type === "attachment") {
          collect(data, (attachment) => attachments.push(attachment), (error) => parser.destroy(error))
        }
      })
      parser.on("end", () => resume(Effect.sync(() => body())))
      parser.on("close", () => resume(Effect.sync(() => body("the message could not be read to its end"))))
      parser.end(octets)
      return Effect.sync(() => parser.destroy())
    }).pipe(Effect.timeoutOrElse({
      duration: parseTimeoutMillis,
      orElse: () => Effect.sync(() => body("the message could not be read in time"))
    }))
  })

const words = (error: unknown): string => error instanceof Error ? error.message : String(error)

const collect = (
  data: AttachmentStream,
  done: (attachment: ReceivedAttachment) => void,
  failed: (error: Error) => void
): void => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  data.content.on("data", (chunk: Uint8Array) => {
    chunks.push(chunk)
    size += chunk.length
  })
  data.content.on("error", failed)
  data.content.on("end", () => {
    const content = new Uint8Array(size)
    let at = 0
    for (const chunk of chunks) {
      content.set(chunk, at)
      at += chunk.length
    }
    const contentId = data.contentId?.trim()
    done(
      new ReceivedAttachment({
        ...(data.filename ? { filename: data.filename } : {}),
        type: data.contentType || "application/octet-stream",
        size,
        disposition: data.contentDisposition === "inline" ? "inline" : "attachment",
        ...(contentId ? { contentId } : {}),
        content
      })
    )
    data.release?.()
  })
}

const assemble = (octets: Buffer, body: Body): ParsedMessage => {
  const problems: Array<string> = body.problem === undefined ? [] : [body.problem]
  const { fields, truncated } = readHeaderBlock(octets)
  if (truncated) problems.push("the header block is too long and was cut off")
  const values = new Map<string, Array<string>>()
  for (const { name, value } of fields) {
    const key = name.toLowerCase()
    const same = values.get(key)
    if (same === undefined) values.set(key, [value])
    else same.push(value)
  }
  const first = (name: string) => values.get(name)?.[0]
  const decoded = (value: string) => decodeWords(value, (charset) => problems.push(`unknown charset "${charset}"`))
  const headers = fields.map(({ name, value }) => new HeaderField({ name, value: decoded(value) }, unchecked))

  const addresses = (name: string): ReadonlyArray<Address> => {
    const given = values.get(name)
    if (given === undefined) return []
    const read = body.headers === undefined ? parseAddressHeader(given).value : entries(body.headers.get(name))
    return read.flatMap((entry) => entry.group ?? [entry]).map((entry) =>
      new Address({ ...(entry.name ? { name: entry.name } : {}), address: entry.address ?? "" }, unchecked)
    )
  }

  const date = first("date")
  const at = date === undefined ? undefined : headerDate(date)
  if (date !== undefined && at === undefined) problems.push(`the date "${date.slice(0, 80)}" is none`)

  const subject = first("subject")
  const messageId = messageIds(first("message-id") ?? "")[0] ?? bare(first("message-id"))
  const inReplyTo = messageIds(first("in-reply-to") ?? "")[0]

  const text: Array<string> = []
  const html: Array<string> = []
  const walk = (part: Part): void => {
    const type = typeof part.contentType === "string" ? part.contentType : ""
    const charset = part.charset?.toLowerCase()
    if (part.textContent !== undefined) {
      if (charset !== undefined && !isKnownCharset(charset)) problems.push(`unknown charset "${charset}"`)
      if (type === "text/html") html.push(part.textContent)
      else text.push(part.textContent)
    }
    for (const child of part.children ?? []) walk(child)
  }
  if (body.tree !== undefined) walk(body.tree)
  const type = first("content-type")
  if (type !== undefined && /^\s*multipart\//i.test(type) && !/;\s*boundary\s*\*?\d*\*?\s*=/i.test(type)) {
    problems.push("the Content-Type names no boundary, so the parts cannot be told apart")
  }

  return new ParsedMessage({
    headers,
    ...(at === undefined ? {} : { date: at }),
    ...(subject === undefined ? {} : { subject: decodeWords(subject) }),
    from: addresses("from"),
    sender: addresses("sender"),
    replyTo: addresses("reply-to"),
    to: addresses("to"),
    cc: addresses("cc"),
    bcc: addresses("bcc"),
    ...(messageId === undefined ? {} : { messageId }),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    references: (values.get("references") ?? []).flatMap(messageIds),
    ...(text.length === 0 ? {} : { text: text.join("\n") }),
    ...(html.length === 0 ? {} : { html: html.join("\n") }),
    attachments: body.attachments,
    problems: [...new Set(problems)]
  }, unchecked)
}

/** The mailboxes and groups of an address header; a header that occurs twice comes as a list. */
const entries = (value: HeaderValue | undefined): ReadonlyArray<EmailAddress> =>
  (Array.isArray(value) ? value : [value]).flatMap((each) =>
    typeof each === "object" && "value" in each && Array.isArray(each.value) ? each.value : []
  )

/** The values are made here, from their own types; checking them again costs as much as making them. */
const unchecked = { disableChecks: true } as const

/** A Message-ID without "@" is against RFC 5322 3.6.4, and common. */
const bare = (value: string | undefined): string | undefined => {
  const word = value?.replace(/[<>]/g, "").trim()
  return word === undefined || word === "" || /\s/.test(word) ? undefined : `<${word}>`
}
