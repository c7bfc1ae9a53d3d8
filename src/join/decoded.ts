// The join from a capture alone: MQTT packets decoded from the bytes that the tap saw.
import { isBoundaryChain } from '../decode/mqtt-boundary.js'
import { MqttWalker } from '../decode/mqtt.js'
import type { MqttBody, MqttSession, MqttWalkerOptions } from '../decode/mqtt.js'
import { isInitiative } from './initiative.js'
import type { JoinKind, MqttPacket, PacketBegun, StreamChunk, StreamFrame, TcpStream } from '../types.js'

/** What a frame completes. */
export interface CompletedPackets {
  join: JoinKind
  /** The first packet completed in the frame; null where it completes none. */
  packet: MqttPacket | null
  /** All of them, in order. */
  packets: readonly MqttPacket[]
  /** The packet of which it carries a part beyond these; null where it ends between packets, or brings nothing. */
  begun: PacketBegun | null
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

const NOTHING: CompletedPackets = Object.freeze({
  join: 'none',
  packet: null,
  packets: [],
  begun: null,
  completed: 0,
  initiated: 0
})
const NO_PACKET: CompletedPackets = Object.freeze({
  join: 'decoded',
  packet: null,
  packets: [],
  begun: null,
  completed: 0,
  initiated: 0
})

/** A TLS record of a handshake opens with its type and version (RFC 8446, section 5.1). */
const TLS_OPENING_LENGTH = 3
const NOT_TLS = -1
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR = 3
const TLS_LAST_MINOR = 4

interface Flow {
  readonly walker: MqttWalker
  /** How many of its first bytes are those of a TLS record; {@link NOT_TLS} as soon as one is not. */
  tlsBytes: number
}

interface Conversation {
  readonly options: MqttWalkerOptions
  tls: boolean
  /** As long as a direction carries nothing there is none. */
  in: Flow | null
  out: Flow | null
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
  readonly #spare: MqttBody[] = []
  /** Those of the frame in hand; most frames complete one or none. */
  #packets: MqttPacket[] | null = null
  #initiated = 0
  readonly #onPacket = (packet: MqttPacket): void => {
    if (this.#packets === null) this.#packets = [packet]
    else this.#packets.push(packet)
    if (isInitiative(packet)) this.#initiated++
  }

  constructor(options: DecodedJoinOptions = {}) {
    this.#options = { topicCapBytes: WHOLE_TOPIC, payloadCapBytes: LARGE_PAYLOAD, ...options }
  }

  /** What the next frame of the capture completes. The packet's topic and payload may be views of the frame's bytes. */
  push(streamFrame: StreamFrame): CompletedPackets {
    const { stream, direction, chunks } = streamFrame
    const known = this.#conversations.get(stream)
    if (known?.tls === true) return NOTHING
    if (chunks.length === 0) return NO_PACKET
    const conversation = known ?? this.#open(stream)
    const flow = (conversation[direction] ??= flowOf(conversation.options))
    for (const chunk of chunks) {
      if (flow.tlsBytes !== NOT_TLS && opensWithTls(flow, chunk)) {
        conversation.tls = true
        this.counters.tlsStreams++
        this.#take(null)
        return NOTHING
      }
      if (!flow.walker.malformed) this.#walk(flow.walker, chunk, streamFrame, conversation.options.session)
    }
    return this.#take(flow.walker.inProgress)
  }

  /** What was completed since the last call. */
  #take(begun: PacketBegun | null): CompletedPackets {
    const packets = this.#packets
    if (packets === null) return begun === null ? NO_PACKET : { ...NO_PACKET, begun }
    const initiated = this.#initiated
    this.#packets = null
    this.#initiated = 0
    return { join: 'decoded', packet: packets[0], packets, begun, completed: packets.length, initiated }
  }

  #open(stream: TcpStream): Conversation {
    const { topicCapBytes, payloadCapBytes } = this.#options
    const options = { topicCapBytes, payloadCapBytes, session: { version: 0 }, spare: this.#spare }
    const conversation: Conversation = { options, tls: false, in: null, out: null }
    this.#conversations.set(stream, conversation)
    return conversation
  }

  #walk(walker: MqttWalker, chunk: StreamChunk, { stream, direction }: StreamFrame, session: MqttSession): void {
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

function flowOf(options: MqttWalkerOptions): Flow {
  return { walker: new MqttWalker(options), tlsBytes: 0 }
}

/** Looks at the first bytes of a direction and says whether they open a TLS record. */
function opensWithTls(flow: Flow, { bytes, length }: StreamChunk): boolean {
  for (let i = 0; i < length; i++) {
    const byte = bytes?.[i] ?? 0
    const fits =
      flow.tlsBytes === 0 ? byte === TLS_HANDSHAKE : flow.tlsBytes === 1 ? byte === TLS_MAJOR : byte <= TLS_LAST_MINOR
    flow.tlsBytes = fits ? flow.tlsBytes + 1 : NOT_TLS
    if (!fits || flow.tlsBytes === TLS_OPENING_LENGTH) return fits
  }
  return false
}
