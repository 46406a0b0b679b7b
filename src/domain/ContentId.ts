/** Content-IDs, by which the HTML of a message shows its parts (RFC 2392): `cid:` and the id. */
import { messageIdsIn } from "./MessageId.ts"

/**
 * The id without the angle brackets that it has in a header: so it stands behind `cid:`, and in attachments, received or
 * to be sent. Undefined where there is none.
 */
export const contentIdOf = (header: string): string | undefined => {
  const id = messageIdsIn(header)[0]?.slice(1, -1) ?? header.replace(/[<>]/g, "").trim()
  return id === "" ? undefined : id
}
