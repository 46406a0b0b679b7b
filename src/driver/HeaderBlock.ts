/**
 * The header block of a message as text: fields in their order, unfolded, encoded words (RFC 2047) decoded, raw octets
 * read as UTF-8. Works on octets alone, so headers can be read even where the body defeats a parser.
 */
import { messageIdsIn } from "../domain/MessageId.ts"
import { type CharsetDecoder, charsetDecoder } from "./Charset.ts"

/** One field. `value` is unfolded and trimmed but not decoded. */
export interface RawField {
  readonly name: string
  readonly value: string
}

/** The longest header block that is read, in octets; what follows is cut off and `truncated` is set. */
const maxHeaderOctets = 1024 * 1024

export interface HeaderBlock {
  readonly fields: ReadonlyArray<RawField>
  readonly truncated: boolean
  /** Octets of the whole block, up to and without the line end in front of the empty line. */
  readonly length: number
}

/** Reads the fields up to the first empty line. Lines that are neither a field nor a folded line are passed over. */
export const readHeaderBlock = (source: Buffer): HeaderBlock => {
  const end = endOfBlock(source)
  const truncated = end > maxHeaderOctets
  const text = source.toString("utf8", 0, truncated ? maxHeaderOctets : end)
  const fields: Array<RawField> = []
  let name = ""
  let parts: Array<string> = []
  const push = () => {
    if (name !== "") fields.push({ name, value: parts.join(" ").trim() })
  }
  for (const line of text.split(/\r\n|\n/)) {
    const first = line.charCodeAt(0)
    if (first === 0x20 || first === 0x09) {
      parts.push(line.trim())
      continue
    }
    const colon = line.indexOf(":")
    const given = colon === -1 ? "" : line.slice(0, colon).trimEnd()
    // the envelope line of an mbox ("From x@y Mon Jan 1 12:00") holds a colon, and blanks before it
    if (given === "" || /\s/.test(given)) continue
    push()
    name = given
    parts = [line.slice(colon + 1).trim()]
  }
  push()
  return { fields, truncated, length: end }
}

/**
 * The message without the header fields that say nothing about its body: all but those of MIME (RFC 2045 9). What is not
 * formed like a field stays, and so does a block that is not ended.
 */
export const withoutOtherFields = (source: Buffer, { length }: HeaderBlock): Buffer => {
  const first = source[0]
  if (length === source.length || first === 0x0a || first === 0x0d) return source
  const kept = source.toString("latin1", 0, length).split(/\n(?![ \t])/).filter((field) => !otherField.test(field))
  const head = kept.map((field) => `${field}\n`).join("")
  return Buffer.concat([Buffer.from(head, "latin1"), source.subarray(length + 1)])
}

const otherField = /^(?!content-)[!-9;-~]+[ \t]*:/i

/** Where the first empty line begins; the search stops there, since what follows may be many megabytes. */
const endOfBlock = (source: Buffer): number => {
  for (let lf = source.indexOf(0x0a); lf !== -1; lf = source.indexOf(0x0a, lf + 1)) {
    if (source[lf + 1] === 0x0a || (source[lf + 1] === 0x0d && source[lf + 2] === 0x0a)) return lf
  }
  return source.length
}

const encodedWord = /=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=/gi

/**
 * Decodes the encoded words of a value. Neighbours in the same charset are joined as octets first, since many senders
 * cut characters of several octets in two. An unknown charset is read as UTF-8 and reported.
 */
export const decodeWords = (value: string, unknownCharset: (charset: string) => void = () => {}): string => {
  if (!value.includes("=?")) return value
  let out = ""
  let end = 0
  let pending: { readonly charset: string; readonly octets: Array<Buffer> } | undefined
  const flush = () => {
    if (pending !== undefined) out += decodeCharset(Buffer.concat(pending.octets), pending.charset, unknownCharset)
    pending = undefined
  }
  for (const match of value.matchAll(encodedWord)) {
    const [whole, label = "", encoding = "", data = ""] = match
    const between = value.slice(end, match.index)
    // RFC 2231 5 adds a language to the charset: =?us-ascii*en?Q?...?=
    const charset = label.split("*", 1).join("").toLowerCase()
    // white space between two encoded words is not part of the text (RFC 2047 6.2)
    if (pending === undefined || /\S/.test(between)) {
      flush()
      out += between
    }
    const octets = encoding.toLowerCase() === "b" ? Buffer.from(data, "base64") : quoted(data)
    if (pending?.charset === charset) pending.octets.push(octets)
    else {
      flush()
      pending = { charset, octets: [octets] }
    }
    end = match.index + whole.length
  }
  flush()
  return out + value.slice(end)
}

const quoted = (data: string): Buffer => {
  const octets = Buffer.from(data.replaceAll("_", " "), "latin1")
  let at = 0
  for (let from = 0; from < octets.length; from++) {
    const hex = octets[from] === 0x3d ? Number.parseInt(octets.toString("latin1", from + 1, from + 3), 16) : Number.NaN
    if (Number.isNaN(hex)) octets[at++] = octets[from] ?? 0
    else {
      octets[at++] = hex
      from += 2
    }
  }
  return octets.subarray(0, at)
}

/** True where this charset can be decoded. */
export const isKnownCharset = (charset: string): boolean => decoderFor(charset) !== undefined

const decoders = new Map<string, CharsetDecoder>()

const decoderFor = (charset: string): CharsetDecoder | undefined => {
  const known = decoders.get(charset)
  if (known !== undefined) return known
  const decoder = charsetDecoder(charset, { ignoreBOM: true })
  if (decoder !== undefined) decoders.set(charset, decoder)
  return decoder
}

const decodeCharset = (octets: Buffer, charset: string, unknownCharset: (charset: string) => void): string => {
  if (charset === "utf-8") return octets.toString("utf8")
  const decoder = decoderFor(charset)
  if (decoder !== undefined) return decoder.decode(octets)
  unknownCharset(charset)
  return octets.toString("utf8")
}

/** Message-IDs of In-Reply-To or References, with angle brackets (RFC 5322 3.6.4). Bare words are taken as ids too. */
export const messageIds = (value: string): ReadonlyArray<string> => {
  const bracketed = messageIdsIn(value)
  if (bracketed.length > 0) return bracketed
  return value.split(/[\s,]+/).map((word) => word.replace(/[<>]/g, "")).filter((word) => word.includes("@"))
    .map((word) => `<${word}>`)
}

/** A Date header; undefined where it names no point in time. Comments and doubled blanks are common and harmless. */
export const headerDate = (value: string): Date | undefined => {
  const plain = value.replace(/\([^()]*\)/g, " ").replace(/\s+/g, " ").trim()
  // RFC 5322 dates begin with a day or its name; without this check Date would take "1" for the year 2001
  if (!/\d{1,2}\s+[a-z]{3,}\s+\d{2,4}/i.test(plain) && !/^\d{4}-\d\d-\d\d/.test(plain)) return undefined
  for (const text of [plain, plain.replace(/^[^\s,]+,\s*/, "").replace(/\s+[A-Za-z]+$/, "")]) {
    const date = new Date(text)
    if (!Number.isNaN(date.getTime())) return date
  }
  return undefined
}
