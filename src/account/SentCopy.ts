/**
 * The sender's copy: the octets that were sent, filed in the mailbox for sent mail unless they are there already. Never
 * fails a send that has succeeded: what went wrong is part of the receipt.
 */
import { Duration, Effect, Option } from "effect"
import { type AccountConfig, portOf, type SentCopyPolicy } from "../domain/AccountConfig.ts"
import type { Reason } from "../domain/MailError.ts"
import { providers } from "../domain/Providers.ts"
import { ByServer, Failed, Filed, type SentCopy, Skipped } from "../domain/Receipt.ts"
import type { Composed } from "../driver/MessageComposer.ts"
import type { Changing } from "./Changing.ts"
import type { Reconciliation } from "./Reconciliation.ts"
import type { SentMailbox } from "./SentMailbox.ts"

/**
 * How long is waited before each look, where the provider is only said to file sent mail. What is seen then is
 * remembered as long as the account lives.
 */
const delays: ReadonlyArray<Duration.Duration> = [0, 1, 2].map(Duration.seconds)

const once = [Duration.zero]

export const make = (
  config: AccountConfig,
  changing: Changing,
  sent: SentMailbox,
  reconciliation: Reconciliation
) => {
  let filesSentMail = config.filesSentMail ?? (isSaidToFile(config) ? undefined : false)

  const append = ({ messageId, source }: Composed): Effect.Effect<SentCopy, Reason> =>
    Effect.flatMap(sent.find, ({ path }) =>
      Effect.map(
        changing.append(path, source, messageId, { flags: ["\\Seen"] }),
        (ref) => new Filed(Option.isSome(ref) ? { ref: ref.value } : {})
      ))

  const unlessThere = Effect.fnUntraced(function*(
    composed: Composed,
    delays: ReadonlyArray<Duration.Duration>
  ): Effect.fn.Return<SentCopy, Reason> {
    const found = yield* reconciliation.look(composed.messageId, delays)
    if (delays !== once) filesSentMail ??= found._tag === "Found"
    return found._tag === "Found" ? new ByServer({ ref: found.ref }) : yield* append(composed)
  })

  const auto = (composed: Composed): Effect.Effect<SentCopy, Reason> =>
    filesSentMail === true
      ? Effect.succeed(new ByServer({}))
      : unlessThere(composed, filesSentMail === undefined ? delays : once)

  /** Sees to the copy of a message that was just sent. */
  const keep = (composed: Composed, policy: SentCopyPolicy = config.sentCopy): Effect.Effect<SentCopy> =>
    Effect.suspend(() => {
      if (policy === "never" || config.imap === undefined) return Effect.succeed(new Skipped({}))
      return Effect.catch(
        policy === "auto" ? auto(composed) : unlessThere(composed, once),
        (reason) => Effect.succeed(new Failed({ reason }))
      )
    })

  return { keep }
}

export type SentCopies = ReturnType<typeof make>

/** It is at a provider of which that is said, if not by the provider itself. */
const isSaidToFile = ({ smtp }: AccountConfig): boolean =>
  smtp !== undefined &&
  providers.some(({ filesSentMail, smtp: { value } }) =>
    filesSentMail.value && value.host === smtp.host &&
    // a host of many ports is one server, but on this machine each port is another program
    (value.host !== "127.0.0.1" || portOf("smtp", value) === portOf("smtp", smtp))
  )
