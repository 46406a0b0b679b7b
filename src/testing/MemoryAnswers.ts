/**
 * What the answers of a server in memory mean to its client: faults, refusals of the store and missing capabilities as
 * the reasons of the contract, by the tables every adapter uses.
 */
import { Effect } from "effect"
import { ConnectionLost, ProtocolViolation, type Reason, Rejected, Unsupported } from "../domain/MailError.ts"
import type { SearchKey } from "../domain/SearchKey.ts"
import { imapCommand, type ImapRefusal, type ImapSubject } from "../driver/Classification.ts"
import type { Answer } from "./MemoryWire.ts"
import { StoreFailure } from "./StoreFailure.ts"

/** What an exchange of a session has in common with all others. */
export const sessionExchange = (command: string, roundTrip: number, subject: ImapSubject = {}) => ({
  command,
  roundTrip,
  mailbox: subject.mailbox,
  answered: (answer: Answer) => {
    const refusal = toRefusal(answer)
    return Effect.fail(
      refusal.status === "BYE"
        ? new ConnectionLost({ detail: refusal.text, written: true })
        : imapCommand(refusal, subject)
    )
  },
  lost: (detail: string, written: boolean): Reason => new ConnectionLost({ detail, written }),
  garbled: (detail: string): Reason => new ProtocolViolation({ detail, written: true })
})

/** A script that gives an SMTP reply to IMAP is read as a plain NO. */
export const toRefusal = (answer: Answer): ImapRefusal =>
  answer._tag === "Refuse"
    ? { status: answer.status, code: answer.code, text: answer.text }
    : { status: "NO", text: `${answer.code} ${answer.text}` }

/** What the store says, as the answer of a server that an adapter has read. */
export const answer = <A extends object | undefined>(
  result: A | StoreFailure,
  subject: ImapSubject
): Effect.Effect<A, Reason> =>
  result instanceof StoreFailure
    ? Effect.fail(imapCommand({ status: "NO", code: result.code, text: result.text }, subject))
    : Effect.succeed(result)

export const nothingSelected = new Rejected({ text: "no mailbox is selected", transient: false })

export const gone = (detail: string) => new ConnectionLost({ detail, written: false })

export const lacks = (capability: string, detail: string) => new Unsupported({ capability, detail })

/** The capability that a key needs and the server lacks. */
export const lackingFor = (key: SearchKey, capabilities: ReadonlySet<string>): string | undefined => {
  const needed = (name: string) => capabilities.has(name) ? undefined : name
  switch (key._tag) {
    case "And":
    case "Or":
      return key.keys.map((inner) => lackingFor(inner, capabilities)).find((name) => name !== undefined)
    case "Not":
      return lackingFor(key.key, capabilities)
    case "Modseq":
      return needed("CONDSTORE")
    case "Identifier":
      return needed("OBJECTID")
    case "Gmail":
      return needed("X-GM-EXT-1")
    default:
      return undefined
  }
}
