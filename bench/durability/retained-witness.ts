// Retained messages: of each topic the last whose sending was complete, or a later one; and the very last when all is sent again.

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

/** Two clients publish counters to topics of their own, one with QoS 1 and MQTT 3.1.1, one with QoS 2 and MQTT 5. */
export class RetainedWitness implements Witness {
  private readonly kept = new Tally('retained messages after the start')
  private readonly resumed = new Tally('retained messages after the publishers have resumed')
  private readonly values = new Map<string, Value>()
  private readonly clients = ([[1, 4], [2, 5]] as const).map(([qos, version]) => ({
    qos,
    client: new ResumingClient({ clientId: `keeper-${qos}`, version, onCompleted: message => { this.onCompleted(message) } })
  }))

  async check (port: number): Promise<void> {
    await this.compare(port, this.kept, ({ completed }) => completed)
    await Promise.all(this.clients.map(async ({ client }) => { await client.connect(port) }))
    await untilOver(() => this.clients.every(({ client }) => client.inFlight === 0))
    await this.compare(port, this.resumed, ({ sent }) => sent)
  }

  async act (): Promise<void> {
    await Promise.all(this.clients.map(async ({ client, qos }) => {
      for (let number = 0; client.isConnected; number++) {
        if (client.inFlight < MOST_IN_FLIGHT) this.publish(client, qos, `${ROOT}/${qos}/${number % TOPICS}`)
        await pause(EVERY_MS)
      }
    }))
  }

  async killed (): Promise<void> {
    await Promise.all(this.clients.map(async ({ client }) => { await client.closed }))
  }

  get lasting (): ResumingClient[] {
    return this.clients.map(({ client }) => client)
  }

  findings (): Tally[] {
    return [this.kept, this.resumed]
  }

  /** Compares what is there with what must be there at least. */
  private async compare (port: number, tally: Tally, leastOf: (value: Value) => number): Promise<void> {
    const found = new Map<string, number>()
    const reader = new ResumingClient({
      clientId: 'reader', version: 4, clean: true, onMessage: ({ topic, payload }) => { found.set(topic, Number(payload.toString())) }
    })
    await reader.connect(port)
    await reader.subscribe([{ topic: `${ROOT}/#`, qos: 1 }])
    const expected = [...this.values].filter(([, value]) => leastOf(value) > 0)
    await untilOver(() => expected.every(([topic]) => found.has(topic)))
    if (!reader.isConnected) return
    for (const [topic, wanted] of expected) {
      const value = found.get(topic)
      tally.check(value !== undefined && value >= leastOf(wanted) && value <= wanted.sent, () => `${topic}: ${value ?? 'nothing'} of ${JSON.stringify(wanted)}`)
    }
    await reader.disconnect()
  }

  private publish (client: ResumingClient, qos: 1 | 2, topic: string): void {
    const value = this.values.get(topic) ?? { sent: 0, completed: 0 }
    this.values.set(topic, value)
    client.publish({ topic, payload: String(++value.sent), qos, retain: true })
  }

  private onCompleted ({ topic, payload }: OutgoingMessage): void {
    const value = this.values.get(topic)
    if (value !== undefined) value.completed = Math.max(value.completed, Number(payload))
  }
}
