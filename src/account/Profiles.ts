/**
 * The accounts a person has set up, by name, in one file: `$EFFECT_MAIL_CONFIG`, or `effect-mail/accounts.json` below
 * `$XDG_CONFIG_HOME` (default `~/.config`). Several programs may read and change it at once.
 */
import { Config, Effect, Option, Redacted } from "effect"
import { homedir } from "node:os"
import { join } from "node:path"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { InvalidInput } from "../domain/MailError.ts"
import * as file from "../driver/profiles.ts"
import {
  emptyProfiles,
  holdsSecret,
  parsePredecessor,
  parseProfiles,
  printProfiles,
  type Profile,
  type ProfileFile,
  type SecretRef,
  toConfig
} from "./ProfileSchema.ts"

/** Where the profiles are, unless told otherwise. */
const defaultPath: Effect.Effect<string> = Effect.gen(function*() {
  const own = yield* Config.option(Config.NonEmptyString("EFFECT_MAIL_CONFIG"))
  if (Option.isSome(own)) return own.value
  const xdg = yield* Config.option(Config.NonEmptyString("XDG_CONFIG_HOME"))
  return join(Option.getOrElse(xdg, () => join(homedir(), ".config")), "effect-mail", "accounts.json")
}).pipe(Effect.orDie) // an optional text cannot be wrong

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
      profiles.accounts[name] === undefined
        ? Effect.fail(new InvalidInput({ field: "default", problem: `there is no account "${name}"` }))
        : Effect.succeed({ ...profiles, default: name }),
    path
  )

/**
 * Takes over the profiles of the predecessor's `accounts.json` whose names are not taken, and answers their names. Its
 * plain passwords come along, into a file that only its owner can read.
 */
const importPredecessor = (text: string, path?: string): Effect.Effect<ReadonlyArray<string>, InvalidInput> =>
  Effect.gen(function*() {
    const old = yield* parsePredecessor(text)
    const names: Array<string> = []
    yield* change((profiles) => {
      const fresh = Object.entries(old.accounts).filter(([name]) => profiles.accounts[name] === undefined)
      names.push(...fresh.map(([name]) => name))
      const chosen = profiles.default ?? old.default
      return Effect.succeed({
        ...profiles,
        accounts: { ...profiles.accounts, ...Object.fromEntries(fresh) },
        ...(chosen === undefined ? {} : { default: chosen })
      })
    }, path)
    return names
  })

/**
 * The configurations of all profiles. Fails with `InvalidInput` that names the field: a profile that is incomplete, a
 * secret that cannot be had, or one that stands in a file others can read.
 */
const configs = (path?: string): Effect.Effect<ReadonlyArray<AccountConfig>, InvalidInput> =>
  Effect.gen(function*() {
    const where = yield* at(path)
    const stored = yield* file.read(where)
    const { accounts } = yield* parse(stored)
    const exposed = Object.entries(accounts).find(([, profile]) => holdsSecret(profile))
    if (stored?.isPrivate === false && exposed !== undefined) {
      return yield* new InvalidInput({
        field: `accounts.${exposed[0]}.password`,
        problem: `the secret stands in ${where}, which others can read: chmod 600 it, or keep the secret elsewhere`
      })
    }
    return yield* Effect.forEach(Object.entries(accounts), ([name, profile]) => toConfig(name, profile, resolve(name)))
  })

const resolve = (name: string) => (secret: SecretRef): Effect.Effect<Redacted.Redacted, InvalidInput> => {
  if (typeof secret === "string") return Effect.succeed(Redacted.make(secret))
  const field = `accounts.${name}.password`
  if ("command" in secret) return file.secretOf(secret.command, field)
  return Effect.mapError(
    Config.Redacted(secret.env),
    () => new InvalidInput({ field, problem: `the environment variable ${secret.env} is not set` })
  )
}

/** Reads and changes the accounts a person has set up. */
export const Profiles = { defaultPath, read, set, remove, setDefault, importPredecessor, configs } as const
