/**
 * Whether a watch tells the truth: while another client changes a mailbox at random, and connections are cut, stalled
 * and refused, a program watches it, is ended again and again, and goes on from the cursor it stored with what it had
 * made of the events. In the end that must be what the server has, and it must have been told of nothing twice.
 */
import { assert } from "@effect/vitest"
import { Duration, Effect, Fiber, type Layer, Stream } from "effect"
import { Cursor, MailAccount, type MailError, Query, type WatchOptions } from "../../src/index.ts"
import { randomFrom } from "../random.ts"

export type Flags = ReadonlyArray<string>

/** Another client of the mailbox, and what can be known from behind. UIDs are the server's. */
export interface Other {
  readonly append: (flags: Flags) => Effect.Effect<number>
  readonly flag: (uid: number, mode: "add" | "remove" | "set", flags: Flags) => Effect.Effect<void>
  readonly expunge: (uids: ReadonlyArray<number>) => Effect.Effect<void>
  readonly moveOut: (uids: ReadonlyArray<number>) => Effect.Effect<void>
  /** Moves or copies so many messages in, and answers their UIDs. */
  readonly moveIn: (count: number) => Effect.Effect<ReadonlyArray<number>>
  /** What is there: flags by UID. */
  readonly messages: Effect.Effect<ReadonlyMap<number, Flags>>
}

export interface TruthOptions {
  readonly seed: number
  readonly operations: number
  readonly mailbox: string
  readonly account: Layer.Layer<MailAccount>
  readonly other: Other
  /** Something goes wrong, chosen by chance. */
  readonly disturb: (random: (below: number) => number) => Effect.Effect<void>
  /** Nothing goes wrong any more. */
  readonly calm: Effect.Effect<void>
  readonly watch: WatchOptions
  /** The longest pause between bursts of changes, in milliseconds. */
  readonly pauseMillis: number
  readonly restarts: number
  readonly disturbances: number
}

/** The seed of a run: `EFFECT_MAIL_SEED`, or one by chance; titles tell it. */
export const seedOf = (): number => Number(process.env["EFFECT_MAIL_SEED"] ?? Math.floor(Math.random() * 1_000_000))

export const operationsOf = (normal: number): number => Number(process.env["EFFECT_MAIL_OPERATIONS"] ?? normal)

/** What the watching program stores, effects and cursor together, and what it notices to be wrong. */
class Stored {
  cursor: string | undefined
  readonly messages = new Map<number, string>()
  readonly arrived: Array<number> = []
  readonly flagEvents = new Map<number, number>()
  readonly wrong: Array<string> = []
  batches = 0

  apply({ cursor, events }: { readonly cursor: Cursor; readonly events: ReadonlyArray<MailEventLike> }): void {
    this.batches++
    for (const event of events) {
      if (event._tag === "Reset") {
        this.wrong.push("Reset")
        continue
      }
      const { uid } = event.ref
      switch (event._tag) {
        case "Arrived":
          if (this.arrived.includes(uid)) this.wrong.push(`${uid} arrived twice`)
          this.arrived.push(uid)
          this.messages.set(uid, textOf(event.flags))
          break
        case "Expunged":
          if (!this.messages.delete(uid)) this.wrong.push(`${uid} expunged, but not there`)
          break
        case "FlagsChanged":
          if (!this.messages.has(uid)) this.wrong.push(`flags of ${uid}, which is not there`)
          this.messages.set(uid, textOf(event.flags))
          this.flagEvents.set(uid, (this.flagEvents.get(uid) ?? 0) + 1)
      }
    }
    this.cursor = Cursor.encode(cursor)
  }
}

type MailEventLike = Stream.Success<ReturnType<MailAccount["Service"]["watch"]>>["events"][number]

const textOf = (flags: Flags) => flags.filter((flag) => flag !== "\\Recent").toSorted().join(" ")

const keywords = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Work", "Junk"]

export const truth = (options: TruthOptions): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { account, calm, disturb, mailbox, operations, other, pauseMillis } = options
    const random = randomFrom(options.seed)
    const stored = new Stored()
    /** Brought in, and not known to be gone. */
    const present: Array<number> = []
    const appended: Array<number> = []
    /** Taken away before the program was told of them: whether it ever is, is open. */
    const fleeting = new Set<number>()
    const flagged = new Map<number, number>()

    const program = Effect.gen(function*() {
      const mail = yield* MailAccount
      const since = stored.cursor === undefined
        ? Cursor.start(mailbox)
        : yield* Effect.orDie(Cursor.decode(stored.cursor))
      // The program does other things too, and connections are taken from the watch for them.
      const others = Effect.forever(Effect.andThen(
        Effect.ignore(mail.search(Query.in("Archive"))),
        Effect.sleep(5 + random(40))
      ))
      const watching = Stream.runForEach(mail.watch(mailbox, { ...options.watch, since }), (changes) =>
        random(10) === 0
          ? Effect.andThen(Effect.sleep(random(20)), Effect.sync(() => stored.apply(changes)))
          : Effect.sync(() => stored.apply(changes)))
      yield* Effect.raceFirst(watching, others)
    }).pipe(
      Effect.provide(account, { local: true }),
      Effect.catch((error: MailError) => Effect.die(error))
    )

    /** Some to take away: most of them from those the program knows of. */
    const pick = (most: number): ReadonlyArray<number> => {
      const picked: Array<number> = []
      for (let count = 1 + random(most); count > 0 && present.length > 0; count--) {
        const index = random(present.length)
        const uid = present[index] ?? 0
        if (!stored.messages.has(uid)) {
          if (random(20) > 0) continue
          fleeting.add(uid)
        }
        present.splice(index, 1)
        picked.push(uid)
      }
      return picked
    }
    const brought = (uids: ReadonlyArray<number>) => {
      appended.push(...uids)
      present.push(...uids)
    }
    const change = Effect.gen(function*() {
      const chance = random(100)
      if (chance < 35 || present.length < 5) {
        brought([yield* other.append(random(3) === 0 ? [keywords[random(keywords.length)] ?? ""] : [])])
      } else if (chance < 40) brought(yield* other.moveIn(1 + random(3)))
      else if (chance < 75) {
        const uid = present[random(present.length)] ?? 0
        flagged.set(uid, (flagged.get(uid) ?? 0) + 1)
        const mode = (["add", "remove", "set"] as const)[random(3)] ?? "add"
        yield* other.flag(uid, mode, [keywords[random(keywords.length)] ?? ""])
      } else {
        const uids = pick(present.length > 200 ? 12 : 3)
        // a message is marked as deleted before it is expunged, and that may be seen
        for (const uid of uids) flagged.set(uid, (flagged.get(uid) ?? 0) + 1)
        if (uids.length > 0) yield* chance < 88 ? other.expunge(uids) : other.moveOut(uids)
      }
    })
    const at = (times: number) => new Set(Array.from({ length: times }, () => random(operations)))
    const restarts = at(options.restarts)
    const disturbances = at(options.disturbances)

    /** The program is given time to get over what happened, or most of the history would pass without it. */
    const recovery = (waited = 0): Effect.Effect<void> =>
      Effect.suspend(() =>
        waited >= recoveryMillis || present.every((uid) => stored.messages.has(uid))
          ? Effect.void
          : Effect.andThen(Effect.sleep(5), recovery(waited + 5))
      )
    let running = yield* Effect.forkChild(program)
    let recoverAt = Infinity
    for (let done = 0, burst = 0; done < operations; done++, burst--) {
      yield* change
      if (disturbances.has(done)) yield* disturb(random)
      if (restarts.has(done)) {
        yield* Fiber.interrupt(running)
        running = yield* Effect.forkChild(program)
      }
      if (disturbances.has(done) || restarts.has(done)) recoverAt = done + random(30)
      if (done >= recoverAt) {
        recoverAt = Infinity
        yield* recovery()
      }
      if (burst <= 0) {
        burst = random(20)
        yield* Effect.sleep(random(pauseMillis))
      }
    }
    yield* calm

    const surely = appended.filter((uid) => !fleeting.has(uid))
    const expected = yield* other.messages
    const isTold = () =>
      expected.size === stored.messages.size &&
      [...expected].every(([uid, flags]) => stored.messages.get(uid) === textOf(flags))
    for (let waited = 0; !isTold() && waited < settleMillis; waited += 20) yield* Effect.sleep(20)
    // And nothing is told again.
    yield* Effect.sleep(Duration.times(Duration.fromInputUnsafe(options.watch.heartbeat ?? 100), 3))
    if (running.pollUnsafe() !== undefined) yield* Fiber.join(running)
    yield* Fiber.interrupt(running)

    assert.deepStrictEqual(stored.wrong, [])
    assert.deepStrictEqual(
      [...stored.messages].sort(([a], [b]) => a - b),
      [...expected].map(([uid, flags]) => [uid, textOf(flags)] as const).sort(([a], [b]) => a - b)
    )
    const told = new Set(stored.arrived)
    const known = new Set(appended)
    assert.deepStrictEqual(surely.filter((uid) => !told.has(uid)), [], "appended, and never told")
    assert.deepStrictEqual(stored.arrived.filter((uid) => !known.has(uid)), [], "told, and never appended")
    for (const [uid, count] of stored.flagEvents) {
      assert.isAtMost(count, flagged.get(uid) ?? 0, `flags of ${uid} told more often than they were changed`)
    }
    assert.isAbove(surely.length, appended.length * 0.8)
  }).pipe(Effect.orDie)

const settleMillis = 15_000
const recoveryMillis = 500
