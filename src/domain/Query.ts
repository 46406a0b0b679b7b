/**
 * Which messages of which mailbox: a value that is built step by step or read from the protocol's syntax, and is sent
 * only after `Query.validate` has passed it. It finds nothing by itself; `MailAccount.search` and the streams take it.
 */
import { Effect, Inspectable, Result, Schema } from "effect"
import { type Criterion, toSearchKey } from "./Criteria.ts"
import { MailboxName, mailboxName } from "./MailboxName.ts"
import { InvalidInput } from "./MailError.ts"
import { parseSearchKey, printSearchKey } from "./QuerySyntax.ts"
import { all, allOf, anyOf, negate, SearchKey } from "./SearchKey.ts"
import { flawOf, textFlaw } from "./SearchRules.ts"

/** Alternatives one by one, two at least, or as a list. */
export type Alternatives =
  | readonly [first: Criterion, second: Criterion, ...rest: ReadonlyArray<Criterion>]
  | readonly [list: ReadonlyArray<Criterion>]

/**
 * A search in one mailbox. Every step narrows what the steps before it left: `and` to what matches *all* of its
 * criteria, `or` to what matches *at least one* of them, `not` to what does *not* match. So
 * `Query.inbox.and({ seen: false }).or({ from: "ann" }, { from: "bob" })` is unread mail from Ann or Bob, and
 * `Query.inbox.or({ seen: false }, { from: "ann" })` is what is unread or from Ann.
 *
 * Steps take criteria or a `SearchKey`; of another query that is its `key`. They accept every value of the right type:
 * a bad one ("2026-02-30", an empty keyword, a line break in a text) is found by `validate`, before anything is sent.
 */
export class Query extends Schema.Class<Query>("effect-mail/Query")({
  mailbox: MailboxName,
  key: SearchKey
}) {
  /** All messages of INBOX. */
  static get inbox(): Query {
    return Query.in("INBOX")
  }

  /** All messages of a mailbox, by its path. */
  static in(mailbox: string): Query {
    return new Query({ mailbox: mailboxName(mailbox), key: all })
  }

  /**
   * Reads the protocol's own search syntax (RFC 9051 6.4.4): `Query.parse("UNSEEN OR FROM ann FROM \"Bob B.\"")`.
   * Fails with `InvalidInput` that names the place and what was expected there; nothing is guessed or left out.
   */
  static parse(text: string, options?: { readonly mailbox?: string }): Effect.Effect<Query, InvalidInput> {
    return Effect.fromResult(parseSearchKey(text)).pipe(
      Effect.flatMap((key) => Query.validate(Query.in(options?.mailbox ?? "INBOX").and(key)))
    )
  }

  /** The query if a server can be asked it, by the one name of its mailbox, else `InvalidInput` with the criterion that cannot be sent. */
  static validate(query: Query): Effect.Effect<Query, InvalidInput> {
    const problem = query.mailbox === "" ? "an empty name" : textFlaw(query.mailbox)
    const flaw = problem === undefined ? flawOf(query.key) : { field: "mailbox", problem }
    return Effect.fromResult(
      flaw === undefined
        ? Result.succeed(new Query({ ...query, mailbox: mailboxName(query.mailbox) }, { disableChecks: true }))
        : Result.fail(new InvalidInput(flaw))
    )
  }

  /** The search keys in the protocol's syntax, in normal form; `Query.parse` reads them back. The mailbox is not in it. */
  static toSyntax(query: Query): string {
    return printSearchKey(query.key)
  }

  /** Narrows to messages that match all of these: `.and({ seen: false, from: "ann" })`. */
  and(...criteria: ReadonlyArray<Criterion>): Query {
    return this.#with(criteria.map(toSearchKey))
  }

  /** Narrows to messages that match at least one of these: `.or({ from: "ann" }, { from: "bob" })`. */
  or(...alternatives: Alternatives): Query {
    const [first] = alternatives
    const criteria = isList(first) ? first : alternatives.flat()
    return this.#with([anyOf(criteria.map(toSearchKey))])
  }

  /** Narrows to messages that do not match this as a whole: `.not({ from: "ann", seen: true })` keeps Ann's unread mail. */
  not(criterion: Criterion): Query {
    return this.#with([negate(toSearchKey(criterion))])
  }

  #with(keys: ReadonlyArray<SearchKey>): Query {
    return new Query({ mailbox: this.mailbox, key: allOf([this.key, ...keys]) }, { disableChecks: true })
  }

  override toString(): string {
    return Query.toSyntax(this)
  }

  toJSON(): unknown {
    return { mailbox: this.mailbox, search: Query.toSyntax(this) }
  }

  [Inspectable.NodeInspectSymbol](): string {
    return `Query(${JSON.stringify(this.mailbox)}: ${Query.toSyntax(this)})`
  }
}

const isList = (value: Criterion | ReadonlyArray<Criterion>): value is ReadonlyArray<Criterion> => Array.isArray(value)
