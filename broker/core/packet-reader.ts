// Reads the packets of one connection in order, within its rate limits.

import { PacketType } from '../../src/decode/packet-types.js'
import type { ClientParts } from './aedes-internals.js'
import { ProtocolFault } from '../protocol/fault.js'
import { Framer, type Packet } from './framer.js'
import { ReadThrottle, type ReadLimits } from './read-throttle.js'
import type { Traffic } from './traffic.js'

/** Handles the packets of a connection. */
export interface PacketHandler {
  /** Whether the next packet may be handled now. */
  readonly mayRead: boolean
  /** Checks the type and size of a packet; disconnects the client and returns false if they are not acceptable. */
  accept(header: number, length: number): boolean
  /** Returns whether a packet must wait; if so, the handler calls `read` later. */
  mustWait(header: number): boolean
  handle(packet: Packet): void
  /** Disconnects the client for a protocol violation. */
  refuse(error: Error): void
  /** Called at the end of each `read`. */
  afterRead(): void
}

/** Packet types that count against the rate limit. Acknowledgements do not: others cause them. */
const COUNTED: ReadonlySet<number> = new Set([
  PacketType.PUBLISH,
  PacketType.SUBSCRIBE,
  PacketType.UNSUBSCRIBE,
  PacketType.PINGREQ
])

/** Reads packets while its handler accepts them. */
export class PacketReader {
  readonly #framer = new Framer()
  readonly #parts: ClientParts
  readonly #traffic: Traffic
  readonly #handler: PacketHandler
  readonly #throttle: ReadThrottle
  #isReading = false

  /** @param onLimit called once per pause with the limit that is exceeded */
  constructor(
    parts: ClientParts,
    traffic: Traffic,
    limits: ReadLimits,
    handler: PacketHandler,
    onLimit: (name: keyof ReadLimits) => void
  ) {
    this.#parts = parts
    this.#traffic = traffic
    this.#handler = handler
    this.#throttle = new ReadThrottle(limits, this.read, onLimit)
  }

  /** Whether a complete packet is waiting. */
  get hasPacket(): boolean {
    const next = this.#framer.next()
    return typeof next === 'object' && next.isWhole
  }

  /** Reads and handles packets until none is left or one must wait. */
  readonly read = (): void => {
    if (this.#isReading) return
    this.#isReading = true
    try {
      this.#readPackets()
    } finally {
      this.#isReading = false
    }
    this.#handler.afterRead()
  }

  /** Returns unhandled bytes to the stream. */
  unread(): void {
    const rest = this.#framer.rest()
    this.#count(-rest.length)
    if (rest.length > 0) this.#parts.conn.unshift(rest)
  }

  /** Cancels a pause. */
  close(): void {
    this.#throttle.close()
  }

  #readPackets(): void {
    const handler = this.#handler
    let handled = 0
    while (handler.mayRead) {
      const packet = this.#framer.next()
      if (packet === undefined) {
        if (!this.#fill()) break
      } else if (packet === 'malformed') handler.refuse(new ProtocolFault('invalid remaining length [MQTT-1.5.5-1]'))
      else if (!handler.accept(packet.header, packet.length)) break
      else if (!packet.isWhole) {
        if (!this.#fill()) break
      } else if (!handler.mustWait(packet.header)) {
        if (COUNTED.has(packet.header >> 4)) this.#throttle.countMessage()
        this.#traffic.in.messages++
        handler.handle(this.#framer.take())
        handled++
      } else break
    }
    if (handled > 0) this.#refreshKeepalive()
  }

  /** Reads more bytes; returns false if there are none, or the client is above its rate limit. */
  #fill(): boolean {
    if (this.#throttle.mustPause(this.#refreshKeepalive)) return false
    const chunk = this.#parts.conn.read() as Buffer | null
    if (chunk === null) return false
    this.#count(chunk.length)
    this.#framer.push(chunk)
    return true
  }

  #count(bytes: number): void {
    this.#throttle.countBytes(bytes)
    this.#traffic.in.bytes += bytes
  }

  readonly #refreshKeepalive = (): void => {
    this.#parts._keepaliveTimer?.refresh()
  }
}
