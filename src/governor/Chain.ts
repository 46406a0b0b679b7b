/**
 * Values in the order in which they came, any of which can be taken out at once. A `Map` has the same order, but gets
 * slow at its front: what was deleted there is skipped again and again until the table is rebuilt.
 */

/** Where a value is in its chain: the key to taking it out. */
export interface Link<T> {
  readonly value: T
  before: Link<T> | undefined
  after: Link<T> | undefined
}

export class Chain<T> {
  #first: Link<T> | undefined
  #last: Link<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#first?.value
  }

  append(value: T): Link<T> {
    return this.#insert(value, this.#last)
  }

  /** Puts a value before those at the end that it precedes. */
  appendInOrder(value: T, precedes: (other: T) => boolean): Link<T> {
    let before = this.#last
    while (before !== undefined && precedes(before.value)) before = before.before
    return this.#insert(value, before)
  }

  #insert(value: T, before: Link<T> | undefined): Link<T> {
    const link: Link<T> = { value, before, after: before === undefined ? this.#first : before.after }
    if (link.after === undefined) this.#last = link
    else link.after.before = link
    if (before === undefined) this.#first = link
    else before.after = link
    this.#size++
    return link
  }

  /** Takes out a link of this chain, once. A walk that stands on it may go on. */
  remove(link: Link<T>): void {
    if (link.before === undefined) this.#first = link.after
    else link.before.after = link.after
    if (link.after === undefined) this.#last = link.before
    else link.after.before = link.before
    this.#size--
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let link = this.#first; link !== undefined; link = link.after) yield link.value
  }
}
