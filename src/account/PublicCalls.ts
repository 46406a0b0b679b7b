/**
 * What surrounds each public method of an account: a span, the account and mailbox in spans and logs, the operation's
 * name for whoever counts, and the `MailError` around the reason.
 */
import { Cause, Context, Effect, References, Scope, Stream, Tracer } from "effect"
import { Agent } from "../domain/Agent.ts"
import { mailboxName } from "../domain/MailboxName.ts"
import { MailError, type Reason } from "../domain/MailError.ts"
import { CurrentOperation } from "../governor/Telemetry.ts"

type Name = `MailAccount.${string}`

/** One call of one method. */
interface Call {
  readonly account: string
  readonly mailbox: string | undefined
  readonly run: () => Effect.Effect<unknown, Reason>
}

type Traced = (call: Call) => Effect.Effect<unknown, MailError>

/** Traced methods by name, which accounts share: each keeps the stack of its definition, and accounts may be many. */
const traced = new Map<Name, Traced>()

const tracedAs = (name: Name): Traced => {
  let call = traced.get(name)
  if (call === undefined) {
    const short = shortOf(name)
    call = Effect.fn(name)(function*({ account, mailbox, run }: Call) {
      yield* Effect.annotateCurrentSpan(attributes(account, yield* Agent.current, mailbox))
      return yield* run().pipe(
        Effect.mapError(toMailError(account, short, mailbox)),
        Effect.provideService(CurrentOperation, short),
        Effect.annotateLogs(logged(account, mailbox))
      )
    })
    traced.set(name, call)
  }
  return call
}

const shortOf = (name: Name) => name.slice("MailAccount.".length)

const toMailError = (account: string, operation: string, mailbox: string | undefined) => (reason: Reason): MailError =>
  new MailError({ account, operation, ...(mailbox === undefined ? {} : { mailbox }), reason })

const attributes = (account: string, agent: string, mailbox: string | undefined) => ({
  "mail.account": account,
  "mail.agent": agent,
  ...(mailbox === undefined ? {} : { "mail.mailbox": mailbox })
})

const logged = (account: string, mailbox: string | undefined) => ({
  account,
  ...(mailbox === undefined ? {} : { mailbox })
})

/** The calls of one account. */
export class PublicCalls {
  readonly #account: string

  constructor(account: string) {
    this.#account = account
  }

  readonly toMailError = (operation: string, mailbox: string | undefined) =>
    toMailError(this.#account, operation, mailbox)

  operation<A>(
    name: Name,
    mailbox: string | undefined,
    run: () => Effect.Effect<A, Reason>
  ): Effect.Effect<A, MailError> {
    // what it answers is what `run` answers
    return tracedAs(name)({ account: this.#account, mailbox, run }) as Effect.Effect<A, MailError>
  }

  /** An operation on the mailbox of this name. */
  onMailbox<A>(
    name: Name,
    mailbox: string,
    run: (mailbox: string) => Effect.Effect<A, Reason>
  ): Effect.Effect<A, MailError> {
    const path = mailboxName(mailbox)
    return this.operation(name, path, () => run(path))
  }

  /** One layer for all of it, since each costs a short stream as much as its own work. */
  streaming<A>(name: Name, mailbox: string | undefined, stream: Stream.Stream<A, Reason>): Stream.Stream<A, MailError> {
    const account = this.#account
    const short = shortOf(name)
    const failed = toMailError(account, short, mailbox)
    const surrounded = (span: Tracer.Span) => (context: Context.Context<never>) =>
      context.pipe(
        Context.add(CurrentOperation, short),
        Context.add(Tracer.ParentSpan, span),
        Context.add(References.CurrentLogAnnotations, {
          ...Context.get(context, References.CurrentLogAnnotations),
          ...logged(account, mailbox)
        })
      )
    return Stream.transformPull(stream, (pull, scope) =>
      Effect.flatMap(Agent.current, (agent) =>
        Effect.map(
          Scope.provide(Effect.makeSpanScoped(name, { attributes: attributes(account, agent, mailbox) }), scope),
          (span) =>
            pull.pipe(
              Effect.mapError((reason) => Cause.isDone(reason) ? reason : failed(reason)),
              Effect.updateContext<never, never>(surrounded(span))
            )
        )))
  }
}
