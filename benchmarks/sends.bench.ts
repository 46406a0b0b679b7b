/** What does it cost to send many messages, with each sent at most once and its fate known? */
import { Effect, Result, Stream } from "effect"
import { Draft } from "effect-mail"
import type { Outcome, Subject, Suite } from "./Harness.ts"
import { account } from "./Library.ts"
import { digestOfLetters, letterOf } from "./Mail.ts"
import { perMessage, pool } from "./peers/nodemailer.ts"
import { smtpSource, smtpSourceMissing } from "./peers/smtpSource.ts"
import { type SmtpServer, smtpServer } from "./Servers.ts"

const connections = 4

/** Octets of a message. */
const octets = 6_000

/** Times the sending alone, and then asks the server what it took. */
const counted = <E>(server: SmtpServer, send: Effect.Effect<void, E>): Effect.Effect<Outcome, E> =>
  Effect.gen(function*() {
    const [begun, before] = [performance.now(), process.cpuUsage()]
    yield* send
    const millis = performance.now() - begun
    const { system, user } = process.cpuUsage(before)
    return { millis, cpu: (user + system) / 1000, digest: yield* server.taken }
  })

const lettersOf = (count: number) => Array.from({ length: count }, (_, index) => letterOf(index, octets))

const library = (server: SmtpServer, count: number): Subject => ({
  name: "effect-mail",
  role: "library",
  open: Effect.gen(function*() {
    const letters = lettersOf(count)
    const mail = yield* account({
      smtpPort: server.port,
      limits: { smtpConnections: connections, messagesPerConnection: Number.MAX_SAFE_INTEGER }
    })
    return counted(
      server,
      Effect.suspend(() =>
        mail.sendAll(letters.map((letter) => new Draft(letter))).pipe(
          Stream.runForEach(({ result }) => Result.isSuccess(result) ? Effect.void : Effect.fail(result.failure))
        )
      )
    )
  })
})

const peers = (server: SmtpServer, count: number): ReadonlyArray<Subject> => [
  {
    name: "nodemailer, its pool",
    role: "peer",
    open: Effect.map(pool(server.port, connections), (send) => {
      const letters = lettersOf(count)
      return counted(server, Effect.asVoid(Effect.promise(() => send(letters))))
    })
  },
  {
    name: "nodemailer, one connection per message",
    role: "peer",
    open: Effect.sync(() => {
      const letters = lettersOf(count)
      const send = perMessage(server.port, connections)
      return counted(server, Effect.promise(() => send(letters)))
    })
  },
  {
    name: "smtp-source (C), the same octets each time",
    role: "limit",
    skip: smtpSourceMissing(),
    // its letters are its own: only their number is known
    expected: { count },
    open: Effect.succeed(Effect.gen(function*() {
      const millis = yield* smtpSource(server.port, connections, count, octets)
      return { millis, digest: yield* server.taken }
    }))
  }
]

export const suite: Suite = {
  name: "sends",
  question: "What does it cost to send many messages over few connections, each at most once?",
  run: (bench) =>
    Effect.gen(function*() {
      const server = yield* smtpServer
      const count = bench.size(2_000, 100)
      yield* bench.measure({
        name: `${count} x 6 kB, ${connections} connections`,
        unit: "us",
        operations: count,
        expected: digestOfLetters(count, octets),
        subjects: [library(server, count), ...peers(server, count)],
        targets: [{ against: "nodemailer, its pool", atMost: 1.05 }],
        bound: "CPU of one Node process; the end of each message is written apart, after all before it has left"
      })
      return server.name
    })
}
