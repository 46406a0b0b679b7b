import { assert, describe, it } from "@effect/vitest"
import { MessageNotFound, TooLarge } from "../../src/domain/MailError.ts"

describe("messages that are not found", () => {
  it("are named as far as a person reads, and all in the error", () => {
    const few = new MessageNotFound({ mailbox: "INBOX", uids: [3, 5] })
    assert.strictEqual(few.message, "mailbox \"INBOX\" holds no message with UID 3, 5")

    const many = new MessageNotFound({ mailbox: "INBOX", uids: Array.from({ length: 100_000 }, (_, at) => at + 1) })
    assert.isTrue(many.message.endsWith("19, 20 and 99980 more"), many.message.slice(-50))
    assert.strictEqual(many.uids.length, 100_000)
  })
})

describe("a message that is too large", () => {
  it("says whose limit it is over, and which of ours can be raised", () => {
    const ours = new TooLarge({ size: 200, limit: 100 })
    assert.include(ours.message, "limits.maxMessageBytes")
    const theirs = new TooLarge({ size: 200, limit: 100, response: "SIZE 100" })
    assert.strictEqual(theirs.message, "200 octets are over the limit of 100 of the server (SIZE 100)")
  })
})
