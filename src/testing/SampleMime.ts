/**
 * Pieces of raw messages: charsets, transfer encodings, encoded words, parts. Everything is a binary string, one
 * character per octet, until a message is complete; so a sample can hold what no correct composer would write.
 */
import { charsetDecoder } from "../driver/Charset.ts"

/** Uniform numbers from a seed (mulberry32): the same seed gives the same samples on every machine. */
export class SampleRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit)
  }

  pick<A>(values: readonly [A, ...ReadonlyArray<A>]): A {
    return values[this.below(values.length)] ?? values[0]
  }

  shuffle<A>(values: ReadonlyArray<A>): Array<A> {
    return values
      .map((value) => ({ value, order: this.below(2 ** 32) }))
      .sort((a, b) => a.order - b.order)
      .map(({ value }) => value)
  }

  octets(length: number): string {
    return Array.from({ length }, () => String.fromCharCode(this.below(256))).join("")
  }
}

export type SampleCharset = "us-ascii" | "utf-8" | "utf-16" | "iso-8859-1" | "windows-1252" | "koi8-r" | "iso-2022-jp"

/** The octets of a text in a charset; a character the charset lacks becomes "?". */
export const encode = (text: string, charset: SampleCharset): string => {
  switch (charset) {
    case "us-ascii":
    case "utf-8":
      return fromOctets(new TextEncoder().encode(text))
    case "utf-16":
      return "\xfe\xff" + Array.from({ length: text.length }, (_, at) => {
        const unit = text.charCodeAt(at)
        return String.fromCharCode(unit >> 8, unit & 0xff)
      }).join("")
    case "iso-8859-1":
      return [...text].map((char) => char.charCodeAt(0) < 256 ? char : "?").join("")
    case "windows-1252":
    case "koi8-r": {
      const octets = octetsBy(charset, singleOctets)
      return [...text].map((char) => char.charCodeAt(0) < 128 ? char : octets.get(char) ?? "?").join("")
    }
    case "iso-2022-jp":
      return encodeJapanese(text)
  }
}

/** JIS X 0208 between escape sequences (RFC 1468); each line begins and ends in ASCII. */
const encodeJapanese = (text: string): string => {
  const octets = octetsBy("euc-jp", doubleOctets)
  let wide = false
  let out = ""
  for (const char of text) {
    const pair = octets.get(char)
    if ((pair !== undefined) !== wide) {
      wide = !wide
      out += wide ? "\x1b$B" : "\x1b(B"
    }
    out += pair === undefined
      ? char.charCodeAt(0) < 128 ? char : "?"
      : String.fromCharCode(...Array.from(pair, (octet) => octet.charCodeAt(0) & 0x7f))
  }
  return wide ? `${out}\x1b(B` : out
}

const singleOctets = Array.from({ length: 128 }, (_, index) => String.fromCharCode(128 + index))
const doubleOctets = Array.from(
  { length: 94 * 94 },
  (_, index) => String.fromCharCode(0xa1 + Math.floor(index / 94), 0xa1 + (index % 94))
)

const tables = new Map<string, ReadonlyMap<string, string>>()

/** The platform decodes every charset and encodes none but UTF-8, so the table is turned round. */
const octetsBy = (label: string, candidates: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const known = tables.get(label)
  if (known !== undefined) return known
  const decoder = charsetDecoder(label)
  const table = new Map(candidates.map((octets) => [decoder?.decode(toOctets(octets)) ?? "\ufffd", octets]))
  table.delete("\ufffd")
  tables.set(label, table)
  return table
}

export const toOctets = (binary: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: binary.length }, (_, at) => binary.charCodeAt(at))

const fromOctets = (octets: Uint8Array): string => Array.from(octets, (octet) => String.fromCharCode(octet)).join("")

/** Base64 in lines of 76 characters (RFC 2045 6.8). */
export const base64 = (binary: string): string => btoa(binary).replace(/.{76}(?=.)/g, "$&\r\n")

/** Quoted-printable with soft line breaks (RFC 2045 6.7). */
export const quotedPrintable = (binary: string): string =>
  binary.split("\r\n").map((line) => {
    let out = ""
    let column = 0
    for (const [at, char] of [...line].entries()) {
      const last = at === line.length - 1
      const plain = /[!-<>-~]/.test(char) || ((char === " " || char === "\t") && !last)
      const piece = plain ? char : `=${hex(char)}`
      if (column + piece.length > 75) {
        out += "=\r\n"
        column = 0
      }
      out += piece
      column += piece.length
    }
    return out
  }).join("\r\n")

const hex = (char: string) => char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")

/** A header text as encoded words, folded, none over 75 characters and none with half a character (RFC 2047). */
export const encodedWords = (text: string, charset: SampleCharset, encoding: "B" | "Q"): string => {
  const words: Array<string> = []
  const word = (piece: string) => {
    const binary = encode(piece, charset)
    const value = encoding === "B"
      ? btoa(binary)
      : [...binary].map((char) => /[A-Za-z0-9]/.test(char) ? char : char === " " ? "_" : `=${hex(char)}`).join("")
    return `=?${charset}?${encoding}?${value}?=`
  }
  let piece = ""
  for (const char of text) {
    if (piece !== "" && word(piece + char).length > 75) {
      words.push(word(piece))
      piece = ""
    }
    piece += char
  }
  words.push(word(piece))
  return words.join("\r\n ")
}

/** One entity: header fields, an empty line, a body. */
export const entity = (fields: ReadonlyArray<string>, body: string): string =>
  `${[...fields, "", ""].join("\r\n")}${body}`

/** Entities between boundaries; `closed: false` leaves the final one out. */
export const multipart = (
  type: string,
  boundary: string,
  parts: ReadonlyArray<string>,
  options?: { readonly closed?: boolean; readonly parameter?: boolean }
): string =>
  entity(
    [`Content-Type: multipart/${type}${options?.parameter === false ? "" : `;\r\n boundary="${boundary}"`}`],
    parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("") +
      (options?.closed === false ? "" : `--${boundary}--\r\n`)
  )

/** A text in some charset and encoding. */
export const textEntity = (
  text: string,
  options: {
    readonly type?: string
    readonly charset?: SampleCharset
    readonly encoding?: "7bit" | "8bit" | "quoted-printable" | "base64"
    /** The label to write instead of the charset it is in. */
    readonly label?: string
    readonly fields?: ReadonlyArray<string>
  } = {}
): string => {
  const { charset = "us-ascii", encoding = "7bit", fields = [], label = charset, type = "text/plain" } = options
  const binary = charset === "iso-2022-jp"
    ? text.split("\r\n").map((line) => encode(line, charset)).join("\r\n")
    : encode(text, charset)
  const body = encoding === "base64"
    ? base64(binary)
    : encoding === "quoted-printable"
    ? quotedPrintable(binary)
    : binary
  return entity([`Content-Type: ${type}; charset=${label}`, `Content-Transfer-Encoding: ${encoding}`, ...fields], body)
}
