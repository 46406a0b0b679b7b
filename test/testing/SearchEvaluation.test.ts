import { assert, describe, it } from "@effect/vitest"
import type { SearchKey } from "../../src/domain/SearchKey.ts"
import { MailStore } from "../../src/testing/index.ts"
import { search } from "../../src/testing/SearchEvaluation.ts"

const now = new Date("2026-11-22T12:00:00Z")

const mailbox = (() => {
  const store = new MailStore({
    users: [{
      name: "ann",
      password: "p",
      mailboxes: {
        INBOX: [
          {
            source: "From: Bob <bob@x.org>\nTo: ann@x.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n" +
              "Date: Fri, 20 Nov 2026 23:30:00 -0800\nX-Empty:\n\nHello World",
            flags: ["\\Seen", "Work"],
            internalDate: new Date("2026-11-21T08:00:00Z")
          },
          {
            source:
              "From: eve@y.org\nCc: ann@x.org\nSubject: parts\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" +
              "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nS2FmZmVl\n--b\n" +
              "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<p>caf=E9</p>\n" +
              "--b\nContent-Type: application/octet-stream\n\nsecret octets\n--b--\n",
            internalDate: new Date("2026-11-22T11:59:00Z")
          },
          { source: "Subject: third\n\n", internalDate: new Date("2026-01-01T00:00:00Z") }
        ]
      }
    }]
  })
  const user = store.user("ann")
  assert(user !== undefined)
  user.inbox.take([3])
  user.append("INBOX", new TextEncoder().encode("Subject: fourth\r\n\r\n"), { internalDate: new Date(0) })
  return user.inbox
})()

const found = (key: SearchKey) => search(key, mailbox.messages, now)
const text = (field: "from" | "to" | "cc" | "bcc" | "subject" | "body" | "text", value: string): SearchKey => ({
  _tag: "Text",
  field,
  value
})
const date = (which: "received" | "sent", compare: "before" | "on" | "since", date: string): SearchKey => ({
  _tag: "Date",
  which,
  compare,
  date
})

describe("search", () => {
  const rows: ReadonlyArray<readonly [string, SearchKey, ReadonlyArray<number>]> = [
    ["everything", { _tag: "All" }, [1, 2, 4]],
    ["text in decoded fields, whatever the case", text("subject", "GRÜSSE".replace("SS", "ß")), [1]],
    ["the sender", text("from", "BOB"), [1]],
    ["the copy", text("cc", "ann@"), [2]],
    ["plain text", text("body", "hello world"), [1]],
    ["base64", text("body", "kaffee"), [2]],
    ["quoted-printable in another character set", text("body", "café"), [2]],
    ["not what is no text", text("body", "secret octets"), []],
    ["not the header in body", text("body", "parts"), []],
    ["the header in text", text("text", "parts"), [2]],
    ["a field that is there", { _tag: "Header", name: "x-empty", value: "" }, [1]],
    ["a field that holds text", { _tag: "Header", name: "Subject", value: "our" }, [4]],
    ["flags", { _tag: "Flag", flag: "\\seen", set: true }, [1]],
    ["keywords", { _tag: "Flag", flag: "work", set: false }, [2, 4]],
    ["received on", date("received", "on", "2026-11-21"), [1]],
    ["received since", date("received", "since", "2026-11-21"), [1, 2]],
    ["received before", date("received", "before", "2026-11-21"), [4]],
    ["sent, in the sender's own zone", date("sent", "on", "2026-11-20"), [1]],
    ["sent before", date("sent", "before", "2026-11-20"), []],
    ["younger", { _tag: "Age", compare: "younger", seconds: 60 }, [2]],
    ["older", { _tag: "Age", compare: "older", seconds: 60 }, [1, 2, 4]],
    ["larger", { _tag: "Size", compare: "larger", octets: 100 }, [1, 2]],
    ["smaller, exclusive", { _tag: "Size", compare: "smaller", octets: 19 }, []],
    ["UIDs", { _tag: "Sequence", uid: true, range: "2:3,100:*" }, [2, 4]],
    ["sequence numbers", { _tag: "Sequence", uid: false, range: "3" }, [4]],
    ["a range that is none", { _tag: "Sequence", uid: true, range: "x" }, []],
    ["modseq, inclusive", { _tag: "Modseq", modseq: mailbox.highestModseq }, [4]],
    ["an email identifier", { _tag: "Identifier", which: "email", id: mailbox.message(2)?.emailId ?? "" }, [2]],
    ["a thread identifier", { _tag: "Identifier", which: "thread", id: "M1" }, []],
    ["and", { _tag: "And", keys: [text("text", "ann"), { _tag: "Flag", flag: "\\Seen", set: false }] }, [2]],
    ["or", { _tag: "Or", keys: [text("subject", "fourth"), text("from", "eve")] }, [2, 4]],
    ["not", { _tag: "Not", key: text("text", "ann") }, [4]]
  ]
  for (const [title, key, expected] of rows) {
    it(`finds ${title}`, () => assert.deepStrictEqual(found(key), expected))
  }
})
