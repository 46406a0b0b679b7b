/**
 * What the servers hold: mailboxes as recipes, so that a server in another process can make the same messages, and the
 * digest that everybody who reads them must arrive at.
 */
import { SampleMail, type SampleMessage } from "effect-mail/testing"
import { crc32 } from "node:zlib"
import type { Digest } from "./Harness.ts"

export interface MailboxRecipe {
  readonly path: string
  readonly count: number
  /** Octets of each message. */
  readonly octets: number
  /**
   * Plain text of exactly that size; or messages of every well-formed kind with about that much text; or of those kinds
   * that all parsers read alike.
   */
  readonly kind: "plain" | "mixed" | "alike"
}

/** Kinds a mail client sees every day: no broken ones, whose reading is a matter of taste. */
const everyday = new Set(
  SampleMail.make({ seed: 1, count: SampleMail.kinds.length }).filter((m) => !m.broken).map((m) => m.kind)
)

/** Parsers disagree on UTF-16 without a mark, quotes in flowed text, line ends in attached text, and two texts in one message. */
const disputed = new Set<SampleMessage["kind"]>(["utf-16", "flowed", "forwarded", "calendar", "nested"])

/** Messages with what a reader should find in them. */
export const samplesOf = ({ count, kind, octets }: MailboxRecipe): ReadonlyArray<SampleMessage> =>
  SampleMail.make({
    seed: 7,
    count,
    size: octets,
    kinds: [...everyday].filter((name) => kind !== "alike" || !disputed.has(name))
  })

export function* messagesOf(recipe: MailboxRecipe): Generator<Uint8Array> {
  if (recipe.kind === "plain") {
    for (let index = 0; index < recipe.count; index++) yield SampleMail.plain({ index, octets: recipe.octets })
  } else {
    for (const { source } of samplesOf(recipe)) yield source
  }
}

/** Sums up sources in any order. */
export class Tally {
  count = 0
  octets = 0
  checksum = 0

  add(source: Uint8Array): void {
    this.count++
    this.octets += source.length
    this.checksum = (this.checksum + crc32(source)) >>> 0
  }

  get digest(): Digest {
    return { count: this.count, octets: this.octets, checksum: this.checksum }
  }
}

/** What a parser found in a message; of attachments, their octets. */
export interface Reading {
  readonly subject: string | undefined
  readonly text: string | undefined
  readonly html: string | undefined
  readonly attachments: ReadonlyArray<number>
}

/**
 * Sums up what was read: messages, octets of their attachments and, where it is thorough, a checksum over subjects and
 * texts. Blanks are left out of that: parsers differ in line ends, and in how a text ends.
 */
export class ReadingTally {
  readonly isThorough: boolean
  count = 0
  octets = 0
  checksum = 0

  constructor(isThorough: boolean) {
    this.isThorough = isThorough
  }

  add({ attachments, html = "", subject = "", text = "" }: Reading): void {
    this.count++
    for (const octets of attachments) this.octets += octets
    if (!this.isThorough) return
    for (const read of [subject, text, html]) {
      this.checksum = (this.checksum + crc32(read.replace(/[ \t\r\n]+/g, ""))) >>> 0
    }
  }

  get digest(): Digest {
    return { count: this.count, octets: this.octets, ...(this.isThorough ? { checksum: this.checksum } : {}) }
  }
}

export const digestOf = (recipe: MailboxRecipe): Digest => {
  const tally = new Tally()
  for (const source of messagesOf(recipe)) tally.add(source)
  return tally.digest
}

/** A message that is sent: text of so many octets, the same for all who send it, and different for each index. */
export const letterOf = (index: number, octets: number) => ({
  from: "Ann Sender <user0@example.com>",
  to: "Bob Reader <bob@example.com>",
  subject: `Message ${index}`,
  text: bodyOf(SampleMail.plain({ index, octets })).toString("latin1")
})

/** What the server is to hold when so many letters were sent. */
export const digestOfLetters = (count: number, octets: number): Digest => {
  const tally = new Tally()
  for (let index = 0; index < count; index++) tally.add(Buffer.from(letterOf(index, octets).text))
  return tally.digest
}

/** What follows the header, with LF line ends and none at its end: servers write down the same body differently. */
export const bodyOf = (source: Uint8Array): Buffer => {
  const text = Buffer.from(source.buffer, source.byteOffset, source.length).toString("latin1").replaceAll("\r\n", "\n")
  return Buffer.from(text.slice(text.indexOf("\n\n") + 2).trimEnd(), "latin1")
}
