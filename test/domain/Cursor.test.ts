import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Cursor } from "../../src/domain/Cursor.ts"
import { UidRanges } from "../../src/domain/UidRanges.ts"

const Uids = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4_294_967_295 })))
const Modseq = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const Flags = Schema.Record(Schema.String, Uids)

/**
 * Flags as they can be (RFC 9051 2.3.2): JSON.parse of Node 24 takes a name that is written with an escape for an earlier
 * one that is written as the escape begins, and only a backslash within a name could be such a one.
 */
const flagOf = (text: string) => text.replace(/[\\\p{Cc}]/gu, "").replace(/^(?=[a-z])/i, "\\")

const full = (messages: number) =>
  new Cursor({
    mailbox: "INBOX",
    uidValidity: 1_795_345_678,
    uidNext: messages + 1,
    modseq: 9_007_199_254_740_993n,
    ahead: {},
    known: { "": `1:${messages}` }
  })

describe("Cursor", () => {
  it.effect.prop(
    "is read back from its text as it was",
    [Schema.String, Modseq, Flags, Uids],
    ([mailbox, n, flags, uids]) =>
      Effect.gen(function*() {
        const cursor = new Cursor({
          mailbox,
          uidValidity: 1 + n % 4_294_967_295,
          uidNext: 1,
          // far beyond what a number can hold
          modseq: BigInt(n) * 1_024n,
          ahead: Object.fromEntries(uids.map((uid) => [`${uid}`, BigInt(uid) * BigInt(n)])),
          known: Object.fromEntries(
            Object.entries(flags).map(([each, of]) => [flagOf(each), UidRanges.from(of).toString()])
          )
        })
        const read = yield* Cursor.decode(Cursor.encode(cursor))
        assert.instanceOf(read, Cursor)
        assert.deepStrictEqual(read, cursor)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.each([
    { what: "nothing", text: "" },
    { what: "no JSON", text: "INBOX:7" },
    { what: "another value", text: "[]" },
    { what: "too few fields", text: `{"mailbox":"INBOX"}` },
    { what: "what is no sequence set", text: Cursor.encode(full(9)).replace("1:9", "1:*") },
    { what: "a fraction", text: Cursor.encode(full(9)).replace(`"uidNext":10`, `"uidNext":10.5`) }
  ])("is not read from $what", ({ text }) =>
    Effect.gen(function*() {
      const reason = yield* Effect.flip(Cursor.decode(text))
      assert.strictEqual(reason._tag, "InvalidInput")
      assert.strictEqual(reason.field, "cursor")
    }))

  it("of ten thousand messages without holes is a short text", () => {
    assert.isBelow(Cursor.encode(full(10_000)).length, 200)
  })
})
