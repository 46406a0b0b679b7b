/**
 * One FETCH, from its items to its rows. The data items of every day (source, flags, size, date, ENVELOPE, BODYSTRUCTURE)
 * are taken as they were parsed: imapflow's own `fetch` hashes an identifier for each row, writes each key out again to
 * recognise it, asks for MODSEQ, and passes each row through a generator, more than half of what a plain row costs. What
 * is rare (parts, headers, extensions) stays with it.
 */
import type { FetchItems } from "../../domain/Fetch.ts"
import type { FetchedRow, FetchOptions } from "../ImapDriver.ts"
import type { FetchMessageObject, ImapFlow, parseBodystructure, parseEnvelope } from "./client.ts"
import { Collector, toQuery } from "./rows.ts"

/** How imapflow decodes what is nested; given, since the package is loaded only when it is needed. */
export interface Decoders {
  readonly parseEnvelope: typeof parseEnvelope
  readonly parseBodystructure: typeof parseBodystructure
}

/** Rows, and how many came that nobody asked for. */
interface Collected {
  readonly rows: ReadonlyArray<FetchedRow>
  readonly strays: number
}

/** Runs one UID FETCH to its end; what is larger than its bound is told of, and not kept. */
export const collectRows = async (
  client: ImapFlow,
  decoders: Decoders,
  range: string,
  items: FetchItems,
  options: FetchOptions,
  onTooLarge: (size: number, limit: number) => void
): Promise<Collected | false> => {
  const { answerLimit = Infinity, changedSince = 0n, sourceLimit, sourceStart = 0 } = options
  const collector = new Collector(items, range, answerLimit, (size) => onTooLarge(size, answerLimit))
  let areSomeGone = false
  const hear = ({ code }: { readonly code?: string }) => {
    areSomeGone ||= code?.toUpperCase() === "EXPUNGEISSUED"
  }
  client.on("response", hear)
  try {
    if (isPlain(items) && changedSince <= 0n) {
      const span = { start: sourceStart, length: sourceLimit }
      await fetchPlain(client, range, items, span, (row) => collector.add(toMessage(row, decoders, sourceStart)))
    } else {
      const rows = client.fetch(range, toQuery(items, sourceLimit, sourceStart), {
        uid: true,
        ...(changedSince <= 0n ? {} : { changedSince })
      })
      for await (const row of rows) collector.add(row)
    }
  } finally {
    client.off("response", hear)
  }
  const { strays } = collector
  const rows = collector.rows()
  if (!areSomeGone || rows.length === 0) return { rows, strays }
  // Dovecot makes up rows for messages that have gone: no sender, no size, the first of January 1970.
  const found = await client.search({ uid: range }, { uid: true })
  if (!Array.isArray(found)) return false
  const there = new Set(found)
  return { rows: rows.filter(({ uid }) => there.has(uid)), strays }
}

/** A parsed token: an atom, a string or literal, or a list; NIL is null. */
type Token = Parameters<typeof parseEnvelope>[0][number]

/** `* 12 FETCH (…)`: the sequence number is the command. */
interface Untagged {
  readonly command: string
  readonly attributes?: ReadonlyArray<Token>
}

/** The part of the client below its methods, which its types leave out; it is what all of them run on. */
interface Executor {
  /** Leaves an IDLE; false while there is none. */
  readonly preCheck?: (() => Promise<void>) | false
  readonly exec: (
    command: string,
    attributes: ReadonlyArray<unknown>,
    options: { readonly untagged: { readonly FETCH: (row: Untagged) => void } }
  ) => Promise<{ readonly next: () => void }>
}

/** Items with the atoms that ask for them. */
const plainItems = new Map<string, string>([
  ["flags", "FLAGS"],
  ["internalDate", "INTERNALDATE"],
  ["size", "RFC822.SIZE"],
  ["envelope", "ENVELOPE"],
  ["structure", "BODYSTRUCTURE"]
])

/** Whether all that is asked for is plain. */
const isPlain = (items: FetchItems) =>
  Object.entries(items).every(([name, item]) => item === undefined || name === "source" || plainItems.has(name))

/** Runs one UID FETCH and hands each row on as it arrives, those nobody asked for too. */
const fetchPlain = async (
  client: ImapFlow,
  range: string,
  items: FetchItems,
  span: { readonly start: number; readonly length: number | undefined },
  onRow: (row: Untagged) => void
): Promise<void> => {
  const atoms: Array<unknown> = [atom("UID")]
  for (const [name, asked] of Object.entries(items)) {
    const known = plainItems.get(name)
    if (known !== undefined && asked === true) atoms.push(atom(known))
  }
  if (items.source === true) {
    const partial = span.length === undefined ? {} : { partial: [span.start, Math.max(1, span.length)] }
    atoms.push({ ...atom("BODY.PEEK"), section: [], ...partial })
  }
  // `exec` is not in the types, see `Executor`.
  const executor = client as unknown as Executor
  if (typeof executor.preCheck === "function") await executor.preCheck()
  const response = await executor.exec("UID FETCH", [{ type: "SEQUENCE", value: range }, atoms], {
    untagged: { FETCH: onRow }
  })
  // The reader waits until the answer has been taken note of.
  response.next()
}

const atom = (value: string) => ({ type: "ATOM", value })

/** Throws where the row cannot be what was asked for, which fails the command. */
const toMessage = (
  { attributes = [], command }: Untagged,
  decoders: Decoders,
  sourceStart: number
): FetchMessageObject => {
  const message: Partial<FetchMessageObject> & { seq: number } = { seq: Number(command) }
  const list = attributes[1]
  if (isList(list)) {
    // A literal that is longer than was said goes on as if it were further items.
    if (list.length % 2 !== 0) throw new Error("an item without a value")
    for (let index = 0; index + 1 < list.length; index += 2) {
      const [key, token] = [list[index], list[index + 1]]
      if (key === null || key === undefined || isList(key)) continue
      switch (textOf(key)?.toUpperCase()) {
        case "UID": {
          const uid = numberOf(token)
          if (uid !== undefined) message.uid = uid
          break
        }
        case "FLAGS":
          message.flags = new Set(isList(token) ? token.flatMap((flag) => textOf(flag) ?? []) : [])
          break
        case "RFC822.SIZE":
          message.size = numberOf(token)
          break
        case "INTERNALDATE": {
          const date = new Date(textOf(token) ?? "")
          if (!Number.isNaN(date.getTime())) message.internalDate = date
          break
        }
        case "ENVELOPE":
          if (isList(token)) message.envelope = decoders.parseEnvelope(token)
          break
        case "BODYSTRUCTURE":
          if (isList(token)) message.bodyStructure = decoders.parseBodystructure(token)
          break
        case "BODY":
          if (key.section?.length !== 0) break
          // Some servers leave the origin out.
          if ((key.partial?.[0] ?? sourceStart) !== sourceStart) throw new Error("octets from another place")
          message.source = octetsOf(token)
          break
      }
    }
  }
  // A row without a UID is one nobody asked for; the collector knows what to do with it.
  return message as FetchMessageObject
}

const isList = (token: Token | undefined): token is Array<Token> => Array.isArray(token)

const textOf = (token: Token | undefined): string | undefined =>
  token === null || token === undefined || isList(token) || token.value === null
    ? undefined
    : token.value?.toString()

/** Digits only: anything else is no number a server may say (RFC 9051 9, "number"). */
const numberOf = (token: Token | undefined): number | undefined => {
  const text = textOf(token)
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** An nstring may be quoted rather than a literal; the tokenizer has read it as UTF-8 then. */
const octetsOf = (token: Token | undefined): Buffer | undefined => {
  const value = token?.value
  return typeof value === "string" ? Buffer.from(value) : Buffer.isBuffer(value) ? value : undefined
}
