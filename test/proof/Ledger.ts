/**
 * What is known about each message of a crowd of agents from the answers alone: where it is and with which flags, or,
 * once an answer was lost, which few states it may be in. Compared in the end with what the server holds.
 */
import type { MessageRef } from "../../src/index.ts"

/** One message in one mailbox. */
export interface Place {
  readonly ref: MessageRef
  readonly flags: ReadonlySet<string>
}

/** A message as the server shows it: its mailbox and flags. */
export interface Found {
  readonly mailbox: string
  readonly flags: Iterable<string>
}

/** One letter and its copies. */
export class Letter {
  readonly token: string
  /** Where it is. Of no meaning once it is in doubt. */
  places: ReadonlyArray<Place>
  #possible: ReadonlySet<string> | undefined
  /** What was asked for when it came into doubt. */
  why = ""
  /** What was asked for before, for the messages of failures. */
  readonly history: Array<string> = []

  constructor(token: string, places: ReadonlyArray<Place>) {
    this.token = token
    this.places = places
  }

  get isCertain(): boolean {
    return this.#possible === undefined
  }

  /** An answer was lost: it is as before, or in one of these states. */
  doubt(why: string, ...states: ReadonlyArray<ReadonlyArray<Found>>): void {
    this.why = why
    this.#possible = new Set([written(this.places.map(found)), ...states.map(written)])
  }

  /** What is wrong about what the server holds of it; undefined if nothing is. */
  wrong(actual: ReadonlyArray<Found>): string | undefined {
    const possible = this.#possible ?? new Set([written(this.places.map(found))])
    const is = written(actual)
    return possible.has(is)
      ? undefined
      : `${this.token} is [${is}], and should be [${[...possible].join("] or [")}] ${this.why} (${
        this.history.join("; ")
      })`
  }
}

export const found = ({ flags, ref }: Place): Found => ({ mailbox: ref.mailbox, flags })

const written = (places: ReadonlyArray<Found>): string =>
  places.map(({ flags, mailbox }) =>
    [mailbox, ...[...flags].filter((flag) => flag !== "\\Recent").map((flag) => flag.toLowerCase()).sort()].join(" ")
  ).sort().join(", ")

/** All that was ever filed. */
export class Ledger {
  readonly letters: Array<Letter> = []

  /** Everything that is not as the answers say, of all letters, and of messages that nobody filed. */
  differences(actual: ReadonlyMap<string, ReadonlyArray<Found>>): ReadonlyArray<string> {
    const known = new Set(this.letters.map(({ token }) => token))
    return [
      ...this.letters.flatMap((letter) => letter.wrong(actual.get(letter.token) ?? []) ?? []),
      ...[...actual.keys()].filter((token) => !known.has(token)).map((token) => `nobody filed ${token}`)
    ]
  }
}
