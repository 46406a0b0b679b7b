import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decoder } from "../../src/account/TransferEncoding.ts"

/** Decodes a text given in pages that are cut at these places. */
const decoded = (encoding: string | undefined, text: string | Uint8Array, cuts: ReadonlyArray<number> = []) => {
  const octets = Buffer.from(text)
  const places = [...new Set(cuts.map((cut) => cut % (octets.length + 1)))].sort((a, b) => a - b)
  const decode = decoder(encoding)
  const pages = [...places, octets.length].map((end, index) => octets.subarray(places[index - 1] ?? 0, end))
  return Buffer.concat(pages.map((page, index) => decode(page, index === pages.length - 1)))
}

const everyCut = (text: string) => Array.from({ length: text.length + 1 }, (_, index) => index)

const Octets = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })))

const quotedPrintable = (octets: ReadonlyArray<number>) => {
  let text = ""
  let column = 0
  for (const octet of octets) {
    const plain = octet > 32 && octet < 127 && octet !== 61
    const written = plain ? String.fromCharCode(octet) : `=${octet.toString(16).toUpperCase().padStart(2, "0")}`
    if (column + written.length > 75) {
      text += "=\r\n"
      column = 0
    }
    text += written
    column += written.length
  }
  return text
}

describe("TransferEncoding", () => {
  it.prop("reads base64 back, wherever the pages are cut", [Octets, Cuts], ([octets, cuts]) => {
    const lines = Buffer.from(octets).toString("base64").replace(/.{76}/g, "$&\r\n")
    assert.deepStrictEqual([...decoded("base64", lines, cuts)], octets)
  })

  it.prop("reads quoted-printable back, wherever the pages are cut", [Octets, Cuts], ([octets, cuts]) => {
    assert.deepStrictEqual([...decoded("quoted-printable", quotedPrintable(octets), cuts)], octets)
  })

  it.prop("passes 7bit, 8bit, binary and unknown encodings through", [Octets, Cuts], ([octets, cuts]) => {
    for (const encoding of ["7bit", "8BIT", "binary", "x-unknown", undefined]) {
      assert.deepStrictEqual([...decoded(encoding, Uint8Array.from(octets), cuts)], octets)
    }
  })

  it("passes over what is no base64, and goes on after padding in the middle", () => {
    assert.strictEqual(decoded("BASE64", "aGVs!!bG8\r\n-- \r\n").toString(), "hello")
    assert.strictEqual(decoded("base64", "aGVsbG8").toString(), "hello")
    assert.strictEqual(decoded("base64", "").length, 0)
    assert.strictEqual(decoded("base64", "aGVsbG8=\r\naGVsbG8=\r\n").toString(), "hellohello")
  })

  it("undoes escapes, soft line breaks and blanks at line ends, at every cut of two pages", () => {
    const rows: ReadonlyArray<readonly [string, string]> = [
      ["a=3Db", "a=b"],
      ["a=3db", "a=b"],
      ["soft=\r\nbreak", "softbreak"],
      ["soft=  \r\nbreak", "softbreak"],
      ["soft=\nbreak", "softbreak"],
      ["blank  \r\nend", "blank\r\nend"],
      ["blank \t\r\n", "blank\r\n"],
      ["kept=20\r\nend", "kept \r\nend"],
      ["two words", "two words"],
      ["no =escape =G1", "no =escape =G1"],
      ["gr=C3=BCn", "grün"],
      ["end=", "end"],
      ["end=\r\n", "end"],
      ["", ""]
    ]
    for (const [written, meant] of rows) {
      for (const cut of everyCut(written)) {
        assert.strictEqual(decoded("quoted-printable", written, [cut]).toString(), meant, `${written} cut at ${cut}`)
      }
      assert.strictEqual(decoded("quoted-printable", written, everyCut(written)).toString(), meant, written)
    }
  })
})
