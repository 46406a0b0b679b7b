/** Sends a question, then looks for the answer once a minute, for a day at most. */
import { Effect, Schedule } from "effect"
import { type Draft, MailAccount, Query } from "effect-mail"

const patience = Schedule.spaced("1 minute").pipe(Schedule.upTo({ duration: "1 day" }))

/** The answers; none if the day has passed without one. */
export const ask = Effect.fn("ask")(function*(question: Draft) {
  const mail = yield* MailAccount
  const { messageId } = yield* mail.send(question)
  const answers = mail.search(Query.inbox.and({ header: { "In-Reply-To": messageId } }))
  return yield* answers.pipe(
    Effect.repeat({ until: (found) => !found.isEmpty, schedule: patience }),
    Effect.andThen(answers)
  )
})
