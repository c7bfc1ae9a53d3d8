// A file that lines are appended to, without ever holding up whoever writes them.

import { createWriteStream, type WriteStream } from 'node:fs'

/** Bytes that may wait for the disk; beyond them lines are lost rather than memory. */
const WAITING_CAP_BYTES = 16 * 1_024 * 1_024

/** What clients say is nobody else's business. */
const OWNER_ONLY = 0o600

/** An append-only file of lines. What cannot be written is told once, and counted. */
export class LineLog {
  /** Lines that did not reach the file. */
  lost = 0
  readonly #file: WriteStream

  /**
   * @param onError gets the first failure
   */
  constructor(path: string, onError: (error: Error) => void) {
    this.#file = createWriteStream(path, { flags: 'a', mode: OWNER_ONLY })
    let told = false
    this.#file.on('error', error => {
      if (!told) onError(error)
      told = true
    })
  }

  /** Resolves when everything is on its way to the disk. */
  async close(): Promise<void> {
    if (!this.#file.writable) return
    await new Promise<void>(resolve => {
      this.#file.end(resolve)
    })
  }

  /**
   * @param line with its line end
   */
  protected append(line: string): void {
    if (this.#file.writable && this.#file.writableLength < WAITING_CAP_BYTES) this.#file.write(line, this.#written)
    else this.lost++
  }

  readonly #written = (error?: Error | null): void => {
    if (error) this.lost++
  }
}
