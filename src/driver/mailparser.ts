/**
 * Reads messages with mailparser, the only file that knows the package. The parser is driven directly: what
 * `simpleParser` adds (HTML from text, text from HTML, links, checksums, inlined images) is none of our results and
 * costs more than the parsing. Headers are read by `HeaderBlock`, so they survive whatever happens to the body, and
 * ordinary bodies by `MimeBody`, in a fraction of the time; what is unusual about a message is mailparser's to know.
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
import { type MimeLeaf, readOrdinaryBody } from "./MimeBody.ts"

const mailparser = loadedOnce(() => import("mailparser"))
type Package = Effect.Success<typeof mailparser>

/**
 * Turns of the event loop that a message may take, and octets for which it gets one more. The parser works in memory
 * and gets on in every turn, so one that needs more than this will not end by itself. A time-out would cost more than
 * the headers, and would tell a slow machine from a fast one.
 */
export const parseTurns = { base: 10_000, octetsPerTurn: 64 } as const

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

/** One text of a message. */
interface Text {
  readonly isHtml: boolean
  readonly charset: string | undefined
  readonly content: string
}

interface Body {
  readonly texts: ReadonlyArray<Text>
  readonly attachments: ReadonlyArray<ReceivedAttachment>
  readonly problem: string | undefined
}

/** Reads messages in memory; needs nothing and keeps nothing. */
export const layer: Layer.Layer<MessageParser> = Layer.succeed(MessageParser, {
  parse: (source) =>
    Effect.flatMap(mailparser, ({ MailParser, parseAddressHeader }) => {
      const octets = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
      const block = readHeaderBlock(octets)
      const leaves = readOrdinaryBody(octets, block)
      return Effect.map(
        leaves === undefined
          ? readBody(withoutOtherFields(octets, block), MailParser)
          : Effect.succeed(toBody(leaves)),
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
      texts: textsOf((parser as unknown as { readonly tree: Part | false }).tree || {}),
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
    done(received({
      part: data.partId || undefined,
      filename: data.filename,
      type: data.contentType || "application/octet-stream",
      disposition: data.contentDisposition || undefined,
      contentId: data.contentId,
      content
    }))
    data.release?.()
  })
}

const received = (leaf: Omit<MimeLeaf, "text" | "content"> & { readonly content: Uint8Array }) => {
  const { content, disposition, filename, part, type } = leaf
  const contentId = contentIdOf(leaf.contentId ?? "")
  return trusted(ReceivedAttachment, {
    ...(part === undefined ? {} : { part }),
    ...(filename ? { filename } : {}),
    type,
    size: content.length,
    disposition: disposition === "inline" ? "inline" : "attachment",
    ...(contentId === undefined ? {} : { contentId }),
    content
  })
}

/** The texts of a tree, in their order. */
const textsOf = ({ charset, children = [], contentType, textContent }: Part): ReadonlyArray<Text> => [
  ...(textContent === undefined
    ? []
    : [{ isHtml: contentType === "text/html", charset: charset?.toLowerCase(), content: textContent }]),
  ...children.flatMap(textsOf)
]

const toBody = (leaves: ReadonlyArray<MimeLeaf>): Body => ({
  texts: leaves.flatMap(({ text, type }) =>
    text === undefined ? [] : [{ isHtml: type === "text/html", charset: undefined, content: text }]
  ),
  // what is kept is copied: a view would keep the whole message
  attachments: leaves.filter(({ text }) => text === undefined).map((leaf) =>
    received({ ...leaf, content: new Uint8Array(leaf.content) })
  ),
  problem: undefined
})

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

  for (const { charset } of body.texts) {
    if (charset !== undefined && !isKnownCharset(charset)) problems.push(`unknown charset "${charset}"`)
  }
  const text = body.texts.filter(({ isHtml }) => !isHtml)
  const html = body.texts.filter(({ isHtml }) => isHtml)
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
    ...(text.length === 0 ? {} : { text: text.map(({ content }) => content).join("\n") }),
    ...(html.length === 0 ? {} : { html: html.map(({ content }) => content).join("\n") }),
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
