/**
 * Search keys as text, in the protocol's own syntax (RFC 9051 6.4.4): `parseSearchKey` reads it, `printSearchKey`
 * writes it. What is not understood fails with its place; it is never taken for ALL. Nothing here knows mailboxes.
 */
import { Result } from "effect"
import type { InvalidInput } from "./MailError.ts"
import { unknownKey } from "./SearchHints.ts"
import { allOf, anyOf, maxDepth, negate, normalize, type SearchKey, systemFlags, type TextField } from "./SearchKey.ts"
import { flawOf, isAtom, tooDeep } from "./SearchRules.ts"
import { malformed, type SearchToken, tokenize } from "./SearchToken.ts"

type Parsed<A> = Result.Result<A, InvalidInput>

/**
 * Reads search keys from text or from words read already, and yields one key in normal form. The rules of
 * `SearchRules` hold for what it yields, with one exception to choose: `emptyText` lets `SUBJECT ""` pass, which a
 * server has to answer and a program hardly means.
 */
export const parseSearchKey = (
  input: string | ReadonlyArray<SearchToken>,
  options?: { readonly emptyText?: boolean }
): Parsed<SearchKey> =>
  Result.flatMap(
    typeof input === "string" ? tokenize(input) : Result.succeed(input),
    (tokens) => new Parser(tokens, options?.emptyText === true).parse()
  )

/** Reads the arguments of one key. */
type Rule = (parser: Parser, key: string) => Parsed<SearchKey>

class Parser {
  #index = 0
  #depth = 0
  /** The place of what was read last: errors about what is missing point there. */
  #last = 0
  /** Set after a text of one unquoted word, where a second word was probably meant to belong to it. */
  #unquoted: string | undefined
  readonly #tokens: ReadonlyArray<SearchToken>
  readonly #emptyText: boolean

  constructor(tokens: ReadonlyArray<SearchToken>, emptyText: boolean) {
    this.#tokens = tokens
    this.#emptyText = emptyText
  }

  parse(): Parsed<SearchKey> {
    const charset = this.#charset()
    if (Result.isFailure(charset)) return Result.fail(charset.failure)
    if (this.#index === this.#tokens.length) return this.fail("found nothing, expected a search key such as UNSEEN")
    return this.#keys()
  }

  /** Keys up to the end, or up to the parenthesis that closes the one at `open`. */
  #keys(open?: number): Parsed<SearchKey> {
    const keys: Array<SearchKey> = []
    for (;;) {
      const token = this.peek()
      if (token === undefined) {
        return open === undefined
          ? Result.succeed(allOf(keys))
          : Result.fail(malformed(open, "found a parenthesis that is not closed, expected )"))
      }
      if (token.kind === "close" && open !== undefined) {
        this.next()
        return keys.length === 0 ? this.fail("found (), expected a search key inside") : Result.succeed(allOf(keys))
      }
      const key = this.key("a search key")
      if (Result.isFailure(key)) return key
      keys.push(key.success)
    }
  }

  /** One key, with all that belongs to it. */
  key(expected: string): Parsed<SearchKey> {
    const token = this.next()
    if (token === undefined) return this.missing(expected)
    const unquoted = this.#unquoted
    this.#unquoted = undefined
    switch (token.kind) {
      case "close":
        return this.fail(`found ), expected ${expected}`)
      case "string":
        return this.fail(`found the text ${JSON.stringify(token.value)}, expected a search key before it`)
      case "open":
        return this.nested(() => this.#keys(token.position))
      case "atom": {
        const name = token.value.toUpperCase()
        const rule = rules.get(name)
        if (rule !== undefined) return this.#checked(rule(this, name), token.position)
        if (/^[\d*]/.test(token.value)) {
          return this.#checked(Result.succeed({ _tag: "Sequence", uid: false, range: token.value }), token.position)
        }
        const problem = unknownKey(token.value, [...rules.keys()])
        return this.fail(
          unquoted === undefined ? problem : `${problem}; a text of several words is quoted: ${unquoted} "…"`
        )
      }
    }
  }

  /** Goes one level deeper, which is bounded. */
  nested(read: () => Parsed<SearchKey>): Parsed<SearchKey> {
    if (this.#depth === maxDepth) return this.fail(tooDeep)
    this.#depth++
    const key = read()
    this.#depth--
    return key
  }

  /** Holds a key just read against the rules; its last argument is the place of a flaw. */
  #checked(key: Parsed<SearchKey>, start: number): Parsed<SearchKey> {
    if (Result.isFailure(key)) return key
    const leaf = key.success._tag === "Not" ? key.success.key : key.success
    if (leaf._tag === "And" || leaf._tag === "Or" || leaf._tag === "Not") return key
    if (this.#emptyText && "value" in leaf && leaf.value === "") return key
    const flaw = flawOf(leaf)
    if (flaw === undefined) return key
    return Result.fail(malformed(leaf._tag === "Sequence" && !leaf.uid ? start : this.#last, flaw.problem))
  }

  /** `CHARSET UTF-8` may lead; it is what the text is in anyway. */
  #charset(): Parsed<void> {
    const token = this.peek()
    if (token?.kind !== "atom" || token.value.toUpperCase() !== "CHARSET") return Result.succeed(undefined)
    this.next()
    return Result.flatMap(
      this.word("a charset"),
      ({ value }) =>
        /^(utf-8|us-ascii)$/i.test(value) ? Result.succeed(undefined) : this.fail(
          `found the charset ${value}, expected UTF-8`
        )
    )
  }

  peek(): SearchToken | undefined {
    return this.#tokens[this.#index]
  }

  next(): SearchToken | undefined {
    const token = this.#tokens[this.#index]
    if (token !== undefined) {
      this.#index++
      this.#last = token.position
    }
    return token
  }

  /** An atom or a quoted string, whatever it holds. */
  word(expected: string): Parsed<{ readonly kind: "atom" | "string"; readonly value: string }> {
    const token = this.next()
    if (token === undefined) return this.missing(expected)
    return token.kind === "atom" || token.kind === "string"
      ? Result.succeed(token)
      : this.fail(`found ${token.kind === "open" ? "(" : ")"}, expected ${expected}`)
  }

  /** An atom alone: what the grammar does not allow to be quoted. */
  atom(expected: string): Parsed<string> {
    return Result.flatMap(
      this.word(expected),
      ({ kind, value }) =>
        kind === "atom" ? Result.succeed(value) : this.fail(`found a quoted text, expected ${expected} without quotes`)
    )
  }

  /** A text, quoted unless it is one word (astring of RFC 9051 9; letters beyond ASCII may stand unquoted here). */
  text(key: string, expected = "a text"): Parsed<string> {
    return Result.flatMap(this.word(`${expected} after ${key}`), ({ kind, value }) => {
      if (kind === "string") return Result.succeed(value)
      const special = /[{%*\\\p{Cc}]/u.exec(value)
      if (special !== null) {
        return this.fail(
          `found ${JSON.stringify(value)}, expected quotes around a text with ${JSON.stringify(special[0])}` +
            (special[0] === "*" || special[0] === "%" ? "; there are no wildcards, a part of a text matches" : "")
        )
      }
      this.#unquoted = key
      return Result.succeed(value)
    })
  }

  fail(problem: string): Result.Result<never, InvalidInput> {
    return Result.fail(malformed(this.#last, problem))
  }

  missing(expected: string): Result.Result<never, InvalidInput> {
    return this.fail(`found the end, expected ${expected}`)
  }
}

const constant = (key: SearchKey): Rule => () => Result.succeed(key)

const text = (field: TextField): Rule => (parser, key) =>
  Result.map(parser.text(key), (value): SearchKey => ({ _tag: "Text", field, value }))

const gmail = (which: "raw" | "label"): Rule => (parser, key) =>
  Result.map(parser.text(key), (value): SearchKey => ({ _tag: "Gmail", which, value }))

const keyword = (set: boolean): Rule => (parser, key) =>
  Result.flatMap(parser.atom(`a keyword after ${key}`), (flag): Parsed<SearchKey> =>
    flag.startsWith("\\")
      ? parser.fail(`found ${flag}, expected a keyword; system flags have keys of their own, like SEEN`)
      : Result.succeed({ _tag: "Flag", flag, set }))

const identifier = (which: "email" | "thread"): Rule => (parser, key) =>
  Result.map(parser.word(`an identifier after ${key}`), ({ value }): SearchKey => ({
    _tag: "Identifier",
    which,
    id: value
  }))

/** Digits of any length, as the largest integer where they are too many: the rules refuse it. */
const digits = (parser: Parser, expected: string): Parsed<bigint> =>
  Result.flatMap(parser.atom(expected), (word) =>
    /^\d+$/.test(word)
      ? Result.succeed(BigInt(word.slice(0, 40)))
      : parser.fail(`found ${JSON.stringify(word)}, expected ${expected}`))

const size = (compare: "larger" | "smaller"): Rule => (parser, key) =>
  Result.map(digits(parser, `a number of octets after ${key}`), (octets): SearchKey => ({
    _tag: "Size",
    compare,
    octets: Number(octets)
  }))

const age = (compare: "older" | "younger"): Rule => (parser, key) =>
  Result.map(digits(parser, `a number of seconds after ${key}`), (seconds): SearchKey => ({
    _tag: "Age",
    compare,
    seconds: Number(seconds)
  }))

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

const date = (which: "received" | "sent", compare: "before" | "on" | "since"): Rule => (parser, key) => {
  const expected = "a date like 22-Nov-2026"
  return Result.flatMap(parser.word(`${expected} after ${key}`), ({ value }): Parsed<SearchKey> => {
    const [, day = "", name = "", year = ""] = /^(\d{1,2})-([a-z]{3})-(\d{4})$/i.exec(value) ?? []
    const month = months.findIndex((month) => month.toLowerCase() === name.toLowerCase()) + 1
    if (month === 0) {
      const iso = /^\d{4}-\d{2}-\d{2}$/.test(value) ? `; did you mean ${printDate(value)}?` : ""
      return parser.fail(`found ${JSON.stringify(value)}, expected ${expected}${iso}`)
    }
    const date = `${year}-${String(month).padStart(2, "0")}-${day.padStart(2, "0")}`
    return Result.succeed({ _tag: "Date", which, compare, date })
  })
}

/** `MODSEQ 5`, or `MODSEQ "/flags/\\draft" all 5` (RFC 7162 3.1.5). */
const modseq: Rule = (parser, key) => {
  const number = () => digits(parser, `a mod-sequence after ${key}`)
  if (parser.peek()?.kind !== "string") {
    return Result.map(number(), (modseq): SearchKey => ({ _tag: "Modseq", modseq }))
  }
  return Result.gen(function*() {
    const { value: name } = yield* parser.word("the name of an entry")
    if (!/^\/flags\/./.test(name)) return yield* parser.fail(`found ${name}, expected an entry like "/flags/\\\\Seen"`)
    const word = (yield* parser.atom("priv, shared or all")).toLowerCase()
    const type = (["priv", "shared", "all"] as const).find((type) => type === word)
    if (type === undefined) return yield* parser.fail(`found ${word}, expected priv, shared or all`)
    return { _tag: "Modseq", modseq: yield* number(), entry: { name, type } } satisfies SearchKey
  })
}

/** An OR that ends in another OR goes on in the same loop, so that a long row of alternatives is not deep. */
const or: Rule = (parser, key) =>
  parser.nested(() => {
    const keys: Array<SearchKey> = []
    for (;;) {
      const one = parser.key(`a search key after ${key}`)
      if (Result.isFailure(one)) return one
      keys.push(one.success)
      const token = parser.peek()
      if (token?.kind === "atom" && token.value.toUpperCase() === "OR") {
        parser.next()
        continue
      }
      return Result.map(parser.key(`a second search key after ${key}`), (last) => anyOf([...keys, last]))
    }
  })

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["ALL", constant({ _tag: "All" })],
  ...systemFlags.flatMap((flag): Array<[string, Rule]> => {
    const name = flag.slice(1).toUpperCase()
    return [
      [name, constant({ _tag: "Flag", flag, set: true })],
      [`UN${name}`, constant({ _tag: "Flag", flag, set: false })]
    ]
  }),
  ...(["bcc", "body", "cc", "from", "subject", "text", "to"] as const).map((field): [string, Rule] => [
    field.toUpperCase(),
    text(field)
  ]),
  ["KEYWORD", keyword(true)],
  ["UNKEYWORD", keyword(false)],
  ["BEFORE", date("received", "before")],
  ["ON", date("received", "on")],
  ["SINCE", date("received", "since")],
  ["SENTBEFORE", date("sent", "before")],
  ["SENTON", date("sent", "on")],
  ["SENTSINCE", date("sent", "since")],
  ["LARGER", size("larger")],
  ["SMALLER", size("smaller")],
  ["OLDER", age("older")],
  ["YOUNGER", age("younger")],
  ["HEADER", (parser, key) =>
    Result.gen(function*() {
      const name = yield* parser.text(key, "the name of a header field")
      const flaw = flawOf({ _tag: "Header", name, value: "" })
      if (flaw !== undefined) return yield* parser.fail(flaw.problem)
      return { _tag: "Header", name, value: yield* parser.text(`${key} ${name}`) } satisfies SearchKey
    })],
  ["UID", (parser, key) =>
    Result.map(parser.atom(`a set of UIDs after ${key}`), (range): SearchKey => ({
      _tag: "Sequence",
      uid: true,
      range
    }))],
  ["MODSEQ", modseq],
  ["EMAILID", identifier("email")],
  ["THREADID", identifier("thread")],
  ["X-GM-RAW", gmail("raw")],
  ["X-GM-LABELS", gmail("label")],
  ["NOT", (parser, key) => parser.nested(() => Result.map(parser.key(`a search key after ${key}`), negate))],
  ["OR", or]
])

/** Writes a key in normal form. Line breaks and NUL, which no valid key holds, become U+FFFD. */
export const printSearchKey = (key: SearchKey): string => print(normalize(key))

const print = (key: SearchKey): string => {
  switch (key._tag) {
    case "And":
      return key.keys.map(print).join(" ")
    case "Or":
      return key.keys.map((inner, index) => `${index < key.keys.length - 1 ? "OR " : ""}${operand(inner)}`).join(" ")
    case "Not":
      return `NOT ${operand(key.key)}`
    case "All":
      return "ALL"
    case "Text":
      return `${key.field.toUpperCase()} ${quote(key.value)}`
    case "Header":
      return `HEADER ${isAtom(key.name) ? key.name : quote(key.name)} ${quote(key.value)}`
    case "Flag":
      return key.flag.startsWith("\\")
        ? `${key.set ? "" : "UN"}${key.flag.slice(1).toUpperCase()}`
        : `${key.set ? "" : "UN"}KEYWORD ${visible(key.flag)}`
    case "Date":
      return `${key.which === "sent" ? "SENT" : ""}${key.compare.toUpperCase()} ${printDate(visible(key.date))}`
    case "Age":
      return `${key.compare.toUpperCase()} ${key.seconds}`
    case "Size":
      return `${key.compare.toUpperCase()} ${key.octets}`
    case "Sequence":
      return `${key.uid ? "UID " : ""}${visible(key.range)}`
    case "Modseq":
      return key.entry === undefined
        ? `MODSEQ ${key.modseq}`
        : `MODSEQ ${quote(key.entry.name)} ${key.entry.type} ${key.modseq}`
    case "Identifier":
      return `${key.which.toUpperCase()}ID ${visible(key.id)}`
    case "Gmail":
      return `${key.which === "raw" ? "X-GM-RAW" : "X-GM-LABELS"} ${quote(key.value)}`
  }
}

/** Where one key is expected, several need parentheses. */
const operand = (key: SearchKey) => key._tag === "And" ? `(${print(key)})` : print(key)

const quote = (value: string) => `"${visible(value).replace(/[\\"]/g, "\\$&")}"`

const visible = (value: string) => value.replace(/[\r\n\0]/g, "\uFFFD")

const printDate = (iso: string) => {
  const [year, month, day] = iso.split("-")
  const name = months[Number(month) - 1]
  return name === undefined ? iso : `${Number(day)}-${name}-${year}`
}
