import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, type Scope } from "effect"
import { ImapFlow } from "imapflow"
import { AccountConfig, Endpoint, Limits, MailAccount, Password } from "../../src/index.ts"
import { operationsOf, type Other, seedOf, truth } from "../account/WatchTruth.ts"
import { randomFrom } from "../random.ts"
import { describeLive } from "./available.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"
import { type Proxy, proxyTo } from "./Proxy.ts"

const seed = seedOf()
const operations = operationsOf(500)

/** What a history takes on a server that writes files, some hundred changes at a time. */
const patience = 30_000 * Math.max(1, operations / 500)

const modes = [
  { name: "QRESYNC", hide: [] },
  { name: "CONDSTORE", hide: ["QRESYNC"] },
  { name: "neither", hide: ["QRESYNC", "CONDSTORE"] }
]

const source = Buffer.from("Subject: one of many\r\n\r\nHello\r\n")

/** imapflow, logged in, with a mailbox selected. */
const connected = (server: DovecotServer, mailbox: string): Effect.Effect<ImapFlow, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new ImapFlow({
        host: server.host,
        port: server.port,
        secure: false,
        doSTARTTLS: false,
        auth: { user: "alice", pass: "alice-secret" },
        logger: false,
        disableAutoIdle: true
      })
      await client.connect()
      await client.mailboxOpen(mailbox)
      return client
    }),
    (client) => Effect.promise(() => client.logout())
  )

/** Another client, over connections of its own. */
const otherOf = Effect.fnUntraced(function*(server: DovecotServer): Effect.fn.Return<Other, never, Scope.Scope> {
  const inbox = yield* connected(server, "INBOX")
  const archive = yield* connected(server, "Archive")
  const byUid = { uid: true }
  const ask = <A>(command: () => Promise<A>) =>
    Effect.map(Effect.promise(command), (answer) => {
      assert.notStrictEqual<unknown>(answer, false)
      return answer
    })
  const append = (mailbox: string, flags: ReadonlyArray<string>) =>
    Effect.map(ask(() => inbox.append(mailbox, source, [...flags])), (answer) => {
      assert.isTrue(answer !== false && answer.uid !== undefined)
      return answer === false ? 0 : answer.uid ?? 0
    })
  return {
    append: (flags) => append("INBOX", flags),
    flag: (uid, mode, flags) =>
      Effect.asVoid(ask(() => {
        const [range, names] = [`${uid}`, [...flags]]
        if (mode === "set") return inbox.messageFlagsSet(range, names, byUid)
        return mode === "add"
          ? inbox.messageFlagsAdd(range, names, byUid)
          : inbox.messageFlagsRemove(range, names, byUid)
      })),
    expunge: (uids) => Effect.asVoid(ask(() => inbox.messageDelete([...uids], byUid))),
    moveOut: (uids) => Effect.asVoid(ask(() => inbox.messageMove([...uids], "Archive", byUid))),
    moveIn: (count) =>
      Effect.gen(function*() {
        const ready = yield* Effect.forEach(Array.from({ length: count }), () => append("Archive", []))
        yield* ask(() => archive.noop())
        const moved = yield* ask(() => archive.messageMove(ready, "INBOX", byUid))
        return moved === false ? [] : [...moved.uidMap?.values() ?? []]
      }),
    messages: Effect.promise(async () => {
      await inbox.mailboxOpen("INBOX")
      const rows = await inbox.fetchAll("1:*", { uid: true, flags: true })
      return new Map(rows.map(({ flags, uid }) => [uid, [...flags ?? []]] as const))
    })
  }
})

const disturbing = (proxy: Proxy) => (random: (below: number) => number) =>
  Effect.sync(() => {
    switch (random(4)) {
      case 0:
        return proxy.cut()
      case 1:
        return proxy.cutAfter(random(2_000))
      case 2:
        return proxy.silence()
      default:
        proxy.refuse(1 + random(2))
        return proxy.cut()
    }
  })

const truthOf = (hide: ReadonlyArray<string>, hasIdle: boolean) =>
  Effect.gen(function*() {
    const server = yield* startDovecot({ hide: hasIdle ? hide : [...hide, "IDLE"] })
    const proxy = yield* proxyTo(server.port)
    yield* truth({
      seed,
      operations,
      mailbox: "INBOX",
      account: MailAccount.layer(
        new AccountConfig({
          name: "alice",
          imap: new Endpoint({ host: server.host, port: proxy.port, security: "none" }),
          credentials: Password.make({ user: "alice", password: Redacted.make("alice-secret") }),
          limits: new Limits({
            imapConnections: 1 + randomFrom(seed)(3),
            commandTimeout: Duration.millis(300),
            connectTimeout: Duration.seconds(1)
          })
        })
      ),
      other: yield* otherOf(server),
      disturb: disturbing(proxy),
      calm: Effect.sync(() => proxy.refuse(0)),
      watch: hasIdle ? { heartbeat: "1 second", poll: "200 millis" } : { heartbeat: "50 millis" },
      pauseMillis: 10,
      restarts: Math.ceil(operations / 200),
      disturbances: Math.ceil(operations / 50)
    })
  }).pipe(Effect.scoped)

describeLive("watching a Dovecot", ["dovecot"], () => {
  describe.each(modes)(`with $name, seed ${seed}`, ({ hide }) => {
    it.live("by IDLE tells the truth, each change once", () => truthOf(hide, true), patience)

    it.live("without IDLE tells the truth, each change once", () => truthOf(hide, false), patience)
  })
})
