import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { ImapFlow } from "imapflow"
import { existsSync } from "node:fs"
import { createTransport } from "nodemailer"
import { describeLive } from "./available.ts"
import { processesOf } from "./Daemon.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"
import { type PostfixServer, startPostfix } from "./Postfix.ts"
import { startSmtpSink } from "./SmtpSink.ts"

interface LoginOptions {
  readonly user?: string
  readonly password?: string
  /** Over TLS from the start; STARTTLS is used where it is offered otherwise. */
  readonly secure?: boolean
}

const login = (server: DovecotServer, options: LoginOptions = {}) =>
  Effect.acquireRelease(
    Effect.tryPromise(async () => {
      const user = options.user ?? "alice"
      const client = new ImapFlow({
        host: server.host,
        port: options.secure === true ? server.tlsPort ?? 0 : server.port,
        secure: options.secure ?? false,
        logger: false,
        auth: { user, pass: options.password ?? server.users[user] ?? "" },
        tls: { ca: server.certificate, servername: "localhost" }
      })
      client.on("error", () => {}) // a lost connection fails the command that needed it
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.logout().catch(() => client.close()))
  )

const send = (server: PostfixServer, dovecot: DovecotServer, subject: string, options: LoginOptions = {}) =>
  Effect.tryPromise(async () => {
    const transport = createTransport({
      host: server.host,
      port: options.secure === true ? server.tlsPort ?? 0 : server.port,
      secure: options.secure ?? false,
      auth: { user: "alice", pass: options.password ?? dovecot.users["alice"] ?? "" },
      tls: { ca: server.certificate, servername: "localhost" }
    })
    const to = `bob@${server.domain}`
    await transport.sendMail({ from: `alice@${server.domain}`, to, subject, text: "hello" })
    transport.close()
  })

/** Subjects in bob's INBOX, as soon as there is one: delivery happens after the answer to the sender. */
const arrived = (client: ImapFlow) =>
  Effect.promise(async () => {
    const mailbox = await client.mailboxOpen("INBOX")
    if (mailbox.exists === 0) {
      const exists = new Promise((resolve) => client.once("exists", resolve))
      client.idle().catch(() => {})
      await exists
    }
    return (await client.fetchAll("1:*", { envelope: true })).map((message) => message.envelope?.subject)
  })

describeLive("Dovecot", ["dovecot"], () => {
  it.live("lets its users in and counts their connections", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot()
      assert.strictEqual(yield* server.connections, 0)
      const { peak } = yield* server.peak(Effect.scoped(Effect.gen(function*() {
        const client = yield* login(server)
        yield* login(server, { user: "bob@example.test", password: "bob-secret" })
        assert.strictEqual(yield* server.connections, 2)
        assert.deepStrictEqual(yield* server.sessions, { alice: 1, bob: 1 })
        const uses = (yield* Effect.promise(() => client.list())).map((mailbox) => mailbox.specialUse)
        assert.sameMembers(uses, ["\\Inbox", "\\Sent", "\\Trash", "\\Drafts", "\\Junk", "\\Archive"])
      })))
      assert.strictEqual(peak, 2)
      assert.strictEqual(yield* server.connections, 0)
    }))

  it.live("refuses a wrong password with the code for it", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot()
      const failure = yield* Effect.flip(login(server, { password: "wrong" }))
      assert.propertyVal(failure.cause, "serverResponseCode", "AUTHENTICATIONFAILED")
    }))

  it.live("ends the sessions of a user that is kicked", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot()
      const client = yield* login(server)
      yield* login(server, { user: "bob" })
      const closed = new Promise((resolve) => client.once("close", resolve))
      yield* server.kick("alice")
      yield* Effect.promise(() => closed)
      assert.strictEqual(yield* server.connections, 1)
    }))

  it.live("speaks TLS with its own certificate, by STARTTLS and from the start", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot({ tls: true })
      assert.isTrue((yield* login(server)).secureConnection)
      assert.isTrue((yield* login(server, { secure: true })).secureConnection)
      assert.strictEqual(yield* server.connections, 2)
    }))

  it.live("has the limits, capabilities and names it was asked for", () =>
    Effect.gen(function*() {
      const server = yield* startDovecot({
        users: { carol: "a:b{c} d" },
        format: "mdbox",
        maxConnections: 1,
        quota: 2_048_000,
        hide: ["MOVE", "UIDPLUS"],
        specialUse: { "Gesendet": "\\Sent" },
        namespace: { prefix: "INBOX.", separator: "." }
      })
      const client = yield* login(server, { user: "carol" })
      assert.isFalse(client.capabilities.has("MOVE"))
      assert.isFalse(client.capabilities.has("UIDPLUS"))
      assert.isTrue(client.capabilities.has("CONDSTORE"))
      const quota = yield* Effect.promise(() => client.getQuota())
      assert.propertyVal(quota === false ? undefined : quota?.storage, "limit", 2_048_000)
      const paths = (yield* Effect.promise(() => client.list())).map((mailbox) => mailbox.path)
      assert.sameMembers(paths, ["INBOX", "INBOX.Gesendet"])
      const failure = yield* Effect.flip(login(server, { user: "carol" }))
      assert.propertyVal(failure.cause, "serverResponseCode", "LIMIT")
    }))

  it.live("leaves no process, no listener and no file behind, even while a client is connected", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = yield* startDovecot().pipe(Scope.provide(scope))
      const client = yield* login(server)
      assert.isAbove(processesOf(server.pid).length, 1)
      assert.strictEqual((yield* server.sockets).listening, 1)
      const closed = new Promise((resolve) => client.once("close", resolve))
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => closed)
      assert.deepStrictEqual(processesOf(server.pid), [])
      assert.deepStrictEqual(yield* server.sockets, { established: 0, closing: 0, listening: 0 })
      assert.isFalse(existsSync(server.directory))
    }))
})

describeLive("Postfix beside Dovecot", ["dovecot", "lmtp", "postfix"], () => {
  it.live("delivers what a user sends into the other user's INBOX", () =>
    Effect.gen(function*() {
      const dovecot = yield* startDovecot()
      const postfix = yield* startPostfix(dovecot)
      const bob = yield* login(dovecot, { user: "bob" })
      yield* send(postfix, dovecot, "Plain")
      assert.deepStrictEqual(yield* arrived(bob), ["Plain"])
      assert.strictEqual(yield* postfix.queued, 0)
    }))

  it.live("speaks TLS with its own certificate, by STARTTLS and from the start", () =>
    Effect.gen(function*() {
      const dovecot = yield* startDovecot()
      const postfix = yield* startPostfix(dovecot, { tls: true })
      yield* send(postfix, dovecot, "STARTTLS")
      yield* send(postfix, dovecot, "TLS", { secure: true })
      assert.include(yield* postfix.log, "sasl_username=alice")
    }))

  it.live("refuses wrong passwords, strangers and foreign addresses", () =>
    Effect.gen(function*() {
      const dovecot = yield* startDovecot()
      const postfix = yield* startPostfix(dovecot, { open: true })
      const wrong = yield* Effect.flip(send(postfix, dovecot, "No", { password: "wrong" }))
      assert.propertyVal(wrong.cause, "responseCode", 535)
      const transport = createTransport({ host: postfix.host, port: postfix.port })
      const to = (address: string) =>
        Effect.flip(Effect.tryPromise(() => transport.sendMail({ from: "a@example.test", to: address, text: "" })))
      assert.propertyVal((yield* to("stranger@example.test")).cause, "responseCode", 550)
    }))

  it.live("leaves no process, no listener and no file behind", () =>
    Effect.gen(function*() {
      const dovecot = yield* startDovecot()
      const scope = yield* Scope.make()
      const postfix = yield* startPostfix(dovecot).pipe(Scope.provide(scope))
      yield* send(postfix, dovecot, "Last")
      assert.isAbove(processesOf(postfix.pid).length, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(processesOf(postfix.pid), [])
      assert.strictEqual((yield* postfix.sockets).listening, 0)
      assert.isFalse(existsSync(postfix.directory))
    }))
})

describeLive("smtp-sink", ["smtp-sink"], () => {
  it.live("keeps one copy of each message it was sent", () =>
    Effect.gen(function*() {
      const sink = yield* startSmtpSink()
      const transport = createTransport({ host: sink.host, port: sink.port, ignoreTLS: true })
      for (const subject of ["one", "two"]) {
        yield* Effect.promise(() =>
          transport.sendMail({ from: "a@example.test", to: ["b@example.test", "c@example.test"], subject, text: "." })
        )
      }
      const messages = yield* sink.messages
      assert.deepStrictEqual(messages.map((message) => [message.from, ...message.to]), [
        ["a@example.test", "b@example.test", "c@example.test"],
        ["a@example.test", "b@example.test", "c@example.test"]
      ])
      assert.deepStrictEqual(messages.map((message) => /^Subject: (.*)$/m.exec(message.source)?.[1]), ["one", "two"])
      assert.isTrue(messages.every((message) => /^\n?\.\n*$/.test(message.source.split("\n\n").slice(1).join("\n\n"))))
    }))
})
