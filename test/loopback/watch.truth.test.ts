import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import { AccountConfig, Endpoint, Limits, MailAccount, Password } from "../../src/index.ts"
import {
  type FaultAction,
  MailServer,
  type MailServerShape,
  type OptionalCapability,
  type StoredUser
} from "../../src/testing/index.ts"
import { operationsOf, type Other, seedOf, truth } from "../account/WatchTruth.ts"
import { randomFrom } from "../random.ts"

const modes: ReadonlyArray<{ readonly name: string; readonly without: ReadonlyArray<OptionalCapability> }> = [
  { name: "QRESYNC", without: [] },
  { name: "CONDSTORE", without: ["QRESYNC"] },
  { name: "neither", without: ["CONDSTORE"] }
]

const seed = seedOf()
const operations = operationsOf(400)

/** Longer histories, asked for by the environment, take their time. */
const patience = 5_000 * Math.max(1, operations / 400)

const source = new TextEncoder().encode("Subject: one of many\r\n\r\nHello\r\n")

/** Another client, as the store hears it. */
const otherOf = (user: StoredUser): Other => {
  const mailboxOf = (path: string) => {
    const mailbox = user.mailbox(path)
    assert.isDefined(mailbox)
    return mailbox
  }
  const inbox = mailboxOf("INBOX")
  const archive = mailboxOf("Archive")
  const append = (path: string, flags: ReadonlyArray<string>) => {
    user.append(path, source, { flags, internalDate: new Date(0) })
    return mailboxOf(path).uidNext - 1
  }
  return {
    append: (flags) => Effect.sync(() => append("INBOX", flags)),
    flag: (uid, mode, flags) => Effect.sync(() => void inbox.store([uid], mode, flags)),
    expunge: (uids) =>
      Effect.sync(() => {
        inbox.store(uids, "add", ["\\Deleted"])
        inbox.expunge(uids)
      }),
    moveOut: (uids) => Effect.sync(() => void user.move(inbox, uids, "Archive")),
    moveIn: (count) =>
      Effect.sync(() => {
        while (archive.exists < count) append("Archive", [])
        const first = inbox.uidNext
        user.move(archive, archive.uids.slice(0, count), "INBOX")
        return Array.from({ length: inbox.uidNext - first }, (_, index) => first + index)
      }),
    messages: Effect.sync(() => new Map(inbox.messages.map(({ flags, uid }) => [uid, [...flags]] as const)))
  }
}

const verbs = ["SELECT", "FETCH", "SEARCH", "IDLE", "NOOP", "LOGIN", "connect"]

/** Cuts, stalls and refuses. */
const disturbing = (server: MailServerShape) => (random: (below: number) => number) => {
  /** Connections that come meanwhile are cut as well. */
  const cutting = (faults: { readonly cutAfterSent?: number; readonly cutAfterReceived?: number }) =>
    Effect.sync(() => server.setWire("imap", faults)).pipe(
      Effect.andThen(Effect.sleep(random(60))),
      Effect.andThen(Effect.sync(() => server.setWire("imap", {})))
    )
  return Effect.suspend(() => {
    const at = verbs[random(verbs.length)] ?? "SELECT"
    const strike = (action: FaultAction) =>
      Effect.sync(() => server.faults.add({ protocol: "imap", at, action, skip: random(2) }))
    switch (random(8)) {
      case 0:
        return Effect.sync(() => server.dropAll())
      case 1:
        return Effect.sync(() => server.kick("bob"))
      case 2:
        return cutting({ cutAfterSent: random(3_000) })
      case 3:
        return cutting({ cutAfterReceived: random(500) })
      case 4:
        return strike({ _tag: "Stall" })
      case 5:
        return strike({ _tag: "Drop", when: random(2) === 0 ? "before" : "after" })
      case 6:
        return strike({ _tag: "Refuse", status: "BYE", text: "not now" })
      default:
        return strike({ _tag: "Delay", duration: Duration.millis(random(150)) })
    }
  })
}

const truthOf = (without: ReadonlyArray<OptionalCapability>, hasIdle: boolean) =>
  Effect.gen(function*() {
    const server = yield* MailServer.make({
      users: [{ name: "bob", password: "secret", specialUse: true }],
      without
    })
    const user = server.store.user("bob")
    assert.isDefined(user)
    const random = randomFrom(seed)
    yield* truth({
      seed,
      operations,
      mailbox: "INBOX",
      account: MailAccount.layer(
        new AccountConfig({
          name: "bob",
          imap: new Endpoint({ host: server.host, port: server.imapPort, security: "none" }),
          credentials: Password.make({ user: "bob", password: Redacted.make("secret") }),
          limits: new Limits({
            imapConnections: 1 + random(3),
            commandTimeout: Duration.millis(100),
            connectTimeout: Duration.millis(200)
          })
        })
      ),
      other: otherOf(user),
      disturb: disturbing(server),
      calm: Effect.sync(() => {
        server.faults.clear()
        server.setWire("imap", {})
      }),
      watch: hasIdle ? { heartbeat: "200 millis", poll: "50 millis" } : { heartbeat: "20 millis" },
      pauseMillis: 6,
      restarts: Math.ceil(operations / 200),
      disturbances: Math.ceil(operations / 50)
    })
  }).pipe(Effect.scoped)

describe.each(modes)(`a watch with $name, seed ${seed}`, ({ without }) => {
  it.live("by IDLE tells the truth, each change once", () => truthOf(without, true), patience)

  it.live("without IDLE tells the truth, each change once", () => truthOf([...without, "IDLE"], false), patience)
})
