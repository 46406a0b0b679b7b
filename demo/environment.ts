/**
 * The demo on an account of your own, as environment variables describe it (README.md lists them). It only reads, and
 * nothing is marked as seen: it asks for mailboxes, searches, messages and one attachment of the INBOX.
 */
import { Effect } from "effect"
import { Agent, MailAccount, Query } from "effect-mail"
import type { Journal } from "./Journal.ts"
import { agents, download, largestAttachment, overview, read, search } from "./reading.ts"
import { bytes, table } from "./text.ts"

/** The newest messages of the INBOX, so that a large one takes no hours. */
const newest = 300

/** An attachment larger than this is not downloaded, octets. */
const largestDownload = 20_000_000

export const fromEnvironment = Effect.fn("demo.fromEnvironment")(function*(journal: Journal) {
  const account = yield* MailAccount
  process.stderr.write(`Reading the account ${account.name}. Nothing in it is changed.\n`)

  const mailboxes = yield* journal.stage(
    { name: "connect", unit: "lists", by: "digest", total: 1 },
    (tick) => Effect.tap(account.mailboxes(), () => tick()).pipe(Agent.as("digest"))
  )
  yield* search(account, journal, "INBOX")
  const inbox = yield* account.search(Query.inbox)
  const messages = inbox.with(inbox.uids.slice(-newest))
  const envelopes = yield* overview(account, journal, messages)

  let problems = 0
  let readMessages = 0
  yield* read(account, journal, messages, (message) =>
    Effect.sync(() => {
      readMessages++
      problems += message.problems.length === 0 ? 0 : 1
    }))

  const small = envelopes.filter(({ size }) => size <= largestDownload)
  const largest = largestAttachment(small)
  const downloaded = largest === undefined
    ? undefined
    : yield* download(account, journal, largest.envelope, largest.part)

  const { imap, smtp } = yield* account.stats
  process.stdout.write(
    [
      "",
      `${mailboxes.length} mailboxes; ${inbox.size} messages in the INBOX, of which the newest ${messages.size} were ` +
      `read by ${agents.length} agents.`,
      "",
      String(journal),
      "",
      table(["account", "protocol", "cap", "peak", "opened"], [
        [account.name, "IMAP", imap.cap, imap.peak, imap.opened],
        [account.name, "SMTP", smtp.cap, smtp.peak, smtp.opened]
      ]),
      "",
      downloaded === undefined
        ? "No attachment was found to download."
        : `The largest attachment came as a stream of ${bytes(downloaded.octets)}.`,
      problems === 0
        ? "Every message could be read completely."
        : `${problems} messages are malformed, and were read as far as they go.`,
      readMessages === messages.size
        ? `All ${readMessages} messages were read.`
        : `${readMessages} of ${messages.size} messages were read; the others are gone meanwhile.`,
      ""
    ].join("\n")
  )
})
