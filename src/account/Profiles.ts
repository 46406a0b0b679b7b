/**
 * The accounts a person has set up, by name, in one file: `$EFFECT_MAIL_CONFIG`, or `effect-mail/accounts.json` below
 * `$XDG_CONFIG_HOME` (default `~/.config`). Several programs may read and change it at once.
 */
import { Config, Effect, Option, Redacted } from "effect"
import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { InvalidInput } from "../domain/MailError.ts"
import * as file from "../driver/profiles.ts"
import {
  emptyProfiles,
  parsePredecessor,
  parseProfiles,
  printProfiles,
  type Profile,
  type ProfileFile,
  secretField,
  type SecretRef,
  toConfig
} from "./ProfileSchema.ts"

/** Where the profiles are, unless told otherwise. */
const defaultPath: Effect.Effect<string> = Effect.gen(function*() {
  const own = yield* variable("EFFECT_MAIL_CONFIG")
  if (own !== undefined) return own
  const xdg = yield* variable("XDG_CONFIG_HOME")
  // a relative path is invalid there and to be ignored (XDG Base Directory Specification, "Basics")
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), ".config"), "effect-mail", "accounts.json")
})

/** A variable of the environment; none where it is empty. */
const variable = (name: string): Effect.Effect<string | undefined> =>
  Config.option(Config.String(name)).pipe(
    Effect.map((value) => Option.getOrUndefined(Option.filter(value, (text) => text !== ""))),
    Effect.orDie // an optional text cannot be wrong
  )

const at = (path: string | undefined) => path === undefined ? defaultPath : Effect.succeed(path)

const parse = (stored: file.StoredFile | undefined) =>
  stored === undefined ? Effect.succeed(emptyProfiles) : parseProfiles(stored.text)

/** The profiles as they are stored. Fails with `InvalidInput` that names the field. */
const read = (path?: string): Effect.Effect<ProfileFile, InvalidInput> =>
  Effect.flatMap(Effect.flatMap(at(path), file.read), parse)

/** Changes the profiles; what others change at the same time is kept. */
const change = (
  edit: (profiles: ProfileFile) => Effect.Effect<ProfileFile, InvalidInput>,
  path?: string
): Effect.Effect<void, InvalidInput> =>
  Effect.flatMap(
    at(path),
    (where) => file.update(where, (stored) => Effect.flatMap(Effect.flatMap(parse(stored), edit), printProfiles))
  )

/** Adds a profile, or replaces the one of this name. */
const set = (name: string, profile: Profile, path?: string): Effect.Effect<void, InvalidInput> =>
  change(
    (profiles) => Effect.succeed({ ...profiles, accounts: { ...profiles.accounts, [name]: profile } }),
    path
  )

/** Removes a profile; done if there is none. */
const remove = (name: string, path?: string): Effect.Effect<void, InvalidInput> =>
  change((profiles) => {
    const { [name]: _removed, ...accounts } = profiles.accounts
    const { default: chosen, ...rest } = profiles
    return Effect.succeed({
      ...rest,
      accounts,
      ...(chosen === undefined || chosen === name ? {} : { default: chosen })
    })
  }, path)

/** Chooses the account that is meant when none is named. */
const setDefault = (name: string, path?: string): Effect.Effect<void, InvalidInput> =>
  change(
    (profiles) =>
      Object.hasOwn(profiles.accounts, name)
        ? Effect.succeed({ ...profiles, default: name })
        : Effect.fail(new InvalidInput({ field: "default", problem: `there is no account "${name}"` })),
    path
  )

/**
 * Takes over the profiles of the predecessor's `accounts.json` whose names are not taken, and answers their names. Its
 * plain passwords come along, into a file that only its owner can read.
 */
const importPredecessor = (text: string, path?: string): Effect.Effect<ReadonlyArray<string>, InvalidInput> =>
  Effect.gen(function*() {
    const old = yield* parsePredecessor(text)
    let names: ReadonlyArray<string> = []
    yield* change((profiles) => {
      const fresh = Object.entries(old.accounts).filter(([name]) => !Object.hasOwn(profiles.accounts, name))
      names = fresh.map(([name]) => name)
      const chosen = profiles.default ?? old.default
      return Effect.succeed({
        ...profiles,
        accounts: { ...profiles.accounts, ...Object.fromEntries(fresh) },
        ...(chosen === undefined ? {} : { default: chosen })
      })
    }, path)
    return names
  })

/** The accounts of a file at one moment, each with the way to its configuration. */
export interface ProfileConfigs {
  /** The account that is meant when none is named: the chosen one, or the only one. */
  readonly default: string | undefined
  readonly names: ReadonlyArray<string>
  /** Fetches the secret of an account, and answers its configuration. Runs the command that prints it, if there is one. */
  readonly config: (name: string) => Effect.Effect<AccountConfig, InvalidInput>
}

/** The accounts of the file as it is now. Secrets are fetched when an account is asked for, and only its own. */
const open = (path?: string): Effect.Effect<ProfileConfigs, InvalidInput> =>
  Effect.gen(function*() {
    const where = yield* at(path)
    const stored = yield* file.read(where)
    const { accounts, default: chosen } = yield* parse(stored)
    const names = Object.keys(accounts)
    return {
      default: chosen ?? (names.length === 1 ? names[0] : undefined),
      names,
      config: Effect.fnUntraced(function*(name: string) {
        const profile = Object.hasOwn(accounts, name) ? accounts[name] : undefined
        if (profile === undefined) {
          const known = names.length === 0 ? `${where} has none` : `there are: ${names.join(", ")}`
          return yield* new InvalidInput({ field: "name", problem: `there is no account "${name}"; ${known}` })
        }
        const secret = secretField(profile)
        if (stored?.isPrivate === false && secret !== undefined) {
          return yield* new InvalidInput({
            field: `accounts.${name}.${secret}`,
            problem: `the secret stands in ${where}, which others can read: ` +
              `run "chmod 600 ${where}", or keep the secret in a variable (env) or with a program (command)`
          })
        }
        return yield* toConfig(name, profile, resolve)
      })
    }
  })

/**
 * The configurations of all profiles. Fails with `InvalidInput` that names the field: a profile that is incomplete, a
 * secret that cannot be had, or one that stands in a file others can read.
 */
const configs = (path?: string): Effect.Effect<ReadonlyArray<AccountConfig>, InvalidInput> =>
  Effect.flatMap(open(path), ({ config, names }) => Effect.forEach(names, config))

const resolve = (secret: SecretRef, field: string): Effect.Effect<Redacted.Redacted, InvalidInput> => {
  if (typeof secret === "string") return Effect.succeed(Redacted.make(secret))
  if ("command" in secret) return file.secretOf(secret.command, field)
  return Effect.flatMap(variable(secret.env), (value) =>
    value === undefined
      ? Effect.fail(new InvalidInput({ field, problem: `the environment variable ${secret.env} is not set` }))
      : Effect.succeed(Redacted.make(value)))
}

/** Reads and changes the accounts a person has set up. */
export const Profiles = {
  defaultPath,
  read,
  set,
  remove,
  setDefault,
  importPredecessor,
  open,
  configs
} as const
