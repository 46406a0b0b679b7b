import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile, execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MailServer } from "../../src/testing/MailServer.ts"
import { certificate as cert, privateKey as key } from "./certificate.ts"
import { mail, untilConnections, users } from "./mail-server.ts"

const start = MailServer.make({ users: users ?? [] })

const isThere = (program: string): boolean => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** What a program prints; fails with what it says where it fails. */
const run = (program: string, args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.callback((resume, signal) => {
    execFile(program, args, { signal, encoding: "utf8" }, (error, stdout, stderr) => {
      resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${error.message}\n${stderr}`)))
    })
  })

const python = isThere("python3")
const curl = isThere("curl")

const imaplib = `
import imaplib, sys, time
def check(answer):
    status, data = answer
    assert status == "OK", answer
    return data
box = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
check(box.login("bob", "secret"))
print("list", len(check(box.list())))
print("select", check(box.select("INBOX"))[0].decode())
print("search", check(box.search(None, "SUBJECT", '"mail 2"'))[0].decode())
print("uid search", check(box.uid("SEARCH", None, "UID 2:* UNSEEN"))[0].decode())
rows = check(box.fetch("1:2", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
print("fetch", [row[1].decode().strip() for row in rows if isinstance(row, tuple)])
print("source", len(check(box.fetch("3", "(RFC822)"))[0][1]))
print("store", check(box.store("1", "+FLAGS", r"(\\Deleted \\Seen)"))[0].decode())
print("append", check(box.append("Archive", r"(\\Seen)", imaplib.Time2Internaldate(time.time()), b"Subject: x\\r\\n\\r\\ny\\r\\n"))[0].decode())
print("copy", check(box.copy("2:3", "Archive"))[0].decode())
print("expunge", check(box.expunge())[0].decode())
check(box.create('"New one"')); check(box.rename('"New one"', '"Newer"')); check(box.subscribe("Newer"))
print("status", check(box.status("Archive", "(MESSAGES UNSEEN UIDNEXT)"))[0].decode())
check(box.unsubscribe("Newer")); check(box.delete("Newer")); check(box.noop()); check(box.close())
print("logout", box.logout()[0])
`

const starttls = `
import imaplib, smtplib, ssl, sys
trust = ssl.create_default_context(cadata=open(sys.argv[3]).read())
box = imaplib.IMAP4("localhost", int(sys.argv[1])); box.starttls(trust)
print(box.login("bob", "secret")[0], box.logout()[0])
mail = smtplib.SMTP("localhost", int(sys.argv[2])); mail.starttls(context=trust); mail.login("bob", "secret")
print(mail.sendmail("bob@example.com", ["bob@example.com"], "Subject: over TLS\\r\\n\\r\\n.dot\\r\\n"), mail.quit()[0])
`

const smtplib = `
import smtplib, sys
mail = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
mail.ehlo()
print(sorted(mail.esmtp_features))
mail.login("bob", "secret")
print(mail.sendmail("bob@example.com", ["bob@example.com", "else@example.com"], "Subject: one\\r\\n\\r\\n.first\\r\\n..second\\r\\n"))
print(mail.rset()[0], mail.noop()[0], mail.quit()[0])
`

describe("MailServer with independent clients", () => {
  it.live.skipIf(!python)("satisfies Python's imaplib (needs python3)", () =>
    Effect.gen(function*() {
      const server = yield* start
      const said = yield* run("python3", ["-c", imaplib, `${server.imapPort}`])
      assert.deepStrictEqual(said.trimEnd().split("\n"), [
        "list 6",
        "select 4",
        "search 2",
        "uid search 2 3 4",
        "fetch ['Subject: mail 1', 'Subject: mail 2']",
        `source ${mail(3).length}`,
        "store 1 (FLAGS (\\Deleted \\Seen))",
        "append [APPENDUID 2 1] APPEND completed",
        "copy [COPYUID 2 2:3 2:3] COPY completed",
        "expunge 1",
        "status \"Archive\" (MESSAGES 3 UNSEEN 1 UIDNEXT 4)",
        "logout BYE"
      ])
    }))

  it.live.skipIf(!python)("satisfies Python's smtplib (needs python3)", () =>
    Effect.gen(function*() {
      const server = yield* start
      const said = yield* run("python3", ["-c", smtplib, `${server.smtpPort}`])
      assert.deepStrictEqual(said.trimEnd().split("\n"), [
        "['8bitmime', 'auth', 'dsn', 'pipelining', 'size', 'smtputf8']",
        "{}",
        "250 250 221"
      ])
      const [accepted] = server.accepted()
      assert.deepInclude(accepted, {
        user: "bob",
        from: "bob@example.com",
        to: ["bob@example.com", "else@example.com"]
      })
      const source = "Subject: one\r\n\r\n.first\r\n..second\r\n"
      assert.strictEqual(Buffer.from(accepted?.source ?? []).toString(), source)
      const delivered = server.store.user("bob")?.inbox.messages.at(-1)
      assert.strictEqual(Buffer.from(delivered?.source ?? []).toString(), source)
    }))

  it.live.skipIf(!python)("goes over to TLS for imaplib and smtplib (needs python3)", () =>
    Effect.gen(function*() {
      const server = yield* MailServer.make({ users: users ?? [], tls: { key, cert } })
      const folder = mkdtempSync(join(tmpdir(), "effect-mail-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "cert.pem")
      writeFileSync(file, cert)
      const said = yield* run("python3", ["-c", starttls, `${server.imapPort}`, `${server.smtpPort}`, file])
      assert.strictEqual(said, "OK BYE\n{} 221\n")
      assert.strictEqual(server.accepted().length, 1)
      yield* untilConnections(server, 0)
    }))

  it.live.skipIf(!curl)("satisfies curl with imap:// and smtp:// (needs curl)", () =>
    Effect.gen(function*() {
      const server = yield* start
      const imap = `imap://127.0.0.1:${server.imapPort}`
      const ask = (...args: ReadonlyArray<string>) => run("curl", ["-sS", "--user", "bob:secret", ...args])
      assert.match(yield* ask(imap), /\* LIST \(.*\) "\/" "INBOX"/)
      assert.strictEqual(yield* ask(`${imap}/INBOX;UID=2`), mail(2))
      assert.strictEqual((yield* ask(`${imap}/INBOX`, "-X", "SEARCH SUBJECT \"mail 4\"")).trim(), "* SEARCH 4")
      const folder = mkdtempSync(join(tmpdir(), "effect-mail-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "mail.eml")
      writeFileSync(file, mail(7))
      yield* ask("--upload-file", file, `${imap}/Sent`)
      assert.strictEqual(server.store.user("bob")?.mailbox("Sent")?.exists, 1)
      const smtp = `smtp://127.0.0.1:${server.smtpPort}`
      yield* ask("--mail-from", "bob@example.com", "--mail-rcpt", "bob@example.com", "--upload-file", file, smtp)
      assert.deepInclude(server.accepted()[0], { from: "bob@example.com", to: ["bob@example.com"] })
      assert.strictEqual(server.store.user("bob")?.inbox.exists, 5)
    }))

  it.live.skipIf(!curl)(
    "speaks TLS from the first octet to curl with imaps:// and smtps:// (needs curl)",
    () =>
      Effect.gen(function*() {
        const server = yield* MailServer.make({ users: users ?? [], tls: { key, cert, isSecure: true } })
        const folder = mkdtempSync(join(tmpdir(), "effect-mail-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
        const file = join(folder, "mail.eml")
        writeFileSync(file, mail(7))
        const trust = join(folder, "cert.pem")
        writeFileSync(trust, cert)
        const ask = (...args: ReadonlyArray<string>) =>
          run("curl", ["-sS", "--cacert", trust, "--user", "bob:secret", ...args])
        assert.strictEqual(yield* ask(`imaps://127.0.0.1:${server.imapPort}/INBOX;UID=2`), mail(2))
        const smtps = `smtps://127.0.0.1:${server.smtpPort}`
        yield* ask("--mail-from", "bob@example.com", "--mail-rcpt", "bob@example.com", "--upload-file", file, smtps)
        assert.strictEqual(server.accepted().length, 1)
      })
  )
})
