import { assert, describe, it } from "@effect/vitest"
import { MessageRef, MessageSet, toSets } from "../../src/domain/MessageSet.ts"

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
})
