import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type RateScope, RateWindow } from "../../src/domain/Limits.ts"
import { RateLimited } from "../../src/domain/MailError.ts"
import { type RateAsk, type RateCosts, RateLimit } from "../../src/governor/RateLimit.ts"
import { RateStore } from "../../src/governor/RateStore.ts"
import { settableClock } from "./SettableClock.ts"

const window = (per: RateScope, limit: number, millis: number) =>
  new RateWindow({ per, limit, window: Duration.millis(millis) })

const limits = (rates: ReadonlyArray<RateWindow>, onLimit: "wait" | "fail" = "wait", queue?: number) =>
  RateLimit.make({ account: "work", rates, onLimit, queue })

/** Who waits does so for a second at most. */
const patient = (...rates: ReadonlyArray<RateWindow>) =>
  RateLimit.make({ account: "work", rates, onLimit: "wait", maxWaitMillis: 1000, holdMillis: 5000 })

const limited = (scope: RateScope, retryAfterMillis: number) =>
  new RateLimited({ scope, retryAfter: Duration.millis(retryAfterMillis) })

type Store = RateStore["Service"]

const ask = (agent = "a", costs: RateCosts = {}): RateAsk => ({ agent, costs })

interface Start {
  readonly name: string
  readonly at: number
}

/** Admits, starts, and writes down when. */
const start = (limit: RateLimit, starts: Array<Start>, name: string, request: RateAsk) =>
  Effect.uninterruptible(Effect.gen(function*() {
    const permit = yield* limit.admit(request)
    yield* permit.start
    starts.push({ name, at: yield* Clock.currentTimeMillis })
    return permit
  }))

const times = (starts: ReadonlyArray<Start>) => starts.map(({ at }) => at)

/** The most of any span of this length, by brute force over all spans that begin at a start. */
const busiest = (starts: ReadonlyArray<{ readonly at: number; readonly cost: number }>, millis: number) =>
  Math.max(
    0,
    ...starts.map(({ at: from }) =>
      starts.filter(({ at }) => at >= from && at < from + millis).reduce((sum, { cost }) => sum + cost, 0)
    )
  )

describe("RateLimit", () => {
  describe("a window", () => {
    it.effect("lets its limit pass at once and the next when the first is over, to the millisecond", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 3, 3000)])
        const starts: Array<Start> = []
        for (let n = 0; n < 7; n++) yield* Effect.forkChild(start(limit, starts, `${n}`, ask()))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(times(starts), [0, 0, 0, 3000, 3000, 3000, 6000])
        assert.deepStrictEqual(starts.map(({ name }) => name), ["0", "1", "2", "3", "4", "5", "6"])
      }))

    it.effect("slides: a burst late in one span leaves no room early in the next", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 3, 3000)])
        const starts: Array<Start> = []
        yield* start(limit, starts, "0", ask())
        yield* TestClock.adjust(2900)
        for (let n = 1; n < 6; n++) yield* Effect.forkChild(start(limit, starts, `${n}`, ask()))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(times(starts), [0, 2900, 2900, 3000, 5900, 5900])
      }))

    it.effect("opens for those who wait also where the time of day was set back by an hour", () =>
      Effect.gen(function*() {
        const clock = yield* settableClock
        const limit = yield* clock.on(limits([window("account", 1, 1000)]))
        yield* clock.on(start(limit, [], "first", ask()))
        const second = yield* Effect.forkChild(clock.on(start(limit, [], "second", ask())))
        yield* TestClock.adjust(500)
        clock.setBy(-3_600_000)
        // the store counts on from the last time that it heard
        yield* TestClock.adjust(1_500)
        assert.isDefined(second.pollUnsafe())
      }))

    it.effect("counts from the start of an operation, not from its admission", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 2, 1000)])
        const waiting: Array<Effect.Effect<void>> = []
        const admit = Effect.map(limit.admit(ask()), ({ start }) => void waiting.push(start))
        for (let n = 0; n < 6; n++) yield* Effect.forkChild(admit)
        // The connection is slow: nothing starts for five windows.
        yield* TestClock.adjust(5000)
        assert.strictEqual(waiting.length, 2)
        for (const begin of waiting.splice(0)) yield* begin
        yield* TestClock.adjust(999)
        assert.strictEqual(waiting.length, 0)
        yield* TestClock.adjust(1)
        assert.strictEqual(waiting.length, 2)
      }))

    it.effect("uses its limit to 99 percent at full load", () =>
      Effect.gen(function*() {
        const seconds = 60
        for (const [size, millis] of [[10, 1000], [7, 1000], [3, 700], [100, 5000]] as const) {
          const limit = yield* limits([window("account", size, millis)])
          const starts: Array<Start> = []
          yield* Effect.forEach(["a", "b", "c"], (agent) =>
            Effect.forkChild(Effect.forever(start(limit, starts, agent, ask(agent)))))
          for (let step = 0; step < seconds * 20; step++) {
            yield* TestClock.adjust(50)
          }
          const possible = size * Math.floor((seconds * 1000) / millis)
          assert.isAtLeast(starts.length, 0.99 * possible)
          assert.isAtMost(busiest(starts.map(({ at }) => ({ at, cost: 1 })), millis), size)
        }
      }).pipe(Effect.scoped))
  })

  it.effect.prop(
    "never lets more than the limit of any window start, whatever arrives, waits, starts late or gives up",
    [
      Schema.Array(Schema.Struct({
        agent: Schema.Literals(["a", "b", "c"]),
        gap: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 120 })),
        late: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 })),
        patience: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })),
        recipients: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 })),
        fate: Schema.Literals(["start", "start", "start", "refund"])
      })).check(Schema.isMaxLength(60))
    ],
    ([arrivals]) =>
      Effect.gen(function*() {
        const limit = yield* limits([
          window("account", 9, 1000),
          window("account", 3, 150),
          window("agent", 4, 700),
          window("send", 5, 900),
          window("recipients", 10, 800)
        ])
        const starts: Array<{ readonly agent: string; readonly at: number; readonly recipients: number }> = []
        let promised = 0
        for (const { agent, fate, gap, late, patience, recipients } of arrivals) {
          const costs = recipients === 0 ? {} : { send: 1, recipients }
          const one = Effect.acquireUseRelease(
            limit.admit(ask(agent, costs)),
            (permit) =>
              Effect.gen(function*() {
                yield* Effect.sleep(late)
                if (fate === "refund") return
                yield* permit.start
                starts.push({ agent, at: yield* Clock.currentTimeMillis, recipients })
              }),
            (permit) => permit.refund
          )
          const fiber = yield* Effect.forkChild(one)
          // A third runs out of patience, before or after its admission.
          if (patience < 500) yield* Effect.forkChild(Effect.andThen(Effect.sleep(patience), Fiber.interrupt(fiber)))
          else if (fate === "start") promised++
          yield* TestClock.adjust(gap)
        }
        yield* TestClock.adjust("2 minutes")
        const of = (cost: (start: typeof starts[number]) => number) =>
          starts.map((start) => ({ at: start.at, cost: cost(start) })).filter(({ cost }) => cost > 0)
        assert.isAtMost(busiest(of(() => 1), 1000), 9)
        assert.isAtMost(busiest(of(() => 1), 150), 3)
        assert.isAtMost(busiest(of(({ recipients }) => recipients > 0 ? 1 : 0), 900), 5)
        assert.isAtMost(busiest(of(({ recipients }) => recipients), 800), 10)
        for (const agent of ["a", "b", "c"]) {
          assert.isAtMost(busiest(of((start) => start.agent === agent ? 1 : 0), 700), 4)
        }
        assert.isAtLeast(starts.length, promised)
        assert.strictEqual(yield* limit.waiting, 0)
        assert.isTrue((yield* limit.usage).every(({ used }) => used === 0))
      }).pipe(Effect.scoped)
  )

  describe("several windows", () => {
    it.effect("are taken together or not at all", () =>
      Effect.gen(function*() {
        const limit = yield* limits(
          [window("account", 5, 1000), window("agent", 1, 1000), window("send", 1, 1000)],
          "fail"
        )
        yield* limit.admit(ask("a", { send: 1 }))
        for (let n = 0; n < 10; n++) {
          yield* Effect.flip(limit.admit(ask("a")))
          yield* Effect.flip(limit.admit(ask("b", { send: 1 })))
        }
        const used = (yield* limit.usage).map(({ key, per, used }) => `${per} ${key} ${used}`)
        assert.deepStrictEqual(used, ["account work 1", "agent a 1", "send work 1"])
        for (const agent of ["b", "c", "d", "e"]) yield* limit.admit(ask(agent))
      }))

    it.effect("of the same scope, limit and length are one", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 2, 1000), window("account", 2, 1000)], "fail")
        yield* limit.admit(ask())
        yield* limit.admit(ask())
        assert.strictEqual((yield* limit.usage).length, 1)
      }))
  })

  describe("onLimit fail", () => {
    it.effect("names the window that opens last, and the exact time", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 2, 1000), window("agent", 1, 5000)], "fail")
        yield* Effect.flatMap(limit.admit(ask("a")), ({ start }) => start)
        yield* TestClock.adjust(300)
        yield* Effect.flatMap(limit.admit(ask("b")), ({ start }) => start)
        const account = yield* Effect.flip(limit.admit(ask("c")))
        assert(account._tag === "RateLimited")
        assert.deepStrictEqual([account.scope, Duration.toMillis(account.retryAfter)], ["account", 700])
        const agent = yield* Effect.flip(limit.admit(ask("a")))
        assert(agent._tag === "RateLimited")
        assert.deepStrictEqual([agent.scope, Duration.toMillis(agent.retryAfter)], ["agent", 4700])
        yield* TestClock.adjust(699)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.admit(ask("c")))))
        yield* TestClock.adjust(1)
        yield* limit.admit(ask("c"))
      }))

    it.effect("waits for as many starts to pass as a larger cost needs", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("recipients", 10, 1000)], "fail")
        for (let n = 0; n < 5; n++) {
          yield* Effect.flatMap(limit.admit(ask("a", { recipients: 2 })), ({ start }) => start)
          yield* TestClock.adjust(100)
        }
        const error = yield* Effect.flip(limit.admit(ask("a", { recipients: 5 })))
        assert(error._tag === "RateLimited")
        assert.strictEqual(Duration.toMillis(error.retryAfter), 700)
      }))
  })

  describe("interruption", () => {
    it.effect("of one who waits leaves nothing taken and nobody behind it waiting longer", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 4, 1000), window("recipients", 4, 1000)])
        const starts: Array<Start> = []
        yield* start(limit, starts, "first", ask("a", { recipients: 2 }))
        const large = yield* Effect.forkChild(start(limit, starts, "large", ask("a", { recipients: 4 })))
        yield* Effect.forkChild(start(limit, starts, "small", ask("b", { recipients: 2 })))
        yield* TestClock.adjust(100)
        assert.strictEqual(yield* limit.waiting, 2)
        yield* Fiber.interrupt(large)
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(starts, [{ name: "first", at: 0 }, { name: "small", at: 100 }])
        assert.strictEqual(yield* limit.waiting, 0)
        assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [2, 4])
      }))

    it.effect("after admission gives all tokens back, and whoever waits goes at once", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 1, 60_000), window("agent", 1, 60_000)])
        const starts: Array<Start> = []
        const holder = yield* Effect.forkChild(Effect.acquireUseRelease(
          limit.admit(ask("a")),
          () => Effect.never,
          ({ refund }) => refund
        ))
        yield* Effect.forkChild(start(limit, starts, "b", ask("b")))
        yield* TestClock.adjust(500)
        assert.deepStrictEqual(starts, [])
        yield* Fiber.interrupt(holder)
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(starts, [{ name: "b", at: 500 }])
        assert.deepStrictEqual((yield* limit.usage).map(({ key, used }) => [key, used]), [["work", 1], ["b", 1]])
      }))

    it.effect("at whichever moment of an admission leaves nothing taken", () =>
      Effect.gen(function*() {
        for (let turns = 0; turns < 40; turns++) {
          const limit = yield* patient(window("account", 1, 500))
          const permit = yield* limit.admit(ask("a"))
          const waiting = yield* Effect.forkChild(
            Effect.acquireUseRelease(limit.admit(ask("b")), () => Effect.never, ({ refund }) => refund),
            { startImmediately: true }
          )
          yield* TestClock.adjust(10)
          yield* permit.refund
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(waiting)
          assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [0], `after ${turns} turns`)
        }
      }))

    it.effect("gives nothing back once the operation has started", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 1, 1000)], "fail")
        const permit = yield* limit.admit(ask())
        yield* permit.start
        yield* permit.refund
        assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.admit(ask()))))
      }))

    it.effect("of an operation that has started has nobody who waits asked again", () =>
      Effect.gen(function*() {
        const memory = RateStore.makeMemory()
        let asked = 0
        const counting = {
          ...memory,
          take: (...question: Parameters<typeof memory.take>) =>
            Effect.tap(memory.take(...question), () => Effect.sync(() => asked++))
        }
        const limit = yield* limits([window("account", 1, 1000)]).pipe(Effect.provideService(RateStore, counting))
        const permit = yield* limit.admit(ask())
        yield* permit.start
        yield* Effect.forkChild(limit.admit(ask()))
        yield* TestClock.adjust(10)
        const before = asked
        yield* permit.refund
        yield* TestClock.adjust(10)
        assert.strictEqual(asked, before)
      }))

    it.effect("gives back once however often it is asked", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 2, 1000)], "fail")
        yield* limit.admit(ask())
        const permit = yield* limit.admit(ask())
        yield* permit.refund
        yield* permit.refund
        yield* limit.admit(ask())
        assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.admit(ask()))))
      }))

    it.effect("while a slow store is asked gives back what the store then grants", () =>
      Effect.gen(function*() {
        const memory = RateStore.makeMemory()
        const slow = {
          ...memory,
          take: (...question: Parameters<typeof memory.take>) =>
            Effect.tap(memory.take(...question), () => Effect.sleep(50))
        }
        const limit = yield* limits([window("account", 1, 1000)]).pipe(Effect.provideService(RateStore, slow))
        yield* Effect.forkChild(start(limit, [], "first", ask()))
        yield* TestClock.adjust(50)
        const second = yield* Effect.forkChild(limit.admit(ask()))
        // The window opens at 1050, the store grants at once and says so 50 ms later.
        yield* TestClock.adjust(1020)
        yield* Fiber.interrupt(second)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [0])
        assert.strictEqual(yield* limit.waiting, 0)
      }))

    it.effect("while a slow store refuses somebody else lets them pass at once", () =>
      Effect.gen(function*() {
        const memory = RateStore.makeMemory()
        let delay = 0
        const slow = {
          ...memory,
          take: (...question: Parameters<typeof memory.take>) =>
            Effect.tap(memory.take(...question), () => Effect.sleep(delay))
        }
        const limit = yield* limits([window("account", 1, 10_000)]).pipe(Effect.provideService(RateStore, slow))
        const permit = yield* limit.admit(ask())
        delay = 50
        const starts: Array<Start> = []
        yield* Effect.forkChild(start(limit, starts, "second", ask()))
        yield* TestClock.adjust(20)
        yield* permit.refund
        yield* TestClock.adjust(80)
        assert.deepStrictEqual(starts, [{ name: "second", at: 100 }])
      }))

    it.effect("of half of a thousand who wait leaves all the room to the other half, in their order", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 50, 1000), window("recipients", 80, 1000)])
        const starts: Array<Start> = []
        const fibers = yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, n) => n),
          (n) => Effect.forkChild(start(limit, starts, `${n}`, ask(`${n % 10}`, { recipients: 1 })))
        )
        yield* TestClock.adjust(0)
        assert.strictEqual(yield* limit.waiting, 950)
        yield* Fiber.interruptAll(fibers.filter((_, n) => n % 20 >= 10))
        assert.strictEqual(yield* limit.waiting, 470)
        yield* TestClock.adjust(12_000)
        const order = starts.slice(50).map(({ name }) => Number(name))
        assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
        assert.deepStrictEqual(times(starts), Array.from({ length: 520 }, (_, n) => Math.floor(n / 50) * 1000))
        assert.isTrue((yield* limit.usage).every(({ used }) => used === 0))
      }))

    it.effect("loses nothing at whatever moment it comes", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 3, 100)])
        const fibers = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, n) => n),
          (n) =>
            Effect.forkChild(
              Effect.acquireUseRelease(limit.admit(ask(`${n % 4}`)), () => Effect.never, (permit) => permit.refund)
            )
        )
        for (const fiber of fibers) {
          yield* Effect.forkChild(Fiber.interrupt(fiber))
          yield* TestClock.adjust(7)
        }
        assert.strictEqual(yield* limit.waiting, 0)
        assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [0])
      }))
  })

  describe("order", () => {
    it.effect("serves agents in turn and each agent's calls in order", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 1, 1000)])
        const starts: Array<Start> = []
        for (const name of ["a0", "a1", "a2", "a3", "b0", "b1", "c0"]) {
          yield* Effect.forkChild(start(limit, starts, name, ask(name[0])))
          yield* TestClock.adjust(1)
        }
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(starts.map(({ name }) => name), ["a0", "a1", "b0", "c0", "a2", "b1", "a3"])
      }))

    it.effect("does not let an agent at its own window hold up or use up what others share", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 5, 1000), window("agent", 2, 10_000)])
        const starts: Array<Start> = []
        for (let n = 0; n < 20; n++) yield* Effect.forkChild(start(limit, starts, `a${n}`, ask("a")))
        yield* TestClock.adjust(10)
        for (const agent of ["b", "c", "d"]) yield* Effect.forkChild(start(limit, starts, agent, ask(agent)))
        yield* TestClock.adjust(10)
        assert.deepStrictEqual(starts, [
          { name: "a0", at: 0 },
          { name: "a1", at: 0 },
          { name: "b", at: 10 },
          { name: "c", at: 10 },
          { name: "d", at: 10 }
        ])
      }))

    it.effect("does not starve an agent whose window opens while others keep the account busy", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 2, 1000), window("agent", 1, 3000)])
        const starts: Array<Start> = []
        yield* start(limit, starts, "a0", ask("a"))
        yield* Effect.forkChild(start(limit, starts, "a1", ask("a")))
        // A crowd of agents, each new: enough of them to use the account window up for ever.
        for (let n = 0; n < 40; n++) yield* Effect.forkChild(start(limit, starts, `x${n}`, ask(`x${n}`)))
        yield* TestClock.adjust("1 minute")
        const second = starts.find(({ name }) => name === "a1")
        assert.isDefined(second)
        assert.isAtMost(second?.at ?? Infinity, 4000)
        assert.strictEqual(starts.length, 42)
      }))

    it.effect("does not starve a large cost behind a stream of small ones", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("recipients", 10, 1000)])
        const starts: Array<Start> = []
        yield* Effect.forkChild(Effect.forever(
          Effect.andThen(start(limit, starts, "small", ask("a", { recipients: 1 })), Effect.sleep(50))
        ))
        yield* TestClock.adjust(2000)
        yield* Effect.forkChild(start(limit, starts, "large", ask("b", { recipients: 10 })))
        for (let step = 0; step < 200; step++) yield* TestClock.adjust(10)
        assert.isTrue(starts.some(({ name }) => name === "large"))
      }))

    it.effect("keeps a place for a send that its own agent's reads went past", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("agent", 2, 1000), window("send", 1, 1000)])
        const starts: Array<Start> = []
        const always = (name: string, request: RateAsk) =>
          Effect.forkChild(Effect.forever(start(limit, starts, name, request)))
        // The agent's window opens at full seconds and its reads use it up; another agent sends at each half.
        for (let n = 0; n < 3; n++) yield* always("read", ask("a"))
        yield* TestClock.adjust(500)
        for (let n = 0; n < 2; n++) yield* always("other", ask("b", { send: 1 }))
        yield* TestClock.adjust(100)
        yield* Effect.forkChild(start(limit, starts, "send", ask("a", { send: 1 })))
        for (let step = 0; step < 300; step++) yield* TestClock.adjust(100)
        // Behind the reads that waited before it, and the sends that have the same turns as those.
        assert.deepStrictEqual(starts.filter(({ name }) => name === "send"), [{ name: "send", at: 5500 }])
        const reads = starts.filter(({ name, at }) => name === "read" && at >= 3000 && at < 8000)
        assert.isAtLeast(reads.length, 9)
      }))

    it.effect("does not make an agent's reads wait for its send window", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 100, 1000), window("send", 1, 86_400_000)])
        const starts: Array<Start> = []
        yield* start(limit, starts, "send 0", ask("a", { send: 1 }))
        yield* Effect.forkChild(start(limit, starts, "send 1", ask("a", { send: 1 })))
        yield* TestClock.adjust(10)
        yield* Effect.forkChild(start(limit, starts, "read", ask("a")))
        yield* TestClock.adjust(10)
        assert.deepStrictEqual(starts.map(({ name }) => name), ["send 0", "read"])
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(starts.map(({ at, name }) => [name, at])[2], ["send 1", 86_400_000])
      }))
  })

  describe("costs", () => {
    it.effect("that no window of messages or recipients could ever hold are refused", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("recipients", 10, 1000)])
        const error = yield* Effect.flip(limit.admit(ask("a", { recipients: 11 })))
        assert(error._tag === "InvalidInput")
        assert.strictEqual(error.field, "recipients")
        assert.strictEqual(yield* limit.waiting, 0)
      }))

    it.effect("of scopes that an operation does not name do not apply to it", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("send", 1, 1000), window("bytes", 1, 1000)], "fail")
        yield* limit.admit(ask("a", { send: 1, bytes: 1 }))
        yield* limit.admit(ask("a"))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.admit(ask("a", { bytes: 0 })))))
      }))

    it.effect("in octets above the limit pass alone, when the window is empty", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("bytes", 100, 1000)])
        const starts: Array<Start> = []
        yield* start(limit, starts, "small", ask("a", { bytes: 10 }))
        yield* TestClock.adjust(100)
        yield* Effect.forkChild(start(limit, starts, "huge", ask("a", { bytes: 250 })))
        yield* Effect.forkChild(start(limit, starts, "next", ask("a", { bytes: 1 })))
        yield* TestClock.adjust(950)
        assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [250])
        yield* TestClock.adjust(5000)
        assert.deepStrictEqual(times(starts), [0, 1000, 2000])
      }))

    it.effect("in octets that are counted afterwards may go over, and delay the next", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("bytes", 100, 1000)])
        const starts: Array<Start> = []
        const permit = yield* start(limit, starts, "first", ask("a", { bytes: 0 }))
        yield* TestClock.adjust(100)
        yield* permit.charge(60)
        yield* start(limit, starts, "second", ask("a", { bytes: 0 }))
        yield* TestClock.adjust(100)
        yield* permit.charge(60)
        yield* Effect.forkChild(start(limit, starts, "third", ask("a", { bytes: 0 })))
        yield* TestClock.adjust(5000)
        assert.deepStrictEqual(times(starts), [0, 100, 1100])
      }))
  })

  describe("who waits", () => {
    it.effect("is told how long, and at which window", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 100, 1000), window("agent", 1, 1000)])
        assert.isUndefined((yield* start(limit, [], "first", ask())).waited)
        yield* TestClock.adjust(250)
        const fiber = yield* Effect.forkChild(start(limit, [], "second", ask()))
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual((yield* Fiber.join(fiber)).waited, { scope: "agent", millis: 750 })
      }))

    it.effect("is bounded by the queue", () =>
      Effect.gen(function*() {
        const limit = yield* limits([window("account", 1, 1000)], "wait", 2)
        const fibers = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(start(limit, [], "x", ask())))
        yield* TestClock.adjust(1)
        const last = fibers[3]
        assert.isDefined(last)
        if (last !== undefined) assert.strictEqual((yield* Effect.flip(Fiber.join(last)))._tag, "QueueFull")
        assert.strictEqual(yield* limit.waiting, 2)
      }))

    it.effect("fails with AccountClosed when the scope closes, as does whoever comes later", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const limit = yield* Scope.provide(limits([window("account", 1, 1000)]), scope)
        yield* start(limit, [], "x", ask())
        const fiber = yield* Effect.forkChild(limit.admit(ask()))
        yield* TestClock.adjust(1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "AccountClosed")
        assert.strictEqual((yield* Effect.flip(limit.admit(ask())))._tag, "AccountClosed")
      }))

    it.effect("waits for its bound and no longer, and is told when its windows have room", () =>
      Effect.gen(function*() {
        const limit = yield* patient(window("account", 1, 700))
        yield* start(limit, [], "first", ask("a"))
        const second = yield* Effect.forkChild(start(limit, [], "second", ask("a")))
        const third = yield* Effect.forkChild(Effect.flip(limit.admit(ask("a"))))
        yield* TestClock.adjust(500)
        // comes later, and before the third
        const other = yield* Effect.forkChild(start(limit, [], "other", ask("b")))
        yield* TestClock.adjust(499)
        assert.isUndefined(third.pollUnsafe())
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* Fiber.join(third), limited("account", 400))
        yield* Fiber.join(second)
        yield* TestClock.adjust(400)
        assert.strictEqual((yield* Fiber.join(other)).waited?.millis, 900)
      }))

    it.effect("fails at once where it is known that there is no room in time", () =>
      Effect.gen(function*() {
        const limit = yield* patient(window("account", 1, 1500), window("agent", 9, 1500))
        yield* start(limit, [], "first", ask())
        assert.deepStrictEqual(yield* Effect.flip(limit.admit(ask())), limited("account", 1500))
        yield* TestClock.adjust(500)
        assert.deepStrictEqual(yield* Effect.flip(limit.admit(ask())), limited("account", 1000))
        yield* TestClock.adjust(1)
        const fiber = yield* Effect.forkChild(start(limit, [], "second", ask()))
        yield* TestClock.adjust(999)
        assert.deepStrictEqual((yield* Fiber.join(fiber)).waited, { scope: "account", millis: 999 })
      }))

    it.effect("is told as soon as it is its turn, where there is no room in time", () =>
      Effect.gen(function*() {
        const limit = yield* patient(window("account", 1, 600), window("recipients", 2, 5000))
        yield* start(limit, [], "first", ask("a", { recipients: 1 }))
        const second = yield* Effect.forkChild(start(limit, [], "second", ask("a", { recipients: 1 })))
        yield* TestClock.adjust(400)
        const third = yield* Effect.forkChild(Effect.flip(limit.admit(ask("a", { recipients: 2 }))))
        const fourth = yield* Effect.forkChild(limit.admit(ask("a")))
        yield* TestClock.adjust(200)
        yield* Fiber.join(second)
        // the first two recipients are over at 5600
        assert.deepStrictEqual(yield* Fiber.join(third), limited("recipients", 5000))
        assert.strictEqual(yield* limit.waiting, 1)
        yield* Fiber.interrupt(fourth)
      }))
  })

  describe("a store of others", () => {
    const others = (change: (memory: Store) => Partial<Store>) => {
      const memory = RateStore.makeMemory()
      return Effect.provideService(RateStore, { ...memory, ...change(memory) })
    }

    it.effect("that dies ends those who ask, and nobody who comes when it is back", () =>
      Effect.gen(function*() {
        let isGone = false
        const limit = yield* limits([window("account", 1, 1000)]).pipe(others((memory) => ({
          take: (...question) => isGone ? Effect.die("gone") : memory.take(...question)
        })))
        yield* start(limit, [], "x", ask())
        const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(limit.admit(ask())))
        yield* TestClock.adjust(1)
        isGone = true
        yield* TestClock.adjust(999)
        for (const fiber of fibers) assert.isTrue(Exit.hasDies(yield* Fiber.await(fiber)))
        assert.isTrue(Exit.hasDies(yield* Effect.exit(limit.admit(ask()))))
        isGone = false
        yield* limit.admit(ask())
      }))

    it.effect("that never answers is waited for no longer than for room", () =>
      Effect.gen(function*() {
        const limit = yield* patient(window("account", 1, 500)).pipe(others(() => ({
          take: () => Effect.never,
          usage: () => Effect.never
        })))
        const fiber = yield* Effect.forkChild(Effect.flip(limit.admit(ask())))
        const stats = yield* Effect.forkChild(limit.usage)
        yield* TestClock.adjust(999)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        assert.deepInclude(yield* Fiber.join(fiber), { _tag: "TimedOut", wait: "store", written: false })
        assert.deepStrictEqual(yield* Fiber.join(stats), [{
          per: "account",
          key: "work",
          used: 0,
          limit: 1,
          windowMillis: 500
        }])
      }))

    it.effect("that does not answer can be left at once, and has back what it grants then", () =>
      Effect.gen(function*() {
        const limit = yield* patient(window("account", 1, 500)).pipe(others((memory) => ({
          take: (...question) => Effect.delay(memory.take(...question), 300)
        })))
        const fiber = yield* Effect.forkChild(Effect.uninterruptible(limit.admit(ask())))
        yield* TestClock.adjust(100)
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust(199)
        assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [0])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual((yield* limit.usage).map(({ used }) => used), [0])
      }))

    it.effect("that cannot be told that an operation begins fails nobody", () =>
      Effect.gen(function*() {
        const limit = yield* patient(window("account", 2, 500), window("bytes", 10, 500)).pipe(others((memory) => ({
          take: (...question) =>
            Effect.map(memory.take(...question), (answer) =>
              answer.granted
                ? { granted: true, grant: { start: () => Effect.never, refund: Effect.die("gone") } }
                : answer),
          charge: () => Effect.die("gone")
        })))
        const permit = yield* limit.admit(ask("a", { bytes: 0 }))
        const started = yield* Effect.forkChild(permit.start)
        yield* TestClock.adjust(1000)
        yield* Fiber.join(started)
        yield* permit.charge(5)
        yield* permit.refund
      }))
  })

  describe("without windows", () => {
    it.effect("admission is one value, and the store is not asked", () =>
      Effect.gen(function*() {
        const limit = yield* limits([]).pipe(Effect.provideService(RateStore, {
          take: () => Effect.die("asked"),
          charge: () => Effect.die("asked"),
          usage: () => Effect.die("asked")
        }))
        const admission = limit.admit(ask())
        assert.strictEqual(admission, limit.admit(ask("b", { send: 1 })))
        assert.isTrue(Exit.isExit(admission))
        const permit = yield* admission
        yield* permit.start
        yield* permit.charge(10)
        yield* permit.refund
        assert.deepStrictEqual(yield* limit.usage, [])
      }))
  })

  describe("a shared store", () => {
    it.effect("counts accounts of one name together and others apart", () =>
      Effect.gen(function*() {
        const rates = [window("account", 3, 1000), window("agent", 2, 1000)]
        const one = yield* limits(rates, "fail")
        const two = yield* limits(rates, "fail")
        const other = yield* RateLimit.make({ account: "home", rates, onLimit: "fail" })
        yield* one.admit(ask())
        yield* two.admit(ask())
        assert.isTrue(Exit.isFailure(yield* Effect.exit(one.admit(ask()))))
        yield* other.admit(ask())
        assert.deepStrictEqual((yield* two.usage).map(({ key, used }) => [key, used]), [["work", 2], ["a", 2]])
        yield* one.admit(ask("b"))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(two.admit(ask("b")))))
      }).pipe(Effect.provide(RateStore.layerMemory)))
  })
})
