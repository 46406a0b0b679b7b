/**
 * A socket with faults of the wire: it can be cut after so many octets in either direction, and each direction can be
 * delayed. It works over any duplex, so a TCP socket and an in-memory pair behave alike, and TLS runs on top of it. It
 * knows no protocol.
 */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"

/**
 * Faults of one connection's wire. `received` is what the client sends, `sent` what it is sent. A cut counts octets from
 * the moment it is set, delivers exactly that many, and ends the connection. Delays are in milliseconds, in order.
 */
export interface WireFaults {
  readonly cutAfterReceived?: number | undefined
  readonly cutAfterSent?: number | undefined
  readonly delayReceivedMillis?: number | undefined
  readonly delaySentMillis?: number | undefined
}

/** Octets that may wait to be sent before a writer is told to wait. */
const sendBufferBytes = 1024 * 1024

type Done = (error?: Error | null) => void

interface Late {
  readonly due: number
  readonly run: () => void
}

/** What arrives or leaves later than now, in order, with one timer. */
class DelayLine {
  #queue: Array<Late> = []
  #timer: NodeJS.Timeout | undefined

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  add(millis: number, run: () => void): void {
    this.#queue.push({ due: performance.now() + millis, run })
    if (this.#timer === undefined) this.#arm()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue = []
  }

  #arm(): void {
    const first = this.#queue[0]
    if (first === undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const now = performance.now()
      while (this.#queue[0] !== undefined && this.#queue[0].due <= now + 0.5) this.#queue.shift()?.run()
      if (this.#timer === undefined) this.#arm()
    }, Math.max(0, first.due - performance.now()))
    this.#timer.unref()
  }
}

export class Wire extends Duplex {
  readonly #socket: Duplex
  readonly #receiving = new DelayLine()
  readonly #sending = new DelayLine()
  #faults: WireFaults = {}
  #leftToReceive = Infinity
  #leftToSend = Infinity
  #lateBytes = 0

  constructor(socket: Duplex, faults: WireFaults = {}) {
    super({ writableHighWaterMark: sendBufferBytes, readableHighWaterMark: 256 * 1024, emitClose: true })
    this.#socket = socket
    this.faults = faults
    const tcp = toTcp(socket)
    tcp?.setNoDelay(true)
    socket.on("data", (chunk: Buffer) => this.#receive(chunk))
    socket.on("end", () => this.#later(this.#receiving, this.#faults.delayReceivedMillis, () => this.push(null)))
    // A reset by the client is an ordinary end to a server: `close` tells it
    socket.on("error", () => this.destroy())
    socket.on("close", () => this.destroy())
    this.on("error", () => this.destroy())
  }

  set faults(faults: WireFaults) {
    this.#faults = faults
    this.#leftToReceive = faults.cutAfterReceived ?? Infinity
    this.#leftToSend = faults.cutAfterSent ?? Infinity
  }

  get faults(): WireFaults {
    return this.#faults
  }

  // What `smtp-server` reads of a socket beside the stream itself
  get readyState(): string {
    return this.destroyed ? "closed" : this.writable ? "open" : "readOnly"
  }
  get remoteAddress(): string {
    return toTcp(this.#socket)?.remoteAddress ?? "127.0.0.1"
  }
  get remotePort(): number {
    return toTcp(this.#socket)?.remotePort ?? 0
  }
  get localAddress(): string {
    return toTcp(this.#socket)?.localAddress ?? "127.0.0.1"
  }
  get localPort(): number {
    return toTcp(this.#socket)?.localPort ?? 0
  }
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#leftToSend < chunk.length) {
      const rest = chunk.subarray(0, this.#leftToSend)
      this.#leftToSend = 0
      this.#later(this.#sending, this.#faults.delaySentMillis, () => this.#cut(rest))
      done()
      return
    }
    this.#leftToSend -= chunk.length
    const delay = this.#faults.delaySentMillis ?? 0
    if (delay <= 0 && this.#sending.isEmpty) {
      this.#socket.write(chunk, (error) => error ? this.#gone(done) : done())
      return
    }
    this.#lateBytes += chunk.length
    const late = this.#lateBytes > sendBufferBytes
    this.#sending.add(delay, () => {
      this.#lateBytes -= chunk.length
      this.#socket.write(chunk, () => late ? done() : undefined)
    })
    if (!late) done()
  }

  override _writev(chunks: Array<{ readonly chunk: Buffer; readonly encoding: BufferEncoding }>, done: Done): void {
    let left = chunks.length
    const one: Done = () => {
      left--
      if (left === 0) done()
    }
    this.#socket.cork()
    for (const { chunk } of chunks) this._write(chunk, "utf8", one)
    this.#socket.uncork()
  }

  override _final(done: Done): void {
    this.#later(this.#sending, this.#faults.delaySentMillis, () => {
      this.#socket.end()
      done()
    })
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#receiving.clear()
    this.#sending.clear()
    this.#socket.destroy()
    done(error)
  }

  #receive(chunk: Buffer): void {
    const cut = this.#leftToReceive < chunk.length
    const kept = cut ? chunk.subarray(0, this.#leftToReceive) : chunk
    this.#leftToReceive -= kept.length
    this.#later(this.#receiving, this.#faults.delayReceivedMillis, () => {
      if (!this.push(kept)) this.#socket.pause()
      // One turn, so that what arrived before the cut is still acted upon
      if (cut) setImmediate(() => this.destroy())
    })
  }

  #later(line: DelayLine, millis: number | undefined, run: () => void): void {
    if ((millis ?? 0) <= 0 && line.isEmpty) run()
    else line.add(millis ?? 0, run)
  }

  #cut(last: Buffer): void {
    if (last.length === 0) this.destroy()
    else this.#socket.write(last, () => this.destroy())
  }

  #gone(done: Done): void {
    this.destroy()
    done()
  }
}

const toTcp = (socket: Duplex): Socket | undefined => isTcp(socket) ? socket : undefined

const isTcp = (socket: Duplex): socket is Socket => "setNoDelay" in socket && "remoteAddress" in socket
