// A client that acknowledges nothing until it is told to, over TCP.

import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { MqttWalker } from '../../../src/decode/mqtt.js'
import { packet, text } from '../../decode/craft-mqtt.js'
import { connectBytes, TYPE, type ConnectFields } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'

/** One client. */
export class SlowClient {
  /** The payloads of the PUBLISHes that have come. */
  readonly received: string[] = []
  readonly #ids: number[] = []
  #answers = 0
  #bytes = Buffer.alloc(0)
  readonly #socket: Socket
  readonly #level: number

  private constructor(socket: Socket, level: number) {
    this.#socket = socket
    this.#level = level
    const walker = new MqttWalker({ topicCapBytes: 65_535, payloadCapBytes: 65_535, session: { version: level } })
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        this.#bytes = Buffer.concat([this.#bytes, chunk])
        walker.push(chunk, ({ header, topic, payload, end, size }) => {
          if (header >> 4 !== TYPE.publish) {
            this.#answers++
            return
          }
          this.received.push(Buffer.from(payload ?? []).toString())
          // Short packets: the remaining length is one byte.
          if ((header & 6) !== 0) this.#ids.push(this.#bytes.readUInt16BE(end - size + 4 + (topic?.length ?? 0)))
        })
      })
  }

  /** Connects; the session is clean unless the fields say otherwise. */
  static async connect(port: number, fields: ConnectFields): Promise<SlowClient> {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const client = new SlowClient(socket, fields.level ?? 4)
    await client.#ask(connectBytes(fields))
    return client
  }

  /** Subscribes with QoS 1. */
  async subscribe(filter: string): Promise<void> {
    await this.#ask(
      packet(0x82, Buffer.concat([Buffer.from(this.#level === 5 ? [0, 1, 0] : [0, 1]), text(filter), Buffer.from([1])]))
    )
  }

  /** How many have come when no more come unasked. */
  async halted(): Promise<number> {
    for (let round = 0; round < 20; round++) await this.#ask(packet(0xc0))
    return this.received.length
  }

  /** Acknowledges all that come until there are so many. */
  async take(count: number): Promise<readonly string[]> {
    while (this.received.length < count || this.#ids.length > 0) {
      for (const id of this.#ids.splice(0)) this.#socket.write(packet(0x40, Buffer.from([id >> 8, id & 0xff])))
      await waitUntil('the next', () => this.#ids.length > 0 || this.received.length >= count)
    }
    return this.received
  }

  end(): void {
    this.#socket.destroy()
  }

  async #ask(bytes: Buffer): Promise<void> {
    const before = this.#answers
    this.#socket.write(bytes)
    await waitUntil('an answer', () => this.#answers > before)
  }
}
