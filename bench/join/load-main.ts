// The load generator in its own process: publishers and subscribers with packets of all sizes, configured by one JSON
// argument.

import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import mqttPacket from 'mqtt-packet'
import { Random } from '../../models/random.js'
import { connectCarrier, type Carrier } from './carriers.js'

/** Configuration of the load. */
export interface LoadConfig {
  carrier: Carrier
  host: string
  port: number
  /** Messages published per second by all publishers together. */
  rate: number
  seconds: number
  publishers: number
  subscribers: number
  seed: number
}

const config = JSON.parse(process.argv[2]) as LoadConfig
const random = new Random(config.seed)
const TICK_MS = 5
/** Packets in an occasional burst: one write fills segments with hundreds. */
const BURST = 300
/** The shortest possible message; without subscribers. */
const TINY = mqttPacket.generate({ cmd: 'publish', topic: 't', payload: '', qos: 0, retain: false, dup: false })
/** Time limit for the broker to close the connection. */
const CLOSE_TIMEOUT_MS = 5_000
/** Size of a message that spans many segments. */
const LARGE_BYTES = 40_000
let published = 0
let received = 0

class Client {
  #stream: Duplex
  #id = 0
  readonly #name: string

  private constructor(name: string) {
    this.#name = name
    this.#stream = this.#open()
  }

  static async connect(name: string): Promise<Client> {
    const client = new Client(name)
    await client.#connect()
    return client
  }

  async subscribe(topic: string, qos: 0 | 1): Promise<void> {
    const answered = once(this.#stream, 'suback')
    this.#send(mqttPacket.generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] }))
    await answered
  }

  /** Publishes a message: mostly a short one, sometimes a burst, rarely a very long one. */
  publish(): void {
    // Send a burst first, so that even a short run has one.
    const kind = published === 0 ? 1 : random.integer(2_000)
    if (kind < 2) {
      this.#send(Buffer.concat(Array.from({ length: BURST }, (_, i) => (kind === 0 ? this.#message(i % 20, 0) : TINY))))
      published += BURST
    } else {
      this.#send(
        this.#message(
          kind < 4 ? 1 + random.integer(LARGE_BYTES) : 8 + random.integer(200),
          random.integer(10) < 3 ? 1 : 0
        )
      )
      published++
    }
  }

  /** Reconnects from a different port. */
  async reconnect(): Promise<void> {
    await this.end()
    this.#stream = this.#open()
    await this.#connect()
  }

  async end(): Promise<void> {
    this.#send(mqttPacket.generate({ cmd: 'disconnect' }))
    const stream = this.#stream
    stream.end()
    stream.resume()
    // The other side may close with a reset, which can be lost.
    const timer = setTimeout(() => {
      stream.destroy()
    }, CLOSE_TIMEOUT_MS)
    if (!stream.closed)
      await new Promise(resolve => {
        stream.once('close', resolve)
      })
    clearTimeout(timer)
  }

  #open(): Duplex {
    const stream = connectCarrier(config.carrier, config.host, config.port)
    const parser = mqttPacket.parser()
    parser.on('packet', (packet: mqttPacket.Packet) => {
      if (packet.cmd === 'publish') {
        received++
        if (packet.qos === 1) this.#send(mqttPacket.generate({ cmd: 'puback', messageId: packet.messageId }))
      } else {
        stream.emit(packet.cmd)
      }
    })
    stream.on('data', (chunk: Buffer) => {
      parser.parse(chunk)
    })
    stream.on('error', () => {})
    // The stream of a closed WebSocket does not close by itself: it waits for a close handshake.
    stream.on('end', () => {
      stream.destroy()
    })
    return stream
  }

  /** Retries until connected: a bad link may break an attempt. */
  async #connect(): Promise<void> {
    while (!(await this.#handshake())) this.#stream = this.#open()
  }

  async #handshake(): Promise<boolean> {
    const stream = this.#stream
    const answered = new Promise<boolean>(resolve => {
      stream.once('connack', () => {
        resolve(true)
      })
      stream.once('close', () => {
        resolve(false)
      })
    })
    this.#send(
      mqttPacket.generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clientId: this.#name,
        clean: true,
        keepalive: 0
      })
    )
    return await answered
  }

  #send(bytes: Buffer): void {
    if (!this.#stream.destroyed && this.#stream.writable) this.#stream.write(bytes)
  }

  #message(payloadBytes: number, qos: 0 | 1): Buffer {
    this.#id = (this.#id % 65_535) + 1
    return mqttPacket.generate({
      cmd: 'publish',
      topic: `plant/${this.#name}/${'sensor'.slice(random.integer(6))}`,
      payload: Buffer.alloc(payloadBytes, 97 + random.integer(26)),
      qos,
      ...(qos > 0 && { messageId: this.#id }),
      retain: false,
      dup: false
    })
  }
}

const subscribers = await Promise.all(
  Array.from({ length: config.subscribers }, async (_, i) => {
    const client = await Client.connect(`subscriber${i}`)
    for (let p = i; p < config.publishers; p += config.subscribers)
      await client.subscribe(`plant/publisher${p}/#`, (i % 2) as 0 | 1)
    return client
  })
)
const publishers = await Promise.all(
  Array.from({ length: config.publishers }, async (_, i) => await Client.connect(`publisher${i}`))
)
process.stdout.write('connected\n')

const startedAt = performance.now()
const reconnecting = new Set<Client>()
let latest = 0
for (let elapsed = 0, reconnects = 0; elapsed < config.seconds * 1_000; elapsed = performance.now() - startedAt) {
  const due = Math.floor((elapsed / 1_000) * config.rate)
  while (published < due) {
    const client = publishers[random.integer(publishers.length)]
    if (!reconnecting.has(client)) client.publish()
  }
  latest = elapsed
  // Reconnect one client at a time, so that a slow broker keeps publishers.
  if (elapsed / 1_000 > reconnects && reconnecting.size === 0) {
    const client = publishers[reconnects++ % publishers.length]
    reconnecting.add(client)
    void client.reconnect().then(() => {
      reconnecting.delete(client)
    })
  }
  await pause(TICK_MS)
}
while (reconnecting.size > 0) await pause(TICK_MS)
// Wait for messages in flight, also on a bad link.
for (let before = -1; before < received;) {
  before = received
  await pause(1_000)
}
await Promise.all(
  [...publishers, ...subscribers].map(async client => {
    await client.end()
  })
)
process.stdout.write(`${JSON.stringify({ published, received, seconds: latest / 1_000 })}\n`)
process.exit()
