// Counts the messages of one measurement: how many may be sent, how many arrived, and whether progress has stopped.

import type { Cell } from './cells.js'
import type { Outcome } from './load.js'

/** Timeout without a message or acknowledgement. */
const STALL_MS = 20_000
/** Limit of messages queued in the broker, in windows: bounds its memory, not its speed. */
const BACKLOG_WINDOWS = 10

/** The messages of one measurement, numbered from 0. */
export class Delivery {
  sent = 0
  /** Resolves when all messages were received and acknowledged. */
  readonly done: Promise<Outcome>
  #received = 0
  #acknowledged = 0
  #duplicates = 0
  #disordered = 0
  #highest = -1
  readonly #seen: Uint8Array
  readonly #startedAt = performance.now()
  readonly #usage = process.cpuUsage()
  readonly #timer: NodeJS.Timeout
  #resolve: (outcome: Outcome) => void = () => {}
  #reject: (error: Error) => void = () => {}
  readonly #cell: Pick<Cell, 'qos' | 'window'>
  readonly #messages: number

  constructor(cell: Pick<Cell, 'qos' | 'window'>, messages: number, stallMs = STALL_MS) {
    this.#cell = cell
    this.#messages = messages
    this.#seen = new Uint8Array(messages)
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    let before = -1
    this.#timer = setInterval(() => {
      if (this.#progress === before) this.fail(`no progress for ${stallMs / 1_000} s`)
      before = this.#progress
    }, stallMs)
  }

  /** Number of messages that may be sent now. */
  get room(): number {
    const { sent } = this
    const { qos, window } = this.#cell
    const messages = this.#messages
    const received = this.#received
    const acknowledged = this.#acknowledged
    const free =
      qos === 0 ? received + window - sent : Math.min(acknowledged + window, received + window * BACKLOG_WINDOWS) - sent
    return Math.min(free, messages - sent)
  }

  /** Counts a message received by the subscriber. */
  receive(number: number): void {
    if (this.#seen[number] === 1) {
      this.#duplicates++
      return
    }
    this.#seen[number] = 1
    this.#received++
    if (number < this.#highest) this.#disordered++
    else this.#highest = number
    this.#finish()
  }

  /** Counts a PUBACK or PUBCOMP received by the publisher. */
  acknowledge(): void {
    this.#acknowledged++
    this.#finish()
  }

  /** Rejects {@link done}; no effect after completion. */
  fail(reason: string): void {
    clearInterval(this.#timer)
    const acknowledged = this.#cell.qos === 0 ? '' : `, ${this.#acknowledged} acknowledged`
    this.#reject(
      new Error(`${reason}: ${this.sent} of ${this.#messages} messages sent${acknowledged}, ${this.#received} received`)
    )
  }

  get #progress(): number {
    return this.sent + this.#received + this.#acknowledged
  }

  #finish(): void {
    const { qos } = this.#cell
    const messages = this.#messages
    const received = this.#received
    const acknowledged = this.#acknowledged
    const duplicates = this.#duplicates
    const disordered = this.#disordered
    if (received < messages || (qos > 0 && acknowledged < messages)) return
    clearInterval(this.#timer)
    const { user, system } = process.cpuUsage(this.#usage)
    this.#resolve({
      messages,
      seconds: (performance.now() - this.#startedAt) / 1_000,
      duplicates,
      disordered,
      loadSeconds: (user + system) / 1e6
    })
  }
}
