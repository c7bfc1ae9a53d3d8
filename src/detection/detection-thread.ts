// The broker's side of the detection thread: starts it, starts it again when it crashes, passes on what it says.

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

/** A tap over a slow network takes its time to end; beyond this the thread hangs. */
const LONGEST_STOP_MS = 10_000
const SHORTEST_RESTART_MS = 250
const LONGEST_RESTART_MS = 30_000
/**
 * Room for new objects; left alone, it grows to 48 MB and is never given back. Records live for a batch or for long.
 */
const YOUNG_GENERATION_MB = 6
/** An answer takes milliseconds, unless the thread is fitting a model. */
const LONGEST_ANSWER_MS = 3_000
/** What only the thread of the moment may tell. */
const OF_THE_PRESENT: ReadonlySet<FromDetection['type']> = new Set(['model', 'report', 'refused'])
/** A thread that ran for so long was sound: the next one is started at once again. */
const SOUND_RUN_MS = 60_000

interface ThreadEvents {
  message: [ForBroker]
  /** The thread died of an error; a new one starts after `retryMs`, and `ring` is already its ring. */
  crash: [Error, retryMs: number, ring: EntryWriter]
}

/** A worker that is kept running. Nothing on the broker thread ever waits for it. */
export class DetectionThread extends EventEmitter<ThreadEvents> {
  /** Times the thread was started again. */
  restarts = 0
  #worker: Worker | undefined
  #restarting: NodeJS.Timeout | undefined
  #failures = 0
  #startedAt = 0
  #stopping = false
  /** Threads that were told to stop, until they have. */
  readonly #dismissed = new Map<Worker, Promise<void>>()
  #asked = 0
  readonly #waiting = new Map<number, (answer?: DetectionReply) => void>()
  #ring: RingMemory
  #settings: DetectionSettings

  constructor(settings: DetectionSettings) {
    super()
    this.#settings = settings
    this.#ring = allocateRing(settings.caps.ringBytes)
  }

  /** Starts the thread; the entries of the returned writer reach it. */
  start(): EntryWriter {
    const entries = this.#newEntries()
    this.#run()
    return entries
  }

  /** Lets the thread finish what it has, and ends it; by force where it does not come to an end. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restarting)
    if (this.#worker !== undefined) this.#dismiss(this.#worker)
    await Promise.all(this.#dismissed.values())
  }

  /** Asks the thread; undefined where it does not answer in time, or does not run. */
  async ask(question: DetectionQuery): Promise<DetectionReply | undefined> {
    const number = ++this.#asked
    return await new Promise(resolve => {
      const settle = (answer?: DetectionReply): void => {
        clearTimeout(deadline)
        this.#waiting.delete(number)
        resolve(answer)
      }
      const deadline = setTimeout(settle, LONGEST_ANSWER_MS)
      this.#waiting.set(number, settle)
      if (this.#worker === undefined) settle()
      else this.#send({ type: 'ask', number, question })
    })
  }

  /** Lets the thread guard with another model. */
  useModel(path: string): void {
    this.#send({ type: 'model', path })
  }

  /**
   * Goes on in a new thread with other settings; the present one finishes what it has.
   *
   * @returns what reaches the new thread; undefined where there is none, because nothing has changed, or not yet
   */
  use(settings: DetectionSettings): EntryWriter | undefined {
    const worker = this.#worker
    const isNew = JSON.stringify(settings) !== JSON.stringify(this.#settings)
    this.#settings = settings
    // One that is about to start again starts with these; one that refused to start may have been waiting for them.
    if (this.#stopping || this.#restarting !== undefined || (worker !== undefined && !isNew)) return undefined
    if (worker !== undefined) this.#dismiss(worker)
    this.#ring = allocateRing(settings.caps.ringBytes)
    const entries = this.#newEntries()
    this.#run()
    return entries
  }

  /** Kills the thread as a crash would: for operators whose detection hangs, and for tests. */
  async kill(): Promise<void> {
    await this.#worker?.terminate()
  }

  /** Lets a thread finish what it has. */
  #dismiss(worker: Worker): void {
    if (this.#dismissed.has(worker)) return
    const deadline = setTimeout(() => {
      void worker.terminate()
    }, LONGEST_STOP_MS)
    this.#dismissed.set(
      worker,
      new Promise(resolve => {
        worker.once('exit', () => {
          clearTimeout(deadline)
          this.#dismissed.delete(worker)
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
        this.#waiting.get(message.number)?.(message.answer)
        return
      }
      // What one that was replaced has still to judge counts; how it stands does not.
      if (this.#worker !== worker && OF_THE_PRESENT.has(message.type)) return
      // A thread that starts again must not fall back on the model before.
      if (message.type === 'model')
        this.#settings = { ...this.#settings, detector: { ...this.#settings.detector, model: message.path } }
      else this.emit('message', message)
    })
    worker.on('error', error => {
      failure = error
    })
    worker.once('exit', code => {
      // Another one has taken its place.
      if (this.#worker !== worker) return
      this.#worker = undefined
      for (const settle of [...this.#waiting.values()]) settle()
      if (code !== 0 || failure !== undefined)
        this.#crashed(failure ?? new Error(`the detection thread ended with code ${code}`))
    })
  }

  #crashed(error: Error): void {
    if (this.#stopping) return
    if (performance.now() - this.#startedAt > SOUND_RUN_MS) this.#failures = 0
    const retryMs = Math.min(LONGEST_RESTART_MS, SHORTEST_RESTART_MS * 2 ** this.#failures++)
    this.restarts++
    this.#ring = allocateRing(this.#settings.caps.ringBytes)
    this.emit('crash', error, retryMs, this.#newEntries())
    this.#restarting = setTimeout(() => {
      this.#restarting = undefined
      this.#run()
    }, retryMs)
  }
}
