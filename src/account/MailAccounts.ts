/**
 * Many accounts by name: each is set up when it is first asked for, shared by all who ask, and closed some time after
 * the last of them has gone. Setting one up contacts nobody, so a failed login is never remembered here.
 */
import { Context, Duration, Effect, Layer, RcMap, Scope } from "effect"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { InvalidInput, MailError } from "../domain/MailError.ts"
import { timeFrom } from "../domain/OptionCheck.ts"
import type { ImapDriver } from "../driver/ImapDriver.ts"
import * as imapflow from "../driver/imapflow.ts"
import * as mailparser from "../driver/mailparser.ts"
import type { MessageComposer } from "../driver/MessageComposer.ts"
import type { MessageParser } from "../driver/MessageParser.ts"
import * as nodemailer from "../driver/nodemailer.ts"
import type { SmtpDriver } from "../driver/SmtpDriver.ts"
import { type AccountOptions, MailAccount, make as makeAccount } from "./MailAccount.ts"
import { Profiles } from "./Profiles.ts"

export interface AccountsOptions extends AccountOptions {
  /**
   * An account that nobody uses is closed after this time. Default: `MailAccounts.idleTimeToLive`. Building the layer
   * dies with a `TypeError` for a time that is none, or less than none.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/**
 * The accounts of a program.
 *
 * **Lifetime** An account stays open while anybody's scope holds it, and `idleTimeToLive` longer; all close with the layer.
 */
export class MailAccounts extends Context.Service<MailAccounts, {
  readonly names: ReadonlyArray<string>
  /** An account, held by the caller's scope. Fails with `InvalidInput` for a name that is not configured. */
  readonly account: (name: string) => Effect.Effect<MailAccount["Service"], MailError, Scope.Scope>
}>()("effect-mail/account/MailAccounts") {
  static readonly idleTimeToLive = Duration.minutes(5)

  /** The layer of one of the accounts: `Effect.provide(program, MailAccounts.get("work"))`. */
  static readonly get = (name: string): Layer.Layer<MailAccount, MailError, MailAccounts> =>
    Layer.effect(MailAccount, Effect.flatMap(MailAccounts, (accounts) => accounts.account(name)))

  /** Accounts with the library's own drivers. Building the layer dies with a `TypeError` where two have the same name. */
  static readonly layer = (
    configs: Iterable<AccountConfig>,
    options?: AccountsOptions
  ): Layer.Layer<MailAccounts> =>
    this.layerNoDeps(configs, options).pipe(Layer.provide([imapflow.layer, nodemailer.layerSmtp]))

  /**
   * The accounts of the profile file (`Profiles.defaultPath`, or this one), as it is when the layer is built. A secret is
   * fetched when its account is opened, so that a command that prints one is run for this account only.
   */
  static readonly layerProfiles = (
    path?: string,
    options?: AccountsOptions
  ): Layer.Layer<MailAccounts, MailError> =>
    Layer.effect(
      this,
      Effect.flatMap(
        Effect.mapError(Profiles.open(path), (reason) =>
          new MailError({ account: "profiles", operation: "open", reason })),
        (profiles) =>
          make(profiles.names, profiles.config, options)
      )
    ).pipe(Layer.provide([imapflow.layer, nodemailer.layerSmtp, messages]))

  /** Accounts whose drivers come from the environment. */
  static readonly layerNoDeps = (
    configs: Iterable<AccountConfig>,
    options?: AccountsOptions
  ): Layer.Layer<MailAccounts, never, ImapDriver | SmtpDriver> =>
    Layer.effect(
      this,
      Effect.suspend(() => {
        const configsByName = byName(configs)
        const names = [...configsByName.keys()]
        return make(names, (name) => {
          const config = configsByName.get(name)
          return config === undefined ? unknown(name, names) : Effect.succeed(config)
        }, options)
      })
    ).pipe(Layer.provide(messages))
}

/** Reading and writing messages, the same for all accounts. */
const messages = Layer.merge(mailparser.layer, nodemailer.layerComposer)

/** A second account of a name would otherwise take the place of the first, and its mail would be sent by another. */
const byName = (configs: Iterable<AccountConfig>): ReadonlyMap<string, AccountConfig> => {
  const found = new Map<string, AccountConfig>()
  for (const config of configs) {
    if (found.has(config.name)) throw new TypeError(`two accounts are named "${config.name}"`)
    found.set(config.name, config)
  }
  return found
}

const unknown = (name: string, names: ReadonlyArray<string>) => {
  const known = names.length === 0 ? "none is configured" : `there are: ${names.join(", ")}`
  return Effect.fail(new InvalidInput({ field: "name", problem: `there is no account "${name}"; ${known}` }))
}

const make = Effect.fnUntraced(function*(
  names: ReadonlyArray<string>,
  configOf: (name: string) => Effect.Effect<AccountConfig, InvalidInput>,
  options: AccountsOptions | undefined
) {
  const context = yield* Effect.context<ImapDriver | SmtpDriver | MessageParser | MessageComposer>()
  const opened: RcMap.RcMap<string, MailAccount["Service"], MailError> = yield* RcMap.make({
    lookup: (name: string) =>
      configOf(name).pipe(
        Effect.mapError((reason) => new MailError({ account: name, operation: "account", reason })),
        // a secret that could not be had now may be had the next time
        Effect.tapError(() => RcMap.invalidate(opened, name)),
        Effect.flatMap((config) => makeAccount(config, options)),
        // not that of whoever happens to ask first: others use the account too
        Effect.updateContext((asking: Context.Context<Scope.Scope>) =>
          Context.add(context, Scope.Scope, Context.get(asking, Scope.Scope))
        )
      ),
    idleTimeToLive: timeFrom("MailAccounts: idleTimeToLive", 0, options?.idleTimeToLive ?? MailAccounts.idleTimeToLive)
  })
  return MailAccounts.of({
    names,
    account: Effect.fn("MailAccounts.account")((name) => RcMap.get(opened, name))
  })
})
