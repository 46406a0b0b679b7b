/**
 * What would be done to an account, step by step: a value that a person can read, that can be stored, and that a replay
 * performs. It knows nothing of how steps are checked or carried out.
 */
import { Duration, Schema } from "effect"
import { SentCopyPolicy } from "./AccountConfig.ts"
import { Attachment } from "./Attachment.ts"
import { Draft } from "./Draft.ts"
import { draftFields } from "./DraftInput.ts"
import { MessageSet } from "./MessageSet.ts"

/** One of the messages of a step, for whoever reads the plan. Size in octets. */
export class PlannedMessage extends Schema.Class<PlannedMessage>("effect-mail/PlannedMessage")({
  uid: Schema.Int,
  size: Schema.Int,
  subject: Schema.optionalKey(Schema.String),
  from: Schema.optionalKey(Schema.String)
}) {}

/** Messages as they were found to be there, and the first few of them. */
const messages = { messages: MessageSet, first: Schema.Array(PlannedMessage) }
const mailbox = { mailbox: Schema.String }
const Flags = Schema.optionalKey(Schema.Array(Schema.String))

/** `isThere`: it exists already, and nothing would happen. */
export class CreateMailbox extends Schema.TaggedClass<CreateMailbox>("effect-mail/Plan/CreateMailbox")(
  "CreateMailbox",
  { ...mailbox, isThere: Schema.Boolean }
) {}

export class RenameMailbox extends Schema.TaggedClass<RenameMailbox>("effect-mail/Plan/RenameMailbox")(
  "RenameMailbox",
  { from: Schema.String, to: Schema.String }
) {}

/** `lost`: the messages that go with it; absent where the mailbox is not there, and nothing would happen. */
export class DeleteMailbox extends Schema.TaggedClass<DeleteMailbox>("effect-mail/Plan/DeleteMailbox")(
  "DeleteMailbox",
  { ...mailbox, lost: Schema.optionalKey(Schema.Int) }
) {}

export class Subscribe extends Schema.TaggedClass<Subscribe>("effect-mail/Plan/Subscribe")("Subscribe", mailbox) {}

export class Unsubscribe
  extends Schema.TaggedClass<Unsubscribe>("effect-mail/Plan/Unsubscribe")("Unsubscribe", mailbox)
{}

/** Exactly one of `add`, `remove` and `set`. */
export class Flag extends Schema.TaggedClass<Flag>("effect-mail/Plan/Flag")("Flag", {
  ...messages,
  add: Flags,
  remove: Flags,
  set: Flags
}) {}

export class Copy extends Schema.TaggedClass<Copy>("effect-mail/Plan/Copy")("Copy", {
  ...messages,
  to: Schema.String
}) {}

export class Move extends Schema.TaggedClass<Move>("effect-mail/Plan/Move")("Move", {
  ...messages,
  to: Schema.String
}) {}

/** Into the mailbox `trash`, or for ever where it is absent. */
export class Remove extends Schema.TaggedClass<Remove>("effect-mail/Plan/Remove")("Remove", {
  ...messages,
  trash: Schema.optionalKey(Schema.String)
}) {}

/** The octets are those that would be filed. */
export class Append extends Schema.TaggedClass<Append>("effect-mail/Plan/Append")("Append", {
  ...mailbox,
  source: Schema.Uint8Array,
  subject: Schema.optionalKey(Schema.String),
  flags: Schema.Array(Schema.String),
  internalDate: Schema.optionalKey(Schema.Date)
}) {}

/** A draft that refers to nothing outside: the octets of its attachments are in it. */
const SelfContained = Schema.Struct({
  ...draftFields,
  attachments: Schema.optionalKey(Schema.Array(Schema.Struct({
    ...Attachment.fields,
    content: Schema.Union([Schema.Struct({ bytes: Schema.Uint8Array }), Schema.Struct({ text: Schema.String })])
  })))
})

/** What `send` was asked beside the draft, as far as it decides what happens. */
const SendOptions = Schema.Struct({
  allRecipients: Schema.optionalKey(Schema.Boolean),
  hold: Schema.optionalKey(Schema.Union([Schema.Literal("round trip"), Schema.DurationFromMillis])),
  dsn: Schema.optionalKey(Schema.Struct({
    notify: Schema.optionalKey(
      Schema.Union([Schema.Literal("never"), Schema.Array(Schema.Literals(["success", "failure", "delay"]))])
    ),
    ret: Schema.optionalKey(Schema.Literals(["full", "headers"])),
    envid: Schema.optionalKey(Schema.String)
  })),
  onUnknown: Schema.optionalKey(Schema.Literals(["fail", "reconcile-then-retry"])),
  sentCopy: Schema.optionalKey(SentCopyPolicy)
})

/**
 * The draft has its sender, date and Message-ID, so that the message sent is the one that was planned. `recipients` are
 * the addresses of the envelope, `size` is in octets, `wait` is how long the rate windows would hold it back.
 */
export class Send extends Schema.TaggedClass<Send>("effect-mail/Plan/Send")("Send", {
  draft: SelfContained,
  recipients: Schema.Array(Schema.String),
  size: Schema.Int,
  wait: Schema.optionalKey(Schema.DurationFromMillis),
  options: SendOptions
}) {
  toDraft(): Draft {
    const { attachments, ...rest } = this.draft
    return new Draft({
      ...rest,
      ...(attachments === undefined ? {} : { attachments: attachments.map((each) => new Attachment(each)) })
    })
  }
}

/** One change. */
export const PlanStep = Schema.Union([
  CreateMailbox,
  RenameMailbox,
  DeleteMailbox,
  Subscribe,
  Unsubscribe,
  Flag,
  Copy,
  Move,
  Remove,
  Append,
  Send
])
export type PlanStep = typeof PlanStep.Type

/**
 * The changes of one account, in order. `toString()` tells a person what would happen; stored as JSON by
 * `Schema.toCodecJson(Plan)`, it holds the drafts and their attachments.
 */
export class Plan extends Schema.Class<Plan>("effect-mail/Plan")({
  account: Schema.String,
  steps: Schema.Array(PlanStep)
}) {
  override toString(): string {
    if (this.steps.length === 0) return `Nothing would be changed in ${quoted(this.account)}.`
    const width = String(this.steps.length).length
    return [
      `What would be changed in ${quoted(this.account)}:`,
      ...this.steps.flatMap((step, index) => {
        const [line, ...details] = linesOf(step)
        return [
          `${String(index + 1).padStart(width)}. ${line}`,
          ...details.map((each) => `${" ".repeat(width + 4)}${each}`)
        ]
      })
    ].join("\n")
  }
}

const linesOf = (step: PlanStep): ReadonlyArray<string> => {
  switch (step._tag) {
    case "CreateMailbox":
      return [`create mailbox ${quoted(step.mailbox)}${step.isThere ? ", which is there already" : ""}`]
    case "RenameMailbox":
      return [`rename mailbox ${quoted(step.from)} to ${quoted(step.to)}`]
    case "DeleteMailbox":
      return [
        `delete mailbox ${quoted(step.mailbox)}` +
        (step.lost === undefined ? ", which is not there" : ` and the ${count(step.lost, "message")} in it, for ever`)
      ]
    case "Subscribe":
      return [`subscribe to mailbox ${quoted(step.mailbox)}`]
    case "Unsubscribe":
      return [`unsubscribe from mailbox ${quoted(step.mailbox)}`]
    case "Flag":
      return [`${flagging(step)} ${of(step)}`, ...shown(step)]
    case "Copy":
      return [`copy ${of(step)} to ${quoted(step.to)}`, ...shown(step)]
    case "Move":
      return [`move ${of(step)} to ${quoted(step.to)}`, ...shown(step)]
    case "Remove":
      return [
        step.trash === undefined ? `remove ${of(step)}, for ever` : `remove ${of(step)}, into ${quoted(step.trash)}`,
        ...shown(step)
      ]
    case "Append":
      return [
        `file ${titled(step.subject)} in ${quoted(step.mailbox)} (${bytes(step.source.length)})` +
        (step.flags.length === 0 ? "" : ` with ${step.flags.map(plain).join(" ")}`)
      ]
    case "Send": {
      const files = step.draft.attachments?.length ?? 0
      return [
        `send ${titled(step.draft.subject)} (${bytes(step.size)}${
          files === 0 ? "" : `, ${count(files, "attachment")}`
        })` +
        (step.wait === undefined ? "" : `, after ${Duration.format(step.wait)} for the rate limits`),
        `to ${step.recipients.map(plain).join(", ")}`,
        ...conditions(step.options)
      ]
    }
  }
}

const conditions = ({ allRecipients, dsn, hold, onUnknown, sentCopy }: Send["options"]): ReadonlyArray<string> => [
  ...(allRecipients === true ? ["only if every recipient is taken"] : []),
  ...(hold === undefined
    ? []
    : [`its end held back for ${hold === "round trip" ? "a round trip" : Duration.format(hold)}`]),
  ...(dsn === undefined ? [] : ["asking for notifications of delivery"]),
  ...(onUnknown === "reconcile-then-retry"
    ? ["looked for where its fate is unknown, and sent again if it was certainly not taken"]
    : []),
  ...(sentCopy === "always" ? ["with a copy for the sender"] : []),
  ...(sentCopy === "never" ? ["without a copy for the sender"] : [])
]

interface OfMessages {
  readonly messages: MessageSet
  readonly first: ReadonlyArray<PlannedMessage>
}

const of = ({ messages }: OfMessages) => `${count(messages.size, "message")} of ${quoted(messages.mailbox)}`

const shown = ({ first, messages }: OfMessages): ReadonlyArray<string> => {
  const more = messages.size - first.length
  return [
    ...first.map(({ from, size, subject, uid }) =>
      `UID ${uid}: ${titled(subject)}${from === undefined ? "" : ` from ${plain(from)}`} (${bytes(size)})`
    ),
    ...(more > 0 ? [`and ${more} more: all of UID ${messages.toRange()}`] : [])
  ]
}

const flagging = ({ add, remove, set }: Flag): string => {
  if (add !== undefined) return `add the flags ${add.map(plain).join(" ")} to`
  if (remove !== undefined) return `take the flags ${remove.map(plain).join(" ")} from`
  return set === undefined || set.length === 0
    ? "take all flags from"
    : `set exactly the flags ${set.map(plain).join(" ")} of`
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`

const bytes = (size: number): string =>
  size < 1_000
    ? `${size} B`
    : size < 1_000_000
    ? `${(size / 1_000).toFixed(1)} kB`
    : `${(size / 1_000_000).toFixed(1)} MB`

const titled = (subject: string | undefined) =>
  subject === undefined || subject === "" ? "(no subject)" : quoted(subject)

const quoted = (text: string) => `"${plain(text).replaceAll("\"", "\\\"")}"`

/** A stranger's subject must not move the cursor of a terminal, or turn the order of what is read. */
const plain = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`)
