/**
 * What a code or a reply means: tables from the words of servers and sockets to `Reason`s. Rows are read from the top and
 * the first that fits decides, so rows that look at the text stand above the rows of the code it comes with.
 * No I/O, no state. It does not know whether an operation may be repeated, nor which connection heard the reply.
 */
import { Duration } from "effect"
import {
  AuthenticationFailed,
  ConnectionFailed,
  ConnectionLost,
  ConnectionRefusedByLimit,
  MailboxNotFound,
  ProtocolViolation,
  QuotaExceeded,
  type Reason,
  Rejected,
  Throttled,
  TooLarge,
  Unsupported
} from "../domain/MailError.ts"

/** A tagged NO or BAD, or a BYE. `code` is the response code (RFC 9051 7.1, RFC 5530) in upper case. */
export interface ImapRefusal {
  readonly status: "NO" | "BAD" | "BYE"
  readonly code?: string | undefined
  readonly text: string
}

/** What the refused command was about: its mailbox, and the octets it wanted to store. */
export interface ImapSubject {
  readonly mailbox?: string | undefined
  readonly size?: number | undefined
}

/** Where in a session a reply was given. `sender` is MAIL, `recipient` RCPT, `message` DATA and the end of the message. */
export type SmtpStep = "greeting" | "ehlo" | "starttls" | "login" | "sender" | "recipient" | "message"

/** One complete SMTP reply. `enhanced` is the code of RFC 3463; `text` is free of both codes, its lines joined by a space. */
export interface SmtpReply {
  readonly code: number
  readonly enhanced?: string | undefined
  readonly text: string
}

/** Where a connection was to be made to. */
export interface Attempt {
  readonly host: string
  readonly port: number
}

/** The reason behind the refusal of a login, or of a connection that was to become one (greeting BYE). */
export const imapLogin = (refusal: ImapRefusal): Reason => decide(loginRows, clean(refusal), {})

/** The reason behind a refused command of a session that is logged in. */
export const imapCommand = (refusal: ImapRefusal, subject: ImapSubject = {}): Reason =>
  decide(commandRows, clean(refusal), subject)

/** The reason behind a 4xx or 5xx reply, or one that fits no step. `size` is that of the message at hand, in octets. */
export const smtpReason = (heard: SmtpReply, step: SmtpStep, size = 0): Reason => {
  const reply = { ...heard, text: heard.text.slice(0, longestText) }
  const row = smtpRows.find((row) =>
    (row.step === undefined || row.step.includes(step)) &&
    (row.code === undefined || row.code.includes(reply.code)) &&
    (row.enhanced === undefined || (reply.enhanced !== undefined && row.enhanced.test(reply.enhanced))) &&
    (row.text === undefined || row.text.test(reply.text))
  )
  return (row?.reason ?? smtpRejected)(reply, size)
}

/** Reads the lines of a reply, with or without their line ends; undefined where it is not a reply (RFC 5321 4.2). */
export const parseSmtpReply = (response: string): SmtpReply | undefined => {
  const lines = response.split(/\r?\n/).filter((line) => line !== "")
  const code = /^([2-5]\d\d)(?:[ -]|$)/.exec(lines[0] ?? "")?.[1]
  if (code === undefined) return undefined
  let enhanced: string | undefined
  const text = lines.map((line) => {
    const rest = line.replace(/^\d{3}[ -]?/, "")
    const found = /^([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)/.exec(rest)
    enhanced ??= found?.[1]
    return found === null ? rest : rest.slice(found[0].length)
  })
  return { code: Number(code), enhanced, text: text.join(" ").trim() }
}

/**
 * Why the socket or the handshake of a new connection failed, by Node's error code. `step` is how far it had come, used
 * where the code does not tell.
 */
export const connectFailure = (
  attempt: Attempt,
  error: { readonly code?: string | undefined; readonly message: string },
  step: ConnectionFailed["step"]
): ConnectionFailed => {
  const code = error.code ?? ""
  const message = openssl.exec(error.message)?.[1] ?? error.message
  const row = socketRows.find((row) => row.code.test(code) && (row.text === undefined || row.text.test(error.message)))
  return new ConnectionFailed({
    ...attempt,
    step: row?.step ?? step,
    detail: code === "" || message.includes(code) ? message : `${code}: ${message}`,
    permanent: row?.permanent ?? false
  })
}

/**
 * What imapflow's own error codes mean for a command that was running; undefined for those that are no failure of the
 * wire. `written` tells whether the command may have reached the server.
 */
export const imapflowFailure = (
  error: {
    readonly code?: string | undefined
    readonly message: string
    readonly throttleReset?: number | undefined
    readonly literalSize?: number | undefined
    readonly maxSize?: number | undefined
  },
  written: boolean
): Reason | undefined => {
  const code = error.code ?? ""
  if (code === "ETHROTTLE") {
    return new Throttled({ response: plain(error.message), ...after(error.throttleReset) })
  }
  if (lostCodes.has(code) || /^E[A-Z]{3,}$/.test(code)) {
    return new ConnectionLost({ detail: code === "NoConnection" ? error.message : code, written })
  }
  if (code === "LiteralTooLarge" && Number.isSafeInteger(error.literalSize) && error.maxSize !== undefined) {
    return new TooLarge({ size: error.literalSize ?? 0, limit: error.maxSize })
  }
  if (brokenCodes.test(code)) return new ProtocolViolation({ detail: `${code}: ${plain(error.message)}`, written })
  if (code === "MissingServerExtension") {
    return new Unsupported({ capability: "a search extension", detail: plain(error.message) })
  }
  return undefined
}

/** More of a text is neither read nor kept: no server says so much, and some patterns look through it again and again. */
const longestText = 4096

/** Free of what a server adds for its own statistics: Dovecot ends its texts with "(0.001 + 0.000 secs).". */
export const plain = (text: string): string =>
  text.slice(0, longestText).replace(/(?<!\s)\s*\(\d+\.\d+ \+ \d+\.\d+(?: \+ \d+\.\d+)* secs\)\.?/g, "").trim()

// Words of refusals, in the order in which they are asked for.

const tooManyFailures =
  /too many (?:\w+ )?(?:failed|failures|invalid|bad|incorrect|unsuccessful)|too many .*(?:failures|failed)/i

const tooManyConnections = new RegExp(
  [
    "too many (?:\\w+ )*(?:connections|sessions|clients)",
    "(?:maximum|max\\.?)(?: allowed)? (?:number|amount|count) of (?:\\w+ )*(?:connections|sessions|logins)",
    "(?:concurrent|simultaneous|open) (?:\\w+ )?(?:connections?|sessions?|logins?).*(?:limit|exceed|reached|allowed)",
    "(?:connections?|sessions?|sender thread) (?:limit|count|quota)s? .*(?:exceed|reached)",
    "(?:exceed\\w*|reached) .*(?:connections|sessions)\\b",
    "too many (?:concurrent|simultaneous) (?:logins|users)"
  ].join("|"),
  "i"
)

const slowDown = new RegExp(
  [
    "throttl",
    "suggested backoff time",
    "rate.?limit",
    "too many (?:\\w+ )?(?:requests|commands|login attempts|logins|attempts|messages|mails|emails)",
    "too (?:fast|frequent)",
    "(?:bandwidth|command)\\w* (?:or \\w+ )?limits?",
    "server (?:is )?(?:too )?busy",
    "slow down"
  ].join("|"),
  "i"
)

const temporary = /tempora(?:ry|rily)|try (?:it )?(?:again )?later|not available at (?:the|this) (?:moment|time)/i

/** What servers without response codes say of a mailbox that is not there. */
const noSuchMailbox =
  /(?:mailbox|folder)\b.*(?:does ?n[o']t exist|not exist|not found|unknown)|(?:no such|unknown|nonexistent) (?:mailbox|folder)/i

/**
 * Dovecot says this of a mailbox that was deleted, for as long as the session lasts and also when there is another mailbox
 * of that name. A session that begins now has it right.
 */
const staleSession = /mailbox was deleted under us/i

/** Exchange Online says this of its own back end, after a login that was right. */
const notConnected = /authenticated but not connected/i

interface ImapRow {
  readonly codes?: ReadonlyArray<string>
  readonly text?: RegExp
  readonly status?: ImapRefusal["status"]
  readonly reason: (refusal: ImapRefusal, subject: ImapSubject) => Reason
}

const authentication = ({ code, text }: ImapRefusal) => new AuthenticationFailed({ response: spoken(code, text) })
const byLimit = ({ code, text }: ImapRefusal) =>
  new ConnectionRefusedByLimit({ response: spoken(code, text), ...backoff(text) })
const throttled = ({ code, text }: ImapRefusal) => new Throttled({ response: spoken(code, text), ...backoff(text) })
const rejected = (transient: boolean): ImapRow["reason"] => ({ code, status, text }) =>
  new Rejected({ ...codeOf(code ?? (status === "NO" ? undefined : status)), text, transient })

/**
 * Login and greeting. A NO without a code that says nothing of limits or time is a wrong password, as RFC 5530 3 has it
 * for servers that send no codes. PRIVACYREQUIRED is `Rejected`: the server does not lack anything, it wants an encrypted
 * wire (RFC 5530 3), and asking again will not help. INUSE at login is Qboxmail's and others' way to say that all
 * sessions are taken.
 */
const loginRows: ReadonlyArray<ImapRow> = [
  { text: tooManyFailures, reason: authentication },
  { text: tooManyConnections, reason: byLimit },
  { text: slowDown, reason: throttled },
  { codes: ["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"], reason: authentication },
  { codes: ["LIMIT", "INUSE"], reason: byLimit },
  { codes: ["UNAVAILABLE", "THROTTLED", "OVERQUOTA"], reason: throttled },
  { codes: ["SERVERBUG"], reason: rejected(true) },
  { codes: ["CONTACTADMIN", "PRIVACYREQUIRED", "CLIENTBUG", "CANNOT"], reason: rejected(false) },
  { text: notConnected, reason: rejected(true) },
  { text: temporary, reason: rejected(true) },
  { status: "NO", reason: authentication },
  { status: "BYE", reason: rejected(true) },
  { reason: rejected(false) }
]

/**
 * Commands. OVERQUOTA is a full mailbox, except in Gmail's words about bandwidth. SERVERBUG is transient: Dovecot says it
 * of any internal error, and most of them have passed by the next attempt. ALREADYEXISTS is left to the caller. A session
 * that is stale is as good as lost, and the command has not taken place.
 */
const commandRows: ReadonlyArray<ImapRow> = [
  { status: "NO", text: staleSession, reason: ({ text }) => new ConnectionLost({ detail: text, written: false }) },
  { text: slowDown, reason: throttled },
  { codes: ["OVERQUOTA"], reason: ({ text }) => new QuotaExceeded({ response: text }) },
  {
    codes: ["TRYCREATE", "NONEXISTENT"],
    reason: (refusal, { mailbox }) =>
      mailbox === undefined ? rejected(false)(refusal, {}) : new MailboxNotFound({ mailbox })
  },
  { codes: ["LIMIT", "THROTTLED", "UNAVAILABLE"], reason: throttled },
  {
    codes: ["TOOBIG"],
    reason: ({ text }, { size }) => new TooLarge({ size: size ?? 0, response: text })
  },
  { codes: ["INUSE", "SERVERBUG", "EXPUNGEISSUED"], reason: rejected(true) },
  { codes: ["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"], reason: authentication },
  { text: notConnected, reason: rejected(true) },
  {
    status: "NO",
    text: noSuchMailbox,
    reason: (refusal, { mailbox }) =>
      refusal.code !== undefined || mailbox === undefined
        ? rejected(false)(refusal, {})
        : new MailboxNotFound({ mailbox })
  },
  { reason: rejected(false) }
]

const decide = (rows: ReadonlyArray<ImapRow>, refusal: ImapRefusal, subject: ImapSubject): Reason => {
  const row = rows.find(({ codes, status, text }) =>
    (codes === undefined || (refusal.code !== undefined && codes.includes(refusal.code))) &&
    (status === undefined || status === refusal.status) &&
    (text === undefined || text.test(refusal.text))
  )
  return (row?.reason ?? rejected(false))(refusal, subject)
}

const clean = ({ code, status, text }: ImapRefusal): ImapRefusal => ({
  status,
  code: code === undefined || code === "" ? undefined : code.toUpperCase(),
  text: plain(text)
})

interface SmtpRow {
  readonly step?: ReadonlyArray<SmtpStep>
  readonly code?: ReadonlyArray<number>
  readonly enhanced?: RegExp
  readonly text?: RegExp
  readonly reason: (reply: SmtpReply, size: number) => Reason
}

const smtpText = (reply: SmtpReply) => `${smtpCode(reply)} ${reply.text}`.trim()
const smtpCode = ({ code, enhanced }: SmtpReply) => enhanced === undefined ? `${code}` : `${code} ${enhanced}`
const smtpRejected = (reply: SmtpReply) =>
  new Rejected({ code: smtpCode(reply), text: reply.text, transient: reply.code < 500 && reply.code >= 400 })
const smtpAuthentication = (reply: SmtpReply) => new AuthenticationFailed({ response: smtpText(reply) })
const smtpByLimit = (reply: SmtpReply) =>
  new ConnectionRefusedByLimit({ response: smtpText(reply), ...backoff(reply.text) })
const smtpThrottled = (reply: SmtpReply) => new Throttled({ response: smtpText(reply), ...backoff(reply.text) })
const smtpTooLarge = (reply: SmtpReply, size: number) => new TooLarge({ size, response: smtpText(reply) })
const smtpQuota = (reply: SmtpReply) => new QuotaExceeded({ response: smtpText(reply) })

const beforeMail: ReadonlyArray<SmtpStep> = ["greeting", "ehlo", "starttls", "login"]

/**
 * SMTP. What is true of one recipient (greylisting, his full mailbox, one recipient too many) is `Rejected` and does not
 * slow the account down. 432 4.7.12 asks the user to log in once by another mechanism (RFC 4954 6); every other 432 is
 * Exchange counting connections. A 5xx never heals by waiting as far as the library is concerned, whatever its text says.
 */
const smtpRows: ReadonlyArray<SmtpRow> = [
  { step: ["login"], code: [432], enhanced: /^4\.7\.12$/, reason: smtpAuthentication },
  { step: ["login"], text: tooManyFailures, reason: smtpAuthentication },
  { step: beforeMail, text: tooManyConnections, reason: smtpByLimit },
  { code: [421, 432, 450, 451, 452, 454], text: tooManyConnections, reason: smtpByLimit },
  { step: ["login"], code: [535], text: slowDown, reason: smtpThrottled },
  { code: [432], reason: smtpThrottled },
  { step: ["starttls"], code: [454], reason: smtpRejected },
  { code: [450, 451], text: /gr[ae]y.?list/i, reason: smtpRejected },
  { code: [452], enhanced: /^4\.5\.3$/, reason: smtpRejected },
  { code: [452], text: /too many recipients/i, reason: smtpRejected },
  { step: ["recipient"], code: [450, 451, 452], enhanced: /^4\.2\.\d+$/, reason: smtpRejected },
  { code: [421], reason: smtpThrottled },
  { code: [450, 451, 452, 454], enhanced: /^4\.7\.\d+$/, reason: smtpThrottled },
  { step: ["login"], code: [454], reason: smtpThrottled },
  { code: [450, 451, 452, 454, 458], text: slowDown, reason: smtpThrottled },
  { code: [538], reason: smtpRejected },
  { code: [530, 534, 535], text: /starttls|encrypt/i, reason: smtpRejected },
  { code: [525, 530, 534, 535], reason: smtpAuthentication },
  { step: ["recipient"], code: [552], enhanced: /^5\.2\.2$/, reason: smtpRejected },
  { code: [552, 554, 550, 523], enhanced: /^5\.(?:3\.4|2\.3)$/, reason: smtpTooLarge },
  { code: [552, 554, 550], enhanced: /^5\.2\.2$/, reason: smtpQuota },
  { code: [552], enhanced: /./, reason: smtpRejected },
  { code: [552], text: /size|large|too big|length/i, reason: smtpTooLarge },
  { step: ["sender", "message"], code: [552], text: /quota|storage|full/i, reason: smtpQuota }
]

/** OpenSSL's own form of a failure, "40BD…:error:0A00010B:SSL routines:a_function:its reason:a/file.c:77:". */
const openssl = /^[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/

interface SocketRow {
  readonly code: RegExp
  readonly text?: RegExp
  readonly step?: ConnectionFailed["step"]
  readonly permanent: boolean
}

const certificate =
  "CERT_\\w+|\\w*CERTIFICATE\\w*|UNABLE_TO_\\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|" +
  "ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH|CRL_\\w+|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED"

/** Node's codes: a name that does not exist, a certificate and a port that speaks something else do not heal by waiting. */
const socketRows: ReadonlyArray<SocketRow> = [
  { code: /^(?:ENOTFOUND|EDNS)$/, text: /EAI_AGAIN|queryA.*TIMEOUT/, step: "dns", permanent: false },
  { code: /^(?:ENOTFOUND|EDNS|ENODATA|EBADNAME)$/, step: "dns", permanent: true },
  { code: /^(?:EAI_\w+|ETIMEOUT_DNS|ESERVFAIL)$/, step: "dns", permanent: false },
  {
    code: /^(?:ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL|EMFILE|ENFILE)$/,
    step: "tcp",
    permanent: false
  },
  { code: /^(?:ETIMEDOUT|CONNECT_TIMEOUT)$/, step: "tcp", permanent: false },
  { code: /^(?:EACCES|EPERM)$/, step: "tcp", permanent: true },
  { code: new RegExp(`^(?:${certificate})$`), step: "tls", permanent: true },
  { code: /^(?:EPROTO|ERR_SSL_\w+|ERR_TLS_\w+|STARTTLS_INJECTION)$/, step: "tls", permanent: true },
  { code: /./, text: /wrong version number|packet length too long|unknown protocol/i, step: "tls", permanent: true },
  { code: /^UPGRADE_TIMEOUT$/, step: "tls", permanent: false },
  { code: /^GREETING_TIMEOUT$/, step: "greeting", permanent: false }
]

const lostCodes = new Set([
  "NoConnection",
  "EConnectionClosed",
  "StateLogout",
  "ClosedAfterConnectText",
  "ClosedAfterConnectTLS",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END"
])

const brokenCodes = new RegExp(
  "^(?:Parser\\w+|UnexpectedTag|MissingTag|InvalidResponse|ResponseProcessingFailed|MAX_IMAP_NESTING_REACHED|" +
    "LineTooLarge|LiteralTooLarge|ResponseTooLarge|TooManyTokens|TooManyResponses|COMPRESS_TRAILING_DATA)$"
)

const spoken = (code: string | undefined, text: string) => code === undefined ? text : `[${code}] ${text}`.trim()
const codeOf = (code: string | undefined) => code === undefined ? {} : { code }

/** Exchange gives milliseconds; others, where they say a time at all, say seconds. */
const backoff = (text: string) => {
  const millis = /suggested backoff time:?\s*(\d{1,10})/i.exec(text)?.[1]
  if (millis !== undefined) return after(Number(millis))
  const seconds = /(?:try again|retry)(?: later)? (?:in|after) (\d{1,6}) sec/i.exec(text)?.[1]
  return after(seconds === undefined ? undefined : Number(seconds) * 1000)
}

const after = (millis: number | undefined) => millis === undefined ? {} : { retryAfter: Duration.millis(millis) }
