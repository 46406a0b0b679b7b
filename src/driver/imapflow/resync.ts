/** What a server tells beside its answer to `SELECT (QRESYNC …)` (RFC 7162 3.2.5); imapflow has it as events only. */
import { isUid } from "../../domain/MessageSet.ts"
import { UidRanges } from "../../domain/UidRanges.ts"
import type { FlagsRow, Resync } from "../ImapDriver.ts"
import type { ImapFlow } from "./client.ts"

interface FlagsEvent {
  readonly path: string
  readonly uid?: number | undefined
  readonly modseq?: bigint | undefined
  readonly flags: ReadonlySet<string>
}

interface ExpungeEvent {
  readonly uid?: number | undefined
  readonly earlier?: boolean | undefined
}

/** Hears it from now until `deafen`. An IDLE on another mailbox that is left meanwhile says the last of that one first. */
export const hearResync = (client: ImapFlow) => {
  // one line of the server may name millions
  const vanished = UidRanges.collecting()
  const changed: Array<FlagsRow & { readonly path: string }> = []
  const onExpunge = ({ earlier, uid }: ExpungeEvent) => {
    if (isUid(uid) && earlier === true) vanished.add(uid)
  }
  const onFlags = ({ flags, modseq, path, uid }: FlagsEvent) => {
    if (isUid(uid)) changed.push({ uid, flags: [...flags], modseq, path })
  }
  client.on("expunge", onExpunge).on("flags", onFlags)
  return {
    of: (selected: string): Resync => ({
      vanished: vanished.ranges(),
      changed: changed.flatMap(({ flags, modseq, path, uid }) => path === selected ? [{ uid, flags, modseq }] : [])
    }),
    deafen: () => void client.off("expunge", onExpunge).off("flags", onFlags)
  }
}
