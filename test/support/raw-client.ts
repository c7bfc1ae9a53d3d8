// An MQTT client that sends exactly the given bytes, over an in-process connection.

import type { Aedes } from 'aedes'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { packet, text } from '../decode/craft-mqtt.js'
import { PairEnd, type SocketAddresses } from './duplex-pair.js'
import { waitUntil } from './wait-until.js'

/** Fields of a CONNECT. */
export interface ConnectFields {
  clientId?: string
  level?: 3 | 4 | 5
  clean?: boolean
  /** MQTT 5. */
  receiveMaximum?: number
  /** Bytes; MQTT 5. */
  maximumPacketSize?: number
  /** Session Expiry Interval, seconds; MQTT 5. */
  expirySeconds?: number
  username?: string
  password?: string
  will?: { topic: string; payload: string; qos?: 0 | 1; delaySeconds?: number }
}

/** Encodes a CONNECT. */
export function connectBytes(fields: ConnectFields = {}): Buffer {
  const { clientId = 'tester', level = 4, clean = true, username, password, will } = fields
  const flags =
    (username === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3)) |
    (clean ? 0x02 : 0)
  const none = Buffer.alloc(0)
  const properties = level === 5 ? connectProperties(fields) : none
  return packet(
    0x10,
    Buffer.concat([
      text(level === 3 ? 'MQIsdp' : 'MQTT'),
      Buffer.from([level, flags, 0, 60]),
      properties,
      text(clientId),
      ...(will === undefined
        ? []
        : [level === 5 ? willDelay(will.delaySeconds) : none, text(will.topic), text(will.payload)]),
      username === undefined ? none : text(username),
      password === undefined ? none : text(password)
    ])
  )
}

/** A will is published at the latest when the session ends, so a will delay needs a session expiry. */
function connectProperties({ receiveMaximum, maximumPacketSize, expirySeconds, will }: ConnectFields): Buffer {
  const seconds = expirySeconds ?? will?.delaySeconds
  const properties = [
    ...(seconds === undefined ? [] : [0x11, 0, 0, 0, seconds]),
    ...(receiveMaximum === undefined ? [] : [0x21, receiveMaximum >> 8, receiveMaximum & 0xff]),
    ...(maximumPacketSize === undefined ? [] : [0x27, 0, 0, maximumPacketSize >> 8, maximumPacketSize & 0xff])
  ]
  return Buffer.from([properties.length, ...properties])
}

function willDelay(seconds?: number): Buffer {
  return seconds === undefined ? Buffer.from([0]) : Buffer.from([5, 0x18, 0, 0, 0, seconds])
}

/** A packet that the broker sent. */
export interface ReceivedPacket {
  type: number
  header: number
  topic: string
  payload: string
  retain: boolean
  /** The whole packet. */
  bytes: Buffer
}

/** Control packet types that a broker sends. */
export const TYPE = Object.freeze({
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  pingresp: 13,
  disconnect: 14
})

/** A client. */
export class RawClient {
  readonly received: ReceivedPacket[] = []
  readonly stream: PairEnd
  /** The broker's end of the connection. */
  readonly brokerEnd: PairEnd
  #bytes = Buffer.alloc(0)

  /** Opens a connection to a broker without sending anything. */
  constructor(broker: Aedes, addresses: SocketAddresses = {}, level = 4) {
    const { client, broker: brokerEnd } = PairEnd.pair(addresses)
    this.stream = client
    this.brokerEnd = brokerEnd
    const walker = new MqttWalker({ topicCapBytes: 65_535, payloadCapBytes: 65_535, session: { version: level } })
    client.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      walker.push(chunk, ({ header, topic, payload, end, size }) => {
        this.received.push({
          type: header >> 4,
          header,
          topic: Buffer.from(topic ?? []).toString(),
          payload: Buffer.from(payload ?? []).toString(),
          retain: (header & 1) === 1,
          bytes: this.#bytes.subarray(end - size, end)
        })
      })
    })
    client.on('error', () => {})
    broker.handle(brokerEnd)
  }

  /** Connects and sends a CONNECT; resolves with the CONNACK. */
  static async connect(broker: Aedes, fields: ConnectFields = {}, addresses: SocketAddresses = {}): Promise<RawClient> {
    const client = new RawClient(broker, addresses, fields.level)
    client.send(connectBytes(fields))
    await client.next(TYPE.connack)
    return client
  }

  /** Whether the connection is closed and everything before has been read. */
  get closed(): boolean {
    return this.brokerEnd.closed && (this.stream.readableEnded || this.stream.destroyed)
  }

  send(...parts: Uint8Array[]): void {
    for (const part of parts) this.stream.write(part)
  }

  /** Resolves with the first packet of a type, received already or in future. */
  async next(type: number, where: (packet: ReceivedPacket) => boolean = () => true): Promise<ReceivedPacket> {
    const find = (): ReceivedPacket | undefined => this.received.find(packet => packet.type === type && where(packet))
    await waitUntil(`a packet of type ${type}`, () => find() !== undefined)
    return find() as ReceivedPacket
  }

  /** Topics of the received PUBLISH packets. */
  get topics(): string[] {
    return this.received.filter(({ type }) => type === TYPE.publish).map(({ topic }) => topic)
  }

  /** Resolves after a PINGRESP: all responses to earlier packets have then been received. */
  async settled(): Promise<void> {
    const pongs = (): number => this.received.filter(({ type }) => type === TYPE.pingresp).length
    const before = pongs()
    this.send(packet(0xc0))
    await waitUntil('a PINGRESP', () => pongs() > before)
  }

  async whenClosed(): Promise<void> {
    await waitUntil('the broker to close the connection', () => this.closed)
  }
}
