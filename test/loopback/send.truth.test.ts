/**
 * The truth of a send, counted by the server: whatever the server does at whatever step, it takes a message at most
 * once, and the answer never says what did not happen.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Random,
  Result,
  Schedule,
  Scope,
  Stream
} from "effect"
import {
  AccountConfig,
  Draft,
  Limits,
  MailAccount,
  type MailError,
  type Receipt,
  RetryPolicy
} from "../../src/index.ts"
import type { Fault, FaultAction, MailServerShape, WireFaults } from "../../src/testing/index.ts"
import { onFastClock } from "./FastClock.ts"
import { startMailServer, worldOf } from "./MailServerSubject.ts"

type Account = MailAccount["Service"]
type Outcome = Result.Result<Receipt, MailError>

const steps = ["connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "body", "end"] as const

const actions: ReadonlyArray<FaultAction> = [
  { _tag: "Drop", when: "before" },
  { _tag: "Drop", when: "after" },
  { _tag: "Stall" },
  { _tag: "Corrupt" },
  { _tag: "Reply", code: 421, text: "4.3.2 Shutting down" },
  { _tag: "Reply", code: 451, text: "4.3.0 Try again later" },
  { _tag: "Reply", code: 554, text: "5.7.1 Not wanted" }
]

const nameOf = (action: FaultAction) =>
  action._tag === "Reply" ? `${action.code}` : action._tag === "Drop" ? `cut ${action.when}` : action._tag

/** A minute passes in 0.4 seconds; bounds are far longer than what a busy machine needs for a step. */
const fast = 150

const limits = {
  smtpConnections: 4,
  maxWait: Duration.minutes(30),
  connectTimeout: Duration.minutes(2),
  commandTimeout: Duration.minutes(2),
  answerTimeout: Duration.minutes(2)
}

const once = RetryPolicy.none
const often = RetryPolicy.make({ base: "100 millis", times: 6 })

let ids = 0
const draft = (text = "hello\r\n.\r\nbye") =>
  new Draft({ to: "bob@example.com", subject: "truth", text, messageId: `<truth-${++ids}@example.com>` })

const copiesOf = (server: MailServerShape, { messageId }: Draft): number =>
  server.accepted().filter(({ source }) => Buffer.from(source).includes(`Message-ID: ${messageId}\r\n`)).length

const short = (outcome: Outcome) => Result.isSuccess(outcome) ? "Receipt" : outcome.failure.reason._tag

interface World {
  readonly server: MailServerShape
  readonly open: (retry: RetryPolicy) => Effect.Effect<Account, never, Scope.Scope>
}

/** A server that files what it takes, and accounts that know it. */
const truth = <E>(title: string, run: (world: World) => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const server = yield* startMailServer({}, { filesSentMail: true })
      const config = new AccountConfig({
        ...worldOf(server).config("ann"),
        filesSentMail: true,
        limits: new Limits(limits)
      })
      yield* run({
        server,
        open: (retry) => Effect.map(Layer.build(MailAccount.layer(config, { retry })), Context.get(MailAccount))
      })
      for (const { source } of server.accepted()) assert.include(Buffer.from(source).toString(), "\r\n.\r\nbye")
    }).pipe(Effect.scoped, onFastClock(fast)))

/** Holds an outcome against what the server took, and settles what is unknown. */
const judge = Effect.fnUntraced(function*(
  server: MailServerShape,
  account: Account,
  draft: Draft,
  outcome: Outcome,
  mayBeUnknown: boolean
) {
  const copies = copiesOf(server, draft)
  const tag = short(outcome)
  assert.isAtMost(copies, 1, tag)
  if (tag === "Receipt") return assert.strictEqual(copies, 1, tag)
  if (tag !== "OutcomeUnknown") return assert.strictEqual(copies, 0, tag)
  assert.isTrue(mayBeUnknown, "the end of the message was not reached: its fate is certain")
  const delivery = yield* account.reconcile(draft.messageId ?? "")
  assert.strictEqual(delivery._tag, copies === 1 ? "Found" : "NotFound")
})

const send = (account: Account, draft: Draft, options?: Parameters<Account["send"]>[1]) =>
  Effect.result(account.send(draft, options))

/** A small message is with the kernel as a whole before its first octet has arrived: the end is on its way too. */
const mayBeUnknownAt = (step: string) => step === "body" || step === "end"

describe("the truth of a send", () => {
  for (const at of steps) {
    describe(`where the server fails at ${at}`, () => {
      for (const action of actions) {
        const fault = (more: Partial<Fault> = {}): Fault => ({ protocol: "smtp", at, action, ...more })

        truth(`${nameOf(action)}: alone`, ({ open, server }) =>
          Effect.gen(function*() {
            server.faults.add(fault())
            const account = yield* open(once)
            const first = draft()
            const outcome = yield* send(account, first)
            yield* judge(server, account, first, outcome, mayBeUnknownAt(at))
            // and it says nothing of the next one
            const second = draft()
            server.faults.clear()
            assert.strictEqual(short(yield* send(yield* open(once), second)), "Receipt")
            assert.strictEqual(copiesOf(server, second), 1)
          }))

        truth(
          `${nameOf(action)}: repeated where that is safe, and settled where it is unknown`,
          ({ open, server }) =>
            Effect.gen(function*() {
              server.faults.add(fault())
              const account = yield* open(often)
              const one = draft()
              const outcome = yield* send(account, one, { onUnknown: "reconcile-then-retry" })
              yield* judge(server, account, one, outcome, false)
              if (action._tag === "Drop") assert.strictEqual(short(outcome), "Receipt")
            })
        )

        truth(`${nameOf(action)}: among many over four connections`, ({ open, server }) =>
          Effect.gen(function*() {
            server.faults.add(fault({ skip: 1, times: 3 }))
            const account = yield* open(often)
            const drafts = Array.from({ length: 12 }, () => draft())
            const results = yield* Stream.runCollect(account.sendAll(drafts))
            assert.deepStrictEqual(results.map((each) => each.draft), drafts)
            for (const each of results) {
              yield* judge(server, account, each.draft, each.result, mayBeUnknownAt(at))
            }
            assert.isAtMost(server.peak({ protocol: "smtp" }), 4)
          }))
      }
    })
  }

  const large = "hello\r\n.\r\nbye\r\n" + "0123456789abcdef\r\n".repeat(15_000)

  /** Octets after which the wire is cut, from the first command on to beyond the end of the message. */
  const cuts: ReadonlyArray<
    readonly [what: string, text: string, wire: (at: number) => WireFaults, places: ReadonlyArray<number>]
  > = [
    ["what a small message says", "hello\r\n.\r\nbye", (at) => ({ cutAfterReceived: at }), places(0, 700, 20)],
    ["what a large message says", large, (at) => ({ cutAfterReceived: at }), places(100, 290_000, 41_011)],
    ["what the server answers", "hello\r\n.\r\nbye", (at) => ({ cutAfterSent: at }), places(0, 520, 26)]
  ]
  for (const [what, text, wire, at] of cuts) {
    truth(`holds at every place where the wire is cut in ${what}`, ({ open, server }) =>
      Effect.gen(function*() {
        const seen = new Set<string>()
        for (const place of at) {
          const one = draft(text)
          server.setWire("smtp", wire(place))
          // an account of its own for each: the wire of a connection is cut once
          yield* Effect.scoped(Effect.gen(function*() {
            const account = yield* open(once)
            const outcome = yield* send(account, one)
            seen.add(short(outcome))
            yield* judge(server, account, one, outcome, true)
          }))
        }
        assert.isAtLeast(seen.size, 2, [...seen].join())
      }))
  }

  truth(
    "leaves nobody in doubt who holds the end back, where the wire is cut before it",
    ({ open, server }) =>
      Effect.gen(function*() {
        for (const place of places(400, 560, 20)) {
          const one = draft("hello\r\n.\r\nbye\r\n" + "x".repeat(3_000))
          server.setWire("smtp", { cutAfterReceived: place })
          yield* Effect.scoped(Effect.gen(function*() {
            const outcome = yield* send(yield* open(once), one, { hold: "10 seconds" })
            assert.strictEqual(short(outcome), "ConnectionLost", `${place}`)
            assert.strictEqual(copiesOf(server, one), 0)
          }))
        }
      })
  )

  for (const at of steps) {
    truth(
      `holds where a send is interrupted at ${at}, and nothing is left of it`,
      ({ open, server }) =>
        Effect.gen(function*() {
          const account = yield* open(once)
          for (const wait of [5, 15, 30]) {
            // the connection of the one before serves the next where it is well; where not, there is a new one
            if (at === "connect" || at === "EHLO" || at === "AUTH") server.dropAll()
            server.faults.add({ protocol: "smtp", at, action: { _tag: "Delay", duration: Duration.millis(20) } })
            const one = draft()
            const fiber = yield* Effect.forkChild(account.send(one))
            yield* Effect.sleep(wait * fast)
            yield* Fiber.interrupt(fiber)
            const exit = yield* Fiber.await(fiber)
            server.faults.clear()
            if (Exit.isSuccess(exit)) assert.strictEqual(copiesOf(server, one), 1)
            else assert.isAtMost(copiesOf(server, one), 1)
            const next = draft()
            assert.strictEqual(short(yield* send(account, next)), "Receipt", `after ${wait}`)
            assert.strictEqual(copiesOf(server, next), 1)
          }
          assert.isAtMost(server.connections({ protocol: "smtp" }).length, 1)
        })
    )
  }

  truth("holds for many messages where the account is closed under them", ({ open, server }) =>
    Effect.gen(function*() {
      const told = new Map<Draft, Outcome>()
      const someAreTold = yield* Deferred.make<void>()
      const drafts = Array.from({ length: 200 }, () => draft())
      for (let n = 0; n < 20; n++) {
        server.faults.add({
          protocol: "smtp",
          at: "end",
          skip: n * 2,
          action: { _tag: "Delay", duration: Duration.millis(5) }
        })
      }
      const closing = yield* Scope.make()
      const account = yield* Scope.provide(open(often), closing)
      const sending = yield* Effect.forkChild(
        account.sendAll(drafts).pipe(
          Stream.runForEach(({ draft, result }) =>
            told.set(draft, result).size === 10 ? Deferred.succeed(someAreTold, undefined) : Effect.void
          )
        )
      )
      yield* Deferred.await(someAreTold)
      yield* Scope.close(closing, Exit.void)
      yield* Fiber.join(sending)
      assert.strictEqual(told.size, drafts.length, "everybody is answered")
      const left = Effect.sync(() => server.connections({ protocol: "smtp" }).length)
      // the server notices a little later
      yield* Effect.repeat(left, { until: (count) => count === 0, times: 100, schedule: Schedule.spaced("1 second") })
      assert.strictEqual(yield* left, 0)
      const seen = new Set<string>()
      for (const [one, outcome] of told) {
        const [copies, tag] = [copiesOf(server, one), short(outcome)]
        seen.add(tag)
        assert.isAtMost(copies, 1)
        if (tag !== "OutcomeUnknown") assert.strictEqual(copies, tag === "Receipt" ? 1 : 0, tag)
      }
      assert.isTrue(seen.has("Receipt") && seen.has("AccountClosed"), [...seen].join())
    }))

  for (const seed of [1, 2, 3, 4]) {
    truth(
      `holds for many messages under faults at random, and everybody is told in the end (${seed})`,
      ({ open, server }) =>
        Effect.gen(function*() {
          for (let n = 0; n < 12; n++) {
            const at = steps[yield* Random.nextIntBetween(0, steps.length - 1)] ?? "end"
            // what stays refused is an answer, and a stall costs time
            const action = actions[yield* Random.nextIntBetween(0, 5)] ?? actions[0]
            if (action === undefined || action._tag === "Stall") continue
            server.faults.add({ protocol: "smtp", at, action, skip: yield* Random.nextIntBetween(0, 8) })
          }
          const account = yield* open(often)
          const drafts = Array.from({ length: 30 }, () => draft())
          const options = { onUnknown: "reconcile-then-retry", unordered: true } as const
          const results = yield* Stream.runCollect(account.sendAll(drafts, options))
          assert.strictEqual(results.length, 30)
          for (const each of results) yield* judge(server, account, each.draft, each.result, false)
          const sent = server.store.user("ann")?.mailbox("Sent")?.exists
          assert.strictEqual(sent, server.accepted().length)
        }).pipe(Random.withSeed(`${seed}`))
    )
  }
})

function places(from: number, to: number, step: number): ReadonlyArray<number> {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step)
}
