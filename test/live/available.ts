/**
 * Which live servers this machine can run, and what becomes of the tests that need one it cannot: they are skipped and
 * say how to enable them, or fail where EFFECT_MAIL_LIVE=required says that they must run.
 */
import { describe, it } from "@effect/vitest"
import { accessSync, constants } from "node:fs"

export const installCommand = "apt-get install -y dovecot-imapd dovecot-lmtpd postfix openssl"

const isExecutable = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const isRoot = process.getuid?.() === 0

const needs = {
  dovecot: () =>
    ["/usr/sbin/dovecot", "/usr/lib/dovecot/imap", "/usr/bin/doveadm", "/usr/bin/openssl"].every(isExecutable),
  lmtp: () => isExecutable("/usr/lib/dovecot/lmtp"),
  // Postfix changes to users of its own and refuses to start for anyone but root.
  postfix: () => isExecutable("/usr/lib/postfix/sbin/master") && isRoot,
  "smtp-sink": () => isExecutable("/usr/sbin/smtp-sink")
}

export type LiveServer = keyof typeof needs

export const liveServers: ReadonlyArray<LiveServer> = ["dovecot", "lmtp", "postfix", "smtp-sink"]

export const isRequired = process.env["EFFECT_MAIL_LIVE"] === "required"

export const missing = (servers: ReadonlyArray<LiveServer>): ReadonlyArray<LiveServer> =>
  servers.filter((server) => !needs[server]())

export const reason = (servers: ReadonlyArray<LiveServer>): string =>
  `no ${missing(servers).join(", ")} here; install with: ${installCommand}${isRoot ? "" : " (Postfix needs root)"}`

/** A `describe` whose tests need these servers. */
export const describeLive = (name: string, servers: ReadonlyArray<LiveServer>, tests: () => void): void => {
  if (missing(servers).length === 0) {
    describe(name, tests)
  } else if (isRequired) {
    describe(name, () => {
      it("finds the servers it needs", () => {
        throw new Error(reason(servers))
      })
    })
  } else {
    describe.skip(`${name} (${reason(servers)})`, tests)
  }
}
