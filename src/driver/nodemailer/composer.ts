/**
 * MIME messages with nodemailer: from checked fields to octets, and their signature. Knows nothing of connections; what
 * a draft may hold is `DraftFields`' work.
 */
import { Effect, Layer, Redacted } from "effect"
import type { Dkim } from "../../domain/Dkim.ts"
import { Limits } from "../../domain/Limits.ts"
import { InvalidInput, TooLarge } from "../../domain/MailError.ts"
import { type DraftFields, draftFields, type Group, type Mailbox } from "../DraftFields.ts"
import { canonical } from "../LineEnds.ts"
import { type Composed, MessageComposer } from "../MessageComposer.ts"
import type { SmtpEnvelope } from "../SmtpDriver.ts"
import {
  addressparser,
  base64Encode,
  base64Wrap,
  DkimSigner,
  MailComposer,
  type MimeNode,
  type MimeNodeAddress,
  quotedEncode,
  quotedWrap
} from "./package.ts"

/**
 * Writes messages with nodemailer's MIME nodes. The envelope's sender is `sender` where the draft names one, since that
 * is who hands the message in (RFC 5322 3.6.2), otherwise `from`. Attachments are held in memory.
 */
export const layerComposer: Layer.Layer<MessageComposer> = Layer.succeed(MessageComposer, {
  compose: Effect.fnUntraced(function*(draft, options) {
    const { dkim, keepsBcc = false, maxBytes = Limits.defaults.maxMessageBytes, recipients } = options
    const fields = yield* draftFields(draft, recipients, maxBytes, readAddresses)
    const composed = yield* Effect.try({
      try: () => write(fields, keepsBcc),
      catch: (error) => new InvalidInput({ field: "draft", problem: `cannot be composed (${String(error)})` })
    })
    const signed = dkim === undefined ? composed : { ...composed, source: yield* sign(composed.source, dkim) }
    const size = signed.source.length
    return size <= maxBytes ? signed : yield* new TooLarge({ size, limit: maxBytes })
  })
})

/** Puts a signature before the message. The package passes over a key it cannot use; a message without one is not sent. */
const sign = (source: Uint8Array, { domainName, keySelector, privateKey }: Dkim): Effect.Effect<Buffer, InvalidInput> =>
  Effect.tryPromise({
    try: async () => {
      const signer = new DkimSigner({ domainName, keySelector, privateKey: Redacted.value(privateKey) })
      const chunks: Array<Buffer> = []
      for await (const chunk of signer.sign(Buffer.from(source.buffer, source.byteOffset, source.length))) {
        chunks.push(chunk)
      }
      return Buffer.concat(chunks)
    },
    catch: () => unusableKey()
  }).pipe(Effect.filterOrFail((signed) => signed.subarray(0, 15).toString("latin1") === "DKIM-Signature:", unusableKey))

const unusableKey = () =>
  new InvalidInput({ field: "dkim.privateKey", problem: "it does not sign; give the PEM text of an RSA key" })

const readAddresses = (text: string): ReadonlyArray<Mailbox | Group> =>
  addressparser(text).map((entry) =>
    entry.group === undefined
      ? { name: entry.name, address: entry.address }
      : { name: entry.name, group: entry.group.map(({ address = "", name }) => ({ name, address })) }
  )

/**
 * Copies, since nodemailer rewrites the objects it is given. A group it knows only as text; an empty list it would go
 * through again and again, to write nothing in the end.
 */
const toNodemailer = (list: ReadonlyArray<Mailbox | Group>): Array<MimeNodeAddress | string> | undefined =>
  list.length === 0 ? undefined : list.map((each) => "group" in each ? groupText(each) : { ...each })

const groupText = ({ group, name }: Group): string =>
  `${quoted(name)}: ${group.map(({ address, name }) => `${quoted(name)} <${address}>`).join(", ")};`

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`

/**
 * Text that says the same when it is read: a word too long for a line, or what looks like an encoded word, is written in
 * encoded words (RFC 2047 2). The rest is nodemailer's to encode.
 */
const unstructured = (text: string): string => {
  if (!/\S{400}|=\?/.test(text)) return text
  const encoded: Array<string> = []
  let piece = ""
  const end = () => encoded.push(`=?utf-8?B?${Buffer.from(piece).toString("base64")}?=`)
  for (const sign of text) {
    if (Buffer.byteLength(piece + sign) > 45) {
      end()
      piece = ""
    }
    piece += sign
  }
  end()
  return encoded.join(" ")
}

const write = (fields: DraftFields, keepsBcc: boolean): Composed => {
  const spelling = new Map(fields.headers.map(([name]) => [name.toLowerCase(), name]))
  const message = new MailComposer({
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: "win",
    from: { ...fields.from },
    sender: fields.sender && { ...fields.sender },
    replyTo: toNodemailer(fields.replyTo),
    to: toNodemailer(fields.to),
    cc: toNodemailer(fields.cc),
    bcc: toNodemailer(fields.bcc),
    subject: fields.subject === undefined ? undefined : unstructured(fields.subject),
    messageId: fields.messageId,
    inReplyTo: fields.inReplyTo,
    references: fields.references.length === 0 ? undefined : [...fields.references],
    date: fields.date,
    text: fields.text,
    html: fields.html,
    alternatives: fields.alternatives.map(({ text, type }) => ({ content: text, contentType: type })),
    icalEvent: fields.calendar && { ...fields.calendar },
    headers: fields.headers.map(([key, value]) => ({ key, value })),
    // nodemailer would write X-MyHeader as X-Myheader
    normalizeHeaderKey: (key) => spelling.get(key.toLowerCase()) ?? key,
    attachments: fields.attachments.map((part) => ({
      content: part.content,
      contentType: part.type,
      // a part that is shown inside the HTML needs no name
      filename: part.filename ?? (part.contentId === undefined ? undefined : false),
      contentDisposition: part.disposition,
      cid: part.contentId?.slice(1, -1)
    }))
  }).compile()
  message.keepBcc = keepsBcc
  const chunks: Array<Buffer> = []
  render(message, chunks)
  if (chunks.at(-1)?.at(-1) !== 0x0a) chunks.push(Buffer.from("\r\n"))
  return { source: canonical(Buffer.concat(chunks)), envelope: envelopeOf(message), messageId: fields.messageId }
}

/** Each recipient once, as nodemailer writes it. */
const envelopeOf = (message: MimeNode): SmtpEnvelope => {
  const { bcc = [], cc = [], from = [], sender = [], to = [] } = message.getAddresses()
  const recipients = new Set([...to, ...cc, ...bcc].flatMap(({ address }) => address ?? []))
  return { from: (sender[0] ?? from[0])?.address ?? "", to: [...recipients] }
}

/**
 * What `MimeNode.build()` writes, without its streams: three times as fast for a small message. Every content is a
 * string or a buffer here.
 */
const render = (node: MimeNode, chunks: Array<Buffer>): void => {
  chunks.push(Buffer.from(`${node.buildHeaders()}\r\n\r\n`))
  // chosen while the header was written
  const encoding = node.getHeader("Content-Transfer-Encoding")
  const content = node.content
  if (typeof content === "string" || Buffer.isBuffer(content)) {
    if (encoding === "base64") chunks.push(Buffer.from(base64Wrap(base64Encode(content)), "latin1"))
    else if (encoding === "quoted-printable") chunks.push(Buffer.from(quotedWrap(quotedEncode(content)), "latin1"))
    else chunks.push(Buffer.from(content))
  }
  if (node.multipart) {
    node.childNodes.forEach((child, index) => {
      chunks.push(Buffer.from(`${index === 0 ? "" : "\r\n"}--${node.boundary || ""}\r\n`))
      render(child, chunks)
    })
    chunks.push(Buffer.from(`\r\n--${node.boundary || ""}--\r\n`))
  }
}
