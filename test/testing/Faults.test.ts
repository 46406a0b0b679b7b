import { assert, describe, it } from "@effect/vitest"
import { type Fault, Faults } from "../../src/testing/index.ts"

const cut: Fault = { protocol: "imap", at: "FETCH", action: { _tag: "Drop", when: "before" } }
const step = { protocol: "imap", at: "FETCH" } as const

describe("Faults", () => {
  it("let steps pass, strike as often as they are to, and are pending until then", () => {
    const twice = { ...cut, skip: 1, times: 2 }
    const faults = new Faults([twice])
    const struck = [1, 2, 3, 4].map(() => [faults.take(step)?._tag, faults.pending.length])
    assert.deepStrictEqual(struck, [[undefined, 1], ["Drop", 1], ["Drop", 0], [undefined, 0]])
  })

  it("are pending where their step never came, or came at another user or mailbox", () => {
    const faults = new Faults()
    faults.add({ ...cut, at: "SERCH" }, { ...cut, user: "bob" }, { ...cut, mailbox: "Sent" }, {
      ...cut,
      times: Infinity
    })
    assert.strictEqual(faults.take({ ...step, user: "ann", mailbox: "INBOX" })?._tag, "Drop")
    assert.deepStrictEqual(faults.pending.map(({ at, mailbox, user }) => at + (user ?? "") + (mailbox ?? "")), [
      "SERCH",
      "FETCHbob",
      "FETCHSent",
      "FETCH"
    ])
    faults.clear()
    assert.deepStrictEqual(faults.pending, [])
  })

  it("strike at a command by its name or by the name that servers tell of it", () => {
    for (const at of ["STORE", "UID STORE"]) {
      assert.strictEqual(new Faults([{ ...cut, at }]).take({ protocol: "imap", at: "STORE" })?._tag, "Drop")
    }
  })
})
