// Lets those who publish wait a moment for subscribers that have fallen behind although they keep acknowledging.

/** Who acknowledges fewer messages than these in that time does not keep up: nobody waits for it. */
const STEP_MESSAGES = 50
const STEP_MS = 200
/** A step that took longer tells nothing: the broker itself had no time to read. */
const MAX_STEP_MS = 250
/** Waiting that can be saved up, ms, and how much of it each ms gives back: nobody may halt the broker by reading slowly. */
const MAX_CREDIT_MS = 5_000
const CREDIT_PER_MS = 0.5

interface Step {
  sinceMs: number
  acknowledged: number
}

/**
 * A burst of messages comes faster than any subscriber acknowledges it. Without waiting, what finds the
 * queue full would be dropped, although the subscriber is quick enough to have taken it a moment later.
 */
export class Pacing {
  /** Subscribers that are waited for. */
  private readonly behind = new Map<object, Step>()
  /** Those that were too slow, until they have everything. */
  private readonly tooSlow = new WeakSet<object>()
  private creditMs = MAX_CREDIT_MS
  private creditedAtMs: number
  private waiting: { sinceMs: number, timer: NodeJS.Timeout, goOn: () => void } | undefined

  constructor (private readonly now: () => number = () => performance.now()) {
    this.creditedAtMs = now()
  }

  /** Whether to hand on nothing further for now; `goOn` is called when that is over. */
  hold (goOn: () => void): boolean {
    if (this.waiting !== undefined) return true
    const now = this.now()
    this.creditMs = Math.min(MAX_CREDIT_MS, this.creditMs + (now - this.creditedAtMs) * CREDIT_PER_MS)
    this.creditedAtMs = now
    if (this.behind.size === 0 || this.creditMs < STEP_MS) return false
    for (const step of this.behind.values()) Object.assign(step, { sinceMs: now, acknowledged: 0 })
    this.waiting = { sinceMs: now, timer: setInterval(() => { this.look() }, STEP_MS), goOn }
    return true
  }

  /** More than half of what may wait for a subscriber does. */
  fallBehind (subscriber: object): void {
    if (!this.tooSlow.has(subscriber) && !this.behind.has(subscriber)) this.behind.set(subscriber, { sinceMs: this.now(), acknowledged: 0 })
  }

  /** A subscriber has acknowledged a message. */
  acknowledge (subscriber: object): void {
    const step = this.behind.get(subscriber)
    if (step !== undefined) step.acknowledged++
  }

  /** Less than half waits for it, or it is gone. */
  keepUp (subscriber: object): void {
    if (this.behind.delete(subscriber) && this.behind.size === 0) this.end()
  }

  /** Nothing waits for it. */
  catchUp (subscriber: object): void {
    this.tooSlow.delete(subscriber)
    this.keepUp(subscriber)
  }

  private look (): void {
    const now = this.now()
    for (const [subscriber, step] of this.behind) {
      const tookMs = now - step.sinceMs
      if (tookMs < STEP_MS) continue
      if (step.acknowledged < STEP_MESSAGES && tookMs <= MAX_STEP_MS) {
        this.tooSlow.add(subscriber)
        this.behind.delete(subscriber)
      } else Object.assign(step, { sinceMs: now, acknowledged: 0 })
    }
    if (this.behind.size === 0 || now - (this.waiting?.sinceMs ?? now) >= this.creditMs) this.end()
  }

  private end (): void {
    if (this.waiting === undefined) return
    const { sinceMs, timer, goOn } = this.waiting
    clearInterval(timer)
    this.waiting = undefined
    this.creditedAtMs = this.now()
    this.creditMs = Math.max(0, this.creditMs - (this.creditedAtMs - sinceMs))
    goOn()
  }
}
