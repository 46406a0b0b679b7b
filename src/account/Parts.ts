/**
 * The parts an account's work is divided into, each made when it is first needed: a program may have thousands of
 * accounts, and most of them do one or two things.
 */
import type { MessageComposer } from "../driver/MessageComposer.ts"
import type { MessageParser } from "../driver/MessageParser.ts"
import * as Changing from "./Changing.ts"
import * as Mailboxes from "./Mailboxes.ts"
import type { Operations } from "./Operations.ts"
import * as Outbox from "./Outbox.ts"
import * as Reading from "./Reading.ts"
import * as Reconciliation from "./Reconciliation.ts"
import * as Sending from "./Sending.ts"
import * as SentCopy from "./SentCopy.ts"
import * as SentMailbox from "./SentMailbox.ts"
import * as Watch from "./Watch.ts"

export class Parts {
  readonly #operations: Operations
  readonly #parser: MessageParser["Service"]
  readonly #composer: MessageComposer["Service"]
  #mailboxes: Mailboxes.Mailboxes | undefined
  #reading: Reading.Reading | undefined
  #changing: Changing.Changing | undefined
  #watching: Watch.Watch | undefined
  #sending: Sending.Sending | undefined
  #sentMailbox: SentMailbox.SentMailbox | undefined
  #reconciliation: Reconciliation.Reconciliation | undefined
  #outbox: Outbox.Outbox | undefined

  constructor(operations: Operations, parser: MessageParser["Service"], composer: MessageComposer["Service"]) {
    this.#operations = operations
    this.#parser = parser
    this.#composer = composer
  }

  get mailboxes(): Mailboxes.Mailboxes {
    return this.#mailboxes ??= Mailboxes.make(this.#operations)
  }

  get reading(): Reading.Reading {
    return this.#reading ??= Reading.make(this.#operations, this.#parser)
  }

  get changing(): Changing.Changing {
    return this.#changing ??= Changing.make(this.#operations, this.mailboxes)
  }

  get watching(): Watch.Watch {
    return this.#watching ??= Watch.make(this.#operations)
  }

  get sending(): Sending.Sending {
    return this.#sending ??= Sending.make(this.#operations, this.#composer)
  }

  get reconciliation(): Reconciliation.Reconciliation {
    return this.#reconciliation ??= Reconciliation.make(this.#sent)
  }

  get outbox(): Outbox.Outbox {
    return this.#outbox ??= Outbox.make(
      this.#operations,
      this.sending,
      this.reconciliation,
      SentCopy.make(this.#operations.config, this.changing, this.#sent, this.reconciliation)
    )
  }

  get #sent(): SentMailbox.SentMailbox {
    return this.#sentMailbox ??= SentMailbox.make(this.#operations, this.mailboxes)
  }
}
