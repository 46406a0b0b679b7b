/** A user's first program, compiled and run against the packed library alone, on each version of Node that is promised. */
import { Effect, Layer, Redacted, Stream } from "effect"
import { AccountConfig, Endpoint, MailAccount, Password, Query } from "effect-mail"
import { MailServer } from "effect-mail/testing"

const user = { name: "alice", password: "secret" }

const account = Layer.unwrap(Effect.map(MailServer, ({ imapPort }) =>
  MailAccount.layer(
    new AccountConfig({
      name: user.name,
      imap: new Endpoint({ host: "127.0.0.1", port: imapPort, security: "none" }),
      credentials: new Password({ user: user.name, password: Redacted.make(user.password) })
    })
  )))

const letter = "Subject: =?windows-1252?Q?=93Ol=E9=94?=\r\nContent-Type: text/plain; charset=windows-1252\r\n" +
  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=80 10\r\n"

const program = Effect.gen(function*() {
  const mail = yield* MailAccount
  yield* mail.append("INBOX", new TextEncoder().encode(letter))
  const read = yield* Stream.runCollect(mail.messages(Query.in("INBOX")))
  const said = read.map(({ subject, text }) => `${subject}: ${text?.trim()}`)
  if (said.join() !== "“Olé”: € 10") return yield* Effect.die(new Error(`it read ${JSON.stringify(said)}`))
  yield* Effect.log(`Node ${process.version} read ${said}`)
})

await Effect.runPromise(program.pipe(Effect.provide(account.pipe(Layer.provide(MailServer.layer({ users: [user] }))))))
