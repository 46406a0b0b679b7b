/**
 * Raw messages for tests, demos and benchmarks: varied, from a seed, the same on every machine. Every line ends in
 * CRLF, the last one too. Each message comes with what a reader should find in it. Nothing here knows a mail library.
 */
import { makers, type SampleAttachment, type SampleKind, type SampleShape } from "./SampleKinds.ts"
import { SampleRandom, toOctets } from "./SampleMime.ts"

export type { SampleAttachment, SampleKind } from "./SampleKinds.ts"

/** One message and what is expected of it. */
export interface SampleMessage {
  readonly kind: SampleKind
  /** The message as it is stored and sent. */
  readonly source: Uint8Array
  /** The subject, decoded and unfolded. */
  readonly subject: string
  /** With angle brackets; absent where the message has none. */
  readonly messageId: string | undefined
  /** Words of the decoded text (in HTML where there is only HTML); absent where no reader can be expected to find them. */
  readonly text: string | undefined
  readonly attachments: ReadonlyArray<SampleAttachment>
  /** The message breaks the rules of RFC 5322 or MIME; a reader has to survive it. */
  readonly broken: boolean
}

/** What to make. */
export interface SampleOptions {
  readonly seed: number
  readonly count: number
  /** About how many octets of text each message has; 400 where absent. */
  readonly size?: number
  /** The kinds to choose from; all where absent. */
  readonly kinds?: ReadonlyArray<SampleKind>
}

// the keys of an object literal are its names and nothing else
const kinds = Object.keys(makers) as ReadonlyArray<SampleKind>

const defaultSize = 400

/** Noon of 1 January 2026, from where the dates of the messages count in minutes. */
const start = Date.UTC(2026, 0, 1, 12)

/** Messages of every kind. In any run of as many messages as there are kinds, from the first on, each kind comes once. */
const make = (options: SampleOptions): ReadonlyArray<SampleMessage> => {
  const { count, kinds: chosen = kinds, seed, size = defaultSize } = options
  const random = new SampleRandom(seed)
  const messages: Array<SampleMessage> = []
  const ids: Array<string> = []
  let order: Array<SampleKind> = []
  for (let index = 0; index < count; index++) {
    if (order.length === 0) order = random.shuffle(chosen)
    const kind = order.pop()
    if (kind === undefined) break
    const id = `<${seed}.${index}@samples.example.com>`
    const subject = `Sample ${index} of kind ${kind}`
    const shape: SampleShape = makers[kind]({
      random,
      size,
      subject,
      boundary: `=_${seed}_${index}_${random.below(2 ** 32).toString(36)}`,
      references: ids.slice(-1 - random.below(5))
    })
    const without = shape.without ?? []
    if (!without.includes("Message-ID")) ids.push(id)
    messages.push({
      kind,
      source: toOctets(assemble(shape, { date: date(index), id, subject })),
      subject: shape.subject?.reads ?? subject,
      messageId: without.includes("Message-ID") ? undefined : id,
      text: shape.text,
      attachments: shape.attachments ?? [],
      broken: shape.broken === true
    })
  }
  return messages
}

/** The ordinary fields, except those the kind leaves out or has written itself, then the kind's own. */
const assemble = (
  shape: SampleShape,
  ordinary: { readonly date: string; readonly id: string; readonly subject: string }
): string => {
  const own = shape.fields ?? []
  const fields = [
    "Return-Path: <ann@example.com>",
    "Received: from mx.example.net by mail.example.com with ESMTPS;\r\n\tThu, 01 Jan 2026 12:00:00 +0000",
    "From: Ann Sample <ann@example.com>",
    "To: Bob Sample <bob@example.com>",
    `Subject: ${shape.subject?.written ?? ordinary.subject}`,
    `Date: ${ordinary.date}`,
    `Message-ID: ${ordinary.id}`,
    "MIME-Version: 1.0"
  ].filter((field) => {
    const name = nameOf(field)
    return shape.without?.includes(name) !== true && !own.some((other) => nameOf(other) === name)
  })
  const message = [...fields, ...own, shape.entity].join("\r\n")
  return message.endsWith("\r\n") ? message : `${message}\r\n`
}

const nameOf = (field: string) => field.slice(0, field.indexOf(":"))

const date = (index: number) => new Date(start + index * 60_000).toUTCString().replace("GMT", "+0000")

/**
 * A plain ASCII message of exactly so many octets, for benchmarks. Throws a `RangeError` where its header alone is
 * longer. No line begins with a dot, so the size on an SMTP wire is the same.
 */
const plain = (options: { readonly index: number; readonly octets: number }): Uint8Array => {
  const { index, octets } = options
  const header = [
    `From: Sender ${index} <sender${index}@example.com>`,
    "To: Reader <reader@example.com>",
    `Subject: Message ${index}`,
    `Date: ${date(index)}`,
    `Message-ID: <plain.${index}@samples.example.com>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
    "",
    ""
  ].join("\r\n")
  const source = new Uint8Array(octets)
  if (octets < header.length + 2) {
    throw new RangeError(`a plain sample of ${octets} octets: header and one line need ${header.length + 2}`)
  }
  new TextEncoder().encodeInto(header, source)
  for (let line = header.length; line < octets;) {
    const left = octets - line
    const length = left > lineOctets + 2 ? lineOctets : left
    for (let column = 0; column < length - 2; column++) source[line + column] = 97 + ((line + column + index) % 26)
    source[line + length - 2] = 13
    source[line + length - 1] = 10
    line += length
  }
  return source
}

/** A line of 76 characters and its CRLF. */
const lineOctets = 78

/** Deterministic sample messages. */
export const SampleMail = { kinds, make, plain } as const
