/** What a program would do to an account is shown first, and done only if a person agrees. */
import { Effect } from "effect"
import { type AccountConfig, Draft, MailAccount, Query, Sandbox } from "effect-mail"

// #region tidy
/** An ordinary program: it does not know whether its account is a sandbox. */
export const tidy = Effect.gen(function*() {
  const mail = yield* MailAccount
  const invoices = yield* mail.search(Query.inbox.and({ subject: "invoice" }))
  yield* mail.createMailbox("Invoices")
  yield* mail.move(invoices, "Invoices")
  yield* mail.send(new Draft({ to: "bob@example.com", subject: "Invoices", text: `${invoices.size} are filed.` }))
})
// #endregion

// #region confirm
/** Runs a program in a sandbox, shows what it would have changed, and does exactly that if it is agreed to. */
export const confirmed = <A, E>(
  config: AccountConfig,
  program: Effect.Effect<A, E, MailAccount>,
  agree: (plan: string) => Effect.Effect<boolean>
) =>
  Effect.gen(function*() {
    yield* program
    return yield* (yield* Sandbox).plan
  }).pipe(
    Effect.provide(Sandbox.layer(config)),
    Effect.flatMap((plan) =>
      Effect.flatMap(agree(plan.toString()), (agreed) => agreed ? Sandbox.replay(plan) : Effect.undefined)
    )
  )
// #endregion
