/** Files mail by rules, and can be run again at any time: what has been filed is no longer in the inbox. */
import { Effect } from "effect"
import { type Criteria, MailAccount, Query } from "effect-mail"

// #region program
export interface Rule {
  readonly when: Criteria
  readonly to: string
}

export const rules: ReadonlyArray<Rule> = [
  { when: { header: { "List-Id": "" } }, to: "Lists" },
  { when: { subject: "invoice", larger: 1000 }, to: "Invoices" },
  { when: { from: "no-reply@", seen: true }, to: "Archive" }
]

/** How many messages each rule has filed. The first rule that fits counts; rules run one after the other. */
export const autoFile = Effect.fn("autoFile")(function*(rules: ReadonlyArray<Rule>) {
  const mail = yield* MailAccount
  return yield* Effect.forEach(rules, ({ to, when }) =>
    Effect.gen(function*() {
      const found = yield* mail.search(Query.inbox.and(when))
      if (!found.isEmpty) {
        yield* mail.createMailbox(to)
        yield* mail.move(found, to)
      }
      return { to, filed: found.size }
    }))
})
// #endregion
