/** How a handler says NO or BAD: thrown anywhere below a command, answered in one place. */

/** A refusal of a command. `code` is the response code without brackets (RFC 9051 7.1). */
export class Refusal extends Error {
  readonly status: "NO" | "BAD"
  readonly code: string | undefined

  constructor(status: "NO" | "BAD", text: string, code?: string) {
    super(text)
    this.status = status
    this.code = code
  }
}

/** The text of a status response with its code. One that ends like "{5}" would be read as the beginning of a literal. */
export const statusText = (text: string, code?: string): string =>
  `${code === undefined ? "" : `[${code}] `}${text.replace(/\{\d+\+?\}$/, "$&.")}`

/** A command that is not IMAP. */
export const bad = (text: string): Refusal => new Refusal("BAD", text)

/** A command that cannot be done. */
export const no = (text: string, code?: string): Refusal => new Refusal("NO", text, code)
