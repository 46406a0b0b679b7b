import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { ListUnsubscribe } from "../../src/domain/ListUnsubscribe.ts"

const read = (value: string, post?: string) =>
  ListUnsubscribe.of({
    headers: [
      { name: "list-unsubscribe", value },
      ...(post === undefined ? [] : [{ name: "List-Unsubscribe-Post", value: post }])
    ]
  })
const ways = (value: string, post?: string) => {
  const found = Option.getOrThrow(read(value, post))
  return [found.oneClick, found.web, found.mail.map(({ subject, text, to }) => [to, subject, text])]
}
const click = "List-Unsubscribe=One-Click"

describe("leaving a list", () => {
  it("is possible by mail, with the subject and text that the list asks for", () => {
    assert.deepStrictEqual(ways("<mailto:leave%2B1@example.com?subject=stop%20me&body=please&bcc=x@y.z>"), [
      undefined,
      [],
      [["leave+1@example.com", "stop me", "please"]]
    ])
    assert.deepStrictEqual(ways("(the easy way) <mailto:leave@example.com>"), [undefined, [], [
      ["leave@example.com", "unsubscribe", ""]
    ]])
  })

  it("is possible by one request only where the sender says so, and over TLS", () => {
    const value = "<http://example.com/a>, <https://example.com/b,c>, <mailto:l@example.com>"
    assert.strictEqual(ways(value, click)[0], "https://example.com/b,c")
    assert.strictEqual(ways(value, " list-unsubscribe=one-click ")[0], "https://example.com/b,c")
    assert.isUndefined(ways(value)[0])
    assert.isUndefined(ways(value, "yes")[0])
    assert.isUndefined(ways("<http://example.com/a>", click)[0])
    assert.deepStrictEqual(ways(value)[1], ["http://example.com/a", "https://example.com/b,c"])
  })

  it("is impossible where nothing usable is named", () => {
    for (const value of ["", "<>", "NO", "<javascript:x>", "<ftp://example.com>", "<mailto:nobody>", "<mailto:%>"]) {
      assert.isTrue(Option.isNone(read(value)), value)
    }
    assert.isTrue(Option.isNone(ListUnsubscribe.of({ headers: [] })))
  })

  it("takes addresses without brackets, folded ones, and no line break into the subject", () => {
    assert.deepStrictEqual(ways("https://example.com/a , mailto:l@example.com")[1], ["https://example.com/a"])
    assert.deepStrictEqual(ways("<https://example.com/ a>")[1], ["https://example.com/a"])
    assert.deepStrictEqual(ways("<mailto:l@example.com?subject=a%0D%0ABcc:%20x>")[2], [[
      "l@example.com",
      "a Bcc: x",
      ""
    ]])
  })

  it.prop("is read from anything without failing", [Schema.String, Schema.String], ([value, post]) => {
    read(value, post)
    read(`<${value}>`, click)
    read(`<mailto:${value}>`, click)
  })
})
