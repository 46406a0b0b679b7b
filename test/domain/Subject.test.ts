import { assert, describe, it } from "@effect/vitest"
import { baseSubject, forwardSubject, isAnswer, replySubject } from "../../src/domain/Subject.ts"

describe("the subject of an answer", () => {
  const table: ReadonlyArray<readonly [string | undefined, string]> = [
    ["offer", "Re: offer"],
    ["Re: offer", "Re: offer"],
    ["RE: re : Re[2]: offer", "Re: offer"],
    ["Re^3: Re(4): offer", "Re: offer"],
    ["AW: SV: Antw: offer", "Re: offer"],
    ["\u56de\u590d\uff1aoffer", "Re: offer"],
    ["\u0391\u03a0: \u03c3\u03c7\u03b5\u03c4: offer", "Re: offer"],
    ["[list] Re: offer", "Re: [list] offer"],
    ["Re: [list] AW: offer", "Re: [list] offer"],
    ["Fwd: Re: offer", "Re: Fwd: Re: offer"],
    ["Reserve: a table", "Re: Reserve: a table"],
    ["Ref: 12", "Re: Ref: 12"],
    ["", "Re:"],
    [undefined, "Re:"],
    ["a\r\nBcc: eve@example.net\0", "Re: a Bcc: eve@example.net"],
    ["\ud800", "Re: \ufffd"]
  ]
  for (const [from, to] of table) {
    it(`is ${JSON.stringify(to)} for ${JSON.stringify(from)}`, () => {
      assert.strictEqual(replySubject(from), to)
      assert.strictEqual(replySubject(to), to)
    })
  }

  it("of a forward has one prefix, in front of that of an answer", () => {
    assert.strictEqual(forwardSubject("WG: Fwd: Re: offer"), "Fwd: Re: offer")
    assert.strictEqual(forwardSubject("Fwd: Re: offer"), "Fwd: Re: offer")
    assert.strictEqual(forwardSubject(undefined), "Fwd:")
  })
})

describe("the base subject", () => {
  it("is the same for a message, its answers and its forwards", () => {
    for (const subject of ["Offer", "Re: offer", "AW: [list] Re: offer", "Fwd: offer (fwd)", "[Fwd: Re: Offer]"]) {
      assert.strictEqual(baseSubject(subject), "offer", subject)
    }
    assert.strictEqual(baseSubject("[only a tag]"), "[only a tag]")
    assert.strictEqual(baseSubject("Re: "), "")
  })

  it("tells answers from first messages", () => {
    for (const subject of ["Re: a", "[x] AW: a", "Fwd: a", "a (fwd)", "[Fwd: a]"]) {
      assert.isTrue(isAnswer(subject), subject)
    }
    for (const subject of ["a", "[x] a", "", "Regarding: a"]) assert.isFalse(isAnswer(subject), subject)
  })

  it("is found in time linear in the subject", () => {
    const long = ["Re: ", "[a] ", "(fwd) ", "[fwd: ", "re[", " "].map((piece) => piece.repeat(50_000))
    for (const subject of long) {
      baseSubject(subject)
      replySubject(subject)
      forwardSubject(subject)
    }
  }, 2000)
})
