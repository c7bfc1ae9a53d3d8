// From a capture's bytes to records, with nothing but the capture: what extract and training read.
import { CaptureDecoder } from '../decode/capture.js'
import { gunzipped } from '../decode/gunzip.js'
import { TcpDecoder } from '../decode/tcp-decoder.js'
import { TcpStreams } from '../decode/tcp-streams.js'
import type { TrafficRecord } from '../record.js'
import type { CapturedFrame } from '../types.js'
import { DecodedRecords } from './decoded-records.js'
import type { DecodedJoinOptions } from './decoded.js'

/** Ports that are watched unless told otherwise: MQTT and MQTT over TLS (IANA). */
export const DEFAULT_MQTT_PORTS: readonly number[] = Object.freeze([1883, 8883])

/** How to read a capture. */
export interface CaptureRecordsOptions extends DecodedJoinOptions {
  /** TCP ports that carry MQTT. */
  ports?: Iterable<number>
  /**
   * Whether connections are followed for the context columns and the detection's own messages told, which takes its
   * time; true unless said otherwise.
   */
  context?: boolean
}

/**
 * Reads the records of one capture file, gzip-compressed or not, in portions as its bytes come.
 * Throws an `OperatorError` where the file is no sound capture, after all records before the fault.
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
 * The same without gathering them: `onRecord` gets each record, which need not outlive the call. Yields
 * after each portion how many there were.
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
      // Also those before a fault.
      yield count
      count = 0
    }
  }
  capture.end()
}

/**
 * Decodes one capture. `onRecord` is called from within `push`, once for each TCP frame of a watched
 * port; a record's payload may be a view of the pushed bytes. Throws what {@link CaptureDecoder} throws.
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

  /** Frames of the capture so far, also those that are no records. */
  get frames(): number {
    return this.#frames
  }

  /** What was lost or given up on the way. */
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

  /** Takes the next bytes of the capture. */
  push(chunk: Buffer): void {
    this.#decoder.push(chunk)
  }

  /** The capture is over. */
  end(): void {
    this.#decoder.end()
  }

  #onFrame(captured: CapturedFrame): void {
    const frame = this.#tcp.decode(captured, ++this.#frames)
    if (frame === null) return
    this.#onRecord(this.#records.record(this.#streams.push(frame)))
  }
}
