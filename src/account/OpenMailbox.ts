/**
 * Several steps in one mailbox on one connection. The steps are the account's own operations, held to the mailbox that
 * was opened; this file knows what belongs to it and for how long, not how a step is done.
 */
import { Context, Effect, type Option, Stream } from "effect"
import type { Criteria } from "../domain/Criteria.ts"
import type { Draft } from "../domain/Draft.ts"
import type { Fetched, FetchItems } from "../domain/Fetch.ts"
import { mailboxName } from "../domain/MailboxName.ts"
import { InvalidInput, MailboxChanged, MailError, type Reason } from "../domain/MailError.ts"
import type { Message } from "../domain/Message.ts"
import { type MessageRef, type Messages, type MessageSet, toSets } from "../domain/MessageSet.ts"
import { Query } from "../domain/Query.ts"
import type { FlagOptions } from "./Changing.ts"
import { CurrentLease, ended, type Lease } from "./Lease.ts"
import type { Operations } from "./Operations.ts"

export interface OpenOptions {
  /** Open it with EXAMINE: nothing in it can be changed. */
  readonly readOnly?: boolean | undefined
}

export interface AppendOptions {
  /** Flags of the new message, e.g. "\\Seen". */
  readonly flags?: ReadonlyArray<string> | undefined
  /** The internal date; default: the server's time. */
  readonly internalDate?: Date | undefined
}

/**
 * A mailbox on a connection of one's own. Steps run one after another, also where they are begun at once, and are not
 * repeated. Messages of another mailbox fail with `InvalidInput`, and so does every step after the work has ended.
 */
export interface OpenMailbox {
  readonly mailbox: string
  /** It stays so: a step that finds another one fails with `MailboxChanged`. */
  readonly uidValidity: number
  readonly readOnly: boolean
  readonly search: (criteria?: Criteria | Query) => Effect.Effect<MessageSet, MailError>
  readonly fetch: <const Items extends FetchItems>(
    messages: Messages,
    items: Items
  ) => Stream.Stream<Fetched<Items>, MailError>
  readonly message: (ref: MessageRef) => Effect.Effect<Message, MailError>
  readonly flag: (messages: Messages, change: FlagOptions) => Effect.Effect<MessageSet, MailError>
  readonly copy: (messages: Messages, to: string) => Effect.Effect<Option.Option<MessageSet>, MailError>
  readonly move: (messages: Messages, to: string) => Effect.Effect<Option.Option<MessageSet>, MailError>
  /** Removes messages for ever. */
  readonly expunge: (messages: Messages) => Effect.Effect<MessageSet, MailError>
  readonly append: (
    message: Draft | Uint8Array,
    options?: AppendOptions
  ) => Effect.Effect<Option.Option<MessageRef>, MailError>
}

/** What the steps are made of: the account's own operations. */
export interface Steps extends Pick<OpenMailbox, "fetch" | "message" | "flag" | "copy" | "move"> {
  readonly search: (query: Query) => Effect.Effect<MessageSet, MailError>
  readonly remove: (messages: Messages, options: { readonly to: "expunge" }) => Effect.Effect<MessageSet, MailError>
  readonly append: (
    mailbox: string,
    message: Draft | Uint8Array,
    options?: AppendOptions
  ) => Effect.Effect<Option.Option<MessageRef>, MailError>
}

/** The error of whoever works in the mailbox, on its way past the governor. */
class Passed<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

type ToMailError = (operation: string, mailbox: string | undefined) => (reason: Reason) => MailError

/**
 * The steps, held to one mailbox, and to the lease as long as it is there. An account that knows no leases, like a double
 * in a test, has none.
 */
export const heldTo = (
  { mailbox, readOnly, uidValidity }: Pick<OpenMailbox, "mailbox" | "uidValidity" | "readOnly">,
  lease: Lease | undefined,
  steps: Steps,
  toMailError: ToMailError
): OpenMailbox => {
  const failure = (operation: string, reason: Reason) => Effect.fail(toMailError(operation, mailbox)(reason))

  /** The step with this lease around it, also where a fiber from elsewhere takes it. */
  const within = <A>(operation: string, step: Effect.Effect<A, MailError>): Effect.Effect<A, MailError> =>
    Effect.flatMap(CurrentLease, (current) => {
      if (lease?.isOpen === false) return failure(operation, ended(mailbox))
      return lease === undefined || current?.isWithin(lease) === true
        ? step
        : Effect.provideService(step, CurrentLease, lease)
    })

  const ours = (operation: string, messages: Messages): Effect.Effect<void, MailError> => {
    const stranger = toSets(messages).find((set) => set.mailbox !== mailbox)
    return stranger === undefined ? Effect.void : failure(
      operation,
      new InvalidInput({ field: "messages", problem: `they are of "${stranger.mailbox}", not of "${mailbox}"` })
    )
  }

  const reading = <A>(operation: string, messages: Messages, step: Effect.Effect<A, MailError>) =>
    Effect.andThen(ours(operation, messages), within(operation, step))

  const writing = <A>(operation: string, messages: Messages, step: Effect.Effect<A, MailError>) =>
    readOnly ? refused(operation) : reading(operation, messages, step)

  const refused = (operation: string) =>
    failure(
      operation,
      new InvalidInput({ field: "readOnly", problem: `"${mailbox}" was opened to read only` })
    )

  return {
    mailbox,
    uidValidity,
    readOnly,
    search: (criteria) =>
      Effect.suspend(() => {
        const query = criteria instanceof Query
          ? criteria
          : criteria === undefined
          ? Query.in(mailbox)
          : Query.in(mailbox).and(criteria)
        if (mailboxName(query.mailbox) !== mailbox) {
          return failure(
            "search",
            new InvalidInput({ field: "query", problem: `it is of "${query.mailbox}", not of "${mailbox}"` })
          )
        }
        return within("search", steps.search(query)).pipe(
          Effect.filterOrElse((set) => set.uidValidity === uidValidity, (set) =>
            failure(
              "search",
              new MailboxChanged({ mailbox, expected: uidValidity, actual: set.uidValidity })
            ))
        )
      }),
    fetch: (messages, items) =>
      Stream.unwrap(
        Effect.map(
          reading("fetch", messages, CurrentLease),
          (current) => Stream.provideService(steps.fetch(messages, items), CurrentLease, current)
        )
      ),
    message: (ref) => reading("message", ref, steps.message(ref)),
    flag: (messages, change) => writing("flag", messages, steps.flag(messages, change)),
    copy: (messages, to) => reading("copy", messages, steps.copy(messages, to)),
    move: (messages, to) => writing("move", messages, steps.move(messages, to)),
    expunge: (messages) => writing("expunge", messages, steps.remove(messages, { to: "expunge" })),
    append: (message, options) =>
      readOnly ? refused("append") : within("append", steps.append(mailbox, message, options))
  }
}

export const make = ({ leasing }: Operations, steps: Steps, toMailError: ToMailError) => {
  const withMailbox = <A, E, R>(
    mailbox: string,
    use: (mailbox: OpenMailbox) => Effect.Effect<A, E, R>,
    options?: OpenOptions
  ): Effect.Effect<A, E | MailError, R> =>
    Effect.contextWith((context: Context.Context<R>) => {
      let told: E | undefined
      return leasing(mailbox, options?.readOnly ?? false, (lease) =>
        Effect.suspend(() =>
          use(heldTo(lease, lease, steps, toMailError))
        ).pipe(
          Effect.provideContext(Context.add(context, CurrentLease, lease)),
          Effect.mapError((error): Passed<E> | Reason => {
            // what a server says about the pace must be heard by those who set it
            if (error instanceof MailError && error.reason._tag === "Throttled") {
              told = error
              return error.reason
            }
            return new Passed(error)
          })
        )).pipe(
          Effect.mapError((error): E | MailError =>
            error instanceof Passed ? error.error : told ?? toMailError("withMailbox", mailbox)(error)
          )
        )
    })

  return withMailbox
}
