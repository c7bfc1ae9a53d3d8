// Counts the TLS records of one connection, whose lengths follow from the bytes that they carry.

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { ByteMethods, PendingWrite, WriteCallback } from './connection.js'
import type { Placement } from './placement.js'

/** What a full record carries (RFC 8446, section 5.1). */
const RECORD_BYTES = 16_384
/** Header 5, content type 1, tag 16 (RFC 8446, section 5.2). */
const OVERHEAD_TLS_1_3 = 22
/** Header 5, explicit nonce 8, tag 16 (RFC 5288, section 3). */
const OVERHEAD_GCM = 29
/** Header 5, tag 16 (RFC 7905, section 2). */
const OVERHEAD_CHACHA20 = 21
const TLS_1_3_SUITES = new Set(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])
/** Reads in a row that leave the same bytes over: no coincidence but a record that was not seen. */
const SAME_EXCESS = 3
/** The rest of a record that was cut by a segment's end follows at once; after this long there is none. */
const REST_FOLLOWS_MS = 300

/** The bytes by which a record is longer than what it carries; undefined where that is not fixed, as with CBC. */
export function recordOverhead(protocol: string | null, suite: string): number | undefined {
  if (protocol === 'TLSv1.3') return TLS_1_3_SUITES.has(suite) ? OVERHEAD_TLS_1_3 : undefined
  if (protocol !== 'TLSv1.2') return undefined
  if (/-GCM-SHA\d+$/.test(suite)) return OVERHEAD_GCM
  return suite.endsWith('-CHACHA20-POLY1305') ? OVERHEAD_CHACHA20 : undefined
}

/**
 * Tells both directions where records end. To be called at the handshake's end, before any byte of
 * MQTT, and after `watchConnection`: records must be known before what they carry.
 *
 * The counters of the socket below say how long the handshake was. They go on being compared with the
 * records: what was not counted, such as a KeyUpdate, shows as a difference.
 *
 * @param onTrouble called when the records and the socket's counters do not agree
 * @returns why the connection is none whose records can be counted
 */
export function watchRecords(
  connection: Duplex,
  inbound: Placement,
  outbound: Placement,
  onTrouble: () => void
): 'cipher' | 'carrier' | undefined {
  // One that was destroyed on its way here has no cipher any more.
  if (!(connection instanceof TLSSocket) || connection.destroyed) return 'carrier'
  const socket = connection as TLSSocket & { _parent?: Socket }
  const overhead = recordOverhead(socket.getProtocol(), socket.getCipher().name)
  const parent = socket._parent
  if (overhead === undefined) return 'cipher'
  // A socket of a kind of its own may count something else.
  if (parent === undefined || Object.getPrototypeOf(parent) !== Socket.prototype) return 'carrier'
  if (socket.bytesRead > 0 || socket.bytesWritten > 0 || socket.readableLength > 0 || socket.writableLength > 0)
    return 'carrier'
  countInbound(socket, parent, overhead, inbound, onTrouble)
  countOutbound(socket, parent, overhead, outbound, onTrouble)
  return undefined
}

/** OpenSSL hands out what it decrypts record by record, so each push is one. */
function countInbound(
  socket: TLSSocket,
  parent: Socket,
  overhead: number,
  inbound: Placement,
  onTrouble: () => void
): void {
  const records = new InboundRecords(inbound, parent.bytesRead, onTrouble)
  const methods = socket as unknown as ByteMethods
  const push = methods.push
  methods.push = function (chunk, encoding) {
    if (chunk instanceof Uint8Array && chunk.length > 0) records.add(chunk.length, overhead, parent.bytesRead)
    return push.call(this, chunk, encoding)
  }
  // No record yet: all that was read is handshake, or the beginning of a record.
  setImmediate(() => {
    if (inbound.length === 0) inbound.reach(parent.bytesRead)
  })
  socket.once('close', () => {
    records.settle()
    inbound.reach(parent.bytesRead)
  })
}

class InboundRecords {
  /**
   * The least by which the bytes read exceeded the records so far: a read may end in the middle of a record, never
   * before one.
   */
  #least = Infinity
  #calibrated = false
  #calibrating = false
  /** The counter at the latest push, and before the read that caused it. */
  #latest = 0
  #before = 0
  #excess = 0
  #sameExcess = 0
  /** The least that was found when a read was looked at last. */
  #looked = Infinity
  #waiting: NodeJS.Timeout | undefined
  readonly #inbound: Placement
  readonly #handshakeRead: number
  readonly #onTrouble: () => void

  /**
   * @param handshakeRead bytes read when the handshake was done; records may be among them
   */
  constructor(inbound: Placement, handshakeRead: number, onTrouble: () => void) {
    this.#inbound = inbound
    this.#handshakeRead = handshakeRead
    this.#onTrouble = onTrouble
  }

  add(length: number, overhead: number, bytesRead: number): void {
    const inbound = this.#inbound
    if (bytesRead !== this.#latest) this.#next(bytesRead, overhead)
    inbound.unit(length, length + overhead)
    const ahead = bytesRead - inbound.length
    if (!this.#calibrated) {
      this.#least = Math.min(this.#least, ahead)
      this.#calibrate()
      // A record that ends beyond the bytes read, or within those of an earlier read, was miscounted.
    } else if (!(ahead >= this.#least) || this.#least + inbound.length <= this.#before) {
      this.#onTrouble()
    }
  }

  /** Another read: what the one before left over is the beginning of a record, and rarely as long each time. */
  #next(bytesRead: number, overhead: number): void {
    const excess = this.#calibrated ? this.#latest - this.#inbound.length - this.#least : 0
    this.#sameExcess = excess >= overhead && excess === this.#excess ? this.#sameExcess + 1 : 1
    this.#excess = excess
    this.#before = this.#latest
    this.#latest = bytesRead
    if (excess >= overhead && this.#sameExcess >= SAME_EXCESS) this.#onTrouble()
  }

  /** No further record will come: what is known of the handshake must do. */
  settle(): void {
    clearTimeout(this.#waiting)
    if (this.#calibrated || this.#inbound.length === 0) return
    this.#calibrated = true
    this.#least = Math.min(this.#least, this.#handshakeRead)
    this.#inbound.start(this.#least)
  }

  /**
   * When all records of the read are through. One that ends in mid-packet may end in mid-record, too, and
   * so may any other where the sender, or somebody on the way, writes in pieces. The handshake is surely no
   * longer than what was read at its end: where it seems longer, the read ended within a record; where it
   * seems as long, nothing came with it. Where it seems shorter, records came with it, and a second read or
   * silence must confirm that the first did not end within one.
   */
  #calibrate(): void {
    if (this.#calibrating) return
    this.#calibrating = true
    setImmediate(() => {
      this.#calibrating = false
      if (this.#calibrated || !this.#inbound.boundary || this.#least > this.#handshakeRead) return
      const confirms = this.#latest - this.#inbound.length === this.#looked
      this.#looked = this.#least
      if (this.#least === this.#handshakeRead || confirms) this.settle()
      else
        this.#waiting ??= setTimeout(() => {
          this.settle()
        }, REST_FOLLOWS_MS).unref()
    })
  }
}

/**
 * OpenSSL cuts each write into full records and a rest, and calls back when all of it was handed to the socket below.
 */
function countOutbound(
  socket: TLSSocket,
  parent: Socket,
  overhead: number,
  outbound: Placement,
  onTrouble: () => void
): void {
  let handshake: number | undefined
  const add = (length: number): void => {
    for (let left = length; left > 0; left -= RECORD_BYTES) {
      const plain = Math.min(left, RECORD_BYTES)
      outbound.unit(plain, plain + overhead)
    }
  }
  const written =
    (callback: WriteCallback): WriteCallback =>
    error => {
      if (!error && !socket.destroyed) {
        const length = parent.bytesWritten - outbound.length
        if (handshake === undefined) {
          handshake = length
          outbound.start(length)
        } else if (length !== handshake) {
          onTrouble()
        }
      }
      callback(error)
    }
  const methods = socket as unknown as Required<ByteMethods>
  const { _write: write, _writev: writev } = methods
  methods._write = function (chunk, encoding, callback) {
    add(lengthOf(chunk, encoding))
    write.call(this, chunk, encoding, written(callback))
  }
  methods._writev = function (chunks: PendingWrite[], callback) {
    add(chunks.reduce((sum, { chunk, encoding }) => sum + lengthOf(chunk, encoding), 0))
    writev.call(this, chunks, written(callback))
  }
  outbound.reach(parent.bytesWritten)
  setImmediate(() => {
    if (outbound.length === 0) outbound.reach(parent.bytesWritten)
  })
  socket.once('close', () => {
    if (handshake === undefined && outbound.length > 0) onTrouble()
    outbound.reach(parent.bytesWritten)
  })
}

function lengthOf(chunk: unknown, encoding: BufferEncoding): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : (chunk as Uint8Array).length
}
