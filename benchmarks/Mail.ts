/**
 * What the servers hold: mailboxes as recipes, so that a server in another process can make the same messages, and the
 * digest that everybody who reads them must arrive at.
 */
import { SampleMail } from "effect-mail/testing"
import { crc32 } from "node:zlib"
import type { Digest } from "./Harness.ts"

export interface MailboxRecipe {
  readonly path: string
  readonly count: number
  /** Octets of each message. */
  readonly octets: number
  /** Plain text of exactly that size, or messages of every well-formed kind with about that much text. */
  readonly kind: "plain" | "mixed"
}

/** Kinds a mail client sees every day: no broken ones, whose reading is a matter of taste. */
const everyday = new Set(
  SampleMail.make({ seed: 1, count: SampleMail.kinds.length }).filter((m) => !m.broken).map((m) => m.kind)
)

export function* messagesOf({ count, kind, octets }: MailboxRecipe): Generator<Uint8Array> {
  if (kind === "plain") {
    for (let index = 0; index < count; index++) yield SampleMail.plain({ index, octets })
  } else {
    for (const { source } of SampleMail.make({ seed: 7, count, size: octets, kinds: [...everyday] })) yield source
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
