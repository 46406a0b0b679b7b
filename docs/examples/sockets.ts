/** A program that needs real sockets, on a server that is started for it. */
import { Effect, Redacted } from "effect"
import { AccountConfig, Endpoint, MailAccount, Password, Query } from "effect-mail"
import { MailServer, SampleMail } from "effect-mail/testing"

// #region server
export const main = Effect.gen(function*() {
  const server = yield* MailServer.make({
    users: [{
      name: "ann",
      password: "secret",
      mailboxes: { INBOX: SampleMail.make({ seed: 1, count: 50 }).map(({ source }) => source) }
    }],
    maxConnections: { imap: 1 }
  })
  server.faults.add({ protocol: "imap", at: "SEARCH", action: { _tag: "Drop", when: "after" } })

  const config = new AccountConfig({
    name: "ann",
    imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
    credentials: new Password({ user: "ann", password: Redacted.make("secret") })
  })
  const found = yield* MailAccount.use((mail) => mail.search(Query.inbox)).pipe(
    Effect.provide(MailAccount.layer(config))
  )
  // What the server saw: the search that was cut, and its repetition, over one connection at a time.
  const searches = server.commands().filter(({ verb }) => verb === "UID SEARCH").length
  return { found: found.size, searches, peak: server.peak({ protocol: "imap" }) }
})
// #endregion
