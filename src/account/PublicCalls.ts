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

  const operation = <Args extends ReadonlyArray<unknown>, A>(
    name: Name,
    run: (...args: Args) => Effect.Effect<A, Reason>,
    mailboxOf: (...args: Args) => string | undefined = () => undefined
  ) =>
    Effect.fn(name)(function*(...args: Args) {
      const mailbox = mailboxOf(...args)
      const short = shortOf(name)
      yield* Effect.annotateCurrentSpan(attributes(yield* Agent.current, mailbox))
      return yield* run(...args).pipe(
        Effect.mapError(toMailError(short, mailbox)),
        Effect.provideService(CurrentOperation, short),
        Effect.annotateLogs(logged(mailbox))
      )
    })

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
