// Counts the TLS records of one connection; their lengths are computed from the plaintext lengths.

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { ByteMethods, PendingWrite, WriteCallback } from './connection.js'
import type { Placement } from './placement.js'

/** Maximum plaintext of a record, bytes (RFC 8446, section 5.1). */
const RECORD_BYTES = 16_384
/** Header 5, content type 1, tag 16 (RFC 8446, section 5.2). */
const OVERHEAD_TLS_1_3 = 22
/** Header 5, explicit nonce 8, tag 16 (RFC 5288, section 3). */
const OVERHEAD_GCM = 29
/** Header 5, tag 16 (RFC 7905, section 2). */
const OVERHEAD_CHACHA20 = 21
const TLS_1_3_SUITES = new Set(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])
/** Consecutive reads with the same excess bytes that indicate an uncounted record. */
const SAME_EXCESS_LIMIT = 3
/** The rest of a record that was split by a segment boundary arrives within this time. */
const RECORD_REST_TIMEOUT_MS = 300

/** Returns the overhead of a record over its plaintext, bytes; undefined if it varies, as with CBC. */
export function recordOverhead(protocol: string | null, suite: string): number | undefined {
  if (protocol === 'TLSv1.3') return TLS_1_3_SUITES.has(suite) ? OVERHEAD_TLS_1_3 : undefined
  if (protocol !== 'TLSv1.2') return undefined
  if (/-GCM-SHA\d+$/.test(suite)) return OVERHEAD_GCM
  return suite.endsWith('-CHACHA20-POLY1305') ? OVERHEAD_CHACHA20 : undefined
}

/**
 * Reports the ends of records to both placements. Call it when the handshake completes, before any MQTT bytes, and
 * after `watchConnection`: a record must be known before its content.
 *
 * The counters of the underlying socket give the length of the handshake. They are compared with the records
 * continuously: an uncounted record, such as a KeyUpdate, shows as a difference.
 *
 * @param onFailure called when the records and the socket's counters disagree
 * @returns why the records of the connection cannot be counted; undefined if they can
 */
export function watchRecords(
  connection: Duplex,
  inbound: Placement,
  outbound: Placement,
  onFailure: () => void
): 'cipher' | 'carrier' | undefined {
  // A destroyed socket has no cipher.
  if (!(connection instanceof TLSSocket) || connection.destroyed) return 'carrier'
  const socket = connection as TLSSocket & { _parent?: Socket }
  const overhead = recordOverhead(socket.getProtocol(), socket.getCipher().name)
  const parent = socket._parent
  if (overhead === undefined) return 'cipher'
  // A subclass of Socket may count other bytes.
  if (parent === undefined || Object.getPrototypeOf(parent) !== Socket.prototype) return 'carrier'
  if (socket.bytesRead > 0 || socket.bytesWritten > 0 || socket.readableLength > 0 || socket.writableLength > 0)
    return 'carrier'
  countInbound(socket, parent, overhead, inbound, onFailure)
  countOutbound(socket, parent, overhead, outbound, onFailure)
  return undefined
}

/** OpenSSL returns decrypted data record by record, so each push is one record. */
function countInbound(
  socket: TLSSocket,
  parent: Socket,
  overhead: number,
  inbound: Placement,
  onFailure: () => void
): void {
  const records = new InboundRecords(inbound, parent.bytesRead, onFailure)
  const methods = socket as unknown as ByteMethods
  const push = methods.push
  methods.push = function (chunk, encoding) {
    if (chunk instanceof Uint8Array && chunk.length > 0) records.add(chunk.length, overhead, parent.bytesRead)
    return push.call(this, chunk, encoding)
  }
  // No record yet: all bytes read are handshake, or the start of a record.
  setImmediate(() => {
    if (inbound.length === 0) inbound.reach(parent.bytesRead)
  })
  socket.once('close', () => {
    records.finishCalibration()
    inbound.reach(parent.bytesRead)
  })
}

class InboundRecords {
  /** Minimum excess of the bytes read over the records so far: a read may end inside a record, never before it. */
  #minExcess = Infinity
  #calibrated = false
  #calibrating = false
  /** The socket's counter at the latest push, and before the read that caused it. */
  #bytesRead = 0
  #bytesReadBefore = 0
  #excess = 0
  #sameExcess = 0
  /** The minimum at the previous calibration attempt. */
  #previousMin = Infinity
  #timer: NodeJS.Timeout | undefined
  readonly #inbound: Placement
  readonly #handshakeRead: number
  readonly #onFailure: () => void

  /**
   * @param handshakeRead bytes read when the handshake completed; they may include records
   */
  constructor(inbound: Placement, handshakeRead: number, onFailure: () => void) {
    this.#inbound = inbound
    this.#handshakeRead = handshakeRead
    this.#onFailure = onFailure
  }

  add(length: number, overhead: number, bytesRead: number): void {
    const inbound = this.#inbound
    if (bytesRead !== this.#bytesRead) this.#onRead(bytesRead, overhead)
    inbound.unit(length, length + overhead)
    const ahead = bytesRead - inbound.length
    if (!this.#calibrated) {
      this.#minExcess = Math.min(this.#minExcess, ahead)
      this.#calibrate()
      // A record that ends beyond the bytes read, or within an earlier read, was miscounted.
    } else if (!(ahead >= this.#minExcess) || this.#minExcess + inbound.length <= this.#bytesReadBefore) {
      this.#onFailure()
    }
  }

  /** Handles a new read. The excess of the previous read is the start of a record, so its length should vary. */
  #onRead(bytesRead: number, overhead: number): void {
    const excess = this.#calibrated ? this.#bytesRead - this.#inbound.length - this.#minExcess : 0
    this.#sameExcess = excess >= overhead && excess === this.#excess ? this.#sameExcess + 1 : 1
    this.#excess = excess
    this.#bytesReadBefore = this.#bytesRead
    this.#bytesRead = bytesRead
    if (excess >= overhead && this.#sameExcess >= SAME_EXCESS_LIMIT) this.#onFailure()
  }

  /** Ends the calibration with the current minimum. */
  finishCalibration(): void {
    clearTimeout(this.#timer)
    if (this.#calibrated || this.#inbound.length === 0) return
    this.#calibrated = true
    this.#minExcess = Math.min(this.#minExcess, this.#handshakeRead)
    this.#inbound.start(this.#minExcess)
  }

  /**
   * Calibrates after all records of a read. A read that ends inside a packet may also end inside a record, and so may
   * any read if the data arrives in pieces. The handshake is at most as long as the bytes read when it completed. If
   * the minimum is larger, the read ended inside a record. If it is equal, no records arrived with the handshake. If it
   * is smaller, records arrived with it, and a second read or a pause must confirm that the first read did not end
   * inside a record.
   */
  #calibrate(): void {
    if (this.#calibrating) return
    this.#calibrating = true
    setImmediate(() => {
      this.#calibrating = false
      if (this.#calibrated || !this.#inbound.boundary || this.#minExcess > this.#handshakeRead) return
      const confirms = this.#bytesRead - this.#inbound.length === this.#previousMin
      this.#previousMin = this.#minExcess
      if (this.#minExcess === this.#handshakeRead || confirms) this.finishCalibration()
      else
        this.#timer ??= setTimeout(() => {
          this.finishCalibration()
        }, RECORD_REST_TIMEOUT_MS).unref()
    })
  }
}

/** OpenSSL splits each write into full records and a rest, and calls back when the underlying socket has all of it. */
function countOutbound(
  socket: TLSSocket,
  parent: Socket,
  overhead: number,
  outbound: Placement,
  onFailure: () => void
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
          onFailure()
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
    if (handshake === undefined && outbound.length > 0) onFailure()
    outbound.reach(parent.bytesWritten)
  })
}

function lengthOf(chunk: unknown, encoding: BufferEncoding): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : (chunk as Uint8Array).length
}
