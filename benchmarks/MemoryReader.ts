/**
 * Reads a mailbox in one way, as a program of its own, and tells its parent the peak of its resident memory over what it
 * had when it was connected. The kernel keeps the peak and forgets it on request (proc(5), clear_refs).
 */
import { Effect, Stream } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import type { Outcome } from "./Harness.ts"
import { allOf, imapAccount } from "./Library.ts"
import { Tally } from "./Mail.ts"
import { connected } from "./peers/imapflow.ts"
import type { ImapServer } from "./Servers.ts"

export interface Reading {
  readonly kind: "stream" | "fetchAll" | "source" | "fetchOne" | "simpleParser"
  readonly server: ImapServer
}

/** What a consumer does with each message that is slower than the network. */
const slowness = "1 millis"

const status = (field: string): number =>
  Number(
    new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? Number.NaN
  ) / 1000

const { kind, server } = JSON.parse(process.argv[2] ?? "{}") as Reading // written by the parent, in this form

const tally = new Tally()
const add = (octets: Uint8Array) => Effect.sync(() => tally.add(octets))
let start = 0
const begin = Effect.sync(() => {
  start = status("VmRSS")
  writeFileSync("/proc/self/clear_refs", "5")
})

const library = Effect.gen(function*() {
  const account = yield* imapAccount(server, server.port, 2)
  const all = yield* allOf(account, "INBOX")
  yield* begin
  if (kind === "stream") {
    yield* Stream.runForEach(
      account.fetch(all, { source: true }),
      ({ source }) => Effect.andThen(add(source), Effect.sleep(slowness))
    )
    return
  }
  const [ref] = all.refs
  if (ref !== undefined) yield* Stream.runForEach(account.source(ref), add)
  tally.count = all.size
})

const bare = Effect.gen(function*() {
  const client = yield* connected(server, server.port, "INBOX")
  yield* begin
  if (kind === "fetchAll") {
    for (const { source } of yield* Effect.promise(() => client.fetchAll("1:*", { source: true }, { uid: true }))) {
      if (source !== undefined) yield* Effect.andThen(add(source), Effect.sleep(slowness))
    }
    return
  }
  const row = yield* Effect.promise(() => client.fetchOne("1", { source: true }, { uid: true }))
  if (row === false || row.source === undefined) return
  yield* add(row.source)
  if (kind === "simpleParser") {
    const { source } = row
    const { simpleParser } = yield* Effect.promise(() => import("mailparser"))
    yield* Effect.promise(() => simpleParser(source))
  }
})

await Effect.runPromise(Effect.scoped(kind === "stream" || kind === "source" ? library : bare))
const outcome: Outcome = {
  value: status("VmHWM") - start,
  digest: { count: tally.count, octets: tally.octets }
}
process.send?.(outcome, () => process.disconnect())
