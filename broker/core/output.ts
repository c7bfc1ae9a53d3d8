// What goes out to one client: everything of a turn of the event loop in one write.

import type { Duplex } from 'node:stream'
import type { Counted } from './traffic.js'
import { publishHeaderBytes, writePublishHeader, type Delivery } from './wire.js'

/** Bytes that are collected before they are written in any case. */
const BUFFER_BYTES = 65_536
/** Bytes of the buffer that an output begins a turn with: a message to a thousand clients takes a thousand of them. */
const SMALL_BUFFER_BYTES = 2_048
/** Payloads from this size on are not copied. */
const LARGE_PAYLOAD = 16_384

/** Buffers that nobody collects in. */
const idle = { small: [] as Buffer[], large: [] as Buffer[] }
const MAX_IDLE = { small: 256, large: 16 }
/** Outputs that have something to write when the turn is over. */
let dirty: Output[] = []

/**
 * Collects packets in a buffer that belongs to it for a turn, and hands a copy of them to the connection: a slow reader
 * keeps its bytes.
 */
export class Output {
  #buffer: Buffer | undefined
  #used = 0
  readonly #connection: Duplex
  readonly #counted: Counted

  constructor(connection: Duplex, counted: Counted) {
    this.#connection = connection
    this.#counted = counted
  }

  /** Bytes that the client has not read, as far as is known here. */
  get unread(): number {
    return this.#connection.writableLength + this.#used
  }

  /** Whether nothing more should be written for now, but what others have sent. */
  get isFull(): boolean {
    return this.unread >= BUFFER_BYTES
  }

  /** Adds a whole packet. */
  write(packet: Uint8Array): void {
    this.#counted.messages++
    this.#counted.bytes += packet.length
    if (packet.length >= LARGE_PAYLOAD) {
      this.flush()
      if (this.#connection.writable) this.#connection.write(packet)
      return
    }
    const buffer = this.#room(packet.length)
    buffer.set(packet, this.#used)
    this.#used += packet.length
  }

  /** Adds a PUBLISH. */
  publish(delivery: Delivery, version: number): void {
    const { payload } = delivery.message
    const header = publishHeaderBytes(delivery, version)
    this.#counted.messages++
    this.#counted.publishes++
    this.#counted.publishBytes += payload.length
    this.#counted.bytes += header + payload.length
    if (header + payload.length >= LARGE_PAYLOAD) {
      this.#publishLarge(delivery, version, header)
      return
    }
    const buffer = this.#room(header + payload.length)
    const at = writePublishHeader(buffer, this.#used, delivery, version)
    buffer.set(payload, at)
    this.#used = at + payload.length
  }

  /** Writes what has been collected. */
  flush(): void {
    const buffer = this.#buffer
    if (buffer === undefined) return
    const connection = this.#connection
    if (this.#used > 0 && connection.writable) {
      // A client that reads slowly must not keep a buffer that others have a share in.
      const bytes =
        connection.writableLength === 0 ? Buffer.allocUnsafe(this.#used) : Buffer.allocUnsafeSlow(this.#used)
      buffer.copy(bytes, 0, 0, this.#used)
      connection.write(bytes)
    }
    this.#used = 0
    this.#buffer = undefined
    giveBack(buffer)
  }

  #publishLarge(delivery: Delivery, version: number, header: number): void {
    this.flush()
    if (!this.#connection.writable) return
    const bytes = Buffer.allocUnsafeSlow(header)
    writePublishHeader(bytes, 0, delivery, version)
    this.#connection.cork()
    this.#connection.write(bytes)
    this.#connection.write(delivery.message.payload)
    this.#connection.uncork()
  }

  #room(bytes: number): Buffer {
    const needed = this.#used + bytes
    if (this.#buffer !== undefined && needed > BUFFER_BYTES) this.flush()
    if (this.#buffer === undefined) {
      this.#buffer =
        (bytes > SMALL_BUFFER_BYTES ? idle.large.pop() : idle.small.pop()) ??
        Buffer.allocUnsafeSlow(bytes > SMALL_BUFFER_BYTES ? BUFFER_BYTES : SMALL_BUFFER_BYTES)
      if (dirty.push(this) === 1) setImmediate(flushAll)
    } else if (needed > this.#buffer.length) {
      const larger = idle.large.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
      this.#buffer.copy(larger, 0, 0, this.#used)
      giveBack(this.#buffer)
      this.#buffer = larger
    }
    return this.#buffer
  }
}

function giveBack(buffer: Buffer): void {
  const size = buffer.length === SMALL_BUFFER_BYTES ? 'small' : 'large'
  if (idle[size].length < MAX_IDLE[size]) idle[size].push(buffer)
}

function flushAll(): void {
  const outputs = dirty
  dirty = []
  for (const output of outputs) output.flush()
}
