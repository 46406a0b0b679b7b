/**
 * After a send whose answer was lost: is the message among the sent ones? Looks several times, since a server may file
 * a message some time after it has accepted it. Decides nothing about sending it again.
 */
import { Duration, Effect, Option } from "effect"
import { type Delivery, Found, NotFound } from "../domain/Delivery.ts"
import { InvalidInput, type Reason } from "../domain/MailError.ts"
import { messageIdsIn } from "../domain/MessageId.ts"
import type { SentMailbox } from "./SentMailbox.ts"

/** How long is waited before each look. */
export const delays: ReadonlyArray<Duration.Duration> = [0, 1, 2, 4, 8].map(Duration.seconds)

export const make = (sent: SentMailbox) => {
  /** Looks after each of these delays until the message is there. */
  const look = Effect.fnUntraced(function*(
    messageId: string,
    delays: ReadonlyArray<Duration.Duration>
  ): Effect.fn.Return<Delivery, Reason> {
    for (const delay of delays) {
      if (!Duration.isZero(delay)) yield* Effect.sleep(delay)
      const found = yield* sent.lookFor(messageId)
      if (Option.isSome(found)) return new Found({ ref: found.value })
    }
    return new NotFound({ mailbox: (yield* sent.find).path })
  })

  const reconcile = (messageId: string): Effect.Effect<Delivery, Reason> =>
    Effect.flatMap(checked(messageId), (messageId) => look(messageId, delays))

  return { look, reconcile }
}

export type Reconciliation = ReturnType<typeof make>

/** A header is searched for a part of it: less than a whole id would find other messages. */
const checked = (messageId: string): Effect.Effect<string, InvalidInput> =>
  messageIdsIn(messageId)[0] === messageId
    ? Effect.succeed(messageId)
    : Effect.fail(new InvalidInput({ field: "messageId", problem: "give it whole, with its angle brackets" }))
