/**
 * A Postfix of one's own: own configuration, queue and ports on 127.0.0.1, gone when the scope is closed. It asks the
 * Dovecot it is given about passwords and delivers to its mailboxes by LMTP; mail for anyone else it refuses, so that
 * nothing ever leaves the machine. Runs as root only: Postfix insists.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { chmod, chown, mkdir, readFile, symlink, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import {
  daemon,
  freePorts,
  greeted,
  lostPort,
  run,
  selfSigned,
  type SocketCount,
  socketsOf,
  temporaryDirectory
} from "./Daemon.ts"
import { Dovecot, type DovecotServer } from "./Dovecot.ts"

export interface PostfixOptions {
  /** STARTTLS on `port` and TLS from the start on `tlsPort`, with a certificate that signs itself. */
  readonly tls?: boolean
  /** Take mail from clients that did not log in. Default: false, as a submission server. */
  readonly open?: boolean
  /** Octets. Default: Postfix's own, 10 240 000. */
  readonly messageSizeLimit?: number
  /** Connections one client may have at a time; more are answered with 421. Default: no limit. */
  readonly maxConnections?: number
  /** Further parameters of main.cf. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostfixServer {
  readonly host: "127.0.0.1"
  readonly port: number
  /** Set with the `tls` option only. */
  readonly tlsPort: number | undefined
  /** The certificate in PEM. Set with the `tls` option only. */
  readonly certificate: string | undefined
  /** Users of the Dovecot beside it are reached as user@domain. */
  readonly domain: "example.test"
  readonly directory: string
  readonly pid: number
  /** Connections to its SMTP ports that neither side has closed, counted by the kernel. */
  readonly connections: Effect.Effect<number>
  readonly sockets: Effect.Effect<SocketCount>
  /** Messages in the queue: accepted, not delivered yet. */
  readonly queued: Effect.Effect<number>
  readonly log: Effect.Effect<string>
}

const domain = "example.test"

interface Place {
  readonly directory: string
  readonly port: number
  readonly tlsPort: number
  readonly certificate: { readonly certificate: string; readonly key: string } | undefined
}

const mainCf = (options: PostfixOptions, dovecot: DovecotServer, place: Place): string => {
  const { certificate, directory } = place
  const recipients = Object.keys(dovecot.users).map((user) => `{ ${user}@${domain} = ${user} }`)
  const parameters: Record<string, string | number> = {
    compatibility_level: "3.6",
    queue_directory: `${directory}/queue`,
    data_directory: `${directory}/data`,
    command_directory: "/usr/sbin",
    daemon_directory: "/usr/lib/postfix/sbin",
    mail_owner: "postfix",
    setgid_group: "postdrop",
    maillog_file: `${directory}/postfix.log`,
    maillog_file_prefixes: directory,
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    myhostname: `mx.${domain}`,
    mydestination: "",
    mynetworks: options.open === true ? "127.0.0.0/8" : "",
    alias_maps: "",
    alias_database: "",
    local_recipient_maps: "",
    smtpd_banner: `ready ${directory}`,
    virtual_mailbox_domains: domain,
    virtual_mailbox_maps: `inline:{ ${recipients.join(", ")} }`,
    virtual_transport: `lmtp:unix:${dovecot.lmtpSocket}`,
    default_transport: "error:this server delivers nowhere else",
    relay_transport: "error:this server delivers nowhere else",
    smtpd_sasl_auth_enable: "yes",
    smtpd_sasl_type: "dovecot",
    smtpd_sasl_path: dovecot.authSocket,
    smtpd_relay_restrictions: "",
    smtpd_recipient_restrictions: "permit_mynetworks, permit_sasl_authenticated, reject",
    // Nobody is slowed down or counted unless a test asks for it, and nobody is excepted then.
    smtpd_client_event_limit_exceptions: "",
    smtpd_client_connection_count_limit: options.maxConnections ?? 0,
    smtpd_error_sleep_time: 0,
    message_size_limit: options.messageSizeLimit ?? 10_240_000,
    mailbox_size_limit: 0,
    virtual_mailbox_limit: 0,
    ...(certificate === undefined ? { smtpd_tls_security_level: "none" } : {
      smtpd_tls_security_level: "may",
      smtpd_tls_cert_file: certificate.certificate,
      smtpd_tls_key_file: certificate.key
    }),
    ...options.settings
  }
  return Object.entries(parameters).map(([name, value]) => `${name} = ${value}\n`).join("")
}

/** The services of Debian's own master.cf that receive, queue and deliver; none of them in a chroot. */
const masterCf = (place: Place): string =>
  [
    `127.0.0.1:${place.port} inet n - n - - smtpd`,
    ...(place.certificate === undefined
      ? []
      : [`127.0.0.1:${place.tlsPort} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes`]),
    "cleanup unix n - n - 0 cleanup",
    "qmgr unix n - n 300 1 qmgr",
    "tlsmgr unix - - n 1000? 1 tlsmgr",
    "rewrite unix - - n - - trivial-rewrite",
    "bounce unix - - n - 0 bounce",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
    "flush unix n - n 1000? 0 flush",
    "proxymap unix - - n - - proxymap",
    "showq unix n - n - - showq",
    "error unix - - n - - error",
    "retry unix - - n - - error",
    "lmtp unix - - n - - lmtp",
    "anvil unix - - n - 1 anvil",
    "scache unix - - n - 1 scache",
    "postlog unix-dgram n - n - 1 postlogd"
  ].join("\n") + "\n"

const queues = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "saved", "trace"]

const prepare = async (directory: string) => {
  const id = async (what: "-u" | "-g", user: string) => Number(await run("id", [what, user]))
  const postfix = await id("-u", "postfix")
  const postdrop = Number((await run("getent", ["group", "postdrop"])).split(":")[2])
  await mkdir(join(directory, "data"))
  await chown(join(directory, "data"), postfix, await id("-g", "postfix"))
  const queue = join(directory, "queue")
  await mkdir(join(queue, "pid"), { recursive: true })
  for (const name of [...queues, "private"]) {
    await mkdir(join(queue, name), { mode: 0o700 })
    await chown(join(queue, name), postfix, 0)
  }
  for (const [name, mode] of [["public", 0o710], ["maildrop", 0o730]] as const) {
    await mkdir(join(queue, name))
    await chown(join(queue, name), postfix, postdrop)
    await chmod(join(queue, name), mode)
  }
  // Debian loads map types from here and warns where it is missing.
  await mkdir(join(directory, "config"))
  for (const name of ["dynamicmaps.cf", "postfix-files"]) {
    await symlink(join("/etc/postfix", name), join(directory, "config", name))
  }
}

const attempts = 5

/** Starts a Postfix beside a Dovecot. A start that fails is a defect that holds the server's log. */
export const startPostfix = (
  dovecot: DovecotServer,
  options: PostfixOptions = {}
): Effect.Effect<PostfixServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const certificate = options.tls === true ? yield* Effect.promise(() => selfSigned(directory)) : undefined
    const pem = certificate === undefined
      ? undefined
      : yield* Effect.promise(() => readFile(certificate.certificate, "utf8"))
    const log = Effect.promise(() => readFile(join(directory, "postfix.log"), "utf8").catch(() => ""))
    const config = join(directory, "config")
    yield* Effect.promise(() => prepare(directory))

    const start = Effect.fnUntraced(function*(attempt: number) {
      const [port = 0, tlsPort = 0] = yield* Effect.promise(() => freePorts(2))
      const place = { directory, port, tlsPort, certificate }
      yield* Effect.promise(async () => {
        await writeFile(join(config, "main.cf"), mainCf(options, dovecot, place))
        await writeFile(join(config, "master.cf"), masterCf(place))
        // Postfix waits a second and a half for a configuration that has just been written to settle.
        for (const name of ["main.cf", "master.cf"]) await utimes(join(config, name), 1, 1)
      })
      // The daemon that `postfix start` would start, without its minute of checks and kept in the foreground.
      const process = yield* daemon({
        command: "/usr/lib/postfix/sbin/master",
        args: ["-c", config, "-d"],
        cwd: join(directory, "queue"),
        env: { MAIL_CONFIG: config }
      })
      if (yield* Effect.promise(() => greeted(process, port, `ready ${directory}`))) return { process, port, tlsPort }
      const said = `${process.output()}${yield* log}`
      return attempt < attempts && (yield* Effect.promise(() => lostPort(process, [port, tlsPort])))
        ? undefined
        : yield* Effect.die(new Error(`Postfix did not start:\n${said}`))
    })
    let started: Effect.Success<ReturnType<typeof start>>
    for (let attempt = 1; started === undefined; attempt++) started = yield* start(attempt)
    const { port, process, tlsPort } = started

    const ports = certificate === undefined ? [port] : [port, tlsPort]
    const sockets = Effect.promise(() => socketsOf(...ports))
    const server: PostfixServer = {
      host: "127.0.0.1",
      port,
      tlsPort: certificate === undefined ? undefined : tlsPort,
      certificate: pem,
      domain,
      directory,
      pid: process.pid,
      connections: Effect.map(sockets, (count) => count.established),
      sockets,
      queued: Effect.map(
        Effect.promise(() => run("postqueue", ["-c", config, "-j"])),
        (lines) => lines.split("\n").filter((line) => line !== "").length
      ),
      log
    }
    return server
  })

/** One Postfix beside the Dovecot in the context, shared by the tests it is provided to. */
export class Postfix extends Context.Service<Postfix, PostfixServer>()("effect-mail/test/Postfix") {
  static readonly layer = (options?: PostfixOptions): Layer.Layer<Postfix, never, Dovecot> =>
    Layer.effect(Postfix, Effect.flatMap(Dovecot, (dovecot) => startPostfix(dovecot, options)))
}
