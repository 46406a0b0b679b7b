/**
 * Messages without their attachments: the header, the structure, and of the body only the parts that are text. What is
 * fetched is put together as a message that holds nothing else, so that the one parser reads all of it.
 */
import { Effect } from "effect"
import { contentIdOf } from "../domain/ContentId.ts"
import type { BodyPart } from "../domain/Envelope.ts"
import type { Reason } from "../domain/MailError.ts"
import { AttachmentOutline, MessageOutline } from "../domain/Message.ts"
import type { MessageRef } from "../domain/MessageSet.ts"
import type { FetchedRow } from "../driver/ImapDriver.ts"
import type { MessageParser } from "../driver/MessageParser.ts"

/** What is fetched of each message before its texts. */
export const outlineItems = { structure: true, headers: true, flags: true, internalDate: true, size: true } as const

/** More text parts than this are not read. */
const maxTexts = 100

/** The outline of a message whose row holds `outlineItems`; undefined where the message has gone since. */
export const outline = Effect.fnUntraced(function*(
  parser: MessageParser["Service"],
  ref: MessageRef,
  row: FetchedRow,
  fetchParts: (parts: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, Uint8Array> | undefined, Reason>
): Effect.fn.Return<MessageOutline | undefined, Reason> {
  const leaves = row.structure === undefined ? [] : leavesOf(row.structure)
  const texts = leaves.filter(isText).slice(0, maxTexts)
  const parts = texts.length === 0 ? new Map<string, Uint8Array>() : yield* fetchParts(texts.map(({ part }) => part))
  if (parts === undefined) return undefined
  const { attachments: _, html: _html, text: _text, ...head } = yield* parser.parse(row.headers ?? new Uint8Array())
  const { html, problems, text } = yield* parser.parse(together(texts, parts))
  return new MessageOutline({
    ...head,
    ref,
    flags: row.flags ?? [],
    ...(row.internalDate === undefined ? {} : { internalDate: row.internalDate }),
    size: row.size ?? 0,
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    attachments: leaves.filter((leaf) => !isText(leaf)).map(toAttachment),
    problems: [...new Set([...head.problems, ...problems])]
  }, { disableChecks: true })
})

/** The parts that are not made of others; an attached message is one part. */
const leavesOf = (root: BodyPart): ReadonlyArray<BodyPart> => {
  const found: Array<BodyPart> = []
  const open = [root]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (/^multipart\//i.test(node.type)) open.push(...node.children.toReversed())
    else found.push(node)
  }
  return found
}

/** As the parser tells text from attachments. */
const isText = ({ disposition, type }: BodyPart): boolean =>
  /^text\/(?:plain|html)$/i.test(type) && (disposition === undefined || disposition.toLowerCase() === "inline")

const together = (texts: ReadonlyArray<BodyPart>, parts: ReadonlyMap<string, Uint8Array>): Uint8Array => {
  const found = texts.flatMap((text) => {
    const octets = parts.get(text.part)
    return octets === undefined
      ? []
      : [{ text, octets: Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength) }]
  })
  // a line of the texts could be a boundary; a name that none of them holds is not
  let name = "outline"
  while (found.some(({ octets }) => octets.includes(`--${name}`))) name += "-"
  return Buffer.concat([
    Buffer.from(`Content-Type: multipart/mixed; boundary="${name}"\r\n\r\n`),
    ...found.flatMap((
      { octets, text }
    ) => [Buffer.from(`--${name}\r\n${fieldsOf(text)}\r\n`), octets, Buffer.from("\r\n")]),
    Buffer.from(`--${name}--\r\n`)
  ])
}

const fieldsOf = ({ encoding, parameters, type }: BodyPart): string => {
  const values = Object.entries(parameters)
    .filter(([name, value]) => /^[a-z0-9_.+-]+$/i.test(name) && /^[\x20-\x7e]*$/.test(value))
    .map(([name, value]) => `; ${name}="${value.replace(/["\\]/g, "\\$&")}"`)
  return [
    `Content-Type: ${type}${values.join("")}\r\n`,
    encoding !== undefined && /^[\w.-]+$/.test(encoding) ? `Content-Transfer-Encoding: ${encoding}\r\n` : ""
  ].join("")
}

const toAttachment = ({ disposition, filename, id, part, size, type }: BodyPart): AttachmentOutline => {
  const contentId = contentIdOf(id ?? "")
  return new AttachmentOutline({
    part,
    ...(filename === undefined ? {} : { filename }),
    type: type.toLowerCase(),
    ...(size === undefined ? {} : { encodedSize: size }),
    disposition: disposition?.toLowerCase() === "inline" ? "inline" : "attachment",
    ...(contentId === undefined ? {} : { contentId })
  })
}
