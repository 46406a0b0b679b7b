import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { AuthenticationResults } from "../../src/domain/AuthenticationResults.ts"

const parse = (value: string) => Option.getOrThrow(AuthenticationResults.parse(value))
const flat = (value: string) => {
  const { authservId, results } = parse(value)
  return [
    authservId,
    results.map(({ method, properties, reason, result }) => [
      method,
      result,
      ...(reason === undefined ? [] : [reason]),
      ...properties.map(({ property, type, value }) => `${type}.${property}=${value}`)
    ])
  ]
}

describe("authentication results", () => {
  const table: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
    ["example.org 1; none", ["example.org", []]],
    ["example.org", ["example.org", []]],
    [
      "example.com; spf=pass smtp.mailfrom=example.net; dkim=fail (bad; signature) header.d=example.net header.i=@example.net",
      ["example.com", [
        ["spf", "pass", "smtp.mailfrom=example.net"],
        ["dkim", "fail", "header.d=example.net", "header.i=@example.net"]
      ]]
    ],
    [
      "mx.google.com; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=Example.com; DKIM=Pass header.b=\"a;b/c=\"",
      ["mx.google.com", [["dmarc", "pass", "header.from=Example.com"], ["dkim", "pass", "header.b=a;b/c="]]]
    ],
    [
      "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot) . (w) expired = 1362471462",
      ["foo.example.net", [["dkim", "fail", "policy.expired=1362471462"]]]
    ],
    ["example.com; auth=fail reason=\"no \\\"password\\\"\" smtp.auth=ann", ["example.com", [
      ["auth", "fail", "no \"password\"", "smtp.auth=ann"]
    ]]],
    ["\"a.b\"; spf=none", ["a.b", [["spf", "none"]]]],
    ["example.com; nonsense; =; spf=", ["example.com", []]]
  ]
  for (const [value, expected] of table) {
    it(`are read from ${JSON.stringify(value)}`, () => assert.deepStrictEqual(flat(value), expected))
  }

  it("are those of each server, the last one first, and those without a server are left out", () => {
    const found = AuthenticationResults.of({
      headers: [
        { name: "Authentication-Results", value: "mine.example; dkim=fail header.d=a; dkim=pass header.d=b" },
        { name: "authentication-results", value: "; dkim=pass" },
        { name: "Authentication-Results", value: "dkim=pass header.d=x" },
        { name: "AUTHENTICATION-RESULTS", value: "theirs.example; spf=softfail" },
        { name: "X-Authentication-Results", value: "x; spf=pass" }
      ]
    })
    assert.deepStrictEqual(found.map(({ authservId }) => authservId), ["mine.example", "theirs.example"])
    assert.isTrue(found[0]?.passed("dkim"))
    assert.isFalse(found[1]?.passed("spf"))
    assert.deepStrictEqual(found[0]?.of("dkim").map((result) => result.property("header", "d")), ["a", "b"])
  })

  it.prop("are read from anything without failing", [Schema.String], ([value]) => {
    AuthenticationResults.parse(value)
    parse(`a.example; ${value}`)
  })
})
