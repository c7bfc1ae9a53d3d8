// A log file that never blocks its writers.

import { createWriteStream, type WriteStream } from 'node:fs'

/** Maximum bytes that wait for the disk. Further lines are dropped. */
const BUFFER_CAP_BYTES = 16 * 1_024 * 1_024

/** The lines contain data of clients. */
const OWNER_ONLY = 0o600

/** An append-only file of lines. Reports the first write error and counts lost lines. */
export class LineLog {
  /** Lines that did not reach the file. */
  lost = 0
  readonly #file: WriteStream

  /**
   * @param onError receives the first failure
   */
  constructor(path: string, onError: (error: Error) => void) {
    this.#file = createWriteStream(path, { flags: 'a', mode: OWNER_ONLY })
    let isReported = false
    this.#file.on('error', error => {
      if (!isReported) onError(error)
      isReported = true
    })
  }

  /** Resolves when all lines are passed to the operating system. */
  async close(): Promise<void> {
    if (!this.#file.writable) return
    await new Promise<void>(resolve => {
      this.#file.end(resolve)
    })
  }

  /**
   * @param line with its line terminator
   */
  protected append(line: string): void {
    if (this.#file.writable && this.#file.writableLength < BUFFER_CAP_BYTES) this.#file.write(line, this.#onWritten)
    else this.lost++
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error) this.lost++
  }
}
