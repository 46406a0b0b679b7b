import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Metric, References, Stream, Tracer } from "effect"
import { Agent, MessageRef, Query, RateWindow, RetryPolicy } from "../../src/index.ts"
import { begin, open, pass, serve, settle, withConnections } from "../account/MemoryAccount.ts"

/** A registry of the test's own: metrics are otherwise the process's. */
const Fresh = Layer.sync(Metric.MetricRegistry, () => new Map())

const tracing = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const layer = Layer.succeed(
    Tracer.Tracer,
    Tracer.make({
      span(options) {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
  )
  const named = (name: string) => spans.filter((span) => span.name === name)
  return { layer, named, spans }
}

const parentOf = (span: Tracer.NativeSpan | undefined) =>
  span?.parent._tag === "Some" && span.parent.value._tag === "Span" ? span.parent.value.name : undefined

/** The metrics of a name: their labels, and what they hold. */
const metrics = (name: string) =>
  Effect.map(Metric.snapshot, (all) =>
    all.filter(({ id }) => id === name).map(({ attributes, state }) => ({
      labels: { ...attributes } as Readonly<Record<string, string>>, // the type allows other forms that attributes may be given in
      state
    })))

const firstRef = (server: ReturnType<typeof serve>) =>
  new MessageRef({ mailbox: "INBOX", uidValidity: server.store.user("ann")?.inbox.uidValidity ?? 0, uid: 1 })

describe("spans", () => {
  it.effect("name the operation, and below it the wait and the command", () => {
    const { layer, named } = tracing()
    return Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server)
      yield* Agent.as("agent-1")(account.status("INBOX"))
      const [operation] = named("MailAccount.status")
      assert.deepStrictEqual(Object.fromEntries(operation?.attributes ?? []), {
        "mail.account": "ann",
        "mail.agent": "agent-1",
        "mail.mailbox": "INBOX"
      })
      const [wait] = named("mail.wait")
      const [command] = named("mail.command")
      assert.strictEqual(parentOf(wait), "MailAccount.status")
      assert.strictEqual(parentOf(command), "MailAccount.status")
      assert.strictEqual(command?.attributes.get("mail.protocol"), "imap")
      assert.strictEqual(command?.attributes.get("mail.operation"), "status")
      for (const span of [operation, wait, command]) assert.strictEqual(span?.status._tag, "Ended")
    }).pipe(Effect.provide(layer))
  })

  it.effect("of connects stand for themselves, as a connection is the account's and not the caller's", () => {
    const { layer, named } = tracing()
    return Effect.gen(function*() {
      const account = yield* open(serve())
      yield* account.status("INBOX")
      const [connect] = named("mail.connect")
      assert.deepStrictEqual(Object.fromEntries(connect?.attributes ?? []), {
        "mail.protocol": "imap",
        host: "mail.example.com"
      })
      assert.isUndefined(parentOf(connect))
    }).pipe(Effect.provide(layer))
  })

  it.effect("of a stream are as long as the stream, with the waits and commands of each chunk below", () => {
    const { layer, named } = tracing()
    return Effect.gen(function*() {
      const account = yield* open(serve())
      assert.strictEqual(yield* Agent.as("agent-1")(Stream.runCount(account.messages(Query.inbox))), 4)
      const [stream] = named("MailAccount.messages")
      assert.strictEqual(stream?.status._tag, "Ended")
      assert.deepStrictEqual(Object.fromEntries(stream?.attributes ?? []), {
        "mail.account": "ann",
        "mail.agent": "agent-1",
        "mail.mailbox": "INBOX"
      })
      const commands = named("mail.command")
      assert.isAtLeast(commands.length, 2)
      for (const command of commands) {
        assert.strictEqual(parentOf(command), "MailAccount.messages")
        assert.strictEqual(command.attributes.get("mail.operation"), "messages")
      }
      for (const wait of named("mail.wait")) assert.strictEqual(parentOf(wait), "MailAccount.messages")
    }).pipe(Effect.provide(layer))
  })

  it.effect("hold no secret", () => {
    const { layer, spans } = tracing()
    return Effect.gen(function*() {
      const account = yield* open(serve(), { password: "a-wrong-secret" })
      yield* Effect.flip(account.status("INBOX"))
      const written = JSON.stringify(spans.map(({ attributes, events, name, status }) => [
        name,
        [...attributes],
        events,
        status._tag === "Ended" ? String(status.exit) : ""
      ]))
      assert.notInclude(written, "a-wrong-secret")
    }).pipe(Effect.provide(layer))
  })
})

describe("metrics", () => {
  it.effect("count waits and commands by account, protocol, agent and operation", () =>
    Effect.gen(function*() {
      const account = yield* open(serve({ latency: "100 millis" }), { limits: { imapConnections: 1 } })
      const two = yield* begin(
        Agent.as("agent-1")(
          Effect.all([account.status("INBOX"), account.status("INBOX")], { concurrency: 2 })
        )
      )
      yield* pass(1_000)
      yield* Fiber.join(two)
      const labels = { account: "ann", protocol: "imap", agent: "agent-1", operation: "status" }
      const [waits] = yield* metrics("mail_wait_ms")
      assert.deepStrictEqual(waits?.labels, labels)
      assert.deepInclude(waits?.state, { count: 2, min: 200, max: 300 })
      const [commands] = yield* metrics("mail_command_ms")
      assert.deepStrictEqual(commands?.labels, labels)
      assert.deepInclude(commands?.state, { count: 2, sum: 200 })
    }).pipe(Effect.provide(Fresh)))

  it.effect("show connections by state and the queue at the moment they are read, and are gone with the account", () =>
    Effect.gen(function*() {
      const imap = (name: string) =>
        Effect.map(metrics(name), (all) => all.filter(({ labels }) => labels["protocol"] === "imap"))
      yield* Effect.scoped(Effect.gen(function*() {
        const account = yield* open(serve({ latency: "100 millis" }), { limits: { imapConnections: 1 } })
        const some = yield* begin(Effect.all([1, 2, 3].map(() => account.status("INBOX")), { concurrency: 3 }))
        yield* pass(250)
        assert.deepStrictEqual((yield* imap("mail_queue_depth")).map(({ state }) => state), [{ value: 2 }])
        const states = (yield* imap("mail_connections")).map(({ labels, state }) => [labels["state"], state] as const)
        assert.deepStrictEqual(Object.fromEntries(states), {
          opening: { value: 0 },
          idle: { value: 0 },
          busy: { value: 1 },
          resting: { value: 0 },
          closing: { value: 0 }
        })
        yield* pass(1_000)
        yield* Fiber.join(some)
      }))
      yield* settle
      assert.deepStrictEqual(yield* metrics("mail_connections"), [])
      assert.deepStrictEqual(yield* metrics("mail_queue_depth"), [])
    }).pipe(Effect.provide(Fresh)))

  it.effect("count repetitions by reason, and how often a server asked to slow down", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server, { retry: RetryPolicy.make({ base: "1 second", jitter: 0 }) })
      server.faults.add(
        { protocol: "imap", at: "STATUS", action: { _tag: "Drop", when: "before" } },
        { protocol: "imap", at: "STATUS", action: { _tag: "Refuse", status: "NO", text: "slow down" } }
      )
      const fiber = yield* begin(account.status("INBOX"))
      yield* pass(10_000, 250)
      yield* Fiber.join(fiber)
      const retries = yield* metrics("mail_retries")
      assert.deepStrictEqual(
        Object.fromEntries(retries.map(({ labels, state }) => [labels["reason"], state])),
        { ConnectionLost: { count: 1, incremental: true }, Throttled: { count: 1, incremental: true } }
      )
      assert.deepStrictEqual(retries[0]?.labels, { account: "ann", operation: "status", reason: "ConnectionLost" })
      const [throttles] = yield* metrics("mail_throttles")
      assert.deepStrictEqual(throttles?.labels, { account: "ann", protocol: "imap" })
      assert.deepInclude(throttles?.state, { count: 1 })
    }).pipe(Effect.provide(Fresh)))

  it.effect("tell how long rate windows made operations wait", () =>
    Effect.gen(function*() {
      const rates = [new RateWindow({ per: "account", limit: 1, window: Duration.seconds(10) })]
      const account = yield* open(serve(), { limits: { rates } })
      yield* account.status("INBOX")
      const second = yield* begin(account.status("INBOX"))
      yield* pass(10_000, 500)
      yield* Fiber.join(second)
      const [delays] = yield* metrics("mail_rate_delay_ms")
      assert.deepStrictEqual(delays?.labels, { account: "ann", scope: "account" })
      assert.deepInclude(delays?.state, { count: 1, sum: 10_000 })
    }).pipe(Effect.provide(Fresh)))

  it.effect("count octets received and sent", () =>
    Effect.gen(function*() {
      const server = serve()
      const account = yield* open(server)
      const message = yield* account.message(firstRef(server))
      yield* account.append("INBOX", new Uint8Array(1_000).fill(65))
      const all = yield* metrics("mail_bytes")
      const count = (direction: string) => all.find(({ labels }) => labels["direction"] === direction)?.state
      assert.deepInclude(count("sent"), { count: 1_000 })
      const received = count("received")
      assert.isAtLeast(received !== undefined && "count" in received ? Number(received.count) : 0, message.size)
    }).pipe(Effect.provide(Fresh)))

  it.effect("keep labels for a bounded number of agents, and count the others together", () =>
    Effect.gen(function*() {
      const account = yield* open(serve(), { limits: { queue: 2_000 } })
      yield* Effect.forEach(
        Array.from({ length: 1_200 }, (_, n) => `agent-${n}`),
        (agent) => Agent.as(agent)(account.status("INBOX")),
        { discard: true }
      )
      const series = yield* metrics("mail_wait_ms")
      assert.strictEqual(series.length, 1_001)
      assert.deepInclude(series.find(({ labels }) => labels["agent"] === "other")?.state, { count: 200 })
      const { agents } = (yield* account.stats).imap
      assert.strictEqual(agents.size, 1_001)
      assert.strictEqual(agents.get("other")?.served, 200)
    }).pipe(Effect.provide(Fresh)))
})

describe("log lines of an operation", () => {
  /** An account whose connections note what would be written beside a log line of theirs. */
  const annotated = Effect.fnUntraced(function*() {
    const server = serve()
    const noted: Array<Readonly<Record<string, unknown>>> = []
    const note = Effect.map(References.CurrentLogAnnotations, (annotations) => void noted.push(annotations))
    const account = yield* open(withConnections(server, ({ fetch, status }) => ({
      status: (mailbox) => Effect.andThen(note, status(mailbox)),
      fetch: (...question) => Effect.andThen(note, fetch(...question))
    })))
    return { account, noted }
  })

  it.effect("name the account and the mailbox, beside what the caller has", () =>
    Effect.gen(function*() {
      const { account, noted } = yield* annotated()
      yield* Effect.annotateLogs(account.status("INBOX"), { job: 7 })
      assert.deepStrictEqual(noted, [{ job: 7, account: "ann", mailbox: "INBOX" }])
    }))

  it.effect("name them in a stream, too", () =>
    Effect.gen(function*() {
      const { account, noted } = yield* annotated()
      yield* Effect.annotateLogs(Stream.runDrain(account.envelopes(Query.inbox)), { job: 7 })
      assert.deepStrictEqual(noted, [{ job: 7, account: "ann", mailbox: "INBOX" }])
    }))
})
