/**
 * From a draft to the octets that are sent or filed, the same for an account and for its sandbox: what a draft needs and
 * is not asked of a person (a sender, a date, a Message-ID) is filled in, and the account's limits are held.
 */
import { Clock, Effect, Random } from "effect"
import { domainToASCII } from "node:url"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { Draft } from "../domain/Draft.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import type { Composed, MessageComposer } from "../driver/MessageComposer.ts"

export const make = (config: AccountConfig, composer: MessageComposer["Service"]) => {
  const { maxMessageBytes: maxBytes, recipientsPerMessage = Infinity } = config.limits

  /** The draft with sender, date and Message-ID. Fails with `InvalidInput` where neither draft nor account name a sender. */
  const complete = Effect.fnUntraced(function*(draft: Draft): Effect.fn.Return<Draft, InvalidInput> {
    const from = draft.from ?? config.address ??
      (config.credentials.user.includes("@") ? config.credentials.user : undefined)
    if (from === undefined) {
      return yield* new InvalidInput({ field: "from", problem: "name a sender, or set the account's address" })
    }
    const date = draft.date ?? new Date(yield* Clock.currentTimeMillis)
    const messageId = draft.messageId ??
      `<${yield* uniqueId}@${domainOf(typeof from === "string" ? from : from.address)}>`
    return new Draft({ ...draft, from, date, messageId }, { disableChecks: true })
  })

  /** What is sent: signed, and to no more recipients than one message may have. */
  const toSend = Effect.fnUntraced(function*(draft: Draft): Effect.fn.Return<Composed, Reason> {
    const options = { recipients: "required", dkim: config.dkim, maxBytes } as const
    const composed = yield* composer.compose(yield* complete(draft), options)
    const recipients = composed.envelope.to.length
    if (recipients <= recipientsPerMessage) return composed
    return yield* new InvalidInput({
      field: "to",
      problem: `${recipients} recipients are more than the ${recipientsPerMessage} that one message may have`
    })
  })

  /** What is filed, Bcc included. */
  const toFile = (draft: Draft): Effect.Effect<Composed, Reason> =>
    Effect.flatMap(
      complete(draft),
      (draft) => composer.compose(draft, { recipients: "optional", keepsBcc: true, maxBytes })
    )

  return { complete, toSend, toFile }
}

/** 128 random bits in hexadecimal: unique as RFC 5322 3.6.4 asks for, and from Effect's Random, so a test can seed it. */
const uniqueId = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0xffffffff), 4),
  (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("")
)

/** The domain of an address as a person writes it ("Ann <ann@example.com>"), in ASCII, as an id needs it. */
const domainOf = (address: string): string =>
  domainToASCII(/@([^\s@<>,;]+)>?\s*$/.exec(address)?.[1] ?? "") || "localhost"
