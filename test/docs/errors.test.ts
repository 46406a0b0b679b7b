import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { nextAttempt, sendAndNote } from "../../docs/examples/errors.ts"
import * as Errors from "../../src/domain/MailError.ts"
import { RetryPolicy } from "../../src/governor/RetryPolicy.ts"

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8")

const rows = [...page.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \| (.+) \|$/gm)]
  .map(([, tag = "", , repeated = ""]) => ({ tag, repeated: /^\w+/.exec(repeated)?.[0] }))

const retryAfter = Duration.seconds(30)
const recipient = (permanent: boolean) =>
  new Errors.RefusedRecipient({ address: "a@example.com", response: "no", permanent })

/** Every reason, as the compiler sees to, in every state that matters for repeating it. */
const states: { readonly [Tag in Errors.Reason["_tag"]]: ReadonlyArray<Extract<Errors.Reason, { _tag: Tag }>> } = {
  AuthenticationFailed: [new Errors.AuthenticationFailed({ response: "NO" })],
  ConnectionRefusedByLimit: [new Errors.ConnectionRefusedByLimit({ response: "NO" })],
  ConnectionFailed: [false, true].map((permanent) =>
    new Errors.ConnectionFailed({ host: "h", port: 993, step: "tcp", detail: "refused", permanent })
  ),
  ConnectionLost: [false, true].map((written) => new Errors.ConnectionLost({ detail: "reset", written })),
  TimedOut: (["connect", "login", "queue", "store", "command", "answer"] as const).map((wait) =>
    new Errors.TimedOut({ wait, after: retryAfter, written: wait === "command" })
  ),
  Throttled: [new Errors.Throttled({ response: "NO" }), new Errors.Throttled({ response: "NO", retryAfter })],
  RateLimited: [new Errors.RateLimited({ scope: "account", retryAfter })],
  QueueFull: [new Errors.QueueFull({ limit: 1 })],
  AccountClosed: [new Errors.AccountClosed()],
  MailboxNotFound: [new Errors.MailboxNotFound({ mailbox: "A" })],
  MailboxChanged: [new Errors.MailboxChanged({ mailbox: "A", expected: 1, actual: 2 })],
  MessageNotFound: [new Errors.MessageNotFound({ mailbox: "A", uids: [1] })],
  Rejected: [false, true].map((transient) => new Errors.Rejected({ text: "no", transient })),
  QuotaExceeded: [new Errors.QuotaExceeded({ response: "full" })],
  TooLarge: [new Errors.TooLarge({ size: 2, limit: 1 })],
  RecipientsRejected: [false, true].map((permanent) =>
    new Errors.RecipientsRejected({ recipients: [recipient(permanent)] })
  ),
  OutcomeUnknown: [new Errors.OutcomeUnknown({ messageId: "<a@b>", detail: "lost" })],
  Unsupported: [new Errors.Unsupported({ capability: "UIDPLUS", detail: "no" })],
  InvalidInput: [new Errors.InvalidInput({ field: "to", problem: "empty" })],
  ProtocolViolation: [false, true].map((written) => new Errors.ProtocolViolation({ detail: "?", written }))
}

const failure = (reason: Errors.Reason) => new Errors.MailError({ account: "work", operation: "send", reason })

describe("docs/errors.md", () => {
  it("has one row for each reason, and none for anything else", () => {
    assert.deepStrictEqual(rows.map(({ tag }) => tag), Object.keys(states))
  })

  it("says rightly which reasons are repeated", () => {
    for (const [tag, reasons] of Object.entries(states)) {
      const answers = new Set(
        reasons.flatMap((reason) =>
          (["always", "unwritten", "send"] as const).map((safety) => RetryPolicy.repeatable(reason, safety))
        )
      )
      const repeated = answers.size === 2 ? "sometimes" : answers.has(true) ? "yes" : "no"
      assert.strictEqual(rows.find((row) => row.tag === tag)?.repeated, repeated, tag)
    }
  })

  it.effect("shows a recovery that takes out two reasons and leaves the others", () =>
    Effect.gen(function*() {
      const outcome = (reason: Errors.Reason) => sendAndNote(Effect.fail(failure(reason)))
      assert.strictEqual(yield* sendAndNote(Effect.void), "sent")
      assert.strictEqual(yield* outcome(states.OutcomeUnknown[0] ?? assert.fail()), "to be looked for")
      assert.strictEqual(yield* outcome(states.RecipientsRejected[0] ?? assert.fail()), "refused")
      const other = yield* Effect.flip(outcome(new Errors.QueueFull({ limit: 1 })))
      assert.strictEqual(other.reason._tag, "QueueFull")
    }))

  it.effect("shows when to try again", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1000)
      assert.deepStrictEqual(
        yield* nextAttempt(failure(new Errors.Throttled({ response: "NO", retryAfter }))),
        Option.some(31_000)
      )
      assert.deepStrictEqual(
        yield* nextAttempt(failure(new Errors.ConnectionLost({ detail: "x", written: true }))),
        Option.some(601_000)
      )
      assert.deepStrictEqual(yield* nextAttempt(failure(new Errors.AccountClosed())), Option.none())
    }))

  it.effect("is right that errors come back from JSON as the same classes", () =>
    Effect.gen(function*() {
      const codec = Schema.toCodecJson(Errors.MailError)
      for (const reason of Object.values(states).flat()) {
        const json = JSON.stringify(yield* Schema.encodeEffect(codec)(failure(reason)))
        const back = yield* Schema.decodeUnknownEffect(codec)(JSON.parse(json))
        assert.instanceOf(back, Errors.MailError)
        assert.strictEqual(back.reason.constructor, reason.constructor)
        assert.strictEqual(back.message, failure(reason).message)
      }
    }))
})
