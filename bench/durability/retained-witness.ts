// Retained messages: of each topic the last whose sending was complete, or a later one; and the very last when all is
// sent again.

import { setTimeout as pause } from 'node:timers/promises'
import { ResumingClient, type OutgoingMessage } from './resuming-client.js'
import { Tally, untilOver, type Witness } from './witness.js'

const ROOT = 'kept'
const TOPICS = 5
const MOST_IN_FLIGHT = 10
const EVERY_MS = 5

interface Value {
  sent: number
  completed: number
}

/** A client publishes counters to topics of its own. */
export class RetainedWitness implements Witness {
  readonly #kept: Tally
  readonly #resumed: Tally
  readonly #values = new Map<string, Value>()
  readonly #client: ResumingClient
  readonly #qos: 1 | 2

  constructor(qos: 1 | 2, version: 4 | 5) {
    this.#qos = qos
    this.#kept = new Tally(`retained messages of QoS ${qos} after the start`)
    this.#resumed = new Tally(`retained messages of QoS ${qos} after their publisher has resumed`)
    this.#client = new ResumingClient({
      clientId: `keeper-${qos}`,
      version,
      onCompleted: message => {
        this.#onCompleted(message)
      }
    })
  }

  async check(port: number): Promise<void> {
    await this.#compare(port, this.#kept, ({ completed }) => completed)
    await this.#client.connect(port)
    await untilOver(() => this.#client.inFlight === 0)
    await this.#compare(port, this.#resumed, ({ sent }) => sent)
  }

  async act(): Promise<void> {
    for (let number = 0; this.#client.isConnected; number++) {
      if (this.#client.inFlight < MOST_IN_FLIGHT) this.#publish(`${ROOT}/${this.#qos}/${number % TOPICS}`)
      await pause(EVERY_MS)
    }
  }

  async killed(): Promise<void> {
    await this.#client.closed
  }

  get lasting(): ResumingClient[] {
    return [this.#client]
  }

  findings(): Tally[] {
    return [this.#kept, this.#resumed]
  }

  /** Compares what is there with what must be there at least. */
  async #compare(port: number, tally: Tally, leastOf: (value: Value) => number): Promise<void> {
    const found = new Map<string, number>()
    const reader = new ResumingClient({
      clientId: `reader-${this.#qos}`,
      version: 4,
      clean: true,
      onMessage: ({ topic, payload }) => {
        found.set(topic, Number(payload.toString()))
      }
    })
    await reader.connect(port)
    await reader.subscribe([{ topic: `${ROOT}/${this.#qos}/+`, qos: 1 }])
    const expected = [...this.#values].filter(([, value]) => leastOf(value) > 0)
    await untilOver(() => expected.every(([topic]) => found.has(topic)))
    if (!reader.isConnected) return
    for (const [topic, wanted] of expected) {
      const value = found.get(topic)
      tally.check(
        value !== undefined && value >= leastOf(wanted) && value <= wanted.sent,
        () => `${topic}: ${value ?? 'nothing'} of ${JSON.stringify(wanted)}`
      )
    }
    await reader.disconnect()
  }

  #publish(topic: string): void {
    const value = this.#values.get(topic) ?? { sent: 0, completed: 0 }
    this.#values.set(topic, value)
    this.#client.publish({ topic, payload: String(++value.sent), qos: this.#qos, retain: true })
  }

  #onCompleted({ topic, payload }: OutgoingMessage): void {
    const value = this.#values.get(topic)
    if (value !== undefined) value.completed = Math.max(value.completed, Number(payload))
  }
}
