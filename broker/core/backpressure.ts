// Lets those who publish wait a moment for subscribers that have fallen behind although they keep acknowledging.

/** Who acknowledges fewer messages than these in so long a wait does not keep up: nobody waits for it any more. */
const STEP_MESSAGES = 50
const STEP_MS = 200
/** A wait that was looked at later than this tells nothing: the broker itself had no time to read. */
const MAX_STEP_MS = 250
/**
 * Waiting that can be saved up, ms, and how much of it each ms gives back: nobody may halt the broker by reading
 * slowly.
 */
const MAX_CREDIT_MS = 5_000
const CREDIT_PER_MS = 0.5

/** What came of waiting for a subscriber, be it in one wait or in many short ones. */
interface Step {
  waitedMs: number
  acknowledged: number
}

interface Wait {
  sinceMs: number
  /** When it was looked at last. */
  lookedAtMs: number
  timer: NodeJS.Timeout
  /** Publishers that wait. */
  goOn: (() => void)[]
}

/**
 * A burst of messages comes faster than any subscriber acknowledges it. Without waiting, what finds the
 * queue full would be dropped, although the subscriber is quick enough to have taken it a moment later.
 */
export class Backpressure {
  /** Messages that had to wait for a connected client, so far. */
  waits = 0
  /** Subscribers that are waited for. */
  readonly #behind = new Set<object>()
  /** Of those that fell behind, until they have everything. */
  readonly #steps = new WeakMap<object, Step>()
  readonly #tooSlow = new WeakSet<object>()
  #creditMs = MAX_CREDIT_MS
  #creditedAtMs: number
  #wait: Wait | undefined
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#creditedAtMs = now()
  }

  /** Whether a publisher should wait;  `goOn` is called when that is over. */
  hold(goOn: () => void): boolean {
    if (this.#wait !== undefined) {
      this.#wait.goOn.push(goOn)
      return true
    }
    if (this.#behind.size === 0) return false
    const now = this.#now()
    this.#creditMs = Math.min(MAX_CREDIT_MS, this.#creditMs + (now - this.#creditedAtMs) * CREDIT_PER_MS)
    this.#creditedAtMs = now
    if (this.#creditMs < STEP_MS) return false
    this.#wait = {
      sinceMs: now,
      lookedAtMs: now,
      timer: setInterval(() => {
        this.#look()
      }, STEP_MS),
      goOn: [goOn]
    }
    return true
  }

  /** More than half of what may wait for a subscriber does. */
  fallBehind(subscriber: object): void {
    if (this.#tooSlow.has(subscriber)) return
    this.#behind.add(subscriber)
    if (!this.#steps.has(subscriber)) this.#steps.set(subscriber, { waitedMs: 0, acknowledged: 0 })
  }

  /** A subscriber has acknowledged a message. */
  acknowledge(subscriber: object): void {
    const step = this.#wait !== undefined && this.#behind.has(subscriber) ? this.#steps.get(subscriber) : undefined
    if (step !== undefined) step.acknowledged++
  }

  /** Less than half waits for it, or it is gone. */
  keepUp(subscriber: object): void {
    if (!this.#behind.has(subscriber)) return
    this.#judge()
    this.#behind.delete(subscriber)
    if (this.#behind.size === 0) this.#end()
  }

  /** Nothing waits for it. */
  catchUp(subscriber: object): void {
    this.keepUp(subscriber)
    this.#tooSlow.delete(subscriber)
    this.#steps.delete(subscriber)
  }

  #look(): void {
    this.#judge()
    if (this.#behind.size === 0 || this.#now() - (this.#wait?.sinceMs ?? 0) >= this.#creditMs) this.#end()
  }

  /** Counts the time since the last look for all who are waited for, and gives up on the slow ones. */
  #judge(): void {
    if (this.#wait === undefined) return
    const now = this.#now()
    const passedMs = now - this.#wait.lookedAtMs
    this.#wait.lookedAtMs = now
    if (passedMs > MAX_STEP_MS) return
    for (const subscriber of this.#behind) {
      const step = this.#steps.get(subscriber)
      if (step === undefined || (step.waitedMs += passedMs) < STEP_MS) continue
      if (step.acknowledged < STEP_MESSAGES) {
        this.#tooSlow.add(subscriber)
        this.#behind.delete(subscriber)
      }
      Object.assign(step, { waitedMs: 0, acknowledged: 0 })
    }
  }

  #end(): void {
    if (this.#wait === undefined) return
    const { sinceMs, timer, goOn } = this.#wait
    clearInterval(timer)
    this.#wait = undefined
    this.#creditedAtMs = this.#now()
    this.#creditMs = Math.max(0, this.#creditMs - (this.#creditedAtMs - sinceMs))
    for (const one of goOn) one()
  }
}
