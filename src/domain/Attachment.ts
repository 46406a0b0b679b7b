/** What a draft can carry beside its text: files, other forms of the text, an invitation. */
import { Schema, Stream } from "effect"
import { madeByHand } from "./MadeByHand.ts"

/** The octets of an attachment as a stream that can be run more than once. */
const ByteStream = Schema.declare(
  (u: unknown): u is Stream.Stream<Uint8Array, unknown> => Stream.isStream(u),
  { identifier: "ByteStream" }
)

/** Where the octets of an attachment come from: given, a file read when the draft is composed, or a stream. */
const Content = Schema.Union([
  Schema.Struct({ bytes: Schema.Uint8Array }),
  Schema.Struct({ text: Schema.String }),
  Schema.Struct({ path: Schema.NonEmptyString }),
  Schema.Struct({ stream: ByteStream })
])

/**
 * An attachment. With `disposition: "inline"` it can be shown inside the HTML as `cid:` and its `contentId`, which has no
 * angle brackets; given with them, it is sent without a second pair.
 */
export class Attachment extends madeByHand(
  Schema.Class<Attachment>("effect-mail/Attachment")({
    content: Content,
    filename: Schema.optionalKey(Schema.String),
    type: Schema.optionalKey(Schema.String),
    disposition: Schema.optionalKey(Schema.Literals(["attachment", "inline"])),
    contentId: Schema.optionalKey(Schema.String)
  })
) {}

/** Another form of the same text (RFC 2046 5.1.4), for instance "text/x-amp-html"; `type` with its parameters. */
export class Alternative extends madeByHand(
  Schema.Class<Alternative>("effect-mail/Alternative")({
    type: Schema.String,
    text: Schema.String
  })
) {}

/**
 * An invitation, its answer or its cancellation (RFC 5546): the text of an iCalendar object (RFC 5545) and the METHOD
 * it names, "REQUEST", "REPLY", "CANCEL" and so on. It is sent as an alternative of the text, which mail programs show
 * as an invitation, and as a file, for those that do not (RFC 6047 2.4).
 */
export class Invitation extends madeByHand(
  Schema.Class<Invitation>("effect-mail/Invitation")({
    method: Schema.String,
    text: Schema.String,
    filename: Schema.optionalKey(Schema.String)
  })
) {}
