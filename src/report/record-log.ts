// Appends every scored record to a file, for comparison with a capture or for training.

import { recordWriter, type RecordColumns, type RecordWriter } from '../features/record-writer.js'
import type { TrafficRecord } from '../record.js'
import { LineLog } from './line-log.js'

/** An NDJSON file of records, in the form of `extract`. */
export class RecordLog extends LineLog {
  readonly #writer: RecordWriter

  /**
   * @param columns `full` if a model trained on the file needs context and payloads
   */
  constructor(path: string, onError: (error: Error) => void, columns: RecordColumns = 'table1') {
    super(path, onError)
    this.#writer = recordWriter('ndjson', false, columns)
  }

  write(record: TrafficRecord): void {
    this.append(this.#writer.line(record, ''))
  }
}
