/**
 * Finding and reading: searches, batches cut into chunks, single messages that share commands, and parts read page by
 * page. No stream holds a connection while its consumer works: each chunk and each page is a request of its own.
 */
import { Array as Arr, Effect, Stream } from "effect"
import { type BodyPart, Envelope } from "../domain/Envelope.ts"
import type { Fetched, FetchItems } from "../domain/Fetch.ts"
import * as LongSearch from "../domain/LongSearch.ts"
import { InvalidInput, MessageNotFound, type Reason } from "../domain/MailError.ts"
import { Message, type MessageOutline } from "../domain/Message.ts"
import { type MessageRef, type Messages, MessageSet, toSets } from "../domain/MessageSet.ts"
import { Query } from "../domain/Query.ts"
import type { SearchKey } from "../domain/SearchKey.ts"
import { Thread } from "../domain/Thread.ts"
import { messageIds, readHeaderBlock } from "../driver/HeaderBlock.ts"
import type { FetchedRow } from "../driver/ImapDriver.ts"
import type { MessageParser } from "../driver/MessageParser.ts"
import type { Operations, Place } from "./Operations.ts"
import { outline, outlineItems } from "./Outlines.ts"
import type { BatchOptions } from "./Rows.ts"
import * as Rows from "./Rows.ts"
import { decoder } from "./TransferEncoding.ts"

export interface MessageOptions extends BatchOptions {
  /**
   * "content" (default): attachments are fetched and decoded. "names": they stay at the server, and of the body only its
   * texts are fetched; `account.attachment(message.ref, part)` gets one when it is wanted.
   */
  readonly attachments?: "content" | "names" | undefined
}

/** Messages with their attachments, or without their content where only the names are asked for. */
export interface ReadMessages<E> {
  (
    messages: Query | Messages,
    options: MessageOptions & { readonly attachments: "names" }
  ): Stream.Stream<MessageOutline, E>
  (
    messages: Query | Messages,
    options?: MessageOptions & { readonly attachments?: "content" | undefined }
  ): Stream.Stream<Message, E>
}

export interface EnvelopeOptions extends BatchOptions {
  /** Also fetch the structure of the body. */
  readonly structure?: boolean | undefined
  /** Also fetch what threads are made of: the References, and the server's own name of the thread where it has one. */
  readonly references?: boolean | undefined
}

export type { BatchOptions }

/** The octets of a page of `source` and `attachment`. */
const pageOctets = 1024 * 1024

export const make = (operations: Operations, parser: MessageParser["Service"]) => {
  const { arrivals, inMailbox, retrying } = operations
  const always = retrying("always")

  // --- finding

  const ask = (place: Place, key: SearchKey): Effect.Effect<MessageSet, Reason> =>
    always(
      inMailbox({ ...place, searched: true }, (connection, selected) =>
        Effect.map(connection.search(key), (uids) => {
          const found = MessageSet.of(place.mailbox, selected.uidValidity, uids)
          arrivals.seen(selected, found.uids.at(-1) ?? 0)
          return found
        }))
    )

  const search = (query: Query): Effect.Effect<MessageSet, Reason> =>
    Effect.flatMap(Query.validate(query), ({ key, mailbox }) =>
      Effect.flatMap(
        Effect.fromResult(LongSearch.inParts(key)),
        (parts) => parts === undefined ? ask({ mailbox }, key) : searchInParts(mailbox, parts)
      ))

  /** Each part is a request of its own, of the mailbox that the first one found. */
  const searchInParts = (mailbox: string, search: LongSearch.LongSearch): Effect.Effect<MessageSet, Reason> =>
    Effect.suspend(() => {
      let uidValidity: number | undefined
      const answer = (part: SearchKey | LongSearch.LongSearch): Effect.Effect<MessageSet, Reason> =>
        LongSearch.isKey(part)
          ? Effect.tap(
            Effect.suspend(() => ask({ mailbox, uidValidity }, part)),
            (found) => Effect.sync(() => void (uidValidity = found.uidValidity))
          )
          : Effect.map(Effect.forEach(part.parts, answer), (found) => LongSearch.joined(part, found))
      return answer(search)
    })

  const resolve = (messages: Query | Messages): Effect.Effect<ReadonlyArray<MessageSet>, Reason> =>
    messages instanceof Query ? Effect.map(search(messages), (set) => [set]) : Effect.sync(() => toSets(messages))

  // --- batches

  const { batch, one } = Rows.make(operations)

  const batches = <A>(
    messages: Query | Messages,
    items: FetchItems,
    options: BatchOptions | undefined,
    make: (ref: MessageRef, row: FetchedRow) => A
  ): Stream.Stream<A, Reason> =>
    Stream.unwrap(Effect.flatMap(resolve(messages), (sets) => {
      const ofSet = (set: MessageSet) =>
        Effect.map(batch(set, items, options), Stream.mapArray(Arr.map((row) => make(set.ref(row.uid), row))))
      const [only, ...others] = sets
      return only !== undefined && others.length === 0
        ? ofSet(only)
        : Effect.succeed(Stream.flatMap(Stream.fromArray(sets), (set) => Stream.unwrap(ofSet(set))))
    }))

  const fetch = <const Items extends FetchItems>(
    messages: Query | Messages,
    items: Items,
    options?: BatchOptions
  ): Stream.Stream<Fetched<Items>, Reason> =>
    // The driver answers each item that was asked for, which is what `Fetched<Items>` says.
    batches(messages, items, options, (ref, { uid: _uid, ...row }) => ({ ...row, ref }) as unknown as Fetched<Items>)

  const envelopes = (messages: Query | Messages, options?: EnvelopeOptions): Stream.Stream<Envelope, Reason> =>
    batches(
      messages,
      {
        ...envelopeItems,
        ...(options?.structure === true ? { structure: true } : {}),
        ...(options?.references === true ? threadItems : {})
      },
      options,
      toEnvelope
    )

  const threads = (messages: Query | Messages): Effect.Effect<ReadonlyArray<Thread<Envelope>>, Reason> =>
    Effect.map(Stream.runCollect(envelopes(messages, { references: true })), (found) => Thread.of(found))

  const messages = (wanted: Query | Messages, options?: BatchOptions): Stream.Stream<Message, Reason> =>
    batches(wanted, messageItems, options, (ref, row) => ({ ref, row })).pipe(
      Stream.mapEffect(({ ref, row }) => parse(ref, row))
    )

  /** Texts of different messages with the same structure are asked for by one command, if they wait together. */
  const outlinesAtOnce = 16

  const outlines = (wanted: Query | Messages, options?: BatchOptions): Stream.Stream<MessageOutline, Reason> =>
    batches(wanted, outlineItems, options, (ref, row) => ({ ref, row })).pipe(
      Stream.mapEffect(
        ({ ref, row }) =>
          Effect.map(
            outline(parser, ref, row, (parts) => Effect.map(one(ref, { parts }), (found) => found?.parts)),
            (found) => ({ ref, found })
          ),
        { concurrency: outlinesAtOnce, unordered: options?.unordered ?? false }
      ),
      Stream.mapEffect(({ found, ref }) =>
        found === undefined && options?.missing === "fail" ? Effect.fail(notFound(ref)) : Effect.succeed(found)
      ),
      Stream.filter((found) => found !== undefined)
    )

  // --- single messages

  const parse = (ref: MessageRef, { flags, internalDate, source }: FetchedRow): Effect.Effect<Message> =>
    Effect.map(parser.parse(source ?? new Uint8Array()), (parsed) =>
      new Message({
        ...parsed,
        ref,
        flags: flags ?? [],
        ...(internalDate === undefined ? {} : { internalDate }),
        size: source?.length ?? 0
      }, { disableChecks: true }))

  const only = (ref: MessageRef, items: FetchItems): Effect.Effect<FetchedRow, Reason> =>
    Effect.flatMap(one(ref, items), (row) => row === undefined ? Effect.fail(notFound(ref)) : Effect.succeed(row))

  const message = (ref: MessageRef): Effect.Effect<Message, Reason> =>
    Effect.flatMap(only(ref, messageItems), (row) => parse(ref, row))

  // --- octets, page by page

  /** A section: whole pages and a shorter last one, possibly empty. Undefined sections end it. */
  const pages = (ref: MessageRef, section: string): Stream.Stream<Uint8Array, Reason> =>
    Stream.unfold<number | undefined, Uint8Array, Reason, never>(
      0,
      (position) =>
        position === undefined ? Effect.undefined : Effect.map(page(ref, section, position), (octets) =>
          [
            octets,
            octets.length < pageOctets ? undefined : position + octets.length
          ] as const)
    )

  const page = (ref: MessageRef, section: string, start: number): Effect.Effect<Uint8Array, Reason> =>
    Effect.flatMap(
      always(inMailbox(
        ref,
        (connection) => connection.fetchPartial({ uid: ref.uid, section, start, length: pageOctets }),
        { octetsOf: (octets) => octets?.length ?? 0 }
      )),
      // the part was there, so it is the message that has gone
      (octets) => octets === undefined ? Effect.fail(notFound(ref)) : Effect.succeed(octets)
    )

  const source = (ref: MessageRef): Stream.Stream<Uint8Array, Reason> =>
    pages(ref, "").pipe(Stream.filter((octets) => octets.length > 0), Stream.buffer({ capacity: 1 }))

  const attachment = (ref: MessageRef, part: string): Stream.Stream<Uint8Array, Reason> =>
    Stream.unwrap(Effect.flatMap(only(ref, { structure: true }), ({ structure }) => {
      const found = structure === undefined ? undefined : findPart(structure, part)
      if (found === undefined) return Effect.fail(noPart(part))
      const decode = decoder(found.encoding)
      return Effect.succeed(
        pages(ref, part).pipe(
          Stream.map((octets) => decode(octets, octets.length < pageOctets)),
          Stream.filter((octets) => octets.length > 0),
          Stream.buffer({ capacity: 1 })
        )
      )
    }))

  return { search, resolve, fetch, envelopes, threads, messages, outlines, message, source, attachment }
}

export type Reading = ReturnType<typeof make>

const messageItems = { source: true, flags: true, internalDate: true } as const
const envelopeItems = { envelope: true, flags: true, internalDate: true, size: true } as const

const threadItems = { headers: ["References"], threadId: true } as const

const notFound = ({ mailbox, uid }: { readonly mailbox: string; readonly uid: number }) =>
  new MessageNotFound({ mailbox, uids: [uid] })

const noPart = (part: string) => new InvalidInput({ field: "part", problem: `the message has no part ${part}` })

const toEnvelope = (ref: MessageRef, row: FetchedRow): Envelope => {
  const { envelope, flags, headers, internalDate, size, structure, threadId } = row
  return new Envelope({
    ...(envelope ?? noEnvelope),
    ref,
    flags: flags ?? [],
    size: size ?? 0,
    ...(internalDate === undefined ? {} : { internalDate }),
    ...(structure === undefined ? {} : { structure }),
    ...(headers === undefined ? {} : { references: referencesIn(headers) }),
    ...(threadId === undefined ? {} : { threadId })
  }, { disableChecks: true })
}

const referencesIn = ({ buffer, byteLength, byteOffset }: Uint8Array): ReadonlyArray<string> =>
  readHeaderBlock(Buffer.from(buffer, byteOffset, byteLength)).fields
    .filter(({ name }) => name.toLowerCase() === "references").flatMap(({ value }) => messageIds(value))

const noEnvelope = { from: [], sender: [], replyTo: [], to: [], cc: [], bcc: [] }

const findPart = (structure: BodyPart, part: string): BodyPart | undefined => {
  if (structure.part === part && structure.children.length === 0) return structure
  for (const child of structure.children) {
    const found = findPart(child, part)
    if (found !== undefined) return found
  }
  return undefined
}
