import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { Endpoint } from "../../src/domain/AccountConfig.ts"
import { AccessToken, Password } from "../../src/domain/Credentials.ts"
import { withoutSecretOf } from "../../src/driver/EchoedSecret.ts"
import { bearerMessage } from "../../src/driver/SmtpHandshake.ts"

const secret = "pä\"ss\\word-1234"
const password = new Password({ user: "ann", password: Redacted.make(secret) })
const short = new Password({ user: "ann", password: Redacted.make("p:4?") })
const token = new AccessToken({ user: "a=n,n", token: Redacted.make("ya29.token-0123456789-0123456789") })
const base64 = (text: string) => Buffer.from(text).toString("base64")
const endpoint = new Endpoint({ host: "mail.example.com", port: 993, security: "tls" })

describe("what a server repeats of a login", () => {
  const forms: ReadonlyArray<readonly [what: string, login: Password | AccessToken, form: string]> = [
    ["the password", password, secret],
    ["the password read octet by octet", password, Buffer.from(secret).toString("latin1")],
    ["the password in a quoted string", password, secret.replace(/["\\]/g, "\\$&")],
    ["the password in base64 (LOGIN)", password, base64(secret)],
    ["the password in base64 without padding", password, base64(secret).replace(/=/g, "")],
    ["a short password in base64 (LOGIN)", short, base64("p:4?")],
    ["a short password in base64 without padding", short, base64("p:4?").replace(/=/g, "")],
    ["PLAIN", password, base64(`\0ann\0${secret}`)],
    ["PLAIN with an authorization identity", password, base64(`bob\0ann\0${secret}`)],
    ["the token", token, Redacted.value(token.token)],
    ["XOAUTH2", token, base64(bearerMessage("XOAUTH2", endpoint, 993, token))],
    ["OAUTHBEARER", token, base64(bearerMessage("OAUTHBEARER", endpoint, 993, token))],
    [
      "OAUTHBEARER of another host name",
      token,
      base64("n,a=ann,\x01host=127.0.0.1\x01port=1\x01auth=Bearer x\x01\x01")
    ],
    ["OAUTHBEARER before its base64", token, bearerMessage("OAUTHBEARER", endpoint, 993, token)]
  ]
  for (const [what, login, form] of forms) {
    it(`does not show ${what}`, () => {
      const shown = withoutSecretOf(login)(`501 bad line: AUTH ${form} (try again)`)
      assert.include(shown, "<redacted>")
      assert.notInclude(shown, form)
      assert.match(shown, /^501 bad line: AUTH .*\(try again\)$/)
      for (const part of ["ss\\word", "0123456789"]) assert.notInclude(shown, part)
    })
  }

  it("does not show pieces of a message that the server broke into lines or cut short", () => {
    const message = base64(bearerMessage("XOAUTH2", endpoint, 993, token))
    const lines = message.match(/.{1,40}/g) ?? []
    const shown = withoutSecretOf(token)(lines.join("\r\n535-"))
    for (const line of lines.slice(0, 2)) assert.notInclude(shown, line)
    assert.notInclude(withoutSecretOf(token)(`bad ${message.slice(0, 50)}`), message.slice(0, 50))
  })

  it("leaves all else as it is", () => {
    const text =
      "535 5.7.8 Username and Password not accepted. https://support.example.com/mail/?p=BadCredentials abc123-gsmtp"
    assert.strictEqual(withoutSecretOf(password)(text), text)
    assert.strictEqual(withoutSecretOf(token)(text), text)
  })
})
