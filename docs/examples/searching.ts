/** Finding messages: criteria as values, the protocol's own syntax, and what is done with what was found. */
import { Effect, Stream } from "effect"
import { MailAccount, Query } from "effect-mail"

// #region query
/** Unread mail about invoices that is from Bob, or large. */
export const invoices = Query.inbox
  .and({ seen: false, subject: "invoice" })
  .or({ from: "bob@example.com" }, { larger: 1_000_000 })
// #endregion

// #region use
export const main = Effect.gen(function*() {
  const mail = yield* MailAccount
  const found = yield* mail.search(invoices)
  const latest = found.with(found.uids.slice(-20))

  const subjects = yield* mail.envelopes(latest).pipe(Stream.map(({ subject }) => subject), Stream.runCollect)
  yield* mail.flag(latest, { add: ["\\Seen"] })

  // What a person has typed: a mistake fails with `InvalidInput`, which names its place.
  const typed = yield* Query.parse("SEEN SUBJECT invoice")
  return { subjects, seen: (yield* mail.search(typed)).size }
})
// #endregion
