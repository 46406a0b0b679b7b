/** SELECT and EXAMINE with CONDSTORE and QRESYNC (RFC 9051 6.3.2, RFC 7162), and the ways out of a mailbox. */
import { toRange } from "../../domain/MessageSet.ts"
import { systemFlags } from "../StoredMailbox.ts"
import { mailboxId } from "./Mailboxes.ts"
import { bad } from "./Refusal.ts"
import { includes, normalise, parseSequenceSet } from "./SequenceRanges.ts"
import type { Session } from "./Session.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { textOf, type Token } from "./Tokens.ts"
import { flagsRow, type View } from "./View.ts"

export const selection: Commands = {
  SELECT: { state: "authenticated", run: (command) => select(command, false) },
  EXAMINE: { state: "authenticated", run: (command) => select(command, true) },
  CLOSE: {
    state: "selected",
    run: ({ session }) => {
      const view = session.selected()
      if (!view.readOnly) view.mailbox.expunge(view.uids)
      session.unselect()
      return "CLOSE completed"
    }
  },
  UNSELECT: {
    state: "selected",
    run: ({ session }) => {
      session.unselect()
      return "UNSELECT completed"
    }
  },
  CHECK: { state: "selected", run: () => "CHECK completed" }
}

const select = ({ args, session }: Command, readOnly: boolean): string => {
  const path = args.mailbox()
  const options = args.isAtEnd ? [] : args.list()
  if (session.view !== undefined) {
    session.unselect()
    session.line("* OK [CLOSED] Previous mailbox closed")
  }
  const mailbox = session.mailbox(path)
  const view = session.select(mailbox, readOnly)
  const resync = parametersOf(session, options)
  const flags = [...systemFlags, ...mailbox.keywords].join(" ")
  session.line(`* FLAGS (${flags})`)
  session.line(`* OK [PERMANENTFLAGS (${readOnly ? "" : `${flags} \\*`})] Flags permitted`)
  session.line(`* ${view.exists} EXISTS`)
  session.line("* 0 RECENT")
  const firstUnseen = view.uids.findIndex((uid) => mailbox.message(uid)?.flags.has("\\Seen") === false)
  if (firstUnseen >= 0) session.line(`* OK [UNSEEN ${firstUnseen + 1}] First unseen`)
  session.line(`* OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs valid`)
  session.line(`* OK [UIDNEXT ${mailbox.uidNext}] Predicted next UID`)
  if (session.has("CONDSTORE")) session.line(`* OK [HIGHESTMODSEQ ${mailbox.highestModseq}] Highest`)
  if (session.has("OBJECTID")) session.line(`* OK [MAILBOXID (${mailboxId(mailbox)})] Id`)
  if (resync !== undefined && resync.uidValidity === mailbox.uidValidity) tellChanges(session, view, resync)
  return readOnly ? "[READ-ONLY] EXAMINE completed" : "[READ-WRITE] SELECT completed"
}

interface Resync {
  readonly uidValidity: number
  readonly modseq: bigint
  readonly known: string | undefined
}

const parametersOf = (session: Session, options: ReadonlyArray<Token>): Resync | undefined => {
  const [first, second] = options
  if (first === undefined) return undefined
  const name = textOf(first)?.toUpperCase()
  if (name === "CONDSTORE" && session.has("CONDSTORE")) {
    session.enabled.condstore = true
    return undefined
  }
  if (name !== "QRESYNC" || second?._tag !== "list") throw bad("unknown parameter")
  if (!session.enabled.qresync) throw bad("QRESYNC is not enabled")
  const [uidValidity, modseq, known] = second.items.map(textOf)
  if (uidValidity === undefined || modseq === undefined || !/^\d+$/.test(uidValidity) || !/^\d+$/.test(modseq)) {
    throw bad("invalid QRESYNC parameters")
  }
  return { uidValidity: Number(uidValidity), modseq: BigInt(modseq), known }
}

const tellChanges = (session: Session, view: View, { known, modseq }: Resync): void => {
  const ranges = known === undefined ? undefined : parseSequenceSet(known)
  const knownRanges = ranges === undefined ? undefined : normalise(ranges, view.mailbox.uidNext - 1)
  const isKnown = (uid: number) => knownRanges === undefined || includes(knownRanges, uid)
  const vanished = view.mailbox.vanishedSince(modseq).filter(isKnown)
  if (vanished.length > 0) session.line(`* VANISHED (EARLIER) ${toRange(vanished)}`)
  for (const message of view.mailbox.changedSince(modseq)) {
    session.out.text(flagsRow(view.sequenceOf(message.uid), message, session.enabled, true))
  }
}
