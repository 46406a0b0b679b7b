import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { Password } from "../../src/domain/Credentials.ts"
import type { Reason } from "../../src/domain/MailError.ts"
import type { ImapConnection } from "../../src/driver/ImapDriver.ts"
import { bounded } from "../../src/governor/CommandTimeout.ts"
import { type FaultAction, MemoryMail } from "../../src/testing/index.ts"
import { settableClock } from "./SettableClock.ts"

const seconds = (count: number) => Duration.seconds(count)
const delay = (count: number): FaultAction => ({ _tag: "Delay", duration: seconds(count) })
const stall: FaultAction = { _tag: "Stall" }

/** A connection that gives a command ten seconds, at a server that does this to one command after the other. */
const connect = (at: string, ...actions: ReadonlyArray<FaultAction>) =>
  Effect.gen(function*() {
    const server = MemoryMail.make({ users: [{ name: "ann", password: "secret" }] })
    const plain = yield* server.imap.connect({
      endpoint: new Endpoint({ host: "mail.test" }),
      credentials: new Password({ user: "ann", password: Redacted.make("secret") }),
      connectTimeoutMillis: 30_000
    })
    server.faults.add(...actions.map((action) => ({ protocol: "imap" as const, at, action })))
    return { plain, connection: yield* bounded(plain, seconds(10)) }
  })

const running = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const commands: Readonly<Record<string, (connection: ImapConnection) => Effect.Effect<unknown, Reason>>> = {
  list: (connection) => connection.list({ status: false }),
  status: (connection) => connection.status("INBOX"),
  create: (connection) => connection.create("Box"),
  rename: (connection) => connection.rename("Box", "Other"),
  delete: (connection) => connection.delete("Box"),
  subscribe: (connection) => connection.subscribe("Box"),
  unsubscribe: (connection) => connection.unsubscribe("Box"),
  quota: (connection) => connection.quota("INBOX"),
  select: (connection) => connection.select("INBOX", { readOnly: false }),
  search: (connection) => connection.search({ _tag: "All" }),
  fetch: (connection) => connection.fetch("1", { flags: true }),
  fetchPartial: (connection) => connection.fetchPartial({ uid: 1, section: "", start: 0, length: 0 }),
  store: (connection) => connection.store("1", { mode: "add", flags: [] }),
  copy: (connection) => connection.copy("1", "Box"),
  move: (connection) => connection.move("1", "Box"),
  expunge: (connection) => connection.expunge("1"),
  append: (connection) => connection.append("INBOX", new Uint8Array(), { flags: [] }),
  noop: (connection) => connection.noop
}

describe("the bound on a command", () => {
  it.effect("is on every one of them", () =>
    Effect.gen(function*() {
      const { plain } = yield* connect("NOOP")
      const aborted: Array<string> = []
      for (const [name, command] of Object.entries(commands)) {
        const connection = yield* bounded({
          ...plain,
          [name]: name === "noop" ? Effect.never : () => Effect.never,
          abort: () => void aborted.push(name)
        }, seconds(10))
        yield* running(command(connection))
        yield* TestClock.adjust(seconds(10))
      }
      assert.deepStrictEqual(aborted, Object.keys(commands))
    }))

  it.effect("ends one that is not answered in time, and the connection with it", () =>
    Effect.gen(function*() {
      const { connection, plain } = yield* connect("NOOP", stall)
      const command = yield* running(Effect.flip(connection.noop))
      yield* TestClock.adjust(seconds(10).pipe(Duration.subtract(Duration.millis(1))))
      assert.isUndefined(command.pollUnsafe())
      assert.isTrue(plain.isUsable())
      yield* TestClock.adjust(Duration.millis(1))
      const reason = yield* Fiber.join(command)
      assert.deepInclude(reason, { _tag: "TimedOut", wait: "command", written: true })
      assert.isFalse(plain.isUsable())
      yield* plain.closed
    }))

  it.effect("counts from the beginning of each, whatever went before", () =>
    Effect.gen(function*() {
      const { connection, plain } = yield* connect("NOOP", delay(9), delay(9.5), stall)
      const commands = yield* running(Effect.exit(Effect.andThen(
        Effect.andThen(connection.noop, connection.noop),
        Effect.andThen(Effect.sleep(seconds(3)), connection.noop)
      )))
      yield* TestClock.adjust(seconds(9 + 9.5 + 3 + 9.9))
      assert.isUndefined(commands.pollUnsafe())
      assert.isTrue(plain.isUsable())
      yield* TestClock.adjust(seconds(0.1))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(commands)))
    }))

  it.effect("gives a long message the time its octets take, and the command after it no more than any", () =>
    Effect.gen(function*() {
      const { connection, plain } = yield* connect("APPEND", delay(500))
      const source = new Uint8Array(64 * 1024 * 600)
      const filed = yield* running(connection.append("INBOX", source, { flags: [] }))
      yield* TestClock.adjust(seconds(500))
      yield* Fiber.join(filed)
      const listed = yield* connect("NOOP", stall)
      const appended = yield* running(listed.connection.append("INBOX", source, { flags: [] }))
      yield* Fiber.join(appended)
      const command = yield* running(Effect.flip(listed.connection.noop))
      yield* TestClock.adjust(seconds(10))
      assert.strictEqual((yield* Fiber.join(command))._tag, "TimedOut")
      assert.isTrue(plain.isUsable())
    }))

  for (const [title, setBy] of [["back", Duration.hours(-1)], ["forward", Duration.hours(1)]] as const) {
    it.effect(`is the same where the time of day is set ${title} meanwhile`, () =>
      Effect.gen(function*() {
        const clock = yield* settableClock
        const { connection, plain } = yield* clock.on(connect("NOOP", stall))
        const command = yield* running(clock.on(Effect.flip(connection.noop)))
        yield* TestClock.adjust(seconds(5))
        clock.setBy(Duration.toMillis(setBy))
        yield* TestClock.adjust(seconds(4.9))
        assert.isTrue(plain.isUsable())
        yield* TestClock.adjust(seconds(0.1))
        assert.isDefined(command.pollUnsafe())
        assert.deepInclude(yield* Fiber.join(command), { _tag: "TimedOut", wait: "command" })
      }))
  }

  it.effect("lets IDLE last", () =>
    Effect.gen(function*() {
      const { connection, plain } = yield* connect("IDLE")
      yield* connection.select("INBOX", { readOnly: true })
      const idle = yield* running(connection.idle)
      yield* TestClock.adjust("20 minutes")
      assert.isUndefined(idle.pollUnsafe())
      assert.isTrue(plain.isUsable())
      yield* Fiber.interrupt(idle)
    }))
})
