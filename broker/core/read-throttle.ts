// Limits the read rate of a client. Unread bytes fill the TCP window, which slows the client down.

import { TokenBucket } from '../limits/token-bucket.js'

/** Packets and bytes per second; null: no limit. */
export interface ReadLimits {
  messagesPerSecond: number | null
  bytesPerSecond: number | null
}

/** Longest pause, ms: the keep-alive timer is refreshed at least this often, since the broker causes the silence. */
const MAX_PAUSE_MS = 1_000

/** Counts packets and bytes read from one client, and pauses reading above its rate limit. */
export class ReadThrottle {
  readonly #messages: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #resume: () => void
  readonly #onLimit: (name: keyof ReadLimits) => void

  /**
   * @param resume called after a pause
   * @param onLimit called once per pause
   */
  constructor(limits: ReadLimits, resume: () => void, onLimit: (name: keyof ReadLimits) => void) {
    this.#resume = resume
    this.#onLimit = onLimit
    if (limits.messagesPerSecond !== null) this.#messages = new TokenBucket(limits.messagesPerSecond)
    if (limits.bytesPerSecond !== null) this.#bytes = new TokenBucket(limits.bytesPerSecond)
  }

  countMessage(): void {
    this.#messages?.spend(1)
  }

  countBytes(bytes: number): void {
    this.#bytes?.spend(bytes)
  }

  /** Returns whether reading must pause; `onElapsed` is called when at least part of the pause is over. */
  mustPause(onElapsed: () => void): boolean {
    if (this.#timer !== undefined) return true
    const forMessages = this.#messages?.waitMs() ?? 0
    const forBytes = this.#bytes?.waitMs() ?? 0
    if (forMessages === 0 && forBytes === 0) return false
    this.#onLimit(forMessages >= forBytes ? 'messagesPerSecond' : 'bytesPerSecond')
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        onElapsed()
        this.#resume()
      },
      Math.min(Math.max(forMessages, forBytes), MAX_PAUSE_MS)
    )
    return true
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
