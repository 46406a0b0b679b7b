/**
 * The ENVELOPE of a message (RFC 9051 7.5.2) before any decoding: strings are binary, encoded words stay as they are,
 * addresses are split into name, mailbox and host. Reads what is there of broken address lists and never fails.
 */
import { fieldValue, type MimeHeader } from "./MimeStructure.ts"

/** One address structure. A group begins with an address without host and ends with one without mailbox and host. */
export interface RawAddress {
  readonly name: string | undefined
  readonly mailbox: string | undefined
  readonly host: string | undefined
}

/** The ten fields. Sender and reply-to are those of from where the header has none. */
export interface RawEnvelope {
  readonly date: string | undefined
  readonly subject: string | undefined
  readonly from: ReadonlyArray<RawAddress>
  readonly sender: ReadonlyArray<RawAddress>
  readonly replyTo: ReadonlyArray<RawAddress>
  readonly to: ReadonlyArray<RawAddress>
  readonly cc: ReadonlyArray<RawAddress>
  readonly bcc: ReadonlyArray<RawAddress>
  readonly inReplyTo: string | undefined
  readonly messageId: string | undefined
}

export const readEnvelope = (header: MimeHeader): RawEnvelope => {
  const addresses = (name: string): ReadonlyArray<RawAddress> =>
    header.fields
      .filter((field) => field.name.toLowerCase() === name)
      .flatMap((field) => parseAddresses(field.value))
  const from = addresses("from")
  const sender = addresses("sender")
  const replyTo = addresses("reply-to")
  return {
    date: fieldValue(header, "Date"),
    subject: fieldValue(header, "Subject"),
    from,
    sender: sender.length === 0 ? from : sender,
    replyTo: replyTo.length === 0 ? from : replyTo,
    to: addresses("to"),
    cc: addresses("cc"),
    bcc: addresses("bcc"),
    inReplyTo: fieldValue(header, "In-Reply-To"),
    messageId: fieldValue(header, "Message-ID")
  }
}

/** An address list (RFC 5322 3.4) with its groups. */
export const parseAddresses = (text: string): ReadonlyArray<RawAddress> => {
  const addresses: Array<RawAddress> = []
  let words: Array<string> = []
  let comment: string | undefined
  let angle: string | undefined
  let inGroup = false

  const finish = () => {
    const phrase = words.join(" ").trim()
    if (angle !== undefined) addresses.push(toAddress(angle, phrase === "" ? comment : phrase))
    else if (phrase !== "") addresses.push(toAddress(words.join(""), comment))
    words = []
    comment = angle = undefined
  }

  for (const token of text.matchAll(tokens)) {
    const [whole, quoted, comments, bracketed] = token
    if (quoted !== undefined) words.push(angle === undefined && isLocalPart(text, token) ? whole : unquote(quoted))
    else if (comments !== undefined) comment = unquote(comments).trim()
    else if (bracketed !== undefined) angle = bracketed
    else if (whole === ",") finish()
    else if (whole === ":" && angle === undefined && !inGroup) {
      addresses.push({ name: undefined, mailbox: words.join(" "), host: undefined })
      words = []
      inGroup = true
    } else if (whole === ";") {
      finish()
      if (inGroup) addresses.push({ name: undefined, mailbox: undefined, host: undefined })
      inGroup = false
    } else if (whole !== ":" && whole.trim() !== "") words.push(whole)
  }
  finish()
  if (inGroup) addresses.push({ name: undefined, mailbox: undefined, host: undefined })
  return addresses
}

/** Quoted string, comment without nesting, angle address, the three separators, and runs of anything else. */
const tokens = /"((?:[^"\\]|\\.)*)"?|\(((?:[^()\\]|\\.)*)\)?|<([^>]*)>?|[,:;]|\s+|[^\s",:;<(]+/gs

const isLocalPart = (text: string, token: RegExpExecArray): boolean => text[token.index + token[0].length] === "@"

const unquote = (text: string): string => text.replaceAll(/\\(.)/gs, "$1")

/** A source route ("<@a,@b:user@host>", RFC 5322 4.4) is dropped, as servers do today. */
const toAddress = (spec: string, name: string | undefined): RawAddress => {
  const bare = spec.trim().replace(/^@[^:]*:/, "")
  const at = bare.lastIndexOf("@")
  const mailbox = at === -1 ? bare : bare.slice(0, at).trim()
  return {
    name: name === "" ? undefined : name,
    mailbox: mailbox.startsWith("\"") ? unquote(mailbox.replaceAll(/^"|"$/g, "")) : mailbox,
    host: at === -1 ? "" : bare.slice(at + 1).trim()
  }
}
