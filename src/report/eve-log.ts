// Appends alerts to a file, one JSON object a line, as Suricata does.

import { createWriteStream, type WriteStream } from 'node:fs'

/** An EVE log. What cannot be written is told once and counted. */
export class EveLog {
  /** Alerts that did not reach the file. */
  lost = 0
  private readonly file: WriteStream

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

  write (event: object): void {
    if (this.file.writable) this.file.write(JSON.stringify(event) + '\n', this.written)
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
