/**
 * The demo on two accounts of a server that it starts itself on 127.0.0.1. It reads, changes and sends; meanwhile the
 * server drops a connection, asks to slow down and puts off a message. In the end everything is counted again.
 */
import { Duration, Effect, Layer, Metric, Redacted, Schedule, Stream } from "effect"
import {
  AccountConfig,
  Agent,
  Attachment,
  Draft,
  Endpoint,
  Limits,
  type MailAccount,
  MailAccounts,
  Password,
  Query,
  type Reason
} from "effect-mail"
import { type Fault, MailServer, type MailServerShape, SampleMail } from "effect-mail/testing"
import { createHash } from "node:crypto"
import type { Journal } from "./Journal.ts"
import { agents, attachments, byAgents, download, largestAttachment, overview, read, search } from "./reading.ts"
import { bytes, DemoFailed, table } from "./text.ts"

/** The connections each account may have open; the server counts them too. */
const cap = { imap: 3, smtp: 1 }
const attachmentOctets = 3_000_000
/** Each direction of the wire takes this long, as if the server were some hundred kilometres away. */
const delayMillis = 5
/** How long the receiver looks for the message. */
const patience = Duration.seconds(20)

/** What goes wrong on the way, once each, and the reason the library takes it for. */
const mishaps = {
  overview: {
    what: "in the overview, the connection was cut before a FETCH was answered",
    reason: "ConnectionLost",
    fault: { protocol: "imap", at: "FETCH", user: "alice", action: { _tag: "Drop", when: "after" } }
  },
  read: {
    what: "while messages were read, the server asked for a pause of half a second",
    reason: "Throttled",
    fault: {
      protocol: "imap",
      at: "FETCH",
      user: "alice",
      action: {
        _tag: "Refuse",
        status: "NO",
        code: "THROTTLED",
        text: "Slow down. Suggested Backoff Time: 500 milliseconds"
      }
    }
  },
  send: {
    what: "SMTP put the message off with 451",
    reason: "Rejected",
    fault: {
      protocol: "smtp",
      at: "MAIL",
      action: { _tag: "Reply", code: 451, text: "4.3.2 System not accepting messages now" }
    }
  }
} as const satisfies Record<string, { readonly what: string; readonly reason: Reason["_tag"]; readonly fault: Fault }>

export const embedded = Effect.fn("demo.embedded")(function*(journal: Journal, messageCount: number) {
  const samples = SampleMail.make({ seed: 2026, count: messageCount, size: 3_000 })
  const server = yield* MailServer.make({
    users: ["alice", "bob"].map((name) => ({
      name,
      password: `${name}-secret`,
      address: `${name}@example.com`,
      specialUse: true,
      mailboxes: { INBOX: name === "alice" ? samples.map(({ source }) => source) : [] }
    })),
    wire: {
      imap: { delayReceivedMillis: delayMillis, delaySentMillis: delayMillis },
      smtp: { delayReceivedMillis: delayMillis, delaySentMillis: delayMillis }
    },
    maxCommands: Infinity
  })
  const configs = ["alice", "bob"].map((name) => configOf(server, name))
  return yield* Effect.scoped(story(journal, server, samples)).pipe(Effect.provide(MailAccounts.layer(configs)))
}, Effect.provide(Layer.sync(Metric.MetricRegistry, () => new Map())))

const story = Effect.fnUntraced(function*(
  journal: Journal,
  server: MailServerShape,
  samples: ReturnType<typeof SampleMail.make>
) {
  const accounts = yield* MailAccounts
  const alice = yield* accounts.account("alice")
  const bob = yield* accounts.account("bob")

  const prepare = (stage: keyof typeof mishaps) => Effect.sync(() => server.faults.add(mishaps[stage].fault))

  yield* search(alice, journal, "INBOX")
  const inbox = yield* alice.search(Query.inbox)
  yield* prepare("overview")
  const envelopes = yield* overview(alice, journal, inbox)

  const readIds: Array<string | undefined> = []
  yield* prepare("read")
  yield* read(alice, journal, inbox, ({ messageId }) => Effect.sync(() => readIds.push(messageId)))

  const messageCount = samples.length
  const withAttachment = inbox.with(
    envelopes.filter(({ structure }) => attachments(structure).length > 0).map(({ ref }) => ref.uid)
  )
  yield* journal.stage(
    { name: "flag", unit: "messages", by: "triage", total: withAttachment.size },
    (tick) =>
      alice.flag(withAttachment, { add: ["\\Flagged"] }).pipe(
        Effect.tap((flagged) => Effect.forEach(flagged.uids, () => tick(), { discard: true })),
        Agent.as("triage")
      )
  )

  const moving = inbox.uids.filter((uid) => uid % 2 === 0)
  yield* journal.stage(
    { name: "move", unit: "messages", by: byAgents, total: moving.length },
    (tick) =>
      Effect.forEach(
        agents,
        (agent, index) => {
          const part = inbox.with(moving.filter((_, at) => at % agents.length === index))
          return alice.move(part, "Archive").pipe(
            Effect.tap(() => Effect.forEach(part.uids, () => tick(), { discard: true })),
            Agent.as(agent)
          )
        },
        { concurrency: "unbounded", discard: true }
      )
  )

  const content = attachmentOf(attachmentOctets)
  yield* prepare("send")
  const receipt = yield* journal.stage(
    { name: "send", unit: "messages", by: "support", total: 1 },
    (tick) =>
      alice.send(
        new Draft({
          to: "Bob <bob@example.com>",
          subject: "The report you asked for",
          text: "Hello Bob,\n\nhere it is.\n\nAlice",
          attachments: [new Attachment({ content: { bytes: content }, filename: "report.bin" })]
        })
      ).pipe(Effect.tap(({ size }) => tick(size)), Agent.as("support"))
  )

  const arrived = yield* journal.stage(
    { name: "arrive", unit: "messages", by: "bob", total: 1 },
    (tick) => Effect.tap(waitFor(bob, receipt.messageId), () => tick())
  )
  const received = largestAttachment(
    yield* Stream.runCollect(bob.envelopes(arrived, { structure: true }))
  )
  const downloaded = received === undefined
    ? undefined
    : yield* download(bob, journal, received.envelope, received.part)

  // Everything is counted again, by asking the servers as any user would.
  const left = yield* alice.status("INBOX")
  const archived = yield* alice.status("Archive")
  const flagged = yield* Effect.forEach(
    ["INBOX", "Archive"],
    (mailbox) => alice.search(Query.in(mailbox).and({ flagged: true }))
  )
  const expectedIds = samples.map(({ messageId }) => messageId)
  const repeated = yield* repetitions
  const overcome = Object.values(mishaps).filter(({ reason }) =>
    repeated.some((repetition) => repetition.reason === reason)
  )
  const checks: ReadonlyArray<readonly [what: string, expected: number | string, found: number | string]> = [
    ["mishaps overcome", Object.keys(mishaps).length, overcome.length],
    ["messages found", messageCount, inbox.size],
    ["messages read", messageCount, readIds.length],
    ["different messages read", distinct(expectedIds), distinct(readIds)],
    ["messages flagged", withAttachment.size, flagged.reduce((sum, { size }) => sum + size, 0)],
    ["messages in the archive", moving.length, archived.messages],
    ["messages left in the inbox", messageCount - moving.length, left.messages],
    ["copies that reached Bob", 1, arrived.size],
    ["octets of the attachment", content.length, downloaded?.octets ?? 0],
    ["SHA-256 of the attachment", digest(content), (downloaded?.sha256 ?? "none").slice(0, digestLength)]
  ]
  const lost = checks.filter(([, expected, found]) => expected !== found)

  process.stdout.write(
    [
      "",
      `${messageCount} messages, ${2 * delayMillis} ms to the server and back, ${agents.length} agents.`,
      "",
      String(journal),
      "",
      connections(server),
      "",
      "On the way, by intention:",
      ...Object.values(mishaps).map(({ what }) => `  - ${what}`),
      `The library repeated: ${
        repeated.map(({ count, operation, reason }) => `${operation} ${count} x after ${reason}`).join(", ")
      }.`,
      "",
      table(["counted again", "expected", "found"], checks),
      "",
      lost.length === 0
        ? `Nothing was lost, and nothing was done twice. ${bytes(downloaded?.octets ?? 0)} came as a stream.`
        : `Lost: ${lost.map(([what]) => what).join(", ")}.`,
      ""
    ].join("\n")
  )
  if (lost.length > 0) return yield* new DemoFailed({ message: "Some checks did not hold; see the table above." })
})

const configOf = (server: MailServerShape, name: string) =>
  new AccountConfig({
    filesSentMail: false,
    name,
    imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
    smtp: new Endpoint({ host: server.host, port: server.smtpPort, security: "none" }),
    credentials: new Password({ user: name, password: Redacted.make(`${name}-secret`) }),
    address: `${name}@example.com`,
    limits: new Limits({ imapConnections: cap.imap, smtpConnections: cap.smtp })
  })

/** Looks again and again, but not for ever. */
const waitFor = (account: MailAccount["Service"], messageId: string) =>
  account.search(Query.inbox.and({ header: { "Message-ID": messageId } })).pipe(
    Effect.filterOrFail(
      (found) => !found.isEmpty,
      () => new DemoFailed({ message: `The message did not arrive within ${Duration.format(patience)}.` })
    ),
    Effect.retry({
      schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: patience })),
      while: (error) => error._tag === "DemoFailed"
    })
  )

/** What the library repeated, by its own metrics. */
const repetitions = Effect.map(
  Metric.snapshot,
  (metrics) =>
    metrics.flatMap((metric) =>
      metric.id === "mail_retries" && metric.type === "Counter"
        ? [{
          operation: metric.attributes?.["operation"],
          reason: metric.attributes?.["reason"],
          count: metric.state.count
        }]
        : []
    )
)

const distinct = (ids: ReadonlyArray<string | undefined>): number => new Set(ids).size

const digestLength = 16
const digest = (octets: Uint8Array): string => createHash("sha256").update(octets).digest("hex").slice(0, digestLength)

/** Octets without a pattern that a mistake could hide in, the same each time. */
const attachmentOf = (octets: number): Uint8Array => {
  const content = new Uint8Array(octets)
  let state = 1
  for (let index = 0; index < octets; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    content[index] = state >>> 24
  }
  return content
}

/** The connections, as the server counted them. */
const connections = (server: MailServerShape): string =>
  table(
    ["account", "protocol", "cap", "peak", "opened"],
    (["alice", "bob"] as const).flatMap((user) =>
      (["imap", "smtp"] as const).map((protocol) => [
        user,
        protocol.toUpperCase(),
        cap[protocol],
        server.peak({ protocol, user }),
        new Set(
          server.commands().filter((command) => command.user === user && command.protocol === protocol)
            .map(({ connection }) => connection)
        ).size
      ])
    )
  ) + "\nPeak and opened are the server's own count."
