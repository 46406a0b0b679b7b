/**
 * From the octets and binary strings of `MimeStructure` to text: encoded words (RFC 2047), parameters (RFC 2231),
 * transfer encodings (RFC 2045 6), character sets, and from there the values of the domain. Never fails: what cannot be
 * decoded stays as it is.
 */
import { Buffer } from "node:buffer"
import { Address, type BodyPart, EnvelopeFields } from "../domain/Envelope.ts"
import { charsetDecoder, windows1252 } from "../driver/Charset.ts"
import { fieldValue, type MimePart, type Parameterised } from "./MimeStructure.ts"
import { type RawAddress, readEnvelope } from "./RawEnvelope.ts"

/** A header value as text. Octets outside encoded words are UTF-8 (RFC 6532) or, where they are not, Windows-1252. */
export const decodeHeader = (binary: string): string =>
  binary
    // The white space between two encoded words is no part of the text (RFC 2047 6.2).
    .replaceAll(/(=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=)\s+(?==\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=)/g, "$1")
    .split(/((?:=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=)+)/)
    .map((piece, index) => index % 2 === 0 ? decodeOctets(Buffer.from(piece, "latin1")) : decodeWords(piece))
    .join("")

/** Octets as text. A character set that is not known is read as if none were named. */
const decodeOctets = (octets: Uint8Array, charset?: string): string => {
  const decoder = decoderOf(charset)
  if (decoder !== undefined) return decoder.decode(octets)
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets)
  } catch {
    return windows1252.decode(octets)
  }
}

/** The body of a leaf with its transfer encoding undone. */
const decodeBody = (source: Uint8Array, part: MimePart): Uint8Array => {
  const octets = source.subarray(part.body.start, part.body.end)
  switch (part.encoding) {
    case "base64":
      return Buffer.from(Buffer.from(octets).toString("latin1"), "base64")
    case "quoted-printable":
      return decodeQuotedPrintable(Buffer.from(octets).toString("latin1"))
    default:
      return octets
  }
}

/** The text of a text part. */
export const decodeText = (source: Uint8Array, part: MimePart): string =>
  decodeOctets(decodeBody(source, part), part.parameters.find(([name]) => name === "charset")?.[1])

/** Parameters by name: continuations joined, character sets and encoded words decoded (RFC 2231, and what is used instead). */
export const decodeParameters = ({ parameters }: Pick<Parameterised, "parameters">): { [name: string]: string } => {
  const decoded = new Map<string, string>()
  const pieces = new Map<string, Array<{ readonly index: number; readonly text: string; readonly encoded: boolean }>>()
  for (const [name, value] of parameters) {
    const match = /^([^*]+)(?:\*(\d+))?(\*)?$/.exec(name)
    if (match?.[1] === undefined || (match[2] === undefined && match[3] === undefined)) {
      if (!decoded.has(name)) decoded.set(name, decodeHeader(value))
      continue
    }
    const list = pieces.get(match[1]) ?? []
    list.push({ index: Number(match[2] ?? 0), text: value, encoded: match[3] !== undefined })
    pieces.set(match[1], list)
  }
  for (const [name, list] of pieces) {
    list.sort((a, b) => a.index - b.index)
    const first = list[0]
    const header = first?.encoded === true ? /^([^']*)'[^']*'/.exec(first.text) : null
    const binary = list.map(({ encoded, text }, at) => {
      const value = at === 0 && header !== null ? text.slice(header[0].length) : text
      return encoded ? percentDecoded(value) : value
    }).join("")
    decoded.set(name, decodeOctets(Buffer.from(binary, "latin1"), header?.[1]))
  }
  return Object.fromEntries(decoded)
}

/** The envelope of the domain. */
export const toEnvelopeFields = (part: MimePart): EnvelopeFields => {
  const raw = readEnvelope(part.header)
  const date = raw.date === undefined ? undefined : new Date(raw.date)
  return new EnvelopeFields({
    ...date === undefined || Number.isNaN(date.getTime()) ? {} : { date },
    ...raw.subject === undefined ? {} : { subject: decodeHeader(raw.subject) },
    ...raw.inReplyTo === undefined || raw.inReplyTo === "" ? {} : { inReplyTo: raw.inReplyTo },
    ...raw.messageId === undefined || raw.messageId === "" ? {} : { messageId: raw.messageId },
    from: toAddresses(raw.from),
    sender: toAddresses(raw.sender),
    replyTo: toAddresses(raw.replyTo),
    to: toAddresses(raw.to),
    cc: toAddresses(raw.cc),
    bcc: toAddresses(raw.bcc)
  })
}

/** The structure of the domain. The nested message of a message/rfc822 is its only child. */
export const toBodyPart = (part: MimePart): BodyPart => {
  const isLeaf = part.type !== "multipart"
  const parameters = decodeParameters(part)
  const disposition = part.disposition === undefined ? undefined : decodeParameters(part.disposition)
  const filename = disposition?.["filename"] ?? parameters["name"]
  const id = fieldValue(part.header, "Content-ID")
  return {
    part: part.section,
    type: `${part.type}/${part.subtype}`,
    parameters,
    ...isLeaf && id !== undefined && id !== "" ? { id } : {},
    ...isLeaf ? { encoding: part.encoding, size: part.body.end - part.body.start } : {},
    ...part.disposition === undefined ? {} : { disposition: part.disposition.value },
    ...filename === undefined ? {} : { filename },
    children: (part.message === undefined ? part.children : [part.message]).map(toBodyPart)
  }
}

const toAddresses = (raw: ReadonlyArray<RawAddress>): ReadonlyArray<Address> =>
  raw.flatMap(({ host, mailbox, name }) => {
    if (mailbox === undefined) return []
    if (host !== undefined && host !== "" && mailbox !== "") {
      return [
        new Address({
          ...name === undefined ? {} : { name: decodeHeader(name) },
          address: decodeHeader(`${mailbox}@${host}`)
        })
      ]
    }
    const shown = name ?? mailbox
    return shown === "" ? [] : [new Address({ name: decodeHeader(shown), address: "" })]
  })

/** Adjacent encoded words; words of one character set are joined before decoding, for some split a character. */
const decodeWords = (words: string): string => {
  let text = ""
  let pending: { readonly charset: string; readonly octets: Array<Uint8Array> } | undefined
  const flush = () => {
    if (pending !== undefined) text += decodeOctets(Buffer.concat(pending.octets), pending.charset)
    pending = undefined
  }
  for (const [, charset = "", encoding = "", encoded = ""] of words.matchAll(/=\?([^?]+)\?([bqBQ])\?([^?]*)\?=/g)) {
    const name = charset.replace(/\*.*$/, "").toLowerCase()
    if (pending?.charset !== name) flush()
    const octets = encoding.toLowerCase() === "b"
      ? Buffer.from(encoded, "base64")
      : decodeQuotedPrintable(encoded.replaceAll("_", " "))
    pending ??= { charset: name, octets: [] }
    pending.octets.push(octets)
  }
  flush()
  return text
}

const decodeQuotedPrintable = (text: string): Uint8Array =>
  Buffer.from(
    text
      .replaceAll(/[ \t]+(?=\r?\n|$)/g, "")
      .replaceAll(/=\r?\n/g, "")
      .replaceAll(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1"
  )

const percentDecoded = (text: string): string =>
  text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

const decoderOf = (charset: string | undefined) => {
  // Mail that calls itself US-ASCII and is not is read by what its octets look like.
  if (charset === undefined || charset === "" || /^us-ascii$/i.test(charset)) return undefined
  return charsetDecoder(charset)
}
