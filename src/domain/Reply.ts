/** An answer to a message: to whom, in which thread, with what quoted. Pure; what is made here is a draft's fields. */
import { addressesIn, addressKey } from "./AddressText.ts"
import type { AddressInput, DraftInput } from "./DraftInput.ts"
import { Address } from "./Envelope.ts"
import { valueOf } from "./HeaderText.ts"
import { escapeHtml, htmlOfText, quotableHtml, textOfHtml } from "./Html.ts"
import { isMessageId, referencesTo } from "./MessageId.ts"
import { carried, deliverable, type Given, given, oneLine, type Original, shownIn, written } from "./Original.ts"
import { replySubject } from "./Subject.ts"

/** How to answer. Fields of the draft that are not named here are taken over as they are. */
export interface ReplyOptions extends Given {
  /**
   * Who gets it. "sender" (default): the addresses of Reply-To, or else of From (RFC 5322 3.6.2). "all": these, and
   * everyone in To and Cc, or whom Mail-Followup-To names instead. "list": the address of List-Post (RFC 2369 3.4), or
   * "all" where there is none.
   */
  readonly recipients?: "sender" | "all" | "list"
  /**
   * The addresses of the one who answers; they are left out of the recipients. Where `from` is not given, the answer is
   * from the one of them that the message was sent to. To a message of one's own, the answer goes to its recipients.
   */
  readonly own?: AddressInput | ReadonlyArray<AddressInput>
  /** The answer. Without `html` it is plain text; with `html` alone, its text is made from it. */
  readonly text?: string
  readonly html?: string
  /** Whether the message is quoted below the answer. Default: true. */
  readonly quote?: boolean
  /** The line above the quotation. Default: "On 2026-01-02 03:04 UTC, Ann <ann@example.com> wrote:". */
  readonly attribution?: string
  /** Says that a program answers (`Auto-Submitted: auto-replied`, RFC 3834 5), so that others do not answer it. */
  readonly automatic?: boolean
}

/** The fields of an answer to `message`. */
export const replyTo = (message: Original, options: ReplyOptions = {}): DraftInput => {
  const own = ownAddresses(options)
  const from = options.from ?? addressedTo(message, own)
  const { messageId } = message
  const { attachments, html, text } = body(message, options)
  return {
    ...given(options),
    ...(from === undefined ? {} : { from }),
    ...recipients(message, options.recipients ?? "sender", own),
    subject: replySubject(message.subject),
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    ...(attachments.length === 0 ? {} : { attachments: [...options.attachments ?? [], ...attachments] }),
    ...(messageId !== undefined && isMessageId(messageId) ? { inReplyTo: messageId } : {}),
    references: [...referencesTo(message)],
    ...(options.automatic === true ? { headers: { ...options.headers, "Auto-Submitted": "auto-replied" } } : {})
  }
}

// --- to whom

type Keys = ReadonlyMap<string, Address>

const ownAddresses = ({ from, own = [] }: ReplyOptions): Keys => {
  const inputs = isList(own) ? own : [own]
  return byKey([...inputs, ...(from === undefined ? [] : [from])].flatMap(addresses))
}

const isList = (given: AddressInput | ReadonlyArray<AddressInput>): given is ReadonlyArray<AddressInput> =>
  Array.isArray(given)

const addresses = (input: AddressInput): ReadonlyArray<Address> =>
  typeof input === "string" ? addressesIn(input) : [input]

/** The first of each address wins. */
const byKey = (addresses: ReadonlyArray<Address>): Keys => {
  const found = new Map<string, Address>()
  for (const address of addresses) {
    const key = addressKey(address.address)
    if (!found.has(key)) found.set(key, address)
  }
  return found
}

const addressedTo = ({ cc, to }: Original, own: Keys): Address | undefined => {
  for (const { address } of [...to, ...cc]) {
    const found = own.get(addressKey(address))
    if (found !== undefined) return found
  }
  return undefined
}

const recipients = (message: Original, which: "sender" | "all" | "list", own: Keys) => {
  const foreign = (addresses: ReadonlyArray<Address>, taken: Keys = new Map()): ReadonlyArray<Address> =>
    [...byKey(deliverable(addresses))].filter(([key]) => !own.has(key) && !taken.has(key)).map(([, address]) => address)

  const author = deliverable(message.from)
  const isOwn = author.length > 0 && author.every(({ address }) => own.has(addressKey(address)))
  const wanted = deliverable(message.replyTo)
  const replying = wanted.length > 0 ? wanted : author.length > 0 ? author : deliverable(message.sender)
  // what one has sent oneself is continued to the same people
  const first = isOwn ? message.to : replying

  if (which === "list") {
    const list = listPost(message)
    if (list !== undefined) return { to: [list] }
  }
  if (which === "sender") {
    const to = foreign(first)
    return { to: to.length > 0 ? to : [...byKey(replying).values()] }
  }
  const followUp = isOwn ? [] : foreign(addressesIn(valueOf(message.headers, "mail-followup-to") ?? ""))
  if (followUp.length > 0) return { to: followUp }
  const to = foreign([...first, ...message.to])
  const cc = foreign(message.cc, byKey(to))
  if (to.length > 0) return { to, ...(cc.length === 0 ? {} : { cc }) }
  return cc.length > 0 ? { to: cc } : { to: [...byKey(replying).values()] }
}

const listPost = (message: Original): Address | undefined => {
  const uri = /<mailto:([^?>\s]+)/i.exec(valueOf(message.headers, "list-post") ?? "")?.[1]
  if (uri === undefined) return undefined
  try {
    return deliverable([new Address({ address: decodeURIComponent(uri) })])[0]
  } catch {
    return undefined
  }
}

// --- with what

const body = (message: Original, options: ReplyOptions) => {
  const { html, text = html === undefined ? undefined : textOfHtml(html) } = options
  if (options.quote === false) return { text, html, attachments: [] }
  const line = oneLine(options.attribution ?? attribution(message))
  const quoted = quoteText(message.text ?? textOfHtml(message.html ?? ""))
  const below = [line, ...(quoted === "" ? [] : [quoted])].join("\n")
  const original = message.html === undefined ? htmlOfText(message.text ?? "") : quotableHtml(message.html)
  return {
    text: text === undefined || text === "" ? `\n\n${below}\n` : `${text.trimEnd()}\n\n${below}\n`,
    html: html === undefined
      ? undefined
      : `${html}\n<p>${escapeHtml(line)}</p>\n<blockquote type="cite">\n${original}\n</blockquote>\n`,
    attachments: html === undefined ? [] : carried(shownIn(message.html, message.attachments).shown)
  }
}

const attribution = ({ date, from }: Original): string => {
  const who = from[0] === undefined ? "somebody" : from[0].toString()
  return date === undefined ? `${who} wrote:` : `On ${written(date)}, ${who} wrote:`
}

/** Each line behind "> ", or ">" where it is a quotation already (RFC 3676 4.5). */
export const quoteText = (text: string): string =>
  text.replace(/\r\n?/g, "\n").trimEnd().split("\n")
    .map((line) => line === "" || line.startsWith(">") ? `>${line}` : `> ${line}`).join("\n").replace(/^>$/, "")
