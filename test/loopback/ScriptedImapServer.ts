/**
 * An IMAP server on 127.0.0.1 that speaks a transcript: lines "C: command" and "S: response", in the order in which they
 * must come. `$` in a response is the tag of the command before it, "…" at the end of a command stands for anything.
 * "S! FIN", "S! RST" and "S! STALL" end or silence the connection, "S! TLS" starts TLS on it. What every session says (login, namespace, first LIST,
 * SELECT, LOGOUT) is answered without being written down, unless the transcript names it next.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import * as tls from "node:tls"
import { certificate, privateKey } from "./certificate.ts"

export interface Script {
  readonly greeting?: string
  readonly capabilities?: string
  readonly lines?: ReadonlyArray<string>
  /** Answers a command before it has its literal, rather than ask for it. */
  readonly isHasty?: boolean
  /** TLS from the first octet, with the certificate of the loopback tests. */
  readonly tls?: boolean
}

export interface ScriptedImapServer {
  readonly port: number
  /** Commands without their tags, in order, over all connections. */
  readonly heard: ReadonlyArray<string>
  /** Literals, in order. */
  readonly literals: ReadonlyArray<Buffer>
  /** Sockets open now. */
  readonly open: () => number
  /** Waits until no socket is open. */
  readonly idle: Effect.Effect<void>
  /** Waits until a command that begins so was heard, behind the first `skip` commands. */
  readonly hears: (command: string, skip?: number) => Effect.Effect<void>
  /** Commands that were not in the transcript. */
  readonly unexpected: ReadonlyArray<string>
}

export const capabilities =
  "IMAP4rev1 UIDPLUS MOVE IDLE CONDSTORE QRESYNC ENABLE SPECIAL-USE LITERAL+ NAMESPACE UNSELECT"

export const scripted = (script: Script): Effect.Effect<ScriptedImapServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => listen(script)),
      ({ close }) => Effect.promise(close)
    ),
    ({ server }) => server
  )

const listen = (script: Script) =>
  new Promise<{ readonly server: ScriptedImapServer; readonly close: () => Promise<void> }>((resolve) => {
    const sockets = new Set<net.Socket>()
    const waiting = new Set<() => void>()
    const state = { heard: [] as Array<string>, literals: [] as Array<Buffer>, unexpected: [] as Array<string> }
    const changed = () => waiting.forEach((check) => check())
    const until = (isTrue: () => boolean) =>
      Effect.callback<void>((resume) => {
        const check = () => {
          if (!isTrue()) return
          waiting.delete(check)
          resume(Effect.void)
        }
        waiting.add(check)
        check()
        return Effect.sync(() => waiting.delete(check))
      })
    const count = (socket: net.Socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => {
        sockets.delete(socket)
        changed()
      })
    }
    const talk = (socket: net.Socket) => {
      socket.on("error", () => {})
      speak(socket, script, state, changed)
    }
    const server = script.tls === true
      ? tls.createServer({ cert: certificate, key: privateKey, noDelay: true }, talk)
      : net.createServer({ noDelay: true }, talk)
    server.on("connection", count)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve({
        server: {
          port: typeof address === "object" && address !== null ? address.port : 0,
          ...state,
          open: () => sockets.size,
          idle: until(() => sockets.size === 0),
          hears: (command, skip = 0) => until(() => state.heard.slice(skip).some((line) => line.startsWith(command)))
        },
        close: () =>
          new Promise((done) => {
            sockets.forEach((socket) => socket.destroy())
            server.close(() => done())
          })
      })
    })
  })

const secured = (socket: net.Socket): net.Socket => {
  const secure = new tls.TLSSocket(socket, { isServer: true, cert: certificate, key: privateKey })
  secure.on("error", () => {})
  secure.on("close", () => socket.destroy())
  return secure
}

interface State {
  readonly heard: Array<string>
  readonly literals: Array<Buffer>
  readonly unexpected: Array<string>
}

const speak = (wire: net.Socket, script: Script, state: State, changed: () => void) => {
  let socket = wire
  const steps = [...script.lines ?? []]
  const caps = script.capabilities ?? capabilities
  const send = (line: string) => socket.writable && socket.write(`${line}\r\n`, "latin1")
  let isSilent = false
  let input = Buffer.alloc(0)
  let command = ""
  let owed = 0

  /** All lines of one answer go out in one piece, so that what stands behind the completion comes with it. */
  const answer = (tag: string) => {
    socket.cork()
    while (steps[0]?.startsWith("S")) {
      const step = steps.shift() ?? ""
      if (step === "S! FIN") {
        isSilent = true
        socket.end()
      } else if (step === "S! RST") {
        isSilent = true
        socket.resetAndDestroy()
      } else if (step === "S! STALL") isSilent = true
      else if (step === "S! TLS") {
        socket.uncork()
        socket.removeAllListeners("data")
        socket = secured(socket)
        socket.on("data", read)
      } else send(step.slice(3).replace(/^\$/, tag))
    }
    socket.uncork()
  }

  const usual = (tag: string, text: string): boolean => {
    const name = text.split(" ")[0]?.toUpperCase()
    const mailbox = text.split(" ")[1]
    const untagged: ReadonlyArray<string> | undefined = {
      CAPABILITY: [`* CAPABILITY ${caps}`],
      ID: ["* ID NIL"],
      LOGIN: [],
      NAMESPACE: [`* NAMESPACE (("" "/")) NIL NIL`],
      ENABLE: ["* ENABLED CONDSTORE QRESYNC"],
      LIST: [`* LIST (\\HasNoChildren) "/" INBOX`],
      LSUB: [],
      SELECT: [
        "* 3 EXISTS",
        "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)",
        "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] ok",
        "* OK [UIDVALIDITY 7] ok",
        "* OK [UIDNEXT 10] ok",
        "* OK [HIGHESTMODSEQ 20] ok"
      ],
      EXAMINE: ["* 3 EXISTS", "* OK [PERMANENTFLAGS ()] ok", "* OK [UIDVALIDITY 7] ok", "* OK [UIDNEXT 10] ok"],
      LOGOUT: ["* BYE bye"]
    }[name ?? ""]
    if (untagged === undefined || mailbox === undefined && name === "SELECT") return false
    untagged.forEach(send)
    const code = name === "LOGIN" ? `[CAPABILITY ${caps}] ` : name === "EXAMINE" ? "[READ-ONLY] " : ""
    send(`${tag} OK ${code}done`)
    if (name === "LOGOUT") socket.end()
    return true
  }

  const hear = (line: string) => {
    if (isSilent) return
    const [, tag = "", text = line] = /^([0-9A-F]+) (.*)$/.exec(line) ?? []
    state.heard.push(text)
    const next = steps[0]?.startsWith("C: ") ? steps[0].slice(3) : undefined
    if (next !== undefined && (next.endsWith("…") ? text.startsWith(next.slice(0, -1)) : text === next)) {
      steps.shift()
      answer(tag === "" ? lastTag : tag)
    } else if (!usual(tag, text)) {
      state.unexpected.push(text)
      send(`${tag} BAD not in the transcript`)
    }
    if (tag !== "") lastTag = tag
    changed()
  }
  let lastTag = ""

  const pump = (): void => {
    for (;;) {
      if (owed > 0) {
        if (input.length < owed) return
        state.literals.push(Buffer.from(input.subarray(0, owed)))
        input = input.subarray(owed)
        owed = 0
      }
      const end = input.indexOf("\r\n")
      if (end < 0) return
      const piece = input.toString("latin1", 0, end)
      command += piece
      input = input.subarray(end + 2)
      const literal = /\{(\d+)(\+?)\}$/.exec(piece)
      if (literal === null || (literal[2] === "" && script.isHasty === true)) {
        const line = command
        command = ""
        hear(line)
      } else {
        owed = Number(literal[1])
        if (literal[2] === "") send("+ go on")
      }
    }
  }
  const read = (chunk: Buffer) => {
    input = Buffer.concat([input, chunk])
    pump()
  }
  socket.on("data", read)
  if (steps[0]?.startsWith("S")) answer("*")
  else send(script.greeting ?? `* OK [CAPABILITY ${caps}] ready`)
}
