// Acknowledgements of one client, in the order of what they acknowledge, each when the store has what it stands for.

import type { Store } from './store.js'

interface Answer {
  /** Sends it. */
  send: () => void
  /** The batch that must be stored before. */
  batch: number
}

/** Answers that wait for the store [MQTT-4.6.0-2] to [MQTT-4.6.0-4]. */
export class ReplyQueue {
  readonly #waiting: Answer[] = []
  #unwatch: (() => void) | undefined
  readonly #store: Store
  readonly #onReleased: () => void

  constructor(store: Store, onReleased: () => void) {
    this.#store = store
    this.#onReleased = onReleased
  }

  /** Answers that are not sent yet. */
  get length(): number {
    return this.#waiting.length
  }

  /** @param batch the batch that must be stored first; 0: none */
  add(batch: number, send: () => void): void {
    if (this.#waiting.length === 0 && batch <= this.#store.stored) send()
    else {
      this.#waiting.push({ send, batch })
      this.#unwatch ??= this.#store.watch(() => {
        this.#release()
      })
    }
  }

  /** Sends none of them any more. */
  close(): void {
    this.#waiting.length = 0
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  #release(): void {
    let sent = 0
    for (const { batch, send } of this.#waiting) {
      if (batch > this.#store.stored) break
      sent++
      send()
    }
    if (sent === 0) return
    this.#waiting.splice(0, sent)
    if (this.#waiting.length === 0) {
      this.#unwatch?.()
      this.#unwatch = undefined
    }
    this.#onReleased()
  }
}
