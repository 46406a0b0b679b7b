import { assert, describe, it } from "@effect/vitest"
import { connectReason } from "../../src/driver/SmtpHandshake.ts"

const progress = { host: "127.0.0.1", port: 993, step: "greeting", isUpgrading: false } as const

describe("A port that greets in another protocol", () => {
  it("is named with the beginning of what it said, once", () => {
    const response = `* OK [CAPABILITY ${"IMAP4rev1 ".repeat(50)}] ready`
    const message = `Invalid greeting. response=${response}: ${response}`
    const reason = connectReason({ code: "EPROTOCOL", message, response }, progress)
    assert.deepInclude(reason, { _tag: "ConnectionFailed", step: "greeting" })
    assert.include(reason.message, "(greeting: no greeting of SMTP: * OK [CAPABILITY IMAP4rev1")
    assert.isBelow(reason.message.length, 250)
  })
})
