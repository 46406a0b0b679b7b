import { assert, describe, it } from "@effect/vitest"
import { mailboxOf } from "../../src/account/OneMailbox.ts"
import { MessageSet, Query } from "../../src/index.ts"

const set = MessageSet.of("Archive", 1, [3, 4])
const ref = set.ref(3)

describe("the mailbox that errors and spans name", () => {
  it("is that of the messages, in whatever form they were named", () => {
    const forms = [Query.in("Archive"), set, ref, { ref }, [ref], [{ ref }], [set], [
      set,
      MessageSet.of("INBOX", 1, [1])
    ]]
    for (const messages of forms) assert.strictEqual(mailboxOf(messages), "Archive")
  })

  it("is none where there are no messages", () => assert.isUndefined(mailboxOf([])))
})
