// Acknowledgements to one client, in packet order, each sent once its changes are stored.

import type { Store } from './store.js'

interface Reply {
  send: () => void
  /** The batch that must be stored first. */
  batch: number
}

/** Replies that wait for the store [MQTT-4.6.0-2] to [MQTT-4.6.0-4]. */
export class ReplyQueue {
  readonly #waiting: Reply[] = []
  #unwatch: (() => void) | undefined
  readonly #store: Store
  readonly #onReleased: () => void

  constructor(store: Store, onReleased: () => void) {
    this.#store = store
    this.#onReleased = onReleased
  }

  /** Replies that are not sent yet. */
  get length(): number {
    return this.#waiting.length
  }

  /**
   * Sends a reply, or queues it.
   *
   * @param batch the batch that must be stored first; 0: none
   */
  add(batch: number, send: () => void): void {
    if (this.#waiting.length === 0 && batch <= this.#store.stored) send()
    else {
      this.#waiting.push({ send, batch })
      this.#unwatch ??= this.#store.watch(() => {
        this.#release()
      })
    }
  }

  /** Drops all replies that are not sent yet. */
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
