/**
 * Reads messages with mailparser, the only file that knows the package. The parser is driven directly: what
 * `simpleParser` adds (HTML from text, text from HTML, links, checksums, inlined images) is none of our results and
 * costs more than the parsing. Headers are read by `HeaderBlock`, so they survive whatever happens to the body.
 */
import { Effect, Layer } from "effect"
import type { AttachmentStream, MailParserOptions } from "mailparser"
import { contentIdOf } from "../domain/ContentId.ts"
import { Address } from "../domain/Envelope.ts"
import { HeaderField, ParsedMessage, ReceivedAttachment } from "../domain/Message.ts"
import {
  decodeWords,
  type HeaderBlock,
  headerDate,
  isKnownCharset,
  messageIds,
  readHeaderBlock,
  withoutOtherFields
} from "./HeaderBlock.ts"
import { loadedOnce } from "./LoadedOnce.ts"
import { MessageParser } from "./MessageParser.ts"

const mailparser = loadedOnce(() => import("mailparser"))
type Package = Effect.Success<typeof mailparser>

/**
 * Turns of the event loop that a message may take, and octets for which it gets one more. The parser works in memory
 * and gets on in every turn, so one that needs more than this will not end by itself. A time-out would cost more than
 * the headers, and would tell a slow machine from a fast one.
 */
const parseTurns = { base: 10_000, octetsPerTurn: 64 } as const

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
  readonly attachments: ReadonlyArray<ReceivedAttachment>
  readonly problem: string | undefined
}

/** Reads messages in memory; needs nothing and keeps nothing. */
export const layer: Layer.Layer<MessageParser> = Layer.succeed(MessageParser, {
  parse: (source) =>
    Effect.flatMap(mailparser, ({ MailParser, parseAddressHeader }) => {
      const octets = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
      const block = readHeaderBlock(octets)
      return Effect.map(
        readBody(withoutOtherFields(octets, block), MailParser),
        (body) => assemble(block, body, parseAddressHeader)
      )
    })
})

/** Completes in any case: with the end of the message, with the first error, or when the turns are used up. */
const readBody = (octets: Buffer, MailParser: Package["MailParser"]): Effect.Effect<Body> =>
  Effect.suspend(() => {
    const attachments: Array<ReceivedAttachment> = []
    const parser = new MailParser(options)
    // `tree` is missing from the declarations of 3.14.2. The joined texts it declares cannot be told apart from the
    // empty ones that skipHtmlToText and skipTextToHtml put between them
    const body = (problem?: string): Body => ({
      tree: (parser as unknown as { readonly tree: Part | false }).tree || undefined,
      attachments,
      problem
    })
    return Effect.callback<Body>((resume) => {
      let left = parseTurns.base + octets.length / parseTurns.octetsPerTurn
      let turn = setImmediate(function next() {
        if (left-- > 0) turn = setImmediate(next)
        else finish("the message could not be read to its end")
      })
      const finish = (problem?: string) => {
        clearImmediate(turn)
        resume(Effect.succeed(body(problem)))
      }
      parser.on("error", (error: unknown) => finish(words(error)))
      parser.on("data", (data) => {
        if (data.type === "attachment") {
          collect(data, (attachment) => attachments.push(attachment), (error) => parser.destroy(error))
        }
      })
      parser.on("end", () => finish())
      parser.on("close", () => finish("the message could not be read to its end"))
      parser.end(octets)
      return Effect.sync(() => {
        clearImmediate(turn)
        parser.destroy()
      })
    })
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
    const contentId = contentIdOf(data.contentId ?? "")
    done(
      new ReceivedAttachment({
        ...(data.partId ? { part: data.partId } : {}),
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

const assemble = (
  { fields, truncated }: HeaderBlock,
  body: Body,
  parseAddressHeader: Package["parseAddressHeader"]
): ParsedMessage => {
  const problems: Array<string> = body.problem === undefined ? [] : [body.problem]
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
  const headers = fields.map(({ name, value }) => trusted(HeaderField, { name, value: decoded(value) }))

  const addresses = (name: string): ReadonlyArray<Address> => {
    const given = isSingle.has(name) ? first(name) : values.get(name)
    if (given === undefined) return []
    return parseAddressHeader(given).value.flatMap((entry) => entry.group ?? [entry]).map((entry) =>
      trusted(Address, { ...(entry.name ? { name: entry.name } : {}), address: entry.address ?? "" })
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
  if (type !== undefined && /^\s*multipart\//i.test(type) && !/;\s*boundary(?:\*\d*\*?)?\s*=/i.test(type)) {
    problems.push("the Content-Type names no boundary, so the parts cannot be told apart")
  }

  return trusted(ParsedMessage, {
    headers,
    ...(at === undefined ? {} : { date: at }),
    ...(subject === undefined ? {} : { subject: decoded(subject) }),
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
  })
}

/** Fields that a message has once (RFC 5322 3.6); of more, the first counts. */
const isSingle = new Set(["from", "sender", "reply-to"])

/** An instance without its checks: the fields are made here, of their own types, and checking costs more than making. */
const trusted = <A extends object>(of: { readonly prototype: A }, fields: Readonly<Omit<A, "toString">>): A =>
  Object.assign<A, typeof fields>(Object.create(of.prototype), fields)

/** A Message-ID without "@" is against RFC 5322 3.6.4, and common. */
const bare = (value: string | undefined): string | undefined => {
  const word = value?.replace(/[<>]/g, "").trim()
  return word === undefined || word === "" || /\s/.test(word) ? undefined : `<${word}>`
}
