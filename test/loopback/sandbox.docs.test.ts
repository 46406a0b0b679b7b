import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { readFileSync } from "node:fs"
import { confirmed, tidy } from "../../docs/examples/sandbox.ts"
import { AccountConfig, Endpoint, MailAccount, Password } from "../../src/index.ts"
import { MailServer } from "../../src/testing/index.ts"

const page = readFileSync(new URL("../../docs/sandbox.md", import.meta.url), "utf8")

const letter = (subject: string) => `From: Bob <bob@example.com>\r\nSubject: ${subject}\r\n\r\nHello.\r\n`

describe("docs/sandbox.md", () => {
  it.live("shows a program, its plan, and that the plan is what is done", () =>
    Effect.gen(function*() {
      const server = yield* MailServer.make({
        users: [{
          name: "ann",
          password: "secret",
          mailboxes: { INBOX: ["Invoice 12", "Lunch", "Invoice 13"].map(letter) }
        }]
      })
      const endpoint = (port: number) => new Endpoint({ host: server.host, port, security: "none" })
      const config = new AccountConfig({
        filesSentMail: false,
        name: "work",
        imap: endpoint(server.imapPort),
        smtp: endpoint(server.smtpPort),
        credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
        address: "ann@example.com"
      })
      const inbox = () => server.store.user("ann")?.inbox.uids
      yield* Effect.gen(function*() {
        let shown = ""
        const refused = yield* confirmed(config, tidy, (plan) => Effect.sync(() => (shown = plan, false)))
        assert.isUndefined(refused)
        const size = (text: string) => text.replace(/\d+ B/g, "N B")
        assert.include(size(page), size(`\`\`\`text\n${shown}\n\`\`\``))
        assert.deepStrictEqual([inbox(), server.accepted().length], [[1, 2, 3], 0])
        const done = yield* confirmed(config, tidy, () => Effect.succeed(true))
        assert.isUndefined(done?.error)
        assert.deepStrictEqual([inbox(), server.accepted().length], [[2], 1])
      }).pipe(Effect.provide(MailAccount.layer(config)))
    }))
})
