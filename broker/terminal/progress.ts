// A progress bar with stages on standard error; nothing at all where that is no terminal.

import { stat } from 'node:fs/promises'
import { clearLine, cursorTo } from 'node:readline'
import { Presets, SingleBar } from 'cli-progress'
import { STANDARD_INPUT } from '../records/capture-input.js'

const FORMAT = '{stage} {bar} {percentage} % | {eta_formatted} left{detail}'
/** Steps of a bar: what is done may come as a fraction. */
const STEPS = 1_000

/** One bar at a time. */
export class Progress {
  readonly #bar: SingleBar | undefined
  #stage = ''
  readonly #stream: NodeJS.WriteStream

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream
    if (!stream.isTTY) return
    this.#bar = new SingleBar({ stream, format: FORMAT, clearOnComplete: true, etaBuffer: 50 }, Presets.shades_classic)
  }

  /** So much of a stage is done; another name than before begins the next stage. */
  update(stage: string, done: number, total: number, detail = ''): void {
    if (this.#bar === undefined || total <= 0) return
    if (stage !== this.#stage) {
      this.stop()
      this.#stage = stage
      this.#bar.start(STEPS, 0, { stage, detail: '' })
    }
    this.#bar.update(Math.min(STEPS, (STEPS * done) / total), { stage, detail: detail === '' ? '' : ` | ${detail}` })
  }

  /** Takes the bar off its line until the next update, so that something else can be written there. */
  hide(): void {
    if (this.#bar === undefined || this.#stage === '') return
    cursorTo(this.#stream, 0)
    clearLine(this.#stream, 0)
  }

  /** Takes the bar away. */
  stop(): void {
    if (this.#stage !== '') this.#bar?.stop()
    this.#stage = ''
  }
}

/** Bytes of the files whose size is known; 0 where there is none. */
export async function totalBytes(files: readonly string[]): Promise<number> {
  let total = 0
  for (const file of files) {
    if (file !== STANDARD_INPUT) total += (await stat(file).catch(() => null))?.size ?? 0
  }
  return total
}
