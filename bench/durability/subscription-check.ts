// Checks that granted subscriptions are in force after the kill, and ended ones are not.

import { setTimeout as pause } from 'node:timers/promises'
import { isGranted, ResumingClient } from './resuming-client.js'
import { CheckCounter, waitUntilTrue, type DurabilityCheck } from './durability-check.js'

const ROOT = 'change'
/** Subscriptions that the client has at the same time. */
const MAX_ACTIVE = 6
/** Number of recently ended subscriptions to check. */
const ENDED_CHECKED = 10
const INTERVAL_MS = 10

/** A client with a persistent session that subscribes to new topics and unsubscribes from old ones. */
export class SubscriptionCheck implements DurabilityCheck {
  readonly #activeCounter: CheckCounter
  readonly #endedCounter: CheckCounter
  readonly #active = new Set<string>()
  readonly #ended = new Set<string>()
  #received = new Set<string>()
  #number = 0
  #checks = 0
  readonly #client: ResumingClient
  readonly #version: 4 | 5

  constructor(version: 4 | 5) {
    this.#version = version
    const protocol = version === 4 ? 'MQTT 3.1.1' : 'MQTT 5'
    this.#activeCounter = new CheckCounter(`subscriptions, ${protocol}`)
    this.#endedCounter = new CheckCounter(`ended subscriptions, ${protocol}`)
    this.#client = new ResumingClient({
      clientId: `changing-${version}`,
      version,
      onMessage: ({ payload }) => {
        this.#received.add(payload.toString())
      }
    })
  }

  async check(port: number): Promise<void> {
    await this.#client.connect(port)
    this.#received = new Set()
    const check = ++this.#checks
    const expected = [...this.#active].map(topic => ({ topic, payload: `${topic} ${check}`, qos: 1 as const }))
    const unexpected = [...this.#ended]
      .slice(-ENDED_CHECKED)
      .map(topic => ({ topic, payload: `${topic} ${check}`, qos: 1 as const }))
    const probe = new ResumingClient({ clientId: `prober-${this.#version}`, version: 4, clean: true })
    await probe.connect(port)
    for (const message of [...unexpected, ...expected]) probe.publish(message)
    const isReceived = ({ payload }: { payload: string }): boolean => this.#received.has(payload)
    await waitUntilTrue(() => probe.inFlight === 0 && expected.every(isReceived))
    if (!this.#client.isConnected) return
    for (const message of expected) this.#activeCounter.check(isReceived(message), () => message.topic)
    for (const message of unexpected) this.#endedCounter.check(!isReceived(message), () => message.topic)
    for (const message of expected) if (!isReceived(message)) this.#active.delete(message.topic)
    await probe.disconnect()
  }

  async act(): Promise<void> {
    while (this.#client.isConnected) {
      const topic = `${ROOT}/${this.#version}/${this.#number++}`
      const [code] = await this.#client.subscribe([{ topic, qos: 1 }])
      if (isGranted(code)) this.#active.add(topic)
      const [oldest] = this.#active
      if (this.#active.size > MAX_ACTIVE) {
        // The state is undefined until the UNSUBACK.
        this.#active.delete(oldest)
        await this.#client.unsubscribe([oldest])
        this.#ended.add(oldest)
      }
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
    return [this.#activeCounter, this.#endedCounter]
  }
}
