/** What the tests of `MailServer` have in common: a user with mail, and imapflow as a scoped client. */
import { Effect, type Scope } from "effect"
import { ImapFlow, type ImapFlowOptions } from "imapflow"
import type { MailServerOptions, MailServerShape } from "../../src/testing/MailServer.ts"

export const mail = (n: number): string =>
  [
    `From: Ann Example <ann@example.com>`,
    `To: bob@example.com`,
    `Subject: mail ${n}`,
    `Date: Mon, 1 Jan 2024 10:00:00 +0000`,
    `Message-ID: <${n}@example.com>`,
    "",
    `hello ${n}`,
    ""
  ].join("\r\n")

export const users: MailServerOptions["users"] = [{
  name: "bob",
  password: "secret",
  token: "a-token",
  address: "bob@example.com",
  specialUse: true,
  mailboxes: { INBOX: [1, 2, 3, 4].map(mail) }
}]

/** imapflow, logged in, without an IDLE of its own; logged out when the scope closes. */
export const client = (
  server: MailServerShape,
  options: Partial<ImapFlowOptions> = {}
): Effect.Effect<ImapFlow, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const flow = new ImapFlow({
        host: server.host,
        port: server.imapPort,
        secure: false,
        auth: { user: "bob", pass: "secret" },
        logger: false,
        disableAutoIdle: true,
        ...options
      })
      flow.on("error", () => undefined)
      await flow.connect()
      return flow
    }),
    (flow) =>
      Effect.promise(async () => {
        if (flow.usable) await flow.logout()
        flow.close()
      })
  )

/** Waits until the server has closed all but so many connections; the test's own bound ends a wait in vain. */
export const untilConnections = (server: MailServerShape, count: number): Effect.Effect<void> =>
  until(() => server.connections().length === count)

/** Waits until something holds. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.andThen(Effect.sleep("2 millis"), until(holds)))

/** Runs a promise of a client as an effect. */
export const ask = <A>(promise: () => Promise<A>): Effect.Effect<A> => Effect.promise(promise)
