/**
 * What became of a message, read from how far the send had come and from the replies on the wire alone: no error code
 * of a package is asked. Before the end of the message was written nothing can have been accepted; after it a complete
 * answer decides, and without one nobody can know (RFC 5321 4.2.5). Pure: facts in, fate out.
 */
import { Duration } from "effect"
import {
  ConnectionLost,
  InvalidInput,
  OutcomeUnknown,
  ProtocolViolation,
  type Reason,
  RecipientsRejected,
  RefusedRecipient,
  TimedOut
} from "../domain/MailError.ts"
import { parseSmtpReply, smtpReason } from "./Classification.ts"
import { isEvery } from "./ReplyReader.ts"
import type { SendPhase, SmtpAccepted, SmtpEnvelope } from "./SmtpDriver.ts"

/** What the package tells about a failed send. Only what no reply can tell is used: a refusal, a write that failed. */
export interface SendFailure {
  readonly message: string
  readonly command?: string | undefined
  readonly syscall?: string | undefined
  readonly response?: string | undefined
  readonly rejectedErrors?: ReadonlyArray<unknown> | undefined
}

export interface SendFacts {
  readonly phase: SendPhase
  readonly to: ReadonlyArray<string>
  /** Octets of the message. */
  readonly size: number
  /** The complete replies since MAIL: to MAIL, each RCPT, DATA, then to the message. */
  readonly replies: ReadonlyArray<string>
  /** How many of them had come when the body was asked for. */
  readonly before: number
  /** Octets came between the go-ahead for the body and its end. */
  readonly heard: boolean
  readonly expired: boolean
  readonly isOpen: boolean
  readonly failure: SendFailure | undefined
  readonly allRecipients: boolean
  readonly commandTimeoutMillis: number
  readonly answerTimeoutMillis: number
}

/** How a send left the session: as new, in need of RSET, or in a state nobody knows. */
export type Aftermath = "clean" | "reset" | "broken"

export type Fate =
  | { readonly _tag: "Accepted"; readonly accepted: SmtpAccepted; readonly aftermath: Aftermath }
  | { readonly _tag: "Failed"; readonly reason: Reason; readonly aftermath: Aftermath }

export const concludeSend = (facts: SendFacts): Fate => {
  if (facts.phase === "committed") return afterCommit(facts)
  return facts.phase === "body" ? inBody(facts) : inEnvelope(facts)
}

const fail = (reason: Reason, aftermath: Aftermath): Fate => ({ _tag: "Failed", reason, aftermath })

const afterCommit = (facts: SendFacts): Fate => {
  const answer = facts.replies[facts.before]
  const open = facts.isOpen
  if (answer !== undefined && isEvery(answer, "2")) {
    const out = refusedRecipients(facts)
    const addresses = new Set(out.map(({ address }) => address))
    return {
      _tag: "Accepted",
      accepted: {
        accepted: facts.to.filter((address) => !addresses.has(address)),
        refused: out,
        response: printable(answer)
      },
      aftermath: open ? "clean" : "broken"
    }
  }
  if (answer !== undefined && isEvery(answer, "refusal")) {
    return fail(reasonOf(answer, "message", facts), open && !answer.startsWith("421") ? "reset" : "broken")
  }
  // all else was with the kernel: if this write failed, the end of the message is still here
  if (facts.failure?.syscall === "write") {
    return fail(new ConnectionLost({ detail: facts.failure.message, written: false }), "broken")
  }
  const detail = answer !== undefined
    ? `the answer to the message was ${JSON.stringify(printable(answer).slice(0, 200))}`
    : facts.expired
    ? `no answer to the message within ${Duration.format(Duration.millis(facts.answerTimeoutMillis))}`
    : `the connection was lost before the answer to the message (${cause(facts)})`
  const refused = refusedRecipients(facts)
  return fail(new OutcomeUnknown({ detail, ...(refused.length === 0 ? {} : { refused }) }), "broken")
}

const inBody = (facts: SendFacts): Fate => {
  const { before, replies, to } = facts
  const expected = to.length + 2
  const goAhead = replies[before - 1] ?? ""
  if (before !== expected || !goAhead.startsWith("354")) {
    return fail(
      violation(`the body was asked for with ${JSON.stringify(goAhead)}, reply ${before} of ${expected}`),
      "broken"
    )
  }
  const out = refusedRecipients(facts)
  if (facts.allRecipients && out.length > 0) {
    return fail(new RecipientsRejected({ recipients: out }), "broken")
  }
  const early = replies[before]
  if (early !== undefined) {
    return isEvery(early, "refusal")
      ? fail(reasonOf(early, "message", facts), "broken")
      : fail(violation(`an answer before the end of the message: ${JSON.stringify(early.slice(0, 200))}`), "broken")
  }
  if (facts.expired) return fail(timedOut("answer", facts.answerTimeoutMillis), "broken")
  if (facts.heard && facts.isOpen) {
    return fail(violation("octets before the end of the message"), "broken")
  }
  return fail(lostBefore(facts), "broken")
}

const inEnvelope = (facts: SendFacts): Fate => {
  const { failure, isOpen: open, replies } = facts
  // 421 may answer any command and ends the session (RFC 5321 3.8)
  const closing = replies.findIndex((reply) => reply.startsWith("421"))
  if (closing !== -1) return fail(reasonOf(replies[closing] ?? "", stepOf(facts, closing), facts), "broken")
  if (failure?.rejectedErrors !== undefined && failure.rejectedErrors.length > 0) {
    return fail(new RecipientsRejected({ recipients: refusedRecipients(facts) }), open ? "reset" : "broken")
  }
  if (failure?.response !== undefined) {
    const command = failure.command ?? ""
    const step = command.startsWith("MAIL") ? "sender" : command.startsWith("RCPT") ? "recipient" : "message"
    const clean = open && isEvery(failure.response, "refusal")
    return fail(reasonOf(failure.response, step, facts), clean ? "reset" : "broken")
  }
  if (facts.expired) return fail(timedOut("command", facts.commandTimeoutMillis), "broken")
  return fail(lostBefore(facts), "broken")
}

const stepOf = (facts: SendFacts, reply: number): "sender" | "recipient" | "message" =>
  reply === 0 ? "sender" : reply <= facts.to.length ? "recipient" : "message"

const violation = (detail: string): ProtocolViolation => new ProtocolViolation({ detail, written: false })

const timedOut = (wait: "command" | "answer", millis: number): TimedOut =>
  new TimedOut({ wait, after: Duration.millis(millis), written: false })

const lostBefore = (facts: SendFacts): ConnectionLost => new ConnectionLost({ detail: cause(facts), written: false })

const cause = (facts: SendFacts): string => facts.failure?.message ?? "closed by the server"

const reasonOf = (response: string, step: "sender" | "recipient" | "message", facts: SendFacts): Reason => {
  const reply = parseSmtpReply(printable(response))
  return reply === undefined || !isEvery(response, "refusal")
    ? violation(`the answer was ${JSON.stringify(response.slice(0, 200))}`)
    : smtpReason(reply, step, facts.size)
}

/** The replies to RCPT that are not 2xx, each with its recipient: replies come in the order of the commands. */
export const refusedRecipients = (facts: Pick<SendFacts, "to" | "replies">): ReadonlyArray<RefusedRecipient> =>
  facts.to.flatMap((address, index) => {
    const response = facts.replies[index + 1]
    if (response === undefined || response.startsWith("2")) return []
    const code = parseSmtpReply(response)?.code
    return [
      new RefusedRecipient({
        address,
        ...(code === undefined ? {} : { code }),
        response: printable(response),
        permanent: code !== undefined && code >= 500
      })
    ]
  })

/** Reply text has no charset; most servers write UTF-8 where they write more than ASCII. */
const printable = (response: string): string => {
  const utf8 = Buffer.from(response, "latin1").toString("utf8")
  return utf8.includes("\uFFFD") ? response : utf8
}

/** Refuses what could end or split a command: white space, control characters, angle brackets (RFC 5321 4.1.2). */
export const checkEnvelope = (envelope: SmtpEnvelope): InvalidInput | undefined => {
  if (envelope.to.length === 0) return new InvalidInput({ field: "to", problem: "a message needs a recipient" })
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  const bad = /[\s\x00-\x1f\x7f<>]/
  if (bad.test(envelope.from)) return new InvalidInput({ field: "from", problem: notAnAddress(envelope.from) })
  const to = envelope.to.find((address) => address === "" || bad.test(address))
  return to === undefined ? undefined : new InvalidInput({ field: "to", problem: notAnAddress(to) })
}

const notAnAddress = (address: string): string => `${JSON.stringify(address)} is not an address`
