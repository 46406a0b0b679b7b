/** Commands that change messages: APPEND, STORE, COPY, MOVE, EXPUNGE (RFC 9051 6.3.12, 6.4; RFC 4315, 6851, 7162). */
import { toRange } from "../../domain/MessageSet.ts"
import type { Transferred } from "../StoredUser.ts"
import { parseDateTime } from "./DateTime.ts"
import { bad, no, Refusal } from "./Refusal.ts"
import { orRefuse, type Session } from "./Session.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { type Arguments, toAtom } from "./Tokens.ts"
import { flagsRow, type View } from "./View.ts"

export const changes: Commands = {
  APPEND: { state: "authenticated", run: (command) => append(command) },
  STORE: { state: "selected", byUid: true, run: (command) => store(command) },
  COPY: { state: "selected", byUid: true, run: (command) => copy(command) },
  MOVE: { state: "selected", byUid: true, needs: "MOVE", run: (command) => move(command) },
  EXPUNGE: { state: "selected", byUid: true, run: (command) => expunge(command) }
}

const append = ({ args, session }: Command): string => {
  const path = args.mailbox()
  const flags = args.peek()?._tag === "list" ? args.atoms() : []
  const date = args.peek()?._tag === "string" ? parseDateTime(args.text()) : new Date()
  if (date === undefined) throw bad("invalid date")
  const source = args.octets()
  args.end()
  const message = orRefuse(session.login().append(path, source, { flags, internalDate: date }))
  const uidValidity = session.mailbox(path).uidValidity
  const code = session.has("UIDPLUS") ? `[APPENDUID ${uidValidity} ${message.uid}] ` : ""
  return `${code}APPEND completed`
}

const writable = (session: Session): View => {
  const view = session.selected()
  if (view.readOnly) throw no("Mailbox is read-only", "READ-ONLY")
  return view
}

const store = ({ args, byUid, session, verb }: Command): string => {
  const set = args.text()
  const unchangedSince = args.peek()?._tag === "list" ? unchangedSinceOf(args) : undefined
  const action = /^([+-]?)FLAGS(\.SILENT)?$/.exec(args.word())
  if (action === null) throw bad("unknown STORE item")
  const flags = args.peek()?._tag === "list" ? args.atoms() : remaining(args)
  const silent = action[2] !== undefined
  const mode = action[1] === "+" ? "add" : action[1] === "-" ? "remove" : "set"
  const view = writable(session)
  const { mailbox } = view
  if (unchangedSince !== undefined) session.enabled.condstore = true
  const wanted = view.resolve(set, byUid)
  const modified = unchangedSince === undefined
    ? []
    : wanted.filter((uid) => (mailbox.message(uid)?.modseq ?? 0n) > unchangedSince)
  const refused = new Set(modified)
  const uids = refused.size === 0 ? wanted : wanted.filter((uid) => !refused.has(uid))
  const changed = view.quietly(() => mailbox.store(uids, mode, flags))
  const { enabled, out } = session
  const withUid = byUid || enabled.qresync
  if (!silent) {
    for (const uid of uids) {
      const message = mailbox.message(uid)
      if (message !== undefined) out.text(flagsRow(view.sequenceOf(uid), message, enabled, withUid))
    }
    view.toldFlags(uids)
  } else if (enabled.condstore) {
    for (const { modseq, uid } of changed) {
      out.text(`* ${view.sequenceOf(uid)} FETCH (${withUid ? `UID ${uid} ` : ""}MODSEQ (${modseq}))\r\n`)
    }
  }
  if (modified.length === 0) return `${verb} completed`
  const told = byUid ? modified : modified.map((uid) => view.sequenceOf(uid))
  return `[MODIFIED ${toRange(told)}] Conditional STORE failed for some`
}

const unchangedSinceOf = (args: Arguments): bigint => {
  const [name, value] = args.atoms()
  if (name?.toUpperCase() !== "UNCHANGEDSINCE" || value === undefined || !/^\d{1,19}$/.test(value)) {
    throw bad("unknown STORE modifier")
  }
  return BigInt(value)
}

const remaining = (args: Arguments): ReadonlyArray<string> => {
  const flags: Array<string> = []
  while (!args.isAtEnd) flags.push(toAtom(args.next()))
  return flags
}

const copy = ({ args, byUid, session, verb }: Command): string => {
  const view = session.selected()
  const uids = view.resolve(args.text(), byUid)
  const result = orRefuse(session.login().copy(view.mailbox, uids, args.mailbox()))
  return `${copyUid(session, result)}${verb} completed`
}

const move = ({ args, byUid, session, verb }: Command): string => {
  const set = args.text()
  const target = args.mailbox()
  const view = writable(session)
  const result = orRefuse(session.login().move(view.mailbox, view.resolve(set, byUid), target))
  // Before the expunges, so that the client can match them (RFC 6851 4.3)
  const code = copyUid(session, result)
  if (code !== "") session.line(`* OK ${code}Moved`)
  return `${verb} completed`
}

const copyUid = (session: Session, { mailbox, uids }: Transferred): string => {
  if (uids.size === 0 || !session.has("UIDPLUS")) return ""
  return `[COPYUID ${mailbox.uidValidity} ${toRange([...uids.keys()])} ${toRange([...uids.values()])}] `
}

const expunge = ({ args, byUid, session, verb }: Command): string => {
  if (byUid && !session.has("UIDPLUS")) throw new Refusal("BAD", "Unknown command UID EXPUNGE")
  const view = writable(session)
  view.mailbox.expunge(byUid ? view.resolve(args.text(), true) : view.uids)
  return session.enabled.condstore
    ? `[HIGHESTMODSEQ ${view.mailbox.highestModseq}] ${verb} completed`
    : `${verb} completed`
}
