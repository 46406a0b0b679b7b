/** What a change takes: messages of one mailbox, in whatever form they were named. */
import { Effect } from "effect"
import { mailboxName } from "../domain/MailboxName.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import type { MessageSet } from "../domain/MessageSet.ts"
import { isList, type Messages, toSets } from "../domain/MessageSet.ts"
import { Query } from "../domain/Query.ts"

/** The mailbox that errors and spans name: that of the first, where there are several. */
export const mailboxOf = (messages: Query | Messages): string | undefined => {
  const first = !(messages instanceof Query) && isList(messages) ? messages[0] : messages
  return first === undefined ? undefined : mailboxName("mailbox" in first ? first.mailbox : first.ref.mailbox)
}

/** Runs a change on the one set that `messages` name; there is nothing to do for none. */
export const onSet = <A>(
  messages: Messages,
  nothing: A,
  change: (set: MessageSet) => Effect.Effect<A, Reason>
): Effect.Effect<A, Reason> => {
  const [set, ...others] = toSets(messages)
  if (set === undefined || set.isEmpty) return Effect.succeed(nothing)
  return others.length === 0 ? change(set) : Effect.fail(
    new InvalidInput({
      field: "messages",
      problem: "they are of several mailboxes; change those of one mailbox at a time (MessageSet.group)"
    })
  )
}
