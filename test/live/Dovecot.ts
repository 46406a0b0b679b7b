/**
 * A Dovecot of one's own: own configuration, directory and ports on 127.0.0.1, gone when the scope is closed. It never
 * touches the system's instance. Runs as root (mail belongs to nobody) or as an ordinary user (all is that user's).
 *
 * Ready within a fraction of a second. Logins are not slowed down after a wrong password unless `authPenalty` asks for it.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises"
import { userInfo } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { missing } from "./available.ts"
import {
  daemon,
  freePorts,
  greeted,
  lostPort,
  run,
  selfSigned,
  type SocketCount,
  socketsNow,
  socketsOf,
  temporaryDirectory
} from "./Daemon.ts"

export interface DovecotOptions {
  /** Name to password. The domain of an address is ignored: alice@example.test is alice. */
  readonly users?: Readonly<Record<string, string>>
  readonly format?: "maildir" | "mdbox" | "sdbox"
  /** `mail_max_userip_connections`; 0, the default, is no limit. */
  readonly maxConnections?: number
  /** STARTTLS on `port` and TLS from the start on `tlsPort`, with a certificate that signs itself. */
  readonly tls?: boolean
  /** Storage limit of each user in octets, through the quota and imap_quota plugins. */
  readonly quota?: number
  /** Capabilities not announced after all: ["CONDSTORE", "QRESYNC"], … */
  readonly hide?: ReadonlyArray<string>
  /** Special-use mailboxes that exist from the start. Default: Sent, Trash, Drafts, Junk, Archive. */
  readonly specialUse?: Readonly<Record<string, string>>
  /** Prefix and separator of the personal namespace. Default: none, "/". */
  readonly namespace?: { readonly prefix: string; readonly separator: string }
  /** Slow logins down after a wrong password, as Dovecot does by default. */
  readonly authPenalty?: boolean
  /** Lines for the end of the configuration. */
  readonly settings?: string
}

export interface DovecotServer {
  readonly host: "127.0.0.1"
  readonly port: number
  /** Set with the `tls` option only. */
  readonly tlsPort: number | undefined
  /** The certificate in PEM. Set with the `tls` option only. */
  readonly certificate: string | undefined
  readonly users: Readonly<Record<string, string>>
  readonly directory: string
  readonly pid: number
  /** Connections to its IMAP ports that neither side has closed, counted by the kernel. */
  readonly connections: Effect.Effect<number>
  /** The same, and beside it those the client has closed and the server still holds. */
  readonly sockets: Effect.Effect<SocketCount>
  /** The most connections seen at one time while the effect runs. Looks every ten milliseconds or so: what is shorter can be missed. */
  readonly peak: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<{ readonly value: A; readonly peak: number }, E, R>
  /** Logged-in sessions by user name, as the server counts them. It hears of a login or an end a moment later. */
  readonly sessions: Effect.Effect<Readonly<Record<string, number>>>
  /** Ends a user's sessions with BYE; every user's by default. */
  readonly kick: (user?: string) => Effect.Effect<void>
  readonly doveadm: (...args: ReadonlyArray<string>) => Effect.Effect<string>
  readonly log: Effect.Effect<string>
  /** Sockets for a mail server beside it. `lmtp` only answers where dovecot-lmtpd is installed. */
  readonly authSocket: string
  readonly lmtpSocket: string
}

const defaultUsers = { alice: "alice-secret", bob: "bob-secret" }
const defaultSpecialUse = { Sent: "\\Sent", Trash: "\\Trash", Drafts: "\\Drafts", Junk: "\\Junk", Archive: "\\Archive" }

/** What Dovecot 2.3 announces after login, without plugins. */
const announced =
  "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT "
  + "MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC "
  + "ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE "
  + "SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"

const nobody = 65_534

interface Place {
  readonly directory: string
  readonly port: number
  readonly tlsPort: number
  readonly lmtp: boolean
  /** The name of the group this process runs as. */
  readonly group: string
  readonly certificate: { readonly certificate: string; readonly key: string } | undefined
}

const configuration = (options: DovecotOptions, place: Place): string => {
  const { directory } = place
  const me = userInfo()
  const isRoot = me.uid === 0
  const mail = isRoot ? { uid: nobody, gid: nobody } : me
  const hidden = new Set((options.hide ?? []).map((name) => name.toUpperCase()))
  const namespace = options.namespace ?? { prefix: "", separator: "/" }
  const mailboxes = Object.entries(options.specialUse ?? defaultSpecialUse)
    .map(([name, use]) => `  mailbox ${name} {\n    auto = subscribe\n    special_use = ${use}\n  }`)
  const penalty = options.authPenalty === true
    ? ""
    : "auth_failure_delay = 0\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"
  const quota = options.quota === undefined ? "" : `mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
  quota_rule = *:storage=${options.quota}B
}
`
  const capability = hidden.size === 0
    ? ""
    : `imap_capability = ${
      [...announced.split(" "), ...(options.quota === undefined ? [] : ["QUOTA"])]
        .filter((name) => !hidden.has(name)).join(" ")
    }\n`
  const tls = place.certificate === undefined
    ? "ssl = no\n"
    : `ssl = yes\nssl_cert = <${place.certificate.certificate}\nssl_key = <${place.certificate.key}\n`
  // Without root there is nobody to become and nothing to be locked into.
  const unprivileged = isRoot ? "" : `default_internal_user = ${me.username}
default_internal_group = ${place.group}
default_login_user = ${me.username}
first_valid_uid = 1
service anvil {
  chroot =
}
service imap-login {
  chroot =
}
`
  return `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/dovecot.log
protocols = imap${place.lmtp ? " lmtp" : ""}
listen = 127.0.0.1
login_greeting = ready ${directory}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Ln
mail_max_userip_connections = ${options.maxConnections ?? 0}
mail_location = ${options.format ?? "maildir"}:~/mail
mail_fsync = never
postmaster_address = postmaster@example.test
${tls}${penalty}${quota}${capability}${unprivileged}passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%n ${directory}/users
}
userdb {
  driver = passwd-file
  args = username_format=%n ${directory}/users
  default_fields = uid=${mail.uid} gid=${mail.gid} home=${directory}/home/%n
}
namespace inbox {
  inbox = yes
  prefix = ${namespace.prefix}
  separator = ${namespace.separator}
${mailboxes.join("\n")}
}
service imap-login {
  service_count = 0
  process_min_avail = 1
  inet_listener imap {
    port = ${place.port}
  }
  inet_listener imaps {
    port = ${place.certificate === undefined ? 0 : place.tlsPort}
  }
}
service auth {
  unix_listener submission {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
${place.lmtp ? "service lmtp {\n  unix_listener lmtp {\n    mode = 0666\n  }\n}\n" : ""}${options.settings ?? ""}
`
}

const prepare = async (options: DovecotOptions, place: Place) => {
  const { directory } = place
  const users = Object.entries(options.users ?? defaultUsers)
  // Base64 lets a password hold any character, colons too; the empty fields make it an entry for the userdb as well.
  const entries = users.map(([name, password]) =>
    `${name}:{PLAIN.b64}${Buffer.from(password).toString("base64")}::::::\n`
  )
  await writeFile(join(directory, "users"), entries.join(""))
  await chmod(join(directory, "users"), 0o644)
  await mkdir(join(directory, "home"), { recursive: true })
  if (userInfo().uid === 0) await chown(join(directory, "home"), nobody, nobody)
  await writeFile(join(directory, "dovecot.conf"), configuration(options, place))
}

const attempts = 5

/** Starts a Dovecot. A start that fails is a defect that holds the server's log. */
export const startDovecot = (options: DovecotOptions = {}): Effect.Effect<DovecotServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const certificate = options.tls === true ? yield* Effect.promise(() => selfSigned(directory)) : undefined
    const pem = certificate === undefined
      ? undefined
      : yield* Effect.promise(() => readFile(certificate.certificate, "utf8"))
    const group = (yield* Effect.promise(() => run("id", ["-gn"]))).trim()
    const lmtp = missing(["lmtp"]).length === 0
    const logFile = join(directory, "dovecot.log")
    const log = Effect.promise(() => readFile(logFile, "utf8").catch(() => ""))

    const start = Effect.fnUntraced(function*(attempt: number) {
      const [port = 0, tlsPort = 0] = yield* Effect.promise(() => freePorts(2))
      const place = { directory, port, tlsPort, lmtp, group, certificate }
      yield* Effect.promise(() => prepare(options, place))
      const process = yield* daemon({
        command: "/usr/sbin/dovecot",
        args: ["-F", "-c", join(directory, "dovecot.conf")]
      })
      if (yield* Effect.promise(() => greeted(process, port, `ready ${directory}`))) return { process, port, tlsPort }
      const said = `${process.output()}${yield* log}`
      return attempt < attempts && (yield* Effect.promise(() => lostPort(process, [port, tlsPort])))
        ? undefined
        : yield* Effect.die(new Error(`Dovecot did not start:\n${said}`))
    })
    let started: Effect.Success<ReturnType<typeof start>>
    for (let attempt = 1; started === undefined; attempt++) started = yield* start(attempt)
    const { port, process, tlsPort } = started

    const doveadm = (...args: ReadonlyArray<string>) =>
      Effect.promise(() => run("doveadm", ["-c", join(directory, "dovecot.conf"), ...args]))
    const ports = certificate === undefined ? [port] : [port, tlsPort]
    const sockets = Effect.promise(() => socketsOf(...ports))
    const connections = Effect.map(sockets, (count) => count.established)

    const server: DovecotServer = {
      host: "127.0.0.1",
      port,
      tlsPort: certificate === undefined ? undefined : tlsPort,
      certificate: pem,
      users: options.users ?? defaultUsers,
      directory,
      pid: process.pid,
      connections,
      sockets,
      peak: (effect) =>
        Effect.suspend(() => {
          let peak = 0
          const look = Effect.andThen(
            Effect.sync(() => {
              peak = Math.max(peak, socketsNow(...ports).established)
            }),
            Effect.promise(() => pause(5))
          )
          return Effect.map(Effect.raceFirst(effect, Effect.forever(look)), (value) => ({ value, peak }))
        }),
      sessions: Effect.map(doveadm("-f", "tab", "who", "-1"), (table) => {
        const sessions: Record<string, number> = {}
        for (const row of table.trim().split("\n").slice(1)) {
          const [user = ""] = row.split("\t")
          sessions[user] = (sessions[user] ?? 0) + 1
        }
        return sessions
      }),
      kick: (user = "*") => Effect.asVoid(doveadm("kick", user)),
      doveadm,
      log,
      authSocket: join(directory, "run", "submission"),
      lmtpSocket: join(directory, "run", "lmtp")
    }
    return server
  })

/** One Dovecot, shared by the tests it is provided to. */
export class Dovecot extends Context.Service<Dovecot, DovecotServer>()("effect-mail/test/Dovecot") {
  static readonly layer = (options?: DovecotOptions): Layer.Layer<Dovecot> =>
    Layer.effect(Dovecot, startDovecot(options))
}
