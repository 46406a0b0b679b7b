/** The library as a subject: an account of its own for each case, opened once and kept warm. */
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import type { MessageSet } from "effect-mail"
import { AccountConfig, Endpoint, Limits, MailAccount, Password, Query } from "effect-mail"
import type { ImapServer } from "./Servers.ts"

export interface LibraryOptions {
  readonly imapPort?: number
  readonly smtpPort?: number
  readonly user?: string
  readonly password?: string
  readonly name?: string
  readonly limits?: ConstructorParameters<typeof Limits>[0]
}

export const configOf = (options: LibraryOptions): AccountConfig => {
  const endpoint = (port: number) => new Endpoint({ host: "127.0.0.1", port, security: "none" })
  return new AccountConfig({
    name: options.name ?? "bench",
    credentials: new Password({
      user: options.user ?? "user0",
      password: Redacted.make(options.password ?? "secret")
    }),
    ...(options.imapPort === undefined ? {} : { imap: endpoint(options.imapPort) }),
    ...(options.smtpPort === undefined ? {} : { smtp: endpoint(options.smtpPort) }),
    limits: new Limits(options.limits ?? {})
  })
}

export const account = (options: LibraryOptions): Effect.Effect<MailAccount["Service"], never, Scope.Scope> =>
  Effect.map(Layer.build(MailAccount.layer(configOf(options))), Context.get(MailAccount))

/** An IMAP account at a server behind this port, with this cap. */
export const imapAccount = (server: ImapServer, port: number, connections: number) =>
  account({ ...server, imapPort: port, limits: { imapConnections: connections } })

/** All messages of a mailbox, by name. */
export const allOf = (account: MailAccount["Service"], mailbox: string): Effect.Effect<MessageSet, unknown> =>
  account.search(Query.in(mailbox))
