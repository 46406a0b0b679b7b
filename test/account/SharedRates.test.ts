import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { type RateAnswer, type RateRequest, RateStore, RateWindow } from "../../src/index.ts"
import { begin, open, pass, serve, timesOf } from "./MemoryAccount.ts"

/** One row of a table that several processes share. */
interface Row {
  readonly key: string
  readonly cost: number
  /** Undefined while it is held. */
  startedAt: number | undefined
  readonly heldUntil: number
}

/** A store as one would write it over a database: a table of starts, and a round trip for each question. */
const overTable = (table: Array<Row>, roundTrip: Duration.Input): RateStore["Service"] => {
  const rows = (key: string, windowMillis: number, now: number) =>
    table.filter((row) => row.key === key && (row.startedAt ?? row.heldUntil) + windowMillis > now)
  const used = (counted: ReadonlyArray<Row>) => counted.reduce((sum, { cost }) => sum + cost, 0)
  const retryAt = ({ key, limit, needs, windowMillis }: RateRequest, now: number) => {
    const counted = rows(key, windowMillis, now).sort((a, b) => (a.startedAt ?? now) - (b.startedAt ?? now))
    for (let left = used(counted); left + needs > limit;) {
      const first = counted.shift()
      if (first === undefined) return now + windowMillis
      left -= first.cost
      if (left + needs <= limit) return (first.startedAt ?? now) + windowMillis
    }
    return now
  }
  const take = (requests: ReadonlyArray<RateRequest>, now: number, holdMillis: number): RateAnswer => {
    const blocked = requests.map((request) => ({ key: request.key, retryAtMillis: retryAt(request, now) }))
      .filter(({ retryAtMillis }) => retryAtMillis > now)
    if (blocked.length > 0) return { granted: false, blocked }
    const taken = requests.map(({ cost, key }): Row => ({
      key,
      cost,
      startedAt: undefined,
      heldUntil: now + holdMillis
    }))
    table.push(...taken)
    return {
      granted: true,
      grant: {
        start: (at) =>
          Effect.sync(() => {
            for (const row of taken) row.startedAt ??= at
          }),
        refund: Effect.sync(() => {
          for (const row of taken) if (row.startedAt === undefined) table.splice(table.indexOf(row), 1)
        })
      }
    }
  }
  const asked = <A>(answer: (now: number) => A) => Effect.delay(Effect.map(Clock.currentTimeMillis, answer), roundTrip)
  return {
    take: (requests, _, holdMillis) => asked((now) => take(requests, now, holdMillis)),
    charge: (requests, at) =>
      asked(() => {
        for (const { cost, key } of requests) table.push({ key, cost, startedAt: at, heldUntil: at })
      }),
    usage: (prefix, windowMillis) =>
      asked((now) =>
        [...new Set(table.map(({ key }) => key))].filter((key) => key.startsWith(prefix))
          .map((key) => ({ key, used: used(rows(key, windowMillis, now)) }))
      )
  }
}

const rates = [new RateWindow({ per: "account", limit: 4, window: Duration.seconds(10) })]

describe("accounts that share a store of rate windows", () => {
  it.effect("keep to the windows together, each in a process of its own", () =>
    Effect.gen(function*() {
      const server = serve()
      const table: Array<Row> = []
      const [one, two] = yield* Effect.all([1, 2].map(() =>
        Effect.provideService(open(server, { limits: { rates } }), RateStore, overTable(table, "5 millis"))
      ))
      assert.isDefined(one)
      assert.isDefined(two)
      if (one === undefined || two === undefined) {
        return
      }
      const all = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, n) =>
          n),
        (n) => begin((n % 2 === 0 ? one : two).status("INBOX"))
      )
      yield* pass(25_000, 50)
      for (const fiber of all) yield* Fiber.join(fiber)
      const times = timesOf(server, "STATUS")
      assert.strictEqual(times.length, 10)
      for (const from of times) {
        assert.isAtMost(times.filter((at) => at >= from && at < from + 10_000).length, 4)
      }
      assert.isBelow(times[9] ?? Infinity, 21_000)
    }))

  it.effect("each have what the other has used in their stats", () =>
    Effect.gen(function*() {
      const server = serve()
      const one = yield* open(server, { limits: { rates } })
      const two = yield* open(server, { limits: { rates } })
      yield* one.status("INBOX")
      yield* two.status("INBOX")
      assert.deepStrictEqual((yield* two.stats).rates.map(({ used }) => used), [2])
    }).pipe(Effect.provide(RateStore.layerMemory)))

  it.effect("has back what an operation did not use", () =>
    Effect.gen(function*() {
      const server = serve()
      const table: Array<Row> = []
      const account = yield* Effect.provideService(
        open(server, { limits: { rates, imapConnections: 1 } }),
        RateStore,
        overTable(table, 0)
      )
      const working = yield* begin(account.withMailbox("INBOX", () => Effect.never))
      yield* pass(100)
      const waiting = yield* begin(account.status("INBOX"))
      yield* pass(100)
      assert.strictEqual(table.length, 2)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(table.length, 1)
      yield* Fiber.interrupt(working)
    }))
})
