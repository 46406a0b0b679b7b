/** Fairness, affinity, batches and shared caps, as the server's record of commands and connections shows them. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Redacted, Schedule, Stream } from "effect"
import { AccountConfig, Agent, Endpoint, HostLimits, Limits, MailAccount, Password, Query } from "../../src/index.ts"
import { MailServer, type MailServerShape } from "../../src/testing/index.ts"
import { mail } from "./mail-server.ts"

const names = ["ann", "bob", "cy", "dee"] as const

const start = (messages = 0) =>
  MailServer.make({
    users: names.map((name) => ({
      name,
      password: "secret",
      mailboxes: { INBOX: Array.from({ length: messages }, (_, n) => mail(n)), Other: [mail(0)] }
    }))
  })

const open = (
  server: MailServerShape,
  limits: ConstructorParameters<typeof Limits>[0],
  user: (typeof names)[number] = "ann"
) =>
  Effect.map(
    Layer.build(MailAccount.layer(
      new AccountConfig({
        name: user,
        imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
        credentials: Password.make({ user, password: Redacted.make("secret") }),
        limits: new Limits(limits)
      })
    )),
    Context.get(MailAccount)
  )

/** Waits until a condition holds; the test's own bound ends a wait in vain. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.andThen(Effect.sleep("1 millis"), until(condition)))

const verbs = (server: MailServerShape) => server.commands().map(({ verb }) => verb)

describe("agents", () => {
  it.live.each([1, 2])(
    "that queue thousands of requests let another one in within a round, on a cap of %d",
    (cap) =>
      Effect.gen(function*() {
        const server = yield* start()
        const account = yield* open(server, { imapConnections: cap, queue: 6_000 })
        const crowd = yield* Effect.forkChild(
          Agent.as("many")(Effect.forEach(Array.from({ length: 5_000 }), () => account.status("INBOX"), {
            concurrency: "unbounded",
            discard: true
          }))
        )
        yield* until(() => verbs(server).filter((verb) => verb === "STATUS").length >= 50)
        const before = server.commands().length
        yield* Agent.as("one")(account.status("Other"))
        const place = server.commands().findIndex(({ mailbox }) => mailbox === "Other")
        // what runs or was given out already, one turn of the other agent, and its own
        assert.isAtLeast(place, before)
        assert.isAtMost(place - before, cap + 2)
        assert.isAbove((yield* account.stats).imap.waiting, 4_000)
        yield* Fiber.interrupt(crowd)
      })
  )

  it.live("get turns by their weight", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const account = yield* open(server, { imapConnections: 1, weights: { heavy: 3 } })
      yield* account.status("INBOX")
      server.forget()
      const ask = (agent: string, mailbox: string) =>
        Agent.as(agent)(Effect.forEach(Array.from({ length: 12 }), () => account.status(mailbox), {
          concurrency: "unbounded",
          discard: true
        }))
      yield* Effect.all([ask("light", "INBOX"), ask("heavy", "Other")], { concurrency: "unbounded" })
      const heavyAmongFirst16 = server.commands().slice(0, 16).filter(({ mailbox }) => mailbox === "Other").length
      assert.strictEqual(heavyAmongFirst16, 12)
      const { agents } = (yield* account.stats).imap
      assert.strictEqual(agents.get("heavy")?.served, 12)
      assert.strictEqual(agents.get("light")?.waiting, 0)
    }))
})

describe("mailboxes", () => {
  it.live("that alternate on two connections are each selected once or twice, and not for every request", () =>
    Effect.gen(function*() {
      const server = yield* start(2)
      const account = yield* open(server, { imapConnections: 2 })
      const inboxes = ["INBOX", "Other"]
      yield* Effect.forEach(
        inboxes,
        (mailbox) => Effect.forEach(Array.from({ length: 100 }), () => account.search(Query.in(mailbox))),
        { concurrency: "unbounded" }
      )
      const together = verbs(server)
      assert.strictEqual(together.filter((verb) => verb === "UID SEARCH").length, 200)
      assert.isAtMost(together.filter((verb) => verb === "SELECT").length, 4)
    }))

  it.live("that one caller alternates between are worth a second connection", () =>
    Effect.gen(function*() {
      const server = yield* start(2)
      const account = yield* open(server, { imapConnections: 2 })
      for (let round = 0; round < 50; round++) {
        yield* account.search(Query.inbox)
        yield* account.search(Query.in("Other"))
      }
      assert.isAtMost(verbs(server).filter((verb) => verb === "SELECT").length, 12)
      assert.strictEqual(server.peak({ protocol: "imap" }), 2)
    }))
})

describe("a batch", () => {
  it.live("gives its connection back between chunks: another request gets in", () =>
    Effect.gen(function*() {
      const server = yield* start(400)
      const account = yield* open(server, { imapConnections: 1, batchBytes: 64 * 1024 })
      const reading = yield* Effect.forkChild(
        Agent.as("batch")(Stream.runCount(account.fetch(Query.inbox, { source: true })))
      )
      yield* until(() => verbs(server).includes("UID FETCH"))
      const before = server.commands().length
      yield* Agent.as("one")(account.status("Other"))
      assert.strictEqual(yield* Fiber.join(reading), 400)
      const commands = server.commands()
      const place = commands.findIndex(({ mailbox, verb }) => verb === "STATUS" && mailbox === "Other")
      const fetches = (from: number, to?: number) =>
        commands.slice(from, to).filter(({ verb }) => verb === "UID FETCH").length
      assert.isAtMost(fetches(before, place), 2)
      assert.isAtLeast(fetches(place), 3)
    }))

  it.live("holds no connection while its consumer waits for another operation, even on a cap of 1", () =>
    Effect.gen(function*() {
      const server = yield* start(60)
      const account = yield* open(server, { imapConnections: 1, batchBytes: 32 * 1024 })
      const moved = yield* account.messages(Query.inbox).pipe(
        Stream.mapEffect((message) => account.move(message.ref, "Other")),
        Stream.runCount
      )
      assert.strictEqual(moved, 60)
      assert.strictEqual(server.store.user("ann")?.inbox.exists, 0)
    }))
})

describe("accounts of one host", () => {
  const crowd = (
    server: MailServerShape,
    limits: { connectionsPerHost?: number; connections?: number },
    times: number
  ) =>
    Effect.gen(function*() {
      const accounts = yield* Effect.forEach(names, (name) =>
        open(server, { imapConnections: 2, idleTimeToLive: Duration.minutes(5) }, name))
      yield* Effect.forEach(
        accounts,
        (account) =>
          Effect.forEach(Array.from({ length: times }), () => account.status("INBOX"), { concurrency: 3 }),
        { concurrency: "unbounded" }
      )
    }).pipe(Effect.provide(HostLimits.layer(limits)), Effect.scoped)

  it.live.each([{ connectionsPerHost: 2 }, { connections: 2 }, { connectionsPerHost: 1, connections: 3 }])(
    "share its cap, and give up what they do not use: %o",
    (limits) =>
      Effect.gen(function*() {
        const server = yield* start()
        yield* crowd(server, limits, 20)
        const cap = Math.min(limits.connectionsPerHost ?? Infinity, limits.connections ?? Infinity)
        assert.isAtMost(server.peak({ protocol: "imap" }), cap)
        assert.strictEqual(verbs(server).filter((verb) => verb === "STATUS").length, 80)
        yield* Effect.void.pipe(
          Effect.repeat({
            until: () => server.connections().length === 0,
            schedule: Schedule.spaced("2 millis"),
            times: 200
          })
        )
        assert.strictEqual(server.connections().length, 0)
      })
  )
})
