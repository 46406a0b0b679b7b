/** FETCH and UID FETCH (RFC 9051 6.4.5, RFC 7162 3.1.4 and 3.2.6): rows stream as fast as the client reads. */
import { toRange } from "../../domain/MessageSet.ts"
import { type FetchRequest, readFetchItems } from "./FetchItems.ts"
import { toWriters, writeRow } from "./FetchResponse.ts"
import { bad } from "./Refusal.ts"
import { includes, normalise, parseSequenceSet } from "./SequenceRanges.ts"
import type { Session } from "./Session.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { type Arguments, textOf } from "./Tokens.ts"

export const fetch: Commands = {
  FETCH: { state: "selected", byUid: true, run: (command) => run(command) }
}

const run = async ({ args, byUid, session, verb }: Command): Promise<string> => {
  const set = args.text()
  const request = readFetchItems(args.next(), (item) => session.has(extensionOf(item)))
  const { changedSince, vanished } = modifiersOf(args)
  args.end()
  const view = session.selected()
  const { mailbox } = view
  const uids = view.resolve(set, byUid)
  if (changedSince !== undefined || request.items.has("MODSEQ")) session.enabled.condstore = true
  if (vanished && changedSince !== undefined) {
    if (!byUid || !session.enabled.qresync) throw bad("VANISHED needs UID FETCH and QRESYNC")
    tellVanished(session, set, changedSince)
  }
  const asked = effectiveRequest(request, byUid, changedSince !== undefined)
  const writers = toWriters(asked)
  const withFlags = asked.items.has("FLAGS") ? writers : toWriters({ ...asked, items: asked.items.union(flagsItem) })
  const marks = !view.readOnly && request.sections.some((section) => section.marks)
  const { out } = session
  for (const uid of uids) {
    const before = mailbox.message(uid)
    // Expunged by another session, which this one may not be told of now
    if (before === undefined || (changedSince !== undefined && before.modseq <= changedSince)) continue
    const marked = marks && !before.flags.has("\\Seen")
    if (marked) view.quietly(() => mailbox.store([uid], "add", ["\\Seen"]))
    const message = marked ? mailbox.message(uid) ?? before : before
    writeRow(out, view.sequenceOf(uid), message, marked ? withFlags : writers)
    if (out.isCongested) {
      await out.drained()
      if (session.isGone || session.isClosing) break
    }
  }
  if (asked.items.has("FLAGS")) view.toldFlags(uids)
  return `${verb} completed`
}

const flagsItem = new Set(["FLAGS"])

/** A row by UID names the UID, one by mod-sequence the mod-sequence. */
const effectiveRequest = (request: FetchRequest, withUid: boolean, withModseq: boolean): FetchRequest => ({
  ...request,
  items: new Set([...withUid ? ["UID"] : [], ...request.items, ...withModseq ? ["MODSEQ"] : []])
})

const extensionOf = (item: string): string =>
  item === "MODSEQ" ? "CONDSTORE" : item === "EMAILID" || item === "THREADID" ? "OBJECTID" : "UNSELECT"

const modifiersOf = (args: Arguments): { readonly changedSince: bigint | undefined; readonly vanished: boolean } => {
  if (args.isAtEnd) return { changedSince: undefined, vanished: false }
  const [name, value, vanished] = args.list().map((token) => textOf(token)?.toUpperCase())
  if (name !== "CHANGEDSINCE" || value === undefined || !/^\d{1,19}$/.test(value)) throw bad("unknown FETCH modifier")
  return { changedSince: BigInt(value), vanished: vanished === "VANISHED" }
}

const tellVanished = (session: Session, set: string, modseq: bigint): void => {
  const { mailbox, uids } = session.selected()
  const ranges = normalise(parseSequenceSet(set) ?? [], Math.max(mailbox.uidNext - 1, uids.at(-1) ?? 0))
  const vanished = mailbox.vanishedSince(modseq).filter((uid) => includes(ranges, uid))
  if (vanished.length > 0) session.line(`* VANISHED (EARLIER) ${toRange(vanished)}`)
}
