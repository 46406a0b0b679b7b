/** Sends one mail about all unread conversations of a mailbox. */
import { Effect } from "effect"
import { Draft, MailAccount, Query, type Receipt } from "effect-mail"

// #region program
/** Sends the digest; nothing where there is nothing to tell. No body is fetched for it, and nothing is marked as read. */
export const digest = Effect.fn("digest")(function*(to: string) {
  const mail = yield* MailAccount
  const threads = yield* mail.threads(Query.inbox.and({ seen: false, youngerThan: "1 day" }))
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
