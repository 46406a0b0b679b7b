/** MailServer on loopback as a subject of the contract: a server of its own for each test. */
import { Effect, Layer, Redacted } from "effect"
import { AccountConfig, Endpoint, MailAccount, Password } from "../../src/index.ts"
import { MailServer, type MailServerOptions, type MailServerShape, type Protocol } from "../../src/testing/index.ts"
import { type Subject, type Who, type World, type WorldOptions, Worlds } from "../contract/Subject.ts"
import { certificate, privateKey } from "./certificate.ts"

const refusedAddress = "nobody@example.com"

const secrets = { ann: "ann-secret", bob: "bob-secret" }

/** The world of a server that has the users ann and bob. */
export const worldOf = (server: MailServerShape, { tls = false }: WorldOptions = {}): World => {
  const endpoint = (protocol: Protocol) =>
    new Endpoint({
      host: server.host,
      port: protocol === "imap" ? server.imapPort : server.smtpPort,
      security: tls ? "tls" : "none",
      ...(tls ? { trust: { ca: certificate } } : {})
    })
  server.faults.add({
    protocol: "smtp",
    at: "RCPT",
    mailbox: refusedAddress,
    times: Infinity,
    action: { _tag: "Reply", code: 550, text: "5.1.1 No such user here" }
  })
  const count = (protocol: Protocol) => server.connections({ protocol }).length
  const verbs = (protocol: Protocol, wanted: ReadonlyArray<string>) =>
    server.commands().filter((command) => command.protocol === protocol && wanted.includes(command.verb)).length
  return {
    config: (who: Who) =>
      new AccountConfig({
        name: who,
        imap: endpoint("imap"),
        smtp: endpoint("smtp"),
        credentials: Password.make({ user: who, password: Redacted.make(secrets[who]) }),
        address: `${who}@example.com`,
        sentCopy: "never"
      }),
    layer: MailAccount.layer,
    refusedAddress,
    connections: Effect.sync(() => ({ imap: count("imap"), smtp: count("smtp") })),
    peak: (effect) =>
      Effect.suspend(() => {
        server.forget()
        return Effect.map(effect, (value) => ({
          value,
          peak: { imap: server.peak({ protocol: "imap" }), smtp: server.peak({ protocol: "smtp" }) }
        }))
      }),
    loginAttempts: Effect.sync(() => ({
      imap: verbs("imap", ["LOGIN", "AUTHENTICATE"]),
      smtp: verbs("smtp", ["AUTH"])
    }))
  }
}

/** A server for ann and bob. */
export const startMailServer = (world: WorldOptions = {}, options: MailServerOptions = {}) =>
  MailServer.make({
    users: (["ann", "bob"] as const).map((name) => ({
      name,
      password: secrets[name],
      address: `${name}@example.com`,
      specialUse: true,
      ...(world.quota === undefined ? {} : { quota: world.quota })
    })),
    ...(world.maxConnections === undefined
      ? {}
      : { maxConnections: { imap: world.maxConnections, smtp: world.maxConnections } }),
    ...(world.maxMessageBytes === undefined ? {} : { maxMessageBytes: world.maxMessageBytes }),
    ...(world.tls === true ? { tls: { key: privateKey, cert: certificate, isSecure: true } } : {}),
    ...options
  })

export const MailServerSubject: Subject = {
  name: "MailServer",
  layer: Layer.succeed(Worlds, {
    make: (options) => Effect.map(startMailServer(options), (server) => worldOf(server, options))
  })
}
