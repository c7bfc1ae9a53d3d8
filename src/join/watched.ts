// The join beside a broker that is not ours: nothing but the tap, live.

import type { TrafficRecord } from '../record.js'
import type { StreamFrame } from '../types.js'
import { DecodedRecords, type DecodedRecordsOptions } from './decoded-records.js'

/** Records of a live tap, decoded from what it captures. */
export class WatchedJoin {
  /** Frames held back: none ever is. */
  readonly held = 0
  private readonly records: DecodedRecords

  constructor (private readonly onRecord: (record: TrafficRecord) => void, options: DecodedRecordsOptions) {
    this.records = new DecodedRecords(options)
  }

  get counters (): object {
    return this.records.counters
  }

  frame (streamFrame: StreamFrame): void {
    const record = this.records.record(streamFrame)
    const { mqtt_msg: payload } = record.features
    // A view would keep a whole chunk of the tap alive for as long as the record is learnt from.
    this.onRecord(payload === null ? record : { ...record, features: { ...record.features, mqtt_msg: Uint8Array.from(payload) } })
  }
}
