import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { join } from "node:path"
import { Draft, Endpoint, MailAccount, MailAccounts, Profiles, Query } from "../../src/index.ts"
import { temporaryDirectory } from "../driver/TemporaryDirectory.ts"
import { startMailServer } from "./MailServerSubject.ts"

describe("accounts from the profile file", () => {
  it.live("log in with the secrets that the file refers to", () =>
    Effect.gen(function*() {
      const server = yield* startMailServer()
      const endpoint = (port: number) => new Endpoint({ host: server.host, port, security: "none" })
      const path = join(yield* temporaryDirectory, "accounts.json")
      const servers = { imap: endpoint(server.imapPort), smtp: endpoint(server.smtpPort) }
      yield* Profiles.set(
        "ann",
        { ...servers, user: "ann", address: "ann@example.com", password: { env: "ANN" } },
        path
      )
      yield* Profiles.set("bob", { ...servers, user: "bob", password: { command: ["echo", "bob-secret"] } }, path)
      yield* Effect.gen(function*() {
        const from = yield* Effect.provide(MailAccount, MailAccounts.get("ann"))
        assert.strictEqual(from.name, "ann")
        yield* Effect.scoped(Effect.gen(function*() {
          const accounts = yield* MailAccounts
          const ann = yield* accounts.account("ann")
          const bob = yield* accounts.account("bob")
          yield* ann.send(new Draft({ to: "bob@example.com", subject: "one", text: "two" }))
          assert.strictEqual((yield* bob.search(Query.inbox)).size, 1)
        }))
      }).pipe(
        Effect.provide(
          MailAccounts.layerProfiles(path).pipe(
            Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ANN: "ann-secret" } })))
          )
        )
      )
    }))
})
