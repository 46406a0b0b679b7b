/** Sends one mail about the unread conversations of a mailbox. */
import { DateTime, Effect } from "effect"
import { Draft, MailAccount, Query, type Receipt } from "effect-mail"

// #region program
/** Of yesterday and today; nothing where there is nothing to tell. No body is fetched, and nothing is marked as read. */
export const digest = Effect.fn("digest")(function*(to: string) {
  const mail = yield* MailAccount
  const yesterday = DateTime.toDate(DateTime.subtract(yield* DateTime.now, { days: 1 }))
  const threads = yield* mail.threads(Query.inbox.and({ seen: false, since: yesterday }))
  if (threads.length === 0) return undefined

  const lines = threads.map(({ latest, messages, subject }) => {
    const names = new Set(messages.flatMap(({ from }) => from.map(({ address, name }) => name ?? address)))
    const day = latest?.date?.toISOString().slice(0, 10) ?? ""
    return `${day}  ${subject ?? "(no subject)"}  (${messages.length}: ${[...names].join(", ")})`
  })
  const receipt: Receipt = yield* mail.send(
    new Draft({ to, subject: `${threads.length} unread conversations`, text: lines.join("\n") })
  )
  return receipt
})
// #endregion
