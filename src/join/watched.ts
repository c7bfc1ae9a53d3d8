// The join beside a broker that is not ours: nothing but the tap, live.

import type { RecordFeatures } from '../features/schema.js'
import type { TrafficRecord } from '../record.js'
import type { ContextStatus } from '../report/status.js'
import type { StreamFrame } from '../types.js'
import type { DecodedJoinCounters } from './decoded.js'
import { DecodedRecords, type DecodedRecordsOptions } from './decoded-records.js'

/** Records of a live tap, decoded from what it captures. */
export class WatchedJoin {
  /** Frames held back: none ever is. */
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
    this.#onRecord({ ...record, features: detached(record.features) })
  }
}

/** Views would keep a whole chunk of the tap alive for as long as the record is learnt from. */
function detached({ mqtt_msg: payload, context, ...features }: RecordFeatures): RecordFeatures {
  const payloads = context?.payloads?.map(sample => ({ ...sample, payload: Uint8Array.from(sample.payload) })) ?? null
  return {
    ...features,
    mqtt_msg: payload === null ? null : Uint8Array.from(payload),
    ...(context !== undefined && { context: { ...context, payloads } })
  }
}
