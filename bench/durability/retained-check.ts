// Checks retained messages: after the start, each topic has the last completed value or a later one; after the
// publisher has resumed, the last sent value.

import { setTimeout as pause } from 'node:timers/promises'
import { ResumingClient, type OutgoingMessage } from './resuming-client.js'
import { CheckCounter, waitUntilTrue, type DurabilityCheck } from './durability-check.js'

const ROOT = 'kept'
const TOPICS = 5
const MAX_IN_FLIGHT = 10
const INTERVAL_MS = 5

interface Value {
  sent: number
  completed: number
}

/** Publishes counters as retained messages to its own topics. */
export class RetainedCheck implements DurabilityCheck {
  readonly #kept: CheckCounter
  readonly #resumed: CheckCounter
  readonly #values = new Map<string, Value>()
  readonly #client: ResumingClient
  readonly #qos: 1 | 2

  constructor(qos: 1 | 2, version: 4 | 5) {
    this.#qos = qos
    this.#kept = new CheckCounter(`retained messages at QoS ${qos} after the start`)
    this.#resumed = new CheckCounter(`retained messages at QoS ${qos} after the publisher resumed`)
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
    await waitUntilTrue(() => this.#client.inFlight === 0)
    await this.#compare(port, this.#resumed, ({ sent }) => sent)
  }

  async act(): Promise<void> {
    for (let number = 0; this.#client.isConnected; number++) {
      if (this.#client.inFlight < MAX_IN_FLIGHT) this.#publish(`${ROOT}/${this.#qos}/${number % TOPICS}`)
      await pause(INTERVAL_MS)
    }
  }

  async killed(): Promise<void> {
    await this.#client.closed
  }

  get persistentClients(): ResumingClient[] {
    return [this.#client]
  }

  findings(): CheckCounter[] {
    return [this.#kept, this.#resumed]
  }

  /** Compares the retained values with the lowest allowed ones. */
  async #compare(port: number, counter: CheckCounter, lowestOf: (value: Value) => number): Promise<void> {
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
    const expected = [...this.#values].filter(([, value]) => lowestOf(value) > 0)
    await waitUntilTrue(() => expected.every(([topic]) => found.has(topic)))
    if (!reader.isConnected) return
    for (const [topic, wanted] of expected) {
      const value = found.get(topic)
      counter.check(
        value !== undefined && value >= lowestOf(wanted) && value <= wanted.sent,
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
