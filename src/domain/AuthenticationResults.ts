/**
 * What a receiving server says it found out about a message's origin: SPF, DKIM, DMARC and others (RFC 8601). Reads the
 * `Authentication-Results` fields; it checks nothing itself.
 */
import { Option, Schema } from "effect"
import { splitOutsideQuotes, unquoted, valuesOf, withoutComments } from "./HeaderText.ts"

/** One property of a result, for instance `smtp.mailfrom=example.com`: `type` "smtp", `property` "mailfrom". */
export class AuthenticationProperty extends Schema.Class<AuthenticationProperty>("effect-mail/AuthenticationProperty")({
  type: Schema.String,
  property: Schema.String,
  value: Schema.String
}) {}

/** The result of one method, both in lower case: "dkim" and "pass". A message can have several of one method. */
export class AuthenticationResult extends Schema.Class<AuthenticationResult>("effect-mail/AuthenticationResult")({
  method: Schema.String,
  result: Schema.String,
  reason: Schema.optionalKey(Schema.String),
  properties: Schema.Array(AuthenticationProperty)
}) {
  /** The value of a property: `result.property("header", "d")`. */
  property(type: string, property: string): string | undefined {
    return this.properties.find((each) => each.type === type && each.property === property)?.value
  }
}

/**
 * One field. **Gotchas** Anyone can write such a field into a message. Believe only those whose `authservId` is that of
 * a server of your own provider, which takes out forged ones of that name (RFC 8601 5 and 7.1); which that is, is yours
 * to know. Fields of others say only what somebody wrote.
 */
export class AuthenticationResults extends Schema.Class<AuthenticationResults>("effect-mail/AuthenticationResults")({
  authservId: Schema.String,
  results: Schema.Array(AuthenticationResult)
}) {
  /** The results of one method: `results.of("dkim")`. */
  of(method: string): ReadonlyArray<AuthenticationResult> {
    return this.results.filter((result) => result.method === method)
  }

  /** Whether some result of the method is "pass". */
  passed(method: string): boolean {
    return this.of(method).some(({ result }) => result === "pass")
  }

  /** All fields of a message, those of the server that had it last first. Fields that cannot be read are left out. */
  static of(message: { readonly headers: ReadonlyArray<{ readonly name: string; readonly value: string }> }) {
    return valuesOf(message.headers, "authentication-results").flatMap((value) => {
      const parsed = AuthenticationResults.parse(value)
      return Option.isSome(parsed) ? [parsed.value] : []
    })
  }

  /** The value of one field; none where it names no server. */
  static parse(value: string): Option.Option<AuthenticationResults> {
    const [first = "", ...rest] = splitOutsideQuotes(withoutComments(value), ";")
    // a version may follow the name
    const authservId = unquoted(first.replace(/(?<!\s)\s+\d+$/, ""))
    if (authservId === "" || /[\s=]/.test(authservId)) return Option.none()
    const results = rest.flatMap((text) => {
      const [head, ...pairs] = pairsOf(text)
      // "none" stands for no results at all
      if (head === undefined) return []
      const [method = ""] = head[0].toLowerCase().split("/")
      const reason = pairs.find(([name]) => name.toLowerCase() === "reason")?.[1]
      const properties = pairs.flatMap(([name, value]) => {
        const dot = name.indexOf(".")
        if (dot < 1) return []
        const [type, property] = [name.slice(0, dot).toLowerCase(), name.slice(dot + 1).toLowerCase()]
        return [new AuthenticationProperty({ type, property, value })]
      })
      return [
        new AuthenticationResult({
          method,
          result: head[1].toLowerCase(),
          ...(reason === undefined ? {} : { reason }),
          properties
        })
      ]
    })
    return Option.some(new AuthenticationResults({ authservId, results }))
  }
}

/**
 * `name = value` in order; blanks around "=", "." and "/" are allowed. Runs are matched from their beginning only, which
 * keeps the time linear in the length.
 */
const pairsOf = (text: string): ReadonlyArray<readonly [string, string]> =>
  [
    ...text.replace(/(?<!\s)\s+(?=[=./])/g, "").replace(/([=./])\s+/g, "$1")
      .matchAll(/(?<![^\s="])([^\s="]+)=("(?:\\.|[^"\\])*"|[^\s"]+)/g)
  ]
    .map(([, name = "", value = ""]) => [name, unquoted(value)] as const)
