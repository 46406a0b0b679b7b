/** Reads what servers report about messages that were sent, and conversations. */
import { Effect, Option, Stream } from "effect"
import { DeliveryStatus, MailAccount, Query } from "effect-mail"

// #region bounces
/** The addresses that will not take mail, of those messages that are known to be ours. */
export const gone = (sent: ReadonlySet<string>) =>
  Effect.flatMap(MailAccount, (mail) =>
    mail.messages(Query.inbox.and({ from: "mailer-daemon" })).pipe(
      Stream.map((message) => DeliveryStatus.of(message)),
      Stream.filter(Option.isSome),
      Stream.filter(({ value }) => sent.has(value.originalMessageId ?? "")),
      Stream.flatMap(({ value }) => Stream.fromIterable(value.recipients)),
      Stream.filter((recipient) => recipient.permanent),
      Stream.map((recipient) => recipient.recipient),
      Stream.runCollect
    ))
// #endregion

// #region threads
/** The conversations of a mailbox whose last word is not ours. */
export const unanswered = (own: string) =>
  Effect.gen(function*() {
    const mail = yield* MailAccount
    const threads = yield* mail.threads(Query.inbox)
    return threads.filter(({ latest }) => latest?.from.every(({ address }) => address !== own) === true)
  })
// #endregion
