import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Thread, type Threadable, type ThreadNode } from "../../src/domain/Thread.ts"

interface Letter extends Threadable {
  readonly n: string
}

const day = (n: number) => new Date(Date.UTC(2026, 0, n))
/** `letter("b", 2, "a")`: b of the second day answers a. */
const letter = (n: string, at: number, ...references: ReadonlyArray<string>): Letter => ({
  n,
  messageId: `<${n}@x>`,
  references: references.map((id) => `<${id}@x>`),
  date: day(at)
})

const draw = (node: ThreadNode<Letter>): string => {
  const name = [node.message?.n ?? "?", ...node.copies.map(({ n }) => n)].join("=")
  return node.children.length === 0 ? name : `${name}(${node.children.map(draw).join(" ")})`
}
const drawn = (letters: ReadonlyArray<Letter>) => Thread.of(letters).map((thread) => thread.roots.map(draw).join(" + "))

describe("threads", () => {
  const table: ReadonlyArray<readonly [string, ReadonlyArray<Letter>, ReadonlyArray<string>]> = [
    ["hold a message and its answers, in the order of their dates", [
      letter("c", 3, "a"),
      letter("b", 2, "a"),
      letter("a", 1),
      letter("d", 4, "a", "b")
    ], ["a(b(d) c)"]],
    ["are in the order of their first messages", [letter("b", 2), letter("a", 1)], ["a", "b"]],
    ["pass over messages that are missing in between", [letter("a", 1), letter("c", 3, "a", "b")], ["a(c)"]],
    ["keep answers together whose first message is missing", [letter("b", 2, "a"), letter("c", 3, "a")], ["?(b c)"]],
    ["begin with the oldest message there is", [letter("c", 3, "a", "b"), letter("d", 4, "a", "b", "c")], ["c(d)"]],
    ["follow In-Reply-To where there are no references", [
      letter("a", 1),
      { ...letter("b", 2), inReplyTo: "message of Friday <a@x> from Ann" }
    ], ["a(b)"]],
    ["believe a message more than what others say of it", [
      letter("a", 1),
      letter("b", 2),
      letter("c", 3, "b"),
      letter("d", 4, "a", "c")
    ], ["a", "b(c(d))"]],
    ["hold copies of a message once", [letter("a", 1), letter("b", 2, "a"), { ...letter("b", 3, "a"), n: "B" }], [
      "a(b=B)"
    ]],
    ["bear circles", [letter("a", 1, "b"), letter("b", 2, "c"), letter("c", 3, "a")], ["c(b(a))"]],
    ["bear messages that answer themselves", [letter("a", 1, "a"), letter("b", 2, "a", "b")], ["a(b)"]],
    ["bear references that repeat", [letter("a", 1), letter("c", 2, "a", "b", "a", "b")], ["a(c)"]],
    ["take messages without a name one by one", [{ n: "x" }, { n: "y" }], ["x", "y"]],
    ["take an answer without references to the conversation of its subject", [
      { ...letter("a", 1), subject: "Offer" },
      { ...letter("b", 2), subject: "AW: [list] offer" }
    ], ["a + b"]],
    ["never join first messages by subject", [
      { ...letter("a", 1), subject: "invoice" },
      { ...letter("b", 2), subject: "invoice" }
    ], ["a", "b"]],
    ["join answers whose first message is missing", [
      { ...letter("a", 1), subject: "Re: offer" },
      { ...letter("b", 2), subject: "SV: offer" }
    ], ["a + b"]],
    ["join nothing by an empty subject", [
      { ...letter("a", 1), subject: "Re:" },
      { ...letter("b", 2), subject: "" }
    ], ["a", "b"]],
    ["are those of the server, where it names them", [
      { ...letter("a", 1), threadId: "1" },
      { ...letter("b", 2, "a"), threadId: "2" },
      { ...letter("c", 3, "a"), threadId: "1" },
      { ...letter("d", 4), threadId: "1" }
    ], ["a(c) + d", "b"]],
    ["order messages without a date where they came", [
      letter("a", 1),
      { n: "x", messageId: "<x@x>", references: ["<a@x>"] },
      { n: "y", messageId: "<y@x>", references: ["<a@x>"] }
    ], ["a(x y)"]]
  ]
  for (const [title, letters, expected] of table) {
    it(title, () => assert.deepStrictEqual(drawn(letters), expected))
  }

  it("name their subject and their latest message", () => {
    const [thread] = Thread.of([
      { ...letter("b", 2, "a"), subject: "Re: x" },
      { ...letter("a", 1), subject: "x" }
    ])
    assert.deepStrictEqual([thread?.subject, thread?.latest?.n, thread?.messages.map(({ n }) => n)], ["x", "b", [
      "a",
      "b"
    ]])
  })

  const ids = Schema.Literals(["a", "b", "c", "d", "e", "f", "g"])
  const anyLetters = Schema.Array(Schema.Struct({
    id: Schema.optionalKey(ids),
    references: Schema.Array(ids).check(Schema.isMaxLength(5)),
    day: Schema.optionalKey(Schema.Literals([1, 2, 3, 4, 5])),
    subject: Schema.optionalKey(Schema.Literals(["", "x", "Re: x", "Re: y"])),
    threadId: Schema.optionalKey(Schema.Literals(["1", "2"]))
  })).check(Schema.isMaxLength(12))

  it.prop("hold every message exactly once, and never in a circle", [anyLetters], ([given]) => {
    const letters = given.map(({ day: at, id, references, subject, threadId }, index): Letter => ({
      n: `${index}`,
      ...(id === undefined ? {} : { messageId: `<${id}@x>` }),
      references: references.map((each) => `<${each}@x>`),
      ...(at === undefined ? {} : { date: day(at) }),
      ...(subject === undefined ? {} : { subject }),
      ...(threadId === undefined ? {} : { threadId })
    }))
    const threads = Thread.of(letters)
    const walk = (node: ThreadNode<Letter>): ReadonlyArray<Letter> => [
      ...(node.message === undefined ? [] : [node.message]),
      ...node.copies,
      ...node.children.flatMap(walk)
    ]
    const inTrees = threads.flatMap(({ roots }) => roots.flatMap(walk))
    assert.sameMembers(inTrees.map(({ n }) => n), letters.map(({ n }) => n))
    assert.sameMembers(threads.flatMap(({ messages }) => messages).map(({ n }) => n), letters.map(({ n }) => n))
    for (const { id, messages } of threads) {
      if (id !== undefined) assert.isTrue(messages.every(({ threadId }) => threadId === id))
    }
  })

  it("of ten thousand messages are found at once, chains of that length included", () => {
    const many = 10_000
    const chain = Array.from({ length: many }, (_, n) => letter(`${n}`, 1, ...(n === 0 ? [] : [`${n - 1}`])))
    const bounded = Array.from(
      { length: many },
      (_, n) =>
        letter(`${n}`, 1, ...Array.from({ length: Math.min(n, 30) }, (_, back) => `${n - Math.min(n, 30) + back}`))
    )
    const star = Array.from({ length: many }, (_, n) => letter(`${n}`, 1, ...(n === 0 ? [] : ["0"])))
    for (const letters of [chain, bounded, star, [...chain].reverse(), [...bounded].reverse()]) {
      const threads = Thread.of(letters)
      assert.strictEqual(threads.length, 1)
      assert.strictEqual(threads[0]?.messages.length, many)
    }
  })
})
