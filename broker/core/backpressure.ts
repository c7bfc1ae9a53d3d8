// Holds publishers back while subscribers fall behind but keep acknowledging.

/** Publishers stop waiting for a subscriber that acknowledges fewer messages than this in CHECK_MS of waiting. */
const MIN_ACKNOWLEDGED = 50
const CHECK_MS = 200
/** A check that runs later than this is ignored: the broker itself had no time to read acknowledgements, ms. */
const MAX_CHECK_MS = 250
/** Budget for waiting, ms, and its refill per ms: a slow reader must not halt the broker. */
const MAX_CREDIT_MS = 5_000
const CREDIT_PER_MS = 0.5

/** Acknowledgements of a subscriber over one or several waits. */
interface Progress {
  waitedMs: number
  acknowledged: number
}

interface Wait {
  sinceMs: number
  /** Time of the last check. */
  checkedAtMs: number
  timer: NodeJS.Timeout
  /** Callbacks of the waiting publishers. */
  resume: (() => void)[]
}

/**
 * Delays publishers during a burst. Otherwise messages that find a queue full would be dropped, although the
 * subscriber could take them a moment later.
 */
export class Backpressure {
  /** Messages queued so far for connected clients. */
  queuedCount = 0
  /** Subscribers that publishers wait for. */
  readonly #behind = new Set<object>()
  /** Progress of subscribers that fell behind, until their queue is empty. */
  readonly #progress = new WeakMap<object, Progress>()
  readonly #tooSlow = new WeakSet<object>()
  #creditMs = MAX_CREDIT_MS
  #creditedAtMs: number
  #wait: Wait | undefined
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#creditedAtMs = now()
  }

  /** Returns whether a publisher must wait; if so, `resume` is called when it may continue. */
  hold(resume: () => void): boolean {
    if (this.#wait !== undefined) {
      this.#wait.resume.push(resume)
      return true
    }
    if (this.#behind.size === 0) return false
    const now = this.#now()
    this.#creditMs = Math.min(MAX_CREDIT_MS, this.#creditMs + (now - this.#creditedAtMs) * CREDIT_PER_MS)
    this.#creditedAtMs = now
    if (this.#creditMs < CHECK_MS) return false
    this.#wait = {
      sinceMs: now,
      checkedAtMs: now,
      timer: setInterval(() => {
        this.#check()
      }, CHECK_MS),
      resume: [resume]
    }
    return true
  }

  /** More than half of a subscriber's queue is used. */
  fallBehind(subscriber: object): void {
    if (this.#tooSlow.has(subscriber)) return
    this.#behind.add(subscriber)
    if (!this.#progress.has(subscriber)) this.#progress.set(subscriber, { waitedMs: 0, acknowledged: 0 })
  }

  /** A subscriber has acknowledged a message. */
  acknowledge(subscriber: object): void {
    const progress =
      this.#wait !== undefined && this.#behind.has(subscriber) ? this.#progress.get(subscriber) : undefined
    if (progress !== undefined) progress.acknowledged++
  }

  /** At most half of its queue is used, or it is disconnected. */
  keepUp(subscriber: object): void {
    if (!this.#behind.has(subscriber)) return
    this.#measure()
    this.#behind.delete(subscriber)
    if (this.#behind.size === 0) this.#end()
  }

  /** Its queue is empty. */
  catchUp(subscriber: object): void {
    this.keepUp(subscriber)
    this.#tooSlow.delete(subscriber)
    this.#progress.delete(subscriber)
  }

  #check(): void {
    this.#measure()
    if (this.#behind.size === 0 || this.#now() - (this.#wait?.sinceMs ?? 0) >= this.#creditMs) this.#end()
  }

  /** Adds the time since the last check to each subscriber, and stops waiting for those that are too slow. */
  #measure(): void {
    if (this.#wait === undefined) return
    const now = this.#now()
    const passedMs = now - this.#wait.checkedAtMs
    this.#wait.checkedAtMs = now
    if (passedMs > MAX_CHECK_MS) return
    for (const subscriber of this.#behind) {
      const progress = this.#progress.get(subscriber)
      if (progress === undefined || (progress.waitedMs += passedMs) < CHECK_MS) continue
      if (progress.acknowledged < MIN_ACKNOWLEDGED) {
        this.#tooSlow.add(subscriber)
        this.#behind.delete(subscriber)
      }
      Object.assign(progress, { waitedMs: 0, acknowledged: 0 })
    }
  }

  #end(): void {
    if (this.#wait === undefined) return
    const { sinceMs, timer, resume } = this.#wait
    clearInterval(timer)
    this.#wait = undefined
    this.#creditedAtMs = this.#now()
    this.#creditMs = Math.max(0, this.#creditMs - (this.#creditedAtMs - sinceMs))
    for (const callback of resume) callback()
  }
}
