// Appends every record to a file: what was scored live, to hold against a capture or to learn from.

import { recordWriter, type RecordColumns, type RecordWriter } from '../features/record-writer.js'
import type { TrafficRecord } from '../record.js'
import { LineLog } from './line-log.js'

/** An NDJSON file of records, in the form of `extract`. */
export class RecordLog extends LineLog {
  readonly #writer: RecordWriter

  /**
   * @param columns `full` where what is learnt from the file should know contexts and payloads
   */
  constructor(path: string, onError: (error: Error) => void, columns: RecordColumns = 'table1') {
    super(path, onError)
    this.#writer = recordWriter('ndjson', false, columns)
  }

  write(record: TrafficRecord): void {
    this.append(this.#writer.line(record, ''))
  }
}
