import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setUp } from "../../docs/examples/profiles.ts"
import { Profiles } from "../../src/index.ts"
import { temporaryDirectory } from "../driver/TemporaryDirectory.ts"

const page = readFileSync(new URL("../../docs/profiles.md", import.meta.url), "utf8")

const at = (path: string) =>
  Effect.provide(
    ConfigProvider.layer(ConfigProvider.fromEnv({ env: { EFFECT_MAIL_CONFIG: path, HOME_APP_PASSWORD: "x" } }))
  )

describe("docs/profiles.md", () => {
  it.live("shows a file that is read", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryDirectory, "accounts.json")
      writeFileSync(path, /```json\n([\s\S]*?)```/.exec(page)?.[1] ?? "")
      const { config, default: chosen, names } = yield* Profiles.open().pipe(at(path))
      assert.deepStrictEqual([names, chosen], [["work", "home"], "work"])
      assert.strictEqual((yield* config("home").pipe(at(path))).imap?.host, "imap.gmail.com")
    }))

  it.live("shows how to set up accounts", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryDirectory, "accounts.json")
      yield* setUp.pipe(at(path))
      const { accounts, default: chosen } = yield* Profiles.read(path)
      assert.deepStrictEqual([Object.keys(accounts), chosen], [["work", "home"], "work"])
      assert.strictEqual(accounts.work?.imap?.host, "imap.example.com")
    }))
})
