/**
 * SMTP connections and MIME messages with nodemailer, the only file that knows the package. Owns the socket of a
 * connection from the first packet to its `close` event, and how one is opened and logged in. What a send concludes is
 * `GatedSend`'s work, what a draft may hold is `DraftFields`'.
 */
import { Deferred, Duration, Effect, Exit, Layer, Redacted, type Scope, Semaphore } from "effect"
import { isAscii } from "node:buffer"
import * as Net from "node:net"
import { getCACertificates } from "node:tls"
import addressparser from "nodemailer/lib/addressparser"
import { encode as base64Encode, wrap as base64Wrap } from "nodemailer/lib/base64"
import MailComposer from "nodemailer/lib/mail-composer"
import type MimeNode from "nodemailer/lib/mime-node"
import type { MimeNodeAddress } from "nodemailer/lib/mime-node"
import { encode as quotedEncode, wrap as quotedWrap } from "nodemailer/lib/qp"
import SMTPConnection, { type SMTPConnectionCustomAuthContext } from "nodemailer/lib/smtp-connection"
export { default as wellKnown } from "nodemailer/lib/well-known"
import { type Endpoint, portOf } from "../domain/AccountConfig.ts"
import type { AccessToken, Login } from "../domain/Credentials.ts"
import { ConnectionLost, InvalidInput, type Reason, TimedOut, Unsupported } from "../domain/MailError.ts"
import { type DraftFields, draftFields, type Group, type Mailbox } from "./DraftFields.ts"
import { gatedSend, type Session, type SessionListener } from "./GatedSend.ts"
import { canonical } from "./LineEnds.ts"
import { type Composed, MessageComposer } from "./MessageComposer.ts"
import { type Aftermath, checkEnvelope } from "./SendFate.ts"
import { type SmtpConnection, type SmtpConnectOptions, SmtpDriver } from "./SmtpDriver.ts"
import {
  bearerMessage,
  checkOffer,
  chooseMechanism,
  connectReason,
  type Failure,
  maxSizeOf,
  type Progress,
  readCapabilities,
  withoutSecret
} from "./SmtpHandshake.ts"

/** How long a connection that ends well waits for the answer to QUIT. */
export const quitTimeoutMillis = 1000

/** nodemailer's own time-outs run on the wall clock and see inactivity only; they are left as a last resort. */
const backstopMillis = 60 * 60 * 1000

/**
 * Opens SMTP connections. An 8-bit body is declared with 8BITMIME where the server has it and sent as it is where not:
 * re-encoding would break signatures, and servers without the extension pass the octets on all the same.
 */
export const layerSmtp: Layer.Layer<SmtpDriver> = Layer.succeed(SmtpDriver, {
  connect: Effect.fnUntraced(function*(options): Effect.fn.Return<SmtpConnection, Reason, Scope.Scope> {
    const wire = yield* Effect.acquireRelease(Effect.sync(() => openWire(options)), release)
    yield* Effect.andThen(greet(wire), login(wire, options.credentials)).pipe(
      Effect.timeoutOrElse({
        duration: Duration.millis(options.connectTimeoutMillis),
        orElse: () =>
          Effect.fail(
            new TimedOut({ wait: "connect", after: Duration.millis(options.connectTimeoutMillis), written: false })
          )
      }),
      Effect.onError(() => discard(wire))
    )
    return connection(wire)
  })
})

/** One socket and the session on it. */
interface Wire {
  readonly endpoint: Endpoint
  readonly port: number
  readonly raw: Net.Socket
  readonly smtp: SMTPConnection
  readonly closed: Deferred.Deferred<string>
  /** The first thing that went wrong, as nodemailer or the socket said it. */
  failure: Failure | undefined
  step: "tcp" | "greeting" | "login"
  listener: SessionListener | undefined
  capabilities: ReadonlyMap<string, string>
  after: Aftermath
  busy: boolean
  sent: number
}

const openWire = ({ connectTimeoutMillis, credentials, endpoint }: SmtpConnectOptions): Wire => {
  const { host, security, trust } = endpoint
  const port = portOf("smtp", endpoint)
  const raw = Net.connect({ host, port })
  const smtp = new SMTPConnection({
    host,
    port,
    // a socket of ours in all cases: its `close` event is the end of the connection, whatever wraps it meanwhile
    connection: raw,
    secure: security === "tls",
    requireTLS: security === "starttls",
    ignoreTLS: security === "none",
    tls: {
      ...(trust?.ca === undefined ? {} : { ca: [...getCACertificates("default"), trust.ca] }),
      ...(trust?.servername === undefined ? {} : { servername: trust.servername }),
      rejectUnauthorized: trust?.verify !== false
    },
    customAuth: credentials._tag === "AccessToken" ? { [bearer]: authenticateBearer(endpoint, credentials) } : {},
    connectionTimeout: connectTimeoutMillis + backstopMillis,
    greetingTimeout: connectTimeoutMillis + backstopMillis,
    socketTimeout: backstopMillis,
    socketCloseTimeout: 0,
    logger: false
  })
  const wire: Wire = {
    endpoint,
    port,
    raw,
    smtp,
    closed: Deferred.makeUnsafe(),
    failure: undefined,
    step: "tcp",
    listener: undefined,
    capabilities: new Map(),
    after: "clean",
    busy: false,
    sent: 0
  }
  // both emitters must have a listener before anything can happen, or an error would end the process
  raw.on("error", (error) => {
    wire.failure ??= error
  })
  smtp.on("error", (error: Failure) => {
    wire.failure ??= error
    wire.listener?.changed()
  })
  smtp.on("end", () => wire.listener?.changed())
  raw.once("connect", () => {
    wire.step = "greeting"
  })
  raw.once("close", () => {
    Deferred.doneUnsafe(wire.closed, Effect.succeed(wire.failure?.message ?? "closed"))
    wire.listener?.changed()
  })
  return wire
}

/** The socket that carries the session: after STARTTLS the TLS socket around ours. */
const socketOf = (wire: Wire): Net.Socket => wire.smtp._socket || wire.raw

const isOpen = (wire: Wire): boolean => {
  const socket = socketOf(wire)
  return !wire.smtp.destroyed && !wire.raw.destroyed && !socket.destroyed && socket.writable && !socket.readableEnded
}

const destroy = (wire: Wire): void => {
  wire.after = "broken"
  wire.smtp.close()
  socketOf(wire).destroy()
  wire.raw.destroy()
}

const discard = (wire: Wire): Effect.Effect<void> =>
  Effect.andThen(Effect.sync(() => destroy(wire)), Effect.asVoid(Deferred.await(wire.closed)))

/** Ends a session that is well with QUIT, any other at once; done when the socket has closed. */
const release = (wire: Wire, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!Exit.isSuccess(exit) || wire.busy || wire.after === "broken" || !isOpen(wire)) return discard(wire)
    wire.smtp.quit()
    return Effect.interruptible(Deferred.await(wire.closed)).pipe(
      Effect.timeoutOption(Duration.millis(quitTimeoutMillis)),
      Effect.andThen(discard(wire))
    )
  })

/**
 * Runs one call of nodemailer that reports by callback. It never calls back where the connection dies meanwhile, so
 * every sign of that ends the wait too.
 */
const call = (wire: Wire, start: (done: (failure?: Failure | null) => void) => void): Effect.Effect<void, Failure> =>
  Effect.callback((resume) => {
    const finish = (failure: Failure | undefined) => {
      wire.listener = undefined
      resume(failure === undefined ? Effect.void : Effect.fail(failure))
    }
    wire.listener = {
      data: () => {},
      changed: () => {
        if (wire.listener === undefined || isOpen(wire)) return
        // an error of the same turn says more than the closed socket
        setImmediate(() => finish(wire.failure ?? { message: "closed by the server" }))
      }
    }
    start((failure) => finish(failure ?? undefined))
    return Effect.sync(() => {
      wire.listener = undefined
    })
  })

/** Name lookup, TCP, TLS or STARTTLS, greeting and EHLO. */
const greet = (wire: Wire): Effect.Effect<void, Reason> =>
  Effect.callback<void, Failure>((resume) => {
    wire.raw.once("connect", () => resume(Effect.void))
    wire.raw.once("error", (error: Failure) => resume(Effect.fail(error)))
  }).pipe(
    Effect.andThen(call(wire, (done) => wire.smtp.connect(done))),
    Effect.mapError((failure) => connectReason(failure, progress(wire))),
    Effect.andThen(Effect.sync(() => {
      wire.capabilities = readCapabilities(String(wire.smtp.lastServerResponse))
      wire.step = "login"
    }))
  )

const bearer = "BEARER"

const login = (wire: Wire, credentials: Login): Effect.Effect<void, Reason> =>
  Effect.suspend(() => {
    if (wire.endpoint.security !== "none" && !wire.smtp.secure) {
      return Effect.fail(new Unsupported({ capability: "STARTTLS", detail: "the wire is not encrypted" }))
    }
    const mechanism = chooseMechanism(wire.capabilities, credentials)
    if (typeof mechanism !== "string") return Effect.fail(mechanism)
    const auth = credentials._tag === "AccessToken"
      ? { method: bearer, user: credentials.user }
      : { method: mechanism, user: credentials.user, pass: Redacted.value(credentials.password) }
    return Effect.mapError(
      call(wire, (done) => wire.smtp.login(auth, done)),
      (failure) => connectReason(withoutSecret(failure, credentials), progress(wire))
    )
  })

/** Sends the token; a refused one is answered with a challenge first, which wants an empty reply (RFC 7628 3.2.3). */
const authenticateBearer =
  (endpoint: Endpoint, credentials: AccessToken) => (context: SMTPConnectionCustomAuthContext) => {
    const mechanism = context.authMethods.includes("XOAUTH2") ? "XOAUTH2" : "OAUTHBEARER"
    const message = Buffer.from(bearerMessage(mechanism, endpoint, portOf("smtp", endpoint), credentials)).toString(
      "base64"
    )
    const conclude = (status: number) => status === 235 ? context.resolve() : context.reject("login refused")
    context.sendCommand(`AUTH ${mechanism} ${message}`, (_, reply) => {
      if (reply.status !== 334) return conclude(reply.status)
      context.sendCommand(mechanism === "XOAUTH2" ? "" : "AQ==", (_, last) => conclude(last.status))
    })
  }

const progress = (wire: Wire): Progress => ({
  host: wire.endpoint.host,
  port: wire.port,
  step: wire.step,
  isUpgrading: wire.smtp.upgrading === true
})

const connection = (wire: Wire): SmtpConnection => {
  const socket = socketOf(wire)
  socket.prependListener("data", (chunk: Uint8Array) => wire.listener?.data(chunk))
  socket.on("end", () => wire.listener?.changed())
  socket.on("close", () => wire.listener?.changed())
  const session: Session = {
    socket,
    isOpen: () => isOpen(wire),
    send: (request, body, done) => wire.smtp.send(request, body, (error) => done(error ?? undefined)),
    listen: (listener) => {
      wire.listener = listener
      return () => {
        wire.listener = undefined
      }
    }
  }
  const oneAtATime = Semaphore.makeUnsafe(1)
  const settle = (aftermath: Aftermath) => {
    if (aftermath === "broken") destroy(wire)
    else wire.after = aftermath
    wire.busy = false
  }
  const unusable = () =>
    new ConnectionLost({ detail: wire.failure?.message ?? "the connection is closed", written: false })
  return {
    isUsable: () => wire.after !== "broken" && isOpen(wire),
    closed: Deferred.await(wire.closed),
    maxSize: maxSizeOf(wire.capabilities),
    sent: () => wire.sent,
    send: (envelope, source, options) =>
      oneAtATime.withPermit(Effect.suspend(() => {
        const invalid = checkEnvelope(envelope) ?? checkOffer(wire.capabilities, envelope, source.length)
        if (invalid !== undefined) return Effect.fail(invalid)
        if (wire.after === "broken" || !isOpen(wire)) return Effect.fail(unusable())
        wire.busy = true
        const eightBit = !isAscii(source)
        return (wire.after === "reset" ? reset(wire, options.commandTimeoutMillis) : Effect.void).pipe(
          Effect.andThen(Effect.suspend(() => gatedSend(session, envelope, source, eightBit, options, settle))),
          Effect.tap(() => Effect.sync(() => wire.sent++)),
          // gone for good before the interruption has ended
          Effect.onInterrupt(() => wire.after === "broken" || wire.busy ? discard(wire) : Effect.void)
        )
      }))
  }
}

/** After a refusal the server may still hold the envelope of the message before (RFC 5321 4.1.1.5). */
const reset = (wire: Wire, timeoutMillis: number): Effect.Effect<void, Reason> =>
  call(wire, (done) => wire.smtp.reset(done)).pipe(
    Effect.mapError((failure) => new ConnectionLost({ detail: failure.message, written: false })),
    Effect.timeoutOrElse({
      duration: Duration.millis(timeoutMillis),
      orElse: () =>
        Effect.fail(new TimedOut({ wait: "command", after: Duration.millis(timeoutMillis), written: false }))
    }),
    Effect.onError(() =>
      Effect.sync(() => {
        wire.busy = false
        destroy(wire)
      })
    )
  )

/**
 * Writes messages with nodemailer's MIME nodes. The envelope's sender is `sender` where the draft names one, since that
 * is who hands the message in (RFC 5322 3.6.2), otherwise `from`. Attachments are held in memory.
 */
export const layerComposer: Layer.Layer<MessageComposer> = Layer.succeed(MessageComposer, {
  compose: Effect.fnUntraced(function*(draft, { keepsBcc = false, recipients }) {
    const fields = yield* draftFields(draft, recipients, readAddresses)
    return yield* Effect.try({
      try: () => write(fields, keepsBcc),
      catch: (error) => new InvalidInput({ field: "draft", problem: `cannot be composed (${String(error)})` })
    })
  })
})

const readAddresses = (text: string): ReadonlyArray<Mailbox | Group> =>
  addressparser(text).map((entry) =>
    entry.group === undefined
      ? { name: entry.name, address: entry.address }
      : { name: entry.name, group: entry.group.map(({ address = "", name }) => ({ name, address })) }
  )

/** Copies, since nodemailer rewrites the objects it is given. */
const toNodemailer = (list: ReadonlyArray<Mailbox | Group>): Array<MimeNodeAddress> =>
  list.map((each) => "group" in each ? { name: each.name, group: each.group.map((one) => ({ ...one })) } : { ...each })

const write = (fields: DraftFields, keepsBcc: boolean): Composed => {
  const spelling = new Map(fields.headers.map(([name]) => [name.toLowerCase(), name]))
  const message = new MailComposer({
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: "win",
    from: { ...fields.from },
    sender: fields.sender && { ...fields.sender },
    replyTo: toNodemailer(fields.replyTo),
    to: toNodemailer(fields.to),
    cc: toNodemailer(fields.cc),
    bcc: toNodemailer(fields.bcc),
    subject: fields.subject,
    messageId: fields.messageId,
    inReplyTo: fields.inReplyTo,
    references: [...fields.references],
    date: fields.date,
    text: fields.text,
    html: fields.html,
    alternatives: fields.alternatives.map(({ text, type }) => ({ content: text, contentType: type })),
    icalEvent: fields.calendar && { ...fields.calendar },
    headers: fields.headers.map(([key, value]) => ({ key, value })),
    // nodemailer would write X-MyHeader as X-Myheader
    normalizeHeaderKey: (key) => spelling.get(key.toLowerCase()) ?? key,
    attachments: fields.attachments.map((part) => ({
      content: part.content,
      contentType: part.type,
      // a part that is shown inside the HTML needs no name
      filename: part.filename ?? (part.contentId === undefined ? undefined : false),
      contentDisposition: part.disposition,
      cid: part.contentId?.slice(1, -1)
    }))
  }).compile()
  message.keepBcc = keepsBcc
  const chunks: Array<Buffer> = []
  render(message, chunks)
  if (chunks.at(-1)?.at(-1) !== 0x0a) chunks.push(Buffer.from("\r\n"))
  const envelope = message.getEnvelope()
  const sender = message.getAddresses().sender?.[0]?.address
  return {
    source: canonical(Buffer.concat(chunks)),
    envelope: { from: sender ?? (envelope.from || ""), to: envelope.to },
    messageId: fields.messageId
  }
}

/**
 * What `MimeNode.build()` writes, without its streams: three times as fast for a small message. Every content is a
 * string or a buffer here.
 */
const render = (node: MimeNode, chunks: Array<Buffer>): void => {
  const encoding = node.getTransferEncoding()
  chunks.push(Buffer.from(`${node.buildHeaders()}\r\n\r\n`))
  const content = node.content
  if (typeof content === "string" || Buffer.isBuffer(content)) {
    if (encoding === "base64") chunks.push(Buffer.from(base64Wrap(base64Encode(content)), "latin1"))
    else if (encoding === "quoted-printable") chunks.push(Buffer.from(quotedWrap(quotedEncode(content)), "latin1"))
    else chunks.push(Buffer.from(content))
  }
  if (node.multipart) {
    node.childNodes.forEach((child, index) => {
      chunks.push(Buffer.from(`${index === 0 ? "" : "\r\n"}--${node.boundary || ""}\r\n`))
      render(child, chunks)
    })
    chunks.push(Buffer.from(`\r\n--${node.boundary || ""}--\r\n`))
  }
}
