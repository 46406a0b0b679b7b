/**
 * Cuts a stream of octets into IMAP commands: lines joined by literals (RFC 9051 2.2.1, RFC 7888). It bounds lines and
 * literals, and knows no grammar beyond `{n}` at the end of a line.
 */

/** Bounds on one command: on its lines, and on its literals together. What is longer is read over and refused. */
export interface ReaderLimits {
  readonly maxLineBytes: number
  readonly maxLiteralBytes: number
}

export const defaultReaderLimits: ReaderLimits = { maxLineBytes: 64 * 1024, maxLiteralBytes: 64 * 1024 * 1024 }

/**
 * One step of the input. `Command`: text, literal, text, literal, … text. `Continue`: the client waits for a `+` before
 * it sends the literal. `Refused`: a line or literal beyond the bounds, already read over.
 */
export type Input =
  | { readonly _tag: "Command"; readonly parts: ReadonlyArray<Buffer> }
  | { readonly _tag: "Continue" }
  | { readonly _tag: "Refused"; readonly tag: string; readonly why: "line" | "literal" }

const none = Buffer.alloc(0)
const newline = 10

export class CommandReader {
  readonly #limits: ReaderLimits
  #pending: Buffer = none
  #scanned = 0
  #parts: Array<Buffer> = []
  #lineBytes = 0
  #literalBytes = 0
  #literal: Buffer | undefined
  #filled = 0
  #toSkip = 0
  #refused: (Input & { readonly _tag: "Refused" }) | undefined

  constructor(limits: ReaderLimits) {
    this.#limits = limits
  }

  feed(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
  }

  /** Octets that were fed and not yet taken. */
  get buffered(): number {
    return this.#pending.length
  }

  /** Forgets everything fed so far, as STARTTLS demands (RFC 9051 6.2.1). */
  clear(): void {
    this.#pending = none
    this.#scanned = 0
    this.#start()
  }

  /** The next step, or undefined where more octets are needed. */
  next(): Input | undefined {
    for (;;) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, this.#pending.length)
        this.#drop(skipped)
        this.#toSkip -= skipped
        if (this.#toSkip > 0) return undefined
      }
      if (this.#literal !== undefined) {
        const taken = this.#pending.copy(this.#literal, this.#filled, 0)
        this.#drop(taken)
        this.#filled += taken
        if (this.#filled < this.#literal.length) return undefined
        this.#parts.push(this.#literal)
        this.#literal = undefined
        continue
      }
      const line = this.#takeLine()
      if (line === undefined) return undefined
      if (this.#refused !== undefined) {
        const input = this.#refused
        this.#start()
        return input
      }
      const announced = literalAtEnd(line)
      if (announced === undefined) {
        const parts = [...this.#parts, line]
        this.#start()
        return { _tag: "Command", parts }
      }
      this.#lineBytes += line.length
      this.#parts.push(line.subarray(0, announced.start))
      this.#literalBytes += announced.length
      if (this.#literalBytes > this.#limits.maxLiteralBytes || this.#lineBytes > this.#limits.maxLineBytes) {
        const refused = { _tag: "Refused", tag: tagOf(this.#parts[0] ?? none), why: "literal" } as const
        this.#start()
        if (announced.waits) return refused
        this.#toSkip = announced.length
        this.#refused = refused
        continue
      }
      this.#literal = Buffer.allocUnsafe(announced.length)
      this.#filled = 0
      if (announced.waits) return { _tag: "Continue" }
    }
  }

  /** The next line as it is, for the turns of AUTHENTICATE and IDLE. Empty where it is too long. */
  nextLine(): Buffer | undefined {
    const line = this.#takeLine()
    if (line !== undefined && this.#refused !== undefined) {
      this.#start()
      return none
    }
    return line
  }

  #takeLine(): Buffer | undefined {
    const end = this.#pending.indexOf(newline, this.#scanned)
    if (end < 0) {
      this.#scanned = this.#pending.length
      if (this.#pending.length > this.#limits.maxLineBytes) this.#overflow()
      return undefined
    }
    const line = this.#pending.subarray(0, end > 0 && this.#pending[end - 1] === 13 ? end - 1 : end)
    this.#drop(end + 1)
    if (line.length > this.#limits.maxLineBytes) this.#refuse(line)
    return line
  }

  #overflow(): void {
    this.#refuse(this.#pending)
    this.#drop(this.#pending.length)
  }

  #refuse(line: Buffer): void {
    this.#refused ??= { _tag: "Refused", tag: tagOf(this.#parts[0] ?? line), why: "line" }
  }

  #drop(octets: number): void {
    this.#pending = octets === this.#pending.length ? none : this.#pending.subarray(octets)
    this.#scanned = 0
  }

  #start(): void {
    this.#parts = []
    this.#lineBytes = 0
    this.#literalBytes = 0
    this.#refused = undefined
    this.#literal = undefined
    this.#filled = 0
  }
}

const tagOf = (line: Buffer): string => /^[^\s(){%*"\\]{1,64}(?= )/.exec(line.toString("latin1", 0, 80))?.[0] ?? "*"

const digitZero = 48

/** `{n}`, `{n+}`, `{n-}`, and `~{n}` (RFC 3516) at the end of a line. */
const literalAtEnd = (
  line: Buffer
): { readonly start: number; readonly length: number; readonly waits: boolean } | undefined => {
  let at = line.length - 1
  if (line[at] !== 125) return undefined
  at--
  const waits = line[at] !== 43 && line[at] !== 45
  if (!waits) at--
  let length = 0
  let scale = 1
  const lastDigit = at
  for (; at >= 0; at--) {
    const digit = (line[at] ?? 0) - digitZero
    if (digit < 0 || digit > 9) break
    length += digit * scale
    scale *= 10
  }
  if (at === lastDigit || lastDigit - at > 12 || line[at] !== 123) return undefined
  return { start: line[at - 1] === 126 ? at - 1 : at, length, waits }
}
