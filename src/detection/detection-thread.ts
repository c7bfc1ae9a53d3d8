// Runs the detection thread for the broker: starts it, restarts it after a crash, forwards its messages.

import { EventEmitter } from 'node:events'
import { Worker } from 'node:worker_threads'
import type {
  DetectionReply,
  DetectionThreadData,
  ForBroker,
  FromDetection,
  DetectionQuery,
  ToDetection
} from './thread-messages.js'
import { EntryWriter } from '../observe/entry-ring.js'
import { allocateRing, RingWriter, type RingMemory } from '../observe/ring.js'
import type { DetectionSettings } from '../settings.js'

/** A tap over a slow network needs time to end. After this time the thread counts as hung. */
const STOP_TIMEOUT_MS = 10_000
const MIN_RETRY_MS = 250
const MAX_RETRY_MS = 30_000
/**
 * Limit for new objects. Without it V8 uses up to 48 MB and does not release it. Records live for one batch or for
 * long.
 */
const YOUNG_GENERATION_MB = 6
/** The thread answers within milliseconds, unless it is fitting a model. */
const ANSWER_TIMEOUT_MS = 3_000
/** Message types that are only valid from the current thread. */
const CURRENT_THREAD_ONLY: ReadonlySet<FromDetection['type']> = new Set(['model', 'report', 'refused'])
/** After this run time the next restart is not delayed further. */
const STABLE_RUN_MS = 60_000

interface ThreadEvents {
  message: [ForBroker]
  /** The thread failed. A new one starts after `retryMs` and will read the given ring. */
  crash: [Error, retryMs: number, ring: EntryWriter]
}

/** Keeps a worker running. The broker thread never blocks on it. */
export class DetectionThread extends EventEmitter<ThreadEvents> {
  /** Number of restarts after a crash. */
  restarts = 0
  #worker: Worker | undefined
  #restarting: NodeJS.Timeout | undefined
  #failures = 0
  #startedAt = 0
  #stopping = false
  /** Threads that were asked to stop but still run. */
  readonly #stoppingWorkers = new Map<Worker, Promise<void>>()
  #lastQuery = 0
  readonly #pendingQueries = new Map<number, (answer?: DetectionReply) => void>()
  #ring: RingMemory
  #settings: DetectionSettings

  constructor(settings: DetectionSettings) {
    super()
    this.#settings = settings
    this.#ring = allocateRing(settings.caps.ringBytes)
  }

  /** Starts the thread and returns the writer of its entries. */
  start(): EntryWriter {
    const entries = this.#newEntries()
    this.#run()
    return entries
  }

  /** Lets the thread finish its work, then ends it. Terminates it if it hangs. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restarting)
    if (this.#worker !== undefined) this.#stopWorker(this.#worker)
    await Promise.all(this.#stoppingWorkers.values())
  }

  /** Sends a query to the thread. Returns undefined if it does not run or does not answer in time. */
  async ask(question: DetectionQuery): Promise<DetectionReply | undefined> {
    const number = ++this.#lastQuery
    return await new Promise(resolve => {
      const settle = (answer?: DetectionReply): void => {
        clearTimeout(deadline)
        this.#pendingQueries.delete(number)
        resolve(answer)
      }
      const deadline = setTimeout(settle, ANSWER_TIMEOUT_MS)
      this.#pendingQueries.set(number, settle)
      if (this.#worker === undefined) settle()
      else this.#send({ type: 'ask', number, question })
    })
  }

  /** Makes the thread use another model. */
  useModel(path: string): void {
    this.#send({ type: 'model', path })
  }

  /**
   * Starts a new thread with other settings. The current thread finishes its work.
   *
   * @returns the writer of the new thread's entries; undefined if no thread was started, because nothing changed or a
   *   restart is pending
   */
  use(settings: DetectionSettings): EntryWriter | undefined {
    const worker = this.#worker
    const isNew = JSON.stringify(settings) !== JSON.stringify(this.#settings)
    this.#settings = settings
    // A pending restart uses the new settings. A thread that failed to start may have been waiting for them.
    if (this.#stopping || this.#restarting !== undefined || (worker !== undefined && !isNew)) return undefined
    if (worker !== undefined) this.#stopWorker(worker)
    this.#ring = allocateRing(settings.caps.ringBytes)
    const entries = this.#newEntries()
    this.#run()
    return entries
  }

  /** Kills the thread as a crash would: for tests, and for operators whose detection hangs. */
  async kill(): Promise<void> {
    await this.#worker?.terminate()
  }

  /** Lets a thread finish its work, then ends it. */
  #stopWorker(worker: Worker): void {
    if (this.#stoppingWorkers.has(worker)) return
    const deadline = setTimeout(() => {
      void worker.terminate()
    }, STOP_TIMEOUT_MS)
    this.#stoppingWorkers.set(
      worker,
      new Promise(resolve => {
        worker.once('exit', () => {
          clearTimeout(deadline)
          this.#stoppingWorkers.delete(worker)
          resolve()
        })
      })
    )
    worker.postMessage({ type: 'stop' } satisfies ToDetection)
  }

  #newEntries(): EntryWriter {
    return new EntryWriter(
      new RingWriter(this.#ring, () => {
        this.#send({ type: 'wake' })
      })
    )
  }

  #send(message: ToDetection): void {
    this.#worker?.postMessage(message)
  }

  #run(): void {
    const workerData: DetectionThreadData = { settings: this.#settings, ring: this.#ring }
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB }
    })
    let failure: Error | undefined
    this.#worker = worker
    this.#startedAt = performance.now()
    worker.on('message', (message: FromDetection) => {
      if (message.type === 'answer') {
        this.#pendingQueries.get(message.number)?.(message.answer)
        return
      }
      // Alerts and offences of a replaced thread still count, its status does not.
      if (this.#worker !== worker && CURRENT_THREAD_ONLY.has(message.type)) return
      // After a restart the thread must load this model, not the previous one.
      if (message.type === 'model')
        this.#settings = { ...this.#settings, detector: { ...this.#settings.detector, model: message.path } }
      else this.emit('message', message)
    })
    worker.on('error', error => {
      failure = error
    })
    worker.once('exit', code => {
      // The thread has been replaced.
      if (this.#worker !== worker) return
      this.#worker = undefined
      for (const settle of [...this.#pendingQueries.values()]) settle()
      if (code !== 0 || failure !== undefined)
        this.#crashed(failure ?? new Error(`detection thread exited with code ${code}`))
    })
  }

  #crashed(error: Error): void {
    if (this.#stopping) return
    if (performance.now() - this.#startedAt > STABLE_RUN_MS) this.#failures = 0
    const retryMs = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** this.#failures++)
    this.restarts++
    this.#ring = allocateRing(this.#settings.caps.ringBytes)
    this.emit('crash', error, retryMs, this.#newEntries())
    this.#restarting = setTimeout(() => {
      this.#restarting = undefined
      this.#run()
    }, retryMs)
  }
}
