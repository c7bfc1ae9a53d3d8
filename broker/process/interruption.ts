// Signals in commands that read captures: reading a file is aborted, a live input ends.

import { deferExit } from './stop-signal.js'

/** The signals that interrupt. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']

/** Grace period for a live input: Ctrl-C reaches the whole pipeline, and the sender may have data to flush. */
const GRACE_MS = 2_000

/** Handles signals until it is disposed. */
export class Interruption {
  readonly #abort = new AbortController()
  readonly #end = new AbortController()
  readonly #finished = deferExit()
  readonly #graceMs: number
  readonly #onSignal = (): void => {
    this.interrupt()
  }
  #isLive = false
  #timer: NodeJS.Timeout | undefined

  constructor(graceMs = GRACE_MS) {
    this.#graceMs = graceMs
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  /** Aborted when the command must stop at once. */
  get abandoned(): AbortSignal {
    return this.#abort.signal
  }

  /** Aborted when a live input must be treated as ended. */
  get ended(): AbortSignal {
    return this.#end.signal
  }

  /** Whether a live input was interrupted: it may end anywhere, and no further input is read. */
  get isEnding(): boolean {
    return this.#timer !== undefined
  }

  /** Sets whether the current input is live. */
  reading(isLive: boolean): void {
    this.#isLive = isLive
  }

  /** Handles a signal. */
  interrupt(): void {
    // After the end, a further signal aborts: the output may be blocked.
    if (!this.#isLive || this.#end.signal.aborted) this.#abort.abort()
    else
      this.#timer ??= setTimeout(() => {
        this.#end.abort()
      }, this.#graceMs)
  }

  dispose(): void {
    clearTimeout(this.#timer)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    this.#finished()
  }
}
