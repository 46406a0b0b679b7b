/** What to fetch of a message, and what comes back for it: the result's type follows the items asked for. */
import type { BodyPart, EnvelopeFields } from "./Envelope.ts"
import type { MessageRef } from "./MessageSet.ts"

/**
 * The data items of one FETCH (RFC 9051 6.4.5). `source` and `parts` are read with PEEK: nothing is marked as seen.
 * `headers: true` fetches the whole header, a list only the named fields. `parts` are section numbers such as "1.2".
 * `labels`, `emailId` and `threadId` exist at Gmail (X-GM-EXT-1) and with OBJECTID (RFC 8474).
 */
export interface FetchItems {
  readonly envelope?: true
  readonly flags?: true
  readonly internalDate?: true
  readonly size?: true
  readonly structure?: true
  readonly source?: true
  readonly headers?: true | ReadonlyArray<string>
  readonly parts?: ReadonlyArray<string>
  readonly modseq?: true
  readonly labels?: true
  readonly emailId?: true
  readonly threadId?: true
}

/** The values behind each item. */
export interface FetchValues {
  readonly envelope: EnvelopeFields
  readonly flags: ReadonlyArray<string>
  /** When the server received it. Undefined where the server does not say. */
  readonly internalDate: Date | undefined
  /** RFC822.SIZE, octets. */
  readonly size: number
  readonly structure: BodyPart
  /** The message as it is stored, octet for octet. */
  readonly source: Uint8Array
  /** The header, or the named fields, as octets. */
  readonly headers: Uint8Array
  /** By section number; one that is not there is absent, or empty at servers that do not tell (Dovecot). */
  readonly parts: ReadonlyMap<string, Uint8Array>
  readonly modseq: bigint | undefined
  readonly labels: ReadonlyArray<string> | undefined
  readonly emailId: string | undefined
  readonly threadId: string | undefined
}

/** One fetched message: its reference and exactly the items that were asked for; one that may have been asked for may be absent. */
export type Fetched<Items extends FetchItems> =
  & { readonly ref: MessageRef }
  & {
    readonly [Item in keyof Items & keyof FetchValues as Items[Item] extends undefined ? never : Item]:
      | FetchValues[Item]
      | (Record<never, never> extends Pick<Items, Item> ? undefined : never)
  }
