/**
 * An account in which nothing is changed. Reads go through to the real one; a change is checked and becomes a step of a
 * plan, which can be shown, stored, and performed later. How a change is checked is `Planning`'s.
 */
import { Context, Effect, Layer, Option, Stream } from "effect"
import type { AccountConfig } from "../domain/AccountConfig.ts"
import { mailboxName } from "../domain/MailboxName.ts"
import { InvalidInput, MailError, type Reason } from "../domain/MailError.ts"
import { MessageSet } from "../domain/MessageSet.ts"
import { Plan, type PlanStep } from "../domain/Plan.ts"
import { MessageComposer } from "../driver/MessageComposer.ts"
import * as nodemailer from "../driver/nodemailer.ts"
import { CurrentLease } from "./Lease.ts"
import { MailAccount } from "./MailAccount.ts"
import { mailboxOf, onSet } from "./OneMailbox.ts"
import { heldTo } from "./OpenMailbox.ts"
import { PlannedState } from "./PlannedState.ts"
import { type Check, make as makePlanning, plannedResponse, type SandboxOptions } from "./Planning.ts"

/** How far a plan was performed: the steps that were done, and those that were not, the failed one first. */
export interface Replayed {
  readonly done: Plan
  readonly error: MailError | undefined
  readonly rest: Plan
}

/**
 * The plan of a sandboxed account.
 *
 * A step that is not possible fails when it is planned, with the reason the change itself would fail with, and is not in
 * the plan. Later steps see what earlier ones did to mailboxes (created, renamed, deleted), to the messages in them
 * (moved and removed ones are gone), to the quota and to the rate windows of sending.
 *
 * **Gotchas** Reads show the account as it is: no flag is set, and what is only planned cannot be searched, read or
 * opened. Copies and new messages have no UID yet, so no later step can name them. Not known before it is done: what
 * only the server decides (which recipients it takes, which flags it keeps, rights, SIZE of SMTP), the copy of a sent
 * message, and what others change between plan and replay.
 *
 * **Lifetime** The plan lives as long as the layer's scope.
 */
export class Sandbox extends Context.Service<Sandbox, {
  /** The steps so far. */
  readonly plan: Effect.Effect<Plan>
  /** Forgets all steps, and what they would have changed. */
  readonly clear: Effect.Effect<void>
}>()("effect-mail/account/Sandbox") {
  /** The `response` of receipts: a planned message was accepted by nobody, so `accepted` is empty. */
  static readonly plannedResponse = plannedResponse

  /**
   * Puts a sandbox around an account: `Sandbox.layer(config).pipe(Layer.provide(MailAccount.layer(config)))`. The
   * configuration is the account's own; it names the sender and the limits.
   */
  static readonly layer = (
    config: AccountConfig,
    options?: SandboxOptions
  ): Layer.Layer<MailAccount | Sandbox, never, MailAccount> =>
    Layer.effectContext(
      Effect.gen(function*() {
        return sandboxed(yield* MailAccount, config, yield* MessageComposer, options)
      })
    ).pipe(Layer.provide(nodemailer.layerComposer))

  /**
   * Performs the steps of a plan in order, each as the account itself would, and stops at the first that fails. What is
   * left is a plan again. A plan made for an account of another name is not begun.
   *
   * **Gotchas** Messages that have gone since are passed over, as the account does. After `OutcomeUnknown` the failed
   * step may have taken place: look before the rest is replayed.
   */
  static readonly replay = Effect.fn("Sandbox.replay")(function*(
    plan: Plan
  ): Effect.fn.Return<Replayed, never, MailAccount> {
    const account = yield* MailAccount
    const upTo = (index: number, error?: MailError): Replayed => ({
      done: new Plan({ account: plan.account, steps: plan.steps.slice(0, index) }),
      error,
      rest: new Plan({ account: plan.account, steps: plan.steps.slice(index) })
    })
    if (plan.account !== account.name) {
      const problem = `it was made for "${plan.account}", not for "${account.name}"`
      const reason = new InvalidInput({ field: "plan", problem })
      return upTo(0, new MailError({ account: account.name, operation: "replay", reason }))
    }
    for (const [index, step] of plan.steps.entries()) {
      const failed = yield* Effect.matchEffect(perform(account, step), {
        onFailure: (error) => Effect.succeed(error),
        onSuccess: () => Effect.undefined
      })
      if (failed !== undefined) return upTo(index, failed)
    }
    return upTo(plan.steps.length)
  })
}

const perform = (account: MailAccount["Service"], step: PlanStep): Effect.Effect<unknown, MailError> => {
  switch (step._tag) {
    case "CreateMailbox":
      return account.createMailbox(step.mailbox)
    case "RenameMailbox":
      return account.renameMailbox(step.from, step.to)
    case "DeleteMailbox":
      return account.deleteMailbox(step.mailbox)
    case "Subscribe":
      return account.subscribe(step.mailbox)
    case "Unsubscribe":
      return account.unsubscribe(step.mailbox)
    case "Flag":
      return account.flag(step.messages, { add: step.add, remove: step.remove, set: step.set })
    case "Copy":
      return account.copy(step.messages, step.to)
    case "Move":
      return account.move(step.messages, step.to)
    case "Remove":
      return step.trash === undefined
        ? account.remove(step.messages, { to: "expunge" })
        : account.move(step.messages, step.trash)
    case "Append":
      return account.append(step.mailbox, step.source, { flags: step.flags, internalDate: step.internalDate })
    case "Send":
      return account.send(step.toDraft(), step.options)
  }
}

const sandboxed = (
  account: MailAccount["Service"],
  config: AccountConfig,
  composer: MessageComposer["Service"],
  options: SandboxOptions | undefined
): Context.Context<MailAccount | Sandbox> => {
  const planning = makePlanning(account, config, composer, options)
  const beginning = { steps: [] as ReadonlyArray<PlanStep>, state: new PlannedState() } // narrower than what follows
  let current = beginning

  /** Checks against the plan as it is; where another step came meanwhile, against that one too. */
  const record = <A>(check: Check<A>): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      const before = current
      return Effect.flatMap(check(before.state), ({ after, answer, step }) =>
        Effect.suspend(() => {
          if (current !== before) return record(check)
          current = { steps: [...before.steps, step], state: after }
          return Effect.succeed(answer)
        }))
    })

  const toMailError = (operation: string, mailbox: string | undefined) => (reason: Reason) =>
    new MailError({ account: account.name, operation, ...(mailbox === undefined ? {} : { mailbox }), reason })

  /** A public method: a span, and the account and operation around the reason. */
  const change = <A>(
    operation: string,
    mailbox: string | undefined,
    run: Effect.Effect<A, Reason>
  ): Effect.Effect<A, MailError> =>
    run.pipe(
      Effect.mapError(toMailError(operation, mailbox)),
      Effect.withSpan(`Sandbox.${operation}`, { attributes: { "mail.account": account.name, "mail.mailbox": mailbox } })
    )

  const onMailbox =
    <Args extends ReadonlyArray<unknown>>(operation: string, check: (mailbox: string, ...args: Args) => Check<void>) =>
    (mailbox: string, ...args: Args): Effect.Effect<void, MailError> =>
      change(operation, mailboxName(mailbox), record(check(mailboxName(mailbox), ...args)))

  const sandbox: MailAccount["Service"] = MailAccount.of({
    name: account.name,
    capabilities: account.capabilities,
    mailboxes: account.mailboxes,
    status: account.status,
    quota: account.quota,
    search: account.search,
    envelopes: account.envelopes,
    fetch: account.fetch,
    messages: account.messages,
    message: account.message,
    source: account.source,
    attachment: account.attachment,
    threads: account.threads,
    changes: account.changes,
    reconcile: account.reconcile,
    watch: account.watch,
    stats: account.stats,

    createMailbox: onMailbox("createMailbox", planning.createMailbox),
    renameMailbox: onMailbox("renameMailbox", planning.renameMailbox),
    deleteMailbox: onMailbox("deleteMailbox", planning.deleteMailbox),
    subscribe: onMailbox("subscribe", planning.subscribe),
    unsubscribe: onMailbox("unsubscribe", planning.unsubscribe),

    flag: (messages, options) =>
      change(
        "flag",
        mailboxOf(messages),
        onSet(messages, MessageSet.empty, (set) => record(planning.flag(set, options)))
      ),
    copy: (messages, to) =>
      change(
        "copy",
        mailboxOf(messages),
        onSet(messages, Option.none(), (set) => record(planning.copy(set, mailboxName(to))))
      ),
    move: (messages, to) =>
      change(
        "move",
        mailboxOf(messages),
        onSet(messages, Option.none(), (set) => record(planning.move(set, mailboxName(to))))
      ),
    remove: (messages, options) =>
      change(
        "remove",
        mailboxOf(messages),
        onSet(messages, MessageSet.empty, (set) => record(planning.remove(set, options)))
      ),
    append: (mailbox, message, options) =>
      change(
        "append",
        mailboxName(mailbox),
        Effect.flatMap(planning.append(mailboxName(mailbox), message, options), record)
      ),
    send: (draft, options) => change("send", undefined, Effect.flatMap(planning.send(draft, options), record)),
    sendAll: (drafts, options) =>
      (Stream.isStream(drafts) ? drafts : Stream.fromIterable(drafts)).pipe(
        Stream.zipWithIndex,
        Stream.mapEffect(([draft, index]) =>
          Effect.map(Effect.result(sandbox.send(draft, options)), (result) => ({ index, draft, result }))
        )
      ),
    withMailbox: (mailbox, use, options) =>
      // opened to read only, so that nothing can be changed in it whatever is asked
      account.withMailbox(
        mailbox,
        (open) =>
          options?.readOnly === true ?
            use(open) :
            Effect.flatMap(
              CurrentLease,
              (lease) => use(heldTo({ ...open, readOnly: false }, lease, sandbox, toMailError))
            ),
        { readOnly: true }
      )
  })

  return Context.make(MailAccount, sandbox).pipe(
    Context.add(Sandbox, {
      plan: Effect.sync(() => new Plan({ account: account.name, steps: current.steps })),
      clear: Effect.sync(() => void (current = beginning))
    })
  )
}
