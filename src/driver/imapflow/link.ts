/**
 * One imapflow client, made honest: a command has one typed outcome, a refusal is never a `false`, and a connection
 * whose state is unknown is closed and never used again. Owns the end of the connection.
 * It does not know what the commands are.
 */
import { Deferred, Duration, Effect, Exit } from "effect"
import {
  ConnectionFailed,
  ConnectionLost,
  InvalidInput,
  MailboxNotFound,
  ProtocolViolation,
  type Reason,
  Rejected,
  Throttled,
  TimedOut,
  TooLarge,
  Unsupported
} from "../../domain/MailError.ts"
import { connectFailure, imapCommand, imapflowFailure, imapLogin, type ImapSubject } from "../Classification.ts"
import type { ImapConnectOptions } from "../ImapDriver.ts"
import type { ImapFlow, ImapFlowError } from "./client.ts"
import type { Wire } from "./wire.ts"
import { codeOf, isRefusal, type Witness } from "./witness.ts"

/** How long a healthy connection may take to say goodbye, and a socket to close. */
const logoutBound = Duration.seconds(1)
const closeBound = Duration.seconds(2)

/** DONE and its line end, which leave an IDLE and are no part of the command after it. */
const doneOctets = 6

export interface CommandOptions extends ImapSubject {
  /** The method answers nothing when all went well; what the witness heard decides. */
  readonly isSilent?: boolean
  /** A refusal the witness heard fails the command even if the method answered. */
  readonly isStrict?: boolean
}

export class Link {
  readonly client: ImapFlow
  readonly #wire: Wire
  readonly #witness: Witness
  /** Takes out anything secret, should a server repeat what it was told. */
  readonly #clean: (text: string) => string
  #isBroken = false
  #isBusy = false
  /** A command left running on purpose; the next one waits for it. */
  #pending: Promise<unknown> | undefined
  /** Fails the command that runs. */
  #abandon: ((reason?: Reason) => void) | undefined

  constructor(client: ImapFlow, wire: Wire, witness: Witness, clean: (text: string) => string) {
    this.client = client
    this.#wire = wire
    this.#witness = witness
    this.#clean = clean
    // Without a listener the error that reports a lost socket would end the process.
    client.on("error", (error) => {
      witness.fatal ??= error
    })
  }

  isUsable(): boolean {
    return !this.#isBroken && this.client.usable && !this.client.isClosed && this.#wire.isOpen
  }

  get closed(): Effect.Effect<string> {
    return Effect.map(Deferred.await(this.#wire.closed), () => this.#why())
  }

  /** From name lookup to the end of the login, within the bound; leaves nothing open where it fails. */
  connect(
    options: ImapConnectOptions,
    attempt: { readonly host: string; readonly port: number }
  ): Effect.Effect<void, Reason> {
    const after = Duration.millis(options.connectTimeoutMillis)
    return Effect.callback<void, Reason>((resume) => {
      this.onThrottle((reason) => resume(Effect.fail(reason)))
      this.client.connect().then(
        () => resume(Effect.void),
        (error: ImapFlowError) => resume(Effect.fail(this.#connectReason(error, attempt)))
      )
    }).pipe(
      Effect.timeoutOrElse({
        duration: after,
        orElse: () =>
          Effect.fail(new TimedOut({ wait: this.#step() === "login" ? "login" : "connect", after, written: false }))
      }),
      Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : this.discard)
    )
  }

  /** Says LOGOUT where that makes sense, and returns when the socket has closed. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    if (!Exit.isSuccess(exit) || !this.isUsable() || this.#isBusy) return this.discard
    const logout = Effect.callback<void>((resume) => {
      this.client.logout().then(() => resume(Effect.void), () => resume(Effect.void))
    })
    return Effect.andThen(Effect.timeoutOption(logout, logoutBound), this.discard)
  }

  /** Closes at once, and returns when the socket has closed. */
  readonly discard: Effect.Effect<void> = Effect.suspend(() => {
    this.#break()
    return Effect.asVoid(Effect.timeoutOption(Deferred.await(this.#wire.closed), closeBound))
  })

  /** Closes at once; a command that runs fails, with this reason if there is one, whatever the client makes of it. */
  abort(reason?: Reason): void {
    this.#break()
    this.#abandon?.(reason)
  }

  /** Runs one method of the client to its typed outcome. Interrupting it closes the connection. */
  command<A>(
    run: (client: ImapFlow) => Promise<A>,
    options: CommandOptions = {}
  ): Effect.Effect<Exclude<A, false | undefined>, Reason> {
    return Effect.callback<Exclude<A, false | undefined>, Reason>((resume) => {
      if (!this.isUsable()) {
        return resume(Effect.fail(new ConnectionLost({ detail: this.#why(), written: false })))
      }
      this.#isBusy = true
      const settle = (effect: Effect.Effect<Exclude<A, false | undefined>, Reason>) => {
        this.#isBusy = false
        this.#abandon = undefined
        this.#witness.onThrottle = undefined
        resume(effect)
      }
      const before = this.client.stats().sent + (this.client.idling ? doneOctets : 0)
      const isWritten = () => this.client.stats().sent > before
      this.#abandon = (reason) =>
        settle(Effect.fail(reason ?? new ConnectionLost({ detail: this.#why(), written: isWritten() })))
      const start = () => {
        this.#witness.begin()
        const fail = (error: ImapFlowError | undefined) =>
          settle(Effect.fail(this.#reason(error, isWritten(), options)))
        this.#witness.onThrottle = (error) => {
          settle(Effect.fail(this.#refused(error, options)))
          this.#break()
        }
        run(this.client).then((value) => {
          if (this.#isWhole(value, options)) {
            // Neither false nor undefined, or the method is one that answers nothing.
            settle(Effect.succeed(value as Exclude<A, false | undefined>))
          } else fail(undefined)
        }, fail)
      }
      if (this.#pending === undefined) start()
      else void this.#pending.then(start)
      return Effect.sync(() => this.#break())
    })
  }

  /** Runs a method that may be left alone: interrupting it leaves the connection as it is, and the next command waits. */
  leave(run: (client: ImapFlow) => Promise<unknown>): Promise<void> {
    const pending = run(this.client).then(() => {}, () => {}).finally(() => {
      if (this.#pending === pending) this.#pending = undefined
    })
    this.#pending = pending
    return pending
  }

  /** Hears of throttling while no command runs, and closes: imapflow would wait, deaf, for as long as it was told to. */
  onThrottle(hear: (reason: Reason) => void): () => void {
    const listener = (error: ImapFlowError) => {
      hear(this.#refused(error, {}))
      this.#break()
    }
    this.#witness.onThrottle = listener
    return () => {
      if (this.#witness.onThrottle === listener) this.#witness.onThrottle = undefined
    }
  }

  /** Why the connection is not there any more. */
  lost(written: boolean): Reason {
    this.#break()
    const error = this.#witness.fatal ?? this.#witness.errors.findLast((error) => !isRefusal(error))
    const reason = error === undefined ? undefined : imapflowFailure(error, written)
    return reason?._tag === "ProtocolViolation" || reason?._tag === "TooLarge"
      ? reason
      : new ConnectionLost({ detail: this.#why(), written })
  }

  /** The server said what no server says; what it says next is not believed either. */
  violated(detail: string): Reason {
    this.#break()
    return new ProtocolViolation({ detail, written: true })
  }

  /** Reads values of an answer. Values of a server that fit no type of ours are its fault and no defect. */
  read<A, B>(answer: Effect.Effect<A, Reason>, values: (answer: A) => B): Effect.Effect<B, Reason> {
    return Effect.flatMap(answer, (answer) =>
      Effect.try({
        try: () => values(answer),
        catch: (error) => this.violated(error instanceof Error ? error.message : "an answer that cannot be read")
      }))
  }

  #break(): void {
    this.#isBroken = true
    this.client.close()
    this.#wire.destroy()
  }

  #isWhole(value: unknown, { isSilent = false, isStrict = false }: CommandOptions): boolean {
    if (this.#witness.incomplete !== undefined) return false
    if (isSilent) return this.#witness.errors.length === 0 && !this.client.isClosed
    if (isStrict && this.#witness.refusal() !== undefined) return false
    return value !== false && value !== undefined
  }

  #reason(error: ImapFlowError | undefined, written: boolean, subject: ImapSubject): Reason {
    const refusal = error !== undefined && isRefusal(error) ? error : this.#witness.refusal()
    if (refusal !== undefined) {
      const missing = error?.mailboxMissing === true || error?.code === "NotFound"
      const reason = missing && subject.mailbox !== undefined
        ? new MailboxNotFound({ mailbox: subject.mailbox })
        : this.#refused(refusal, subject)
      if (reason._tag === "ConnectionLost") this.#break()
      return reason
    }
    if (this.client.isClosed || !this.client.usable) return this.lost(written)
    if (error?.code === "NotFound" && subject.mailbox !== undefined) {
      return new MailboxNotFound({ mailbox: subject.mailbox })
    }
    if (error?.serverResponseCode === "APPENDLIMIT") {
      const limit = this.client.capabilities.get("APPENDLIMIT")
      return new TooLarge({
        size: subject.size ?? 0,
        ...(typeof limit === "number" ? { limit } : {}),
        response: "APPENDLIMIT"
      })
    }
    if (error !== undefined && /^Invalid(?:String|Token|Text)Value|^InvalidSe|^InvalidMessage/.test(error.code ?? "")) {
      return new InvalidInput({ field: "argument", problem: error.message })
    }
    const known = error === undefined ? undefined : imapflowFailure(error, written)
    const reason = known ?? new ProtocolViolation({
      detail: this.#witness.incomplete ?? error?.message ?? "a command without an outcome",
      written
    })
    // An answer that is not understood leaves the next one in doubt as well.
    if (reason._tag === "ConnectionLost" || reason._tag === "ProtocolViolation" || reason._tag === "TooLarge") {
      this.#break()
    }
    return reason
  }

  #refused(error: ImapFlowError, subject: ImapSubject): Reason {
    if (error.code === "ETHROTTLE") {
      return new Throttled({
        response: this.#clean(error.responseText ?? error.message),
        ...(error.throttleReset === undefined ? {} : { retryAfter: Duration.millis(error.throttleReset) })
      })
    }
    return imapCommand(this.#statusOf(error), subject)
  }

  #statusOf(error: ImapFlowError) {
    const text = error.responseText ?? (typeof error.response === "string" ? error.response : error.message)
    const status = error.responseStatus === "BAD" ? "BAD" as const : "NO" as const
    return { status, code: codeOf(error), text: this.#clean(text) }
  }

  #connectReason(error: ImapFlowError, attempt: { readonly host: string; readonly port: number }): Reason {
    const bye = error.reason ?? this.client.byeReason
    if (isRefusal(error)) return imapLogin(this.#statusOf(error))
    if (bye !== undefined) {
      const reason = imapLogin({ status: "BYE", text: this.#clean(bye) })
      if (reason._tag !== "Rejected") return reason
    }
    if (error.authenticationFailed === true && typeof error.response === "string") {
      return imapLogin({ status: "NO", text: this.#clean(error.response) })
    }
    if (error.message.startsWith("Login is disabled")) {
      return new Unsupported({ capability: "LOGIN", detail: "it takes no password on this connection; use TLS" })
    }
    if (/authentication (?:mechanism|method)/.test(error.message)) {
      return new Unsupported({ capability: "AUTH", detail: "no way of logging in fits these credentials" })
    }
    if (/STARTTLS/.test(error.message) && error.code === undefined) {
      return new Unsupported({ capability: "STARTTLS", detail: `${error.message}; the password was not sent` })
    }
    const detail = this.#clean(bye ?? error.message)
    const step = error.tlsFailed === true ? "tls" : this.#step()
    return imapflowFailure(error, true)?._tag === "ProtocolViolation"
      ? new ConnectionFailed({ ...attempt, step, detail: `${error.code ?? ""}: ${detail}`, permanent: false })
      : connectFailure(attempt, { code: error.code, message: detail }, step)
  }

  #step(): ConnectionFailed["step"] {
    const { step } = this.#wire
    return step === "greeting" && (this.client.greeting !== undefined || this.client.authenticated !== false)
      ? "login"
      : step
  }

  #why(): string {
    const { fatal } = this.#witness
    const why = this.client.byeReason ?? fatal?.code ?? fatal?.message
    return why === undefined ? "the connection is closed" : this.#clean(why)
  }
}

/** Fails with `Rejected` for what was not even asked of the server. */
export const notSelected: Effect.Effect<never, Reason> = Effect.fail(
  new Rejected({ text: "no mailbox is selected", transient: false })
)
