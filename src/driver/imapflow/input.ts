/**
 * What a caller gives, looked at before anything is written. imapflow leaves out what it cannot send, flags above all,
 * and answers as if it had sent it; so nothing of the kind may reach it.
 */
import type { FetchItems } from "../../domain/Fetch.ts"
import { isFlag } from "../../domain/Flag.ts"
import { InvalidInput, type Reason, Rejected } from "../../domain/MailError.ts"
import type { SelectedMailbox } from "../ImapDriver.ts"

/** imapflow takes every name for INBOX that is so in upper case, "\u0131nbox" with a dotless i among them. */
export const mistaken = (mailbox: string): Reason | undefined =>
  mailbox !== "INBOX" && mailbox.toUpperCase() === "INBOX"
    ? new InvalidInput({ field: "mailbox", problem: "this name would be taken for INBOX" })
    : undefined

const uidSet = /^(?:[1-9]\d{0,9}|\*)(?::(?:[1-9]\d{0,9}|\*))?$/

export const badRange = (range: string): Reason | undefined =>
  range.split(",").every((part) => uidSet.test(part))
    ? undefined
    : new InvalidInput({ field: "range", problem: `"${range.slice(0, 80)}" is not a set of UIDs` })

/** A lone "*" makes imapflow speak of sequence numbers, and expunge more than it was told to. */
export const uidRange = (range: string): string => range === "*" ? "*:*" : range

/**
 * The name of a header field (RFC 5322 3.6.8), as far as it is an atom: what would have to be quoted no message has, and
 * the answer that repeats it cannot be read.
 */
export const isFieldName = (name: string): boolean => /^[!#$&'+-9;-[^-z|}~]+$/.test(name)

const section = /^(?:[1-9]\d*(?:\.[1-9]\d*)*(?:\.(?:MIME|HEADER|TEXT))?|TEXT)$/i

export const isSection = (name: string): boolean => section.test(name)

export const badItems = ({ headers, parts }: FetchItems): Reason | undefined => {
  const field = headers === undefined || headers === true ? undefined : headers.find((name) => !isFieldName(name))
  if (field !== undefined) {
    return new InvalidInput({ field: "headers", problem: `"${field}" is not the name of a header field` })
  }
  const part = parts?.find((name) => !isSection(name))
  return part === undefined ? undefined : new InvalidInput({ field: "parts", problem: `"${part}" is not a section` })
}

/** The flags as the mailbox spells them, or why they cannot be stored there. Without a mailbox the server decides. */
export const storable = (
  flags: ReadonlyArray<string>,
  mailbox: SelectedMailbox | undefined
): { readonly flags: ReadonlyArray<string> } | { readonly reason: Reason } => {
  const accepted: Array<string> = []
  for (const flag of flags) {
    if (!isFlag(flag) || flag.toLowerCase() === "\\recent") {
      return { reason: new InvalidInput({ field: "flags", problem: `"${flag}" is not a flag that can be stored` }) }
    }
    if (mailbox === undefined || mailbox.permanentFlags.includes("\\*")) {
      accepted.push(flag)
      continue
    }
    const known = mailbox.permanentFlags.find((known) => known.toLowerCase() === flag.toLowerCase())
    if (known === undefined) return { reason: notKept(flag, mailbox) }
    accepted.push(known)
  }
  return { flags: accepted }
}

const notKept = (flag: string, mailbox: SelectedMailbox): Reason =>
  mailbox.readOnly
    ? readOnly(mailbox)
    : new Rejected({ text: `mailbox "${mailbox.path}" does not keep the flag ${flag}`, transient: false })

/** What EXAMINE opened cannot be changed. */
export const readOnly = (mailbox: SelectedMailbox): Reason =>
  new Rejected({ code: "READ-ONLY", text: `mailbox "${mailbox.path}" is open for reading only`, transient: false })
