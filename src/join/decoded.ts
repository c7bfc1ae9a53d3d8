// The join from a capture alone: MQTT packets decoded from the bytes that the tap saw.
import { isBoundaryChain } from '../decode/mqtt-boundary.js'
import { MqttWalker } from '../decode/mqtt.js'
import type { MqttSession } from '../decode/mqtt.js'
import { isInitiative } from './initiative.js'
import type { Sign } from './own-traffic.js'
import type { Direction, JoinKind, MqttPacket, StreamChunk, StreamFrame, TcpStream } from '../types.js'

/** What a frame completes. */
export interface CompletedPackets {
  join: JoinKind
  /** The first packet completed in the frame; null where it completes none. */
  packet: MqttPacket | null
  /** All of them, in order. */
  packets: readonly MqttPacket[]
  /** How many packets it completes. */
  completed: number
  /** How many of these the sender sent of its own accord. */
  initiated: number
}

/** What is kept of packets. */
export interface DecodedJoinOptions {
  /** Bytes kept of a topic. */
  topicCapBytes?: number
  /** Bytes kept of a payload. */
  payloadCapBytes?: number
}

/** What is counted, because nothing is lost in silence. */
export interface DecodedJoinCounters {
  /** Streams that opened with a TLS record. */
  tlsStreams: number
  /** Times that a direction was taken up again after a gap or in mid-stream. */
  resumed: number
  /** Directions given up for a remaining length of more than four bytes. */
  malformed: number
}

/** A topic cannot be longer [MQTT-1.5.4]. */
const WHOLE_TOPIC = 65_535
/** Payload that one record may carry into a file; MQTT itself allows 256 MB. */
const LARGE_PAYLOAD = 16_777_216

const NOTHING: CompletedPackets = Object.freeze({ join: 'none', packet: null, packets: [], completed: 0, initiated: 0 })
const NO_PACKET: CompletedPackets = Object.freeze({ join: 'decoded', packet: null, packets: [], completed: 0, initiated: 0 })

/** A TLS record of a handshake opens with its type and version (RFC 8446, section 5.1). */
const TLS_OPENING_LENGTH = 3
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR = 3
const TLS_LAST_MINOR = 4

interface Flow {
  readonly walker: MqttWalker
  /** The first bytes of the direction, as many as tell TLS. */
  readonly opening: number[]
}

interface Conversation extends Record<Direction, Flow> {
  readonly session: MqttSession
  tls: boolean
}

/**
 * Decodes the MQTT packets of placed frames, pushed in the order of the capture. Where a capture
 * begins in mid-stream and after a gap, a direction is taken up again at a segment from whose first
 * byte a chain of possible packets runs exactly to its last (see decode/mqtt-boundary.ts).
 */
export class DecodedJoin {
  readonly counters: DecodedJoinCounters = { tlsStreams: 0, resumed: 0, malformed: 0 }

  readonly #options: Required<DecodedJoinOptions>
  /** Lives as long as the streams themselves, which their owner caps. */
  readonly #conversations = new WeakMap<TcpStream, Conversation>()
  #packets: MqttPacket[] = []
  #initiated = 0
  readonly #onPacket = (packet: MqttPacket): void => {
    this.#packets.push(packet)
    if (isInitiative(packet)) this.#initiated++
  }

  constructor (options: DecodedJoinOptions = {}) {
    this.#options = { topicCapBytes: WHOLE_TOPIC, payloadCapBytes: LARGE_PAYLOAD, ...options }
  }

  /** What the next frame of the capture completes. The packet's topic and payload may be views of the frame's bytes. */
  push (streamFrame: StreamFrame): CompletedPackets {
    const { stream, direction, chunks } = streamFrame
    const conversation = this.#conversationOf(stream)
    if (conversation.tls) return NOTHING
    if (chunks.length === 0) return NO_PACKET
    const flow = conversation[direction]
    this.#packets = []
    this.#initiated = 0
    for (const chunk of chunks) {
      if (opensWithTls(flow.opening, chunk)) {
        conversation.tls = true
        this.counters.tlsStreams++
        return NOTHING
      }
      this.#walk(flow.walker, chunk, streamFrame, conversation.session)
    }
    const packets = this.#packets
    return packets.length === 0 ? NO_PACKET : { join: 'decoded', packet: packets[0], packets, completed: packets.length, initiated: this.#initiated }
  }

  /** The packet of which a direction's latest frame carries a part, as far as it is known; null where it ended between packets. */
  begun (stream: TcpStream, direction: Direction): Sign | null {
    return this.#conversations.get(stream)?.[direction].walker.inProgress ?? null
  }

  #conversationOf (stream: TcpStream): Conversation {
    let conversation = this.#conversations.get(stream)
    if (conversation === undefined) {
      const session = { version: 0 }
      conversation = { session, tls: false, in: this.#flow(session), out: this.#flow(session) }
      this.#conversations.set(stream, conversation)
    }
    return conversation
  }

  #flow (session: MqttSession): Flow {
    return { walker: new MqttWalker({ ...this.#options, session }), opening: [] }
  }

  #walk (walker: MqttWalker, chunk: StreamChunk, { stream, direction }: StreamFrame, session: MqttSession): void {
    if (walker.malformed) return
    const lost = walker.offset === 0 ? !stream.synced[direction] : walker.lost
    if (chunk.bytes === null || (lost && !isBoundaryChain(chunk.bytes, direction, session.version))) {
      walker.skip(chunk.length, this.#onPacket)
      return
    }
    if (lost) {
      walker.resync()
      this.counters.resumed++
    }
    walker.push(chunk.bytes, this.#onPacket)
    if (walker.malformed) this.counters.malformed++
  }
}

/** Collects the first bytes of a direction and says whether they open a TLS record. */
function opensWithTls (opening: number[], chunk: StreamChunk): boolean {
  for (let i = 0; i < chunk.length && opening.length < TLS_OPENING_LENGTH; i++) opening.push(chunk.bytes?.[i] ?? 0)
  const [type, major, minor] = opening
  return type === TLS_HANDSHAKE && major === TLS_MAJOR && minor !== undefined && minor <= TLS_LAST_MINOR
}
