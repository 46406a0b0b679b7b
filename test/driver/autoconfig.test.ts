import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { readAutoconfig } from "../../src/driver/autoconfig.ts"

const file = (servers: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1"><emailProvider id="example.com"><domain>example.com</domain>
<displayName>Example</displayName>${servers}</emailProvider></clientConfig>`

describe("an autoconfiguration file", () => {
  it("names its servers in order, as they stand there", () => {
    const servers = readAutoconfig(file(`
      <incomingServer type="imap">
        <hostname> imap.%EMAILDOMAIN% </hostname><port>993</port><socketType>SSL</socketType>
        <username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication>
      </incomingServer>
      <incomingServer type="POP3"><hostname>pop.example.com</hostname></incomingServer>
      <outgoingServer type="smtp">
        <!-- a comment --><hostname>a&amp;b<![CDATA[.example]]></hostname><hostname>second</hostname>
        <restriction><hostname>deeper</hostname></restriction>
      </outgoingServer>`))
    assert.deepStrictEqual(servers, [
      {
        protocol: "imap",
        hostname: "imap.%EMAILDOMAIN%",
        port: "993",
        socketType: "SSL",
        username: "%EMAILADDRESS%"
      },
      { protocol: "pop3", hostname: "pop.example.com", port: "", socketType: "", username: "" },
      { protocol: "smtp", hostname: "a&b.example", port: "", socketType: "", username: "" }
    ])
  })

  it.each([
    "",
    "no XML at all",
    "<html><body><p>Not found</body></html>",
    `<emailProvider><incomingServer type="imap"><hostname>a.b</hostname></incomingServer></emailProvider>`,
    `<clientConfig><emailProvider><incomingServer type="imap"><hostname>a.b`.slice(0, -4)
  ])("that is none has no servers: %j", (text) => {
    assert.deepStrictEqual(readAutoconfig(text).filter(({ hostname }) => hostname !== ""), [])
  })

  it("expands no entities of its own", () => {
    const text = `<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "yyyy">]>` +
      file(`<incomingServer type="imap"><hostname>&x;&y;</hostname></incomingServer>`)
    assert.deepStrictEqual(readAutoconfig(text).map(({ hostname }) => hostname), ["&x;&y;"])
  })

  it.prop("never throws, whatever it holds", [Schema.String], ([text]) => {
    readAutoconfig(text)
    readAutoconfig(file(text))
  })
})
