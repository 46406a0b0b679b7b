import { assert, describe, it } from "@effect/vitest"
import {
  type MailboxChange,
  MailStore,
  type StoredMailbox,
  type StoredMessage,
  StoreFailure
} from "../../src/testing/index.ts"

const date = new Date("2026-01-02T03:04:05Z")
const octets = (text: string) => new TextEncoder().encode(text)

const ann = (quota?: number) =>
  new MailStore({
    users: [{
      name: "ann",
      password: "secret",
      address: "Ann@Example.com",
      specialUse: true,
      mailboxes: { INBOX: ["Subject: one\n\nbody", "Subject: two\n\n", "Subject: three\n\n"], "Lists/a": [] },
      ...quota === undefined ? {} : { quota }
    }]
  })

const annOf = (store: MailStore) => {
  const user = store.user("ann")
  assert(user !== undefined)
  return user
}

const failure = (result: object | undefined) => {
  assert(result instanceof StoreFailure)
  return result.code
}

const success = <A extends object>(result: A | StoreFailure): A => {
  assert(!(result instanceof StoreFailure))
  return result
}

const heard = (mailbox: StoredMailbox) => {
  const changes: Array<MailboxChange> = []
  mailbox.listen((change) => changes.push(change))
  return changes
}

describe("MailStore", () => {
  it("logs in with the password or the token, and with nothing else", () => {
    const store = new MailStore({ users: [{ name: "a", password: "p", token: "t" }] })
    assert.strictEqual(store.login("a", "p")?.name, "a")
    assert.strictEqual(store.login("a", "t")?.name, "a")
    assert.isUndefined(store.login("a", "x"))
    assert.isUndefined(store.login("b", "p"))
  })

  it("seeds messages with CRLF line ends and ascending UIDs", () => {
    const { inbox } = annOf(ann())
    assert.deepStrictEqual(inbox.uids, [1, 2, 3])
    assert.deepStrictEqual(inbox.message(1)?.source, octets("Subject: one\r\n\r\nbody"))
    assert.strictEqual(inbox.uidNext, 4)
  })

  it("delivers to the user whose address it is, whatever its case", () => {
    const store = ann()
    const message = success(store.deliver("ann@EXAMPLE.com", octets("hello"), date))
    assert.strictEqual(message.uid, 4)
    assert.deepStrictEqual(annOf(store).inbox.message(4)?.internalDate, date)
    assert.strictEqual(failure(store.deliver("eve@example.com", octets("x"), date)), "NONEXISTENT")
  })

  it("knows INBOX in any case and other names only in their own", () => {
    const user = annOf(ann())
    assert.strictEqual(user.mailbox("inBox"), user.inbox)
    assert.isUndefined(user.mailbox("sent"))
    assert.strictEqual(failure(user.createMailbox("Inbox")), "ALREADYEXISTS")
    assert.strictEqual(failure(user.deleteMailbox("inbox")), "CANNOT")
  })

  it("lists superiors that are no mailboxes, and special uses", () => {
    const names = annOf(ann()).names
    assert.deepStrictEqual(
      names.map(({ hasChildren, mailbox, path }) => [path, mailbox?.specialUse ?? mailbox !== undefined, hasChildren]),
      [
        ["Archive", "archive", false],
        ["Drafts", "drafts", false],
        ["INBOX", true, false],
        ["Junk", "junk", false],
        ["Lists", false, true],
        ["Lists/a", true, false],
        ["Sent", "sent", false],
        ["Trash", "trash", false]
      ]
    )
  })

  it("refuses names that no mailbox can have", () => {
    const user = annOf(ann())
    for (const name of ["", "/a", "a//b", "a\r\nb", "a*", "%"]) {
      assert.strictEqual(failure(user.createMailbox(name)), "CANNOT", name)
    }
  })

  it("renames a mailbox with everything below it and keeps UIDs and UIDVALIDITY", () => {
    const user = annOf(ann())
    const child = success(user.createMailbox("Lists"))
    const { uidValidity } = child
    const changes = heard(child)
    success(user.renameMailbox("Lists", "Old"))
    assert.strictEqual(user.mailbox("Old"), child)
    assert.strictEqual(child.uidValidity, uidValidity)
    assert.strictEqual(user.mailbox("Old/a")?.path, "Old/a")
    assert.isUndefined(user.mailbox("Lists/a"))
    assert.deepStrictEqual(changes, [{ _tag: "Invalidated", why: "renamed" }])
    assert.strictEqual(failure(user.renameMailbox("Old", "Sent")), "ALREADYEXISTS")
    assert.strictEqual(failure(user.renameMailbox("Old", "Old/b")), "CANNOT")
    assert.strictEqual(failure(user.renameMailbox("Gone", "New")), "NONEXISTENT")
  })

  it("moves the messages when INBOX is renamed, and INBOX stays", () => {
    const user = annOf(ann())
    const target = success(user.renameMailbox("INBOX", "Past"))
    assert.strictEqual(target.exists, 3)
    assert.strictEqual(user.inbox.exists, 0)
    assert.deepStrictEqual(user.inbox.vanishedSince(0n), [1, 2, 3])
  })

  it("gives a mailbox made again another UIDVALIDITY", () => {
    const user = annOf(ann())
    const before = success(user.createMailbox("X")).uidValidity
    success(user.deleteMailbox("X"))
    assert.strictEqual(failure(user.deleteMailbox("X")), "NONEXISTENT")
    assert.isAbove(success(user.createMailbox("X")).uidValidity, before)
  })

  it("keeps what is below a deleted mailbox", () => {
    const user = annOf(ann())
    success(user.createMailbox("Lists"))
    success(user.deleteMailbox("Lists"))
    assert.isDefined(user.mailbox("Lists/a"))
    assert.strictEqual(failure(user.deleteMailbox("Lists")), "CANNOT")
  })

  it("keeps subscriptions apart from mailboxes", () => {
    const user = annOf(ann())
    assert.strictEqual(failure(user.subscribe("Nowhere")), "NONEXISTENT")
    assert.isUndefined(user.subscribe("Lists/a"))
    success(user.deleteMailbox("Lists/a"))
    assert.include(user.subscriptions, "Lists/a")
    user.unsubscribe("Lists/a")
    assert.notInclude(user.subscriptions, "Lists/a")
  })

  it("refuses to append or copy into what is not there with TRYCREATE", () => {
    const user = annOf(ann())
    assert.strictEqual(failure(user.append("No", octets("x"), { internalDate: date })), "TRYCREATE")
    assert.strictEqual(failure(user.copy(user.inbox, [1], "No")), "TRYCREATE")
    assert.strictEqual(failure(user.move(user.inbox, [1], "No")), "TRYCREATE")
    assert.strictEqual(user.inbox.exists, 3)
  })

  it("holds the quota over all mailboxes: all of a copy or nothing, and a move costs nothing", () => {
    const user = annOf(ann())
    user.quota = user.usage + 20
    assert.strictEqual(failure(user.append("INBOX", octets("x".repeat(21)), { internalDate: date })), "OVERQUOTA")
    assert.strictEqual(failure(user.copy(user.inbox, [1, 2], "Sent")), "OVERQUOTA")
    assert.strictEqual(user.mailbox("Sent")?.exists, 0)
    assert.strictEqual(success(user.move(user.inbox, [1, 2], "Sent")).uids.size, 2)
  })

  it("copies with flags, date and EMAILID under new UIDs, and passes over what is not there", () => {
    const user = annOf(ann())
    user.inbox.store([2], "add", ["\\Seen", "work"])
    const { mailbox, uids } = success(user.copy(user.inbox, [2, 77], "Archive"))
    assert.deepStrictEqual([...uids], [[2, 1]])
    const copy = mailbox.message(1)
    assert.deepStrictEqual([...copy?.flags ?? []], ["\\Seen", "work"])
    assert.strictEqual(copy?.emailId, user.inbox.message(2)?.emailId)
  })

  it("moves exactly the named messages and logs them as gone", () => {
    const user = annOf(ann())
    const { highestModseq } = user.inbox
    user.inbox.store([1], "add", ["\\Deleted"])
    const { uids } = success(user.move(user.inbox, [3, 2], "Trash"))
    assert.deepStrictEqual([...uids], [[2, 1], [3, 2]])
    assert.deepStrictEqual(user.inbox.uids, [1])
    assert.deepStrictEqual(user.inbox.vanishedSince(highestModseq), [2, 3])
  })

  it("counts in status", () => {
    const { inbox } = annOf(ann())
    inbox.store([1], "set", ["\\Seen", "\\Deleted"])
    const status = inbox.status()
    assert.deepInclude(status, { messages: 3, unseen: 2, deleted: 1, uidNext: 4, size: inbox.size })
  })
})

describe("StoredMailbox", () => {
  it("raises the mod-sequence by every change and by nothing that changes nothing", () => {
    const { inbox } = annOf(ann())
    const start = inbox.highestModseq
    assert.strictEqual(inbox.store([1], "add", ["\\Seen"])[0]?.modseq, start + 1n)
    assert.deepStrictEqual(inbox.store([1], "add", ["\\Seen"]), [])
    assert.deepStrictEqual(inbox.store([99], "add", ["\\Seen"]), [])
    assert.strictEqual(inbox.highestModseq, start + 1n)
    inbox.take([2])
    assert.strictEqual(inbox.highestModseq, start + 2n)
    assert.deepStrictEqual(inbox.changedSince(start).map(({ uid }) => uid), [1])
    assert.deepStrictEqual(inbox.vanishedSince(start + 2n), [])
  })

  it("compares flags without case and drops system flags that are none", () => {
    const { inbox } = annOf(ann())
    inbox.store([1], "set", ["\\SEEN", "Work", "\\Recent"])
    assert.deepStrictEqual([...inbox.message(1)?.flags ?? []], ["\\Seen", "Work"])
    inbox.store([2], "add", ["WORK"])
    assert.deepStrictEqual([...inbox.message(2)?.flags ?? []], ["Work"])
    inbox.store([1], "remove", ["\\seen", "work"])
    assert.strictEqual(inbox.message(1)?.flags.size, 0)
    assert.deepStrictEqual(inbox.keywords, ["Work"])
  })

  it("expunges only what is deleted, and by UID only what is named", () => {
    const { inbox } = annOf(ann())
    inbox.store([1, 2], "add", ["\\Deleted"])
    assert.deepStrictEqual(inbox.expunge([2, 3]), [2])
    assert.deepStrictEqual(inbox.uids, [1, 3])
    assert.deepStrictEqual(inbox.expunge(), [1])
  })

  it("tells its listeners each change until they stop", () => {
    const user = annOf(ann())
    const changes: Array<MailboxChange> = []
    const stop = user.inbox.listen((change) => changes.push(change))
    const message: StoredMessage = success(user.append("INBOX", octets("x"), { internalDate: date }))
    user.inbox.store([1], "add", ["\\Deleted"])
    user.inbox.expunge()
    success(user.resetUidValidity("INBOX"))
    stop()
    user.inbox.store([1], "add", ["\\Flagged"])
    assert.deepStrictEqual(changes.map(({ _tag }) => _tag), ["Appended", "Flags", "Expunged", "Invalidated"])
    assert.deepStrictEqual(changes[0], { _tag: "Appended", messages: [message] })
  })

  it("numbers its messages anew when UIDVALIDITY is reset", () => {
    const user = annOf(ann())
    const { uidValidity } = user.inbox
    user.inbox.take([1])
    success(user.resetUidValidity("INBOX"))
    assert.isAbove(user.inbox.uidValidity, uidValidity)
    assert.deepStrictEqual(user.inbox.uids, [1, 2])
  })

  it("reads sequence sets with stars, backward ranges and gaps", () => {
    const { inbox } = annOf(ann())
    inbox.take([2])
    assert.deepStrictEqual(inbox.uidsIn("1:*"), [1, 3])
    assert.deepStrictEqual(inbox.uidsIn("100:*"), [3])
    assert.deepStrictEqual(inbox.uidsIn("3:1"), [1, 3])
    assert.deepStrictEqual(inbox.uidsIn("2"), [])
    assert.isUndefined(inbox.uidsIn("1;2"))
  })
})

describe("A message that the server files as sent", () => {
  it("is in the mailbox with that special use, else in the one named Sent, else nowhere", () => {
    const filed = (seed: object) => {
      const store = new MailStore({ users: [{ name: "bob", password: "secret", ...seed }] })
      store.fileSent("bob", octets("Subject: sent\r\n\r\n"), date)
      return store.user("bob")?.mailboxes.filter(({ messages }) => messages.length > 0).map(({ path }) => path)
    }
    assert.deepStrictEqual(filed({ specialUse: true }), ["Sent"])
    assert.deepStrictEqual(filed({ mailboxes: { Sent: [] } }), ["Sent"])
    assert.deepStrictEqual(filed({}), [])
  })
})
