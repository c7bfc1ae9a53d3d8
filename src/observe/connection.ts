// Watches the bytes of one connection on the broker thread: which packet ends at which offset.

import type { Duplex } from 'node:stream'
import { MqttWalker } from '../decode/mqtt.js'
import type { Direction, MqttPacket } from '../types.js'

/** What the watcher of a connection tells; called synchronously on the broker's path, so it must be quick. */
export interface ByteListener {
  /**
   * A control packet was read (`in`) or written (`out`), the direction's `ordinal`-th from 0; its bytes are only valid
   * during the call.
   */
  onPacket(direction: Direction, packet: MqttPacket, ordinal: number): void
  /**
   * Bytes up to `offset` went by, and the packet that begins at `begin` is still incomplete; `ordinal` counts those
   * before it.
   */
  onMark(direction: Direction, begin: number, offset: number, ordinal: number): void
}

/** How much of a packet is kept. */
export interface CopyLimits {
  topicCapBytes: number
  payloadCapBytes: number
}

/** What a stream's `_write` calls back. */
export type WriteCallback = (error?: Error | null) => void
/** One of the chunks that `_writev` is given. */
export interface PendingWrite {
  chunk: unknown
  encoding: BufferEncoding
}

/** The stream methods that Node calls with every byte; they are public contract of `stream.Duplex`. */
export interface ByteMethods {
  push: (chunk: unknown, encoding?: BufferEncoding) => boolean
  _write?: (chunk: unknown, encoding: BufferEncoding, callback: WriteCallback) => void
  _writev?: (chunks: PendingWrite[], callback: WriteCallback) => void
}

/**
 * Sees every byte that a connection reads and writes, by overriding `push`, `_write` and `_writev` of
 * this one instance: a `data` listener would change the flow, merge chunks and come too late.
 *
 * Bytes are counted before they are passed on, so that whoever hears of a packet afterwards finds
 * it already told.
 *
 * @param headerBytes how many bytes a proxy sent before those of MQTT: offsets count them
 */
export function watchConnection(connection: Duplex, kept: CopyLimits, listener: ByteListener, headerBytes = 0): void {
  const session = { version: 4 }
  const walker = new MqttWalker({ ...kept, session })
  walker.skip(headerBytes)
  walker.resync()
  const inbound = new DirectionWatch('in', walker, listener)
  const outbound = new DirectionWatch('out', new MqttWalker({ ...kept, session }), listener)
  const methods = connection as unknown as ByteMethods

  const push = methods.push
  methods.push = function (chunk, encoding) {
    inbound.chunk(chunk, encoding)
    return push.call(this, chunk, encoding)
  }

  const write = methods._write
  if (write !== undefined) {
    methods._write = function (chunk, encoding, callback) {
      outbound.chunk(chunk, encoding)
      write.call(this, chunk, encoding, callback)
    }
  }

  const writev = methods._writev
  if (typeof writev === 'function') {
    methods._writev = function (chunks, callback) {
      for (const { chunk, encoding } of chunks) outbound.chunk(chunk, encoding)
      writev.call(this, chunks, callback)
    }
  }
}

class DirectionWatch {
  readonly #onPacket: (packet: MqttPacket) => void
  #begin = 0
  #ordinal = 0
  readonly #direction: Direction
  readonly #walker: MqttWalker
  readonly #listener: ByteListener

  constructor(direction: Direction, walker: MqttWalker, listener: ByteListener) {
    this.#direction = direction
    this.#walker = walker
    this.#listener = listener
    this.#onPacket = packet => {
      this.#begin = packet.end
      listener.onPacket(direction, packet, this.#ordinal)
      this.#ordinal = (this.#ordinal + 1) >>> 0
    }
  }

  bytes(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#walker.push(chunk, this.#onPacket)
    // Only after every packet that ends here is told may the watermark move: it makes frames final.
    if (!this.#walker.boundary) this.#listener.onMark(this.#direction, this.#begin, this.#walker.offset, this.#ordinal)
  }

  chunk(chunk: unknown, encoding?: BufferEncoding): void {
    if (chunk instanceof Uint8Array) this.bytes(chunk)
    else if (typeof chunk === 'string') this.bytes(Buffer.from(chunk, encoding))
  }
}
