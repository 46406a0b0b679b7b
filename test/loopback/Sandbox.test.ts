import { Effect } from "effect"
import { Endpoint, MailAccount } from "../../src/index.ts"
import { MailServer } from "../../src/testing/index.ts"
import { sandboxing, type Start } from "../account/sandboxing.ts"

const start: Start = (users, { quota, without = [] }) =>
  Effect.map(
    MailServer.make({ users: users.map((user) => ({ ...user, ...(quota === undefined ? {} : { quota }) })), without }),
    (server) => ({
      store: server.store,
      endpoints: {
        imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
        smtp: new Endpoint({ host: server.host, port: server.smtpPort, security: "none" })
      },
      layer: (config) => MailAccount.layer(config),
      commands: server.commands,
      accepted: server.accepted
    })
  )

sandboxing("MailServer", start)
