/** A mailbox and its messages as SELECT and FETCH answer them, in the values of the driver contract. */
import type { FetchItems } from "../domain/Fetch.ts"
import { UidRanges } from "../domain/UidRanges.ts"
import type { FetchedRow, FetchOptions, SelectedMailbox, SelectOptions } from "../driver/ImapDriver.ts"
import { toBodyPart, toEnvelopeFields } from "./MimeDecoding.ts"
import { findSection, headerFields, structureOf } from "./MimeStructure.ts"
import { type StoredMailbox, type StoredMessage, systemFlags } from "./StoredMailbox.ts"

/** The answer to SELECT; without CONDSTORE and QRESYNC their parts are undefined. */
export const toSelected = (
  mailbox: StoredMailbox,
  { readOnly, since }: SelectOptions,
  capabilities: ReadonlySet<string>
): SelectedMailbox => {
  const { exists, highestModseq, keywords, path, uidNext, uidValidity } = mailbox
  return {
    path,
    readOnly,
    uidValidity,
    uidNext,
    exists,
    highestModseq: capabilities.has("CONDSTORE") ? highestModseq : undefined,
    permanentFlags: readOnly ? [] : [...systemFlags, ...keywords, "\\*"],
    resync: since !== undefined && since.uidValidity === uidValidity && capabilities.has("QRESYNC")
      ? {
        vanished: UidRanges.from(mailbox.vanishedSince(since.modseq)),
        changed: mailbox.changedSince(since.modseq).map(({ flags, modseq, uid }) => ({
          uid,
          flags: [...flags],
          modseq
        }))
      }
      : undefined
  }
}

/** The octets that a row brings, beside small change. */
export const octetsIn = ({ headers, parts, source }: FetchedRow): number => {
  let octets = 100 + (source?.length ?? 0) + (headers?.length ?? 0)
  for (const part of parts?.values() ?? []) octets += part.length
  return octets
}

/** One row of FETCH with exactly the items asked for; octets are copies. */
export const toRow = (
  { emailId, flags, internalDate, modseq, source, uid }: StoredMessage,
  items: FetchItems,
  capabilities: ReadonlySet<string>,
  { sourceLimit = Infinity, sourceStart = 0 }: Pick<FetchOptions, "sourceLimit" | "sourceStart"> = {}
): FetchedRow => {
  const root = structureOf(source)
  const headers = items.headers
  return {
    uid,
    ...items.envelope === true ? { envelope: toEnvelopeFields(root) } : {},
    ...items.flags === true ? { flags: [...flags] } : {},
    ...items.internalDate === true ? { internalDate: new Date(internalDate) } : {},
    ...items.size === true ? { size: source.length } : {},
    ...items.structure === true ? { structure: toBodyPart(root) } : {},
    ...items.source === true ? { source: source.slice(sourceStart, sourceStart + sourceLimit) } : {},
    ...headers === undefined ? {} : {
      headers: headers === true
        ? source.slice(root.header.start, root.header.end)
        : headerFields(source, root.header, headers)
    },
    ...items.parts === undefined ? {} : {
      parts: new Map(items.parts.flatMap((part) => {
        const range = findSection(root, part)
        return range === undefined ? [] : [[part, source.slice(range.start, range.end)]]
      }))
    },
    ...items.modseq === true ? { modseq: capabilities.has("CONDSTORE") ? modseq : undefined } : {},
    ...items.labels === true ? { labels: undefined } : {},
    ...items.emailId === true ? { emailId: capabilities.has("OBJECTID") ? emailId : undefined } : {},
    ...items.threadId === true ? { threadId: undefined } : {}
  }
}
