/** Message-IDs, and the References that place an answer in its thread (RFC 5322 3.6.4). */

/** The longest chain that an answer names: the first message, and the latest before it (RFC 5537 3.4.4 trims so, too). */
export const maxReferences = 30

/** Longer ids do not fit into a line (RFC 5322 2.1.1), and no program makes them. */
const maxIdLength = 250

/** An id with its angle brackets that a header can hold. */
export const isMessageId = (text: string): boolean =>
  text.length <= maxIdLength && /^<[\x21-\x3b\x3d\x3f-\x7e]+>$/.test(text)

/** All ids with their angle brackets that stand in a text, as in References and, among words, in an old In-Reply-To. */
export const messageIdsIn = (text: string): ReadonlyArray<string> => text.match(/<[^<>\s]+>/g) ?? []

/** The Message-ID field of a header that has not been taken apart. */
export const messageIdOf = (header: string): string | undefined => /^message-id:\s*(<[^<>\s]+>)/im.exec(header)?.[1]

interface Answered {
  readonly messageId?: string
  readonly inReplyTo?: string
  readonly references: ReadonlyArray<string>
}

/**
 * The References of an answer: those of the message, or else its In-Reply-To, and its own id last. Ids that are none
 * and repetitions are left out, and at most `maxReferences` are kept, in order.
 */
export const referencesTo = ({ inReplyTo, messageId, references }: Answered): ReadonlyArray<string> => {
  const before = references.length > 0 ? references : inReplyTo === undefined ? [] : [inReplyTo]
  const chain = [...new Set(before.filter((id) => isMessageId(id) && id !== messageId))]
  if (messageId !== undefined && isMessageId(messageId)) chain.push(messageId)
  return chain.length <= maxReferences ? chain : [...chain.slice(0, 1), ...chain.slice(1 - maxReferences)]
}
