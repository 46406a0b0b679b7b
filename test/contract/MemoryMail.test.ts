import { Effect, Layer, Redacted } from "effect"
import { AccountConfig, Endpoint, ImapDriver, MailAccount, Password, SmtpDriver } from "../../src/index.ts"
import { MemoryMail } from "../../src/testing/index.ts"
import { contract } from "./mailAccount.ts"
import { type Subject, type World, type WorldOptions, Worlds } from "./Subject.ts"

const secrets = { ann: "ann-secret", bob: "bob-secret" }
const refusedAddress = "nobody@example.com"

const start = (options: WorldOptions) =>
  MemoryMail.make({
    users: (["ann", "bob"] as const).map((name) => ({
      name,
      password: secrets[name],
      address: `${name}@example.com`,
      specialUse: true,
      ...(options.quota === undefined ? {} : { quota: options.quota })
    })),
    ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    ...(options.maxMessageBytes === undefined ? {} : { maxMessageBytes: options.maxMessageBytes }),
    faults: [{
      protocol: "smtp",
      at: "RCPT",
      mailbox: refusedAddress,
      times: Infinity,
      action: { _tag: "Reply", code: 550, text: "5.1.1 No such user here" }
    }]
  })

const worldOf = (mail: MemoryMail["Service"]): World => {
  const endpoint = new Endpoint({ host: "memory.example.com", security: "none" })
  const count = (protocol: "imap" | "smtp") => mail.connections({ protocol }).length
  const said = (protocol: "imap" | "smtp", verb: string) =>
    mail.commands().filter((command) => command.protocol === protocol && command.verb === verb).length
  return {
    config: (who) =>
      new AccountConfig({
        name: who,
        imap: endpoint,
        smtp: endpoint,
        credentials: Password.make({ user: who, password: Redacted.make(secrets[who]) }),
        address: `${who}@example.com`
      }),
    layer: (config, options) =>
      MailAccount.layerNoDeps(config, options).pipe(
        Layer.provide([Layer.succeed(ImapDriver, mail.imap), Layer.succeed(SmtpDriver, mail.smtp)])
      ),
    refusedAddress,
    connections: Effect.sync(() => ({ imap: count("imap"), smtp: count("smtp") })),
    peak: (effect) =>
      Effect.suspend(() => {
        mail.forget()
        return Effect.map(effect, (value) => ({
          value,
          peak: { imap: mail.peak({ protocol: "imap" }), smtp: mail.peak({ protocol: "smtp" }) }
        }))
      }),
    loginAttempts: Effect.sync(() => ({ imap: said("imap", "LOGIN"), smtp: said("smtp", "AUTH") }))
  }
}

const MemoryMailSubject: Subject = {
  name: "MemoryMail",
  lacks: ["sockets"],
  simulatesTime: true,
  layer: Layer.succeed(Worlds, { make: (options) => Effect.sync(() => worldOf(start(options))) })
}

contract(MemoryMailSubject)
