import { assert, describe, it } from "@effect/vitest"
import { charsetDecoder } from "../../src/driver/Charset.ts"
import { decodeWords } from "../../src/driver/HeaderBlock.ts"

const decode = (charset: string, ...octets: ReadonlyArray<number>) =>
  charsetDecoder(charset)?.decode(Uint8Array.from(octets))

describe("Charset", () => {
  it("reads Windows-1252 as it is everywhere, on each version of Node", () => {
    assert.strictEqual(decode("windows-1252", 0x80, 0x85, 0x91, 0x92, 0x93, 0x94, 0x96, 0x99, 0x9f), "€…‘’“”–™Ÿ")
    assert.strictEqual(decode("windows-1252", 0x41, 0x7f, 0xa0, 0xe9, 0xff), "A\x7f\xa0éÿ")
    // five octets stand for nothing, and stay control characters (WHATWG Encoding, index windows-1252)
    assert.strictEqual(decode("windows-1252", 0x81, 0x8d, 0x8f, 0x90, 0x9d), "\x81\x8d\x8f\x90\x9d")
    assert.strictEqual(decodeWords("=?windows-1252?Q?=93Ol=E9=94_=96_10_=80?="), "“Olé” – 10 €")
  })

  it("reads what calls itself ISO-8859-1 or US-ASCII as Windows-1252, which is what senders mean", () => {
    for (const charset of ["iso-8859-1", "ISO-8859-1", " latin1 ", "us-ascii"]) {
      assert.strictEqual(decode(charset, 0x93, 0xe9, 0x94), "“é”", charset)
    }
  })

  it("knows charsets by the names of mail, and says where it knows none", () => {
    assert.strictEqual(decode("ks_c_5601-1987", 0xb0, 0xa1), "가")
    assert.strictEqual(decode("CP932", 0x83, 0x65), "テ")
    assert.strictEqual(decode("koi8-r", 0xcf, 0xeb), "оК")
    assert.isUndefined(charsetDecoder("x-unknown"))
  })
})
