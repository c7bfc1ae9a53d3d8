// The frames that wait for broker entries, in capture order.

import type { StreamFrame } from '../types.js'

/** A frame and its arrival time by this thread's clock. */
export interface HeldFrame {
  readonly streamFrame: StreamFrame
  readonly arrivedAtMs: number
}

/** A queue with constant-time removal of its head. */
export class HeldFrames {
  #frames: HeldFrame[] = []
  #head = 0

  get length(): number {
    return this.#frames.length - this.#head
  }

  /** The frame that has waited longest. */
  get first(): HeldFrame | undefined {
    return this.#frames[this.#head]
  }

  push(streamFrame: StreamFrame, arrivedAtMs: number): void {
    this.#frames.push({ streamFrame, arrivedAtMs })
  }

  /** Removes and returns the first frame. The queue must not be empty. */
  shift(): StreamFrame {
    const { streamFrame } = this.#frames[this.#head++]
    if (this.#head > 1_024 && this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
    return streamFrame
  }
}
