/**
 * Agents at work on one account: each files, reads, marks, copies, moves and removes letters of its own in mailboxes
 * that it shares with the others, one operation after another, and keeps its ledger by the answers. Now and then an
 * agent loses patience and interrupts.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Stream } from "effect"
import { AssertionError } from "node:assert"
import { Agent, Draft, type MailAccount, type MailError, MessageRef, Query, type Reason } from "../../src/index.ts"
import { type Dice, dice } from "../random.ts"
import { type Found, found, type Ledger, Letter, type Place } from "./Ledger.ts"
import type { Sends } from "./Sends.ts"

export const boxes = ["INBOX", "Box/1", "Box/2", "Box/3", "Box/4"] as const
const flags = ["\\Seen", "\\Flagged", "\\Answered", "$Forwarded"] as const

/** How the operations of a crowd ended. */
export interface Tally {
  readonly endings: Map<string, number>
  operations: number
}

interface Crowd {
  readonly account: MailAccount["Service"]
  readonly ledger: Ledger
  /** Where messages can be sent. */
  readonly sends: Sends | undefined
  readonly tally: Tally
  readonly seed: number
  readonly operations: number
  /** Of 100 operations, so many are interrupted if they take longer than a few milliseconds. */
  readonly impatience: number
}

/** What a change makes of a letter, besides what it is to be in the end: states on the way there. */
interface Change {
  readonly letter: Letter
  readonly after: ReadonlyArray<Place>
  readonly between?: ReadonlyArray<Found> | undefined
}

const isInDoubt = (reason: Reason) => reason._tag === "OutcomeUnknown" || ("written" in reason && reason.written)

/** One agent's day. Fails with a defect as soon as an answer contradicts what is known. */
export const work = (crowd: Crowd, name: string): Effect.Effect<void> =>
  Agent.as(name)(Effect.gen(function*() {
    const { account, ledger, sends, tally } = crowd
    const die = dice(crowd.seed, name)
    const own: Array<Letter> = []
    let filed = 0

    /** Runs an operation to one of its ends, and tells the ledger of it. */
    const run = <A>(
      title: string,
      operation: Effect.Effect<A, MailError>,
      done: (answer: A) => ReadonlyArray<Change>,
      doubts: ReadonlyArray<Change> = []
    ): Effect.Effect<void> =>
      Effect.gen(function*() {
        tally.operations++
        const patience = die.chance(crowd.impatience) ? die.below(8) : undefined
        const exit = yield* Effect.exit(
          patience === undefined ? Effect.asSome(operation) : Effect.timeoutOption(operation, patience)
        )
        const count = (ending: string) => tally.endings.set(ending, (tally.endings.get(ending) ?? 0) + 1)
        const doubt = (why: string) => {
          for (const { after, between, letter } of doubts) {
            letter.doubt(`${name}: ${title} ${why}`, after.map(found), ...between === undefined ? [] : [between])
          }
        }
        if (Exit.isSuccess(exit)) {
          count(Option.isSome(exit.value) ? "done" : "interrupted")
          if (Option.isNone(exit.value)) return doubt("interrupted")
          for (const { after, letter } of done(exit.value.value)) {
            letter.places = after
            letter.history.push(title)
          }
          return
        }
        const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
        if (error === undefined) return yield* Effect.failCause(Cause.die(Cause.squash(exit.cause)))
        assert.strictEqual(error._tag, "MailError")
        count(isInDoubt(error.reason) ? `${error.reason._tag}?` : error.reason._tag)
        for (const { letter } of doubts) letter.history.push(`${title}: ${error.reason._tag}`)
        if (isInDoubt(error.reason)) doubt(error.reason._tag)
      })

    const must = (condition: boolean, message: string) => {
      if (!condition) throw new AssertionError({ message: `${name}: ${message}, with PROOF_SEED=${crowd.seed}` })
    }
    const certain = () => own.filter((letter) => letter.isCertain && letter.places.length > 0)
    /** Letters of one mailbox, each with its place there. */
    const together = (count: number) => {
      const box = die.oneOf(boxes)
      const there = certain().flatMap((letter) => {
        const place = letter.places.find(({ ref }) => ref.mailbox === box)
        return place === undefined ? [] : [{ letter, place }]
      })
      return [...die.some(there, 1 + die.below(count))].sort((a, b) => a.place.ref.uid - b.place.ref.uid)
    }
    const elsewhere = (letters: ReadonlyArray<Letter>) =>
      boxes.filter((box) => letters.every(({ places }) => places.every(({ ref }) => ref.mailbox !== box)))
    const replaced = ({ places }: Letter, place: Place, by: ReadonlyArray<Place>) => [
      ...places.filter((other) => other !== place),
      ...by
    ]

    const file = Effect.suspend(() => {
      const mailbox = die.oneOf(boxes)
      const given = new Set<string>(die.some(flags, die.below(3)))
      const letter = new Letter(`${name}-${++filed}`, [])
      ledger.letters.push(letter)
      const unknown: Place = { ref: new MessageRef({ mailbox, uidValidity: 0, uid: 1 }), flags: given }
      return run(
        `append to ${mailbox}`,
        account.append(mailbox, source(letter.token, die), { flags: [...given] }),
        (ref) => {
          own.push(letter)
          must(Option.isSome(ref), "the server tells where a letter was filed")
          return [{ letter, after: Option.isSome(ref) ? [{ ref: ref.value, flags: given }] : [] }]
        },
        [{ letter, after: [unknown] }]
      )
    })

    const search = Effect.suspend(() => {
      const [it] = together(1)
      if (it === undefined) return file
      const { letter: { token }, place: { ref } } = it
      return run(`search ${ref.mailbox}`, account.search(Query.in(ref.mailbox).and({ subject: token })), (set) => {
        must(set.has(ref.uid) && set.uidValidity === ref.uidValidity, `${token} is found in ${ref.mailbox}`)
        return []
      })
    })

    const read = Effect.suspend(() => {
      const [it] = together(1)
      if (it === undefined) return file
      const { letter: { token }, place: { flags, ref } } = it
      return run(`read ${token}`, account.message(ref), (message) => {
        must(message.subject === token, `${token} is itself, and not ${message.subject}`)
        must(
          same(message.flags, flags),
          `${token} has ${[...flags].join()}, and not ${message.flags.join()} (${it.letter.history.join("; ")})`
        )
        return []
      })
    })

    const look = Effect.suspend(() => {
      const some = together(4)
      if (some.length === 0) return file
      return run(
        "envelopes",
        Stream.runCollect(account.envelopes(some.map(({ place }) => place.ref), { missing: "fail" })),
        (envelopes) => {
          must(envelopes.length === some.length, "each is there once")
          for (const { letter, place } of some) {
            const envelope = envelopes.find(({ ref }) => ref.uid === place.ref.uid)
            must(envelope?.subject === letter.token, `${letter.token} is itself`)
            must(
              same(envelope?.flags ?? [], place.flags),
              `${letter.token} has ${[...place.flags].join()}, and not ${envelope?.flags.join()} (${
                letter.history.join("; ")
              })`
            )
          }
          return []
        }
      )
    })

    const mark = Effect.suspend(() => {
      const some = together(3)
      if (some.length === 0) return file
      const mode = die.oneOf(["add", "remove", "set"])
      const given = new Set<string>(die.some(flags, 1 + die.below(2)))
      const marked = ({ flags, ref }: Place): Place => ({
        ref,
        flags: mode === "add" ? flags.union(given) : mode === "remove" ? flags.difference(given) : given
      })
      const changes = some.map(({ letter, place }) => ({ letter, after: replaced(letter, place, [marked(place)]) }))
      return run(
        `flag ${mode} ${[...given].join()}`,
        account.flag(some.map(({ place }) => place.ref), { [mode]: [...given] }),
        (set) => {
          must(some.every(({ place }) => set.has(place.ref.uid)), "all are there")
          return changes
        },
        changes
      )
    })

    const transfer = (verb: "copy" | "move") =>
      Effect.suspend(() => {
        const some = together(3)
        const [to, ...others] = elsewhere(some.map(({ letter }) => letter))
        if (some.length === 0 || to === undefined) return search
        const target = die.oneOf([to, ...others])
        const landed = (place: Place, ref: MessageRef): Place => ({ ref, flags: place.flags })
        const changes = (refOf: (place: Place, index: number) => MessageRef) =>
          some.map(({ letter, place }, index): Change => {
            const there = landed(place, refOf(place, index))
            return {
              letter,
              after: verb === "copy" ? [...letter.places, there] : replaced(letter, place, [there])
            }
          })
        const inTarget = new MessageRef({ mailbox: target, uidValidity: 0, uid: 1 })
        return Effect.gen(function*() {
          let isPlaceUnknown = false
          yield* run(
            `${verb} to ${target}`,
            account[verb](some.map(({ place }) => place.ref), target),
            (set) => {
              isPlaceUnknown = Option.isNone(set)
              must(Option.isNone(set) || set.value.size === some.length, `${verb}: all of them were there`)
              // in the order of their UIDs on either side (RFC 4315 3)
              return changes((_, index) => Option.isSome(set) ? set.value.ref(set.value.uids[index] ?? 1) : inTarget)
            },
            changes(() => inTarget)
          )
          // a repeated move knows that they went, and not where they are
          if (isPlaceUnknown) {
            for (const { letter } of some) letter.doubt(`${name}: ${verb} to ${target}: nobody knows where exactly`)
          }
        })
      })

    const remove = Effect.suspend(() => {
      const some = together(2)
      if (some.length === 0) return file
      const changes = some.map(({ letter, place }): Change => ({
        letter,
        after: replaced(letter, place, []),
        between: replaced(letter, place, [{ ...place, flags: new Set([...place.flags, "\\Deleted"]) }]).map(found)
      }))
      return run(
        "remove",
        account.remove(some.map(({ place }) => place.ref), { to: "expunge" }),
        (set) => {
          must(some.every(({ place }) => set.has(place.ref.uid)), "all were there")
          return changes
        },
        changes
      )
    })

    const count = Effect.suspend(() => {
      const box = die.oneOf(boxes)
      const mine = certain().flatMap(({ places }) => places).filter(({ ref }) => ref.mailbox === box).length
      return run(`status ${box}`, account.status(box), ({ messages }) => {
        must(messages >= mine, `${box} holds at least the ${mine} of mine, not ${messages}`)
        return []
      })
    })

    const list = run("list", account.mailboxes(), (mailboxes) => {
      must(boxes.every((box) => mailboxes.some(({ path }) => path === box)), "all mailboxes are there")
      return []
    })

    let sent = 0
    const send = Effect.suspend(() => {
      if (sends === undefined) return file
      const subject = `${name}-sent-${++sent}`
      sends.begin(subject)
      const text = "x".repeat(1 + die.below(3_000))
      const sending = account.send(new Draft({ to: "bob@example.com", subject, text })).pipe(
        Effect.tapError((error) => Effect.sync(() => sends.answered(subject, error)))
      )
      return run(`send ${subject}`, sending, (receipt) => {
        sends.answered(subject, receipt)
        return []
      })
    })

    yield* file
    for (let done = 1; done < crowd.operations; done++) {
      yield* die.oneOf<Effect.Effect<void>>([
        file,
        file,
        search,
        read,
        read,
        look,
        mark,
        mark,
        transfer("copy"),
        transfer("move"),
        transfer("move"),
        remove,
        count,
        list,
        send,
        send
      ])
    }
  }))

const same = (actual: Iterable<string>, expected: ReadonlySet<string>): boolean => {
  const set = new Set([...actual].filter((flag) => flag !== "\\Recent"))
  return set.symmetricDifference(expected).size === 0
}

const source = (token: string, die: Dice): Uint8Array =>
  Buffer.from(
    [
      "From: Ann <ann@example.com>",
      "To: bob@example.com",
      `Subject: ${token}`,
      `Message-ID: <${token}@proof.example.com>`,
      "",
      ..."x".repeat(1 + die.below(40)).split("").map((x) => x.repeat(70)),
      ""
    ].join("\r\n")
  )
