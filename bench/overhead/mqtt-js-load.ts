// Load generator with mqtt.js. It takes more processor time than most brokers.

import type { MqttClient } from 'mqtt'
import { connectClient } from '../../test/support/clients.js'
import type { Cell } from './cells.js'
import { Delivery } from './delivery.js'
import type { Load, Outcome } from './load.js'

const TOPIC = 'load'

/** One publisher, one subscriber. */
export class MqttJsLoad implements Load {
  #port = 0
  #publisher: MqttClient | undefined
  #subscriber: MqttClient | undefined
  #delivery: Delivery | undefined
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.#cell = cell
  }

  async connect(port: number): Promise<void> {
    this.#port = port
    this.#subscriber = await connectClient({ port }, { clientId: 'subscriber', clean: this.#cell.session === 'clean' })
    this.#subscriber.on('message', (_topic, payload) => {
      this.#delivery?.receive(payload.readUInt32BE(0))
      this.#fill()
    })
    await this.#subscriber.subscribeAsync(TOPIC, { qos: this.#cell.qos })
    this.#publisher = await connectClient({ port }, { clientId: 'publisher' })
    for (const client of [this.#subscriber, this.#publisher])
      client.on('close', () => {
        this.#delivery?.fail('broker closed a connection')
      })
  }

  async send(messages: number): Promise<Outcome> {
    this.#delivery = new Delivery(this.#cell, messages)
    this.#fill()
    return await this.#delivery.done
  }

  async disconnect(): Promise<void> {
    await this.#publisher?.endAsync()
    await this.#subscriber?.endAsync()
    if (this.#cell.session === 'clean') return
    // A clean session ends the persistent one.
    await (await connectClient({ port: this.#port }, { clientId: 'subscriber', clean: true })).endAsync()
  }

  /** Fills the in-flight window. */
  #fill(): void {
    const delivery = this.#delivery
    const publisher = this.#publisher
    const { qos, payloadBytes } = this.#cell
    if (delivery === undefined || publisher === undefined) return
    while (delivery.room > 0) {
      const payload = Buffer.alloc(payloadBytes, 'x')
      payload.writeUInt32BE(delivery.sent++)
      publisher.publish(TOPIC, payload, { qos }, error => {
        if (error) delivery.fail(error.message)
        else if (qos > 0) {
          delivery.acknowledge()
          this.#fill()
        }
      })
    }
  }
}
