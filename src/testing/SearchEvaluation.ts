/**
 * Evaluates search keys against stored messages (RFC 9051 6.4.4). Text is compared as a substring without regard to case,
 * in decoded headers and decoded text parts. The answers of Gmail's own keys are unknown here: they match nothing.
 */
import type { SearchKey } from "../domain/SearchKey.ts"
import { decodeHeader, decodeText } from "./MimeDecoding.ts"
import { type MimePart, structureOf } from "./MimeStructure.ts"
import { parse } from "./SequenceSet.ts"
import type { StoredMessage } from "./StoredMailbox.ts"

/** What a key is compared with besides the message: its place in the session's view of the mailbox, and the time. */
export interface SearchContext {
  /** Sequence number of the message. */
  readonly sequence: number
  /** Messages in the mailbox. */
  readonly exists: number
  /** The largest UID in the mailbox, which "*" stands for. */
  readonly largestUid: number
  readonly now: Date
}

/** Tells whether a message matches. */
export const matches = (key: SearchKey, message: StoredMessage, context: SearchContext): boolean => {
  switch (key._tag) {
    case "All":
      return true
    case "And":
      return key.keys.every((inner) => matches(inner, message, context))
    case "Or":
      return key.keys.some((inner) => matches(inner, message, context))
    case "Not":
      return !matches(key.key, message, context)
    case "Flag":
      return hasFlag(message, key.flag) === key.set
    case "Text":
      return matchesText(key, message)
    case "Header":
      return structureOf(message.source).header.fields.some(({ name, value }) =>
        name.toLowerCase() === key.name.toLowerCase() && includes(decodeHeader(value), key.value)
      )
    case "Date":
      return matchesDate(key, key.which === "received" ? calendarDate(message.internalDate) : sentDate(message))
    case "Age": {
      const boundary = context.now.getTime() - key.seconds * 1000
      const received = message.internalDate.getTime()
      return key.compare === "older" ? received <= boundary : received >= boundary
    }
    case "Size":
      return key.compare === "larger" ? message.source.length > key.octets : message.source.length < key.octets
    case "Sequence":
      return key.uid
        ? parse(key.range, context.largestUid)?.(message.uid) === true
        : parse(key.range, context.exists)?.(context.sequence) === true
    case "Modseq":
      return message.modseq >= key.modseq
    case "Identifier":
      return key.which === "email" && message.emailId === key.id
    case "Gmail":
      return false
  }
}

/** The UIDs of the messages that match, of messages in ascending order. */
export const search = (
  key: SearchKey,
  messages: ReadonlyArray<StoredMessage>,
  now: Date
): ReadonlyArray<number> => {
  const view = { exists: messages.length, largestUid: messages.at(-1)?.uid ?? 0, now }
  return messages
    .filter((message, index) => matches(key, message, { ...view, sequence: index + 1 }))
    .map(({ uid }) => uid)
}

/** The calendar date of a time in UTC, which is also the zone a store shows internal dates in. */
const calendarDate = (date: Date): string => date.toISOString().slice(0, 10)

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/** The date as the sender wrote it, "disregarding time and timezone". */
const sentDate = (message: StoredMessage): string | undefined => {
  const field = structureOf(message.source).header.fields.find(({ name }) => name.toLowerCase() === "date")
  const match = /(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{4})/i.exec(field?.value ?? "")
  const month = months.indexOf((match?.[2] ?? "").toLowerCase()) + 1
  if (match === null || month === 0) return undefined
  return `${match[3]}-${`${month}`.padStart(2, "0")}-${`${match[1]}`.padStart(2, "0")}`
}

const matchesDate = (key: SearchKey & { readonly _tag: "Date" }, date: string | undefined): boolean => {
  if (date === undefined) return false
  switch (key.compare) {
    case "before":
      return date < key.date
    case "on":
      return date === key.date
    case "since":
      return date >= key.date
  }
}

const hasFlag = ({ flags }: StoredMessage, flag: string): boolean => {
  const wanted = flag.toLowerCase()
  return flags.values().some((name) => name.toLowerCase() === wanted)
}

const matchesText = ({ field, value }: SearchKey & { readonly _tag: "Text" }, message: StoredMessage): boolean => {
  const root = structureOf(message.source)
  switch (field) {
    case "body":
      return includes(bodyText(message.source, root), value)
    case "text":
      return includes(headerText(root), value) || includes(bodyText(message.source, root), value)
    default:
      return root.header.fields.some(({ name, value: text }) =>
        name.toLowerCase() === field && includes(decodeHeader(text), value)
      )
  }
}

const headerText = (part: MimePart): string =>
  part.header.fields.map(({ name, value }) => `${name}: ${decodeHeader(value)}`).join("\n")

/** The text of all text parts; the header of a message inside belongs to the body of the one that holds it. */
const bodyText = (source: Uint8Array, part: MimePart): string => {
  if (part.message !== undefined) return `${headerText(part.message)}\n${bodyText(source, part.message)}`
  if (part.type === "text") return decodeText(source, part)
  return part.children.map((child) => bodyText(source, child)).join("\n")
}

const includes = (text: string, value: string): boolean => text.toLowerCase().includes(value.toLowerCase())
