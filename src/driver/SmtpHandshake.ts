/**
 * What is read and decided while an SMTP session begins: the extensions a server offers, the mechanism to log in with,
 * what a message needs of them, and why it failed. No I/O; the adapter does what is decided here.
 */
import { Redacted } from "effect"
import type { Endpoint } from "../domain/AccountConfig.ts"
import type { AccessToken, Login } from "../domain/Credentials.ts"
import { InvalidInput, type Reason, TooLarge, Unsupported } from "../domain/MailError.ts"
import { connectFailure, parseSmtpReply, smtpReason, type SmtpStep } from "./Classification.ts"
import { withoutSecretOf } from "./EchoedSecret.ts"
import type { DsnOptions, SmtpEnvelope } from "./SmtpDriver.ts"

/** The extensions of a server with their parameters, both in upper case. */
export type Capabilities = ReadonlyMap<string, string>

/** What went wrong, in the words of the package or the socket. `response` is the server's reply, where there was one. */
export interface Failure {
  readonly message: string
  readonly code?: string | undefined
  readonly originalCode?: string | undefined
  readonly command?: string | undefined
  readonly response?: string | undefined
}

/** The extensions of an EHLO reply (RFC 5321 4.1.1.1) with their parameters, in upper case. */
export const readCapabilities = (response: string): Capabilities =>
  new Map(
    response.split(/\r?\n/).slice(1).map((line) => {
      const [, name = "", parameters = ""] = /^\d{3}[ -]\s*([^\s=]+)[\s=]*([^]*)$/.exec(line) ?? []
      return [name.toUpperCase(), parameters.trim().toUpperCase()]
    })
  )

/** In the order in which they are taken. */
const mechanisms = {
  Password: ["PLAIN", "LOGIN", "CRAM-MD5"],
  AccessToken: ["XOAUTH2", "OAUTHBEARER"]
} as const

/** The mechanism to log in with. Without AUTH there is none, whatever else the server would take (RFC 4954 3). */
export const chooseMechanism = (capabilities: Capabilities, credentials: Login): string | Unsupported => {
  const offered = capabilities.get("AUTH")
  if (offered === undefined) {
    return new Unsupported({ capability: "AUTH", detail: "the server offers no login on this wire" })
  }
  const names = offered.split(/[\s=]+/)
  const wanted = mechanisms[credentials._tag]
  return wanted.find((name) => names.includes(name)) ??
    new Unsupported({ capability: "AUTH", detail: `${wanted.join(", ")} wanted, ${offered} offered` })
}

/** The first message of XOAUTH2 (the providers' own) or OAUTHBEARER (RFC 7628 3.1), not yet in base64. */
export const bearerMessage = (
  mechanism: string,
  { host }: Endpoint,
  port: number,
  { token, user }: AccessToken
): string => {
  const secret = `auth=Bearer ${Redacted.value(token)}`
  // RFC 5801 4: "=" and "," of a name are written as =3D and =2C
  const name = user.replace(/=/g, "=3D").replace(/,/g, "=2C")
  return mechanism === "XOAUTH2"
    ? `user=${user}\x01${secret}\x01\x01`
    : `n,a=${name},\x01host=${host}\x01port=${port}\x01${secret}\x01\x01`
}

/** A server may repeat what it was given; none of it may reach an error. */
export const withoutSecret = (failure: Failure, credentials: Login): Failure => {
  const hide = withoutSecretOf(credentials)
  return {
    ...failure,
    code: failure.code,
    originalCode: failure.originalCode,
    command: failure.command,
    message: hide(failure.message),
    response: failure.response === undefined ? undefined : hide(failure.response)
  }
}

/** How far a connection had come. */
export interface Progress {
  readonly host: string
  readonly port: number
  readonly step: "tcp" | "greeting" | "login"
  readonly isUpgrading: boolean
}

/** As much as tells what is spoken at a port. */
const longestGreeting = 80

/** Why a connection could not be opened or logged in. */
export const connectReason = (failure: Failure, progress: Progress): Reason => {
  const reply = failure.response === undefined ? undefined : parseSmtpReply(failure.response)
  const command = failure.command ?? ""
  if (reply !== undefined) {
    const step: SmtpStep = command.startsWith("AUTH") || progress.step === "login"
      ? "login"
      : command === "STARTTLS"
      ? "starttls"
      : /^(?:EHLO|HELO)$/.test(command)
      ? "ehlo"
      : "greeting"
    if (step === "starttls" && reply.code >= 500) {
      return new Unsupported({ capability: "STARTTLS", detail: reply.text })
    }
    return smtpReason(reply, step)
  }
  const step = failure.code === "ETLS" || progress.isUpgrading ? "tls" : progress.step
  // nodemailer's own codes say less than its words; a code of Node stands behind them where there is one
  const code = failure.originalCode ??
    (/^E(?:CONNECTION|SOCKET|PROTOCOL|TLS|AUTH)$/.test(failure.code ?? "") ? undefined : failure.code)
  const message = failure.response !== undefined && progress.step === "greeting"
    ? `no greeting of SMTP: ${failure.response.slice(0, longestGreeting)}`
    : failure.message
  return connectFailure({ host: progress.host, port: progress.port }, { code, message }, step)
}

/** The SIZE a server announced (RFC 1870), octets; 0 means none. */
export const maxSizeOf = (capabilities: Capabilities): number | undefined =>
  Number(capabilities.get("SIZE")) || undefined

/** What the message needs and the server does not offer; undefined where all is well. */
export const checkOffer = (
  capabilities: Capabilities,
  { from, to }: SmtpEnvelope,
  size: number,
  dsn?: DsnOptions
): Reason | undefined => {
  const limit = maxSizeOf(capabilities)
  if (limit !== undefined && size > limit) return new TooLarge({ size, limit, response: `SIZE ${limit}` })
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  const international = [from, ...to].find((address) => !/^[\x00-\x7f]*$/.test(address))
  if (international !== undefined && !capabilities.has("SMTPUTF8")) {
    return new Unsupported({
      capability: "SMTPUTF8",
      detail: `${international} cannot be written without it (RFC 6531)`
    })
  }
  if (dsn !== undefined && !capabilities.has("DSN")) return noDsn()
  return undefined
}

/** Without the extension the parameters would be left out, and nobody would be notified. */
export const noDsn = (): Unsupported =>
  new Unsupported({ capability: "DSN", detail: "it cannot be asked for notifications (RFC 3461)" })

/** Refuses what RFC 3461 4 has no form for. */
export const checkDsn = ({ envid, notify }: DsnOptions): InvalidInput | undefined => {
  if (notify?.length === 0) return new InvalidInput({ field: "dsn.notify", problem: "name an event, or \"never\"" })
  // 4.4: printable text, at most 100 characters before it is encoded
  return envid !== undefined && !/^[\x20-\x7e]{1,100}$/.test(envid)
    ? new InvalidInput({ field: "dsn.envid", problem: "it is 1 to 100 characters of printable ASCII" })
    : undefined
}
