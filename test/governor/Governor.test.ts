import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Metric, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { AccountClosed, ConnectionFailed, ConnectionLost, type Reason, Throttled } from "../../src/domain/MailError.ts"
import * as Governor from "../../src/governor/Governor.ts"
import { HostLimits } from "../../src/governor/HostLimits.ts"
import * as Telemetry from "../../src/governor/Telemetry.ts"
import { governorOptions } from "./options.ts"

const openMillis = 10
const closeMillis = 5

/** A connection that knows who uses it, and dies when it is told to. */
interface Connection {
  readonly id: number
  selected: string | undefined
  usable: boolean
  busy: boolean
  readonly gone: Deferred.Deferred<string>
  readonly spoken: Queue.Queue<void>
  readonly isUsable: () => boolean
  readonly closed: Effect.Effect<string>
}

/** A server's side of things: what is open, and what it has seen. Openings take what `outcomes` says, then succeed. */
class Server {
  readonly connections: Array<Connection> = []
  readonly outcomes: Array<Effect.Effect<void, Reason>> = []
  readonly log: Array<string> = []
  /** Nobody moves the clock any more: sockets close at once. */
  readonly testIsOver = Deferred.makeUnsafe<void>()
  sockets = 0
  peak = 0
  opening = 0
  overlaps = 0
  attempts = 0

  readonly takes = (millis: number) => Effect.asVoid(Effect.timeoutOption(Deferred.await(this.testIsOver), millis))

  readonly open: Effect.Effect<Connection, Reason, Scope.Scope> = Effect.gen({ self: this }, function*() {
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        this.attempts++
        this.peak = Math.max(this.peak, ++this.sockets)
        if (++this.opening > 1) this.overlaps++
      }),
      () => Effect.andThen(this.takes(closeMillis), Effect.sync(() => this.sockets--))
    )
    yield* Effect.sleep(openMillis).pipe(
      Effect.andThen(this.outcomes.shift() ?? Effect.void),
      Effect.ensuring(Effect.sync(() => this.opening--))
    )
    const gone = Deferred.makeUnsafe<string>()
    const connection: Connection = {
      id: this.connections.length + 1,
      selected: undefined,
      usable: true,
      busy: false,
      gone,
      spoken: yield* Queue.unbounded<void>(),
      isUsable: () => connection.usable,
      closed: Deferred.await(gone)
    }
    this.connections.push(connection)
    yield* Effect.addFinalizer((exit) =>
      Effect.sync(() => this.log.push(`${connection.id} closed ${Exit.isSuccess(exit) ? "politely" : "at once"}`))
    )
    return connection
  })

  /** Work on a connection that takes a while. */
  readonly command = (name: string, millis = 100, mailbox?: string) => (connection: Connection) =>
    Effect.suspend(() => {
      if (connection.busy) this.overlaps++
      connection.busy = true
      if (mailbox !== undefined) connection.selected = mailbox
      this.log.push(`${connection.id} runs ${name}`)
      return Effect.timeoutOrElse(
        Effect.andThen(connection.closed, Effect.fail(new ConnectionLost({ detail: "reset", written: true }))),
        { duration: millis, orElse: () => Effect.succeed(`${name} on ${connection.id}`) }
      )
    }).pipe(
      Effect.onInterrupt(() => Effect.sync(() => connection.usable = false)),
      Effect.ensuring(Effect.sync(() => connection.busy = false))
    )

  readonly rest = (connection: Connection, mailbox: string) =>
    Effect.suspend(() => {
      connection.selected = mailbox
      this.log.push(`${connection.id} rests on ${mailbox}`)
      return Effect.asVoid(Queue.take(connection.spoken))
    })

  die(connection: Connection): void {
    connection.usable = false
    Deferred.doneUnsafe(connection.gone, Exit.succeed("reset"))
  }
}

const governed = Effect.fnUntraced(function*(
  options: Partial<Governor.GovernorOptions<Connection>> = {},
  server: Server = new Server()
) {
  const governor = yield* Governor.make<Connection>({
    ...governorOptions,
    cap: 1,
    telemetry: yield* Telemetry.make("test"),
    connecting: {
      open: server.open,
      affinityOf: ({ selected }) => selected,
      isSpent: () => false,
      rest: server.rest
    },
    ...options
  })
  yield* Effect.addFinalizer(() => Deferred.succeed(server.testIsOver, undefined))
  const ask = (name: string, { agent = "a", mailbox, millis = 100 }: Asked = {}) =>
    governor.submit({ agent, operation: "test", affinity: mailbox }, server.command(name, millis, mailbox))
  return { governor, server, ask }
})

interface Asked {
  readonly agent?: string
  readonly mailbox?: string
  readonly millis?: number
}

const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect === "function") collect()
}

/** The answer, or the failure. */
const outcome = Effect.match({ onFailure: (failure: unknown) => failure, onSuccess: (answer: unknown) => answer })

/** What wants to happen without time passing happens. */
const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 30 }))

const pass = (millis: number) => Effect.andThen(settle, Effect.andThen(TestClock.adjust(millis), settle))

const begin = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** One command for all of the mailbox, however many ask. */
const fetching = (governor: Governor.Governor<Connection>, server: Server) => {
  const shared = governor.sharing<number, string>()
  return (uid: number, agent = `agent ${uid}`) =>
    shared(
      { agent, operation: "fetch", affinity: "INBOX", key: "INBOX", size: 1 },
      uid,
      (connection, uids) =>
        Effect.as(
          server.command(`fetch ${uids.join(",")}`)(connection),
          uids.map((uid) => Exit.succeed(`message ${uid}`))
        )
    )
}

describe("connections", () => {
  it.effect("never exceed the cap, whatever happens to them, and are opened one at a time", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed({ cap: 3 })
      const fibers = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (index) => begin(outcome(ask(`${index}`, { agent: `agent ${index % 5}`, millis: 20 + index % 7 * 10 })))
      )
      for (let step = 0; step < 12; step++) {
        yield* pass(15)
        const running = fibers[step * 3]
        if (step % 3 === 0 && running !== undefined) yield* begin(Fiber.interrupt(running))
        const connection = server.connections[step * 2]
        if (step % 4 === 1 && connection !== undefined) server.die(connection)
        assert.isAtMost(server.sockets, 3)
      }
      yield* pass(5_000)
      yield* Effect.forEach(fibers, Fiber.await)
      assert.strictEqual(server.peak, 3)
      assert.strictEqual(governor.observe().peak, 3)
      assert.strictEqual(server.overlaps, 0)
      assert.isAbove(server.connections.length, 3)
    }))

  it.effect("that cannot be opened fail all who wait, and whoever asks later tries again", () =>
    Effect.gen(function*() {
      const { ask, server } = yield* governed()
      const failure = new ConnectionFailed({ host: "h", port: 993, step: "tcp", detail: "refused", permanent: false })
      server.outcomes.push(Effect.fail(failure))
      const both = yield* begin(Effect.all([Effect.flip(ask("1")), Effect.flip(ask("2", { agent: "b" }))], {
        concurrency: "unbounded"
      }))
      yield* pass(openMillis + closeMillis)
      assert.deepStrictEqual(yield* Fiber.join(both), [failure, failure])
      assert.strictEqual(server.attempts, 1)
      const next = yield* begin(ask("3"))
      yield* pass(1_000)
      assert.strictEqual(yield* Fiber.join(next), "3 on 1")
    }))

  it.effect("whose opening has a defect fail all who wait with it, and are not opened again and again", () =>
    Effect.gen(function*() {
      const { ask, server } = yield* governed()
      server.outcomes.push(Effect.die("a bug"))
      const caller = yield* begin(Effect.exit(ask("1")))
      yield* pass(openMillis + closeMillis)
      const exit = yield* Fiber.join(caller)
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "a bug")
      yield* pass(60_000)
      assert.strictEqual(server.attempts, 1)
    }))

  it.effect("that went away are replaced only when they have closed", () =>
    Effect.gen(function*() {
      const { ask, server } = yield* governed()
      const one = yield* begin(outcome(ask("1")))
      const second = yield* begin(ask("2"))
      yield* pass(openMillis)
      const [first] = server.connections
      assert.isDefined(first)
      server.die(first)
      yield* pass(closeMillis - 1)
      assert.deepStrictEqual(yield* Fiber.join(one), new ConnectionLost({ detail: "reset", written: true }))
      assert.strictEqual(server.sockets, 1)
      assert.strictEqual(server.attempts, 1)
      yield* pass(1)
      assert.strictEqual(server.attempts, 2)
      yield* pass(1_000)
      assert.strictEqual(yield* Fiber.join(second), "2 on 2")
      assert.strictEqual(server.peak, 1)
    }))

  it.effect("that die as they are given work fail what they have begun, and leave the rest to the next one", () =>
    Effect.gen(function*() {
      const outcomes = new Set<unknown>()
      for (let turns = 0; turns < 12; turns++) {
        const { ask, server } = yield* governed()
        yield* begin(ask("1"))
        yield* pass(openMillis + 100)
        const [first] = server.connections
        assert.isDefined(first)
        // the actor and the dispatcher hear of the end and of the request in every order
        const caller = yield* begin(Effect.andThen(Effect.repeat(Effect.yieldNow, { times: turns }), outcome(ask("2"))))
        yield* begin(Effect.andThen(
          Effect.repeat(Effect.yieldNow, { times: 6 }),
          Effect.sync(() => server.die(first))
        ))
        yield* pass(1_000)
        const answer = yield* Fiber.join(caller)
        outcomes.add(answer instanceof ConnectionLost ? `${answer.detail}, written: ${answer.written}` : answer)
      }
      assert.sameMembers([...outcomes], ["2 on 2", "reset, written: true"])
    }))

  it.effect("are closed politely when they have been idle for their time, and not before", () =>
    Effect.gen(function*() {
      const { ask, server } = yield* governed({ idleTimeToLiveMillis: 1_000 })
      yield* begin(ask("1"))
      yield* pass(openMillis + 100 + 999)
      assert.deepStrictEqual(server.log, ["1 runs 1"])
      yield* pass(1 + closeMillis)
      assert.deepStrictEqual(server.log, ["1 runs 1", "1 closed politely"])
      assert.strictEqual(server.sockets, 0)
    }))

  it.effect("that are spent are replaced before they are used again", () =>
    Effect.gen(function*() {
      const server = new Server()
      const { governor } = yield* governed({
        connecting: { open: server.open, affinityOf: () => undefined, isSpent: () => true, rest: server.rest }
      }, server)
      const submit = (name: string) => governor.submit({ agent: "a", operation: "send" }, server.command(name))
      const both = yield* begin(Effect.all([submit("1"), submit("2")], { concurrency: "unbounded" }))
      yield* pass(1_000)
      assert.deepStrictEqual(yield* Fiber.join(both), ["1 on 1", "2 on 2"])
      assert.strictEqual(server.peak, 1)
    }))
})

describe("interruption", () => {
  it.effect("takes a waiting caller out of the queue at once", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed()
      yield* begin(ask("1"))
      const waiting = yield* begin(ask("2"))
      yield* pass(openMillis)
      assert.strictEqual(governor.observe().waiting, 1)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(governor.observe().waiting, 0)
      yield* pass(1_000)
      assert.deepStrictEqual(server.log, ["1 runs 1"])
    }))

  it.effect("of the last one who waits gives up the wait for a place that other accounts have", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* governed(), yield* governed()]
      const running = yield* begin(one.ask("running"))
      yield* pass(openMillis)
      const waiting = yield* begin(other.ask("waiting"))
      yield* settle
      assert.strictEqual(other.governor.observe().connections.opening, 1)
      yield* Fiber.interrupt(waiting)
      yield* pass(100)
      assert.strictEqual(yield* Fiber.join(running), "running on 1")
      yield* pass(1_000)
      assert.deepStrictEqual([one.server.sockets, other.server.attempts], [1, 0])
      assert.strictEqual(other.governor.observe().connections.opening, 0)
      const again = yield* begin(other.ask("again"))
      yield* pass(closeMillis + openMillis + 100)
      assert.strictEqual(yield* Fiber.join(again), "again on 1")
    }).pipe(Effect.provideService(HostLimits.current, new HostLimits({ connections: 1 }))))

  it.effect("of running work closes its connection and no other, and is over when it has closed", () =>
    Effect.gen(function*() {
      const { ask, server } = yield* governed({ cap: 2 })
      const first = yield* begin(ask("1", { millis: 1_000 }))
      const second = yield* begin(ask("2", { millis: 1_000 }))
      const third = yield* begin(ask("3", { millis: 1_000 }))
      yield* pass(2 * openMillis)
      const interrupting = yield* begin(Fiber.interrupt(first))
      yield* pass(closeMillis - 1)
      assert.isUndefined(interrupting.pollUnsafe())
      assert.strictEqual(server.attempts, 2)
      yield* pass(1)
      assert.isDefined(interrupting.pollUnsafe())
      yield* pass(5_000)
      assert.strictEqual(yield* Fiber.join(second), "2 on 2")
      assert.strictEqual(yield* Fiber.join(third), "3 on 3")
      assert.deepStrictEqual(server.log.filter((line) => line.includes("closed")), ["1 closed at once"])
      assert.strictEqual(server.peak, 2)
    }))

  it.effect("of work that has not begun spares its connection", () =>
    Effect.gen(function*() {
      const server = new Server()
      const { ask, governor } = yield* governed({
        connecting: {
          open: server.open,
          affinityOf: ({ selected }) => selected,
          isSpent: () => false,
          // leaving IDLE takes a while
          rest: (connection, mailbox) => Effect.onInterrupt(server.rest(connection, mailbox), () => server.takes(50))
        }
      }, server)
      yield* Effect.asVoid(governor.watch("INBOX"))
      yield* pass(openMillis + 200)
      const caller = yield* begin(ask("1"))
      yield* settle
      assert.strictEqual(governor.observe().connections.busy, 1)
      yield* Fiber.interrupt(caller)
      yield* pass(1_000)
      assert.deepStrictEqual(server.log, ["1 rests on INBOX", "1 rests on INBOX"])
    }))
})

describe("a shared command", () => {
  it.effect("answers sixteen callers who ask at the same moment", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const fetch = fetching(governor, server)
      const uids = Array.from({ length: 16 }, (_, index) => index + 1)
      yield* begin(fetch(99))
      yield* pass(openMillis + 100)
      const callers = yield* begin(Effect.forEach(uids, (uid) => fetch(uid), { concurrency: "unbounded" }))
      yield* pass(100)
      assert.deepStrictEqual(yield* Fiber.join(callers), uids.map((uid) => `message ${uid}`))
      assert.deepStrictEqual(server.log, ["1 runs fetch 99", `1 runs fetch ${uids.join(",")}`])
    }))

  it.effect("goes on for the others when the one who was given the slot is interrupted", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const fetch = fetching(governor, server)
      const leader = yield* begin(fetch(1))
      const rider = yield* begin(fetch(2))
      yield* pass(openMillis)
      yield* Fiber.interrupt(leader)
      yield* pass(100)
      assert.strictEqual(yield* Fiber.join(rider), "message 2")
      assert.deepStrictEqual(server.log, ["1 runs fetch 1,2"])
    }))

  it.effect("ends with its connection when everybody is interrupted", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const fetch = fetching(governor, server)
      const leader = yield* begin(fetch(1))
      const rider = yield* begin(fetch(2))
      yield* pass(openMillis)
      yield* Fiber.interrupt(rider)
      assert.strictEqual(server.sockets, 1)
      yield* begin(Fiber.interrupt(leader))
      yield* pass(closeMillis)
      assert.strictEqual(server.sockets, 0)
      assert.deepStrictEqual(server.log, ["1 runs fetch 1,2", "1 closed at once"])
    }))

  it.effect("is run for those who are left, when the first has gone before it began", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const fetch = fetching(governor, server)
      const first = yield* begin(fetch(1))
      const rest = yield* begin(Effect.all([fetch(2), fetch(3)], { concurrency: "unbounded" }))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* pass(1_000)
      assert.deepStrictEqual(yield* Fiber.join(rest), ["message 2", "message 3"])
      assert.deepStrictEqual(server.log, ["1 runs fetch 2,3"])
    }))

  it.effect("that fails, fails for all; one answer that is a failure is one caller's", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const lost = new ConnectionLost({ detail: "reset", written: true })
      const shared = governor.sharing<number, number>()
      const each = (uid: number, key: string) =>
        outcome(shared(
          { agent: "a", operation: "fetch", key, size: 1 },
          uid,
          (connection, uids) =>
            Effect.andThen(
              server.command(key)(connection),
              key === "all fail"
                ? Effect.fail(lost)
                : Effect.succeed(uids.map((uid) => uid === 2 ? Exit.fail(lost) : Exit.succeed(uid)))
            )
        ))
      const callers = yield* begin(Effect.all(
        [each(1, "all fail"), each(2, "all fail"), each(1, "one fails"), each(2, "one fails")],
        { concurrency: "unbounded" }
      ))
      yield* pass(1_000)
      assert.deepStrictEqual(yield* Fiber.join(callers), [
        lost,
        lost,
        1,
        lost
      ])
    }))
})

describe("work", () => {
  it.effect("leaves nothing of its answer with the connection that waits for more", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const submit = (work: Effect.Effect<object>) => governor.submit({ agent: "a", operation: "test" }, () => work)
      let answer: WeakRef<object> | undefined
      const first = yield* begin(Effect.asVoid(submit(Effect.sync(() => {
        const octets = { octets: new Uint8Array(1_000) }
        answer = new WeakRef(octets)
        return octets
      }))))
      yield* pass(openMillis)
      yield* Fiber.join(first)
      yield* settle
      // a weak reference holds on until the turn has ended
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      collectGarbage()
      assert.strictEqual(server.sockets, 1)
      assert.isUndefined(answer?.deref())
    }))

  it.effect("with a defect answers its caller with it, and ends its connection", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed()
      const buggy = yield* begin(Effect.exit(governor.submit({ agent: "a", operation: "test" }, () => {
        throw new Error("a bug")
      })))
      const next = yield* begin(ask("2"))
      yield* pass(1_000)
      const exit = yield* Fiber.join(buggy)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(yield* Fiber.join(next), "2 on 2")
      assert.deepStrictEqual(server.log, ["1 closed at once", "2 runs 2"])
    }))

  it.effect("that fails leaves a usable connection to the next", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed()
      const failing = yield* begin(
        outcome(governor.submit({ agent: "a", operation: "test" }, () => Effect.fail("no")))
      )
      const next = yield* begin(ask("2"))
      yield* pass(1_000)
      assert.deepStrictEqual(yield* Fiber.join(failing), "no")
      assert.strictEqual(yield* Fiber.join(next), "2 on 1")
      assert.deepStrictEqual(server.log, ["1 runs 2"])
    }))

  it.effect("that is told to slow down holds all the others until then", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed({ cap: 2 })
      const throttled = new Throttled({ response: "slow", retryAfter: Duration.seconds(30) })
      yield* begin(Effect.exit(governor.submit({ agent: "a", operation: "test" }, () => Effect.fail(throttled))))
      yield* pass(openMillis)
      const next = yield* begin(ask("2"))
      yield* pass(29_900)
      assert.deepStrictEqual(server.log, [])
      yield* pass(200)
      assert.strictEqual(yield* Fiber.join(next), "2 on 1")
    }))

  it.effect("that waited too long for a connection fails with the wait it had", () =>
    Effect.gen(function*() {
      const { ask } = yield* governed({ maxWaitMillis: 500 })
      yield* begin(ask("1", { millis: 10_000 }))
      const waiting = yield* begin(Effect.flip(ask("2")))
      yield* pass(499)
      assert.isUndefined(waiting.pollUnsafe())
      yield* pass(1)
      const failure = yield* Fiber.join(waiting)
      assert.isTrue(failure._tag === "TimedOut" && failure.wait === "queue" && !failure.written)
    }))

  it.effect("fails at once where the queue is full", () =>
    Effect.gen(function*() {
      const { ask } = yield* governed({ queue: 2 })
      yield* begin(ask("1"))
      yield* begin(ask("2"))
      const refused = yield* begin(Effect.flip(ask("3")))
      yield* settle
      assert.strictEqual((yield* Fiber.join(refused))._tag, "QueueFull")
    }))
})

describe("the end of the scope", () => {
  it.effect("fails those who wait, ends what runs, closes every connection, and leaves no fiber", () =>
    Effect.gen(function*() {
      const active = Metric.value(
        Metric.gauge("child_fibers_active", { description: "The current count of active child fibers" })
      )
      const before = (yield* active).value
      const callers = yield* Effect.scoped(Effect.gen(function*() {
        const { ask, governor, server } = yield* governed({ cap: 2 })
        yield* Effect.asVoid(governor.watch("INBOX"))
        const callers = yield* Effect.forEach(
          ["1", "2", "3"],
          (name) => begin(outcome(ask(name, { millis: 9_000 })))
        )
        yield* pass(openMillis)
        assert.strictEqual(server.sockets, 2)
        assert.isAbove((yield* active).value, before)
        yield* Effect.addFinalizer(() => Effect.sync(() => assert.strictEqual(server.sockets, 2)))
        return { callers, server, ask }
      })).pipe(begin, Effect.tap(() => pass(openMillis + closeMillis)), Effect.flatMap(Fiber.join))
      assert.strictEqual(callers.server.sockets, 0)
      const [first, second, waiting] = yield* Effect.forEach(callers.callers, Fiber.join)
      // what had begun may have taken place
      const cut = new ConnectionLost({ detail: "the account was closed before the answer came", written: true })
      assert.deepStrictEqual([first, second], [cut, cut])
      assert.deepStrictEqual(waiting, new AccountClosed({}))
      assert.deepStrictEqual(yield* outcome(callers.ask("late")), new AccountClosed({}))
      yield* settle
      assert.strictEqual((yield* active).value, before)
    }).pipe(Metric.enableRuntimeMetrics, Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("opens nothing any more, where a caller brings it about as it is answered", () =>
    Effect.gen(function*() {
      const server = new Server()
      const scope = yield* Scope.make()
      const slowly = Effect.tap(server.open, () => Effect.addFinalizer(() => Effect.sleep(closeMillis)))
      const { ask } = yield* Scope.provide(scope)(
        governed({
          cap: 2,
          queue: 1,
          connecting: { open: slowly, affinityOf: () => undefined, isSpent: () => false, rest: server.rest }
        }, server)
      )
      yield* begin(outcome(ask("running", { millis: 9_000 })))
      yield* pass(openMillis)
      const waiting = yield* begin(outcome(ask("waiting")))
      // it is refused in the same decision that opens a connection for the other
      const closing = yield* begin(Effect.catch(ask("refused"), () => Scope.close(scope, Exit.void)))
      yield* pass(openMillis + closeMillis)
      yield* pass(openMillis + closeMillis)
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(yield* Fiber.join(waiting), new AccountClosed({}))
      assert.deepStrictEqual([server.attempts, server.sockets], [1, 0])
    }))
})

describe("a watch", () => {
  it.effect("hears what happens while its connection listens", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed()
      const first = yield* governor.watch("INBOX")
      const second = yield* governor.watch("INBOX")
      const heard = yield* begin(Effect.all([first.heard, second.heard], { concurrency: "unbounded" }))
      yield* pass(openMillis + 200)
      assert.deepStrictEqual(server.log, ["1 rests on INBOX"])
      assert.isUndefined(heard.pollUnsafe())
      assert.isTrue(first.isListening())
      const [connection] = server.connections
      assert.isDefined(connection)
      Queue.offerUnsafe(connection.spoken, undefined)
      yield* settle
      yield* Fiber.join(heard)
      yield* pass(200)
      assert.deepStrictEqual(server.log, ["1 rests on INBOX", "1 rests on INBOX"])
      const again = yield* begin(first.heard)
      yield* pass(1_000)
      assert.isUndefined(again.pollUnsafe())
    }))

  it.effect("under a cap of one gives way to requests, and listens again after them", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed()
      yield* Effect.asVoid(governor.watch("INBOX"))
      yield* pass(openMillis + 200)
      const request = yield* begin(ask("1", { mailbox: "Sent" }))
      yield* pass(100)
      assert.strictEqual(yield* Fiber.join(request), "1 on 1")
      yield* pass(200)
      assert.deepStrictEqual(server.log, ["1 rests on INBOX", "1 runs 1", "1 rests on INBOX"])
    }))

  it.effect("that hears something just as its connection is given work does not make it free", () =>
    Effect.gen(function*() {
      const { ask, governor, server } = yield* governed()
      yield* Effect.asVoid(governor.watch("INBOX"))
      yield* pass(openMillis + 200)
      const [connection] = server.connections
      assert.isDefined(connection)
      const callers = yield* begin(Effect.all([ask("1"), ask("2")], { concurrency: "unbounded" }))
      Queue.offerUnsafe(connection.spoken, undefined)
      yield* pass(99)
      assert.deepStrictEqual(governor.observe().connections, { opening: 0, idle: 0, busy: 1, resting: 0, closing: 0 })
      assert.strictEqual(governor.observe().waiting, 1)
      yield* pass(1_000)
      assert.deepStrictEqual(yield* Fiber.join(callers), ["1 on 1", "2 on 1"])
      assert.strictEqual(server.overlaps, 0)
    }))

  it.effect("that nobody wants any more leaves its connection to its time to live", () =>
    Effect.gen(function*() {
      const { governor, server } = yield* governed({ idleTimeToLiveMillis: 1_000 })
      yield* Effect.scoped(Effect.andThen(governor.watch("INBOX"), pass(openMillis + 5_000)))
      assert.deepStrictEqual(server.log, ["1 rests on INBOX"])
      yield* pass(1_000 + closeMillis)
      assert.deepStrictEqual(server.log, ["1 rests on INBOX", "1 closed politely"])
    }))
})
