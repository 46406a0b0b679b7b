/** Hands messages on: whole and unchanged, or inside the text. */
import { Effect } from "effect"
import { Draft, MailAccount, Query } from "effect-mail"

// #region forward
export const main = Effect.gen(function*() {
  const mail = yield* MailAccount
  const [ref] = (yield* mail.search(Query.inbox.and({ subject: "invoice" }))).refs
  if (ref === undefined) return
  const message = yield* mail.message(ref)

  // The octets as they are stored, so that whoever gets them can check header and signatures.
  yield* mail.send(Draft.forward(message, { to: "bob@example.com", text: "To be paid.", source: mail.source(ref) }))

  // Its text below ours, with its attachments.
  yield* mail.send(Draft.forward(message, { to: "bob@example.com", text: "What do you think?" }))
})
// #endregion
