/**
 * The embedded server as a program: makes the users and mailboxes it is told to, says its ports, and answers questions
 * about what it saw. It ends with its parent.
 */
import { Effect } from "effect"
import { MailServer, MailStore } from "effect-mail/testing"
import type { Digest } from "./Harness.ts"
import { bodyOf, type MailboxRecipe, messagesOf, Tally } from "./Mail.ts"

export interface EmbeddedOptions {
  readonly users: number
  readonly mailboxes: ReadonlyArray<MailboxRecipe>
}

export interface EmbeddedPorts {
  readonly imap: number
  readonly smtp: number
}

export interface EmbeddedCounts {
  readonly open: number
  readonly peak: number
  /** The bodies of the messages SMTP took since it was told to forget. */
  readonly bodies: Digest
}

const main = Effect.gen(function*() {
  const options = JSON.parse(process.argv[2] ?? "{}") as EmbeddedOptions // written by the parent, in this form
  const store = new MailStore()
  const mailboxes = Object.fromEntries(options.mailboxes.map((recipe) => [recipe.path, [...messagesOf(recipe)]]))
  for (let user = 0; user < options.users; user++) {
    store.addUser({ name: `user${user}`, password: "secret", address: `user${user}@example.com`, mailboxes })
  }
  const server = yield* MailServer.make({ store, smtpRequiresLogin: false, maxCommands: 1 })
  process.on("message", (message) => {
    const tally = new Tally()
    for (const { source } of server.accepted()) tally.add(bodyOf(source))
    if (message === "forget") server.forget()
    const counts: EmbeddedCounts = {
      open: server.connections().length,
      peak: server.peak({ protocol: "imap" }),
      bodies: tally.digest
    }
    process.send?.(counts)
  })
  const ports: EmbeddedPorts = { imap: server.imapPort, smtp: server.smtpPort }
  process.send?.(ports)
  return yield* Effect.never
})

if (process.argv[1] === import.meta.filename) {
  process.once("disconnect", () => process.exit())
  void Effect.runPromise(Effect.scoped(main))
}
