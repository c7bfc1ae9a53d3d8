// Subscriptions: what a SUBACK granted is in force after the kill, and what an UNSUBACK ended is not.

import { setTimeout as pause } from 'node:timers/promises'
import { isGranted, ResumingClient } from './resuming-client.js'
import { Tally, untilOver, type Witness } from './witness.js'

const ROOT = 'change'
/** Subscriptions that the client holds at a time. */
const HELD = 6
/** Of those that it ended last, so many are looked at. */
const ENDED_LOOKED_AT = 10
const EVERY_MS = 10

/** A lasting client that subscribes to ever new topics and leaves the old ones. */
export class SubscriptionWitness implements Witness {
  readonly #inForce: Tally
  readonly #ended: Tally
  readonly #held = new Set<string>()
  readonly #left = new Set<string>()
  #heard = new Set<string>()
  #number = 0
  #checks = 0
  readonly #client: ResumingClient
  readonly #version: 4 | 5

  constructor(version: 4 | 5) {
    this.#version = version
    const protocol = version === 4 ? 'MQTT 3.1.1' : 'MQTT 5'
    this.#inForce = new Tally(`subscriptions, ${protocol}`)
    this.#ended = new Tally(`subscriptions that had been ended, ${protocol}`)
    this.#client = new ResumingClient({
      clientId: `changing-${version}`,
      version,
      onMessage: ({ payload }) => {
        this.#heard.add(payload.toString())
      }
    })
  }

  async check(port: number): Promise<void> {
    await this.#client.connect(port)
    this.#heard = new Set()
    const check = ++this.#checks
    const expected = [...this.#held].map(topic => ({ topic, payload: `${topic} ${check}`, qos: 1 as const }))
    const unexpected = [...this.#left]
      .slice(-ENDED_LOOKED_AT)
      .map(topic => ({ topic, payload: `${topic} ${check}`, qos: 1 as const }))
    const prober = new ResumingClient({ clientId: `prober-${this.#version}`, version: 4, clean: true })
    await prober.connect(port)
    for (const message of [...unexpected, ...expected]) prober.publish(message)
    const isThere = ({ payload }: { payload: string }): boolean => this.#heard.has(payload)
    await untilOver(() => prober.inFlight === 0 && expected.every(isThere))
    if (!this.#client.isConnected) return
    for (const message of expected) this.#inForce.check(isThere(message), () => message.topic)
    for (const message of unexpected) this.#ended.check(!isThere(message), () => message.topic)
    for (const message of expected) if (!isThere(message)) this.#held.delete(message.topic)
    await prober.disconnect()
  }

  async act(): Promise<void> {
    while (this.#client.isConnected) {
      const topic = `${ROOT}/${this.#version}/${this.#number++}`
      const [code] = await this.#client.subscribe([{ topic, qos: 1 }])
      if (isGranted(code)) this.#held.add(topic)
      const [oldest] = this.#held
      if (this.#held.size > HELD) {
        // From here until the answer nobody can say.
        this.#held.delete(oldest)
        await this.#client.unsubscribe([oldest])
        this.#left.add(oldest)
      }
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
    return [this.#inForce, this.#ended]
  }
}
