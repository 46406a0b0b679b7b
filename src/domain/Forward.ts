/** A message handed on to others, inside the text or as an attached message. Pure; what is made is a draft's fields. */
import type { Stream } from "effect"
import { Attachment } from "./Attachment.ts"
import type { DraftInput } from "./DraftInput.ts"
import type { Address } from "./Envelope.ts"
import { escapeHtml, htmlOfText, quotableHtml, textOfHtml } from "./Html.ts"
import { referencesTo } from "./MessageId.ts"
import { carried, type Given, given, oneLine, type Original, shownIn, written } from "./Original.ts"
import { forwardSubject } from "./Subject.ts"

/** How to forward. Fields of the draft that are not named here are taken over as they are. */
export interface ForwardOptions extends Given, Pick<DraftInput, "to" | "cc"> {
  /** What is said above the message. */
  readonly text?: string
  readonly html?: string
  /**
   * The octets of the message, e.g. `account.source(message.ref)`. Given, it is attached whole and unchanged, so that
   * its header and signatures can be checked; otherwise its text stands below a block of its header fields.
   */
  readonly source?: Uint8Array | Stream.Stream<Uint8Array, unknown>
  /** Whether a message that is not attached takes its attachments along. Images shown in its HTML always come. Default: true. */
  readonly carryAttachments?: boolean
}

/** The fields of a forward of `message`. */
export const forwardOf = (message: Original, options: ForwardOptions = {}): DraftInput => {
  const { cc, source, to } = options
  const { attachments, html, text } = source === undefined
    ? inline(message, options)
    : attached(message, source, options)
  const all = [...options.attachments ?? [], ...attachments]
  return {
    ...given(options),
    ...(to === undefined ? {} : { to }),
    ...(cc === undefined ? {} : { cc }),
    subject: forwardSubject(message.subject),
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    ...(all.length === 0 ? {} : { attachments: all }),
    references: [...referencesTo(message)]
  }
}

const attached = (
  message: Original,
  source: Uint8Array | Stream.Stream<Uint8Array, unknown>,
  { html, text = html === undefined ? "" : textOfHtml(html) }: ForwardOptions
) => {
  // a file name that no system refuses
  const name = oneLine(message.subject ?? "").replace(/[^\p{L}\p{N}._-]+/gu, " ").trim().replace(/^\.+/, "").slice(
    0,
    60
  )
  return {
    text,
    html,
    attachments: [
      new Attachment({
        content: source instanceof Uint8Array ? { bytes: source } : { stream: source },
        type: "message/rfc822",
        filename: `${name === "" ? "message" : name.toWellFormed().replace(/\ufffd/g, "")}.eml`
      })
    ]
  }
}

const inline = (message: Original, options: ForwardOptions) => {
  const { html, text = html === undefined ? "" : textOfHtml(html) } = options
  const fields = block(message)
  const original = message.text ?? textOfHtml(message.html ?? "")
  const lead = text.trim() === "" ? "" : `${text.trimEnd()}\n\n`
  const { others, shown } = shownIn(message.html, message.attachments)
  const rich = html !== undefined || message.html !== undefined
  const rows = fields.map(([name, value]) => `<b>${name}:</b> ${escapeHtml(value)}<br>\n`).join("")
  const content = message.html === undefined ? htmlOfText(original) : quotableHtml(message.html)
  return {
    text: `${lead}${mark}\n${fields.map(([name, value]) => `${name}: ${value}\n`).join("")}\n${
      original.replace(/\r\n?/g, "\n").trimEnd()
    }\n`,
    html: rich
      ? `${
        html ?? (lead === "" ? "" : `<p>${htmlOfText(lead)}</p>`)
      }\n<p>${mark}<br>\n${rows}</p>\n<div>\n${content}\n</div>\n`
      : undefined,
    attachments: carried([
      ...(rich ? shown : []),
      ...(options.carryAttachments === false ? [] : rich ? others : message.attachments)
    ])
  }
}

const mark = "---------- Forwarded message ----------"

const block = ({ cc, date, from, subject, to }: Original): ReadonlyArray<readonly [string, string]> => {
  const list = (addresses: ReadonlyArray<Address>) => oneLine(addresses.map(String).join(", "))
  const fields = [
    ["From", list(from)],
    ["Date", date === undefined ? "" : written(date)],
    ["Subject", oneLine(subject ?? "")],
    ["To", list(to)],
    ["Cc", list(cc)]
  ] as const
  return fields.filter(([, value]) => value !== "")
}
