/** Accounts as data: by hand, from plain data, at a known provider, with OAuth2, from nothing but an address. */
import { Effect, Layer, LayerMap, type Redacted } from "effect"
import {
  AccountConfig,
  configOf,
  Discovery,
  Endpoint,
  HostLimits,
  Limits,
  limitsOf,
  MailAccount,
  MailAccounts,
  OAuth2,
  OAuth2Grant,
  Password,
  providerById,
  providerOf,
  Trust
} from "effect-mail"

// #region own
/** Servers of one's own, whose certificates are signed by a private authority (`ca`: PEM text). */
export const own = (password: Redacted.Redacted, ca: string) =>
  new AccountConfig({
    name: "work",
    imap: new Endpoint({ host: "imap.example.com", trust: new Trust({ ca }) }),
    smtp: new Endpoint({ host: "smtp.example.com", security: "starttls", trust: new Trust({ ca }) }),
    credentials: new Password({ user: "ann", password }),
    address: "Ann <ann@example.com>",
    limits: new Limits({ imapConnections: 4 })
  })
// #endregion

// #region decode
/** The same from plain data, as a configuration file holds it. */
export const decoded = AccountConfig.decode({
  name: "work",
  imap: { host: "imap.example.com" },
  smtp: { host: "smtp.example.com", security: "starttls" },
  credentials: { user: "ann", password: "secret" },
  address: "Ann <ann@example.com>",
  limits: { imapConnections: 4, maxWait: "5 minutes", rates: [{ per: "send", limit: 20, window: "1 minute" }] }
})
// #endregion

// #region provider
/** An account at the provider of its address, with that provider's servers and limits; undefined where it is not known. */
export const atProvider = (address: string, password: Redacted.Redacted) => {
  const provider = providerOf(address)
  const credentials = new Password({ user: address, password })
  return provider === undefined ? undefined : configOf(provider, { name: address, address, credentials })
}
// #endregion

// #region oauth2
/** What a program has of Google: its own registration, and what a person's consent has given it. */
export interface Consent {
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  readonly refreshToken: Redacted.Redacted
}

/** The credentials of an account at Google, of whatever domain: `providerById("google-workspace")` has its servers. */
export const google = (address: string, consent: Consent) =>
  new OAuth2({ user: address, tokens: OAuth2Grant.google(consent) })
// #endregion

// #region discover
/** The account of an address, wherever its servers are. Ask the person first where they were found in DNS. */
export const discovered = Effect.fn("discovered")(function*(address: string, password: Redacted.Redacted) {
  const { discover } = yield* Discovery
  const { imap, provider = "", smtp } = yield* discover(address)
  const known = providerById(provider)
  return new AccountConfig({
    name: address,
    address,
    credentials: new Password({ user: imap?.user ?? smtp?.user ?? address, password }),
    ...(imap === undefined ? {} : { imap: imap.endpoint }),
    ...(smtp === undefined ? {} : { smtp: smtp.endpoint }),
    ...(known === undefined ? {} : { limits: limitsOf(known) })
  })
})
// #endregion

// #region many
/** Many accounts in one program, which opens at most 20 connections to any one host. */
export const many = (configs: ReadonlyArray<AccountConfig>) =>
  MailAccounts.layer(configs).pipe(Layer.provide(HostLimits.layer({ connectionsPerHost: 20 })))
// #endregion

// #region tenants
/** Accounts that come and go: each is looked up when it is asked for, and closed a minute after its last use. */
export const tenants = <E>(configOf: (tenant: string) => Effect.Effect<AccountConfig, E>) =>
  LayerMap.make(
    (tenant: string) => Layer.unwrap(Effect.map(configOf(tenant), (config) => MailAccount.layer(config))),
    { idleTimeToLive: "1 minute" }
  )
// #endregion
