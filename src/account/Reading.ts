/**
 * Finding and reading: searches, batches cut into chunks, single messages that share commands, and parts read page by
 * page. No stream holds a connection while its consumer works (I6): each chunk and each page is a request of its own.
 */
import { Effect, Exit, Option, Stream } from "effect"
import { type BodyPart, Envelope } from "../domain/Envelope.ts"
import type { Fetched, FetchItems } from "../domain/Fetch.ts"
import { InvalidInput, MessageNotFound, type Reason } from "../domain/MailError.ts"
import { Message, type MessageOutline } from "../domain/Message.ts"
import { type MessageRef, type Messages, MessageSet, toRange, toSets } from "../domain/MessageSet.ts"
import { Query } from "../domain/Query.ts"
import { Thread } from "../domain/Thread.ts"
import { messageIds, readHeaderBlock } from "../driver/HeaderBlock.ts"
import type { FetchedRow, ImapConnection } from "../driver/ImapDriver.ts"
import type { MessageParser } from "../driver/MessageParser.ts"
import { ChunkPlan } from "./ChunkPlan.ts"
import type { Operations } from "./Operations.ts"
import { outline, outlineItems } from "./Outlines.ts"
import { decoder } from "./TransferEncoding.ts"

/** How a stream of messages is read. */
export interface BatchOptions {
  /** Yield messages as they arrive rather than in the order of their UIDs. */
  readonly unordered?: boolean | undefined
  /** What to do about messages that are gone by the time they are read: pass over them (default), or fail with `MessageNotFound`. */
  readonly missing?: "skip" | "fail" | undefined
}

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

/** The octets of a page of `source` and `attachment`. */
const pageOctets = 1024 * 1024
/** Octets of a single message that are fetched together with others; what is longer is completed alone. */
const sharedSourceLimit = 64 * 1024

interface Rows {
  readonly mailbox: string
  readonly uidValidity: number
  readonly items: FetchItems
  readonly sourceLimit: number
}

export const make = (operations: Operations, parser: MessageParser["Service"]) => {
  const { arrivals, config, inMailbox, retrying } = operations
  const always = retrying("always")

  // --- finding

  const search = (query: Query): Effect.Effect<MessageSet, Reason> =>
    Effect.flatMap(
      Query.validate(query),
      ({ key, mailbox }) =>
        always(inMailbox({ mailbox }, (connection, selected) =>
          Effect.map(connection.search(key), (uids) => {
            const found = MessageSet.of(mailbox, selected.uidValidity, uids)
            arrivals.seen(selected, found.uids.at(-1) ?? 0)
            return found
          })))
    )

  const resolve = (messages: Query | Messages): Effect.Effect<ReadonlyArray<MessageSet>, Reason> =>
    messages instanceof Query ? Effect.map(search(messages), (set) => [set]) : Effect.sync(() => toSets(messages))

  // --- rows: one command for all who ask for the same at the same moment

  const share = operations.sharing<ReadonlyArray<number>, ReadonlyArray<FetchedRow>>()

  const rows = (wanted: Rows, uids: ReadonlyArray<number>): Effect.Effect<ReadonlyArray<FetchedRow>, Reason> =>
    share(
      wanted,
      {
        key: `${wanted.sourceLimit} ${JSON.stringify(wanted.items)}`,
        size: uids.length,
        uid: uids.reduce((last, uid) => Math.max(last, uid), 0),
        payload: uids,
        octetsOf: (found) => found.reduce((sum, row) => sum + octetsOf(row), 0)
      },
      (connection, payloads) => fetchTogether(connection, wanted, payloads)
    )

  /** The rows of messages of one mailbox, complete, those that are there, in order. */
  const complete = (wanted: Rows, uids: ReadonlyArray<number>) =>
    Effect.flatMap(always(rows(wanted, uids)), (found) =>
      found.some((row) => isCut(row, wanted))
        ? Effect.forEach(found, (row) => isCut(row, wanted) ? completeSource(wanted, row) : Effect.succeed(row))
        : Effect.succeed(found))

  const isCut = ({ source }: FetchedRow, { sourceLimit }: Rows) => source !== undefined && source.length === sourceLimit

  const completeSource = (wanted: Rows, row: FetchedRow) =>
    pages({ ...wanted, uid: row.uid }, "", row.source?.length ?? 0).pipe(
      Stream.runCollect,
      Effect.map((rest): FetchedRow => ({ ...row, source: Buffer.concat([row.source ?? new Uint8Array(), ...rest]) }))
    )

  // --- batches

  const batch = (
    set: MessageSet,
    items: FetchItems,
    options: BatchOptions | undefined
  ): Stream.Stream<FetchedRow, Reason> =>
    Stream.suspend(() => {
      const lanes = config.limits.imapConnections
      const plan = new ChunkPlan(set.uids, { lanes, budget: config.limits.batchBytes })
      const { mailbox, uidValidity } = set

      const chunk = (wanted: Rows, uids: ReadonlyArray<number>): Effect.Effect<ReadonlyArray<FetchedRow>, Reason> =>
        always(rows(wanted, uids)).pipe(
          Effect.catchIf(
            (reason) => reason._tag === "TimedOut" && reason.wait === "command" && uids.length > 1,
            () => {
              plan.shrink(uids.length)
              const middle = uids.length >> 1
              return Effect.zipWith(
                chunk(wanted, uids.slice(0, middle)),
                chunk(wanted, uids.slice(middle)),
                (a, b) => [...a, ...b]
              )
            }
          )
        )
      const learning = (uids: ReadonlyArray<number>) =>
        Effect.suspend(() => {
          const wanted = { mailbox, uidValidity, items, sourceLimit: plan.partial }
          return Effect.flatMap(chunk(wanted, uids), (found) => {
            plan.learn(found.length, found.reduce((sum, row) => sum + octetsOf(row), 0))
            if (options?.missing !== "fail" || found.length === uids.length) return Effect.succeed({ wanted, found })
            const there = new Set(found.map(({ uid }) => uid))
            return Effect.fail(new MessageNotFound({ mailbox, uids: uids.filter((uid) => !there.has(uid)) }))
          })
        })

      /** Long messages are completed only when their turn comes: a chunk of them would have no bound (I11). */
      const completed = ({ found, wanted }: { readonly found: ReadonlyArray<FetchedRow>; readonly wanted: Rows }) =>
        found.some((row) => isCut(row, wanted))
          ? Stream.fromIterable(found).pipe(
            Stream.rechunk(1),
            Stream.mapEffect((row) => isCut(row, wanted) ? whole(wanted, row) : Effect.succeedSome(row), {
              concurrency: lanes
            }),
            Stream.flatMap((row) => Option.isSome(row) ? Stream.succeed(row.value) : Stream.empty)
          )
          : Stream.fromIterable(found)
      const whole = (wanted: Rows, row: FetchedRow) =>
        Effect.asSome(completeSource(wanted, row)).pipe(
          Effect.catchTag(
            "MessageNotFound",
            (reason) => options?.missing === "fail" ? Effect.fail(reason) : Effect.succeedNone
          )
        )

      return Stream.unfold(undefined, () =>
        Effect.sync(() => {
          const uids = plan.next()
          return uids === undefined ? undefined : [uids, undefined] as const
        })).pipe(
          Stream.mapEffect(learning, { concurrency: lanes, unordered: options?.unordered ?? false }),
          Stream.flatMap(completed)
        )
    })

  const batches = <A>(
    messages: Query | Messages,
    items: FetchItems,
    options: BatchOptions | undefined,
    make: (ref: MessageRef, row: FetchedRow) => A
  ): Stream.Stream<A, Reason> =>
    Stream.unwrap(Effect.map(resolve(messages), (sets) =>
      Stream.fromIterable(sets).pipe(
        Stream.flatMap((set) => Stream.map(batch(set, items, options), (row) => make(set.ref(row.uid), row)))
      )))

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
            outline(parser, ref, row, (parts) =>
              Effect.map(
                complete({ ...ref, items: { parts }, sourceLimit: sharedSourceLimit }, [ref.uid]),
                ([found]) => found?.parts
              )),
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
    Effect.flatMap(
      complete({ ...ref, items, sourceLimit: sharedSourceLimit }, [ref.uid]),
      ([row]) => row === undefined ? Effect.fail(notFound(ref)) : Effect.succeed(row)
    )

  const message = (ref: MessageRef): Effect.Effect<Message, Reason> =>
    Effect.flatMap(only(ref, messageItems), (row) => parse(ref, row))

  // --- octets, page by page

  /** What follows `start` in a section: whole pages and a shorter last one, possibly empty. Undefined sections end it. */
  const pages = (
    ref: { readonly mailbox: string; readonly uidValidity: number; readonly uid: number },
    section: string,
    start = 0
  ): Stream.Stream<Uint8Array, Reason> =>
    Stream.unfold<number | undefined, Uint8Array, Reason, never>(
      start,
      (position) =>
        position === undefined ? Effect.undefined : Effect.map(page(ref, section, position), (octets) =>
          [
            octets,
            octets.length < pageOctets ? undefined : position + octets.length
          ] as const)
    )

  const page = (
    ref: { readonly mailbox: string; readonly uidValidity: number; readonly uid: number },
    section: string,
    start: number
  ): Effect.Effect<Uint8Array, Reason> =>
    Effect.flatMap(
      always(inMailbox(
        ref,
        (connection) => connection.fetchPartial({ uid: ref.uid, section, start, length: pageOctets }),
        { octetsOf: (octets) => octets?.length ?? 0 }
      )),
      (octets) =>
        octets === undefined ? Effect.fail(section === "" ? notFound(ref) : noPart(section)) : Effect.succeed(octets)
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

/** One FETCH for the messages of several requests, its rows dealt out again. */
const fetchTogether = (
  connection: ImapConnection,
  wanted: Rows,
  payloads: ReadonlyArray<ReadonlyArray<number>>
): Effect.Effect<ReadonlyArray<Exit.Exit<ReadonlyArray<FetchedRow>, Reason>>, Reason> => {
  const uids = payloads.length === 1 ? payloads[0] ?? [] : [...new Set(payloads.flat())].sort((a, b) => a - b)
  const { items, sourceLimit } = wanted
  return Effect.map(connection.fetch(toRange(uids), items, items.source === true ? { sourceLimit } : {}), (rows) => {
    if (payloads.length === 1) return [Exit.succeed(rows)]
    const byUid = new Map(rows.map((row) => [row.uid, row]))
    return payloads.map((payload) => Exit.succeed(payload.flatMap((uid) => byUid.get(uid) ?? [])))
  })
}

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

/** What a row weighs in memory, roughly: its octets, and what an object costs. */
const octetsOf = ({ headers, parts, source }: FetchedRow): number => {
  let octets = 500 + (source?.length ?? 0) + (headers?.length ?? 0)
  for (const part of parts?.values() ?? []) octets += part.length
  return octets
}

const findPart = (structure: BodyPart, part: string): BodyPart | undefined => {
  if (structure.part === part && structure.children.length === 0) return structure
  for (const child of structure.children) {
    const found = findPart(child, part)
    if (found !== undefined) return found
  }
  return undefined
}
