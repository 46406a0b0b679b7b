import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { charsetDecoder } from "../../src/driver/Charset.ts"
import { SampleMail, type SampleMessage } from "../../src/testing/SampleMail.ts"

/** One character per octet; a TextDecoder of that name reads windows-1252. */
const latin1 = { decode: (octets: Uint8Array) => Buffer.from(octets).toString("latin1") }

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const sample = (kind: SampleMessage["kind"], seed = 1): SampleMessage => {
  const [message] = SampleMail.make({ seed, count: 1, kinds: [kind] })
  return message ?? assert.fail("no message")
}

const raw = (message: SampleMessage) => latin1.decode(message.source)

const body = (message: SampleMessage) => raw(message).slice(raw(message).indexOf("\r\n\r\n") + 4)

/** Ends of lines other than CRLF. */
const bareLineEnds = (octets: Uint8Array) => latin1.decode(octets).match(/\r(?!\n)|(?<!\r)\n/g)?.length ?? 0

describe("SampleMail", () => {
  it("is the same for the same seed and another for another", () => {
    const options = { seed: 7, count: 100 }
    assert.deepStrictEqual(SampleMail.make(options), SampleMail.make(options))
    assert.deepStrictEqual(SampleMail.make(options).slice(0, 10), SampleMail.make({ ...options, count: 10 }))
    assert.notDeepEqual(SampleMail.make(options), SampleMail.make({ ...options, seed: 8 }))
  })

  it("has every kind once in as many messages as there are kinds", () => {
    const made = SampleMail.make({ seed: 3, count: SampleMail.kinds.length }).map(({ kind }) => kind)
    assert.deepStrictEqual([...made].sort(), [...SampleMail.kinds].sort())
    assert.isTrue(SampleMail.make({ seed: 3, count: 5, kinds: ["html"] }).every(({ kind }) => kind === "html"))
    assert.strictEqual(SampleMail.make({ seed: 3, count: 5, kinds: [] }).length, 0)
  })

  it.prop("ends every line with CRLF, broken messages included", { seed: between(0, 2 ** 32 - 1) }, ({ seed }) => {
    for (const { kind, source } of SampleMail.make({ seed, count: SampleMail.kinds.length })) {
      assert.strictEqual(bareLineEnds(source), 0, kind)
      assert.isTrue(latin1.decode(source).endsWith("\r\n"), kind)
    }
  }, { arbitrary: { runs: 10 } })

  it("keeps ordinary lines within 998 octets, except in the kind that breaks it", () => {
    for (const message of SampleMail.make({ seed: 5, count: SampleMail.kinds.length })) {
      const longest = Math.max(...raw(message).split("\r\n").map((line) => line.length))
      assert.strictEqual(longest > 998, message.kind === "long-lines", `${message.kind}: ${longest}`)
    }
  })

  it("says what the subject is, as written where it is written in ASCII", () => {
    for (const message of SampleMail.make({ seed: 11, count: 200 })) {
      if (message.kind === "encoded-words") continue
      const written = /^Subject: ((?:.*(?:\r\n[ \t]+)?)*)/m.exec(raw(message))?.[1]?.replace(/\r\n[ \t]+/g, " ")
      assert.strictEqual(written, message.subject, message.kind)
    }
  })

  it("names each message once, and threads refer to messages before them", () => {
    const messages = SampleMail.make({ seed: 2, count: 200 })
    const ids = messages.flatMap(({ messageId }) => messageId ?? [])
    assert.strictEqual(new Set(ids).size, ids.length)
    const replies = messages.filter((message) => message.kind === "reply")
    assert.isAbove(replies.length, 1)
    for (const reply of replies) {
      const [, parent] = /^In-Reply-To: (.*)\r$/m.exec(raw(reply)) ?? []
      if (messages[0] === reply) continue
      assert.isBelow(messages.findIndex(({ messageId }) => messageId === parent), messages.indexOf(reply))
      assert.include(ids, parent)
    }
  })

  it("encodes what its charset labels say", () => {
    const decoded = (kind: SampleMessage["kind"], charset: string, binary: string) =>
      charsetDecoder(charset)?.decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)))
        .includes(sample(kind).text ?? assert.fail(kind))
    const quoted = (text: string) =>
      text.replace(/=\r\n/g, "").replace(
        /=([0-9A-F]{2})/g,
        (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))
      )
    assert.isTrue(decoded("utf-8-8bit", "utf-8", body(sample("utf-8-8bit"))))
    assert.isTrue(decoded("utf-8-quoted-printable", "utf-8", quoted(body(sample("utf-8-quoted-printable")))))
    assert.isTrue(decoded("utf-8-base64", "utf-8", atob(body(sample("utf-8-base64")))))
    assert.isTrue(decoded("iso-8859-1", "iso-8859-1", quoted(body(sample("iso-8859-1")))))
    assert.isTrue(decoded("windows-1252", "windows-1252", body(sample("windows-1252"))))
    assert.isTrue(decoded("koi8-r", "koi8-r", atob(body(sample("koi8-r")))))
    assert.isTrue(decoded("iso-2022-jp", "iso-2022-jp", body(sample("iso-2022-jp"))))
    assert.isTrue(decoded("utf-16", "utf-16be", atob(body(sample("utf-16")))))
  })

  it("folds encoded words so that each decodes by itself to its part of the subject", () => {
    for (let seed = 0; seed < 40; seed++) {
      const message = sample("encoded-words", seed)
      const header = raw(message).slice(0, raw(message).indexOf("\r\nDate: "))
      const words = [...header.slice(header.indexOf("Subject: ")).matchAll(/=\?([^?]+)\?([BQ])\?([^?]*)\?=/g)]
      assert.isTrue(words.every(([word]) => word.length <= 75))
      const reads = words.map(([, charset, encoding, value = ""]) => {
        const binary = encoding === "B"
          ? atob(value)
          : value.replace(/_/g, " ").replace(
            /=(..)/g,
            (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))
          )
        return new TextDecoder(charset, { fatal: true }).decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)))
      })
      assert.strictEqual(reads.join(""), message.subject)
    }
  })

  it("follows the size asked for", () => {
    const [small, large] = [500, 50_000].map((size) =>
      SampleMail.make({ seed: 1, count: 1, size, kinds: ["plain"] })[0]?.source.length ?? 0
    )
    assert.isTrue(small !== undefined && large !== undefined && small < 1500 && large > 40_000 && large < 70_000)
  })

  it.prop(
    "makes plain messages of exactly the octets asked for, each with a Message-ID of its own",
    { index: between(0, 1_000_000), octets: between(300, 5000) },
    ({ index, octets }) => {
      const source = SampleMail.plain({ index, octets })
      const text = latin1.decode(source)
      assert.strictEqual(source.length, octets)
      assert.isTrue(text.endsWith("\r\n") && bareLineEnds(source) === 0)
      assert.isTrue(text.split("\r\n").every((line) => !line.startsWith(".") && line.length <= 78))
      assert.include(text, `Message-ID: <plain.${index}@`)
    },
    { arbitrary: { runs: 200 } }
  )

  it("refuses a plain message too small for its header", () => {
    assert.throws(() => SampleMail.plain({ index: 1, octets: 100 }), RangeError)
  })
})
