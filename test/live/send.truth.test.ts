/**
 * The truth of a send at a Postfix: whatever becomes of the wire, a message is delivered at most once, and the answer
 * never says what did not happen. The copies are counted in the mailbox of the recipient. Postfix delivers a second one
 * to the sender's mailbox for sent mail, so it is a server that files what it takes.
 */
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted, Result, Schedule, type Scope, Stream } from "effect"
import {
  AccountConfig,
  Draft,
  Endpoint,
  Limits,
  MailAccount,
  type MailError,
  Password,
  Query,
  type Receipt,
  RetryPolicy,
  type SendingOptions
} from "../../src/index.ts"
import { onFastClock } from "../loopback/FastClock.ts"
import { describeLive } from "./available.ts"
import { type DovecotServer, startDovecot } from "./Dovecot.ts"
import { type PostfixServer, startPostfix } from "./Postfix.ts"
import { proxyTo, type Side } from "./Proxy.ts"

type Account = MailAccount["Service"]

/** The fifteen seconds of a search for a lost message pass in three, which is long for a delivery on one machine. */
const fast = 5

/** Servers are started, and each test looks for messages that are not there until it is sure. */
const patience = 60_000

const users = { ann: "ann-secret", bob: "bob-secret" }

interface Servers {
  readonly dovecot: DovecotServer
  readonly postfix: PostfixServer
}

const startServers = Effect.gen(function*() {
  const dovecot = yield* startDovecot({ users, settings: "lmtp_save_to_detail_mailbox = yes\n" })
  const postfix = yield* startPostfix(dovecot, {
    settings: {
      recipient_delimiter: "+",
      sender_bcc_maps: "inline:{ { ann@example.test = ann+Sent@example.test } }"
    }
  })
  return { dovecot, postfix }
})

const endpoint = (port: number) => new Endpoint({ host: "127.0.0.1", port, security: "none" })

const open = (
  { dovecot }: Servers,
  user: keyof typeof users,
  smtpPort: number,
  retry: RetryPolicy = RetryPolicy.none
): Effect.Effect<Account, never, Scope.Scope> =>
  Effect.map(
    Layer.build(MailAccount.layer(
      new AccountConfig({
        name: user,
        imap: endpoint(dovecot.port),
        smtp: endpoint(smtpPort),
        credentials: Password.make({ user, password: Redacted.make(users[user]) }),
        address: `${user}@example.test`,
        filesSentMail: true,
        limits: new Limits({ answerTimeout: Duration.minutes(2) })
      }),
      { retry }
    )),
    Context.get(MailAccount)
  )

/** All of the same length, so that a place in one is the same place in another. */
const draftOf = (index: number) =>
  new Draft({
    to: "bob@example.test",
    subject: "truth",
    text: "hello\r\n.\r\nbye\r\n" + "0123456789abcdef\r\n".repeat(4_000),
    messageId: `<truth-${String(index).padStart(4, "0")}@example.test>`,
    date: new Date(0)
  })

interface Cut {
  readonly side: Side
  readonly octets: number
}

/** From the first octet to the last of what each side says for one message. */
const cutsOf = ({ client, server }: Readonly<Record<Side, number>>): ReadonlyArray<Cut> => [
  ...[0, 10, 60, 120, 150, 190, 300, 10_000, client / 2, client - 100, client - 3, client - 1, client]
    .map((octets): Cut => ({ side: "client", octets: Math.floor(octets) })),
  ...[0, 20, 150, server / 2, server - 120, server - 60, server - 40, server - 10, server - 1]
    .map((octets): Cut => ({ side: "server", octets: Math.floor(octets) }))
]

/** Messages by Message-ID, once everything that was taken has been delivered. */
const copiesIn = Effect.fnUntraced(function*(servers: Servers, user: keyof typeof users, mailbox: string) {
  yield* Effect.repeat(servers.postfix.queued, {
    until: (queued) => queued === 0,
    schedule: Schedule.spaced("100 millis")
  })
  const account = yield* open(servers, user, servers.postfix.port)
  const envelopes = yield* Stream.runCollect(account.envelopes(Query.in(mailbox)))
  return (draft: Draft) => envelopes.filter(({ messageId }) => messageId === draft.messageId).length
}, Effect.scoped)

interface Sent {
  readonly cut: Cut
  readonly draft: Draft
  readonly outcome: Result.Result<Receipt, MailError>
}

/** Sends a message for each cut, over a wire of its own that is cut once. */
const sendAtEach = (
  servers: Servers,
  cuts: ReadonlyArray<Cut>,
  retry: RetryPolicy,
  options?: SendingOptions
): Effect.Effect<ReadonlyArray<Sent>> =>
  Effect.forEach(cuts, (cut, index) =>
    Effect.scoped(Effect.gen(function*() {
      const proxy = yield* proxyTo(servers.postfix.port)
      proxy.cutNext(cut.side, cut.octets)
      const account = yield* open(servers, "ann", proxy.port, retry)
      const draft = draftOf(index)
      return { cut, draft, outcome: yield* Effect.result(account.send(draft, options)) }
    })), { concurrency: 8 })

const nameOf = ({ cut: { octets, side }, outcome }: Sent) =>
  `${Result.isSuccess(outcome) ? "Receipt" : outcome.failure.reason._tag} where the ${side} was cut after ${octets}`

/** What each side says for one message without a fault. */
const measured = (servers: Servers) =>
  Effect.scoped(Effect.gen(function*() {
    const proxy = yield* proxyTo(servers.postfix.port)
    const account = yield* open(servers, "ann", proxy.port)
    yield* account.send(draftOf(9_999))
    return { ...proxy.passed() }
  }))

const live = <E>(title: string, run: (servers: Servers) => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(title, () => Effect.flatMap(startServers, run).pipe(Effect.scoped, onFastClock(fast)), patience)

describeLive("a send to Postfix over a wire that is cut", ["dovecot", "lmtp", "postfix"], () => {
  live(
    "is delivered at most once, and told as it was; a look at the sent ones settles what is unknown",
    (servers) =>
      Effect.gen(function*() {
        const octets = yield* measured(servers)
        const sent = yield* sendAtEach(servers, cutsOf(octets), RetryPolicy.none)
        const copies = yield* copiesIn(servers, "bob", "INBOX")
        const ann = yield* open(servers, "ann", servers.postfix.port)
        const seen = new Set<string>()
        yield* Effect.forEach(sent, (each) =>
          Effect.gen(function*() {
            const { cut, draft, outcome } = each
            const tag = Result.isSuccess(outcome) ? "Receipt" : outcome.failure.reason._tag
            seen.add(`${tag} ${copies(draft)}`)
            assert.isAtMost(copies(draft), 1, nameOf(each))
            if (tag === "Receipt") return assert.strictEqual(copies(draft), 1, nameOf(each))
            if (tag !== "OutcomeUnknown") return assert.strictEqual(copies(draft), 0, nameOf(each))
            // before its envelope was through, the end of the message cannot have been on its way
            assert.isTrue(cut.side === "server" ? cut.octets >= octets.server - 120 : cut.octets >= 300, nameOf(each))
            const delivery = yield* ann.reconcile(draft.messageId ?? "")
            assert.strictEqual(delivery._tag, copies(draft) === 1 ? "Found" : "NotFound", nameOf(each))
          }), { concurrency: "unbounded" })
        assert.includeMembers([...seen], ["ConnectionLost 0", "OutcomeUnknown 0", "OutcomeUnknown 1"])
      })
  )

  live(
    "is delivered exactly once in the end where it is looked for and sent again",
    (servers) =>
      Effect.gen(function*() {
        const cuts = cutsOf(yield* measured(servers))
        const sent = yield* sendAtEach(servers, cuts, RetryPolicy.default, { onUnknown: "reconcile-then-retry" })
        const copies = yield* copiesIn(servers, "bob", "INBOX")
        const filed = yield* copiesIn(servers, "ann", "Sent")
        for (const each of sent) {
          assert.isTrue(Result.isSuccess(each.outcome), nameOf(each))
          assert.strictEqual(copies(each.draft), 1, nameOf(each))
          assert.strictEqual(filed(each.draft), 1, nameOf(each))
        }
      })
  )
})
