// The load of the measurements, a process of its own: publishers and subscribers with packets of all sizes, told by one
// JSON argument.

import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import mqttPacket from 'mqtt-packet'
import { Random } from '../../models/random.js'
import { dial, type Carrier } from './carriers.js'

/** What the load is to be. */
export interface LoadOrder {
  carrier: Carrier
  host: string
  port: number
  /** Messages published a second, by all publishers together. */
  rate: number
  seconds: number
  publishers: number
  subscribers: number
  seed: number
}

const order = JSON.parse(process.argv[2]) as LoadOrder
const random = new Random(order.seed)
const TICK_MS = 5
/** Packets of one write, now and then: they fill segments with hundreds. */
const BURST = 300
/** The shortest message there is, which nobody has subscribed to. */
const TINY = mqttPacket.generate({ cmd: 'publish', topic: 't', payload: '', qos: 0, retain: false, dup: false })
/** Time for the far end to take leave, too. */
const GOODBYE_MS = 5_000
/** A message over many segments. */
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
    await client.#reach()
    return client
  }

  async subscribe(topic: string, qos: 0 | 1): Promise<void> {
    const answered = once(this.#stream, 'suback')
    this.#send(mqttPacket.generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] }))
    await answered
  }

  /** One message: mostly short, sometimes many at once, rarely a very long one. */
  publish(): void {
    // Each of the rare ones once at least, however short the run.
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

  /** Goes and comes again, by another port. */
  async reconnect(): Promise<void> {
    await this.end()
    this.#stream = this.#open()
    await this.#reach()
  }

  async end(): Promise<void> {
    this.#send(mqttPacket.generate({ cmd: 'disconnect' }))
    const stream = this.#stream
    stream.end()
    stream.resume()
    // A reset is an end, too, and may be lost on the way.
    const impatience = setTimeout(() => {
      stream.destroy()
    }, GOODBYE_MS)
    if (!stream.closed)
      await new Promise(resolve => {
        stream.once('close', resolve)
      })
    clearTimeout(impatience)
  }

  #open(): Duplex {
    const stream = dial(order.carrier, order.host, order.port)
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
    // A WebSocket whose far end has gone closes by itself no more: its stream waits for a close handshake with nobody.
    stream.on('end', () => {
      stream.destroy()
    })
    return stream
  }

  /** Connects, as often as it takes: a bad link may end an attempt. */
  async #reach(): Promise<void> {
    while (!(await this.#hello())) this.#stream = this.#open()
  }

  async #hello(): Promise<boolean> {
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
  Array.from({ length: order.subscribers }, async (_, i) => {
    const client = await Client.connect(`subscriber${i}`)
    for (let p = i; p < order.publishers; p += order.subscribers)
      await client.subscribe(`plant/publisher${p}/#`, (i % 2) as 0 | 1)
    return client
  })
)
const publishers = await Promise.all(
  Array.from({ length: order.publishers }, async (_, i) => await Client.connect(`publisher${i}`))
)
process.stdout.write('connected\n')

const began = performance.now()
const away = new Set<Client>()
let latest = 0
for (let elapsed = 0, reconnects = 0; elapsed < order.seconds * 1_000; elapsed = performance.now() - began) {
  const due = Math.floor((elapsed / 1_000) * order.rate)
  while (published < due) {
    const client = publishers[random.integer(publishers.length)]
    if (!away.has(client)) client.publish()
  }
  latest = elapsed
  // One at a time: a broker that is behind should not end up with nobody to publish.
  if (elapsed / 1_000 > reconnects && away.size === 0) {
    const client = publishers[reconnects++ % publishers.length]
    away.add(client)
    void client.reconnect().then(() => {
      away.delete(client)
    })
  }
  await pause(TICK_MS)
}
while (away.size > 0) await pause(TICK_MS)
// What is on its way arrives, also over a bad link.
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
