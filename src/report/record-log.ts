// Appends every record to a file: what was scored live, to hold against a capture or to learn from.

import { recordWriter } from '../features/record-writer.js'
import type { TrafficRecord } from '../record.js'
import { LineLog } from './line-log.js'

/** An NDJSON file of records, in the form of `extract`. */
export class RecordLog extends LineLog {
  private readonly writer = recordWriter('ndjson', false)

  write (record: TrafficRecord): void {
    this.append(this.writer.line(record, ''))
  }
}
