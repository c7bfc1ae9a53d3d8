// The join from a capture alone: decodes MQTT packets from the captured bytes.
import { isBoundaryChain } from '../decode/mqtt-boundary.js'
import { MqttWalker } from '../decode/mqtt.js'
import type { MqttBody, MqttSession, MqttWalkerOptions } from '../decode/mqtt.js'
import { isInitiated } from '../decode/initiated.js'
import type { JoinKind, MqttPacket, PartialPacket, StreamChunk, StreamFrame, TcpStream } from '../types.js'

/** The packets that a frame completes. */
export interface CompletedPackets {
  join: JoinKind
  /** The first packet completed in the frame; null if none. */
  packet: MqttPacket | null
  /** All completed packets, in order. */
  packets: readonly MqttPacket[]
  /** The incomplete packet at its end; null if it ends between packets or carries no new bytes. */
  partial: PartialPacket | null
  /** Number of completed packets. */
  completed: number
  /** Number of completed packets that the sender initiated. */
  initiated: number
}

/** Limits of the kept packet data. */
export interface DecodedJoinOptions {
  /** Bytes kept of a topic. */
  topicCapBytes?: number
  /** Bytes kept of a payload. */
  payloadCapBytes?: number
}

/** Counters of the decoder. */
export interface DecodedJoinCounters {
  /** Streams that started with a TLS record. */
  tlsStreams: number
  /** Times that decoding of a direction resumed after a gap or started mid-stream. */
  resumed: number
  /** Directions no longer decoded because of a remaining length of more than four bytes. */
  malformed: number
}

/** Maximum topic length [MQTT-1.5.4]. */
const MAX_TOPIC_BYTES = 65_535
/** Payload kept per record. MQTT itself allows 256 MB. */
const DEFAULT_PAYLOAD_CAP_BYTES = 16_777_216

const NOT_MQTT: CompletedPackets = Object.freeze({
  join: 'none',
  packet: null,
  packets: [],
  partial: null,
  completed: 0,
  initiated: 0
})
const NO_PACKET: CompletedPackets = Object.freeze({
  join: 'decoded',
  packet: null,
  packets: [],
  partial: null,
  completed: 0,
  initiated: 0
})

/** A TLS handshake record starts with its type and version (RFC 8446, section 5.1). */
const TLS_PREFIX_LENGTH = 3
const NOT_TLS = -1
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR = 3
const TLS_LAST_MINOR = 4

interface DirectionState {
  readonly walker: MqttWalker
  /** Number of bytes so far that match the start of a TLS record; {@link NOT_TLS} after a mismatch. */
  tlsBytes: number
}

interface ConnectionState {
  readonly options: MqttWalkerOptions
  tls: boolean
  /** null until the direction carries bytes. */
  in: DirectionState | null
  out: DirectionState | null
}

/**
 * Decodes the MQTT packets of frames, pushed in capture order. After a gap or a mid-stream start, decoding of a
 * direction resumes at a segment that consists exactly of a chain of possible packets (see decode/mqtt-boundary.ts).
 */
export class DecodedJoin {
  readonly counters: DecodedJoinCounters = { tlsStreams: 0, resumed: 0, malformed: 0 }

  readonly #options: Required<DecodedJoinOptions>
  /** Bounded by the number of streams, which the owner of the streams limits. */
  readonly #connections = new WeakMap<TcpStream, ConnectionState>()
  readonly #spare: MqttBody[] = []
  /** Packets of the current frame; null if none so far. */
  #packets: MqttPacket[] | null = null
  #initiated = 0
  readonly #onPacket = (packet: MqttPacket): void => {
    if (this.#packets === null) this.#packets = [packet]
    else this.#packets.push(packet)
    if (isInitiated(packet)) this.#initiated++
  }

  constructor(options: DecodedJoinOptions = {}) {
    this.#options = { topicCapBytes: MAX_TOPIC_BYTES, payloadCapBytes: DEFAULT_PAYLOAD_CAP_BYTES, ...options }
  }

  /** Returns the packets that the next frame completes. Topic and payload may be views of the frame's bytes. */
  push(streamFrame: StreamFrame): CompletedPackets {
    const { stream, direction, chunks } = streamFrame
    const known = this.#connections.get(stream)
    if (known?.tls === true) return NOT_MQTT
    if (chunks.length === 0) return NO_PACKET
    const connection = known ?? this.#open(stream)
    const state = (connection[direction] ??= newDirectionState(connection.options))
    for (const chunk of chunks) {
      if (state.tlsBytes !== NOT_TLS && startsTlsRecord(state, chunk)) {
        connection.tls = true
        this.counters.tlsStreams++
        this.#takeCompleted(null)
        return NOT_MQTT
      }
      if (!state.walker.malformed) this.#walk(state.walker, chunk, streamFrame, connection.options.session)
    }
    return this.#takeCompleted(state.walker.inProgress)
  }

  /** Returns the packets completed since the last call. */
  #takeCompleted(partial: PartialPacket | null): CompletedPackets {
    const packets = this.#packets
    if (packets === null) return partial === null ? NO_PACKET : { ...NO_PACKET, partial }
    const initiated = this.#initiated
    this.#packets = null
    this.#initiated = 0
    return { join: 'decoded', packet: packets[0], packets, partial, completed: packets.length, initiated }
  }

  #open(stream: TcpStream): ConnectionState {
    const { topicCapBytes, payloadCapBytes } = this.#options
    const options = { topicCapBytes, payloadCapBytes, session: { version: 0 }, spare: this.#spare }
    const connection: ConnectionState = { options, tls: false, in: null, out: null }
    this.#connections.set(stream, connection)
    return connection
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

function newDirectionState(options: MqttWalkerOptions): DirectionState {
  return { walker: new MqttWalker(options), tlsBytes: 0 }
}

/** Checks whether the first bytes of a direction start a TLS record. */
function startsTlsRecord(state: DirectionState, { bytes, length }: StreamChunk): boolean {
  for (let i = 0; i < length; i++) {
    const byte = bytes?.[i] ?? 0
    const matches =
      state.tlsBytes === 0 ? byte === TLS_HANDSHAKE : state.tlsBytes === 1 ? byte === TLS_MAJOR : byte <= TLS_LAST_MINOR
    state.tlsBytes = matches ? state.tlsBytes + 1 : NOT_TLS
    if (!matches || state.tlsBytes === TLS_PREFIX_LENGTH) return matches
  }
  return false
}
