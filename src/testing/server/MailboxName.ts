/** Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3), INBOX in any case, and LIST patterns. Pure. */
import { mailboxName } from "../../domain/MailboxName.ts"

/** The wire form of a name. */
export const encodeMailboxName = (name: string): string =>
  name.replaceAll(
    /&|[^\x20-\x7e]+/g,
    (run) => run === "&" ? "&-" : `&${utf16BigEndian(run).toString("base64").replaceAll("/", ",").replaceAll("=", "")}-`
  )

/** The name behind a wire form. What is not valid stands for itself. */
export const decodeMailboxName = (wire: string): string =>
  mailboxName(
    wire.replaceAll(/&([A-Za-z0-9+,]*)-/g, (_, base64: string) =>
      base64 === "" ? "&" : fromUtf16BigEndian(Buffer.from(base64.replaceAll(",", "/"), "base64")))
  )

/** Whether a name matches a LIST pattern: `*` is anything, `%` anything but the delimiter. */
export const toListPattern = (pattern: string, delimiter: string): RegExp => {
  const literal = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const source = [...pattern].map((char) =>
    char === "*" ? ".*" : char === "%" ? `[^${literal(delimiter)}]*` : literal(char)
  )
    .join("").replaceAll(/(?:\.\*)+/g, ".*")
  return new RegExp(`^${source}$`, pattern.toUpperCase() === "INBOX" ? "isu" : "su")
}

const utf16BigEndian = (text: string): Buffer => Buffer.from(text, "utf16le").swap16()

const fromUtf16BigEndian = (octets: Buffer): string =>
  octets.subarray(0, octets.length & ~1).swap16().toString("utf16le")
