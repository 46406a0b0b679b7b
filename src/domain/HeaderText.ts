/** Pieces that structured header fields share: comments, quoted strings, fields by name (RFC 5322 3.2). */

interface Field {
  readonly name: string
  readonly value: string
}

/** The value of the first field of this name, without regard to case. */
export const valueOf = (headers: ReadonlyArray<Field>, name: string): string | undefined => {
  const wanted = name.toLowerCase()
  return headers.find((field) => field.name.toLowerCase() === wanted)?.value
}

/** The values of all fields of this name, in lower case, from the top of the header down. */
export const valuesOf = (headers: ReadonlyArray<Field>, name: string): ReadonlyArray<string> =>
  headers.filter((field) => field.name.toLowerCase() === name).map(({ value }) => value)

/** The text without its comments, which may be nested; what stands in quotes is kept as it is. */
export const withoutComments = (text: string): string => {
  let out = ""
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === "\\") {
      if (depth === 0) out += text.slice(at, at + 2)
      at++
    } else if (quoted) {
      out += char
      if (char === "\"") quoted = false
    } else if (char === "(") depth++
    else if (char === ")" && depth > 0) {
      depth--
      out += " "
    } else if (depth === 0) {
      out += char
      if (char === "\"") quoted = true
    }
  }
  return out
}

/** The pieces between the separators that stand outside quotes. */
export const splitOutsideQuotes = (text: string, separator: string): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  let from = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === "\\" && quoted) at++
    else if (char === "\"") quoted = !quoted
    else if (char === separator && !quoted) {
      pieces.push(text.slice(from, at))
      from = at + 1
    }
  }
  pieces.push(text.slice(from))
  return pieces.map((piece) => piece.trim())
}

/** The content of a quoted string, or the text as it is. */
export const unquoted = (text: string): string =>
  /^"[\s\S]*"$/.test(text) && text.length > 1 ? text.slice(1, -1).replace(/\\([\s\S])/g, "$1") : text
