// The frames that wait for the broker's word, in the order of capture.

import type { StreamFrame } from '../types.js'

/** A frame and when it came, by this thread's clock. */
export interface HeldFrame {
  readonly streamFrame: StreamFrame
  readonly arrivedAtMs: number
}

/** A queue whose head is taken in constant time. */
export class HeldFrames {
  #frames: HeldFrame[] = []
  #head = 0

  get length(): number {
    return this.#frames.length - this.#head
  }

  /** The one that has waited longest. */
  get first(): HeldFrame | undefined {
    return this.#frames[this.#head]
  }

  push(streamFrame: StreamFrame, arrivedAtMs: number): void {
    this.#frames.push({ streamFrame, arrivedAtMs })
  }

  /** Removes and returns the first; there must be one. */
  shift(): StreamFrame {
    const { streamFrame } = this.#frames[this.#head++]
    if (this.#head > 1_024 && this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
    return streamFrame
  }
}
