/**
 * How far a program has seen a mailbox: what it needs to be told, next time, exactly what happened since. A value to
 * store beside the effects of the events it came with, in the same transaction; `encode` makes it a string.
 */
import { Effect, Schema } from "effect"
import { MailboxName, mailboxName } from "./MailboxName.ts"
import { InvalidInput } from "./MailError.ts"
import { UidRanges } from "./UidRanges.ts"

const Ranges = Schema.String.check(
  Schema.makeFilter((text) => UidRanges.parse(text) === undefined ? "a sequence set" : undefined)
)

export class Cursor extends Schema.Class<Cursor>("effect-mail/Cursor")({
  mailbox: MailboxName,
  /** 0: nothing has been seen yet. */
  uidValidity: Schema.Int,
  uidNext: Schema.Int,
  /** The HIGHESTMODSEQ of the SELECT before the last reading (RFC 7162 3.1.2.1); 0 where the server keeps none. */
  modseq: Schema.BigInt,
  /** What was told although its mod-sequence is above `modseq`: by UID, so that it is not told again. */
  ahead: Schema.Record(Schema.String, Schema.BigInt),
  /**
   * The messages known to be there. With mod-sequences all are under "", without them each is under its flags, which
   * then are what a change is seen by.
   */
  known: Schema.Record(Schema.String, Ranges)
}) {
  /** Before the first message: the next round tells every message as arrived. */
  static start(mailbox: string): Cursor {
    return new Cursor({ mailbox: mailboxName(mailbox), uidValidity: 0, uidNext: 1, modseq: 0n, ahead: {}, known: {} })
  }

  /** The cursor as text, JSON inside. */
  static encode(cursor: Cursor): string {
    return encodeText(cursor)
  }

  /** Reads what `encode` wrote. Fails with `InvalidInput` for any other text. */
  static decode(text: string): Effect.Effect<Cursor, InvalidInput> {
    return Effect.mapError(decodeText(text), ({ message }) => new InvalidInput({ field: "cursor", problem: message }))
  }
}

const Text = Schema.fromJsonString(Schema.toCodecJson(Cursor))
const encodeText = Schema.encodeSync(Text)
const decodeText = Schema.decodeUnknownEffect(Text)
