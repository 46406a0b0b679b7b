/**
 * Runs the commands of one session in order: reads, strikes with a fault where the script says so, calls the handler,
 * tells what happened meanwhile, and answers. No input makes it throw.
 */
import { authentication, capabilityLine } from "./Authentication.ts"
import { changes } from "./Changes.ts"
import { fetch } from "./Fetch.ts"
import { idle } from "./Idle.ts"
import { mailboxes } from "./Mailboxes.ts"
import { decodeMailboxName } from "./MailboxName.ts"
import { bad, Refusal, statusText } from "./Refusal.ts"
import { search } from "./Search.ts"
import { selection } from "./Selection.ts"
import type { Session } from "./Session.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { survives } from "./StruckSession.ts"
import { Arguments, textOf, type Token, tokenise } from "./Tokens.ts"

const commands: Commands = {
  ...authentication,
  ...mailboxes,
  ...selection,
  ...changes,
  ...fetch,
  ...search,
  ...idle
}

/** Commands whose untagged answers may not renumber messages (RFC 9051 7.5.1). */
const keepsNumbers = new Set(["FETCH", "STORE", "SEARCH"])

/** Commands whose first argument names a mailbox, for faults and observations. */
const namesMailbox = new Set([
  "SELECT",
  "EXAMINE",
  "CREATE",
  "DELETE",
  "RENAME",
  "SUBSCRIBE",
  "UNSUBSCRIBE",
  "STATUS",
  "APPEND",
  "GETQUOTAROOT"
])

/** Commands that need nothing of the selected mailbox, so that one that is void is no obstacle. */
const leavesMailbox = new Set(["SELECT", "EXAMINE", "UNSELECT", "LOGOUT"])

/** Serves a session from the greeting to its end. */
export const serve = async (session: Session): Promise<void> => {
  const struck = session.host.faults.take({ protocol: "imap", at: "connect" })
  if (struck === undefined || await survives(session, struck, "*")) {
    session.line(`* OK [CAPABILITY ${capabilityLine(session)}] ready`)
    if (struck?._tag === "Drop") session.drop()
    for (;;) {
      const input = await session.read((reader) => reader.next())
      if (input === undefined) break
      if (input._tag === "Continue") session.line("+ OK")
      else if (input._tag === "Refused") {
        session.line(`${input.tag} BAD ${input.why === "line" ? "Too long argument" : "literal too large"}`)
      } else await run(session, input.parts)
      session.out.flush()
      if (session.out.isCongested) await session.out.drained()
    }
  }
  session.unselect()
  session.close()
}

/** RFC 9051 9, tag: printable, but for what means something elsewhere. */
const tagPattern = /^[!#-$&',-Z[\]^-z|}~]{1,64}$/

const run = async (session: Session, parts: ReadonlyArray<Buffer>): Promise<void> => {
  let tag = "*"
  let verb = ""
  try {
    const head = /^(\S+) (\S+) ?/.exec(parts[0]?.toString("latin1", 0, 200) ?? "")
    const given = /^\S+/.exec(parts[0]?.toString("latin1", 0, 80) ?? "")?.[0] ?? ""
    if (tagPattern.test(given)) tag = given
    if (head === null || tag === "*") throw bad("invalid command")
    verb = (head[2] ?? "").toUpperCase()
    const tokens = tokenise([parts[0]?.subarray(head[0].length) ?? Buffer.alloc(0), ...parts.slice(1)])
    const args = new Arguments(tokens)
    const byUid = verb === "UID"
    if (byUid) verb = args.word()
    const command = commands[verb]
    if (
      command === undefined || (byUid && command.byUid !== true) ||
      (command.needs !== undefined && !session.has(command.needs))
    ) {
      throw bad(`Unknown command ${byUid ? "UID " : ""}${printable(verb)}`)
    }
    const mailbox = mailboxOf(session, verb, tokens[0])
    session.connection.observe(byUid ? `UID ${verb}` : verb, mailbox)
    const struck = command.takesOwnFaults === true
      ? undefined
      : session.host.faults.take({ protocol: "imap", at: verb, user: session.user?.name, mailbox })
    if (struck !== undefined && !await survives(session, struck, tag)) return
    if (struck?._tag === "Drop") {
      // What IDLE does is done once it has begun; it would only end with the client's DONE
      if (verb === "IDLE") {
        session.line("+ idling")
        session.out.flush()
        return session.drop()
      }
      session.mute()
    }
    await complete(session, command, { tag, verb, byUid, args })
    if (struck?._tag === "Drop") session.drop()
  } catch (error) {
    answerFailure(session, tag, error)
  }
}

const complete = async (
  session: Session,
  command: Commands[string] & {},
  { args, byUid, tag, verb }: Omit<Command, "session">
): Promise<void> => {
  if (command.state !== "any") session.login()
  if (command.state === "selected") session.selected()
  // The mailbox was renamed, replaced or removed by another session: nothing the client knows of it holds
  if (session.view?.invalid !== undefined && !leavesMailbox.has(verb)) {
    const why = session.view.invalid
    session.unselect()
    return session.farewell(`The selected mailbox was ${why}: select it anew`)
  }
  let text: string | undefined
  let failure: unknown
  try {
    text = await command.run({ session, tag, verb, byUid, args })
  } catch (error) {
    failure = error
  }
  session.view?.announce(session.out, session.enabled, !keepsNumbers.has(verb))
  if (failure !== undefined) answerFailure(session, tag, failure)
  else if (text !== undefined) session.line(`${tag} OK ${text}`)
  if (verb === "LOGOUT") session.close()
}

const answerFailure = (session: Session, tag: string, error: unknown): void => {
  if (error instanceof Refusal) {
    session.line(`${tag} ${error.status} ${statusText(printable(error.message), error.code)}`)
  } else session.line(`${tag} NO ${statusText(printable(String(error)), "SERVERBUG")}`)
}

const mailboxOf = (session: Session, verb: string, first: Token | undefined): string | undefined => {
  if (!namesMailbox.has(verb)) return session.view?.mailbox.path
  const name = textOf(first)
  return name === undefined ? undefined : decodeMailboxName(name)
}

const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 200)
