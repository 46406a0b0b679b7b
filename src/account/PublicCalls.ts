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

/** What one account adds to its calls. */
interface Surroundings {
  readonly toMailError: (operation: string, mailbox: string | undefined) => (reason: Reason) => MailError
  readonly attributes: (agent: string, mailbox: string | undefined) => Record<string, string>
  readonly logged: (mailbox: string | undefined) => Record<string, string>
}

/** One method of one account. */
interface Call {
  readonly surroundings: Surroundings
  run(...args: ReadonlyArray<unknown>): Effect.Effect<unknown, Reason>
  mailboxOf(...args: ReadonlyArray<unknown>): string | undefined
}

type Traced = (this: Call, ...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, MailError>

/** Traced methods by name, which accounts share: each keeps the stack of its definition, and accounts may be many. */
const traced = new Map<Name, Traced>()

const callOf = (name: Name): Traced => {
  let call = traced.get(name)
  if (call === undefined) {
    const short = shortOf(name)
    call = Effect.fn(name)(function*(this: Call, ...args: ReadonlyArray<unknown>) {
      const { attributes, logged, toMailError } = this.surroundings
      const mailbox = this.mailboxOf(...args)
      yield* Effect.annotateCurrentSpan(attributes(yield* Agent.current, mailbox))
      return yield* this.run(...args).pipe(
        Effect.mapError(toMailError(short, mailbox)),
        Effect.provideService(CurrentOperation, short),
        Effect.annotateLogs(logged(mailbox))
      )
    })
    traced.set(name, call)
  }
  return call
}

const unnamed = () => undefined

const shortOf = (name: Name) => name.slice("MailAccount.".length)

export const make = (account: string) => {
  const toMailError = (operation: string, mailbox: string | undefined) => (reason: Reason) =>
    new MailError({ account, operation, ...(mailbox === undefined ? {} : { mailbox }), reason })

  const attributes = (agent: string, mailbox: string | undefined) => ({
    "mail.account": account,
    "mail.agent": agent,
    ...(mailbox === undefined ? {} : { "mail.mailbox": mailbox })
  })

  const logged = (mailbox: string | undefined) => ({ account, ...(mailbox === undefined ? {} : { mailbox }) })

  const surroundings: Surroundings = { toMailError, attributes, logged }

  const operation = <Args extends Array<unknown>, A>(
    name: Name,
    run: (...args: Args) => Effect.Effect<A, Reason>,
    mailboxOf: (...args: Args) => string | undefined = unnamed
  ) => {
    const call: Call = { surroundings, run, mailboxOf }
    // run and mailboxOf of this very call take these arguments
    return callOf(name).bind(call) as (...args: Args) => Effect.Effect<A, MailError>
  }

  /** An operation on the mailbox of this name. */
  const onMailbox = <Args extends ReadonlyArray<unknown>, A>(
    name: Name,
    run: (mailbox: string, ...args: Args) => Effect.Effect<A, Reason>
  ) =>
    operation(
      name,
      (mailbox: string, ...args: Args) => run(mailboxName(mailbox), ...args),
      (...[mailbox]) => mailboxName(mailbox)
    )

  /** One layer for all of it, since each costs a short stream as much as its own work. */
  const streaming = <A>(name: Name, stream: Stream.Stream<A, Reason>, mailbox: string | undefined) => {
    const short = shortOf(name)
    const failed = toMailError(short, mailbox)
    return Stream.transformPull(stream, (pull, scope) =>
      Effect.gen(function*() {
        const agent = yield* Agent.current
        const annotations = yield* References.CurrentLogAnnotations
        const span = yield* Scope.provide(
          Effect.makeSpanScoped(name, { attributes: attributes(agent, mailbox) }),
          scope
        )
        return Effect.provideContext(
          Effect.mapError(pull, (reason) => Cause.isDone(reason) ? reason : failed(reason)),
          Context.make(CurrentOperation, short).pipe(
            Context.add(Tracer.ParentSpan, span),
            Context.add(References.CurrentLogAnnotations, { ...annotations, ...logged(mailbox) })
          )
        )
      }))
  }

  return { onMailbox, operation, streaming, toMailError }
}
