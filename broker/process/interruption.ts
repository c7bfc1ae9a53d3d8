// What a signal does to a command that reads captures: a file is given up, a live input ends there.

import { deferExit } from './stop-signal.js'

/** What interrupts. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']

/**
 * How long a live input may go on: a terminal sends Ctrl-C to all of a pipe, and who feeds it has something left to
 * say.
 */
const LAST_WORDS_MS = 2_000

/** Listens for signals until it is disposed of. */
export class Interruption {
  readonly #abandon = new AbortController()
  readonly #end = new AbortController()
  readonly #finished = deferExit()
  readonly #lastWordsMs: number
  readonly #onSignal = (): void => {
    this.interrupt()
  }
  #isLive = false
  #timer: NodeJS.Timeout | undefined

  constructor(lastWordsMs = LAST_WORDS_MS) {
    this.#lastWordsMs = lastWordsMs
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  /** Aborted where everything is to be given up. */
  get abandoned(): AbortSignal {
    return this.#abandon.signal
  }

  /** Aborted where a live input is to be taken for ended. */
  get ended(): AbortSignal {
    return this.#end.signal
  }

  /** Whether a live input was interrupted: nothing is to be read after it, and it may end anywhere. */
  get isEnding(): boolean {
    return this.#timer !== undefined
  }

  /** Tells what is read from now on: live is what somebody is still making. */
  reading(isLive: boolean): void {
    this.#isLive = isLive
  }

  /** What a signal does. */
  interrupt(): void {
    // One who insists after the end wants out: the output may be stuck.
    if (!this.#isLive || this.#end.signal.aborted) this.#abandon.abort()
    else
      this.#timer ??= setTimeout(() => {
        this.#end.abort()
      }, this.#lastWordsMs)
  }

  dispose(): void {
    clearTimeout(this.#timer)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    this.#finished()
  }
}
