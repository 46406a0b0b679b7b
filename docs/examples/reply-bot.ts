/** Answers each message once, for as long as it runs, and goes on after a restart where it was. */
import { Effect, Option, Stream } from "effect"
import { Cursor, Draft, isAutomatic, MailAccount, type MessageRef, type Reason } from "effect-mail"

// #region program
/** Where the bot keeps how far it has come: a file, a row of a database. */
export interface CursorStore<E> {
  readonly load: Effect.Effect<Option.Option<string>, E>
  readonly save: (cursor: string) => Effect.Effect<void, E>
}

const own = "Alice <alice@example.com>"

/** Answers one message, unless a program sent it, or the bot was stopped after answering it and before saving. */
const answer = Effect.fn("answer")(function*(ref: MessageRef) {
  const mail = yield* MailAccount
  const message = yield* mail.message(ref)
  if (isAutomatic(message) || message.flags.includes("\\Answered")) return
  yield* mail.send(Draft.reply(message, { own, text: "I am away until Monday.", automatic: true }))
  yield* mail.flag(ref, { add: ["\\Answered"] })
}, (answering, ref) => {
  const leave = (reason: Reason) => Effect.logWarning(`UID ${ref.uid} stays unanswered: ${reason.message}`)
  // told again after each restart, one of these would hold up all that comes after it
  return Effect.catchReasons(answering, "MailError", {
    MessageNotFound: leave,
    InvalidInput: leave,
    RecipientsRejected: leave,
    OutcomeUnknown: leave
  })
})

/** Runs until it is interrupted. Without a cursor it begins with the mail that comes from now on. */
export const replyBot = <E>(store: CursorStore<E>) =>
  Effect.gen(function*() {
    const mail = yield* MailAccount
    const stored = yield* store.load
    const since = Option.isSome(stored) ? yield* Cursor.decode(stored.value) : undefined
    yield* mail.watch("INBOX", since === undefined ? {} : { since }).pipe(
      Stream.runForEach(({ cursor, events }) =>
        Effect.forEach(events, (event) => event._tag === "Arrived" ? answer(event.ref) : Effect.void).pipe(
          Effect.andThen(store.save(Cursor.encode(cursor)))
        )
      )
    )
  })
// #endregion
