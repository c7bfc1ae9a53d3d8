// Encoding of entries in the ring buffer: written without allocation, read as objects.

import type { Direction, Endpoint, MqttPacket } from '../types.js'
import { UNPLACED_REASONS, type BrokerEntry, type Transport, type UnplacedReason } from './entries.js'
import type { RingReader, RingWriter } from './ring.js'

const KIND = { open: 1, identity: 2, packet: 3, mark: 4, close: 5, unplaced: 6, announced: 7 } as const
const TRANSPORTS: readonly Transport[] = ['tcp', 'tls', 'websocket', 'stream']
const TEXT_CAP_BYTES = 256
const NO_VALUE = 0xffffffff
const PACKET_HEADER_BYTES = 60
/** Flags of packets and marks. */
const OUT = 1
const LAST = 2
/** Share of the ring that packets leave free, so that a flood drops packets but never connection events. */
const SPARE_SHARE = 1 / 16

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Writes entries into a ring; writing a packet copies it once and allocates nothing. */
export class EntryWriter {
  readonly #spare: number
  readonly #ring: RingWriter

  constructor(ring: RingWriter) {
    this.#ring = ring
    this.#spare = Math.floor(ring.capacity * SPARE_SHARE)
  }

  /** Entries dropped because the ring was full. */
  get dropped(): number {
    return this.#ring.dropped
  }

  open(connection: number, time: number, transport: Transport, client: Endpoint, broker: Endpoint): void {
    const clientAddress = text(client.address)
    const brokerAddress = text(broker.address)
    const at = this.#ring.reserve(20 + clientAddress.length + brokerAddress.length)
    if (at < 0) return
    const { view, bytes } = this.#ring
    view.setUint8(at, KIND.open)
    view.setUint8(at + 1, TRANSPORTS.indexOf(transport))
    view.setUint8(at + 2, clientAddress.length)
    view.setUint8(at + 3, brokerAddress.length)
    view.setUint32(at + 4, connection, true)
    view.setFloat64(at + 8, time, true)
    view.setUint16(at + 16, client.port, true)
    view.setUint16(at + 18, broker.port, true)
    bytes.set(clientAddress, at + 20)
    bytes.set(brokerAddress, at + 20 + clientAddress.length)
    this.#ring.commit()
  }

  announced(connection: number, client: Endpoint): void {
    const address = text(client.address)
    const at = this.#ring.reserve(12 + address.length)
    if (at < 0) return
    const { view, bytes } = this.#ring
    view.setUint8(at, KIND.announced)
    view.setUint32(at + 4, connection, true)
    view.setUint16(at + 8, client.port, true)
    view.setUint16(at + 10, address.length, true)
    bytes.set(address, at + 12)
    this.#ring.commit()
  }

  identity(connection: number, clientId: string, username: string): void {
    const id = text(clientId)
    const user = text(username)
    const at = this.#ring.reserve(12 + id.length + user.length)
    if (at < 0) return
    const { view, bytes } = this.#ring
    view.setUint8(at, KIND.identity)
    view.setUint32(at + 4, connection, true)
    view.setUint16(at + 8, id.length, true)
    view.setUint16(at + 10, user.length, true)
    bytes.set(id, at + 12)
    bytes.set(user, at + 12 + id.length)
    this.#ring.commit()
  }

  packet(
    connection: number,
    direction: Direction,
    time: number,
    packet: MqttPacket,
    ordinal: number,
    last: boolean
  ): void {
    const topicBytes = packet.topic?.length ?? 0
    const payloadBytes = packet.payload?.length ?? 0
    const at = this.#ring.reserve(PACKET_HEADER_BYTES + topicBytes + payloadBytes, this.#spare)
    if (at < 0) return
    const { view, bytes } = this.#ring
    view.setUint8(at, KIND.packet)
    view.setUint8(at + 1, (direction === 'in' ? 0 : OUT) | (last ? LAST : 0))
    view.setUint8(at + 2, packet.header)
    view.setUint8(at + 3, packet.size - packet.remainingLength)
    view.setUint32(at + 4, connection, true)
    view.setFloat64(at + 8, time, true)
    view.setFloat64(at + 16, packet.end, true)
    view.setUint32(at + 24, packet.remainingLength, true)
    view.setUint32(at + 28, packet.topicLength ?? NO_VALUE, true)
    view.setUint32(at + 32, packet.payload === null ? NO_VALUE : packet.payloadLength, true)
    view.setUint32(at + 36, packet.topic === null ? NO_VALUE : topicBytes, true)
    view.setUint32(at + 40, payloadBytes, true)
    view.setUint32(at + 44, ordinal, true)
    view.setUint32(at + 48, packet.facts, true)
    view.setUint32(at + 52, packet.clientHash, true)
    view.setUint32(at + 56, packet.willHash, true)
    if (packet.topic !== null) bytes.set(packet.topic, at + PACKET_HEADER_BYTES)
    if (packet.payload !== null) bytes.set(packet.payload, at + PACKET_HEADER_BYTES + topicBytes)
    this.#ring.commit()
  }

  mark(connection: number, direction: Direction, time: number, begin: number, offset: number, ordinal: number): void {
    const at = this.#ring.reserve(36, this.#spare)
    if (at < 0) return
    const { view } = this.#ring
    view.setUint8(at, KIND.mark)
    view.setUint8(at + 1, direction === 'in' ? 0 : OUT)
    view.setUint32(at + 4, connection, true)
    view.setFloat64(at + 8, begin, true)
    view.setFloat64(at + 16, offset, true)
    view.setUint32(at + 24, ordinal, true)
    view.setFloat64(at + 28, time, true)
    this.#ring.commit()
  }

  unplaced(connection: number, reason: UnplacedReason): void {
    const at = this.#ring.reserve(8)
    if (at < 0) return
    const { view } = this.#ring
    view.setUint8(at, KIND.unplaced)
    view.setUint8(at + 1, UNPLACED_REASONS.indexOf(reason))
    view.setUint32(at + 4, connection, true)
    this.#ring.commit()
  }

  close(connection: number, time: number): void {
    const at = this.#ring.reserve(16)
    if (at < 0) return
    const { view } = this.#ring
    view.setUint8(at, KIND.close)
    view.setUint32(at + 4, connection, true)
    view.setFloat64(at + 8, time, true)
    this.#ring.commit()
  }
}

/** Reads all available entries in order. Returns their number. */
export function readEntries(ring: RingReader, onEntry: (entry: BrokerEntry) => void): number {
  return ring.drain((bytes, view, at) => {
    onEntry(decodeEntry(bytes, view, at))
  })
}

function decodeEntry(bytes: Uint8Array, view: DataView, at: number): BrokerEntry {
  const kind = view.getUint8(at)
  const connection = view.getUint32(at + 4, true)
  const flags = view.getUint8(at + 1)
  const direction: Direction = (flags & OUT) === 0 ? 'in' : 'out'
  switch (kind) {
    case KIND.open: {
      const clientEnd = at + 20 + view.getUint8(at + 2)
      return {
        kind: 'open',
        connection,
        time: view.getFloat64(at + 8, true),
        transport: TRANSPORTS[view.getUint8(at + 1)],
        client: { address: string(bytes, at + 20, clientEnd), port: view.getUint16(at + 16, true) },
        broker: {
          address: string(bytes, clientEnd, clientEnd + view.getUint8(at + 3)),
          port: view.getUint16(at + 18, true)
        }
      }
    }
    case KIND.announced:
      return {
        kind: 'announced',
        connection,
        client: {
          address: string(bytes, at + 12, at + 12 + view.getUint16(at + 10, true)),
          port: view.getUint16(at + 8, true)
        }
      }
    case KIND.identity: {
      const idEnd = at + 12 + view.getUint16(at + 8, true)
      return {
        kind: 'identity',
        connection,
        clientId: string(bytes, at + 12, idEnd),
        username: string(bytes, idEnd, idEnd + view.getUint16(at + 10, true))
      }
    }
    case KIND.packet:
      return {
        kind: 'packet',
        connection,
        direction,
        time: view.getFloat64(at + 8, true),
        packet: decodePacket(bytes, view, at),
        ordinal: view.getUint32(at + 44, true),
        last: (flags & LAST) !== 0
      }
    case KIND.mark:
      return {
        kind: 'mark',
        connection,
        direction,
        time: view.getFloat64(at + 28, true),
        begin: view.getFloat64(at + 8, true),
        offset: view.getFloat64(at + 16, true),
        ordinal: view.getUint32(at + 24, true)
      }
    case KIND.unplaced:
      return { kind: 'unplaced', connection, reason: UNPLACED_REASONS[flags] }
    case KIND.close:
      return { kind: 'close', connection, time: view.getFloat64(at + 8, true) }
    default:
      throw new Error(`unknown entry kind in the ring: ${kind}`)
  }
}

function decodePacket(bytes: Uint8Array, view: DataView, at: number): MqttPacket {
  const remainingLength = view.getUint32(at + 24, true)
  const topicLength = view.getUint32(at + 28, true)
  const payloadLength = view.getUint32(at + 32, true)
  const topicBytes = view.getUint32(at + 36, true)
  const topicEnd = at + PACKET_HEADER_BYTES + (topicBytes === NO_VALUE ? 0 : topicBytes)
  return {
    header: view.getUint8(at + 2),
    remainingLength,
    size: remainingLength + view.getUint8(at + 3),
    end: view.getFloat64(at + 16, true),
    topicLength: topicLength === NO_VALUE ? null : topicLength,
    topic: topicBytes === NO_VALUE ? null : bytes.slice(at + PACKET_HEADER_BYTES, topicEnd),
    payload: payloadLength === NO_VALUE ? null : bytes.slice(topicEnd, topicEnd + view.getUint32(at + 40, true)),
    payloadLength: payloadLength === NO_VALUE ? 0 : payloadLength,
    facts: view.getUint32(at + 48, true),
    clientHash: view.getUint32(at + 52, true),
    willHash: view.getUint32(at + 56, true)
  }
}

/** Returns a text truncated as in the ring; use it to compare with the detection thread's texts. */
export function truncatedText(value: string): string {
  return decoder.decode(text(value))
}

/** Encodes a text, truncated at the limit: a client may choose a long id. */
function text(value: string): Uint8Array {
  const bytes = encoder.encode(value)
  return bytes.length > TEXT_CAP_BYTES - 1 ? bytes.subarray(0, TEXT_CAP_BYTES - 1) : bytes
}

function string(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.slice(start, end))
}
