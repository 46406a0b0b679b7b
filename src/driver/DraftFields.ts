/**
 * A draft taken apart and checked before anything is composed: addresses, header fields, ids and the octets of
 * attachments. Everything that reaches the composer from here is free of line breaks, so no value can become a header
 * of its own (header injection). Knows nothing of the package that writes the message.
 */
import { Effect } from "effect"
import { isMailbox } from "../domain/AddressText.ts"
import type { AddressInput, Attachment, Draft } from "../domain/Draft.ts"
import { InvalidInput, TooLarge } from "../domain/MailError.ts"
import { readContent, type Room } from "./AttachmentBytes.ts"
import { canonicalText } from "./LineEnds.ts"
import type { ComposeOptions } from "./MessageComposer.ts"

/** One mailbox, or a named group of them (RFC 5322 3.4). */
export interface Mailbox {
  readonly name: string
  readonly address: string
}
export interface Group {
  readonly name: string
  readonly group: ReadonlyArray<Mailbox>
}

/** Reads the text of an address field; what is no address comes back with an empty `address`. */
export type ReadAddresses = (text: string) => ReadonlyArray<Mailbox | Group>

export interface Part {
  readonly content: Buffer
  readonly type: string | undefined
  readonly filename: string | undefined
  readonly disposition: "attachment" | "inline" | undefined
  readonly contentId: string | undefined
}

/** Another form of the text, its media type with parameters. */
export interface Alternative {
  readonly type: string
  readonly text: string
}

/** An invitation: the METHOD in upper case, the iCalendar text, the name of the file. */
export interface Invitation {
  readonly method: string
  readonly content: string
  readonly filename: string
}

/** A draft that can be composed. */
export interface DraftFields {
  readonly from: Mailbox
  readonly sender: Mailbox | undefined
  readonly replyTo: ReadonlyArray<Mailbox | Group>
  readonly to: ReadonlyArray<Mailbox | Group>
  readonly cc: ReadonlyArray<Mailbox | Group>
  readonly bcc: ReadonlyArray<Mailbox | Group>
  readonly subject: string | undefined
  readonly text: string | undefined
  readonly html: string | undefined
  readonly alternatives: ReadonlyArray<Alternative>
  readonly calendar: Invitation | undefined
  readonly attachments: ReadonlyArray<Part>
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly messageId: string
  readonly inReplyTo: string | undefined
  readonly references: ReadonlyArray<string>
  readonly date: Date
}

/** Checks a draft and reads its attachments. Fails with `InvalidInput` naming the first field that cannot be used. */
export const draftFields = Effect.fnUntraced(function*(
  draft: Draft,
  recipients: ComposeOptions["recipients"],
  maxBytes: number,
  read: ReadAddresses
): Effect.fn.Return<DraftFields, InvalidInput | TooLarge> {
  const list = (field: string, given: AddressInput | ReadonlyArray<AddressInput> | undefined) =>
    given === undefined ? none : mailboxes(field, given, read)
  const only = Effect.fnUntraced(function*(field: string, given: AddressInput | undefined) {
    if (given === undefined) return undefined
    const found = yield* list(field, given)
    const [first] = found
    if (first === undefined) return undefined
    if (found.length > 1 || !("address" in first)) return yield* invalid(field, "is not one single address")
    return first
  })
  const from = yield* only("from", draft.from)
  if (from === undefined) return yield* invalid("from", "a message needs a sender")
  const sender = yield* only("sender", draft.sender)
  const to = yield* list("to", draft.to)
  const cc = yield* list("cc", draft.cc)
  const bcc = yield* list("bcc", draft.bcc)
  if (recipients === "required" && ![...to, ...cc, ...bcc].some((each) => "address" in each || each.group.length > 0)) {
    return yield* invalid("to", "a message needs a recipient")
  }
  const replyTo = yield* list("replyTo", draft.replyTo)
  const subject = draft.subject === undefined ? undefined : yield* line("subject", draft.subject)
  if (draft.messageId === undefined) return yield* invalid("messageId", "a message needs a Message-ID")
  const messageId = yield* id("messageId", draft.messageId)
  const inReplyTo = draft.inReplyTo === undefined ? undefined : yield* id("inReplyTo", draft.inReplyTo)
  const references = yield* Effect.forEach(draft.references ?? [], (each) => id("references", each))
  if (draft.date === undefined || Number.isNaN(draft.date.getTime())) {
    return yield* invalid("date", "a message needs a date")
  }
  const headers = yield* custom(draft)
  const alternatives = yield* Effect.forEach(
    draft.alternatives ?? [],
    ({ text, type }, index) =>
      Effect.map(
        media(`alternatives[${index}].type`, type),
        (type) => ({ type, text: canonicalText(text.toWellFormed()) })
      )
  )
  const calendar = yield* invitation(draft)
  const texts = [draft.text, draft.html, calendar?.content, ...alternatives.map(({ text }) => text)]
  let octets = texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), 0)
  if (octets > maxBytes) return yield* new TooLarge({ size: octets, limit: maxBytes })
  const attachments = yield* Effect.forEach(
    draft.attachments ?? [],
    (each, index) =>
      // one after another, each told how much room is left
      Effect.tap(part(`attachments[${index}]`, each, { before: octets, limit: maxBytes }), ({ content }) =>
        Effect.sync(() => {
          octets += content.length
        }))
  )
  return {
    from,
    sender,
    replyTo,
    to,
    cc,
    bcc,
    subject,
    text: body(draft.text),
    html: body(draft.html),
    alternatives,
    calendar,
    attachments,
    headers,
    messageId,
    inReplyTo,
    references,
    date: draft.date
  }
})

const none = Effect.succeed<ReadonlyArray<Mailbox | Group>>([])

const invalid = (field: string, problem: string, position?: number): InvalidInput =>
  new InvalidInput({ field, problem, ...(position === undefined ? {} : { position }) })

const body = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : canonicalText(text.toWellFormed())

/** CR, LF and NUL end or break a header field; nothing of ours may hold them. */
const line = (field: string, text: string): Effect.Effect<string, InvalidInput> => {
  const position = text.search(/[\r\n\0]/)
  return position === -1
    ? Effect.succeed(text.toWellFormed())
    : Effect.fail(invalid(field, "a header must not hold a line break or NUL", position))
}

/**
 * A line has 998 octets at most, and can be folded between words only (RFC 5322 2.1.1). What servers do with a longer one
 * is their own affair: they refuse it, or break it, and signatures with it.
 */
const words = (field: string, text: string): Effect.Effect<string, InvalidInput> => {
  const long = (text.match(/\S+/g) ?? []).find((word) => Buffer.byteLength(word) > maxWord)
  return long === undefined
    ? Effect.succeed(text)
    : Effect.fail(invalid(field, `a word of ${Buffer.byteLength(long)} octets does not fit into a line`))
}

const fitting = (field: string, text: string) => Effect.flatMap(line(field, text), (text) => words(field, text))

/** Octets of a word in a header: quoted, it can become twice as long. */
const maxWord = 400

const mailboxes = Effect.fnUntraced(function*(
  field: string,
  given: AddressInput | ReadonlyArray<AddressInput>,
  read: ReadAddresses
): Effect.fn.Return<ReadonlyArray<Mailbox | Group>, InvalidInput> {
  const found: Array<Mailbox | Group> = []
  for (const input of isList(given) ? given : [given]) {
    if (typeof input === "string") {
      const text = yield* line(field, input)
      for (const entry of read(text)) {
        yield* words(field, entry.name)
        for (const each of "group" in entry ? entry.group : [entry]) {
          yield* mailbox(field, isWritten(text, each) ? each.address : "", text)
        }
        found.push(entry)
      }
    } else {
      const name = yield* fitting(field, input.name ?? "")
      found.push({ name, address: yield* mailbox(field, input.address, input.toString()) })
    }
  }
  return found
})

/** Readers of addresses drop what does not fit: "bob@exa mple.org" must not become bob@exa with the name "mple.org". */
const isWritten = (text: string, { address, name }: Mailbox): boolean =>
  name === "" || text.includes(`(${name})`) ||
  text.replace(/<\s+|\s+>/g, (each) => each.trim()).includes(`<${address}>`)

const isList = (given: AddressInput | ReadonlyArray<AddressInput>): given is ReadonlyArray<AddressInput> =>
  Array.isArray(given)

const mailbox = (field: string, address: string, text: string): Effect.Effect<string, InvalidInput> =>
  isMailbox(address)
    ? words(field, address)
    : Effect.fail(invalid(field, `${JSON.stringify(text)} is not an address`))

const id = Effect.fnUntraced(function*(field: string, text: string): Effect.fn.Return<string, InvalidInput> {
  const trimmed = (yield* line(field, text)).trim()
  const inner = /^<.*>$/.test(trimmed) ? trimmed.slice(1, -1) : trimmed
  // What is not ASCII has no encoded form here, and without SMTPUTF8 it must not be there (RFC 5322 3.6.4, RFC 6532 3.3).
  if (!/^[\x21-\x3b\x3d\x3f-\x7e]+$/.test(inner)) {
    return yield* invalid(field, `${JSON.stringify(text)} is not an id: printable ASCII without space, < and >`)
  }
  return yield* words(field, `<${inner}>`)
})

// The fields that a draft has members for, or that composing decides.
const ownFields = new Set(
  "from sender reply-to to cc bcc subject date message-id in-reply-to references mime-version".split(" ")
)

const custom = Effect.fnUntraced(function*(
  draft: Draft
): Effect.fn.Return<ReadonlyArray<readonly [string, string]>, InvalidInput> {
  const headers: Array<readonly [string, string]> = priority[draft.priority ?? "normal"].map((each) => each)
  const taken = new Set(headers.map(([name]) => name.toLowerCase()))
  for (const [name, value] of Object.entries(draft.headers ?? {})) {
    const field = `headers.${name}`
    const key = name.toLowerCase()
    // RFC 5322 3.6.8: printable US-ASCII without the colon
    if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name)) return yield* invalid(field, "is not the name of a header")
    if (ownFields.has(key) || key.startsWith("content-") || taken.has(key)) {
      return yield* invalid(field, "is set by the draft itself and must not be there twice")
    }
    yield* words(field, name)
    headers.push([name, yield* fitting(field, value)])
  }
  return headers
})

// RFC 2156 5.3.6 has Importance; X-Priority and X-MSMail-Priority are what mail programs read.
const priority = {
  high: [["X-Priority", "1 (Highest)"], ["X-MSMail-Priority", "High"], ["Importance", "High"]],
  normal: [],
  low: [["X-Priority", "5 (Lowest)"], ["X-MSMail-Priority", "Low"], ["Importance", "Low"]]
} as const satisfies { readonly [level: string]: ReadonlyArray<readonly [string, string]> }

const token = "[A-Za-z0-9!#$&^_.+-]+"
const mediaType = new RegExp(`^${token}/${token}(?:\\s*;.*)?$`)

const media = Effect.fnUntraced(function*(field: string, given: string): Effect.fn.Return<string, InvalidInput> {
  const type = yield* line(field, given)
  if (mediaType.test(type) && !/^multipart\//i.test(type)) return yield* words(field, type)
  return yield* invalid(field, `${JSON.stringify(type)} is not the media type of a part`)
})

const invitation = Effect.fnUntraced(function*(
  { calendar }: Draft
): Effect.fn.Return<Invitation | undefined, InvalidInput> {
  if (calendar === undefined) return undefined
  const { filename, method, text } = calendar
  // RFC 5545 3.7.2: an iana-token
  if (!/^[A-Za-z0-9-]+$/.test(method)) {
    return yield* invalid("calendar.method", `${JSON.stringify(method)} is not a method of iTIP`)
  }
  const named = /^METHOD[^:\r\n]*:[ \t]*([^\s]+)/im.exec(text)?.[1]
  if (named !== undefined && named.toUpperCase() !== method.toUpperCase()) {
    return yield* invalid("calendar.method", `the calendar itself names the method ${JSON.stringify(named)}`)
  }
  return {
    method: method.toUpperCase(),
    content: canonicalText(text.toWellFormed()),
    filename: yield* fitting("calendar.filename", filename ?? "invite.ics")
  }
})

const part = Effect.fnUntraced(function*(
  field: string,
  given: Attachment,
  room: Room
): Effect.fn.Return<Part, InvalidInput | TooLarge> {
  // no name is as good as an empty one
  const filename = given.filename ? yield* fitting(`${field}.filename`, given.filename) : undefined
  const type = given.type === undefined ? undefined : yield* media(`${field}.type`, given.type)
  const contentId = given.contentId === undefined ? undefined : yield* id(`${field}.contentId`, given.contentId)
  const read = yield* readContent(field, given.content, room)
  return {
    content: read.octets,
    type: type ?? (filename === undefined ? read.type : undefined),
    filename: filename ?? read.filename,
    disposition: given.disposition,
    contentId
  }
})
