/**
 * The words of a SEARCH command: atoms, quoted strings and parentheses, each with its place. A server that has read
 * its own tokens from the wire, literals resolved into strings, hands them to the parser of `QuerySyntax` directly.
 */
import { Result } from "effect"
import { InvalidInput } from "./MailError.ts"

/** One word. `position` is an index into the text, or whatever place the caller wants to see in errors. */
export type SearchToken =
  | { readonly kind: "atom" | "string"; readonly value: string; readonly position: number }
  | { readonly kind: "open" | "close"; readonly position: number }

/** Any run of blanks and line ends separates words outside of quotes; the protocol knows the single space only. */
const blank = /[ \t\r\n]/

/** Cuts a text into words. Fails with the place of a quote that is not closed, a bad escape, or a missing space. */
export const tokenize = (text: string): Result.Result<ReadonlyArray<SearchToken>, InvalidInput> => {
  const tokens: Array<SearchToken> = []
  let position = 0
  while (position < text.length) {
    const char = text.charAt(position)
    if (blank.test(char)) {
      position++
      continue
    }
    const last = tokens.at(-1)
    if (last !== undefined && last.kind !== "open" && char !== ")" && !blank.test(text.charAt(position - 1))) {
      const colon = last.kind === "atom" && last.value.endsWith(":") ? " instead of the colon" : ""
      return Result.fail(malformed(position, `found ${char}, expected a space before it${colon}`))
    }
    if (char === "(" || char === ")") {
      tokens.push({ kind: char === "(" ? "open" : "close", position })
      position++
    } else if (char === "\"") {
      const quoted = readQuoted(text, position)
      if (quoted instanceof InvalidInput) return Result.fail(quoted)
      tokens.push({ kind: "string", value: quoted.value, position })
      position = quoted.end
    } else {
      const start = position
      while (position < text.length && !/[ \t\r\n()"]/.test(text.charAt(position))) position++
      tokens.push({ kind: "atom", value: text.slice(start, position), position: start })
    }
  }
  return Result.succeed(tokens)
}

/** An error of the text at a place. */
export const malformed = (position: number, problem: string): InvalidInput =>
  new InvalidInput({ field: "query", problem, position })

const readQuoted = (text: string, start: number): { value: string; end: number } | InvalidInput => {
  let value = ""
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === "\"") return { value, end: at + 1 }
    if (/[\r\n\0]/.test(char)) {
      return malformed(at, "found a line break or NUL inside quotes, which cannot be sent there")
    }
    if (char === "\\") {
      const escaped = text.charAt(++at)
      if (escaped !== "\"" && escaped !== "\\") {
        return malformed(at - 1, "found a backslash, expected \\\" or \\\\: inside quotes it escapes these two only")
      }
      value += escaped
    } else value += char
  }
  return malformed(start, "found a quote that is not closed, expected another \"")
}
