/** Sends, and what is done about a message whose fate nobody knows. */
import { Duration, Effect, Redacted, Result, Stream } from "effect"
import { AccountConfig, Draft, Endpoint, Limits, MailAccount, Password } from "effect-mail"
import { MailServer } from "effect-mail/testing"

// #region settle
/** Whether it was sent, where that can be known; undefined where it cannot. Where it fails, it was not sent. */
export const wasSent = Effect.fnUntraced(function*(draft: Draft) {
  const mail = yield* MailAccount
  return yield* mail.send(draft).pipe(
    Effect.as<boolean | undefined>(true),
    Effect.catchReason("MailError", "OutcomeUnknown", ({ messageId }) =>
      messageId === undefined
        ? Effect.undefined
        : mail.reconcile(messageId).pipe(
          Effect.map(({ _tag }) => _tag === "Found" ? true : undefined),
          // a look that fails says nothing about the message
          Effect.catch(() => Effect.undefined)
        ))
  )
})
// #endregion

// #region certain
/** Certain in the end, at a server that files what it takes (`AccountConfig.filesSentMail`). */
export const certainly = (draft: Draft) =>
  MailAccount.use((mail) => mail.send(draft, { onUnknown: "reconcile-then-retry", hold: "round trip" }))
// #endregion

// #region many
/** Sends many, and answers those that were not sent, each with its reason. */
export const sendMany = <E, R>(drafts: Stream.Stream<Draft, E, R>) =>
  MailAccount.use((mail) =>
    mail.sendAll(drafts).pipe(
      Stream.filter(({ result }) => Result.isFailure(result)),
      Stream.runCollect
    )
  )
// #endregion

// #region steps
/** Takes the oldest message that nobody has taken yet, on one connection from the look to the mark. */
export const takeOne = MailAccount.use((mail) =>
  mail.withMailbox("INBOX", (inbox) =>
    Effect.gen(function*() {
      const [oldest] = (yield* inbox.search({ notKeyword: "$Taken" })).refs
      if (oldest === undefined) return undefined
      yield* inbox.flag(oldest, { add: ["$Taken"] })
      return yield* inbox.message(oldest)
    }))
)
// #endregion

/** All of it on a server that takes a message, and is gone before it says so. */
export const main = Effect.gen(function*() {
  const server = yield* MailServer.make({
    users: [
      { name: "ann", password: "secret", address: "ann@example.com", specialUse: true },
      { name: "bob", password: "secret", address: "bob@example.com" }
    ],
    filesSentMail: true
  })
  const account = MailAccount.layer(
    new AccountConfig({
      name: "ann",
      imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
      smtp: new Endpoint({ host: server.host, port: server.smtpPort, security: "none" }),
      credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
      address: "ann@example.com",
      filesSentMail: true,
      limits: new Limits({ smtpConnections: 4, answerTimeout: Duration.seconds(10) })
    })
  )
  const draft = (subject: string) => new Draft({ to: "bob@example.com", subject, text: "hello" })
  const lost = { protocol: "smtp", at: "end", action: { _tag: "Drop", when: "after" } } as const

  const outcomes = yield* Effect.gen(function*() {
    server.faults.add(lost)
    const sent = yield* wasSent(draft("one"))
    server.faults.add(lost)
    const receipt = yield* certainly(draft("two"))
    const failed = yield* sendMany(Stream.make(draft("three"), new Draft({ to: "nobody" }), draft("four")))
    const first = yield* takeOne
    return { sent, copy: receipt.sentCopy._tag, failed: failed.map(({ index }) => index), first }
  }).pipe(Effect.provide(account))
  return { ...outcomes, copies: server.accepted().length }
})
