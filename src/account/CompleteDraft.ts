/** What a draft needs before it can be composed and is not asked of a person: a sender, a date, a Message-ID. */
import { Clock, Effect, Random } from "effect"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { Draft } from "../domain/Draft.ts"
import { InvalidInput } from "../domain/MailError.ts"

/** The draft with sender, date and Message-ID. Fails with `InvalidInput` where neither draft nor account name a sender. */
export const completeDraft = Effect.fnUntraced(function*(
  config: AccountConfig,
  draft: Draft
): Effect.fn.Return<Draft, InvalidInput> {
  const from = draft.from ?? config.address ??
    (config.credentials.user.includes("@") ? config.credentials.user : undefined)
  if (from === undefined) {
    return yield* new InvalidInput({ field: "from", problem: "name a sender, or set the account's address" })
  }
  const date = draft.date ?? new Date(yield* Clock.currentTimeMillis)
  const messageId = draft.messageId ??
    `<${yield* uniqueId}@${domainOf(typeof from === "string" ? from : from.address)}>`
  return new Draft({ ...draft, from, date, messageId })
})

/** 128 random bits in hexadecimal: unique as RFC 5322 3.6.4 asks for, and from Effect's Random, so a test can seed it. */
const uniqueId = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0xffffffff), 4),
  (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("")
)

/** The domain of an address as a person writes it ("Ann <ann@example.com>"). */
const domainOf = (address: string): string => /@([^\s@<>,;]+)>?\s*$/.exec(address)?.[1] ?? "localhost"
