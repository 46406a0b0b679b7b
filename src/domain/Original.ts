/**
 * The message that is answered or forwarded, as far as that reads it, and how strangers' text gets into a header of
 * ours: line breaks and control characters, which encoded words can bring in, become blanks.
 */
import { isMailbox } from "./AddressText.ts"
import { Attachment } from "./Attachment.ts"
import { contentIdOf } from "./ContentId.ts"
import type { DraftInput } from "./DraftInput.ts"
import { Address } from "./Envelope.ts"
import { isMessageId } from "./MessageId.ts"

/** Where a received part came from. `content` is absent where a message was read without its attachments. */
export interface OriginalAttachment {
  readonly filename?: string
  readonly type: string
  readonly disposition: "attachment" | "inline"
  readonly contentId?: string
  readonly content?: Uint8Array
}

/** A `Message`, a `ParsedMessage`, or a `MessageOutline`. */
export interface Original {
  readonly headers: ReadonlyArray<{ readonly name: string; readonly value: string }>
  readonly date?: Date
  readonly subject?: string
  readonly from: ReadonlyArray<Address>
  readonly sender: ReadonlyArray<Address>
  readonly replyTo: ReadonlyArray<Address>
  readonly to: ReadonlyArray<Address>
  readonly cc: ReadonlyArray<Address>
  readonly messageId?: string
  readonly inReplyTo?: string
  readonly references: ReadonlyArray<string>
  readonly text?: string
  readonly html?: string
  readonly attachments: ReadonlyArray<OriginalAttachment>
}

/** Fields of the draft that replies and forwards take over as they are. */
export type Given = Pick<
  DraftInput,
  "from" | "sender" | "replyTo" | "bcc" | "attachments" | "headers" | "messageId" | "date" | "priority" | "calendar"
>

export const given = (options: Given): Given => {
  const { attachments, bcc, calendar, date, from, headers, messageId, priority, replyTo, sender } = options
  return {
    ...(from === undefined ? {} : { from }),
    ...(sender === undefined ? {} : { sender }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(bcc === undefined ? {} : { bcc }),
    ...(attachments === undefined ? {} : { attachments }),
    ...(headers === undefined ? {} : { headers }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(date === undefined ? {} : { date }),
    ...(priority === undefined ? {} : { priority }),
    ...(calendar === undefined ? {} : { calendar })
  }
}

/** One line of text that a header can hold. */
export const oneLine = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- these are what is replaced
  text.toWellFormed().replace(/[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").trim()

/** RFC 5321 4.5.3.1.3 has 256 octets for a path. */
const maxAddress = 320

/** Characters of a name. Longer ones are cut off, those of files in front: no line of a header holds them. */
const maxName = 100

/** Those of the addresses that mail can be sent to. */
export const deliverable = (addresses: ReadonlyArray<Address>): ReadonlyArray<Address> =>
  addresses.filter(({ address }) => isMailbox(address) && address.length <= maxAddress).map(({ address, name }) => {
    const clean = oneLine([...name ?? ""].slice(0, maxName).join(""))
    return new Address({ address, ...(clean === "" ? {} : { name: clean }) })
  })

/** A received part as a part to send. Parts whose content was not read are left out. */
export const carried = (parts: ReadonlyArray<OriginalAttachment>): ReadonlyArray<Attachment> =>
  parts.flatMap(({ content, contentId, disposition, filename, type }) => {
    if (content === undefined) return []
    const name = oneLine([...filename ?? ""].slice(-maxName).join(""))
    const id = contentIdOf(contentId ?? "")
    return [
      new Attachment({
        content: { bytes: content },
        type: /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/i.test(type) && !/^multipart\//i.test(type)
          ? type
          : "application/octet-stream",
        disposition,
        ...(name === "" ? {} : { filename: name }),
        ...(id !== undefined && isMessageId(`<${id}>`) ? { contentId: id } : {})
      })
    ]
  })

/** The parts that the HTML shows by `cid:` (RFC 2392), and the others. */
export const shownIn = (
  html: string | undefined,
  parts: ReadonlyArray<OriginalAttachment>
): { readonly shown: ReadonlyArray<OriginalAttachment>; readonly others: ReadonlyArray<OriginalAttachment> } => {
  const names = new Set<string>()
  for (const [, name = ""] of (html ?? "").matchAll(/\bcid:([^"'\s>)]+)/gi)) names.add(percentDecoded(name))
  const isShown = ({ contentId }: OriginalAttachment) => names.has(contentIdOf(contentId ?? "") ?? "")
  return { shown: parts.filter(isShown), others: parts.filter((part) => !isShown(part)) }
}

const percentDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A date for a reader, in UTC since nobody knows the reader's zone: "2026-01-02 03:04 UTC". */
export const written = (date: Date): string =>
  Number.isNaN(date.getTime()) ? "an unknown date" : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`
