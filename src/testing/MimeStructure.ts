/**
 * The structure of a message as an IMAP server sees it: header fields, MIME parts with their octet ranges, and sections
 * (RFC 9051 6.4.5.1, RFC 2045). Bodies are not decoded. Text stands in "binary strings", one character per octet, so
 * that a server can write it as it was. Reading never fails: what is broken is read as an opaque part.
 */
import { Buffer } from "node:buffer"

/** A range of octets, `end` exclusive. */
export interface Octets {
  readonly start: number
  readonly end: number
}

/** One header field as a binary string, unfolded and trimmed. The range covers it with its line ends. */
export interface RawField extends Octets {
  readonly name: string
  readonly value: string
}

/** A header with the empty line that ends it. */
export interface MimeHeader extends Octets {
  readonly fields: ReadonlyArray<RawField>
}

/** A media type or a disposition: lower case, parameters raw and in order, their names in lower case. */
export interface Parameterised {
  readonly value: string
  readonly parameters: ReadonlyArray<readonly [name: string, value: string]>
}

/**
 * A part of a message, or the message itself. `section` is what fetches its body: "1", "2.1"; a multipart has that of the
 * message or part it fills, "" at the top. `children` are those of a multipart, `message` is what a message/rfc822 holds.
 */
export interface MimePart {
  readonly section: string
  readonly header: MimeHeader
  readonly body: Octets
  readonly type: string
  readonly subtype: string
  readonly parameters: Parameterised["parameters"]
  readonly disposition: Parameterised | undefined
  /** Content-Transfer-Encoding in lower case, default "7bit". */
  readonly encoding: string
  /** Lines of the body. */
  readonly lines: number
  readonly children: ReadonlyArray<MimePart>
  readonly message: MimePart | undefined
}

/** Multiparts and messages inside each other are read so deep; what is deeper is an opaque part. */
export const maxDepth = 20

/** A multipart is split into at most so many parts; the rest belongs to the last one. */
export const maxParts = 1000

/** Reads a message. */
export const parseMessage = (source: Uint8Array): MimePart =>
  readPart(source, { start: 0, end: source.length }, { prefix: "", isMessage: true, depth: 0, inDigest: false })

/** The structure of octets that are never changed, read once. */
export const structureOf = (source: Uint8Array): MimePart => {
  const known = structures.get(source)
  if (known !== undefined) return known
  const root = parseMessage(source)
  structures.set(source, root)
  return root
}

const structures = new WeakMap<Uint8Array, MimePart>()

/** The octets of a section: "", "HEADER", "TEXT", "1.2", "1.2.MIME", "2.HEADER", "2.TEXT". Undefined where there is none. */
export const findSection = (root: MimePart, section: string): Octets | undefined => {
  if (section === "") return { start: root.header.start, end: root.body.end }
  const match = /^(\d+(?:\.\d+)*)?(?:(?:^|\.)(HEADER|TEXT|MIME))?$/i.exec(section)
  if (match === null) return undefined
  const part = match[1] === undefined ? undefined : findPart(root, match[1])
  if (match[1] !== undefined && part === undefined) return undefined
  const message = match[1] === undefined ? root : part?.message
  switch (match[2]?.toUpperCase()) {
    case "HEADER":
      return message?.header
    case "TEXT":
      return message?.body
    case "MIME":
      return part?.header
    default:
      return part?.body
  }
}

/** The part with a number such as "1.2" (RFC 9051 6.4.5.1: a message without parts has the part 1, its body). */
export const findPart = (root: MimePart, numbers: string): MimePart | undefined => {
  let holder: MimePart | undefined = root
  let part: MimePart | undefined
  for (const number of numbers.split(".").map(Number)) {
    if (holder === undefined) return undefined
    part = isMultipart(holder) ? holder.children[number - 1] : number === 1 ? holder : undefined
    holder = part === undefined ? undefined : isMultipart(part) ? part : part.message
  }
  return part
}

/** The named fields with the empty line behind them, in the order of the header (HEADER.FIELDS, RFC 9051 6.4.5.1). */
export const headerFields = (
  source: Uint8Array,
  header: MimeHeader,
  names: ReadonlyArray<string>,
  options: { readonly not?: boolean } = {}
): Uint8Array => {
  const wanted = new Set(names.map((name) => name.toLowerCase()))
  const parts = header.fields
    .filter(({ name }) => wanted.has(name.toLowerCase()) !== (options.not === true))
    .map(({ end, start }) => source.subarray(start, end))
  return new Uint8Array(Buffer.concat([...parts, Buffer.from("\r\n")]))
}

/** The value of the first field of this name, without regard to case. */
export const fieldValue = (header: MimeHeader, name: string): string | undefined => {
  const wanted = name.toLowerCase()
  return header.fields.find((field) => field.name.toLowerCase() === wanted)?.value
}

export const isMultipart = (part: MimePart): boolean => part.type === "multipart"

/** Octets as a binary string. */
export const toBinary = (source: Uint8Array, { end, start }: Octets): string =>
  Buffer.from(source.buffer, source.byteOffset + start, end - start).toString("latin1")

/** `value; name=value; name="value"` with comments and broken rests passed over (RFC 2045 5.1). */
export const parseParameterised = (text: string): Parameterised => {
  const value = /^[^;]*/.exec(text)?.[0] ?? ""
  const parameters: Array<readonly [string, string]> = []
  const pattern = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;]*))/gs
  for (const [, name = "", quoted, plain = ""] of text.slice(value.length).matchAll(pattern)) {
    parameters.push([name.toLowerCase(), quoted === undefined ? plain : quoted.replaceAll(/\\(.)/gs, "$1")])
  }
  return { value: value.replaceAll(/\([^)]*\)/g, "").trim().toLowerCase(), parameters }
}

const LF = 10
const CR = 13
const DASH = 45
const SPACE = 32
const TAB = 9

interface Place {
  /** The number of the enclosing message or of this part; "" at the top. */
  readonly prefix: string
  /** A message is numbered by its body, a part by itself. */
  readonly isMessage: boolean
  readonly depth: number
  readonly inDigest: boolean
}

const readPart = (source: Uint8Array, range: Octets, place: Place): MimePart => {
  const header = readHeader(source, range)
  const body = { start: header.end, end: range.end }
  const declared = mediaType(header, place.inDigest)
  const disposition = fieldValue(header, "Content-Disposition")
  const encoding = fieldValue(header, "Content-Transfer-Encoding")
  const part = {
    header,
    body,
    disposition: disposition === undefined || disposition === "" ? undefined : parseParameterised(disposition),
    encoding: encoding === undefined || encoding === "" ? "7bit" : parseParameterised(encoding).value,
    lines: countLines(source, body)
  }
  const { prefix } = place
  const leaf = place.isMessage ? `${prefix}${prefix === "" ? "" : "."}1` : prefix
  const isTooDeep = place.depth >= maxDepth
  if (declared.type === "multipart" && !isTooDeep) {
    const boundary = declared.parameters.find(([name]) => name === "boundary")?.[1]
    const ranges = boundary === undefined ? [] : split(source, body, boundary)
    if (ranges.length > 0) {
      const children = ranges.map((child, index) =>
        readPart(source, child, {
          prefix: `${prefix}${prefix === "" ? "" : "."}${index + 1}`,
          isMessage: false,
          depth: place.depth + 1,
          inDigest: declared.subtype === "digest"
        })
      )
      return { ...part, ...declared, section: prefix, children, message: undefined }
    }
  }
  if (declared.type === "message" && declared.subtype === "rfc822" && !isTooDeep) {
    const message = readPart(source, body, { prefix: leaf, isMessage: true, depth: place.depth + 1, inDigest: false })
    return { ...part, ...declared, section: leaf, children: [], message }
  }
  return { ...part, ...leafType(declared, isTooDeep), section: leaf, children: [], message: undefined }
}

type MediaType = Pick<MimePart, "type" | "subtype" | "parameters">

/** RFC 2045 5.2: without a type, or with one that cannot be read, it is plain text; in a digest, a message (RFC 2046 5.1.5). */
const mediaType = (header: MimeHeader, inDigest: boolean): MediaType => {
  const field = fieldValue(header, "Content-Type")
  const { parameters, value } = parseParameterised(field ?? "")
  const match = /^([^\s/]+)\s*\/\s*([^\s/]+)$/.exec(value)
  if (match?.[1] !== undefined && match[2] !== undefined) return { type: match[1], subtype: match[2], parameters }
  return inDigest && field === undefined
    ? { type: "message", subtype: "rfc822", parameters: [] }
    : plainText
}

const plainText: MediaType = { type: "text", subtype: "plain", parameters: [["charset", "us-ascii"]] }

/** A multipart without parts is text, what is too deep is octets: a BODYSTRUCTURE has no form for either (RFC 9051 9). */
const leafType = (declared: MediaType, isTooDeep: boolean): MediaType => {
  const isNesting = declared.type === "multipart" || (declared.type === "message" && declared.subtype === "rfc822")
  if (!isNesting) return declared
  return isTooDeep ? { type: "application", subtype: "octet-stream", parameters: [] } : plainText
}

const readHeader = (source: Uint8Array, { end, start }: Octets): MimeHeader => {
  const fields: Array<RawField> = []
  let fieldStart = start
  let position = start
  while (position < end) {
    const next = lineEnd(source, position, end)
    if (trimEnd(source, position, next) === position) {
      position = next
      break
    }
    position = next
    if (next < end && (source[next] === SPACE || source[next] === TAB)) continue
    const field = readField(source, { start: fieldStart, end: next })
    if (field !== undefined) fields.push(field)
    fieldStart = next
  }
  return { start, end: position, fields }
}

const readField = (source: Uint8Array, range: Octets): RawField | undefined => {
  const match = /^([!-9;-~]+)[ \t]*:(.*)$/s.exec(toBinary(source, range))
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { ...range, name: match[1], value: match[2].replaceAll(/\r?\n/g, "").trim() }
}

/** The parts between the delimiter lines (RFC 2046 5.1.1). The line end before a delimiter belongs to the delimiter. */
const split = (source: Uint8Array, { end, start }: Octets, boundary: string): ReadonlyArray<Octets> => {
  const delimiter = Buffer.from(`--${boundary.trimEnd()}`, "latin1")
  const parts: Array<Octets> = []
  let partStart: number | undefined
  let position = start
  while (position < end) {
    const next = lineEnd(source, position, end)
    const kind = source[position] === DASH ? delimiterKind(source, position, next, delimiter) : undefined
    if (kind !== undefined) {
      if (partStart !== undefined) parts.push({ start: partStart, end: trimEnd(source, partStart, position) })
      partStart = kind === "close" || parts.length >= maxParts ? undefined : next
      if (partStart === undefined) break
    }
    position = next
  }
  if (partStart !== undefined && partStart < end) parts.push({ start: partStart, end })
  return parts
}

const delimiterKind = (
  source: Uint8Array,
  start: number,
  end: number,
  delimiter: Uint8Array
): "open" | "close" | undefined => {
  if (end - start < delimiter.length || delimiter.some((octet, index) => source[start + index] !== octet)) {
    return undefined
  }
  const rest = toBinary(source, { start: start + delimiter.length, end }).trimEnd()
  return rest === "" ? "open" : rest === "--" ? "close" : undefined
}

const lineEnd = (source: Uint8Array, start: number, end: number): number => {
  const found = source.indexOf(LF, start)
  return found === -1 || found >= end ? end : found + 1
}

const trimEnd = (source: Uint8Array, start: number, end: number): number => {
  let last = end
  if (last > start && source[last - 1] === LF) last--
  if (last > start && source[last - 1] === CR) last--
  return last
}

const countLines = (source: Uint8Array, { end, start }: Octets): number => {
  let lines = 0
  for (let at = source.indexOf(LF, start); at !== -1 && at < end; at = source.indexOf(LF, at + 1)) lines++
  return lines
}
