import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import type { Reason } from "../../src/domain/MailError.ts"
import {
  connectFailure,
  imapCommand,
  imapflowFailure,
  imapLogin,
  type ImapRefusal,
  parseSmtpReply,
  plain,
  smtpReason,
  type SmtpStep
} from "../../src/driver/Classification.ts"

/** A reason in one word, with what decides about repeating it. */
const verdict = (reason: Reason): string => {
  switch (reason._tag) {
    case "Rejected":
      return reason.transient ? "Rejected transient" : "Rejected"
    case "ConnectionFailed":
      return `${reason.step}${reason.permanent ? " permanent" : ""}`
    case "Throttled":
    case "ConnectionRefusedByLimit":
      return reason.retryAfter === undefined ? reason._tag : `${reason._tag} ${Duration.toMillis(reason.retryAfter)}`
    default:
      return reason._tag
  }
}

/** Reads a status response as it stands on the wire: "NO [CODE] text". */
const refusal = (line: string): ImapRefusal => {
  const [, status = "", code, text = ""] = /^(NO|BAD|BYE)(?: \[([^\]\s]+)[^\]]*\])? ?(.*)$/.exec(line) ?? []
  return { status: status === "BAD" ? "BAD" : status === "BYE" ? "BYE" : "NO", code, text }
}

describe("a refused IMAP login", () => {
  const rows: ReadonlyArray<readonly [line: string, verdict: string]> = [
    ["NO [AUTHENTICATIONFAILED] Authentication failed.", "AuthenticationFailed"],
    ["NO [AUTHORIZATIONFAILED] no such proxy user", "AuthenticationFailed"],
    ["NO [EXPIRED] password expired", "AuthenticationFailed"],
    ["NO LOGIN failed", "AuthenticationFailed"],
    ["NO [ALERT] Invalid credentials (Failure)", "AuthenticationFailed"],
    ["NO [WEBALERT https://accounts.example] Web login required.", "AuthenticationFailed"],
    ["NO [ALERT] Application-specific password required", "AuthenticationFailed"],
    ["NO [AUTHENTICATIONFAILED] Too many invalid login attempts, try again later", "AuthenticationFailed"],
    ["NO [ALERT] Too many login failures", "AuthenticationFailed"],
    ["NO [ALERT] Too many simultaneous connections. (Failure)", "ConnectionRefusedByLimit"],
    [
      "NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=2)",
      "ConnectionRefusedByLimit"
    ],
    ["NO [AUTHENTICATIONFAILED] Maximum number of concurrent sessions exceeded", "ConnectionRefusedByLimit"],
    ["NO Maximum number of connections from user+IP exceeded", "ConnectionRefusedByLimit"],
    ["NO [LIMIT] LOGIN Server error", "ConnectionRefusedByLimit"],
    ["NO [INUSE] Mailbox in use", "ConnectionRefusedByLimit"],
    ["NO too many open connections", "ConnectionRefusedByLimit"],
    ["NO Simultaneous login limit exceeded", "ConnectionRefusedByLimit"],
    ["NO connection limit for this account reached", "ConnectionRefusedByLimit"],
    ["BYE Too many connections", "ConnectionRefusedByLimit"],
    ["BYE [UNAVAILABLE] maintenance", "Throttled"],
    ["BYE shutting down", "Rejected transient"],
    ["NO [UNAVAILABLE] Temporary authentication failure.", "Throttled"],
    ["NO [LIMIT] Rate limit hit", "Throttled"],
    ["NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", "Throttled"],
    ["NO [OVERQUOTA] Account exceeded command or bandwidth limits", "Throttled"],
    ["NO Request is throttled. Suggested Backoff Time: 299942 milliseconds", "Throttled 299942"],
    ["NO Too many login attempts, please try again in 30 seconds", "Throttled 30000"],
    ["NO [SERVERBUG] Internal error occurred.", "Rejected transient"],
    ["NO Temporary authentication failure", "Rejected transient"],
    ["NO [CONTACTADMIN] account disabled", "Rejected"],
    ["NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure connections.", "Rejected"],
    ["BAD Error in IMAP command", "Rejected"]
  ]
  for (const [line, expected] of rows) {
    it(`${line} is ${expected}`, () => assert.strictEqual(verdict(imapLogin(refusal(line))), expected))
  }
})

describe("a refused IMAP command", () => {
  const rows: ReadonlyArray<readonly [line: string, verdict: string]> = [
    ["NO [OVERQUOTA] Quota exceeded (mailbox for user is full)", "QuotaExceeded"],
    ["NO [OVERQUOTA] Account exceeded command or bandwidth limits", "Throttled"],
    ["NO [TRYCREATE] Mailbox doesn't exist: x", "MailboxNotFound"],
    ["NO [NONEXISTENT] Unknown Mailbox: x (Failure)", "MailboxNotFound"],
    ["NO [LIMIT] too much", "Throttled"],
    ["NO [THROTTLED] later", "Throttled"],
    ["NO [UNAVAILABLE] backend", "Throttled"],
    ["BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", "Throttled 92415"],
    ["NO [TOOBIG] Message too large", "TooLarge"],
    ["NO [INUSE] Mailbox is locked", "Rejected transient"],
    ["NO [SERVERBUG] Internal error occurred. Refer to server log for more information.", "Rejected transient"],
    ["NO [EXPUNGEISSUED] Some of the requested messages no longer exist.", "Rejected transient"],
    ["BAD User is authenticated but not connected.", "Rejected transient"],
    ["NO [NOPERM] Permission denied", "Rejected"],
    ["NO [CANNOT] Invalid mailbox name", "Rejected"],
    ["NO [ALREADYEXISTS] Mailbox already exists", "Rejected"],
    ["NO Mailbox was deleted under us (0.001 + 0.000 secs).", "ConnectionLost"],
    ["NO [TRYCREATE] Mailbox was deleted under us", "ConnectionLost"],
    ["NO no", "Rejected"],
    ["NO Mailbox does not exist", "MailboxNotFound"],
    ["NO No such mailbox", "MailboxNotFound"],
    ["NO [CANNOT] No such mailbox", "Rejected"],
    ["BAD Unknown command", "Rejected"],
    ["NO [EXPIRED] token expired", "AuthenticationFailed"]
  ]
  for (const [line, expected] of rows) {
    it(`${line} is ${expected}`, () => {
      assert.strictEqual(verdict(imapCommand(refusal(line), { mailbox: "x", size: 9 })), expected)
    })
  }

  it("keeps the code, or BAD, and drops Dovecot's statistics from the text", () => {
    const denied = imapCommand({ status: "NO", code: "noperm", text: "Permission denied (0.001 + 0.000 secs)." })
    assert.deepInclude(denied, { _tag: "Rejected", code: "NOPERM", text: "Permission denied" })
    const bad = imapCommand({ status: "BAD", text: "Unknown command (0.001 + 0.000 + 0.002 secs)." })
    assert.deepInclude(bad, { _tag: "Rejected", code: "BAD", text: "Unknown command" })
    const no = imapCommand({ status: "NO", text: "no" })
    assert.isFalse("code" in no)
    assert.strictEqual(plain("it took (1 + 2) secs"), "it took (1 + 2) secs")
  })

  it("names the mailbox and the size it was about", () => {
    const missing = imapCommand({ status: "NO", code: "TRYCREATE", text: "" }, { mailbox: "Archive" })
    assert.deepInclude(missing, { _tag: "MailboxNotFound", mailbox: "Archive" })
    const big = imapCommand({ status: "NO", code: "TOOBIG", text: "too big" }, { size: 70 })
    assert.deepInclude(big, { _tag: "TooLarge", size: 70, response: "too big" })
  })
})

describe("an SMTP reply", () => {
  const rows: ReadonlyArray<readonly [step: SmtpStep, reply: string, verdict: string]> = [
    ["greeting", "421 4.7.0 mx Error: too many connections from 192.0.2.1", "ConnectionRefusedByLimit"],
    ["greeting", "421 Too many concurrent SMTP connections; please try again later.", "ConnectionRefusedByLimit"],
    ["greeting", "421 4.3.2 Service not available", "Throttled"],
    ["greeting", "554 No SMTP service here", "Rejected"],
    ["ehlo", "421 4.7.0 Try again later, closing connection.", "Throttled"],
    ["ehlo", "502 5.5.2 Command not recognized", "Rejected"],
    ["starttls", "454 4.7.0 TLS not available due to local problem", "Rejected transient"],
    ["login", "535 5.7.8 Error: authentication failed", "AuthenticationFailed"],
    ["login", "535 Incorrect authentication data", "AuthenticationFailed"],
    ["login", "534 5.7.9 Application-specific password required", "AuthenticationFailed"],
    ["login", "525 5.7.13 Account disabled", "AuthenticationFailed"],
    ["login", "432 4.7.12 A password transition is needed", "AuthenticationFailed"],
    ["login", "454 4.7.0 Too many failed login attempts", "AuthenticationFailed"],
    ["login", "454 4.7.0 Too many login attempts, please try again later.", "Throttled"],
    ["login", "454 Temporary authentication failure", "Throttled"],
    ["login", "421 4.7.0 Temporary System Problem", "Throttled"],
    ["login", "535 5.7.0 Too many login attempts", "Throttled"],
    ["login", "535 Too many simultaneous connections", "ConnectionRefusedByLimit"],
    ["login", "538 5.7.11 Encryption required for requested authentication mechanism", "Rejected"],
    ["login", "530 5.7.0 Must issue a STARTTLS command first", "Rejected"],
    ["login", "504 5.5.4 Unrecognized authentication type", "Rejected"],
    ["sender", "530 5.7.0 Authentication Required.", "AuthenticationFailed"],
    ["sender", "432 4.3.2 Concurrent connections limit exceeded.", "ConnectionRefusedByLimit"],
    ["message", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "ConnectionRefusedByLimit"],
    ["message", "432 4.3.2 come back", "Throttled"],
    ["sender", "421 4.4.2 too many messages on this connection", "Throttled"],
    ["sender", "450 4.7.1 Error: too much mail from 192.0.2.1", "Throttled"],
    ["sender", "451 4.7.500 Server busy. Please try again later", "Throttled"],
    ["sender", "451 4.3.0 Temporary lookup failure", "Rejected transient"],
    ["sender", "452 4.3.1 Insufficient system storage", "Rejected transient"],
    ["sender", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "Rejected"],
    ["recipient", "450 4.7.1 <a@b>: Recipient address rejected: Greylisted", "Rejected transient"],
    ["recipient", "451 4.7.1 Greylisting in action, please come back later", "Rejected transient"],
    ["recipient", "450 4.2.1 The user you are trying to contact is receiving mail too quickly", "Rejected transient"],
    ["recipient", "452 4.5.3 Too many recipients", "Rejected transient"],
    ["recipient", "452 Too many recipients received this hour", "Rejected transient"],
    ["recipient", "452 4.2.2 The email account that you tried to reach is over quota", "Rejected transient"],
    ["recipient", "550 5.1.1 No such user", "Rejected"],
    ["recipient", "552 5.2.2 Mailbox full", "Rejected"],
    ["message", "451 rate limit exceeded", "Throttled"],
    ["message", "450 4.2.0 not now", "Rejected transient"],
    ["sender", "552 5.3.4 Message size exceeds fixed limit", "TooLarge"],
    ["message", "554 5.3.4 Message too big for system", "TooLarge"],
    ["message", "552 5.2.3 Message exceeds local size limit", "TooLarge"],
    ["sender", "552 Message size exceeds fixed maximum message size", "TooLarge"],
    ["message", "552 5.2.2 Over quota", "QuotaExceeded"],
    ["message", "552 Requested mail action aborted: exceeded storage allocation", "QuotaExceeded"],
    ["message", "552 5.7.0 This message was blocked because its content presents a security issue", "Rejected"],
    ["message", "550 5.7.1 Your mail limit has been reached", "Rejected"],
    ["message", "550 5.4.5 Daily user sending limit exceeded", "Rejected"],
    ["message", "554 5.7.1 Spam message rejected", "Rejected"]
  ]
  for (const [step, line, expected] of rows) {
    it(`${line} (${step}) is ${expected}`, () => {
      const reply = parseSmtpReply(line)
      assert.isDefined(reply)
      if (reply !== undefined) assert.strictEqual(verdict(smtpReason(reply, step, 7)), expected)
    })
  }

  it("is read from its lines: code, enhanced code, text", () => {
    assert.deepStrictEqual(parseSmtpReply("550-5.7.1 first line\r\n550 5.7.1 second line\r\n"), {
      code: 550,
      enhanced: "5.7.1",
      text: "first line second line"
    })
    assert.deepStrictEqual(parseSmtpReply("250"), { code: 250, enhanced: undefined, text: "" })
    assert.isUndefined(parseSmtpReply("nonsense"))
    assert.isUndefined(parseSmtpReply("2500 no"))
    assert.isUndefined(parseSmtpReply(""))
  })

  it("keeps both codes in a rejection", () => {
    const reason = smtpReason({ code: 550, enhanced: "5.7.1", text: "no" }, "message")
    assert.deepInclude(reason, { _tag: "Rejected", code: "550 5.7.1", text: "no", transient: false })
    assert.deepInclude(smtpReason({ code: 552, enhanced: "5.3.4", text: "big" }, "message", 99), { size: 99 })
  })
})

describe("a connection that could not be made", () => {
  const rows: ReadonlyArray<readonly [code: string | undefined, message: string, verdict: string]> = [
    ["ENOTFOUND", "getaddrinfo ENOTFOUND imap.example", "dns permanent"],
    ["EAI_AGAIN", "getaddrinfo EAI_AGAIN imap.example", "dns"],
    ["ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1", "tcp"],
    ["EHOSTUNREACH", "connect EHOSTUNREACH", "tcp"],
    ["ENETUNREACH", "connect ENETUNREACH", "tcp"],
    ["ETIMEDOUT", "connect ETIMEDOUT", "tcp"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate", "tls permanent"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain", "tls permanent"],
    ["CERT_HAS_EXPIRED", "certificate has expired", "tls permanent"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "Hostname/IP does not match certificate's altnames", "tls permanent"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate", "tls permanent"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "wrong version number", "tls permanent"],
    ["EPROTO", "write EPROTO 0A00010B:SSL routines:wrong version number", "tls permanent"],
    ["GREETING_TIMEOUT", "no greeting", "greeting"],
    ["ClosedAfterConnectText", "Unexpected close", "login"],
    ["ECONNRESET", "read ECONNRESET", "login"],
    [undefined, "odd", "login"]
  ]
  for (const [code, message, expected] of rows) {
    it(`${code ?? "no code"} is ${expected}`, () => {
      const failed = connectFailure({ host: "h", port: 993 }, { code, message }, "login")
      assert.strictEqual(verdict(failed), expected)
      assert.include(failed.detail, message)
    })
  }

  it("is told in OpenSSL's words, without its places in the source", () => {
    const message = "40BD4511C37F0000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:" +
      "../deps/openssl/openssl/ssl/record/methods/tlsany_meth.c:77:\n"
    const { detail } = connectFailure(
      { host: "h", port: 465 },
      { code: "ERR_SSL_WRONG_VERSION_NUMBER", message },
      "tls"
    )
    assert.strictEqual(detail, "ERR_SSL_WRONG_VERSION_NUMBER: wrong version number")
  })
})

describe("an error code of imapflow", () => {
  const rows: ReadonlyArray<readonly [code: string | undefined, verdict: string | undefined]> = [
    ["NoConnection", "ConnectionLost"],
    ["EConnectionClosed", "ConnectionLost"],
    ["ECONNRESET", "ConnectionLost"],
    ["EPIPE", "ConnectionLost"],
    ["ETIMEOUT", "ConnectionLost"],
    ["ETHROTTLE", "Throttled 1500"],
    ["ParserError11", "ProtocolViolation"],
    ["UnexpectedTag", "ProtocolViolation"],
    ["LiteralTooLarge", "ProtocolViolation"],
    ["ResponseProcessingFailed", "ProtocolViolation"],
    ["MissingServerExtension", "Unsupported"],
    ["NotFound", undefined],
    [undefined, undefined]
  ]
  for (const [code, expected] of rows) {
    it(`${code ?? "none"} is ${expected ?? "left to the command"}`, () => {
      const reason = imapflowFailure({ code, message: "m", throttleReset: 1500 }, true)
      assert.strictEqual(reason === undefined ? undefined : verdict(reason), expected)
    })
  }

  it("carries whether the command was written", () => {
    assert.deepInclude(imapflowFailure({ code: "ECONNRESET", message: "" }, false), { written: false })
    assert.deepInclude(imapflowFailure({ code: "LineTooLarge", message: "" }, true), { written: true })
  })
})
