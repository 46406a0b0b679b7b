/** Answers unread mail about invoices, one message after the other, and marks what was answered. */
import { Effect, Stream } from "effect"
import { Agent, Draft, MailAccount, Query } from "effect-mail"

export const main = Effect.gen(function*() {
  const mail = yield* MailAccount
  const unread = yield* mail.search(Query.inbox.and({ seen: false, subject: "invoice" }))

  yield* mail.messages(unread).pipe(
    Stream.runForEach((message) =>
      mail.send(Draft.reply(message, { text: "Thank you, we have it." })).pipe(
        Effect.andThen(mail.flag(message, { add: ["\\Seen", "\\Answered"] }))
      )
    )
  )
}).pipe(Agent.as("billing"))

/** The same on the account that the environment describes: `Effect.runPromise(program)`. */
export const program = main.pipe(Effect.provide(MailAccount.layerFromEnv))
