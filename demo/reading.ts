/**
 * The part of the demo that changes nothing: several agents search one mailbox, fetch and parse its messages, and
 * download an attachment, all over the few connections of one account. It runs on any account.
 */
import { Effect, Stream } from "effect"
import {
  Agent,
  type BodyPart,
  type Envelope,
  type MailAccount,
  type Message,
  type MessageSet,
  Query
} from "effect-mail"
import { createHash } from "node:crypto"
import type { Journal } from "./Journal.ts"

type Account = MailAccount["Service"]

/** They all work at the same time. */
export const agents = ["triage", "billing", "support", "audit", "digest", "archive"] as const

export const byAgents = `${agents.length} agents`

const searches: ReadonlyArray<(mailbox: Query) => Query> = [
  (mailbox) => mailbox.and({ seen: false }),
  (mailbox) => mailbox.and({ flagged: true }),
  (mailbox) => mailbox.and({ subject: "invoice" }),
  (mailbox) => mailbox.and({ from: "ann" }),
  (mailbox) => mailbox.or({ subject: "sample" }, { to: "bob" }),
  (mailbox) => mailbox.and({ larger: 2_000 })
]

/** Each agent asks its own question. Answers how many messages each found. */
export const search = (account: Account, journal: Journal, mailbox: string) =>
  journal.stage(
    { name: "search", unit: "searches", by: byAgents, total: agents.length },
    (tick) =>
      Effect.forEach(
        agents,
        (agent, index) =>
          account.search((searches[index] ?? ((query) => query))(Query.in(mailbox))).pipe(
            Effect.map((found) => [agent, found.size] as const),
            Effect.tap(() => tick()),
            Agent.as(agent)
          ),
        { concurrency: "unbounded" }
      )
  )

/** Subjects, addresses and structures, without the messages themselves. */
export const overview = (account: Account, journal: Journal, messages: MessageSet) =>
  journal.stage(
    { name: "overview", unit: "envelopes", by: "digest", total: messages.size },
    (tick) =>
      account.envelopes(messages, { structure: true }).pipe(
        Stream.tap(() => tick()),
        Stream.runCollect,
        Agent.as("digest")
      )
  )

/** The agents share the messages: each fetches and parses its part. `use` sees each message once. */
export const read = <E, R>(
  account: Account,
  journal: Journal,
  messages: MessageSet,
  use: (message: Message, agent: string) => Effect.Effect<unknown, E, R>
) =>
  journal.stage(
    { name: "read", unit: "messages", by: byAgents, total: messages.size },
    (tick) =>
      Effect.forEach(
        agents,
        (agent, index) =>
          account.messages(messages.with(messages.uids.filter((_, at) => at % agents.length === index))).pipe(
            Stream.runForEach((message) => Effect.andThen(use(message, agent), tick(message.size))),
            Agent.as(agent)
          ),
        { concurrency: "unbounded", discard: true }
      )
  )

export interface Download {
  readonly name: string
  readonly octets: number
  readonly sha256: string
}

/** Downloads one attachment as a stream: no more of it than a page or two is in memory. */
export const download = (account: Account, journal: Journal, { ref }: Envelope, part: BodyPart) =>
  journal.stage(
    { name: "download", unit: "pages", by: "archive", total: Math.ceil((part.size ?? 1) / pageOctets) },
    (tick) =>
      Effect.suspend(() => {
        const hash = createHash("sha256")
        let octets = 0
        return account.attachment(ref, part.part).pipe(
          Stream.runForEach((page) => {
            hash.update(page)
            octets += page.length
            return tick(page.length)
          }),
          Effect.map((): Download => ({ name: part.filename ?? part.part, octets, sha256: hash.digest("hex") })),
          Agent.as("archive")
        )
      })
  )

/** The library reads a part in pages of this size; the structure tells the part's size as it is transferred. */
const pageOctets = 1024 * 1024

/** The largest attachment of these messages, and where it is. */
export const largestAttachment = (
  envelopes: ReadonlyArray<Envelope>
): { readonly envelope: Envelope; readonly part: BodyPart } | undefined =>
  envelopes
    .flatMap((envelope) => attachments(envelope.structure).map((part) => ({ envelope, part })))
    .sort((a, b) => (b.part.size ?? 0) - (a.part.size ?? 0))[0]

export const attachments = (part: BodyPart | undefined): ReadonlyArray<BodyPart> =>
  part === undefined
    ? []
    : part.disposition === "attachment" && part.children.length === 0
    ? [part]
    : part.children.flatMap(attachments)
