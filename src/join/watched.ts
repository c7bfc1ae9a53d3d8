// The join for another broker: a live tap and no broker entries.

import type { RecordFeatures } from '../features/schema.js'
import type { TrafficRecord } from '../record.js'
import type { ContextStatus } from '../report/status.js'
import type { StreamFrame } from '../types.js'
import type { DecodedJoinCounters } from './decoded.js'
import { DecodedRecords, type DecodedRecordsOptions } from './decoded-records.js'

/** Builds the records of a live tap from the captured bytes. */
export class WatchedJoin {
  /** Frames held: always 0. */
  readonly held = 0
  readonly #records: DecodedRecords
  readonly #onRecord: (record: TrafficRecord) => void

  constructor(onRecord: (record: TrafficRecord) => void, options: DecodedRecordsOptions) {
    this.#onRecord = onRecord
    this.#records = new DecodedRecords(options)
  }

  get counters(): DecodedJoinCounters {
    return this.#records.counters
  }

  get contextCounters(): Partial<ContextStatus> {
    return this.#records.contextCounters
  }

  frame(streamFrame: StreamFrame): void {
    const record = this.#records.record(streamFrame)
    this.#onRecord({ ...record, features: withCopiedPayloads(record.features) })
  }
}

/** Copies payloads. Views would keep a whole tap chunk in memory while the record is used for training. */
function withCopiedPayloads({ mqtt_msg: payload, context, ...features }: RecordFeatures): RecordFeatures {
  const payloads = context?.payloads?.map(sample => ({ ...sample, payload: Uint8Array.from(sample.payload) })) ?? null
  return {
    ...features,
    mqtt_msg: payload === null ? null : Uint8Array.from(payload),
    ...(context !== undefined && { context: { ...context, payloads } })
  }
}
