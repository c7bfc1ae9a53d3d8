// How fast a client's bytes are read: what is not read fills the window of its TCP connection, so that it slows down.

import { TokenBucket } from '../limits/token-bucket.js'

/** Packets and bytes a second; null: any number. */
export interface ReadLimits {
  messagesPerSecond: number | null
  bytesPerSecond: number | null
}

/** While a client is kept waiting it is not silent of its own accord: its keep-alive is refreshed so often, ms. */
const LONGEST_PAUSE_MS = 1_000

/** Counts what is read of one client, and holds it up where it is too fast. */
export class ReadThrottle {
  readonly #messages: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #goOn: () => void
  readonly #onFast: (name: keyof ReadLimits) => void

  /**
   * @param goOn called when the pause is over
   * @param onFast called once for each pause
   */
  constructor(limits: ReadLimits, goOn: () => void, onFast: (name: keyof ReadLimits) => void) {
    this.#goOn = goOn
    this.#onFast = onFast
    if (limits.messagesPerSecond !== null) this.#messages = new TokenBucket(limits.messagesPerSecond)
    if (limits.bytesPerSecond !== null) this.#bytes = new TokenBucket(limits.bytesPerSecond)
  }

  countMessage(): void {
    this.#messages?.spend(1)
  }

  countBytes(bytes: number): void {
    this.#bytes?.spend(bytes)
  }

  /** Whether nothing may be read for now; `onPassed` is called when some of the pause is over. */
  isNeeded(onPassed: () => void): boolean {
    if (this.#timer !== undefined) return true
    const forMessages = this.#messages?.waitMs() ?? 0
    const forBytes = this.#bytes?.waitMs() ?? 0
    if (forMessages === 0 && forBytes === 0) return false
    this.#onFast(forMessages >= forBytes ? 'messagesPerSecond' : 'bytesPerSecond')
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        onPassed()
        this.#goOn()
      },
      Math.min(Math.max(forMessages, forBytes), LONGEST_PAUSE_MS)
    )
    return true
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
