import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { PassThrough } from "node:stream"
import { MailStore } from "../../../src/testing/MailStore.ts"
import { Output } from "../../../src/testing/server/Output.ts"
import { View } from "../../../src/testing/server/View.ts"

/** What a client makes of untagged answers: how many messages there are, and which have gone. */
class ClientModel {
  readonly uids: Array<number | undefined>

  constructor(uids: ReadonlyArray<number>) {
    this.uids = [...uids]
  }

  hear(line: string): void {
    const [, number = "", verb] = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)/.exec(line) ?? []
    const vanished = /^\* VANISHED (.*)$/.exec(line)?.[1]
    if (verb === "EXISTS") {
      assert.isAtLeast(Number(number), this.uids.length, "EXISTS never takes away")
      while (this.uids.length < Number(number)) this.uids.push(undefined)
    } else if (verb === "EXPUNGE") {
      assert.isAtMost(Number(number), this.uids.length)
      this.uids.splice(Number(number) - 1, 1)
    } else if (verb === "FETCH") assert.isAtMost(Number(number), this.uids.length)
    else if (vanished !== undefined) {
      for (const part of vanished.split(",")) {
        const [from = 0, to = from] = part.split(":").map(Number)
        for (let uid = from; uid <= to; uid++) this.uids.splice(this.uids.indexOf(uid), 1)
      }
    }
  }

  /** As a FETCH 1:* (UID) would: every message the client counts has its UID in the server's view. */
  learn(view: View): void {
    assert.strictEqual(this.uids.length, view.exists)
    view.uids.forEach((uid, index) => {
      if (this.uids[index] === undefined) this.uids[index] = uid
      assert.strictEqual(this.uids[index], uid, "a sequence number names the same message on both sides")
    })
  }
}

const Step = Schema.Union([
  Schema.Struct({ do: Schema.Literals(["append", "announce", "announce all"]) }),
  Schema.Struct({
    do: Schema.Literals(["take", "flag"]),
    which: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))).check(Schema.isMaxLength(4))
  })
])

describe("View", () => {
  it.prop(
    "keeps the numbers of client and server the same through every history",
    [Schema.Array(Step).check(Schema.isMaxLength(60)), Schema.Boolean],
    ([steps, qresync]) => {
      const source = "Subject: x\r\n\r\n"
      const store = new MailStore({
        users: [{ name: "u", password: "p", mailboxes: { INBOX: [source, source, source] } }]
      })
      const user = store.user("u")
      assert.isDefined(user)
      const { inbox } = user
      const stream = new PassThrough()
      const out = new Output(stream)
      const view = new View(inbox, false, () => undefined)
      const client = new ClientModel(inbox.uids)
      const announce = (withExpunges: boolean) => {
        view.announce(out, { condstore: qresync, qresync }, withExpunges)
        out.flush()
        const told: Buffer | null = stream.read()
        for (const line of (told?.toString() ?? "").split("\r\n")) client.hear(line)
        client.learn(view)
      }
      for (const step of steps) {
        if (step.do === "append") user.append("INBOX", new Uint8Array(1), { internalDate: new Date(0) })
        else if (step.do === "announce") announce(false)
        else if (step.do === "announce all") announce(true)
        else if (step.do === "take") inbox.take(step.which)
        else if (step.do === "flag") inbox.store(step.which, "add", [`k${inbox.highestModseq}`])
      }
      announce(true)
      assert.deepStrictEqual(view.uids, inbox.uids, "all is told in the end")
      assert.isFalse(view.hasNews)
    }
  )
})
