// A progress bar with stages on standard error, if that is a terminal.

import { stat } from 'node:fs/promises'
import { clearLine, cursorTo } from 'node:readline'
import { Presets, SingleBar } from 'cli-progress'
import { STANDARD_INPUT } from '../records/capture-input.js'

const FORMAT = '{stage} {bar} {percentage} % | {eta_formatted} left{detail}'
/** Steps of a bar; progress may be fractional. */
const STEPS = 1_000

/** Shows one progress bar at a time. */
export class Progress {
  readonly #bar: SingleBar | undefined
  #stage = ''
  readonly #stream: NodeJS.WriteStream

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream
    if (!stream.isTTY) return
    this.#bar = new SingleBar({ stream, format: FORMAT, clearOnComplete: true, etaBuffer: 50 }, Presets.shades_classic)
  }

  /** Updates the progress of a stage. A new name starts the next stage. */
  update(stage: string, done: number, total: number, detail = ''): void {
    if (this.#bar === undefined || total <= 0) return
    if (stage !== this.#stage) {
      this.stop()
      this.#stage = stage
      this.#bar.start(STEPS, 0, { stage, detail: '' })
    }
    this.#bar.update(Math.min(STEPS, (STEPS * done) / total), { stage, detail: detail === '' ? '' : ` | ${detail}` })
  }

  /** Clears the bar until the next update, so that other output can be written. */
  hide(): void {
    if (this.#bar === undefined || this.#stage === '') return
    cursorTo(this.#stream, 0)
    clearLine(this.#stream, 0)
  }

  /** Removes the bar. */
  stop(): void {
    if (this.#stage !== '') this.#bar?.stop()
    this.#stage = ''
  }
}

/** Returns the total size of the files whose size is known. */
export async function totalBytes(files: readonly string[]): Promise<number> {
  let total = 0
  for (const file of files) {
    if (file !== STANDARD_INPUT) total += (await stat(file).catch(() => null))?.size ?? 0
  }
  return total
}
