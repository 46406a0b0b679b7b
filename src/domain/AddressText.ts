/** Addresses as text: what can be one, which are the same, and those a text names. */
import { Address } from "./Envelope.ts"

// A domain, or an address literal (RFC 5321 4.1.3).
const domain = /^(?:[^\s"(),:;<>@[\\\]]+|\[[^\s[\]\\<>]+\])$/

// An atom with dots anywhere, as some providers hand them out, or a quoted string (RFC 5321 4.1.2).
const localPart = /^(?:[^\s"(),:;<>@[\\\]]+|"(?:[^"\\]|\\.)+")$/

/** Local part and domain, without white space, control characters and angle brackets: fit for MAIL and RCPT. */
export const isMailbox = (address: string): boolean => {
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\s\x00-\x1f\x7f<>]/.test(address)) return false
  const at = address.endsWith("]") ? address.lastIndexOf("@[") : address.lastIndexOf("@")
  return at > 0 && localPart.test(address.slice(0, at)) && domain.test(address.slice(at + 1)) &&
    !/^\.|\.$|\.\./.test(address.slice(at + 1))
}

/**
 * The same string for addresses that are the same mailbox: letter case does not count, and a domain is the same in
 * Unicode and in ASCII form (RFC 5890). The case of a local part could count (RFC 5321 2.4), but at no server known does.
 */
export const addressKey = (address: string): string => {
  const at = address.lastIndexOf("@")
  const host = address.slice(at + 1)
  // oxlint-disable-next-line no-control-regex -- everything beyond ASCII is looked for
  const ascii = /[^\x00-\x7f]/.test(host) ? asciiHost(host) : host
  return `${address.slice(0, at + 1).normalize("NFC")}${ascii}`.toLowerCase()
}

const asciiHost = (host: string): string => {
  try {
    return new URL(`http://${host}`).hostname
  } catch {
    return host
  }
}

/** What follows in a longer text is not read. */
const maxText = 10_000

/** The addresses in a text such as "Ann <ann@example.com>, bob@example.org". What is none is passed over. */
export const addressesIn = (text: string): ReadonlyArray<Address> => {
  const found: Array<Address> = []
  for (const piece of text.slice(0, maxText).match(/(?:"(?:\\.|[^"\\])*"|[^",;])+/g) ?? []) {
    const open = piece.lastIndexOf("<")
    const close = piece.indexOf(">", open)
    const address = open >= 0 && close > open ? piece.slice(open + 1, close) : piece.replace(/^[^:@"]*:/, "")
    const name = open > 0 ? piece.slice(0, open).trim().replace(/^"([\s\S]*)"$/, "$1").replace(/\\(.)/g, "$1") : ""
    if (isMailbox(address.trim())) {
      found.push(new Address({ address: address.trim(), ...(name === "" ? {} : { name }) }))
    }
  }
  return found
}
