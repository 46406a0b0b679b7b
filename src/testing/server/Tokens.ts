/**
 * The tokens of a command: atoms, strings, literals, lists and body sections (RFC 9051 9), and a reader that hands them
 * out by what a command expects. Throws `Refusal` on what is not IMAP. Names, numbers and sets are checked here;
 * meaning is not.
 */
import { decodeMailboxName } from "./MailboxName.ts"
import { bad } from "./Refusal.ts"

/** `section`: `name[items]<partial>`, as in BODY.PEEK[HEADER.FIELDS (From)]<0.100>. */
export type Token =
  | { readonly _tag: "atom"; readonly value: string }
  | { readonly _tag: "string"; readonly value: string }
  | { readonly _tag: "literal"; readonly octets: Buffer }
  | { readonly _tag: "list"; readonly items: ReadonlyArray<Token> }
  | {
    readonly _tag: "section"
    readonly name: string
    readonly items: ReadonlyArray<Token>
    readonly partial: string | undefined
  }

const maxDepth = 32

/** Tokens of a command given as text, literal, text, … text. */
export const tokenise = (parts: ReadonlyArray<Buffer>): ReadonlyArray<Token> => new Tokeniser(parts).all()

class Tokeniser {
  readonly #parts: ReadonlyArray<Buffer>
  #part = 0
  #text: string
  #at = 0

  constructor(parts: ReadonlyArray<Buffer>) {
    this.#parts = parts
    this.#text = parts[0]?.toString("latin1") ?? ""
  }

  all(): ReadonlyArray<Token> {
    return this.#until("", 0)
  }

  #until(close: string, depth: number): ReadonlyArray<Token> {
    if (depth > maxDepth) throw bad("too many levels of parentheses")
    const tokens: Array<Token> = []
    for (;;) {
      while (this.#text[this.#at] === " ") this.#at++
      const char = this.#text[this.#at]
      if (char === undefined) {
        const octets = this.#literal()
        if (octets === undefined) {
          if (close !== "") throw bad(`missing ${close}`)
          return tokens
        }
        tokens.push({ _tag: "literal", octets })
      } else if (char === close) {
        this.#at++
        return tokens
      } else if (char === "(") {
        this.#at++
        tokens.push({ _tag: "list", items: this.#until(")", depth + 1) })
      } else if (char === "\"") {
        tokens.push({ _tag: "string", value: this.#quoted() })
      } else if (char === ")" || char === "]") {
        throw bad(`unexpected ${char}`)
      } else {
        tokens.push(this.#atom(depth, close))
      }
    }
  }

  #literal(): Buffer | undefined {
    const octets = this.#parts[this.#part + 1]
    if (octets === undefined) return undefined
    this.#part += 2
    this.#text = this.#parts[this.#part]?.toString("latin1") ?? ""
    this.#at = 0
    return octets
  }

  #quoted(): string {
    let value = ""
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const char = this.#text[at]
      if (char === "\"") {
        this.#at = at + 1
        return fromUtf8(value)
      }
      if (char === "\\") {
        at++
        value += this.#text[at] ?? ""
      } else value += char
    }
    throw bad("missing quote")
  }

  #atom(depth: number, close: string): Token {
    const start = this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === " " || char === "(" || char === ")" || char === "\"" || char === "{" || char === close) break
      if (char === "[" && this.#at > start) {
        const name = this.#text.slice(start, this.#at).toUpperCase()
        if (name !== "BODY" && name !== "BODY.PEEK" && !name.startsWith("BINARY")) continue
        this.#at++
        const items = this.#until("]", depth + 1)
        const partial = /^<[^>\s]*>/.exec(this.#text.slice(this.#at, this.#at + 32))?.[0]
        this.#at += partial?.length ?? 0
        return { _tag: "section", name, items, partial }
      }
    }
    if (this.#at === start) throw bad(`unexpected ${JSON.stringify(this.#text[start])}`)
    return { _tag: "atom", value: this.#text.slice(start, this.#at) }
  }
}

const fromUtf8 = (latin1: string): string =>
  /[\x80-\xff]/.test(latin1) ? Buffer.from(latin1, "latin1").toString("utf8") : latin1

/** The text of a token that is a string in any of its forms. */
export const textOf = (token: Token | undefined): string | undefined => {
  if (token === undefined) return undefined
  if (token._tag === "literal") return token.octets.toString("utf8")
  if (token._tag === "string") return token.value
  return token._tag === "atom" ? fromUtf8(token.value) : undefined
}

/** Hands out the arguments of one command in order. */
export class Arguments {
  readonly #tokens: ReadonlyArray<Token>
  #at = 0

  constructor(tokens: ReadonlyArray<Token>) {
    this.#tokens = tokens
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length
  }

  peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  next(): Token {
    const token = this.#tokens[this.#at]
    if (token === undefined) throw bad("missing arguments")
    this.#at++
    return token
  }

  /** The upper-case atom that comes next, if it is this one; then it is taken. */
  takes(word: string): boolean {
    const token = this.peek()
    if (token?._tag !== "atom" || token.value.toUpperCase() !== word) return false
    this.#at++
    return true
  }

  /** An atom, upper case. */
  word(): string {
    const token = this.next()
    if (token._tag !== "atom") throw bad("expected an atom")
    return token.value.toUpperCase()
  }

  /** An atom, a quoted string or a literal, as text. */
  text(): string {
    const text = textOf(this.next())
    if (text === undefined) throw bad("expected a string")
    return text
  }

  /** The octets of a literal or a quoted string. */
  octets(): Buffer {
    const token = this.next()
    if (token._tag === "literal") return token.octets
    if (token._tag === "string") return Buffer.from(token.value, "utf8")
    throw bad("expected a literal")
  }

  /** A mailbox name, decoded from modified UTF-7; names in UTF-8 are taken too. */
  mailbox(): string {
    return decodeMailboxName(this.text())
  }

  list(): ReadonlyArray<Token> {
    const token = this.next()
    if (token._tag !== "list") throw bad("expected a list")
    return token.items
  }

  /** A list of atoms as they are written, such as flags. */
  atoms(): ReadonlyArray<string> {
    return this.list().map(toAtom)
  }

  end(): void {
    if (!this.isAtEnd) throw bad("too many arguments")
  }
}

/** The text of an atom. */
export const toAtom = (token: Token): string => {
  if (token._tag !== "atom") throw bad("expected an atom")
  return token.value
}

/** A quoted string, or a literal where the text does not fit into one (RFC 9051 4.3), of a text. */
export const toQuoted = (text: string): string =>
  quoteBinary(/[\x80-\uffff]/.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text)

/** The same of a binary string, one character per octet. */
export const quoteBinary = (octets: string): string =>
  /[\r\n\0\x80-\xff]/.test(octets)
    ? `{${octets.length}}\r\n${octets}`
    : `"${octets.replaceAll(/["\\]/g, String.raw`\$&`)}"`

/** `quoteBinary`, or NIL for what is absent. */
export const quoteOrNil = (octets: string | undefined): string => octets === undefined ? "NIL" : quoteBinary(octets)
