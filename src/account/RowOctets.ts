/** What fetched rows weigh, for the bounds on memory and for rate windows, and how their pieces are put together. */
import type { FetchedRow } from "../driver/ImapDriver.ts"

/** What a row weighs in memory, roughly: its octets, and what an object costs. */
const octetsOf = ({ envelope, headers, parts, source, structure }: FetchedRow): number => {
  let octets = 500 + (source?.length ?? 0) + (headers?.length ?? 0)
  if (envelope !== undefined) octets += 2_000
  if (structure !== undefined) octets += 1_000
  for (const part of parts?.values() ?? []) octets += part.length
  return octets
}

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
