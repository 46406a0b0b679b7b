import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Cursor } from "../../src/domain/Cursor.ts"
import { MessageRef, MessageSet, toSets } from "../../src/domain/MessageSet.ts"
import { Query } from "../../src/domain/Query.ts"

describe("MessageSet", () => {
  it("is sorted and free of duplicates, and prints as a sequence set", () => {
    const set = MessageSet.of("INBOX", 7, [9, 3, 1, 2, 3])
    assert.deepStrictEqual([...set.uids], [1, 2, 3, 9])
    assert.strictEqual(set.toRange(), "1:3,9")
    assert.strictEqual(MessageSet.of("INBOX", 7, []).toRange(), "")
  })

  it("knows its members", () => {
    const set = MessageSet.of("INBOX", 7, [2, 4, 6, 8, 10])
    assert.deepStrictEqual([1, 2, 3, 4, 9, 10, 11].filter((uid) => set.has(uid)), [2, 4, 10])
  })

  it("does not mix mailboxes or UIDVALIDITY in union and difference", () => {
    const set = MessageSet.of("INBOX", 7, [1, 2])
    assert.strictEqual(set.union(MessageSet.of("INBOX", 7, [5])).toRange(), "1:2,5")
    assert.strictEqual(set.union(MessageSet.of("INBOX", 8, [5])), set)
    assert.strictEqual(set.difference(MessageSet.of("INBOX", 7, [2])).toRange(), "1")
    assert.strictEqual(set.difference(MessageSet.of("Other", 7, [2])), set)
  })

  it("groups references by mailbox and UIDVALIDITY", () => {
    const ref = (mailbox: string, uidValidity: number, uid: number) => new MessageRef({ mailbox, uidValidity, uid })
    const sets = toSets([ref("A", 1, 5), { ref: ref("B", 1, 1) }, ref("A", 1, 2), ref("A", 2, 2)])
    assert.deepStrictEqual(sets.map((set) => `${set.mailbox} ${set.uidValidity} ${set.toRange()}`), [
      "A 1 2,5",
      "B 1 1",
      "A 2 2"
    ])
  })

  it("cuts into chunks without losing any", () => {
    const set = MessageSet.of("INBOX", 7, [1, 2, 3, 4, 5])
    assert.deepStrictEqual(set.chunks(2).map((chunk) => chunk.toRange()), ["1:2", "3:4", "5"])
  })

  const uid = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 0xffffffff }))
  it.effect.prop(
    "comes back from JSON as it was, however it was made",
    [Schema.Array(uid), Schema.Array(uid)],
    ([one, two]) =>
      Effect.gen(function*() {
        const first = MessageSet.of("INBOX", 7, one)
        const second = first.with(new Set(two))
        const refs = [...one, ...two].map((uid) => new MessageRef({ mailbox: "INBOX", uidValidity: 7, uid }))
        const made = [
          first,
          second,
          first.union(second),
          first.difference(second),
          ...first.chunks(3),
          ...MessageSet.group(refs),
          ...toSets([first, second, ...refs])
        ]
        for (const set of made) {
          assert.deepStrictEqual([...set.uids], [...new Set(set.uids)].sort((a, b) => a - b))
          const text = JSON.stringify(yield* Schema.encodeEffect(MessageSet)(set))
          const back = yield* Schema.decodeUnknownEffect(MessageSet)(JSON.parse(text))
          assert.deepStrictEqual(back, set)
          assert.deepStrictEqual(back, new MessageSet(set))
          for (const ref of set.refs) assert.deepStrictEqual(ref, new MessageRef(ref))
        }
      })
  )

  it.effect.each<readonly [ReadonlyArray<number>, string]>([
    [[2, 1], "UID 1 stands behind 2; a set is in ascending order\n  at [\"uids\"][1]"],
    [[1, 5, 5], "UID 5 is there twice\n  at [\"uids\"][2]"],
    [[0, 1], "a UID is a whole number from 1 to 4294967295\n  at [\"uids\"][0]"],
    [[1, 2 ** 32], "a UID is a whole number from 1 to 4294967295\n  at [\"uids\"][1]"],
    [[1, 1.5], "Expected an integer\n  at [\"uids\"][1]"],
    [[1, Number.NaN], "Expected an integer\n  at [\"uids\"][1]"]
  ])("of %j is none", ([uids, message]) =>
    Effect.gen(function*() {
      const fields = { mailbox: "INBOX", uidValidity: 7, uids }
      const error = yield* Effect.flip(Schema.decodeEffect(MessageSet)(fields))
      assert.strictEqual(error.message, message)
      assert.throws(() => new MessageSet(fields))
    }))

  it("knows INBOX by one name, and any other as it is written", () => {
    const ref = new MessageRef({ mailbox: "inbox", uidValidity: 7, uid: 1 })
    const sets = [
      MessageSet.of("Inbox", 7, [3]),
      MessageSet.of("iNBOX", 7, [3, 2]),
      new MessageSet({ mailbox: "inbox", uidValidity: 7, uids: [4] }),
      MessageSet.fromRefs([ref]) ?? assert.fail()
    ]
    assert.deepStrictEqual(toSets([...sets, ref]).map((set) => [set.mailbox, set.toRange()]), [["INBOX", "1:4"]])
    for (const name of ["inbox/sub", "inbox.sub", "INBOX ", "inboxes", "\u0131nbox", "work", "Work"]) {
      assert.strictEqual(MessageSet.of(name, 7, []).mailbox, name)
      assert.strictEqual(Query.in(name).mailbox, name)
    }
    assert.strictEqual(Query.in("inbox").and({ seen: true }).mailbox, "INBOX")
    assert.strictEqual(Cursor.start("inbox").mailbox, "INBOX")
  })

  it.effect("knows INBOX by one name also from JSON", () =>
    Effect.gen(function*() {
      const fields = { mailbox: "inbox", uidValidity: 7 }
      const set = yield* Schema.decodeEffect(MessageSet)({ ...fields, uids: [1] })
      const ref = yield* Schema.decodeEffect(MessageRef)({ ...fields, uid: 1 })
      assert.deepStrictEqual([set.mailbox, ref.mailbox], ["INBOX", "INBOX"])
      assert.deepStrictEqual(set.refs, [ref])
    }))

  it("is not made of numbers that are no UIDs, nor is a reference", () => {
    for (const uid of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 32]) {
      assert.throws(() => MessageSet.of("INBOX", 7, [1, uid]))
      assert.throws(() => MessageSet.of("INBOX", 7, [uid]))
      assert.throws(() => new MessageRef({ mailbox: "INBOX", uidValidity: 7, uid }))
    }
    assert.throws(() => MessageSet.of("INBOX", 1.5, [1]))
  })
})
