/**
 * The mailbox for sent mail, and whether a message is in it. Knows nothing of how messages are sent, or filed there.
 */
import { Effect, Option } from "effect"
import type { Mailbox } from "../domain/Mailbox.ts"
import { type Reason, Unsupported } from "../domain/MailError.ts"
import { MessageRef } from "../domain/MessageSet.ts"
import type { Mailboxes } from "./Mailboxes.ts"
import type { Operations } from "./Operations.ts"

/** The last level of names that servers and mail programs give it, in lower case, the most usual first. */
const names = [
  "sent",
  "sent items",
  "sent messages",
  "sent mail",
  "sent-mail",
  "gesendet",
  "gesendete elemente",
  "envoyés",
  "éléments envoyés",
  "enviados",
  "elementos enviados",
  "posta inviata",
  "verzonden items",
  "skickat",
  "wysłane"
]

export const make = (operations: Operations, mailboxes: Mailboxes) => {
  const { onConnection, retrying } = operations

  /** By its special use (RFC 6154), else by its name. Fails with `Unsupported` where there is none. */
  const find: Effect.Effect<Mailbox, Reason> = Effect.gen(function*() {
    const marked = yield* mailboxes.bySpecialUse("sent")
    if (Option.isSome(marked)) return marked.value
    const listed = yield* mailboxes.known
    for (const name of names) {
      const named = listed.find((mailbox) => mailbox.selectable && lastLevel(mailbox).toLowerCase() === name)
      if (named !== undefined) return named
    }
    return yield* new Unsupported({
      capability: "\\Sent",
      detail: "no mailbox is marked, or named, as the one for sent mail"
    })
  })

  /** The newest message of this Message-ID in it. The mailbox is synchronised first: what came just now is seen. */
  const lookFor = (messageId: string): Effect.Effect<Option.Option<MessageRef>, Reason> =>
    Effect.flatMap(find, ({ path }) =>
      retrying("always")(onConnection((connection) =>
        Effect.gen(function*() {
          const { uidValidity } = yield* connection.select(path, { readOnly: true, refresh: true })
          const uids = yield* connection.search({ _tag: "Header", name: "Message-ID", value: messageId })
          const uid = uids.at(-1)
          return uid === undefined ? Option.none() : Option.some(new MessageRef({ mailbox: path, uidValidity, uid }))
        }), { affinity: path })))

  return { find, lookFor }
}

export type SentMailbox = ReturnType<typeof make>

const lastLevel = ({ delimiter, path }: Mailbox): string =>
  delimiter === null ? path : path.slice(path.lastIndexOf(delimiter) + 1)
