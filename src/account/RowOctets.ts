/** What fetched rows weigh, for the bounds on memory and for rate windows, and how their pieces are put together. */
import type { FetchItems } from "../domain/Fetch.ts"
import type { FetchedRow } from "../driver/ImapDriver.ts"

/** What the objects of a row weigh in memory, roughly. */
const objectOctets = 500
const envelopeOctets = 1_500
const structureOctets = 1_000

const octetsOf = ({ envelope, headers, parts, source, structure }: FetchedRow): number => {
  let octets = objectOctets + (source?.length ?? 0) + (headers?.length ?? 0)
  if (envelope !== undefined) octets += envelopeOctets
  if (structure !== undefined) octets += structureOctets
  for (const part of parts?.values() ?? []) octets += part.length
  return octets
}

/** What each row will weigh; undefined where that is up to the message. */
export const octetsKnown = ({ envelope, headers, parts, source, structure }: FetchItems): number | undefined =>
  source === undefined && headers === undefined && parts === undefined
    ? objectOctets + (envelope === true ? envelopeOctets : 0) + (structure === true ? structureOctets : 0)
    : undefined

export const octetsOfAll = (rows: ReadonlyArray<FetchedRow>): number =>
  rows.reduce((sum, row) => sum + octetsOf(row), 0)

/** In a buffer of its own: Node's pool, of which a short one would be a slice, would stay with it. */
export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}
