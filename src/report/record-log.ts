// Appends every record to a file: what was scored live, to hold against a capture or to learn from.

import { createWriteStream, type WriteStream } from 'node:fs'
import { recordWriter } from '../features/record-writer.js'
import type { TrafficRecord } from '../record.js'

/** Bytes that may wait for the disk; beyond them records are lost rather than memory. */
const WAITING_CAP_BYTES = 16 * 1_024 * 1_024

/** An NDJSON file of records, in the form of `extract`. */
export class RecordLog {
  /** Records that did not reach the file. */
  lost = 0
  private readonly file: WriteStream
  private readonly writer = recordWriter('ndjson', false)

  /**
   * @param onError gets the first failure
   */
  constructor (path: string, onError: (error: Error) => void) {
    this.file = createWriteStream(path, { flags: 'a' })
    let told = false
    this.file.on('error', error => {
      if (!told) onError(error)
      told = true
    })
  }

  write (record: TrafficRecord): void {
    if (this.file.writable && this.file.writableLength < WAITING_CAP_BYTES) this.file.write(this.writer.line(record, ''), this.written)
    else this.lost++
  }

  private readonly written = (error?: Error | null): void => {
    if (error) this.lost++
  }

  /** Resolves when everything is on its way to the disk. */
  async close (): Promise<void> {
    if (!this.file.writable) return
    await new Promise<void>(resolve => { this.file.end(resolve) })
  }
}
