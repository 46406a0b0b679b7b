import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted } from "effect"
import wellKnown from "nodemailer/lib/well-known"
import { Password } from "../../src/domain/Credentials.ts"
import { configOf, limitsOf } from "../../src/domain/Provider.ts"
import { providerById, providerOf, providers } from "../../src/domain/Providers.ts"
import { imapCommand, imapLogin, parseSmtpReply, smtpReason } from "../../src/driver/Classification.ts"

const gmail = providerById("gmail") ?? assert.fail("no gmail")

describe("providers", () => {
  it("have ids and domains of their own", () => {
    const ids = providers.map(({ id }) => id)
    const domains = providers.flatMap((provider) => provider.domains)
    assert.strictEqual(new Set(ids).size, ids.length)
    assert.strictEqual(new Set(domains).size, domains.length)
  })

  it("are found by the domain of an address, whatever its case", () => {
    assert.strictEqual(providerOf("Ann@GMail.com")?.id, "gmail")
    assert.strictEqual(providerOf("ann@example.com"), undefined)
    assert.strictEqual(providerOf("gmail.com@example.com"), undefined)
  })

  it("never send a password over a plain wire", () => {
    for (const { imap, smtp } of providers) {
      assert.notStrictEqual(imap.value.security, "none")
      assert.notStrictEqual(smtp.value.security, "none")
    }
  })

  it("agree with nodemailer's list where they say so", () => {
    for (const { domains, smtp } of providers.filter(({ smtp }) => smtp.source.includes("well-known"))) {
      const [domain] = domains
      const known = domain === undefined ? false : wellKnown(`someone@${domain}`)
      if (known !== false) assert.deepStrictEqual([smtp.value.host, smtp.value.port], [known.host, Number(known.port)])
    }
  })

  it("name a source for every number", () => {
    for (const provider of providers) {
      const facts = [
        provider.imap,
        provider.smtp,
        provider.imapConnections,
        provider.smtpConnections,
        provider.filesSentMail,
        ...provider.rates
      ]
      for (const { source } of facts) assert.isAbove(source.length, 5, provider.id)
    }
  })

  it("refuse with words that the library understands", () => {
    for (const { refusals } of providers) {
      for (const { meaning, protocol, text } of refusals) {
        const reasons = protocol === "imap" ? imapReasons(text) : smtpReasons(text)
        assert.include(reasons, meaning, text)
      }
    }
  })
})

/** What the words mean at login and in a session. */
const imapReasons = (line: string) => {
  const match = /^(NO|BAD) (?:\[([^\]]+)\] )?(.*)$/.exec(line)
  const refusal = {
    status: match?.[1] === "BAD" ? "BAD" as const : "NO" as const,
    code: match?.[2],
    text: match?.[3] ?? ""
  }
  return [imapLogin(refusal)._tag, imapCommand(refusal)._tag]
}

const smtpReasons = (line: string) => {
  const reply = parseSmtpReply(line) ?? assert.fail(line)
  return (["greeting", "login", "sender", "message"] as const).map((step) => smtpReason(reply, step)._tag)
}

describe("configOf", () => {
  const credentials = new Password({ user: "ann@gmail.com", password: Redacted.make("x") })

  it("takes servers and limits from the provider", () => {
    const config = configOf(gmail, { name: "ann", credentials, address: "ann@gmail.com" })
    assert.strictEqual(config.imap?.host, "imap.gmail.com")
    assert.strictEqual(config.limits.imapConnections, gmail.imapConnections.value)
    assert.strictEqual(config.limits.rates.length, gmail.rates.length)
  })

  it("lets anything be overridden", () => {
    const limits = limitsOf(gmail, { imapConnections: 1, rates: [], maxWait: Duration.seconds(5) })
    assert.deepStrictEqual([limits.imapConnections, limits.rates.length], [1, 0])
    assert.strictEqual(limits.smtpConnections, gmail.smtpConnections.value)
    assert.strictEqual(limits.recipientsPerMessage, gmail.recipientsPerMessage?.value)
    assert.strictEqual(limitsOf(gmail, { recipientsPerMessage: 7 }).recipientsPerMessage, 7)
  })
})
