/** Messages for the contract, octet for octet, and how a mailbox is filled with them. */
import { assert } from "@effect/vitest"
import { Effect, Latch, Option } from "effect"
import type { AppendOptions, MailError, MessageRef } from "../../src/index.ts"
import type { Account } from "./Subject.ts"

export interface Letter extends AppendOptions {
  /** Header fields; those of `ordinary` are there unless they are named here, "" leaves one out. */
  readonly fields?: Readonly<Record<string, string>>
  /** Lines are separated with CRLF. */
  readonly body?: string
}

let count = 0

/** The octets of a letter: UTF-8, every line ends in CRLF. */
export const letter = ({ body = "hello", fields = {} }: Letter = {}): Uint8Array => {
  const ordinary = {
    From: "Ann Example <ann@example.com>",
    To: "bob@example.com",
    Subject: "a letter",
    Date: "Mon, 05 Jan 2026 10:00:00 +0000",
    "Message-ID": `<${++count}@letters.example.com>`
  }
  const header = Object.entries({ ...ordinary, ...fields }).filter(([, value]) => value !== "")
  return Buffer.from([...header.map(([name, value]) => `${name}: ${value}`), "", body, ""].join("\r\n"), "utf8")
}

/** A letter of exactly so many octets, in lines of all printable ASCII. */
export const letterOf = (octets: number, subject = `${octets} octets`): Uint8Array => {
  const head = letter({ fields: { Subject: subject }, body: "" })
  assert.isAtLeast(octets, head.length)
  const source = new Uint8Array(octets).fill(0x20)
  source.set(head)
  for (let at = head.length; at < octets; at++) {
    const column = (at - head.length) % 78
    // a line is a number of its own, so that no page equals another
    source[at] = column === 76 ? 13 : column === 77 ? 10 : 33 + ((at + Math.floor(at / 78)) % 94)
  }
  return Buffer.concat([source.subarray(0, octets - 2), Buffer.from("\r\n")])
}

/** Files a message, and answers its name: every subject tells it (UIDPLUS). */
export const file = (
  account: Account,
  mailbox: string,
  message: Letter | Uint8Array = {}
): Effect.Effect<MessageRef, MailError> =>
  Effect.map(
    message instanceof Uint8Array
      ? account.append(mailbox, message)
      : account.append(mailbox, letter(message), { flags: message.flags, internalDate: message.internalDate }),
    Option.getOrThrow
  )

/** Files messages in order. */
export const fileAll = (account: Account, mailbox: string, letters: ReadonlyArray<Letter | Uint8Array>) =>
  Effect.forEach(letters, (letter) => file(account, mailbox, letter))

/** Has two connections of an account select a mailbox, and be free again. */
export const selectedTwice = (account: Account, mailbox: string) =>
  Effect.gen(function*() {
    const both = yield* Latch.make(false)
    yield* Effect.all([
      account.withMailbox(mailbox, () => both.await),
      account.withMailbox(mailbox, () => both.open)
    ], { concurrency: 2 })
  })

/** Does the same six times at once, so that it is done on every connection. */
export const sixTimes = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<ReadonlyArray<A>, E> =>
  Effect.forEach(Array.from({ length: 6 }), () => effect, { concurrency: "unbounded" })
