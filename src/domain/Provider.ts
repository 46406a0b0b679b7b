/**
 * What is known of a mail provider: servers, limits, habits. Every number carries where it comes from and whether it was
 * read there; `docs/providers.md` is made from the same data. Anything can be overridden by the account's own limits.
 */
import { AccountConfig, type Endpoint } from "./AccountConfig.ts"
import type { Credentials } from "./Credentials.ts"
import { Limits, type RateWindow, type SomeLimits } from "./Limits.ts"

/** Where a fact comes from. `verified`: read in the provider's own words; otherwise secondhand or by experience. */
export interface Sourced<A> {
  readonly value: A
  readonly source: string
  readonly verified: boolean
}

/** How a provider refuses one connection or message too many, in its own words. */
export interface RefusalText {
  readonly protocol: "imap" | "smtp"
  readonly text: string
  readonly meaning: "ConnectionRefusedByLimit" | "Throttled" | "AuthenticationFailed" | "Rejected"
}

export interface Provider {
  readonly id: string
  readonly name: string
  /** Domains of addresses that are always at this provider. */
  readonly domains: ReadonlyArray<string>
  readonly imap: Sourced<Endpoint>
  readonly smtp: Sourced<Endpoint>
  /** IMAP connections of one account at once. What is configured leaves some to the user's other programs. */
  readonly imapConnections: Sourced<number>
  readonly smtpConnections: Sourced<number>
  readonly rates: ReadonlyArray<Sourced<RateWindow>>
  /** Recipients of one message. */
  readonly recipientsPerMessage: Sourced<number> | undefined
  readonly messagesPerConnection: Sourced<number> | undefined
  /** The server files a message sent by SMTP in the Sent mailbox itself. */
  readonly filesSentMail: Sourced<boolean>
  readonly refusals: ReadonlyArray<RefusalText>
  /** What a person must know to log in. */
  readonly login: string
}

/** What `configOf` takes beside a provider. */
export interface ProviderAccount {
  readonly name: string
  readonly credentials: Credentials
  readonly address?: string | undefined
  /** Fields here replace the provider's. */
  readonly limits?: SomeLimits | undefined
}

/**
 * The limits of a provider: caps, windows, messages per connection, recipients per message. Half of what it allows where
 * others share it. Each of the overrides replaces its field and no other.
 */
export const limitsOf = (provider: Provider, overrides: ProviderAccount["limits"] = {}): Limits =>
  new Limits({
    imapConnections: provider.imapConnections.value,
    smtpConnections: provider.smtpConnections.value,
    rates: provider.rates.map(({ value }) => value),
    ...(provider.messagesPerConnection === undefined
      ? {}
      : { messagesPerConnection: provider.messagesPerConnection.value }),
    ...(provider.recipientsPerMessage === undefined
      ? {}
      : { recipientsPerMessage: provider.recipientsPerMessage.value }),
    ...overrides
  })

/** An account at a provider. */
export const configOf = (provider: Provider, account: ProviderAccount): AccountConfig =>
  new AccountConfig({
    name: account.name,
    credentials: account.credentials,
    imap: provider.imap.value,
    smtp: provider.smtp.value,
    limits: limitsOf(provider, account.limits),
    ...filingOf(provider),
    ...(account.address === undefined ? {} : { address: account.address })
  })

/** That a server files sent mail lets a message count as not sent where it is not found: hearsay is not enough for that. */
export const filingOf = ({ filesSentMail }: Provider): Pick<AccountConfig, "filesSentMail"> =>
  filesSentMail.verified || !filesSentMail.value ? { filesSentMail: filesSentMail.value } : {}
