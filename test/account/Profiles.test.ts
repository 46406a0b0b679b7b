import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted, Schema } from "effect"
import * as fs from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { parseProfiles, printProfiles } from "../../src/account/ProfileSchema.ts"
import {
  AccessToken,
  Endpoint,
  Limits,
  limitsOf,
  MailAccounts,
  Password,
  type Profile,
  ProfileFile,
  Profiles,
  providerById,
  RateWindow
} from "../../src/index.ts"
import { temporaryDirectory } from "../driver/TemporaryDirectory.ts"

const withEnv = (env: Record<string, string>) => Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))

const work: Profile = {
  imap: new Endpoint({ host: "imap.example.com" }),
  smtp: new Endpoint({ host: "smtp.example.com", security: "starttls" }),
  user: "ann",
  password: { env: "WORK_PASSWORD" }
}

const file = Effect.map(temporaryDirectory, (directory) => join(directory, "accounts.json"))

/** A file that holds these accounts. */
const fileOf = (accounts: Readonly<Record<string, unknown>>, mode = 0o600) =>
  Effect.tap(
    file,
    (path) => Effect.sync(() => fs.writeFileSync(path, JSON.stringify({ version: 1, accounts }), { mode }))
  )

const entry = { imap: { host: "imap.example.com" }, user: "ann" }

describe("the place of the profiles", () => {
  const under = (env: Record<string, string>) => Profiles.defaultPath.pipe(withEnv(env))

  it.effect("is EFFECT_MAIL_CONFIG, else below XDG_CONFIG_HOME, else below ~/.config", () =>
    Effect.gen(function*() {
      const home = join(homedir(), ".config", "effect-mail", "accounts.json")
      assert.strictEqual(yield* under({ EFFECT_MAIL_CONFIG: "/a/b.json", XDG_CONFIG_HOME: "/x" }), "/a/b.json")
      assert.strictEqual(yield* under({ XDG_CONFIG_HOME: "/x" }), "/x/effect-mail/accounts.json")
      assert.strictEqual(yield* under({}), home)
      assert.strictEqual(yield* under({ EFFECT_MAIL_CONFIG: "", XDG_CONFIG_HOME: "" }), home)
      assert.strictEqual(yield* under({ XDG_CONFIG_HOME: "relative" }), home)
    }))

  it.live("is where they are written and read when none is named", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* Profiles.read(), { version: 1, accounts: {} })
        yield* Profiles.set("work", work)
        assert.deepStrictEqual(yield* Profiles.read(), { version: 1, accounts: { work } })
      }).pipe(withEnv({ EFFECT_MAIL_CONFIG: path }))
      assert.isTrue(fs.existsSync(path))
    }))
})

describe("the text of a profile file", () => {
  it.effect.each<readonly [string, string]>([
    ["", "profiles: Expected a valid JSON string"],
    ["{\"accounts\": s3cret", "profiles: Expected a valid JSON string"],
    ["[]", "profiles: Expected object"],
    [`{"accounts":{}}`, "version: is missing"],
    [`{"version":2,"accounts":{}}`, "version: Expected 1"],
    [`{"version":1,"accounts":{"w":"s3cret"}}`, "accounts.w: Expected object"],
    [`{"version":1,"accounts":{"w":{"passwort":"s3cret"}}}`, "accounts.w.passwort: is unknown here"],
    [`{"version":1,"accounts":{"w":{"password":5551234}}}`, "accounts.w.password: Expected object | string"],
    [`{"version":1,"accounts":{"w":{"password":["s3cret"]}}}`, "accounts.w.password: Expected object | string"],
    [
      `{"version":1,"accounts":{"w":{"password":{"evn":"s3cret"}}}}`,
      "accounts.w.password.evn: is unknown here; accounts.w.password.env: is missing; accounts.w.password.command: is missing"
    ],
    [
      `{"version":1,"accounts":{"w":{"imap":{"host":"h","port":99999},"limits":{"maxWait":"s3cret"}}}}`,
      "accounts.w.imap.port: Expected a value between 1 and 65535; accounts.w.limits.maxWait: Expected a valid Duration string"
    ],
    [
      `{"version":1,"accounts":{"w":{"smtp":{"host":"h","security":"s3cret"}}}}`,
      `accounts.w.smtp.security: Expected "tls" | "starttls" | "none"`
    ]
  ])("%s is refused by the name of the field", ([text, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(parseProfiles(text))
      assert.strictEqual(error.message, message)
      assert.notMatch(JSON.stringify(error) + String(error.stack), /s3cret|5551234/)
    }))

  it.effect.prop("is read back as it was written", [ProfileFile], ([profiles]) =>
    Effect.gen(function*() {
      const text = yield* printProfiles(profiles)
      const again = yield* printProfiles(yield* parseProfiles(text))
      assert.strictEqual(again, text)
    }))

  it.effect("keeps limits in the form of a person", () =>
    Effect.gen(function*() {
      const window = new RateWindow({ per: "send", limit: 10, window: Duration.hours(1) })
      const limits = new Limits({ maxWait: Duration.seconds(90), rates: [window] })
      const text = yield* printProfiles({ version: 1, accounts: { work: { ...work, limits } } })
      const { accounts } = yield* parseProfiles(text)
      assert.strictEqual(Duration.toMillis(accounts.work?.limits?.maxWait ?? 0), 90_000)
      assert.strictEqual(Duration.toMillis(accounts.work?.limits?.rates?.[0]?.window ?? 0), 3_600_000)
    }))

  it.live("is left as it is where it cannot be read", () =>
    Effect.gen(function*() {
      const path = yield* file
      fs.writeFileSync(path, "{ not yet")
      assert.strictEqual((yield* Effect.flip(Profiles.set("work", work, path))).field, "profiles")
      assert.strictEqual(fs.readFileSync(path, "utf8"), "{ not yet")
    }))
})

describe("changing the profiles", () => {
  const name = Schema.Literals(["work", "home", "constructor", "__proto__", "ünï code"])
  const step = Schema.Union([
    Schema.Struct({ set: name, user: Schema.Literals(["ann", "bob"]) }),
    Schema.Struct({ remove: name }),
    Schema.Struct({ choose: name })
  ])

  it.live.prop(
    "comes to what the same changes of a map come to",
    [Schema.Array(step).check(Schema.isMaxLength(12))],
    ([steps]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* file
        const model = { accounts: new Map<string, string>(), chosen: undefined as string | undefined } // filled below
        for (const step of steps) {
          if ("set" in step) {
            yield* Profiles.set(step.set, { ...work, user: step.user }, path)
            model.accounts.set(step.set, step.user)
          } else if ("remove" in step) {
            yield* Profiles.remove(step.remove, path)
            model.accounts.delete(step.remove)
            if (model.chosen === step.remove) model.chosen = undefined
          } else {
            const exit = yield* Effect.exit(Profiles.setDefault(step.choose, path))
            assert.strictEqual(exit._tag, model.accounts.has(step.choose) ? "Success" : "Failure")
            if (model.accounts.has(step.choose)) model.chosen = step.choose
          }
          const { accounts, default: chosen } = yield* Profiles.read(path)
          assert.deepStrictEqual(
            new Map(Object.entries(accounts).map(([name, { user }]) => [name, user])),
            model.accounts
          )
          assert.strictEqual(chosen, model.chosen)
        }
      })),
    { arbitrary: { runs: 25 } }
  )

  it.live("at once from many sides loses no change", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* Profiles.set("old", work, path)
      const names = Array.from({ length: 12 }, (_, index) => `a${index}`)
      yield* Effect.all([
        ...names.map((name) => Profiles.set(name, work, path)),
        Profiles.remove("old", path)
      ], { concurrency: "unbounded" })
      assert.sameMembers(Object.keys((yield* Profiles.read(path)).accounts), names)
    }))
})

describe("the configurations of the profiles", () => {
  const configOf = (path: string, env: Record<string, string> = {}) =>
    Effect.map(Profiles.configs(path), ([config]) => config ?? assert.fail()).pipe(withEnv(env))
  const failureOf = (path: string, env: Record<string, string> = {}) =>
    Effect.map(Effect.flip(Profiles.configs(path).pipe(withEnv(env))), (error) => {
      assert.notInclude(JSON.stringify(error) + String(error.stack), "s3cret")
      return error
    })

  it.live("have their secret from a variable, a command, or a file for its owner's eyes only", () =>
    Effect.gen(function*() {
      const passwordOf = Effect.fnUntraced(function*(password: unknown, mode?: number) {
        const path = yield* fileOf({ work: { ...entry, password } }, mode)
        const { credentials } = yield* configOf(path, { WORK_PASSWORD: "s3cret" })
        assert.instanceOf(credentials, Password)
        return credentials instanceof Password ? Redacted.value(credentials.password) : ""
      })
      assert.strictEqual(yield* passwordOf({ env: "WORK_PASSWORD" }, 0o644), "s3cret")
      assert.strictEqual(yield* passwordOf({ command: ["echo", "s3cret"] }, 0o644), "s3cret")
      assert.strictEqual(yield* passwordOf("s3cret"), "s3cret")
    }))

  it.live.each([0o640, 0o604, 0o620])(
    "are refused where others may open the file that holds a secret: %o",
    (mode) =>
      Effect.gen(function*() {
        const path = yield* fileOf({ work: { ...entry, token: "s3cret" } })
        fs.chmodSync(path, mode)
        const error = yield* failureOf(path)
        assert.strictEqual(error.field, "accounts.work.token")
        assert.include(error.problem, `run "chmod 600 ${path}"`)
      })
  )

  it.live.each<readonly [unknown, string, RegExp]>([
    [{ ...entry, password: { env: "WORK_PASSWORD" } }, "password", /environment variable WORK_PASSWORD is not set/],
    [{ ...entry, token: { env: "WORK_TOKEN" } }, "token", /environment variable WORK_TOKEN is not set/],
    [{ ...entry, password: { command: ["false", "s3cret"] } }, "password", /the command false failed \(exit code 1\)/],
    [{ ...entry, token: { command: ["false", "s3cret"] } }, "token", /the command false failed/],
    [entry, "password", /a password or a token is needed/],
    [{ user: "ann", password: "s3cret" }, "imap", /name the servers \(imap, smtp\), or a provider/],
    [{ imap: entry.imap, password: "s3cret" }, "user", /name the user, or the address/],
    [{ ...entry, provider: "gmial", password: "s3cret" }, "provider", /no provider "gmial"; there are: .*gmail/]
  ])("are refused by the name of the field: %j", ([profile, field, problem]) =>
    Effect.gen(function*() {
      const path = yield* fileOf({ work: profile })
      const error = yield* failureOf(path, { WORK_PASSWORD: "" })
      assert.strictEqual(error.field, `accounts.work.${field}`)
      assert.match(error.problem, problem)
    }))

  it.live("have the servers and limits of their provider, by id or by address, unless they name their own", () =>
    Effect.gen(function*() {
      const of = Effect.fnUntraced(function*(profile: object) {
        return yield* configOf(yield* fileOf({ work: { password: "x", ...profile } }))
      })
      const gmail = yield* of({ address: "ann@gmail.com" })
      assert.strictEqual(gmail.imap?.host, "imap.gmail.com")
      assert.strictEqual(gmail.credentials.user, "ann@gmail.com")
      const byId = yield* of({ address: "ann@example.com", provider: "fastmail", limits: { imapConnections: 7 } })
      assert.strictEqual(byId.imap?.host, "imap.fastmail.com")
      assert.deepStrictEqual(byId.limits, limitsOf(providerById("fastmail") ?? assert.fail(), { imapConnections: 7 }))
      assert.strictEqual(byId.limits.imapConnections, 7)
      const unhurried = yield* of({ address: "ann@gmail.com", limits: { maxWait: "30 seconds", rates: [] } })
      assert.strictEqual(Duration.toSeconds(unhurried.limits.maxWait), 30)
      assert.deepStrictEqual(unhurried.limits.rates, [])
      assert.strictEqual(unhurried.limits.imapConnections, gmail.limits.imapConnections)
      assert.strictEqual(unhurried.limits.recipientsPerMessage, 100)
      // of Gmail it is only said
      assert.isUndefined(gmail.filesSentMail)
      assert.isTrue((yield* of({ address: "ann@outlook.com" })).filesSentMail)
      assert.isUndefined((yield* of({ address: "ann@outlook.com", smtp: { host: "i" } })).filesSentMail)
      const own = yield* of({
        address: "ann@gmail.com",
        user: "x",
        imap: { host: "h" },
        smtp: { host: "i" },
        token: "t"
      })
      assert.deepStrictEqual([own.imap?.host, own.smtp?.host, own.credentials.user], ["h", "i", "x"])
      assert.instanceOf(own.credentials, AccessToken)
    }))

  it.live("are fetched one by one, and no other account's command is run", () =>
    Effect.gen(function*() {
      const path = yield* fileOf({
        work: { ...entry, password: { command: ["echo", "w"] } },
        broken: { ...entry, password: { command: ["false"] } }
      })
      const profiles = yield* Profiles.open(path)
      assert.deepStrictEqual([profiles.names, profiles.default], [["work", "broken"], undefined])
      assert.strictEqual((yield* profiles.config("work")).name, "work")
      assert.strictEqual((yield* Effect.flip(profiles.config("broken"))).field, "accounts.broken.password")
      const unknown = yield* Effect.flip(profiles.config("constructor"))
      assert.strictEqual(unknown.message, `name: there is no account "constructor"; there are: work, broken`)
      assert.strictEqual((yield* Profiles.open(yield* fileOf({ only: entry }))).default, "only")
    }))

  it.live("make the accounts of a program, which asks for a secret that failed once more", () =>
    Effect.gen(function*() {
      const path = yield* file
      const flag = `${path}.unlocked`
      yield* Profiles.set("work", {
        ...work,
        password: { command: [process.execPath, "-e", `process.exit(fs.existsSync(process.argv[1]) ? 0 : 1)`, flag] }
      }, path)
      yield* Profiles.set("home", work, path)
      yield* Effect.gen(function*() {
        const accounts = yield* MailAccounts
        assert.deepStrictEqual(accounts.names, ["work", "home"])
        const problemOf = (name: string) =>
          Effect.map(Effect.flip(accounts.account(name)), ({ account, reason }) => [account, reason.message])
        assert.deepStrictEqual(yield* problemOf("work"), [
          "work",
          `accounts.work.password: the command ${process.execPath} failed (exit code 1)`
        ])
        fs.writeFileSync(flag, "")
        assert.include((yield* problemOf("work"))[1], "printed nothing")
        assert.strictEqual((yield* accounts.account("home")).name, "home")
        assert.include((yield* problemOf("nobody"))[1], "there are: work, home")
      }).pipe(Effect.provide(MailAccounts.layerProfiles(path)), withEnv({ WORK_PASSWORD: "x" }))
      fs.writeFileSync(path, "")
      const error = yield* Effect.flip(Effect.provide(MailAccounts, MailAccounts.layerProfiles(path)))
      assert.strictEqual(error.reason._tag, "InvalidInput")
    }))

  it.live("are one account for two who try again after the same failure", () =>
    Effect.gen(function*() {
      const path = yield* file
      const secret = `${path}.secret`
      const program = "process.stdout.write(fs.readFileSync(process.argv[1]))"
      yield* Profiles.set("work", { ...work, password: { command: [process.execPath, "-e", program, secret] } }, path)
      yield* Effect.gen(function*() {
        const { account } = yield* MailAccounts
        const appear = Effect.sync(() => fs.writeFileSync(secret, "s3cret"))
        const patient = Effect.catch(account("work"), () => Effect.andThen(appear, account("work")))
        const [one, other] = yield* Effect.all([patient, patient], { concurrency: 2 })
        assert.strictEqual(one, other)
        assert.strictEqual(yield* account("work"), one)
      }).pipe(Effect.scoped, Effect.provide(MailAccounts.layerProfiles(path)))
    }))
})

describe("the predecessor's profiles", () => {
  const old = (name: string, changes: object = {}) => ({
    name,
    imap_server: "imap.example.com",
    smtp_server: "smtp.example.com",
    username: `${name}@example.com`,
    password: "s3cret",
    imap_port: 993,
    smtp_port: 587,
    imap_ssl: true,
    smtp_tls: true,
    ...changes
  })
  const text = (chosen: string | null, ...profiles: ReadonlyArray<ReturnType<typeof old>>) =>
    JSON.stringify({
      profiles: Object.fromEntries(profiles.map((profile) => [profile.name, profile])),
      default_profile: chosen
    })

  it.live("are taken over with their servers, their secrets and their default", () =>
    Effect.gen(function*() {
      const path = yield* file
      const secure = old("work", { smtp_port: 465 })
      const plain = old("home", { username: "ann", imap_ssl: false, imap_port: 143 })
      assert.deepStrictEqual(yield* Profiles.importPredecessor(text("work", secure, plain), path), ["work", "home"])
      assert.strictEqual((yield* Profiles.read(path)).default, "work")
      assert.strictEqual(fs.statSync(path).mode & 0o777, 0o600)
      const configs = yield* Profiles.configs(path)
      assert.deepStrictEqual(
        configs.map(({ address, credentials, imap, smtp }) => [address, credentials.user, { ...imap }, { ...smtp }]),
        [
          [
            "work@example.com",
            "work@example.com",
            { host: "imap.example.com", port: 993, security: "tls" },
            { host: "smtp.example.com", port: 465, security: "tls" }
          ],
          [
            undefined,
            "ann",
            { host: "imap.example.com", port: 143, security: "starttls" },
            { host: "smtp.example.com", port: 587, security: "starttls" }
          ]
        ]
      )
    }))

  it.live("replace nothing that is there, and bring no default that names nobody", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* Profiles.set("work", work, path)
      assert.deepStrictEqual(yield* Profiles.importPredecessor(text("gone", old("work"), old("home")), path), ["home"])
      const { accounts, default: chosen } = yield* Profiles.read(path)
      assert.deepStrictEqual(accounts.work, work)
      assert.isUndefined(chosen)
      yield* Profiles.setDefault("work", path)
      assert.deepStrictEqual(yield* Profiles.importPredecessor(text("home", old("home")), path), [])
      assert.strictEqual((yield* Profiles.read(path)).default, "work")
    }))

  it.live("are refused by the name of the field", () =>
    Effect.gen(function*() {
      const path = yield* file
      const error = yield* Effect.flip(
        Profiles.importPredecessor(`{"profiles":{"w":{"username":"","password":"s3cret","imap_port":"s3cret"}}}`, path)
      )
      assert.strictEqual(error.field, "profiles.w.imap_port")
      assert.notInclude(JSON.stringify(error) + String(error.stack), "s3cret")
      assert.isFalse(fs.existsSync(path))
    }))
})
