import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { CommandReader, defaultReaderLimits, type Input } from "../../../src/testing/server/CommandReader.ts"

const drain = (reader: CommandReader): ReadonlyArray<Input> => {
  const inputs: Array<Input> = []
  for (let input = reader.next(); input !== undefined; input = reader.next()) inputs.push(input)
  return inputs
}

const read = (text: string, limits = defaultReaderLimits): ReadonlyArray<Input> => {
  const reader = new CommandReader(limits)
  reader.feed(Buffer.from(text, "latin1"))
  return drain(reader)
}

const parts = (input: Input | undefined): ReadonlyArray<string> =>
  input?._tag === "Command" ? input.parts.map((part) => part.toString("latin1")) : []

describe("CommandReader", () => {
  it("joins lines and literals to one command, and asks for the literals a client waits for", () => {
    const inputs = read("a LOGIN {3}\r\nbob {4+}\r\n\r\n()\r\nb NOOP\r\n")
    assert.deepStrictEqual(inputs.map(({ _tag }) => _tag), ["Continue", "Command", "Command"])
    assert.deepStrictEqual(parts(inputs[1]), ["a LOGIN ", "bob", " ", "\r\n()", ""])
    assert.deepStrictEqual(parts(inputs[2]), ["b NOOP"])
  })

  it("takes empty literals, bare line feeds, and braces that announce nothing", () => {
    assert.deepStrictEqual(parts(read("a X {0+}\r\n\r\n")[0]), ["a X ", "", ""])
    assert.deepStrictEqual(parts(read("a NOOP\n")[0]), ["a NOOP"])
    for (const line of ["a {}", "a {x}", "a 3}", "a {+}", "a {3+x}", "a \"{3}\""]) {
      assert.deepStrictEqual(parts(read(`${line}\r\n`)[0]), [line])
    }
  })

  it("reads over what is too long, and names the tag it refuses", () => {
    const limits = { maxLineBytes: 100, maxLiteralBytes: 10 }
    assert.deepStrictEqual(read(`t ${"x".repeat(500)}\r\n`, limits), [{ _tag: "Refused", tag: "t", why: "line" }])
    const [refused, next] = read("t APPEND {11+}\r\n12345678901 more\r\nu NOOP\r\n", limits)
    assert.deepStrictEqual(refused, { _tag: "Refused", tag: "t", why: "literal" })
    assert.deepStrictEqual(parts(next), ["u NOOP"])
    assert.deepStrictEqual(read("t APPEND {11}\r\n", limits), [{ _tag: "Refused", tag: "t", why: "literal" }])
  })

  it.prop(
    "reads the same commands however the octets arrive",
    [
      Schema.Array(
        Schema.Literals(["a NOOP", " ", "{3+}\r\n", "abc", "{0}\r\n", "\r\n", "{2-}\r\n", "\n", "{", "}", "(x)"])
      ),
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))
    ],
    ([pieces, sizes]) => {
      const text = pieces.join("")
      const whole = read(text)
      const reader = new CommandReader(defaultReaderLimits)
      const inPieces: Array<Input> = []
      const octets = Buffer.from(text)
      for (let at = 0, turn = 0; at < octets.length; turn++) {
        const size = sizes[turn % Math.max(1, sizes.length)] ?? 1
        reader.feed(octets.subarray(at, at + size))
        inPieces.push(...drain(reader))
        at += size
      }
      assert.deepStrictEqual(
        inPieces.map((input) => [input._tag, parts(input)]),
        whole.map((input) => [input._tag, parts(input)])
      )
    }
  )
})
