// Watches the bytes of one connection on the broker thread to find the end offset of each packet.

import type { Duplex } from 'node:stream'
import { MqttWalker } from '../decode/mqtt.js'
import type { Direction, MqttPacket } from '../types.js'

/** Events of a watched connection; called synchronously in the broker's data path, so they must be fast. */
export interface ByteListener {
  /**
   * A control packet was read (`in`) or written (`out`). `ordinal` is its number in the direction, from 0. Its bytes
   * are valid only during the call.
   */
  onPacket(direction: Direction, packet: MqttPacket, ordinal: number): void
  /**
   * Bytes up to `offset` were read or written, and the packet that starts at `begin` is incomplete. `ordinal` is the
   * number of packets before it.
   */
  onMark(direction: Direction, begin: number, offset: number, ordinal: number): void
}

/** Limits of the bytes kept of a packet. */
export interface CopyLimits {
  topicCapBytes: number
  payloadCapBytes: number
}

/** Callback of a stream's `_write`. */
export type WriteCallback = (error?: Error | null) => void
/** A chunk passed to `_writev`. */
export interface PendingWrite {
  chunk: unknown
  encoding: BufferEncoding
}

/** Stream methods that Node calls for all bytes; they are documented API of `stream.Duplex`. */
export interface ByteMethods {
  push: (chunk: unknown, encoding?: BufferEncoding) => boolean
  _write?: (chunk: unknown, encoding: BufferEncoding, callback: WriteCallback) => void
  _writev?: (chunks: PendingWrite[], callback: WriteCallback) => void
}

/**
 * Watches all bytes that a connection reads and writes. Overrides `push`, `_write` and `_writev` of this instance: a
 * `data` listener would change the flow, merge chunks and run too late.
 *
 * Bytes are parsed before they are passed on, so each packet is reported before the broker handles it.
 *
 * @param headerBytes length of a proxy header before the MQTT bytes; offsets include it
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
    // Move the watermark only after all packets up to it were reported: it makes frames final.
    if (!this.#walker.boundary) this.#listener.onMark(this.#direction, this.#begin, this.#walker.offset, this.#ordinal)
  }

  chunk(chunk: unknown, encoding?: BufferEncoding): void {
    if (chunk instanceof Uint8Array) this.bytes(chunk)
    else if (typeof chunk === 'string') this.bytes(Buffer.from(chunk, encoding))
  }
}
