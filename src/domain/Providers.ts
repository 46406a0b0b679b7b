/**
 * The providers the library knows, as data. A number whose `verified` is false is the best that is known, chosen on the
 * careful side; correct it here, with its source, and the documentation follows.
 */
import { Duration } from "effect"
import { Endpoint, Trust } from "./AccountConfig.ts"
import { RateWindow } from "./Limits.ts"
import type { Provider, RefusalText, Sourced } from "./Provider.ts"

const read = <A>(value: A, source: string): Sourced<A> => ({ value, source, verified: true })
const heard = <A>(value: A, source: string): Sourced<A> => ({ value, source, verified: false })

const tls = (host: string, port: number) => new Endpoint({ host, port, security: "tls" })
const starttls = (host: string, port: number) => new Endpoint({ host, port, security: "starttls" })

const per = (scope: "send" | "recipients" | "bytes", limit: number, window: Duration.Input) =>
  new RateWindow({ per: scope, limit, window: Duration.fromInputUnsafe(window) })

const settings = "the provider's page on IMAP and SMTP settings"
const wellKnown = "the list of well-known services of nodemailer"
const careful = "a careful choice; the provider names no number"
const programs = "client programs and forums"

const appPassword = "with an app password, made in the account's security settings; the ordinary password is refused"

const gmailRefusals: ReadonlyArray<RefusalText> = [
  {
    protocol: "imap",
    text: "NO [ALERT] Too many simultaneous connections. (Failure)",
    meaning: "ConnectionRefusedByLimit"
  },
  { protocol: "imap", text: "NO [ALERT] Application-specific password required", meaning: "AuthenticationFailed" },
  { protocol: "imap", text: "NO [OVERQUOTA] Account exceeded command or bandwidth limits.", meaning: "Throttled" },
  { protocol: "smtp", text: "421 4.7.0 Try again later, closing connection.", meaning: "Throttled" },
  { protocol: "smtp", text: "550 5.4.5 Daily user sending quota exceeded.", meaning: "Rejected" }
]

const gmailBandwidth = heard(
  per("bytes", 2_500_000_000, "1 day"),
  "copies of the Workspace administrators' page on bandwidth limits"
)

const gmail: Provider = {
  id: "gmail",
  name: "Gmail",
  domains: ["gmail.com", "googlemail.com"],
  imap: heard(tls("imap.gmail.com", 993), settings),
  smtp: heard(tls("smtp.gmail.com", 465), wellKnown),
  imapConnections: heard(8, "15 at once, shared with all of the user's programs, by many reports; half of it here"),
  smtpConnections: heard(2, careful),
  rates: [heard(per("send", 500, "1 day"), "secondhand copies of the page on sending limits"), gmailBandwidth],
  recipientsPerMessage: read(100, "support.google.com/a/answer/166852: by SMTP"),
  messagesPerConnection: heard(100, careful),
  filesSentMail: heard(true, programs),
  refusals: gmailRefusals,
  login: `${appPassword}, or OAuth2 (OAuth2Grant.google)`
}

const googleWorkspace: Provider = {
  ...gmail,
  id: "google-workspace",
  name: "Google Workspace",
  domains: [],
  rates: [
    read(per("send", 2_000, "1 day"), "support.google.com/a/answer/166852"),
    read(per("recipients", 10_000, "1 day"), "support.google.com/a/answer/166852"),
    gmailBandwidth
  ],
  login: "with OAuth2 (OAuth2Grant.google), or an app password where the administrator allows it"
}

const exchangeRefusals: ReadonlyArray<RefusalText> = [
  {
    protocol: "smtp",
    text: "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded; Concurrent connections limit exceeded",
    meaning: "ConnectionRefusedByLimit"
  },
  {
    protocol: "imap",
    text: "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
    meaning: "Throttled"
  },
  { protocol: "imap", text: "NO AUTHENTICATE failed.", meaning: "AuthenticationFailed" }
]

const microsoft365: Provider = {
  id: "microsoft-365",
  name: "Microsoft 365",
  domains: [],
  imap: heard(tls("outlook.office365.com", 993), settings),
  smtp: heard(starttls("smtp.office365.com", 587), wellKnown),
  imapConnections: heard(
    8,
    "15 to 20 at once are claimed for Exchange Online, 16 is Exchange's own default; half of it here"
  ),
  smtpConnections: read(3, "learn.microsoft.com, smtp-submission-improvements"),
  rates: [
    read(per("send", 30, "1 minute"), "learn.microsoft.com, smtp-submission-improvements"),
    read(per("recipients", 10_000, "1 day"), "learn.microsoft.com, smtp-submission-improvements")
  ],
  recipientsPerMessage: heard(500, "support.microsoft.com on sending limits, for Outlook.com with a subscription"),
  messagesPerConnection: heard(100, careful),
  filesSentMail: read(true, "techcommunity.microsoft.com 607825"),
  refusals: exchangeRefusals,
  login: "with OAuth2 (OAuth2Grant.microsoft); passwords are no longer accepted"
}

const outlook: Provider = {
  ...microsoft365,
  id: "outlook",
  name: "Outlook.com",
  domains: ["outlook.com", "hotmail.com", "live.com", "msn.com"],
  smtp: heard(starttls("smtp-mail.outlook.com", 587), settings),
  rates: [
    heard(
      per("recipients", 300, "1 day"),
      "free accounts, by reports; 5 000 with a subscription (support.microsoft.com)"
    )
  ]
}

const icloud: Provider = {
  id: "icloud",
  name: "iCloud Mail",
  domains: ["icloud.com", "me.com", "mac.com"],
  imap: heard(tls("imap.mail.me.com", 993), settings),
  smtp: heard(starttls("smtp.mail.me.com", 587), wellKnown),
  imapConnections: heard(3, "about 5 at once, by reports"),
  smtpConnections: heard(1, careful),
  rates: [
    read(per("send", 1_000, "1 day"), "support.apple.com/102198"),
    read(per("recipients", 1_000, "1 day"), "support.apple.com/102198")
  ],
  recipientsPerMessage: read(500, "support.apple.com/102198"),
  messagesPerConnection: heard(50, careful),
  filesSentMail: heard(false, programs),
  refusals: [],
  login: appPassword
}

const yahooLimits = {
  imapConnections: heard(4, "5 or 10 at once, by reports"),
  smtpConnections: heard(1, "the number is not published (help.yahoo.com SLN3433)"),
  rates: [heard(per("send", 500, "1 day"), "secondhand copies of the page on sending limits")],
  recipientsPerMessage: heard(100, "secondhand copies of the page on sending limits"),
  messagesPerConnection: read(20, "help.yahoo.com SLN3433: the connection is then closed without a code"),
  filesSentMail: heard(true, programs),
  refusals: [{
    protocol: "imap",
    text: "NO [LIMIT] Rate limit hit",
    meaning: "Throttled"
  }] satisfies ReadonlyArray<RefusalText>,
  login: appPassword
}

const yahoo: Provider = {
  id: "yahoo",
  name: "Yahoo Mail",
  domains: ["yahoo.com", "ymail.com", "rocketmail.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr"],
  imap: heard(tls("imap.mail.yahoo.com", 993), settings),
  smtp: heard(tls("smtp.mail.yahoo.com", 465), wellKnown),
  ...yahooLimits
}

const aol: Provider = {
  ...yahooLimits,
  id: "aol",
  name: "AOL Mail",
  domains: ["aol.com", "aim.com"],
  imap: heard(tls("imap.aol.com", 993), settings),
  smtp: heard(tls("smtp.aol.com", 465), settings),
  imapConnections: heard(4, "run by Yahoo; nothing of its own is published"),
  smtpConnections: heard(1, careful)
}

const fastmail: Provider = {
  id: "fastmail",
  name: "Fastmail",
  domains: ["fastmail.com", "fastmail.fm"],
  imap: heard(tls("imap.fastmail.com", 993), settings),
  smtp: heard(tls("smtp.fastmail.com", 465), settings),
  imapConnections: heard(4, careful),
  smtpConnections: heard(2, careful),
  rates: [],
  recipientsPerMessage: undefined,
  messagesPerConnection: heard(100, careful),
  filesSentMail: heard(false, programs),
  refusals: [],
  login: appPassword
}

const gmx: Provider = {
  id: "gmx",
  name: "GMX",
  domains: ["gmx.net", "gmx.de", "gmx.at", "gmx.ch"],
  imap: heard(tls("imap.gmx.net", 993), settings),
  smtp: heard(tls("mail.gmx.net", 465), settings),
  imapConnections: heard(1, "1 or 2 at once, by reports; a further one may end an earlier one"),
  smtpConnections: heard(1, careful),
  rates: [],
  recipientsPerMessage: undefined,
  messagesPerConnection: heard(50, careful),
  filesSentMail: heard(false, programs),
  refusals: [],
  login: "with the account's password, after IMAP was switched on in the web settings; until then the same words are " +
    "used as for a wrong password"
}

const zoho: Provider = {
  id: "zoho",
  name: "Zoho Mail",
  domains: ["zoho.com", "zohomail.com"],
  imap: heard(tls("imap.zoho.com", 993), settings),
  smtp: heard(tls("smtp.zoho.com", 465), wellKnown),
  imapConnections: heard(2, "about 3 sessions, as measured by the author of a mail program"),
  smtpConnections: heard(1, careful),
  rates: [read(per("send", 50, "1 hour"), "zoho.com/mail/help/adminconsole/rates-and-limits.html: 50 to 500, moving")],
  recipientsPerMessage: read(100, "zoho.com/mail/help/adminconsole/rates-and-limits.html: 150 where paid for"),
  messagesPerConnection: heard(50, careful),
  filesSentMail: heard(true, programs),
  refusals: [],
  login: appPassword
}

const yandex: Provider = {
  id: "yandex",
  name: "Yandex Mail",
  domains: ["yandex.com", "yandex.ru", "ya.ru"],
  imap: heard(tls("imap.yandex.com", 993), settings),
  smtp: heard(tls("smtp.yandex.com", 465), settings),
  imapConnections: heard(3, careful),
  smtpConnections: heard(1, careful),
  rates: [
    read(per("send", 500, "1 day"), "yandex.com/support on limits"),
    read(per("recipients", 500, "1 day"), "yandex.com/support on limits")
  ],
  recipientsPerMessage: read(35, "yandex.com/support on limits: by SMTP"),
  messagesPerConnection: heard(50, careful),
  filesSentMail: heard(false, programs),
  refusals: [],
  login: appPassword
}

const bridge = (port: number) =>
  new Endpoint({ host: "127.0.0.1", port, security: "starttls", trust: new Trust({ verify: false }) })

const protonBridge: Provider = {
  id: "proton-bridge",
  name: "Proton Mail Bridge",
  domains: [],
  imap: heard(bridge(1143), "the Bridge's default settings; it makes its own certificate"),
  smtp: heard(bridge(1025), "the Bridge's default settings; it makes its own certificate"),
  imapConnections: heard(2, careful),
  smtpConnections: heard(1, careful),
  rates: [],
  recipientsPerMessage: heard(100, programs),
  messagesPerConnection: undefined,
  filesSentMail: heard(true, programs),
  refusals: [],
  login: "with the user name and password that the Bridge shows for the account"
}

/** Every provider, in the order of the documentation. */
export const providers: ReadonlyArray<Provider> = [
  gmail,
  googleWorkspace,
  outlook,
  microsoft365,
  icloud,
  yahoo,
  aol,
  fastmail,
  gmx,
  zoho,
  yandex,
  protonBridge
]

/** The provider of this id, e.g. "gmail". */
export const providerById = (id: string): Provider | undefined => providers.find((provider) => provider.id === id)

/** The provider that an address is certainly at, by its domain. */
export const providerOf = (address: string): Provider | undefined => {
  const domain = address.slice(address.lastIndexOf("@") + 1).toLowerCase()
  return providers.find(({ domains }) => domains.includes(domain))
}
