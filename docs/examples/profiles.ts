/** Accounts that a person has set up once, used by any program. */
import { Effect } from "effect"
import { MailAccounts, Profiles } from "effect-mail"

// #region set
/** Sets up an account whose password is printed by a program when it is needed, and makes it the default. */
export const setUp = Effect.gen(function*() {
  yield* Profiles.set("work", {
    address: "ann@example.com",
    imap: { host: "imap.example.com", security: "tls" },
    smtp: { host: "smtp.example.com", security: "tls" },
    password: { command: ["pass", "show", "mail/work"] }
  })
  yield* Profiles.set("home", { address: "ann@gmail.com", password: { env: "HOME_APP_PASSWORD" } })
  yield* Profiles.setDefault("work")
})
// #endregion

// #region use
/** How much unread mail one account of the file has. */
export const unreadOf = (name: string) =>
  Effect.gen(function*() {
    const { account } = yield* MailAccounts
    const mail = yield* account(name)
    return (yield* mail.status("INBOX")).unseen
  }).pipe(Effect.scoped, Effect.provide(MailAccounts.layerProfiles()))
// #endregion
