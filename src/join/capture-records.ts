// Reads the records of a capture without a broker, for `extract` and training.
import { CaptureDecoder } from '../decode/capture.js'
import { gunzipped } from '../decode/gunzip.js'
import { TcpDecoder } from '../decode/tcp-decoder.js'
import { TcpStreams } from '../decode/tcp-streams.js'
import type { TrafficRecord } from '../record.js'
import type { CapturedFrame } from '../types.js'
import { DecodedRecords } from './decoded-records.js'
import type { DecodedJoinOptions } from './decoded.js'

/** Default MQTT ports: MQTT and MQTT over TLS (IANA). */
export const DEFAULT_MQTT_PORTS: readonly number[] = Object.freeze([1883, 8883])

/** Options for reading a capture. */
export interface CaptureRecordsOptions extends DecodedJoinOptions {
  /** TCP ports that carry MQTT. */
  ports?: Iterable<number>
  /**
   * Whether to compute the context columns and to identify the detection's own messages, which is slower.
   *
   * @default true
   */
  context?: boolean
}

/**
 * Reads the records of one capture file, gzip-compressed or not, in chunks.
 *
 * @throws OperatorError if the file is not a valid capture, after all records before the error
 */
export async function* readRecords(
  source: AsyncIterable<Buffer>,
  options: CaptureRecordsOptions = {}
): AsyncGenerator<TrafficRecord[]> {
  let records: TrafficRecord[] = []
  for await (const count of eachRecord(source, options, record => {
    records.push(record)
  })) {
    if (count === 0) continue
    yield records
    records = []
  }
}

/**
 * Reads the records without collecting them. `onRecord` receives each record, which is only valid during the call.
 * Yields the number of records after each chunk.
 */
export async function* eachRecord(
  source: AsyncIterable<Buffer>,
  options: CaptureRecordsOptions,
  onRecord: (record: TrafficRecord) => void
): AsyncGenerator<number> {
  let count = 0
  const capture = new CaptureRecords(record => {
    count++
    onRecord(record)
  }, options)
  for await (const chunk of gunzipped(source)) {
    try {
      capture.push(chunk)
    } finally {
      // Also the records before an error.
      yield count
      count = 0
    }
  }
  capture.end()
}

/**
 * Decodes one capture. `push` calls `onRecord` once for each TCP frame of a watched port. A record's payload may be a
 * view of the pushed bytes. Throws the errors of {@link CaptureDecoder}.
 */
export class CaptureRecords {
  readonly #decoder: CaptureDecoder
  readonly #tcp: TcpDecoder
  readonly #streams: TcpStreams
  readonly #records: DecodedRecords
  readonly #onRecord: (record: TrafficRecord) => void
  #frames = 0

  constructor(onRecord: (record: TrafficRecord) => void, options: CaptureRecordsOptions = {}) {
    const { ports = DEFAULT_MQTT_PORTS, ...recordOptions } = options
    this.#onRecord = onRecord
    const watched = new Set(ports)
    this.#tcp = new TcpDecoder(watched)
    this.#streams = new TcpStreams(watched)
    this.#records = new DecodedRecords(recordOptions)
    this.#decoder = new CaptureDecoder(frame => this.#onFrame(frame))
  }

  /** Frames of the capture so far, including those that are not records. */
  get frames(): number {
    return this.#frames
  }

  /** Counters of everything lost, dropped or malformed. */
  get counters(): TcpDecoder['counters'] &
    TcpStreams['counters'] &
    DecodedRecords['counters'] &
    DecodedRecords['contextCounters'] {
    return {
      ...this.#tcp.counters,
      ...this.#streams.counters,
      ...this.#records.counters,
      ...this.#records.contextCounters
    }
  }

  /** Adds the next bytes of the capture. */
  push(chunk: Buffer): void {
    this.#decoder.push(chunk)
  }

  /** Ends the capture. */
  end(): void {
    this.#decoder.end()
  }

  #onFrame(captured: CapturedFrame): void {
    const frame = this.#tcp.decode(captured, ++this.#frames)
    if (frame === null) return
    this.#onRecord(this.#records.record(this.#streams.push(frame)))
  }
}
