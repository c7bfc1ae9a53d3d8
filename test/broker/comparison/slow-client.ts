// A TCP client that acknowledges messages only on request.

import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { MqttWalker } from '../../../src/decode/mqtt.js'
import { packet, text } from '../../decode/craft-mqtt.js'
import { connectBytes, TYPE, type ConnectFields } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'

/** A client. */
export class SlowClient {
  /** The payloads of the received PUBLISH packets. */
  readonly received: string[] = []
  readonly #ids: number[] = []
  #responses = 0
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
            this.#responses++
            return
          }
          this.received.push(Buffer.from(payload ?? []).toString())
          // Short packets: the remaining length is one byte.
          if ((header & 6) !== 0) this.#ids.push(this.#bytes.readUInt16BE(end - size + 4 + (topic?.length ?? 0)))
        })
      })
  }

  /** Connects; with a clean session by default. */
  static async connect(port: number, fields: ConnectFields): Promise<SlowClient> {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const client = new SlowClient(socket, fields.level ?? 4)
    await client.#request(connectBytes(fields))
    return client
  }

  /** Subscribes with QoS 1. */
  async subscribe(filter: string): Promise<void> {
    await this.#request(
      packet(0x82, Buffer.concat([Buffer.from(this.#level === 5 ? [0, 1, 0] : [0, 1]), text(filter), Buffer.from([1])]))
    )
  }

  /** Returns the number of messages received without acknowledging. */
  async halted(): Promise<number> {
    for (let round = 0; round < 20; round++) await this.#request(packet(0xc0))
    return this.received.length
  }

  /** Acknowledges messages until `count` have been received. */
  async take(count: number): Promise<readonly string[]> {
    while (this.received.length < count || this.#ids.length > 0) {
      for (const id of this.#ids.splice(0)) this.#socket.write(packet(0x40, Buffer.from([id >> 8, id & 0xff])))
      await waitUntil('the next message', () => this.#ids.length > 0 || this.received.length >= count)
    }
    return this.received
  }

  end(): void {
    this.#socket.destroy()
  }

  async #request(bytes: Buffer): Promise<void> {
    const before = this.#responses
    this.#socket.write(bytes)
    await waitUntil('a response', () => this.#responses > before)
  }
}
