// From a capture's bytes to records, with nothing but the capture: what extract and training read.
import { CaptureDecoder } from '../decode/capture.js'
import { TcpStreams } from '../decode/tcp-streams.js'
import { decodeTcp } from '../decode/tcp.js'
import { extractFeatures } from '../features/extractor.js'
import type { FeatureValues } from '../features/schema.js'
import type { CapturedFrame, StreamFrame } from '../types.js'
import { DecodedJoin } from './decoded.js'
import type { CompletedPackets, DecodedJoinOptions } from './decoded.js'

/** Ports that are watched unless told otherwise: MQTT and MQTT over TLS (IANA). */
export const DEFAULT_MQTT_PORTS: readonly number[] = Object.freeze([1883, 8883])

/** One record of a capture. */
export interface CaptureRecord {
  /** Number of the frame in its capture, from 1. */
  frame: number
  /** Epoch seconds of the frame. */
  seconds: number
  /** Nanoseconds within the second. */
  nanoseconds: number
  values: FeatureValues
  /** The packets that the frame completes, beside the first one. */
  packets: CompletedPackets
  /** Where the frame stands in its stream. */
  streamFrame: StreamFrame
}

/** How to read a capture. */
export interface CaptureRecordsOptions extends DecodedJoinOptions {
  /** TCP ports that carry MQTT. */
  ports?: Iterable<number>
}

/**
 * Decodes one capture. `onRecord` is called from within `push`, once for each TCP frame of a watched
 * port; a record's payload may be a view of the pushed bytes. Throws what {@link CaptureDecoder} throws.
 */
export class CaptureRecords {
  readonly #decoder: CaptureDecoder
  readonly #ports: ReadonlySet<number>
  readonly #streams: TcpStreams
  readonly #join: DecodedJoin
  readonly #onRecord: (record: CaptureRecord) => void
  #frames = 0

  constructor (onRecord: (record: CaptureRecord) => void, options: CaptureRecordsOptions = {}) {
    const { ports = DEFAULT_MQTT_PORTS, ...joinOptions } = options
    this.#onRecord = onRecord
    this.#ports = new Set(ports)
    this.#streams = new TcpStreams(this.#ports)
    this.#join = new DecodedJoin(joinOptions)
    this.#decoder = new CaptureDecoder(frame => this.#onFrame(frame))
  }

  /** Frames of the capture so far, also those that are no records. */
  get frames (): number { return this.#frames }

  /** What was lost or given up on the way. */
  get counters (): TcpStreams['counters'] & DecodedJoin['counters'] {
    return { ...this.#streams.counters, ...this.#join.counters }
  }

  /** Takes the next bytes of the capture. */
  push (chunk: Buffer): void {
    this.#decoder.push(chunk)
  }

  /** The capture is over. */
  end (): void {
    this.#decoder.end()
  }

  #onFrame (captured: CapturedFrame): void {
    const frame = decodeTcp(captured, ++this.#frames, this.#ports)
    if (frame === null) return
    const streamFrame = this.#streams.push(frame)
    const packets = this.#join.push(streamFrame)
    const { number, seconds, nanoseconds } = frame
    this.#onRecord({ frame: number, seconds, nanoseconds, values: extractFeatures(streamFrame, packets.packet), packets, streamFrame })
  }
}
