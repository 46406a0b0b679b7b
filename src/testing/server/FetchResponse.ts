/** One row of a FETCH, written: each item of a request becomes a function once, and runs per message. */
import { findPart, findSection, headerFields, type MimePart, parseMessage } from "../MimeStructure.ts"
import { readEnvelope } from "../RawEnvelope.ts"
import type { StoredMessage } from "../StoredMailbox.ts"
import { toBodyStructure, toEnvelope } from "./BodyStructure.ts"
import { toDateTime } from "./DateTime.ts"
import type { FetchRequest, SectionItem } from "./FetchItems.ts"
import type { Output } from "./Output.ts"

/** Writes one item, without blanks around it. */
export type ItemWriter = (out: Output, message: StoredMessage) => void

/** The writers of a request, in the order they appear in a row. Sections come last, as they are large. */
export const toWriters = ({ items, sections }: FetchRequest): ReadonlyArray<ItemWriter> => [
  ...[...items].map((item) => writers[item]).filter((writer) => writer !== undefined),
  ...sections.map(toSectionWriter)
]

/** Writes `* n FETCH (…)`. */
export const writeRow = (
  out: Output,
  sequence: number,
  message: StoredMessage,
  writers: ReadonlyArray<ItemWriter>
): void => {
  out.text(`* ${sequence} FETCH (`)
  for (let index = 0; index < writers.length; index++) {
    if (index > 0) out.text(" ")
    writers[index]?.(out, message)
  }
  out.text(")\r\n")
}

const writers: { readonly [item: string]: ItemWriter | undefined } = {
  UID: (out, { uid }) => out.text(`UID ${uid}`),
  FLAGS: (out, { flags }) => out.text(`FLAGS (${[...flags].join(" ")})`),
  INTERNALDATE: (out, { internalDate }) => out.text(`INTERNALDATE ${toDateTime(internalDate)}`),
  "RFC822.SIZE": (out, { source }) => out.text(`RFC822.SIZE ${source.length}`),
  MODSEQ: (out, { modseq }) => out.text(`MODSEQ (${modseq})`),
  EMAILID: (out, { emailId }) => out.text(`EMAILID (${emailId})`),
  THREADID: (out) => out.text("THREADID NIL"),
  ENVELOPE: (out, message) => out.text(`ENVELOPE ${toEnvelope(readEnvelope(structureOf(message).header))}`),
  BODY: (out, message) => out.text(`BODY ${toBodyStructure(structureOf(message), false)}`),
  BODYSTRUCTURE: (out, message) => out.text(`BODYSTRUCTURE ${toBodyStructure(structureOf(message), true)}`)
}

const toSectionWriter = (item: SectionItem): ItemWriter => {
  const { label, partial } = item
  return (out, message) => {
    const whole = octetsOf(item, message)
    if (whole === undefined) return out.text(`${label} NIL`)
    const octets = partial === undefined ? whole : whole.subarray(partial.start, partial.start + partial.length)
    out.text(`${label} {${octets.length}}\r\n`)
    out.bytes(octets)
  }
}

const octetsOf = ({ names, not, section }: SectionItem, message: StoredMessage): Uint8Array | undefined => {
  const { source } = message
  if (section === "" && names === undefined) return source
  const root = structureOf(message)
  if (names !== undefined) {
    const numbers = section.replace(/\.?HEADER$/, "")
    const header = numbers === "" ? root.header : findPart(root, numbers)?.message?.header
    return header === undefined ? undefined : headerFields(source, header, names, { not })
  }
  const range = findSection(root, section)
  return range === undefined ? undefined : source.subarray(range.start, range.end)
}

/** Stored octets never change, so their structure is read once. */
const structures = new WeakMap<Uint8Array, MimePart>()

const structureOf = ({ source }: StoredMessage): MimePart => {
  const known = structures.get(source)
  if (known !== undefined) return known
  const structure = parseMessage(source)
  structures.set(source, structure)
  return structure
}
