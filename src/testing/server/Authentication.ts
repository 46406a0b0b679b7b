/** The commands of every state, and those that log in (RFC 9051 6.1, 6.2; RFC 4616, 7628 and Google's XOAUTH2). */
import type { CommandReader } from "./CommandReader.ts"
import { bad, no } from "./Refusal.ts"
import type { Session } from "./Session.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { survives } from "./StruckSession.ts"
import { toQuoted } from "./Tokens.ts"

export const authentication: Commands = {
  CAPABILITY: {
    state: "any",
    run: ({ args, session }) => {
      args.end()
      session.line(`* CAPABILITY ${capabilityLine(session)}`)
      return "CAPABILITY completed"
    }
  },
  NOOP: { state: "any", run: () => "NOOP completed" },
  LOGOUT: {
    state: "any",
    run: ({ session }) => {
      session.line("* BYE Logging out")
      return "LOGOUT completed"
    }
  },
  ID: {
    state: "any",
    run: ({ session }) => {
      session.line(`* ID ("name" "effect-mail")`)
      return "ID completed"
    }
  },
  STARTTLS: {
    state: "any",
    run: ({ session, tag }) => {
      const { tls } = session.host
      if (tls === undefined || session.isSecure) throw bad("TLS is not available here")
      session.line(`${tag} OK Begin TLS`)
      session.out.flush()
      session.upgrade(tls)
      return undefined
    }
  },
  LOGIN: {
    state: "any",
    takesOwnFaults: true,
    run: (command) => {
      const user = command.args.text()
      const password = command.args.text()
      command.args.end()
      return login(command, user, password)
    }
  },
  AUTHENTICATE: {
    state: "any",
    takesOwnFaults: true,
    run: async (command) => {
      const { args, session } = command
      const mechanism = args.word()
      const initial = args.isAtEnd ? undefined : args.text()
      const given = await sasl(session, mechanism, initial)
      if (given === undefined) return undefined
      return login(command, given.user, given.secret, given.isToken)
    }
  },
  ENABLE: {
    state: "authenticated",
    run: ({ args, session }) => {
      const enabled: Array<string> = []
      while (!args.isAtEnd) {
        const name = args.word()
        if (name !== "CONDSTORE" && name !== "QRESYNC" || !session.has(name)) continue
        session.enabled.condstore = true
        if (name === "QRESYNC") session.enabled.qresync = true
        enabled.push(name)
      }
      session.line(["* ENABLED", ...enabled].join(" "))
      return "ENABLE completed"
    }
  }
}

const mechanisms = ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=XOAUTH2", "AUTH=OAUTHBEARER", "SASL-IR"]

/** The capabilities in this state (RFC 9051 6.1.1). */
export const capabilityLine = (session: Session): string => {
  const { host } = session
  const before = session.user === undefined
    ? [...host.tls !== undefined && !session.isSecure ? ["STARTTLS"] : [], ...mechanisms]
    : []
  return ["IMAP4rev1", ...before, ...host.capabilities].join(" ")
}

const login = async (
  { session, tag, verb }: Command,
  name: string,
  secret: string,
  isToken = false
): Promise<string | undefined> => {
  if (session.user !== undefined) throw bad("already logged in")
  const { faults, maxConnections, store } = session.host
  const step = { protocol: "imap", user: name } as const
  const struck = faults.take({ ...step, at: verb }) ??
    (verb === "AUTHENTICATE" ? faults.take({ ...step, at: "LOGIN" }) : undefined)
  if (struck !== undefined && !await survives(session, struck, tag)) return undefined
  if (struck?._tag === "Drop") {
    session.drop()
    return undefined
  }
  const user = store.login(name, secret)
  if (user === undefined) {
    if (isToken) await refuseToken(session)
    throw no("Authentication failed.", "AUTHENTICATIONFAILED")
  }
  const most = maxConnections()
  if (most !== undefined && session.host.connectionsOf(name) >= most) {
    throw no("Maximum number of connections from user exceeded", "LIMIT")
  }
  session.user = user
  session.connection.user = name
  return `[CAPABILITY ${capabilityLine(session)}] Logged in`
}

interface Given {
  readonly user: string
  readonly secret: string
  readonly isToken: boolean
}

/** Runs a SASL exchange. Undefined where the client has gone. */
const sasl = async (session: Session, mechanism: string, initial: string | undefined): Promise<Given | undefined> => {
  const answer = async (challenge: string): Promise<string | undefined> => {
    session.line(`+ ${Buffer.from(challenge).toString("base64")}`)
    const line = (await session.read((reader: CommandReader) => reader.nextLine()))?.toString("latin1")
    if (line === "*") throw bad("Authentication aborted")
    return line === undefined ? undefined : decode(line)
  }
  const first = initial === undefined ? undefined : initial === "=" ? "" : decode(initial)
  if (mechanism === "LOGIN") {
    const user = first ?? await answer("Username:")
    const secret = user === undefined ? undefined : await answer("Password:")
    return user === undefined || secret === undefined ? undefined : { user, secret, isToken: false }
  }
  if (!mechanisms.includes(`AUTH=${mechanism}`)) throw no("Unsupported authentication mechanism", "CANNOT")
  const response = first ?? await answer("")
  if (response === undefined) return undefined
  if (mechanism === "PLAIN") {
    const [, user, secret] = response.split("\0")
    if (user === undefined || secret === undefined) throw bad("Invalid SASL response")
    return { user, secret, isToken: false }
  }
  const fields = response.split(",").flatMap((part) => part.split("\u0001"))
  const user = fields.find((field) => /^(?:user|a)=/.test(field))?.replace(/^\w+=/, "")
  const secret = fields.find((field) => /^auth=Bearer /i.test(field))?.slice("auth=Bearer ".length)
  if (user === undefined || secret === undefined) throw bad("Invalid SASL response")
  return { user: user.replaceAll("=2C", ",").replaceAll("=3D", "="), secret, isToken: true }
}

/** A token is refused with a challenge that says why, which the client answers with nothing (RFC 7628 3.2.2). */
const refuseToken = async (session: Session): Promise<void> => {
  const challenge = JSON.stringify({ status: "invalid_token", schemes: "bearer", scope: "mail" })
  session.line(`+ ${Buffer.from(challenge).toString("base64")}`)
  await session.read((reader) => reader.nextLine())
}

const decode = (base64: string): string => Buffer.from(base64, "base64").toString("utf8")

/** The namespaces (RFC 2342): one personal, with no prefix. */
export const namespaceLine = (delimiter: string): string => `* NAMESPACE (("" ${toQuoted(delimiter)})) NIL NIL`
