import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Redacted, Result, Stream } from "effect"
import { TestClock } from "effect/testing"
import { createHash, createVerify, generateKeyPairSync } from "node:crypto"
import { Attachment, Dkim, Draft, Endpoint, RateWindow } from "../../src/index.ts"
import type { FaultAction } from "../../src/testing/index.ts"
import { cutAfter, cutBefore, fixture, reasonOf, settled, smtpFault, timed } from "./Fixture.ts"

const draft = (fields: Partial<Draft> = {}) =>
  new Draft({ to: "bob@example.com", subject: "hello", text: "hi", messageId: "<one@example.com>", ...fields })

describe("the sender's copy", () => {
  it.effect("is filed at once, with the octets that were sent and seen, where the server is known not to do it", () =>
    Effect.gen(function*() {
      const { account, mail, sent } = yield* fixture({ config: { filesSentMail: false } })
      const receipt = yield* account.send(draft({ bcc: "eve@elsewhere.org" }))
      assert.strictEqual(receipt.sentCopy._tag, "Filed")
      const [accepted] = mail.accepted()
      assert.deepStrictEqual(sent(), [Buffer.from(accepted?.source ?? []).toString()])
      assert.deepStrictEqual(accepted?.to, ["bob@example.com", "eve@elsewhere.org"])
      const stored = mail.store.user("ann")?.mailbox("Sent")?.message(1)
      assert.deepStrictEqual([...stored?.flags ?? []], ["\\Seen"])
      if (receipt.sentCopy._tag !== "Filed") return
      assert.deepInclude(receipt.sentCopy.ref, { mailbox: "Sent", uid: 1 })
    }))

  it.effect("is left to a server that is known to file sent mail, without a look", () =>
    Effect.gen(function*() {
      const { account, mail, sent } = yield* fixture({ filesSentMail: true, config: { filesSentMail: true } })
      const receipt = yield* account.send(draft())
      assert.deepStrictEqual({ ...receipt.sentCopy }, { _tag: "ByServer" })
      assert.strictEqual(sent().length, 1)
      assert.strictEqual(mail.peak({ protocol: "imap" }), 0)
    }))

  it.effect("is filed at once where nobody knows of the server", () =>
    Effect.gen(function*() {
      const { account, sent } = yield* fixture()
      const { millis, value } = yield* timed(account.send(draft()))
      assert.strictEqual(value.sentCopy._tag, "Filed")
      assert.strictEqual(millis, 0)
      assert.strictEqual(sent().length, 1)
    }))

  it.effect("is not filed a second time by a server that turns out to do it", () =>
    Effect.gen(function*() {
      const { account, sent } = yield* fixture({ filesSentMail: true })
      const first = yield* account.send(draft())
      assert.isDefined(first.sentCopy._tag === "ByServer" ? first.sentCopy.ref : undefined)
      const second = yield* account.send(draft({ messageId: "<two@example.com>" }))
      assert.strictEqual(second.sentCopy._tag, "ByServer")
      assert.strictEqual(sent().length, 2)
    }))

  describe("at a provider that is said to file sent mail", () => {
    const said = { config: { smtp: new Endpoint({ host: "smtp.gmail.com", port: 587, security: "starttls" }) } }

    it.effect("is looked for, and filed after three seconds; the next one at once", () =>
      Effect.gen(function*() {
        const { account, sent } = yield* fixture(said)
        const first = yield* timed(account.send(draft()))
        assert.strictEqual(first.value.sentCopy._tag, "Filed")
        assert.strictEqual(first.millis, 3_000)
        const second = yield* timed(account.send(draft({ messageId: "<two@example.com>" })))
        assert.strictEqual(second.value.sentCopy._tag, "Filed")
        assert.strictEqual(second.millis, 0)
        assert.strictEqual(sent().length, 2)
      }))

    it.effect("is found where the server files it, is not filed again, and is not looked for any more", () =>
      Effect.gen(function*() {
        const { account, mail, sent } = yield* fixture({ ...said, filesSentMail: true })
        const { millis, value } = yield* timed(account.send(draft()))
        assert.strictEqual(value.sentCopy._tag, "ByServer")
        assert.isDefined(value.sentCopy._tag === "ByServer" ? value.sentCopy.ref : undefined)
        assert.strictEqual(millis, 0)
        mail.forget()
        yield* account.send(draft({ messageId: "<two@example.com>" }))
        assert.deepStrictEqual(mail.commands().filter(({ protocol }) => protocol === "imap"), [])
        assert.strictEqual(sent().length, 2)
      }))

    it.effect("is found also where the server takes two seconds to file it", () =>
      Effect.gen(function*() {
        const { account, mail, sent } = yield* fixture(said)
        const fiber = yield* Effect.forkChild(account.send(draft()))
        yield* settled
        yield* TestClock.adjust("1 second")
        yield* settled
        mail.store.fileSent("ann", mail.accepted()[0]?.source ?? new Uint8Array(), new Date(0))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(fiber)).sentCopy._tag, "ByServer")
        assert.strictEqual(sent().length, 1)
      }))
  })

  it.effect("is not filed where it is not wanted, by account or by message", () =>
    Effect.gen(function*() {
      const { account, mail, sent } = yield* fixture({ config: { sentCopy: "never" } })
      assert.strictEqual((yield* account.send(draft())).sentCopy._tag, "Skipped")
      assert.deepStrictEqual(sent(), [])
      assert.strictEqual(mail.peak({ protocol: "imap" }), 0)
      const always = yield* account.send(draft({ messageId: "<two@example.com>" }), { sentCopy: "always" })
      assert.strictEqual(always.sentCopy._tag, "Filed")
      assert.strictEqual(sent().length, 1)
      const again = yield* account.send(draft({ messageId: "<two@example.com>" }), { sentCopy: "always" })
      assert.strictEqual(again.sentCopy._tag, "ByServer")
      assert.strictEqual(sent().length, 1)
    }))

  it.effect("that fails leaves the message sent, and says why in the receipt", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({ config: { filesSentMail: false } })
      mail.faults.add({
        protocol: "imap",
        at: "APPEND",
        action: { _tag: "Refuse", status: "NO", code: "OVERQUOTA", text: "full" }
      })
      const receipt = yield* account.send(draft())
      assert.deepStrictEqual([...receipt.accepted], ["bob@example.com"])
      assert.strictEqual(receipt.sentCopy._tag === "Failed" ? receipt.sentCopy.reason._tag : "", "QuotaExceeded")
    }))

  it.effect("goes to the mailbox that is named for it where none is marked", () =>
    Effect.gen(function*() {
      const mailboxes = { "Mail/Gesendet": [] }
      const { account, mail } = yield* fixture({
        config: { filesSentMail: false },
        users: [{ name: "ann", password: "secret", address: "ann@example.com", mailboxes }]
      })
      const receipt = yield* account.send(draft())
      assert.strictEqual(receipt.sentCopy._tag === "Filed" ? receipt.sentCopy.ref?.mailbox : "", "Mail/Gesendet")
      assert.strictEqual(mail.store.user("ann")?.mailbox("Mail/Gesendet")?.exists, 1)
    }))

  it.effect("has no place where there is no such mailbox, and the message is sent", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        config: { filesSentMail: false },
        users: [{ name: "ann", password: "secret", address: "ann@example.com" }]
      })
      const receipt = yield* account.send(draft())
      assert.strictEqual(receipt.sentCopy._tag === "Failed" ? receipt.sentCopy.reason._tag : "", "Unsupported")
      assert.strictEqual(mail.accepted().length, 1)
    }))
})

describe("reconcile", () => {
  it.effect("finds a message whose answer was lost", () =>
    Effect.gen(function*() {
      const { account } = yield* fixture({ filesSentMail: true, faults: [smtpFault("end", cutAfter)] })
      const reason = yield* reasonOf(account.send(draft()))
      assert.strictEqual(reason._tag, "OutcomeUnknown")
      const delivery = yield* account.reconcile("<one@example.com>")
      assert.deepInclude(delivery._tag === "Found" ? delivery.ref : undefined, { mailbox: "Sent", uid: 1 })
    }))

  it.effect("looks five times within fifteen seconds before it says that a message is not there", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture()
      const { millis, value } = yield* timed(account.reconcile("<one@example.com>"))
      assert.deepStrictEqual({ ...value }, { _tag: "NotFound", mailbox: "Sent" })
      assert.strictEqual(millis, 15_000)
      assert.strictEqual(mail.commands().filter(({ verb }) => verb === "UID SEARCH").length, 5)
    }))

  it.effect("takes no part of a Message-ID, which would find other messages", () =>
    Effect.gen(function*() {
      const { account } = yield* fixture()
      for (const id of ["one@example.com", "", "<>", "<a b>", "<a>\r\n"]) {
        assert.strictEqual((yield* reasonOf(account.reconcile(id)))._tag, "InvalidInput", id)
      }
    }))
})

describe("a send of unknown outcome", () => {
  const onUnknown = "reconcile-then-retry"

  it.effect("is an answer once the message is found, with those that were refused before", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        filesSentMail: true,
        faults: [
          smtpFault("end", cutAfter),
          smtpFault("RCPT", { _tag: "Reply", code: 550, text: "no" }, { mailbox: "eve@elsewhere.org" })
        ]
      })
      const receipt = yield* account.send(draft({ cc: "eve@elsewhere.org" }), { onUnknown })
      assert.deepStrictEqual([...receipt.accepted], ["bob@example.com"])
      assert.deepStrictEqual(receipt.refused.map(({ address }) => address), ["eve@elsewhere.org"])
      assert.strictEqual(receipt.sentCopy._tag, "ByServer")
      assert.strictEqual(mail.accepted().length, 1)
    }))

  it.effect("is sent again with the same Message-ID where its absence proves that it was not taken", () =>
    Effect.gen(function*() {
      const { account, mail, sent } = yield* fixture({
        filesSentMail: true,
        config: { filesSentMail: true },
        faults: [smtpFault("end", cutBefore)]
      })
      const { millis, value } = yield* timed(account.send(draft(), { onUnknown }))
      assert.strictEqual(value.messageId, "<one@example.com>")
      assert.strictEqual(millis, 15_000)
      assert.strictEqual(mail.accepted().length, 1)
      assert.strictEqual(sent().length, 1)
    }))

  for (const filesSentMail of [false, undefined]) {
    it.effect(`stays unknown where it is not found and the server files sent mail: ${filesSentMail}`, () =>
      Effect.gen(function*() {
        const { account, mail } = yield* fixture({
          config: filesSentMail === undefined ? {} : { filesSentMail },
          faults: [smtpFault("end", cutAfter)]
        })
        const { value } = yield* timed(reasonOf(account.send(draft(), { onUnknown })))
        assert.deepInclude(value, { _tag: "OutcomeUnknown", messageId: "<one@example.com>" })
        assert.strictEqual(mail.accepted().length, 1)
      }))
  }

  it.effect("stays unknown where nobody can look", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        filesSentMail: true,
        config: { filesSentMail: true },
        faults: [
          smtpFault("end", cutAfter),
          { protocol: "imap", at: "LOGIN", times: Infinity, action: { _tag: "Refuse", status: "NO", text: "closed" } }
        ]
      })
      const { value } = yield* timed(reasonOf(account.send(draft(), { onUnknown })))
      assert.strictEqual(value._tag, "OutcomeUnknown")
      assert.strictEqual(mail.accepted().length, 1)
    }))

  it.effect("is not sent more than three times", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        config: { filesSentMail: true },
        faults: [smtpFault("end", cutBefore, { times: Infinity })]
      })
      const { value } = yield* timed(reasonOf(account.send(draft(), { onUnknown })))
      assert.strictEqual(value._tag, "OutcomeUnknown")
      assert.strictEqual(mail.commands().filter(({ verb }) => verb === "end").length, 3)
    }))

  it.effect("is not looked for unless asked, and fails at once", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({ filesSentMail: true, faults: [smtpFault("end", cutAfter)] })
      const { millis, value } = yield* timed(reasonOf(account.send(draft())))
      assert.strictEqual(value._tag, "OutcomeUnknown")
      assert.strictEqual(millis, 0)
      assert.strictEqual(mail.peak({ protocol: "imap" }), 0)
    }))
})

describe("what a send asks of the server", () => {
  it.effect("holds the end of the message back for as long as was said, or a round trip", () =>
    Effect.gen(function*() {
      const { account } = yield* fixture({ latency: "100 millis", config: { sentCopy: "never" } })
      yield* timed(account.send(draft()))
      const plain = yield* timed(account.send(draft()))
      const held = yield* timed(account.send(draft(), { hold: "2 seconds" }))
      assert.strictEqual(held.millis - plain.millis, 2_000)
      const trip = yield* timed(account.send(draft(), { hold: "round trip" }))
      assert.strictEqual(trip.millis - plain.millis, 100)
    }))

  it.effect("asks for notifications, and sends nothing to a server that cannot give them", () =>
    Effect.gen(function*() {
      const dsn = { notify: ["success", "delay"], ret: "headers", envid: "order 17" } as const
      const able = yield* fixture({ config: { sentCopy: "never" } })
      yield* able.account.send(draft(), { dsn })
      assert.deepStrictEqual(able.mail.accepted()[0]?.dsn, dsn)
      const unable = yield* fixture({ config: { sentCopy: "never" }, without: ["DSN"] })
      const reason = yield* reasonOf(unable.account.send(draft(), { dsn }))
      assert.deepInclude(reason, { _tag: "Unsupported", capability: "DSN" })
      assert.deepStrictEqual(unable.mail.accepted(), [])
      const odd = yield* reasonOf(able.account.send(draft(), { dsn: { envid: "a\r\nb" } }))
      assert.strictEqual(odd._tag, "InvalidInput")
    }))

  it.effect("refuses a message that is larger than the account composes, before it holds it in memory", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({ limits: { maxMessageBytes: 10_000 } })
      let read = 0
      const stream = Stream.range(1, 1_000).pipe(
        Stream.rechunk(1),
        Stream.map(() => {
          read++
          return new Uint8Array(1_000)
        })
      )
      for (
        const large of [
          draft({ text: "x".repeat(11_000) }),
          draft({ attachments: [new Attachment({ content: { bytes: new Uint8Array(11_000) } })] }),
          // in base64 it is too large
          draft({ attachments: [new Attachment({ content: { bytes: new Uint8Array(9_000) } })] }),
          draft({ attachments: [new Attachment({ content: { stream } })] })
        ]
      ) {
        assert.deepInclude(yield* reasonOf(account.send(large)), { _tag: "TooLarge", limit: 10_000 })
      }
      assert.isAtMost(read, 12)
      assert.deepStrictEqual(mail.accepted(), [])
    }))

  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 1024,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" }
  })
  const dkim = new Dkim({ domainName: "example.com", keySelector: "k1", privateKey: Redacted.make(privateKey) })

  it.effect("signs what it sends, over exactly the octets that are sent and filed", () =>
    Effect.gen(function*() {
      const { account, mail, sent } = yield* fixture({ config: { dkim, filesSentMail: false } })
      yield* account.send(draft({ text: "trailing  \n\n\nünd mehr\n\n\n" }))
      const source = Buffer.from(mail.accepted()[0]?.source ?? [])
      assert.deepStrictEqual(sent(), [source.toString()])
      assert.isTrue(verifies(source.toString("latin1"), publicKey))
      assert.isFalse(verifies(source.toString("latin1").replace("mehr", "wenig"), publicKey))
    }))

  it.effect("does not send a message unsigned whose key does not sign, and shows no key", () =>
    Effect.gen(function*() {
      const broken = new Dkim({ ...dkim, privateKey: Redacted.make("secret-key-text") })
      const { account, mail } = yield* fixture({ config: { dkim: broken, sentCopy: "never" } })
      const reason = yield* reasonOf(account.send(draft()))
      assert.strictEqual(reason._tag, "InvalidInput")
      assert.notInclude(JSON.stringify(reason) + reason.message, "secret-key-text")
      assert.deepStrictEqual(mail.accepted(), [])
    }))
})

describe("sendAll", () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => draft({ messageId: `<${index}@example.com>`, subject: `n ${index}` }))

  it.effect("sends every draft once over no more connections than allowed, and answers in their order", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        latency: "10 millis",
        limits: { smtpConnections: 4, messagesPerConnection: 7 },
        config: { sentCopy: "never" }
      })
      const drafts = many(100)
      const { value } = yield* timed(Stream.runCollect(account.sendAll(drafts)))
      assert.deepStrictEqual(value.map(({ index }) => index), drafts.map((_, index) => index))
      assert.isTrue(value.every(({ draft, index }) => draft === drafts[index]))
      assert.isTrue(value.every(({ result }) => Result.isSuccess(result)))
      assert.strictEqual(mail.accepted().length, 100)
      assert.strictEqual(new Set(mail.accepted().map(({ source }) => `${Buffer.from(source)}`)).size, 100)
      assert.strictEqual(mail.peak({ protocol: "smtp" }), 4)
      const perConnection = Map.groupBy(mail.accepted(), ({ connection }) => connection)
      assert.isTrue([...perConnection.values()].every((sent) => sent.length <= 7))
    }))

  it.effect("waits for rate windows and for pauses of the server, however long they are", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        config: { sentCopy: "never" },
        limits: {
          maxWait: Duration.seconds(1),
          rates: [new RateWindow({ per: "send", limit: 2, window: Duration.minutes(10) })]
        }
      })
      const sending = yield* Effect.forkChild(timed(Stream.runCollect(account.sendAll(many(5))), 10_000))
      const { millis, value } = yield* Fiber.join(sending)
      assert.isTrue(value.every(({ result }) => Result.isSuccess(result)))
      assert.strictEqual(mail.accepted().length, 5)
      assert.strictEqual(millis, 1_200_000)
      const pause: FaultAction = { _tag: "Reply", code: 450, text: "4.7.1 try again in 3000 seconds" }
      mail.faults.add(smtpFault("MAIL", pause))
      const again = yield* timed(Stream.runCollect(account.sendAll(many(4))), 10_000)
      assert.deepStrictEqual(
        again.value.map(({ result }) => Result.isSuccess(result) ? "Receipt" : result.failure.reason._tag),
        ["Throttled", "Receipt", "Receipt", "Receipt"]
      )
    }))

  it.effect("tells the failure of each draft, and goes on", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        config: { sentCopy: "never" },
        faults: [smtpFault("end", cutAfter, { skip: 1 })]
      })
      const drafts = [...many(2), draft({ to: "nonsense" }), ...many(1)]
      const { value } = yield* timed(Stream.runCollect(account.sendAll(drafts)))
      assert.deepStrictEqual(
        value.map(({ result }) => Result.isSuccess(result) ? "Receipt" : result.failure.reason._tag),
        ["Receipt", "OutcomeUnknown", "InvalidInput", "Receipt"]
      )
      assert.strictEqual(mail.accepted().length, 3)
    }))

  it.effect("waits for its turn as long as it takes where the account is busy, and composes a message once", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        limits: { smtpConnections: 1, maxWait: Duration.seconds(1) },
        config: { sentCopy: "never" },
        faults: [smtpFault("MAIL", { _tag: "Delay", duration: Duration.seconds(10) })]
      })
      const unnamed = Array.from({ length: 4 }, (_, index) => new Draft({ to: "bob@example.com", text: `${index}` }))
      const { value } = yield* timed(Stream.runCollect(account.sendAll(unnamed)))
      assert.isTrue(value.every(({ result }) => Result.isSuccess(result)))
      assert.strictEqual(mail.accepted().length, 4)
    }))

  it.effect("waits where the queue of the account is full", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({
        limits: { smtpConnections: 2, queue: 1 },
        config: { sentCopy: "never" },
        faults: [smtpFault("MAIL", { _tag: "Delay", duration: Duration.seconds(10) }, { times: 2 })]
      })
      const { value } = yield* timed(Stream.runCollect(account.sendAll(many(6))))
      assert.isTrue(value.every(({ result }) => Result.isSuccess(result)))
      assert.strictEqual(mail.accepted().length, 6)
    }))

  it.effect("does not wait for a rate window where the account is not to", () =>
    Effect.gen(function*() {
      const rates = [new RateWindow({ per: "send", limit: 1, window: Duration.minutes(1) })]
      const { account, mail } = yield* fixture({ limits: { rates, onLimit: "fail" }, config: { sentCopy: "never" } })
      const { millis, value } = yield* timed(Stream.runCollect(account.sendAll(many(2))))
      const reasons = value.map(({ result }) => Result.isFailure(result) ? result.failure.reason._tag : "sent")
      assert.sameMembers(reasons, ["sent", "RateLimited"])
      assert.isBelow(millis, 1_000)
      assert.strictEqual(mail.accepted().length, 1)
    }))

  it.effect("takes no more drafts than it has room for", () =>
    Effect.gen(function*() {
      const { account } = yield* fixture({ limits: { smtpConnections: 2 }, config: { sentCopy: "never" } })
      let taken = 0
      const drafts = Stream.fromIterable(many(1_000)).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => taken++))
      )
      const first = yield* Stream.runCollect(account.sendAll(drafts).pipe(Stream.take(1)))
      assert.strictEqual(first.length, 1)
      assert.isAtMost(taken, 30)
    }))

  it.effect("fails as the stream of drafts fails, after the results of those before", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({ config: { sentCopy: "never" } })
      const drafts = Stream.concat(Stream.fromIterable(many(3)), Stream.fail("no more"))
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(account.sendAll(drafts))), "no more")
      assert.isAtMost(mail.accepted().length, 3)
    }))
})

/** Verifies a signature rsa-sha256, relaxed/relaxed (RFC 6376), of latin1 text. */
const verifies = (message: string, publicKey: string): boolean => {
  const at = message.indexOf("\r\n\r\n")
  const fields = message.slice(0, at + 2).match(/[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*/g) ?? []
  const signature = fields[0] ?? ""
  const tags = new Map(
    signature.slice(signature.indexOf(":") + 1).replaceAll(/\s+/g, "").split(";").map((tag) => {
      const equals = tag.indexOf("=")
      return [tag.slice(0, equals), tag.slice(equals + 1)] as const
    })
  )
  const relaxed = (field: string) => {
    const colon = field.indexOf(":")
    const value = field.slice(colon + 1).replaceAll("\r\n", "").replaceAll(/[ \t]+/g, " ").trim()
    return `${field.slice(0, colon).toLowerCase().trim()}:${value}`
  }
  const body = message.slice(at + 4).split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""))
    .join("\r\n").replace(/(?:\r\n)*$/, "\r\n")
  const bodyHash = createHash("sha256").update(body, "latin1").digest("base64")
  const names = (tags.get("h") ?? "").split(":")
  const signed = names.map((name) =>
    relaxed(fields.findLast((field) => field.toLowerCase().startsWith(`${name}:`)) ?? "")
  )
  const own = relaxed(signature).replace(/b=[A-Za-z0-9+/= ]*$/, "b=")
  return bodyHash === tags.get("bh") &&
    createVerify("RSA-SHA256").update([...signed, own].join("\r\n"), "latin1").verify(
      publicKey,
      tags.get("b") ?? "",
      "base64"
    )
}

describe("recipients of one message", () => {
  it.effect("are counted once each, Bcc too, before anything is written; others are sent all the same", () =>
    Effect.gen(function*() {
      const { account, mail } = yield* fixture({ limits: { recipientsPerMessage: 2 }, config: { sentCopy: "never" } })
      const results = yield* Stream.runCollect(account.sendAll([
        draft({ to: ["a@example.org", "A <a@example.org>"], cc: "b@example.org" }),
        draft({ to: "Team: a@example.org, b@example.org;", bcc: "c@example.org" }),
        draft({ to: "a@example.org" })
      ]))
      const tags = results.map(({ result }) => Result.isSuccess(result) ? "sent" : result.failure.reason._tag)
      assert.deepStrictEqual(tags, ["sent", "InvalidInput", "sent"])
      assert.deepStrictEqual(mail.accepted().map(({ to }) => to.length), [2, 1])
      mail.forget()
      const many = account.send(draft({ to: ["a@example.org", "b@example.org", "c@example.org"] }))
      const reason = yield* reasonOf(many)
      assert.strictEqual(reason._tag, "InvalidInput")
      assert.deepInclude(reason, {
        field: "to",
        problem: "3 recipients are more than the 2 that one message may have"
      })
      assert.deepStrictEqual(mail.commands(), [])
    }))
})
