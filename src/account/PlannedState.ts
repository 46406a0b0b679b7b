/**
 * The account as it would be after the steps of a plan: which mailboxes there are under which names, which messages have
 * left them, how many have come, how much space is taken. Everything else is as the server says.
 */
import { mailboxName } from "../domain/MailboxName.ts"
import type { PlannedStart } from "./PlannedPace.ts"

/** What a name means after the plan: a mailbox of the server by its name there, one of the plan, or none. */
export type Place =
  | { readonly _tag: "Real"; readonly path: string }
  | { readonly _tag: "Planned"; readonly id: number }
  | { readonly _tag: "Absent" }

type Edit =
  | { readonly _tag: "Created"; readonly path: string }
  | { readonly _tag: "Deleted"; readonly path: string }
  | { readonly _tag: "Renamed"; readonly from: string; readonly to: string; readonly delimiter: string | null }

const absent: Place = { _tag: "Absent" }

/** A value: every step makes a new one. */
export class PlannedState {
  readonly #edits: ReadonlyArray<Edit>
  /** UIDs that have left a mailbox of the server, by its name there; "all" where it was emptied. */
  readonly #left: ReadonlyMap<string, ReadonlySet<number> | "all">
  /** How many messages have come into a mailbox, by the key of its place. */
  readonly #arrived: ReadonlyMap<string, number>
  /** Octets by which the used space has grown. */
  readonly octets: number
  readonly sends: ReadonlyArray<PlannedStart>

  constructor(
    edits: ReadonlyArray<Edit> = [],
    left: ReadonlyMap<string, ReadonlySet<number> | "all"> = new Map(),
    arrived: ReadonlyMap<string, number> = new Map(),
    octets = 0,
    sends: ReadonlyArray<PlannedStart> = []
  ) {
    this.#edits = edits
    this.#left = left
    this.#arrived = arrived
    this.octets = octets
    this.sends = sends
  }

  /** What the name means now. A real mailbox need not exist: that is the server's to say. */
  resolve(mailbox: string): Place {
    let path = mailboxName(mailbox)
    for (const [index, edit] of [...this.#edits.entries()].toReversed()) {
      if (edit._tag === "Created" && edit.path === path) return { _tag: "Planned", id: index }
      if (edit._tag === "Deleted" && edit.path === path) return absent
      if (edit._tag === "Renamed") {
        const inner = below(path, edit.to, edit.delimiter)
        if (inner !== undefined) path = edit.from + inner
        else if (below(path, edit.from, edit.delimiter) !== undefined) return absent
      }
    }
    return { _tag: "Real", path }
  }

  /** The name that a mailbox of the server has now; undefined where it was deleted. */
  nameOf(path: string): string | undefined {
    let name = path
    for (const edit of this.#edits) {
      if (edit._tag === "Deleted" && edit.path === name) return undefined
      const inner = edit._tag === "Renamed" ? below(name, edit.from, edit.delimiter) : undefined
      if (edit._tag === "Renamed" && inner !== undefined) name = edit.to + inner
    }
    return name
  }

  isEmptied(path: string): boolean {
    return this.#left.get(path) === "all"
  }

  /** Those of the UIDs that have not left the mailbox. */
  remaining(path: string, uids: ReadonlyArray<number>): ReadonlyArray<number> {
    const left = this.#left.get(path)
    if (left === undefined) return uids
    return left === "all" ? [] : uids.filter((uid) => !left.has(uid))
  }

  /** The messages in it, of which the server counts `messages`. */
  messagesIn(place: Place, messages: number): number {
    const left = place._tag === "Real" ? this.#left.get(place.path) : undefined
    return (left === "all" ? 0 : messages - (left?.size ?? 0)) + (this.#arrived.get(keyOf(place)) ?? 0)
  }

  created(path: string): PlannedState {
    return this.#with({ edits: [...this.#edits, { _tag: "Created", path: mailboxName(path) }] })
  }

  deleted(path: string): PlannedState {
    return this.#with({ edits: [...this.#edits, { _tag: "Deleted", path: mailboxName(path) }] })
  }

  /** With everything below it; INBOX stays, and its messages move (RFC 9051 6.3.6). `messages`: how many it has. */
  renamed(from: string, to: string, delimiter: string | null, messages: number): PlannedState {
    if (mailboxName(from) !== "INBOX") {
      return this.#with({ edits: [...this.#edits, { _tag: "Renamed", from, to, delimiter }] })
    }
    const made = this.created(to)
    const arrived = new Map(made.#arrived).set(keyOf(made.resolve(to)), messages).set(keyOf(made.resolve("INBOX")), 0)
    return made.#with({ left: new Map(made.#left).set("INBOX", "all"), arrived })
  }

  /** Messages have left a mailbox of the server. */
  without(path: string, uids: ReadonlyArray<number>): PlannedState {
    const before = this.#left.get(path)
    if (before === "all") return this
    return this.#with({ left: new Map(this.#left).set(path, new Set([...before ?? [], ...uids])) })
  }

  withArrivals(mailbox: string, messages: number): PlannedState {
    const key = keyOf(this.resolve(mailbox))
    return this.#with({ arrived: new Map(this.#arrived).set(key, (this.#arrived.get(key) ?? 0) + messages) })
  }

  withOctets(octets: number): PlannedState {
    return this.#with({ octets: this.octets + octets })
  }

  withSend(start: PlannedStart): PlannedState {
    return this.#with({ sends: [...this.sends, start] })
  }

  #with(changes: {
    readonly edits?: ReadonlyArray<Edit>
    readonly left?: ReadonlyMap<string, ReadonlySet<number> | "all">
    readonly arrived?: ReadonlyMap<string, number>
    readonly octets?: number
    readonly sends?: ReadonlyArray<PlannedStart>
  }): PlannedState {
    return new PlannedState(
      changes.edits ?? this.#edits,
      changes.left ?? this.#left,
      changes.arrived ?? this.#arrived,
      changes.octets ?? this.octets,
      changes.sends ?? this.sends
    )
  }
}

const keyOf = (place: Place): string =>
  place._tag === "Real" ? `real ${place.path}` : place._tag === "Planned" ? `planned ${place.id}` : ""

/** What follows the name of a mailbox in the name of one at it or below it: "" for itself. */
const below = (path: string, mailbox: string, delimiter: string | null): string | undefined => {
  if (path === mailbox) return ""
  return delimiter !== null && path.startsWith(mailbox + delimiter) ? path.slice(mailbox.length) : undefined
}
