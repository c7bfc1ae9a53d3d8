// Writes to one client: all packets of an event loop turn in one write.

import type { Duplex } from 'node:stream'
import type { PacketCounts } from './traffic.js'
import { publishHeaderBytes, writePublishHeader, type Delivery } from './wire.js'

/** A full buffer is written at once, bytes. */
const BUFFER_BYTES = 65_536
/** Size of the first buffer of a turn, bytes: a message to a thousand clients needs a thousand buffers. */
const SMALL_BUFFER_BYTES = 2_048
/** Payloads of at least this size are not copied, bytes. */
const LARGE_PAYLOAD = 16_384

/** Unused buffers. */
const pool = { small: [] as Buffer[], large: [] as Buffer[] }
const MAX_POOLED = { small: 256, large: 16 }
/** Outputs to flush at the end of the turn. */
let unflushed: Output[] = []

/**
 * Collects packets in a pooled buffer for one turn, then writes a copy to the connection, which may keep the bytes for
 * a slow reader.
 */
export class Output {
  #buffer: Buffer | undefined
  #used = 0
  readonly #connection: Duplex
  readonly #counts: PacketCounts

  constructor(connection: Duplex, counts: PacketCounts) {
    this.#connection = connection
    this.#counts = counts
  }

  /** Bytes not yet handed to the operating system. */
  get unread(): number {
    return this.#connection.writableLength + this.#used
  }

  /** Whether the client reads too slowly to send it more retained or shared messages. */
  get isFull(): boolean {
    return this.unread >= BUFFER_BYTES
  }

  /** Adds an encoded packet. */
  write(packet: Uint8Array): void {
    this.#counts.messages++
    this.#counts.bytes += packet.length
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
    this.#counts.messages++
    this.#counts.publishes++
    this.#counts.publishBytes += payload.length
    this.#counts.bytes += header + payload.length
    if (header + payload.length >= LARGE_PAYLOAD) {
      this.#publishLarge(delivery, version, header)
      return
    }
    const buffer = this.#room(header + payload.length)
    const at = writePublishHeader(buffer, this.#used, delivery, version)
    buffer.set(payload, at)
    this.#used = at + payload.length
  }

  /** Writes the collected packets. */
  flush(): void {
    const buffer = this.#buffer
    if (buffer === undefined) return
    const connection = this.#connection
    if (this.#used > 0 && connection.writable) {
      // A slow reader must not hold on to a slice of the shared buffer pool.
      const bytes =
        connection.writableLength === 0 ? Buffer.allocUnsafe(this.#used) : Buffer.allocUnsafeSlow(this.#used)
      buffer.copy(bytes, 0, 0, this.#used)
      connection.write(bytes)
    }
    this.#used = 0
    this.#buffer = undefined
    recycle(buffer)
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
        (bytes > SMALL_BUFFER_BYTES ? pool.large.pop() : pool.small.pop()) ??
        Buffer.allocUnsafeSlow(bytes > SMALL_BUFFER_BYTES ? BUFFER_BYTES : SMALL_BUFFER_BYTES)
      if (unflushed.push(this) === 1) setImmediate(flushAll)
    } else if (needed > this.#buffer.length) {
      const larger = pool.large.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
      this.#buffer.copy(larger, 0, 0, this.#used)
      recycle(this.#buffer)
      this.#buffer = larger
    }
    return this.#buffer
  }
}

function recycle(buffer: Buffer): void {
  const size = buffer.length === SMALL_BUFFER_BYTES ? 'small' : 'large'
  if (pool[size].length < MAX_POOLED[size]) pool[size].push(buffer)
}

function flushAll(): void {
  const outputs = unflushed
  unflushed = []
  for (const output of outputs) output.flush()
}
