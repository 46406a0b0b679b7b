/**
 * Reports about a message that was sent: to whom it could not be delivered, was delayed or was delivered (RFC 3464), and
 * the least that can be read from the bounces of servers that write them in their own way.
 */
import { Option, Schema } from "effect"
import { isMailbox } from "./AddressText.ts"
import { valuesOf } from "./HeaderText.ts"
import { messageIdOf } from "./MessageId.ts"
import type { Original, OriginalAttachment } from "./Original.ts"

export const DeliveryAction = Schema.Literals(["failed", "delayed", "delivered", "relayed", "expanded"])
export type DeliveryAction = typeof DeliveryAction.Type

/**
 * What became of the message for one recipient. `recipient` is the address that was tried, `originalRecipient` the one
 * that was written to, where it was another. `status` is the code of RFC 3463 ("5.1.1"), `diagnostic` the words of the
 * server that said no.
 */
export class RecipientStatus extends Schema.Class<RecipientStatus>("effect-mail/RecipientStatus")({
  recipient: Schema.String,
  originalRecipient: Schema.optionalKey(Schema.String),
  action: DeliveryAction,
  status: Schema.optionalKey(Schema.String),
  diagnostic: Schema.optionalKey(Schema.String),
  remoteMta: Schema.optionalKey(Schema.String)
}) {
  /**
   * Whether sending again is of no use: it failed, and not with a code that calls itself persistent transient ("4.x.x",
   * RFC 3463 3.1). A server that gives up in the end may report the code of its last try, and then this is false.
   */
  get permanent(): boolean {
    return this.action === "failed" && this.status?.startsWith("4") !== true
  }
}

/**
 * A report. `standard` is false where it was read from a text made for people. `originalMessageId` is the Message-ID of
 * the message it is about, where the report holds it.
 *
 * **Gotchas** Reports are as easy to forge as any message: act only upon those whose `originalMessageId` is one you sent.
 */
export class DeliveryStatus extends Schema.Class<DeliveryStatus>("effect-mail/DeliveryStatus")({
  standard: Schema.Boolean,
  reportingMta: Schema.optionalKey(Schema.String),
  originalEnvelopeId: Schema.optionalKey(Schema.String),
  originalMessageId: Schema.optionalKey(Schema.String),
  recipients: Schema.Array(RecipientStatus)
}) {
  /** The report in a message; none where it is another kind of message. Never fails. */
  static of(message: Original): Option.Option<DeliveryStatus> {
    const originalMessageId = returnedId(message)
    const common = originalMessageId === undefined ? {} : { originalMessageId }
    const part = partOf(message, "message/delivery-status") ?? partOf(message, "message/global-delivery-status")
    if (part?.content !== undefined) {
      const [head = new Map<string, string>(), ...others] = groupsOf(textOf(part.content))
      // some servers leave out the fields of the message and begin with a recipient
      const recipients = [head, ...others].flatMap(recipientOf)
      const reportingMta = typed(head.get("reporting-mta"))
      const originalEnvelopeId = head.get("original-envelope-id")
      if (recipients.length > 0) {
        return Option.some(
          new DeliveryStatus({
            standard: true,
            ...(reportingMta === undefined ? {} : { reportingMta }),
            ...(originalEnvelopeId === undefined ? {} : { originalEnvelopeId }),
            ...common,
            recipients
          })
        )
      }
    }
    const recipients = isBounce(message) ? ownWay(message) : []
    return recipients.length === 0
      ? Option.none()
      : Option.some(new DeliveryStatus({ standard: false, ...common, recipients }))
  }
}

// --- RFC 3464

const partOf = (message: Original, type: string): OriginalAttachment | undefined =>
  message.attachments.find((part) => part.type.toLowerCase() === type)

const textOf = (octets: Uint8Array): string => new TextDecoder().decode(octets)

/** Groups of fields, parted by empty lines; fields in lower case, values unfolded. The first of a name counts. */
const groupsOf = (text: string): ReadonlyArray<Map<string, string>> =>
  text.replace(/\r\n?/g, "\n").split(/\n[ \t]*\n/).map((group) => {
    const fields = new Map<string, string>()
    let last: string | undefined
    for (const line of group.split("\n")) {
      if (/^[ \t]/.test(line)) {
        if (last !== undefined) fields.set(last, `${fields.get(last) ?? ""} ${line.trim()}`)
        continue
      }
      const colon = line.indexOf(":")
      const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase()
      last = colon < 1 || fields.has(name) ? undefined : name
      if (last !== undefined) fields.set(last, line.slice(colon + 1).trim())
    }
    return fields
  }).filter((fields) => fields.size > 0)

/** The value of a field that begins with its type: "rfc822; ann@example.com". */
const typed = (value: string | undefined): string | undefined => {
  const text = value?.replace(/^[^;]*;/, "").trim()
  return text === undefined || text === "" ? undefined : text
}

const addressOf = (value: string | undefined): string | undefined => {
  const text = typed(value)?.replace(/^<(.*)>$/, "$1")
  return text !== undefined && isMailbox(text) ? text : undefined
}

const recipientOf = (fields: ReadonlyMap<string, string>): ReadonlyArray<RecipientStatus> => {
  const original = addressOf(fields.get("original-recipient"))
  const recipient = addressOf(fields.get("final-recipient")) ?? original
  const status = /^([245]\.\d{1,3}\.\d{1,3})\b/.exec(fields.get("status") ?? "")?.[1]
  const action = actionOf(fields.get("action"), status)
  if (recipient === undefined || action === undefined) return []
  const diagnostic = typed(fields.get("diagnostic-code"))
  const remoteMta = typed(fields.get("remote-mta"))
  return [
    new RecipientStatus({
      recipient,
      ...(original === undefined || original === recipient ? {} : { originalRecipient: original }),
      action,
      ...(status === undefined ? {} : { status }),
      ...(diagnostic === undefined ? {} : { diagnostic }),
      ...(remoteMta === undefined ? {} : { remoteMta })
    })
  ]
}

const actionOf = (value: string | undefined, status: string | undefined): DeliveryAction | undefined => {
  const word = /^[a-z]+/.exec(value?.toLowerCase() ?? "")?.[0]
  const known = DeliveryAction.literals.find((action) => action === word)
  if (known !== undefined || status === undefined) return known
  return status.startsWith("5") ? "failed" : status.startsWith("4") ? "delayed" : "delivered"
}

/** The Message-ID in the returned message or its header. */
const returnedId = (message: Original): string | undefined => {
  const part = [
    "message/rfc822",
    "text/rfc822-headers",
    "message/global",
    "message/global-headers",
    "message/rfc822-headers"
  ]
    .map((type) => partOf(message, type)).find((part) => part?.content !== undefined)
  if (part?.content !== undefined) {
    const header = textOf(part.content.subarray(0, 64 * 1024)).replace(/^\s+/, "").split(/\r?\n\r?\n/, 1).join("")
    return messageIdOf(header)
  }
  const copy = /^-{2,}[^\n]*(?:copy|original message|returned message|message header)[^\n]*\n([\s\S]*)/im.exec(
    message.text ?? ""
  )?.[1]
  return copy === undefined ? undefined : messageIdOf(copy)
}

// --- reports made for people

/** A report is from a server itself, or says so by a field of its own. */
const isBounce = ({ from, headers }: Original): boolean =>
  valuesOf(headers, "x-failed-recipients").length > 0 ||
  from.some(({ address }) => /^(?:mailer-daemon|postmaster|mail-?delivery[^@]*)@?/i.test(address)) ||
  (valuesOf(headers, "return-path").some((path) => /^<\s*>$/.test(path.trim())) &&
    valuesOf(headers, "content-type").some((type) => /multipart\/report/i.test(type)))

/** Exim and Gmail name the recipients in a field; qmail and others write "<address>:" and the reason below it. */
const ownWay = (message: Original): ReadonlyArray<RecipientStatus> => {
  const text = (message.text ?? "").slice(0, maxText).replace(/\r\n?/g, "\n")
  const [report = ""] = text.split(/^-{2,}[^\n]*(?:copy|original message|returned message|message header)/im, 1)
  const late = /\b(?:not yet been delivered|attempts will continue|(?:keep|continue) trying|still being retried)\b/i
    .test(report)
  const named = valuesOf(message.headers, "x-failed-recipients").flatMap((value) => value.split(","))
  const found = new Map<string, RecipientStatus>()
  for (const address of named.map((each) => each.trim()).filter(isMailbox)) {
    found.set(address.toLowerCase(), statusFrom(address, reasonFor(report, address), late))
  }
  if (found.size > 0) return [...found.values()]
  for (
    const [, bracketed = "", indented = ""] of report.matchAll(
      /^(?:<([^<>\s]{3,320})>:|[ \t]{2,}<?([^<>\s@]{1,64}@[^<>\s]{1,255}?)>?:?)[ \t]*$/gm
    )
  ) {
    const address = bracketed === "" ? indented : bracketed
    if (isMailbox(address) && !found.has(address.toLowerCase())) {
      found.set(address.toLowerCase(), statusFrom(address, reasonFor(report, address), late))
    }
  }
  return [...found.values()]
}

/** Longer texts are no reports. */
const maxText = 100_000

/** The lines below an address, up to an empty one. */
const reasonFor = (report: string, address: string): string => {
  const at = report.toLowerCase().indexOf(address.toLowerCase())
  if (at < 0) return ""
  const below = report.slice(report.indexOf("\n", at) + 1)
  return report.indexOf("\n", at) < 0
    ? ""
    : below.replace(/^\n+/, "").split(/\n[ \t]*\n/, 1).join("").replace(/\s+/g, " ").trim()
}

const statusFrom = (recipient: string, reason: string, late: boolean): RecipientStatus => {
  const status = /(?:^|[^\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])/.exec(reason)?.[1]
  const reply = /(?:^|[^\d.])([45])\d\d[ -]/.exec(reason)?.[1]
  const transient = status === undefined ? reply === "4" : status.startsWith("4")
  return new RecipientStatus({
    recipient,
    action: late ? "delayed" : "failed",
    ...(status === undefined ? (transient ? { status: "4.0.0" } : {}) : { status }),
    ...(reason === "" ? {} : { diagnostic: reason.slice(0, 1000) })
  })
}
