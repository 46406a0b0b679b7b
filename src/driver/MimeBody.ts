/**
 * Takes the body of an ordinary message apart: MIME as RFC 2045 and 2046 write it. Everything else it
 * leaves alone: what is malformed, obsolete or rare is read by a parser that knows how other programs read it.
 */
import { decodeCharset, type HeaderBlock, readHeaderBlock } from "./HeaderBlock.ts"

/** A part without parts, decoded. `part` is its section number; the only part of a message has none. */
export interface MimeLeaf {
  readonly part: string | undefined
  /** In lower case. */
  readonly type: string
  readonly filename: string | undefined
  readonly disposition: string | undefined
  readonly contentId: string | undefined
  /** Where it is text of the message, and no attachment. */
  readonly text: string | undefined
  /** May be a view of the message. */
  readonly content: Buffer
}

/** More or deeper parts than this are not ordinary. */
const mostParts = 100
const deepest = 8
/** What is longer is read by a parser that lets others have their turn meanwhile. */
const mostOctets = 1024 * 1024

/** The leaves in their order, or undefined where the message is not an ordinary one. */
export const readOrdinaryBody = (source: Buffer, block: HeaderBlock): ReadonlyArray<MimeLeaf> | undefined => {
  const leaves: Array<MimeLeaf> = []
  return source.length <= mostOctets && readPart(source, block, [], leaves) ? leaves : undefined
}

/** Adds the leaves of a part; false where it is not an ordinary one. */
const readPart = (
  source: Buffer,
  block: HeaderBlock,
  numbers: ReadonlyArray<number>,
  leaves: Array<MimeLeaf>
): boolean => {
  if (block.length === source.length || source[0] === 0x0a || source[0] === 0x0d) return false
  const fields = mimeFields(block)
  // without a type, that of an attachment is guessed from its name
  if (fields === undefined || (fields["content-type"] ?? fields["content-disposition"]) !== fields["content-type"]) {
    return false
  }
  const type = structured(fields["content-type"] ?? "text/plain")
  const disposition = structured(fields["content-disposition"] ?? "")
  const encoding = (fields["content-transfer-encoding"] ?? "").toLowerCase()
  if (type === undefined || disposition === undefined || !/^[^/]+\/[^/]+$/.test(type.value)) return false
  // the empty line has a line end before it and one of its own
  const bodyStart = block.length + (source[block.length + 1] === 0x0d ? 3 : 2)
  if (type.value.startsWith("multipart/")) {
    const { boundary = "" } = type.parameters
    return (encoding === "" || identity.has(encoding)) && type.value !== "multipart/digest" &&
      disposition.value === "" && numbers.length < deepest &&
      readParts(source, bodyStart, boundary, numbers, leaves)
  }
  const isText = /^text\/(?:plain|html)$/.test(type.value) && /^(?:inline)?$/.test(disposition.value)
  const content = type.value.startsWith("message/") ? undefined : decoded(source.subarray(bodyStart), encoding)
  if (content === undefined || leaves.length === mostParts) return false
  const text = isText ? textOf(content, type.parameters) : undefined
  if (isText && text === undefined) return false
  leaves.push({
    part: numbers.length === 0 ? undefined : numbers.join("."),
    type: type.value,
    filename: disposition.parameters["filename"] ?? type.parameters["name"],
    disposition: disposition.value === "" ? undefined : disposition.value,
    contentId: fields["content-id"],
    text,
    content
  })
  return true
}

const readParts = (
  source: Buffer,
  bodyStart: number,
  boundary: string,
  numbers: ReadonlyArray<number>,
  leaves: Array<MimeLeaf>
): boolean => {
  if (!/^[\w'()+,./:=?-]{1,70}$/.test(boundary)) return false
  const delimiter = `--${boundary}`
  let start = -1
  let number = 0
  for (let at = source.indexOf(delimiter, bodyStart); at !== -1; at = source.indexOf(delimiter, at + 1)) {
    if (at > bodyStart && source[at - 1] !== 0x0a) continue
    const after = at + delimiter.length
    const isLast = source[after] === 0x2d && source[after + 1] === 0x2d
    const rest = isLast ? after + 2 : after
    const isEnded = source[rest] === 0x0a || (source[rest] === 0x0d && source[rest + 1] === 0x0a)
    // a longer boundary, blanks behind it, or the end of the message
    if (!isEnded && !(isLast && rest === source.length)) return false
    if (start !== -1) {
      number++
      const part = source.subarray(start, Math.max(start, source[at - 2] === 0x0d ? at - 2 : at - 1))
      if (!readPart(part, readHeaderBlock(part), [...numbers, number], leaves)) return false
    }
    if (isLast) return number > 0 && !source.includes(delimiter, rest)
    start = rest + (source[rest] === 0x0d ? 2 : 1)
  }
  return false
}

const mimeNames = new Set(["content-type", "content-disposition", "content-transfer-encoding", "content-id"])

/** The fields of MIME, each at most once; undefined where one comes twice or holds what is not printable ASCII. */
const mimeFields = ({ fields }: HeaderBlock): { readonly [name: string]: string } | undefined => {
  const found: { [name: string]: string } = {}
  for (const { name, value } of fields) {
    const key = name.toLowerCase()
    if (!mimeNames.has(key)) continue
    if (found[key] !== undefined || value === "" || !/^[\x20-\x7e]*$/.test(value) || value.includes("=?")) {
      return undefined
    }
    found[key] = value
  }
  return found
}

interface Structured {
  /** In lower case. */
  readonly value: string
  readonly parameters: { readonly [name: string]: string }
}

const token = "[\\w!#$%&'+./^`{|}~-]+"
const parameter = new RegExp(`;\\s*(${token})=(?:(${token})|"([^"\\\\]*)")\\s*`, "y")
const first = new RegExp(`^(${token})\\s*(?=;|$)`)

/** A value with parameters; undefined where it is written in any unusual way, as with comments or continuations. */
const structured = (text: string): Structured | undefined => {
  if (text === "") return { value: "", parameters: {} }
  const [whole = "", value = ""] = first.exec(text) ?? []
  if (value === "") return undefined
  const parameters: { [name: string]: string } = {}
  let at = whole.length
  while (at < text.length) {
    parameter.lastIndex = at
    const [found, name = "", bare, quoted = ""] = parameter.exec(text) ?? []
    const key = name.toLowerCase()
    if (found === undefined || Object.hasOwn(parameters, key) || key === "__proto__") {
      return /^;\s*$/.test(text.slice(at)) ? { value: value.toLowerCase(), parameters } : undefined
    }
    parameters[key] = bare ?? quoted
    at += found.length
  }
  return { value: value.toLowerCase(), parameters }
}

/** Charsets in which each octet is a character, and all tables agree on most of them. */
const singleOctet = new Set([
  "iso-8859-1",
  "iso-8859-2",
  "iso-8859-15",
  "koi8-r",
  "windows-1250",
  "windows-1251",
  "windows-1252"
])

/** Undefined where its lines or its characters have to be found out. */
const textOf = (octets: Buffer, { charset = "us-ascii", format }: Structured["parameters"]): string | undefined => {
  if (format?.toLowerCase() === "flowed") return undefined
  const name = charset.toLowerCase()
  if (/^(?:us-ascii|ascii|utf-?8)$/.test(name)) return withLineFeeds(octets.toString("utf8"))
  if (!singleOctet.has(name)) return undefined
  const text = name === "iso-8859-1" ? octets.toString("latin1") : decodeCharset(octets, name)
  // on control characters, and on octets that stand for nothing, tables differ
  return /[\u0080-\u009f\ufffd]/.test(text) ? undefined : withLineFeeds(text)
}

const withLineFeeds = (text: string) => text.replaceAll("\r\n", "\n")

const identity = new Set(["7bit", "8bit", "binary"])

const decoded = (octets: Buffer, encoding: string): Buffer | undefined => {
  if (encoding === "" || identity.has(encoding)) return octets
  if (encoding === "base64") {
    const text = octets.toString("latin1")
    return /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/.test(text) ? Buffer.from(text, "base64") : undefined
  }
  return encoding === "quoted-printable" ? unquoted(octets) : undefined
}

/** Undefined where an escape is none, or a blank ends a line. */
const unquoted = (octets: Buffer): Buffer | undefined => {
  const result = Buffer.allocUnsafe(octets.length)
  let length = 0
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at] ?? 0
    if (octet !== 0x3d) {
      if ((octet === 0x0d || octet === 0x0a) && isBlank(octets[at - 1])) return undefined
      result[length++] = octet
      continue
    }
    const [high, low] = [octets[at + 1], octets[at + 2]]
    if (high === 0x0d && low === 0x0a) at += 2
    else if (high === 0x0a) at++
    else {
      const [sixteens = -1, ones = -1] = [hexadecimal[high ?? 0], hexadecimal[low ?? 0]]
      if (sixteens < 0 || ones < 0) return undefined
      result[length++] = sixteens * 16 + ones
      at += 2
    }
  }
  return isBlank(octets[octets.length - 1]) ? undefined : result.subarray(0, length)
}

const isBlank = (octet: number | undefined) => octet === 0x20 || octet === 0x09

/** The value of each octet that is a hexadecimal digit. */
const hexadecimal = Array.from({ length: 256 }, (_, octet) => {
  return "0123456789abcdef".indexOf(String.fromCharCode(octet).toLowerCase())
})
