/**
 * Writes answers with few copies and few writes: small pieces gather in one block, large ones go as they are. It tells a
 * writer when to wait, so that a client that does not read makes the server wait and not buffer.
 */
import type { Duplex } from "node:stream"

const blockBytes = 128 * 1024
const largeBytes = 32 * 1024

export class Output {
  #stream: Duplex
  #block: Buffer = Buffer.allocUnsafe(0)
  #used = 0
  #congested = false

  constructor(stream: Duplex) {
    this.#stream = stream
  }

  /** Octets as characters of Latin-1. */
  text(text: string): void {
    const length = text.length
    if (length > largeBytes) return this.bytes(Buffer.from(text, "latin1"))
    if (this.#used + length > this.#block.length) this.#renew(length)
    this.#block.write(text, this.#used, length, "latin1")
    this.#used += length
  }

  bytes(octets: Uint8Array): void {
    if (octets.length <= largeBytes) {
      if (this.#used + octets.length > this.#block.length) this.#renew(octets.length)
      this.#block.set(octets, this.#used)
      this.#used += octets.length
      return
    }
    this.flush()
    this.#send(octets)
  }

  /** Hands everything gathered to the stream. */
  flush(): void {
    if (this.#used === 0) return
    const full = this.#block.subarray(0, this.#used)
    this.#block = this.#block.subarray(this.#used)
    this.#used = 0
    this.#send(full)
  }

  /** True where a writer of more should await `drained` first. */
  get isCongested(): boolean {
    return this.#congested && this.#stream.writableNeedDrain
  }

  /** Resolves once the stream takes more, or is gone. */
  drained(): Promise<void> {
    const stream = this.#stream
    if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      const settle = () => {
        stream.off("drain", settle).off("close", settle)
        this.#congested = false
        resolve()
      }
      stream.on("drain", settle).on("close", settle)
    })
  }

  /** Goes on over another stream: TLS on top of the first. */
  moveTo(stream: Duplex): void {
    this.#stream = stream
    this.#congested = false
  }

  #send(octets: Uint8Array): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return
    if (!this.#stream.write(octets)) this.#congested = true
  }

  #renew(length: number): void {
    this.flush()
    if (this.#block.length < Math.max(length, 1024)) this.#block = Buffer.allocUnsafe(Math.max(blockBytes, length))
  }
}
