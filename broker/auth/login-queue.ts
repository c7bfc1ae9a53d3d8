// Queue for password hashing with bounded concurrency, fair between client addresses.

/** Concurrent hashes. They share the four threads of Node's pool with the store. */
const PARALLEL = 2
/** Queued logins, worth a few seconds of hashing. Further ones are refused. */
const MAX_WAITING = 512
/** Queued logins from one address, so that a single address cannot fill the queue. */
const MAX_WAITING_PER_ADDRESS = 64

/** A queued login. */
interface QueuedLogin {
  address: string
  /** Whether the client is still connected. */
  isConnected: () => boolean
  run: () => Promise<boolean>
  resolve: (outcome: LoginOutcome) => void
}

/** Result of a login; `busy`: the queue is full; `disconnected`: the client did not wait. */
export type LoginOutcome = 'accepted' | 'rejected' | 'busy' | 'disconnected'

/** Counts of logins that were not checked. */
export interface LoginQueueCounters {
  /** Refused because the queue was full. */
  busy: number
  /** Disconnected while queued. */
  disconnected: number
}

/** Serves addresses in turn, so that a flood from one address delays each other login by at most one hash. */
export class LoginQueue {
  readonly counters: LoginQueueCounters = { busy: 0, disconnected: 0 }
  // Served in insertion order.
  readonly #byAddress = new Map<string, QueuedLogin[]>()
  #waiting = 0
  #running = 0

  /** Logins that are queued or being hashed. */
  get length(): number {
    return this.#waiting + this.#running
  }

  /**
   * Queues a login and runs `check` for it.
   *
   * @param isConnected called right before the check, which takes milliseconds
   */
  verify(address: string, check: () => Promise<boolean>, isConnected: () => boolean): Promise<LoginOutcome> {
    const queue = this.#byAddress.get(address) ?? []
    if (this.#waiting >= MAX_WAITING || queue.length >= MAX_WAITING_PER_ADDRESS) {
      this.counters.busy++
      return Promise.resolve('busy')
    }
    return new Promise(resolve => {
      queue.push({ address, isConnected, run: check, resolve })
      this.#byAddress.set(address, queue)
      this.#waiting++
      this.#start()
    })
  }

  #start(): void {
    while (this.#running < PARALLEL) {
      const next = this.#next()
      if (next === undefined) return
      if (!next.isConnected()) {
        this.counters.disconnected++
        next.resolve('disconnected')
        continue
      }
      this.#running++
      const finish = (outcome: LoginOutcome): void => {
        this.#running--
        next.resolve(outcome)
        this.#start()
      }
      next.run().then(
        isAccepted => {
          finish(isAccepted ? 'accepted' : 'rejected')
        },
        () => {
          finish('rejected')
        }
      )
    }
  }

  #next(): QueuedLogin | undefined {
    const first = this.#byAddress.entries().next().value
    if (first === undefined) return undefined
    const [address, queue] = first
    const next = queue.shift()
    this.#byAddress.delete(address)
    if (queue.length > 0) this.#byAddress.set(address, queue)
    this.#waiting--
    return next
  }
}
