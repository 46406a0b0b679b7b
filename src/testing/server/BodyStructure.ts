/** ENVELOPE, BODY and BODYSTRUCTURE in the form of the wire (RFC 9051 7.5.2), from what the message itself says. Pure. */
import { fieldValue, isMultipart, type MimePart, type Parameterised } from "../MimeStructure.ts"
import { type RawAddress, type RawEnvelope, readEnvelope } from "../RawEnvelope.ts"
import { quoteBinary, quoteOrNil } from "./Tokens.ts"

export const toEnvelope = (envelope: RawEnvelope): string =>
  `(${
    [
      quoteOrNil(envelope.date),
      quoteOrNil(envelope.subject),
      addressList(envelope.from),
      addressList(envelope.sender),
      addressList(envelope.replyTo),
      addressList(envelope.to),
      addressList(envelope.cc),
      addressList(envelope.bcc),
      quoteOrNil(envelope.inReplyTo),
      quoteOrNil(envelope.messageId)
    ].join(" ")
  })`

const addressList = (addresses: ReadonlyArray<RawAddress>): string =>
  addresses.length === 0 ? "NIL" : `(${addresses.map(address).join("")})`

const address = ({ host, mailbox, name }: RawAddress): string =>
  `(${quoteOrNil(name)} NIL ${quoteOrNil(mailbox)} ${quoteOrNil(host)})`

/** BODYSTRUCTURE where `extended`, else BODY. */
export const toBodyStructure = (part: MimePart, extended: boolean): string => {
  const { parameters, subtype, type } = part
  const tail = extended ? extension(part) : ""
  if (isMultipart(part)) {
    const children = part.children.map((child) => toBodyStructure(child, extended)).join("")
    return `(${children} ${quoteBinary(subtype)}${extended ? ` ${parameterList(parameters)}${tail}` : ""})`
  }
  const basic = [
    quoteBinary(type),
    quoteBinary(subtype),
    parameterList(parameters),
    quoteOrNil(fieldValue(part.header, "Content-ID")),
    quoteOrNil(fieldValue(part.header, "Content-Description")),
    quoteBinary(part.encoding),
    `${part.body.end - part.body.start}`
  ]
  if (part.message !== undefined) {
    basic.push(toEnvelope(readEnvelope(part.message.header)), toBodyStructure(part.message, extended), `${part.lines}`)
  } else if (type === "text") basic.push(`${part.lines}`)
  const md5 = extended ? ` ${quoteOrNil(fieldValue(part.header, "Content-MD5"))}` : ""
  return `(${basic.join(" ")}${md5}${tail})`
}

const extension = ({ disposition, header }: MimePart): string =>
  ` ${
    disposition === undefined ? "NIL" : `(${quoteBinary(disposition.value)} ${parameterList(disposition.parameters)})`
  } ${quoteOrNil(fieldValue(header, "Content-Language"))} ${quoteOrNil(fieldValue(header, "Content-Location"))}`

const parameterList = (parameters: Parameterised["parameters"]): string =>
  parameters.length === 0
    ? "NIL"
    : `(${parameters.map(([name, value]) => `${quoteBinary(name)} ${quoteBinary(value)}`).join(" ")})`
