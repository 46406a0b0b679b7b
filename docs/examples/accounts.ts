/** Several accounts by name, from plain data as a configuration file holds it. */
import { Effect, Layer } from "effect"
import { AccountConfig, MailAccounts } from "effect-mail"

// #region accounts
/** How much unread mail each account has. Accounts are opened when they are asked for, and work side by side. */
export const unread = Effect.gen(function*() {
  const { account, names } = yield* MailAccounts
  return yield* Effect.forEach(
    names,
    (name) => Effect.scoped(Effect.flatMap(account(name), (mail) => mail.status("INBOX"))),
    { concurrency: "unbounded" }
  )
})

/** The accounts in a configuration; a mistake fails with `InvalidInput`, which names the field. */
export const fromData = (data: ReadonlyArray<unknown>) =>
  Layer.unwrap(Effect.map(Effect.forEach(data, AccountConfig.decode), (configs) => MailAccounts.layer(configs)))
// #endregion
