/**
 * Conversations among messages at hand, by what they say they answer (References and In-Reply-To), as RFC 5256 does for
 * a server. Pure, and in time nearly linear in messages and references.
 *
 * It differs from the RFC's REFERENCES where that would join strangers: by subject alone, only an answer whose
 * predecessors are not there is put to a conversation, never two first messages that share a subject.
 */
import { messageIdsIn } from "./MessageId.ts"
import { baseSubject, isAnswer } from "./Subject.ts"

/** What threading reads of a message; an `Envelope` fits. Ids with their angle brackets. */
export interface Threadable {
  readonly messageId?: string
  readonly inReplyTo?: string
  readonly references?: ReadonlyArray<string>
  readonly subject?: string
  readonly date?: Date
  readonly internalDate?: Date
  /** A thread's name at the server (Gmail, RFC 8474). Those that have one are of the thread the server says. */
  readonly threadId?: string
}

/**
 * One place in a conversation. `message` is undefined where others answer a message that is not among those given.
 * `copies` are further messages with the same Message-ID, as in Sent and INBOX.
 */
export interface ThreadNode<A> {
  readonly message: A | undefined
  readonly copies: ReadonlyArray<A>
  readonly children: ReadonlyArray<ThreadNode<A>>
}

/**
 * A conversation. Nodes beside each other are in the order of their dates (sent, or else received), and so are
 * `messages`, which are all of it. It has several roots where its first message is not there.
 */
export class Thread<A extends Threadable> {
  readonly id: string | undefined
  readonly roots: ReadonlyArray<ThreadNode<A>>
  readonly messages: ReadonlyArray<A>

  constructor(id: string | undefined, roots: ReadonlyArray<ThreadNode<A>>) {
    this.id = id
    this.roots = roots
    this.messages = sorted(flat(roots), (message) => message)
  }

  /** The subject of the first message, as it is written. */
  get subject(): string | undefined {
    return this.messages[0]?.subject
  }

  /** The message that came last. */
  get latest(): A | undefined {
    return this.messages.at(-1)
  }

  /** The conversations among the messages, in the order of their first messages. Each message is in exactly one. */
  static of<A extends Threadable>(messages: Iterable<A>): ReadonlyArray<Thread<A>> {
    const byServer = new Map<string, Array<A>>()
    const others: Array<A> = []
    for (const message of messages) {
      if (message.threadId === undefined) others.push(message)
      else {
        const same = byServer.get(message.threadId)
        if (same === undefined) byServer.set(message.threadId, [message])
        else same.push(message)
      }
    }
    const threads = [
      ...[...byServer].map(([id, group]) => new Thread(id, linked(group).map(toNode))),
      ...bySubject(linked(others)).map((roots) => new Thread(undefined, roots.map(toNode)))
    ]
    return sorted(threads, (thread) => thread.messages[0])
  }
}

// --- linking (RFC 5256, REFERENCES, steps 1 to 3)

interface Place<A> {
  message: A | undefined
  readonly copies: Array<A>
  parent: Place<A> | undefined
  children: Array<Place<A>>
  /** Towards the root, for finding it quickly; shortened on each search. */
  up: Place<A> | undefined
}

const place = <A>(message?: A): Place<A> => ({ message, copies: [], parent: undefined, children: [], up: undefined })

const rootOf = <A>(of: Place<A>): Place<A> => {
  let root = of
  while (root.up !== undefined) root = root.up
  for (let at = of; at.up !== undefined && at.up !== root;) {
    const next: Place<A> = at.up
    at.up = root
    at = next
  }
  return root
}

/** Puts `child` below `parent`, unless it has a parent or that would close a circle. */
const link = <A>(parent: Place<A>, child: Place<A>): void => {
  if (child.parent !== undefined || rootOf(parent) === child) return
  child.parent = parent
  child.up = parent
  parent.children.push(child)
}

/** The roots of all trees, without places that nobody needs. */
const linked = <A extends Threadable>(messages: ReadonlyArray<A>): ReadonlyArray<Place<A>> => {
  const places = new Map<string, Place<A>>()
  const all: Array<Place<A>> = []
  const at = (id: string): Place<A> => {
    const known = places.get(id)
    if (known !== undefined) return known
    const made = place<A>()
    places.set(id, made)
    all.push(made)
    return made
  }
  const chains: Array<readonly [Place<A>, ReadonlyArray<Place<A>>]> = []
  for (const message of messages) {
    const { messageId } = message
    let own: Place<A>
    if (messageId === undefined || messageId === "") {
      own = place(message)
      all.push(own)
    } else {
      own = at(messageId)
      if (own.message !== undefined) {
        own.copies.push(message)
        continue
      }
      own.message = message
    }
    const before = message.references !== undefined && message.references.length > 0
      ? message.references
      // an old In-Reply-To can hold words and addresses; an id is what stands in brackets
      : messageIdsIn(message.inReplyTo ?? "").slice(0, 1)
    chains.push([own, before.filter((id) => id !== messageId).map(at)])
  }
  // what a message says of itself counts more than what others say of it
  for (const [own, before] of chains) {
    const last = before.at(-1)
    if (last !== undefined) link(last, own)
  }
  for (const [, before] of chains) {
    for (let index = 1; index < before.length; index++) {
      const [parent, child] = [before[index - 1], before[index]]
      if (parent !== undefined && child !== undefined && parent !== child) link(parent, child)
    }
  }
  return pruned(all)
}

/** Takes out places without a message: their children take their place, but several are kept together at the root. */
const pruned = <A extends Threadable>(all: ReadonlyArray<Place<A>>): ReadonlyArray<Place<A>> => {
  const roots = all.filter(({ parent }) => parent === undefined)
  for (const here of upwards(roots)) {
    here.children = sorted(
      here.children.flatMap((child) => child.message === undefined ? child.children : [child]),
      first
    )
  }
  const kept = roots.flatMap((root) => root.message !== undefined || root.children.length > 1 ? [root] : root.children)
  for (const root of kept) root.parent = undefined
  return sorted(kept, first)
}

const first = <A>({ children, message }: Place<A>): A | undefined => message ?? children[0]?.message

/** All places, children before their parents. Conversations can be deeper than the stack. */
const upwards = <A>(roots: ReadonlyArray<Place<A>>): ReadonlyArray<Place<A>> => {
  const found = [...roots]
  for (let at = 0; at < found.length; at++) for (const child of found[at]?.children ?? []) found.push(child)
  return found.reverse()
}

// --- subjects (step 5)

/** Groups of roots: an answer whose predecessors are not there comes to the oldest conversation of its subject. */
const bySubject = <A extends Threadable>(
  roots: ReadonlyArray<Place<A>>
): ReadonlyArray<ReadonlyArray<Place<A>>> => {
  const groups: Array<Array<Place<A>>> = []
  const known = new Map<string, Array<Place<A>>>()
  const later: Array<readonly [string, Place<A>]> = []
  const begin = (subject: string, root: Place<A>) => {
    const group = [root]
    groups.push(group)
    if (subject !== "" && !known.has(subject)) known.set(subject, group)
  }
  for (const root of roots) {
    const written = first(root)?.subject ?? ""
    const subject = baseSubject(written)
    if (subject !== "" && isAnswer(written)) later.push([subject, root])
    else begin(subject, root)
  }
  for (const [subject, root] of later) {
    const group = known.get(subject)
    if (group === undefined) begin(subject, root)
    else group.push(root)
  }
  return groups
}

// --- results

const toNode = <A>(root: Place<A>): ThreadNode<A> => {
  const made = new Map<Place<A>, ThreadNode<A>>()
  for (const here of upwards([root])) {
    const { children, copies, message } = here
    made.set(here, { message, copies, children: children.flatMap((child) => made.get(child) ?? []) })
  }
  // the last one made is the root itself
  return made.get(root) ?? { message: root.message, copies: root.copies, children: [] }
}

const flat = <A>(roots: ReadonlyArray<ThreadNode<A>>): ReadonlyArray<A> => {
  const nodes = [...roots]
  for (let at = 0; at < nodes.length; at++) for (const child of nodes[at]?.children ?? []) nodes.push(child)
  return nodes.flatMap(({ copies, message }) => message === undefined ? copies : [message, ...copies])
}

/** In the order of dates; what has none stays behind what it came after. */
const sorted = <A>(items: ReadonlyArray<A>, of: (item: A) => Threadable | undefined): Array<A> => {
  let last = -Infinity
  const keyed = items.map((item) => {
    const message = of(item)
    const time = (message?.date ?? message?.internalDate)?.getTime() ?? Number.NaN
    if (!Number.isNaN(time)) last = time
    return { item, time: last }
  })
  return keyed.sort((a, b) => a.time < b.time ? -1 : a.time > b.time ? 1 : 0).map(({ item }) => item)
}
