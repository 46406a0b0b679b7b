/** Answers what people wrote, in its thread, and leaves alone what programs sent. */
import { Effect, Stream } from "effect"
import { Draft, isAutomatic, MailAccount, Query } from "effect-mail"

// #region reply
export const main = Effect.gen(function*() {
  const mail = yield* MailAccount
  const unread = yield* mail.search(Query.inbox.and({ seen: false }))

  yield* mail.messages(unread).pipe(
    Stream.filter((message) => !isAutomatic(message)),
    Stream.runForEach((message) =>
      mail.send(Draft.reply(message, {
        recipients: "all",
        own: "Alice <alice@example.com>",
        text: "Thank you, we have it.",
        automatic: true
      })).pipe(Effect.andThen(mail.flag(message, { add: ["\\Seen", "\\Answered"] })))
    )
  )
})
// #endregion
