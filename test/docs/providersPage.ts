/** The page `docs/providers.md`, made from the data the library works with. */
import { Duration } from "effect"
import { questionTimeout } from "../../src/account/Discovery.ts"
import { portOf } from "../../src/domain/AccountConfig.ts"
import type { Provider, Sourced } from "../../src/domain/Provider.ts"
import { providers } from "../../src/domain/Providers.ts"
import { maxOctets } from "../../src/driver/discovery.ts"

const mark = ({ source, verified }: Sourced<unknown>) => `${verified ? "verified" : "unverified"}: ${source}`

const row = (what: string, value: string, from: Sourced<unknown> | undefined) =>
  `| ${what} | ${value} | ${from === undefined ? "nothing known" : mark(from)} |`

const section = (provider: Provider): string => {
  const { imap, messagesPerConnection, recipientsPerMessage, smtp } = provider
  const server = (protocol: "imap" | "smtp", { value }: Provider["imap"]) =>
    `\`${value.host}:${portOf(protocol, value)}\`, ${value.security === "tls" ? "TLS" : "STARTTLS"}`
  return [
    `## ${provider.name}`,
    "",
    `Id \`${provider.id}\`` +
    (provider.domains.length === 0
      ? ", chosen by id only"
      : `; domains ${provider.domains.map((name) => `\`${name}\``).join(", ")}`) +
    `. Log in ${provider.login}.`,
    "",
    "| what | value | source |",
    "|---|---|---|",
    row("IMAP server", server("imap", imap), imap),
    row("SMTP server", server("smtp", smtp), smtp),
    row("IMAP connections used at most", `${provider.imapConnections.value}`, provider.imapConnections),
    row("SMTP connections used at most", `${provider.smtpConnections.value}`, provider.smtpConnections),
    ...provider.rates.map((rate) =>
      row(`window for ${rate.value.per}`, `${rate.value.limit} in ${Duration.format(rate.value.window)}`, rate)
    ),
    row("recipients of one message", `${recipientsPerMessage?.value ?? "no limit set"}`, recipientsPerMessage),
    row("messages over one SMTP connection", `${messagesPerConnection?.value ?? "the default"}`, messagesPerConnection),
    row("files sent mail by itself", provider.filesSentMail.value ? "yes" : "no", provider.filesSentMail),
    ...(provider.refusals.length === 0 ? [] : [
      "",
      "| it says | which means |",
      "|---|---|",
      ...provider.refusals.map(({ meaning, text }) => `| \`${text}\` | \`${meaning}\` |`)
    ])
  ].join("\n")
}

export const providersPage = (): string =>
  [
    "# Providers",
    "",
    "What the library knows of mail providers, made from the same data it works with (`src/domain/Providers.ts`). " +
    "A number is *verified* if it was read in the provider's own words; the others are secondhand or careful choices, and " +
    "each can be overridden by the account's own limits. Providers change their limits without notice: correct the data, " +
    "with its source, and make this page anew with `UPDATE_DOCS=1 npm run test:unit`.",
    "",
    "Any other server gets the defaults of `Limits`, until its own limits are given.",
    "",
    "## Other domains",
    "",
    "`Discovery.discover(address)` finds the servers of an address. It asks, until both are found: this list, by the " +
    "domains below; nodemailer's list of SMTP services; DNS, for `_imaps._tcp`, `_imap._tcp`, `_submissions._tcp` and " +
    "`_submission._tcp` (RFC 6186, RFC 8314); and the file that a domain publishes for mail programs, at " +
    "`autoconfig.DOMAIN/mail/config-v1.1.xml` and `DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml`. Each question has " +
    `${Duration.format(questionTimeout)} and each answer ${
      maxOctets / 1024
    } KiB; one that fails is passed over. No server ` +
    "without TLS is taken, and the answer says where each server was found. DNS can be forged: ask the person before a " +
    "password is sent to a host that is not below their domain.",
    "",
    ...providers.map((provider) => `${section(provider)}\n`)
  ].join("\n")
