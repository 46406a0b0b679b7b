/**
 * A day of a governor under a storm: agents that ask, share, watch and lose patience, and a server that refuses, slows
 * down, drops, stalls and has defects. It judges from the server's side and from the callers': the cap is kept, nobody
 * shares a connection, everybody is answered in time, and nothing is left when the scope has closed.
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, Scope } from "effect"
import { AssertionError } from "node:assert"
import {
  AuthenticationFailed,
  ConnectionFailed,
  ConnectionLost,
  ConnectionRefusedByLimit,
  type Reason,
  Throttled
} from "../../src/domain/MailError.ts"
import * as Governor from "../../src/governor/Governor.ts"
import { HostLimits } from "../../src/governor/HostLimits.ts"
import * as Telemetry from "../../src/governor/Telemetry.ts"
import type { Dice } from "../random.ts"
import { governorOptions } from "./options.ts"

interface Connection {
  selected: string | undefined
  usable: boolean
  users: number
  works: number
  readonly gone: Deferred.Deferred<string>
  readonly isUsable: () => boolean
  readonly closed: Effect.Effect<string>
}

const mailboxes = ["INBOX", "Sent", "Drafts"] as const
const longestWork = 2_000
const longestOpening = 1_000
const longestClosing = 30
const maxWaitMillis = 20_000
const longestUnused = 60_000

const must = (condition: boolean, message: string) => {
  if (!condition) throw new AssertionError({ message })
}

const response = "so says the server"

class Server {
  readonly dice: Dice
  readonly #open = new Set<Connection>()
  sockets = 0
  peak = 0
  /** Of 100, how many things go wrong. */
  trouble = 10

  constructor(dice: Dice) {
    this.dice = dice
  }

  #takes(longest: number): Effect.Effect<void> {
    return this.dice.chance(30) ? Effect.void : Effect.sleep(1 + this.dice.below(longest))
  }

  #throttled(): Throttled {
    const { dice } = this
    return dice.chance(50)
      ? new Throttled({ response })
      : new Throttled({ response, retryAfter: Duration.millis(dice.below(dice.chance(20) ? 60_000 : 500)) })
  }

  private readonly refusal = Effect.suspend((): Effect.Effect<void, Reason> => {
    const { dice } = this
    if (!dice.chance(this.trouble)) return Effect.void
    switch (dice.below(7)) {
      case 0:
        return Effect.fail(new AuthenticationFailed({ response }))
      case 1:
        return Effect.fail(this.#throttled())
      case 2:
        return Effect.die("a defect at the door")
      case 3:
        return Effect.fail(new ConnectionRefusedByLimit({ response, retryAfter: Duration.millis(dice.below(3_000)) }))
      case 4:
        return Effect.andThen(Effect.sleep(longestOpening), Effect.fail(failed))
      case 5:
        return Effect.fail(failed)
      default:
        return Effect.fail(new ConnectionRefusedByLimit({ response }))
    }
  })

  readonly open: Effect.Effect<Connection, Reason, Scope.Scope> = Effect.gen({ self: this }, function*() {
    yield* Effect.acquireRelease(
      Effect.sync(() => this.peak = Math.max(this.peak, ++this.sockets)),
      () => Effect.andThen(this.#takes(longestClosing), Effect.sync(() => this.sockets--))
    )
    yield* this.#takes(50)
    yield* this.refusal
    const gone = Deferred.makeUnsafe<string>()
    const connection: Connection = {
      selected: undefined,
      usable: true,
      users: 0,
      works: 0,
      gone,
      isUsable: () => connection.usable,
      closed: Deferred.await(gone)
    }
    this.#open.add(connection)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        this.#open.delete(connection)
        connection.usable = false
      })
    )
    return connection
  })

  /** One user at a time; whoever is interrupted leaves a connection that is good for nothing. */
  #used<A, E>(connection: Connection, work: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.acquireUseRelease(
      Effect.sync(() => must(++connection.users === 1, "two work on one connection")),
      () => work,
      () => Effect.sync(() => connection.users--)
    )
  }

  readonly work = (connection: Connection, mailbox: string | undefined): Effect.Effect<string, Reason> => {
    const { dice } = this
    const lost = Effect.suspend(() => {
      connection.usable = false
      if (dice.chance(50)) Deferred.doneUnsafe(connection.gone, Exit.succeed("reset"))
      return Effect.fail(new ConnectionLost({ detail: "reset", written: true }))
    })
    const command = Effect.suspend((): Effect.Effect<string, Reason> => {
      if (!connection.usable) return Effect.fail(new ConnectionLost({ detail: "reset", written: false }))
      connection.works++
      if (mailbox !== undefined) connection.selected = mailbox
      const answer = Effect.andThen(this.#takes(dice.chance(5) ? longestWork : 60), Effect.succeed("done"))
      if (!dice.chance(this.trouble)) return answer
      switch (dice.below(5)) {
        case 0:
          return Effect.andThen(answer, Effect.fail(this.#throttled()))
        case 1:
          return Effect.andThen(answer, Effect.die("a defect"))
        case 2:
          return lost
        default:
          return Effect.andThen(answer, lost)
      }
    })
    return this.#used(
      connection,
      Effect.onInterrupt(
        Effect.raceFirst(command, Effect.andThen(Deferred.await(connection.gone), lost)),
        () => Effect.sync(() => connection.usable = false)
      )
    )
  }

  /** Listens; interrupting it takes a while, too. */
  readonly rest = (connection: Connection, mailbox: string): Effect.Effect<void, Reason> =>
    this.#used(
      connection,
      Effect.suspend(() => {
        connection.selected = mailbox
        return Effect.onInterrupt(
          this.dice.chance(50) ? Effect.sleep(1 + this.dice.below(3_000)) : Deferred.await(connection.gone),
          () => this.#takes(20)
        )
      })
    ).pipe(Effect.andThen(() => connection.usable ? Effect.void : Effect.fail(failed)))

  /** Something happens to a connection, whatever it is doing. */
  readonly strike = Effect.sync(() => {
    const [connection] = this.dice.some([...this.#open], 1)
    if (connection === undefined) return
    connection.usable = false
    Deferred.doneUnsafe(connection.gone, Exit.succeed("reset"))
  })
}

const failed = new ConnectionFailed({ host: "h", port: 1, step: "tcp", detail: "refused", permanent: false })

/** The endings a request may have. */
const endings = new Set([
  "AuthenticationFailed",
  "Throttled",
  "ConnectionFailed",
  "ConnectionRefusedByLimit",
  "ConnectionLost",
  "TimedOut",
  "QueueFull",
  "AccountClosed"
])

const judge = (exit: Exit.Exit<unknown, Reason>, isClosed: boolean) => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Fail") must(endings.has(reason.error._tag), `ends in ${reason.error._tag}`)
    if (reason._tag === "Fail" && reason.error._tag === "AccountClosed") must(isClosed, "closed before its time")
    if (reason._tag === "Die") must(String(reason.defect).startsWith("a defect"), String(reason.defect))
  }
}

/** One account: a governor, its agents, and their server, until all of it is over. */
const account = Effect.fnUntraced(function*(dice: Dice, isImpatient: boolean) {
  const server = new Server(dice)
  server.trouble = dice.oneOf([0, 3, 10, 30])
  const cap = 1 + dice.below(4)
  const scope = yield* Scope.make()
  let isClosed = false
  const governor = yield* Scope.provide(scope)(Governor.make<Connection>({
    ...governorOptions,
    cap,
    maxWaitMillis,
    queue: dice.oneOf([3, 100]),
    idleTimeToLiveMillis: dice.oneOf([50, 1_000, 30_000]),
    shareLimit: dice.oneOf([1, 3, 100]),
    telemetry: yield* Telemetry.make("test"),
    connecting: {
      open: server.open,
      affinityOf: ({ selected }) => selected,
      isSpent: ({ works }) => works >= 20,
      rest: server.rest
    }
  }))
  const shared = governor.sharing<number, string>()
  const longest = maxWaitMillis + longestWork + longestOpening + 2 * longestClosing + (isImpatient ? Infinity : 0)

  const request = (agent: string): Effect.Effect<string, Reason> => {
    const mailbox = dice.chance(80) ? dice.oneOf(mailboxes) : undefined
    const options = { agent, operation: "test", affinity: mailbox, waited: dice.chance(10) ? dice.below(15_000) : 0 }
    if (mailbox === undefined || dice.chance(50)) {
      return governor.submit(options, (connection) => server.work(connection, mailbox))
    }
    return shared(
      { ...options, key: mailbox, size: 1 + dice.below(2) },
      1,
      (connection, payloads) =>
        Effect.map(server.work(connection, mailbox), (answer) => payloads.map(() => Exit.succeed(answer)))
    )
  }

  const timed = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      const begun = yield* Clock.monotonicTimeNanos
      const exit = yield* Effect.exit(effect)
      const took = Number((yield* Clock.monotonicTimeNanos) - begun) / 1e6
      must(took <= longest, `took ${took} ms`)
      return exit
    })

  const agent = (name: string) =>
    Effect.gen(function*() {
      for (let left = 1 + dice.below(25); left > 0; left--) {
        if (dice.chance(40)) yield* Effect.sleep(dice.below(dice.chance(5) ? 8_000 : 80))
        const one = request(name)
        const together = dice.below(8)
        const kind = dice.below(10)
        const exit: Exit.Exit<unknown, Reason> = yield* timed<unknown, Reason>(
          kind < 2
            ? Effect.timeoutOption(one, dice.below(120))
            : kind < 4
            ? Effect.raceFirst(one, request(name))
            : kind < 6
            ? Effect.all(Array.from({ length: together }, () => request(name)), { concurrency: "unbounded" })
            : kind < 7
            ? Effect.scoped(Effect.andThen(
              governor.watch(dice.oneOf(mailboxes)),
              ({ heard }) => Effect.timeoutOption(heard, dice.below(4_000))
            ))
            : one
        )
        judge(exit, isClosed)
      }
    })

  const close = Effect.suspend(() => {
    isClosed = true
    return Effect.andThen(
      timed(Scope.close(scope, Exit.void)),
      Effect.sync(() => must(server.sockets === 0, `${server.sockets} connections are left behind a closed door`))
    )
  })
  const agents = Effect.forEach(
    Array.from({ length: 1 + dice.below(8) }, (_, n) => `agent ${n}`),
    agent,
    { concurrency: "unbounded", discard: true }
  )
  const strikes = Effect.forever(
    Effect.andThen(Effect.suspend(() => Effect.sleep(1 + dice.below(3_000))), server.strike)
  )
  const early = dice.chance(30) ? Effect.andThen(Effect.sleep(dice.below(3_000)), close) : Effect.void
  yield* Effect.raceFirst(Effect.all([agents, early], { concurrency: "unbounded", discard: true }), strikes)
  const { waiting } = governor.observe()
  must(waiting === 0, `${waiting} wait although nobody does`)
  if (!isClosed) {
    yield* Effect.sleep(longestUnused)
    const { busy, closing, idle, opening, resting } = governor.observe().connections
    must(busy + closing + idle + opening + resting === 0, `not unused: ${JSON.stringify(governor.observe())}`)
    must(server.sockets === 0, `${server.sockets} connections are held for nobody`)
  }
  yield* close
  must(server.peak <= cap, `${server.peak} connections, with a cap of ${cap}`)
  must(governor.observe().waiting === 0, "nobody waits behind a closed door")
})

/** Some accounts, perhaps with limits in common. */
export const storm = (dice: Dice, isImpatient: boolean): Effect.Effect<void> => {
  const isLimited = dice.chance(40)
  return Effect.forEach(
    Array.from({ length: 1 + dice.below(3) }),
    () => account(dice, isImpatient),
    { concurrency: "unbounded", discard: true }
  ).pipe(
    Effect.provideService(HostLimits.current, new HostLimits(isLimited ? { connections: 1 + dice.below(3) } : {}))
  )
}
