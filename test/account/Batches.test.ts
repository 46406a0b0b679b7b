import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Stream } from "effect"
import { type BatchOptions, Query, RetryPolicy } from "../../src/index.ts"
import type { FaultAction } from "../../src/testing/index.ts"
import { begin, mail, open, pass, serve, withConnections } from "./MemoryAccount.ts"

const count = 1_000
const all = Array.from({ length: count }, (_, index) => index + 1)

/** An account with many messages, and the UID sets of the FETCH commands that its server was sent. */
const recording = Effect.fnUntraced(function*(imapConnections: number, uids: ReadonlyArray<number> = all) {
  const server = serve({
    latency: "10 millis",
    users: [{
      name: "ann",
      password: "secret",
      address: "ann@example.com",
      mailboxes: { INBOX: uids.map(mail) }
    }]
  })
  const asked: Array<string> = []
  const account = yield* open(
    withConnections(server, ({ fetch }) => ({
      fetch: (...question) => {
        asked.push(question[0])
        return fetch(...question)
      }
    })),
    {
      limits: { imapConnections, commandTimeout: Duration.seconds(2) },
      retry: RetryPolicy.make({ base: "1 millis", jitter: 0, times: 2 })
    }
  )
  const told: Array<number> = []
  /** Reads them all, and notes each as it is told. */
  const read = Effect.fnUntraced(function*(options?: BatchOptions, onFirst = () => {}) {
    const reading = yield* begin(
      account.fetch(Query.inbox, { source: true }, options).pipe(
        Stream.runForEach(({ ref }) =>
          Effect.sync(() => {
            if (told.push(ref.uid) === 1) onFirst()
          })
        ),
        Effect.mapError(({ reason }) => reason)
      )
    )
    while (reading.pollUnsafe() === undefined) yield* pass(50)
    return yield* Fiber.await(reading)
  })
  const strike = (action: FaultAction, skip: number, times = 1) =>
    server.faults.add({ protocol: "imap", at: "FETCH", skip, times, action })
  return { asked, inbox: server.store.user("ann")?.inbox, read, server, strike, told }
})

/** How often each of these was asked for. */
const timesOf = (asked: ReadonlyArray<string>) =>
  [...Map.groupBy(asked, (range) => range).values()].map((of) => of.length)

/** The UIDs of sets without a comma. */
const uidsOf = (asked: ReadonlyArray<string>) =>
  asked.flatMap((range) => {
    const [from = 0, to = from] = range.split(":").map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  }).sort((a, b) => a - b)

const cuts = [
  { imapConnections: 1, skip: 0, when: "before" },
  { imapConnections: 1, skip: 1, when: "after" },
  { imapConnections: 2, skip: 1, when: "before" },
  { imapConnections: 3, skip: 3, when: "after" },
  { imapConnections: 3, skip: 4, when: "before" }
] as const

describe("a batch of many messages", () => {
  it.effect.each(cuts)(
    "asks again for what was lost with a connection, and for nothing else, and tells each once and in order: %o",
    ({ imapConnections, skip, when }) =>
      Effect.gen(function*() {
        const { asked, read, server, strike, told } = yield* recording(imapConnections)
        strike({ _tag: "Drop", when }, skip)
        assert.isTrue(Exit.isSuccess(yield* read()))
        assert.deepStrictEqual(told, all)
        assert.deepStrictEqual(server.faults.pending, [])
        const times = timesOf(asked)
        assert.deepStrictEqual(times.filter((times) => times !== 1), [2])
        assert.deepStrictEqual(uidsOf([...new Set(asked)]), all)
      })
  )

  it.effect("tells each once where order does not matter, too", () =>
    Effect.gen(function*() {
      const { read, server, strike, told } = yield* recording(3)
      strike({ _tag: "Drop", when: "after" }, 1)
      strike({ _tag: "Drop", when: "before" }, 3)
      assert.isTrue(Exit.isSuccess(yield* read({ unordered: true })))
      assert.deepStrictEqual(server.faults.pending, [])
      assert.notDeepEqual(told, all)
      assert.deepStrictEqual(told.toSorted((a, b) => a - b), all)
    }))

  it.effect("fails where it stays so, after what was read before", () =>
    Effect.gen(function*() {
      const { asked, read, strike, told } = yield* recording(1)
      strike({ _tag: "Drop", when: "before" }, 1, Infinity)
      const exit = yield* read()
      assert.isTrue(
        Exit.isFailure(exit) &&
          exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error._tag === "ConnectionLost")
      )
      assert.deepStrictEqual(told, all.slice(0, 32))
      // the first attempt, and two more
      assert.deepStrictEqual(timesOf(asked).slice(0, 2), [1, 3])
    }))

  it.effect("asks in halves for what takes too long, and for no more than that from then on", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 5_000 }, (_, index) => index + 1)
      const { asked, read, strike, told } = yield* recording(1, many)
      strike({ _tag: "Stall" }, 1)
      assert.isTrue(Exit.isSuccess(yield* read()))
      assert.deepStrictEqual(told, many)
      const [, tooMuch = ""] = asked
      const uids = uidsOf([tooMuch])
      const middle = uids.length >> 1
      const halves = [uids.slice(0, middle), uids.slice(middle)].map((half) => `${half[0]}:${half.at(-1)}`)
      assert.includeMembers(asked, halves)
      // one more was planned before it was known
      const later = asked.slice(asked.indexOf(halves[1] ?? "") + 1).map((range) => uidsOf([range]).length)
      assert.isAbove(later.length, 2)
      assert.isTrue(later.every((size) => size <= uids.length - middle), `${later}`)
    }))

  it.effect.each([1, 3])(
    "leaves out what goes meanwhile, or names it where that is asked for, with a cap of %d",
    (cap) =>
      Effect.gen(function*() {
        const gone = [500, 501, 990]
        const skipping = yield* recording(cap)
        assert.isTrue(Exit.isSuccess(yield* skipping.read({}, () => void skipping.inbox?.take(gone))))
        assert.deepStrictEqual(skipping.told, all.filter((uid) => !gone.includes(uid)))

        const strict = yield* recording(cap)
        const exit = yield* strict.read({ missing: "fail" }, () => void strict.inbox?.take(gone))
        const [reason] = Exit.isFailure(exit) ? exit.cause.reasons : []
        const error = reason?._tag === "Fail" ? reason.error : undefined
        const named = error?._tag === "MessageNotFound" ? error.uids : []
        assert.isAbove(named.length, 0)
        assert.includeMembers(gone, [...named])
        // what was told is the beginning, and nothing of the chunk that is not whole
        assert.deepStrictEqual(strict.told, all.slice(0, strict.told.length))
        assert.isBelow(strict.told.length, Math.min(...named))
      })
  )
})
