// Hashing for logins: a few at a time, the others wait, and a flood of them holds up nobody but itself.

/** Hashes at a time. The threads that do them are those that the store needs as well: Node has four. */
const PARALLEL = 2
/** Logins that wait; some seconds' worth. Further ones are refused. */
const MAX_WAITING = 512
/** Of them from one address, so that a single one cannot fill the queue. */
const MAX_WAITING_PER_ADDRESS = 64

/** A login that waits for its turn. */
interface Waiting {
  address: string
  /** Whether the client is still there to hear the answer. */
  isWanted: () => boolean
  run: () => Promise<boolean>
  settle: (answer: LoginOutcome) => void
}

/** `right` and `wrong` are what was found out; `busy`: too many wait; `gone`: the client did not wait. */
export type LoginOutcome = 'right' | 'wrong' | 'busy' | 'gone'

/** What the status shows of it. */
export interface LoginQueueCounters {
  /** Refused because too many were waiting. */
  busy: number
  /** Left before their turn came. */
  gone: number
}

/** Takes addresses in turn, so that one that floods delays the others by one hash each at most. */
export class LoginQueue {
  readonly counters: LoginQueueCounters = { busy: 0, gone: 0 }
  // Insertion order is whose turn it is.
  readonly #byAddress = new Map<string, Waiting[]>()
  #waiting = 0
  #running = 0

  /** Logins that wait or are being hashed. */
  get length(): number {
    return this.#waiting + this.#running
  }

  /**
   * Runs `check` when its turn comes.
   *
   * @param isWanted asked right before the check, which costs milliseconds
   */
  ask(address: string, check: () => Promise<boolean>, isWanted: () => boolean): Promise<LoginOutcome> {
    const queue = this.#byAddress.get(address) ?? []
    if (this.#waiting >= MAX_WAITING || queue.length >= MAX_WAITING_PER_ADDRESS) {
      this.counters.busy++
      return Promise.resolve('busy')
    }
    return new Promise(resolve => {
      queue.push({ address, isWanted, run: check, settle: resolve })
      this.#byAddress.set(address, queue)
      this.#waiting++
      this.#start()
    })
  }

  #start(): void {
    while (this.#running < PARALLEL) {
      const next = this.#next()
      if (next === undefined) return
      if (!next.isWanted()) {
        this.counters.gone++
        next.settle('gone')
        continue
      }
      this.#running++
      const ended = (answer: LoginOutcome): void => {
        this.#running--
        next.settle(answer)
        this.#start()
      }
      next.run().then(
        isRight => {
          ended(isRight ? 'right' : 'wrong')
        },
        () => {
          ended('wrong')
        }
      )
    }
  }

  #next(): Waiting | undefined {
    const turn = this.#byAddress.entries().next().value
    if (turn === undefined) return undefined
    const [address, queue] = turn
    const next = queue.shift()
    this.#byAddress.delete(address)
    if (queue.length > 0) this.#byAddress.set(address, queue)
    this.#waiting--
    return next
  }
}
