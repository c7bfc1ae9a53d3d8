// An MQTT client that records every packet, and replies only when told to.

import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import mqttPacket, {
  type IConnackPacket,
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type IPubrelPacket,
  type ISubackPacket,
  type ISubscription,
  type Packet,
  type QoS
} from 'mqtt-packet'

/** 4 is MQTT 3.1.1. */
export type Version = 4 | 5

/** Timeout: generous, for a busy machine. */
const TIMEOUT_MS = 20_000
/** Default Session Expiry Interval, seconds; MQTT 5. */
const SESSION_EXPIRY_S = 3_600
/** Maximum number of own QoS 1 and 2 messages in flight: the Receive Maximum of the broker. */
const WINDOW = 20

/** Options of a connection; the session is persistent by default. */
export interface SessionOptions {
  clientId: string
  version?: Version
  /** Clean Start, and no session after the connection. @default false */
  clean?: boolean
  /** Acknowledges all messages automatically. @default false */
  acknowledges?: boolean
  keepalive?: number
  username?: string
  password?: string
  will?: IConnectPacket['will']
  /** MQTT 5; the default Session Expiry Interval is an hour. */
  properties?: IConnectPacket['properties']
}

/** Options of a PUBLISH. */
export interface PublishOptions {
  qos?: QoS
  retain?: boolean
  dup?: boolean
  messageId?: number
  properties?: IPublishPacket['properties']
}

/** A packet and its bytes. */
export type Received<P extends Packet = Packet> = P & { bytes: Buffer }

type PacketOf<C extends Packet['cmd']> = Received<Extract<Packet, { cmd: C }>>

/** A filter as `[filter, QoS, options of MQTT 5]`. */
export type Filter = readonly [filter: string, qos?: QoS, options?: Pick<ISubscription, 'nl' | 'rap' | 'rh'>]

/** One client connection. */
export class SessionClient {
  /** All received packets, in order. */
  readonly received: Received[] = []
  readonly version: Version
  connack!: Received<IConnackPacket>
  isClosed = false
  acknowledges: boolean
  readonly #unread: Received[] = []
  readonly #wakers = new Set<() => void>()
  #bytes = Buffer.alloc(0)
  #lastId = 0
  readonly #stream: Duplex

  private constructor(
    stream: Duplex,
    readonly options: SessionOptions
  ) {
    this.#stream = stream
    this.version = options.version ?? 4
    this.acknowledges = options.acknowledges ?? false
    stream.on('data', (chunk: Buffer) => {
      this.#take(chunk)
    })
    stream.on('error', () => {})
    stream.once('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  /** Sends a CONNECT without waiting for the CONNACK. */
  static startConnect(stream: Duplex, options: SessionOptions): SessionClient {
    const client = new SessionClient(stream, options)
    client.send(connectOf(options))
    return client
  }

  /** Connects; throws if the broker refuses. */
  static async connect(stream: Duplex, options: SessionOptions): Promise<SessionClient> {
    const client = SessionClient.startConnect(stream, options)
    client.connack = await client.next('connack')
    const { returnCode, reasonCode } = client.connack
    if ((client.version === 5 ? reasonCode : returnCode) !== 0)
      throw new Error(`${options.clientId} was refused: ${reasonCode ?? returnCode}`)
    return client
  }

  get sessionPresent(): boolean {
    return this.connack.sessionPresent
  }

  /** Sends packets in one write. */
  send(...packets: Packet[]): void {
    this.write(Buffer.concat(packets.map(packet => mqttPacket.generate(packet, { protocolVersion: this.version }))))
  }

  write(bytes: Buffer): void {
    this.#stream.write(bytes)
  }

  /** Returns an unused packet identifier. */
  nextId(): number {
    return ++this.#lastId
  }

  /** Removes and returns the next unread packet of a type; waits for it if necessary. */
  async next<C extends Packet['cmd']>(
    cmd: C,
    where: (packet: PacketOf<C>) => boolean = () => true
  ): Promise<PacketOf<C>> {
    const find = (): number => this.#unread.findIndex(packet => packet.cmd === cmd && where(packet as PacketOf<C>))
    await this.#until(`a ${cmd.toUpperCase()} for ${this.options.clientId}`, () => find() >= 0)
    return this.#unread.splice(find(), 1)[0] as PacketOf<C>
  }

  /** Returns the next `count` messages. */
  async messages(count: number): Promise<Received<IPublishPacket>[]> {
    const taken: Received<IPublishPacket>[] = []
    while (taken.length < count) taken.push(await this.next('publish'))
    return taken
  }

  /** Removes and returns all unread packets of a type. */
  drain<C extends Packet['cmd']>(cmd: C): PacketOf<C>[] {
    const found = this.#unread.filter(packet => packet.cmd === cmd) as PacketOf<C>[]
    for (const packet of found) this.#unread.splice(this.#unread.indexOf(packet), 1)
    return found
  }

  /** Subscribes; returns the codes of the SUBACK. */
  async subscribe(filters: readonly Filter[], subscriptionIdentifier?: number): Promise<number[]> {
    const packet = this.subscribePacket(filters, subscriptionIdentifier)
    this.send(packet)
    return ((await this.next('suback', ({ messageId }) => messageId === packet.messageId)) as ISubackPacket)
      .granted as number[]
  }

  /** Creates a SUBSCRIBE. */
  subscribePacket(filters: readonly Filter[], subscriptionIdentifier?: number): Packet & { messageId: number } {
    const subscriptions = filters.map(([topic, qos = 0, options]) => ({
      topic,
      qos,
      ...(this.version === 5 && { nl: false, rap: false, rh: 0, ...options })
    }))
    const properties =
      this.version === 5 && subscriptionIdentifier !== undefined ? { properties: { subscriptionIdentifier } } : {}
    return { cmd: 'subscribe', messageId: this.nextId(), subscriptions, ...properties }
  }

  async unsubscribe(...filters: string[]): Promise<void> {
    const packet = this.unsubscribePacket(...filters)
    this.send(packet)
    await this.next('unsuback', ({ messageId }) => messageId === packet.messageId)
  }

  /** Creates an UNSUBSCRIBE. */
  unsubscribePacket(...unsubscriptions: string[]): Packet & { messageId: number } {
    return { cmd: 'unsubscribe', messageId: this.nextId(), unsubscriptions }
  }

  /** Publishes a message and completes the handshake. */
  async publish(topic: string, payload: string | Buffer = '', options: PublishOptions = {}): Promise<void> {
    const packet = this.publishPacket(topic, payload, options)
    this.send(packet)
    await this.finish(packet)
  }

  /** Publishes many messages, with a full in-flight window. */
  async publishAll(topic: string, payloads: readonly string[], options: PublishOptions = {}): Promise<void> {
    const underWay: Promise<void>[] = []
    for (const payload of payloads) {
      if (underWay.length === WINDOW) await underWay.shift()
      underWay.push(this.publish(topic, payload, options))
    }
    await Promise.all(underWay)
  }

  /** Creates a PUBLISH. */
  publishPacket(topic: string, payload: string | Buffer = '', options: PublishOptions = {}): IPublishPacket {
    const {
      qos = 1,
      retain = false,
      dup = false,
      messageId = qos === 0 ? undefined : this.nextId(),
      properties
    } = options
    return {
      cmd: 'publish',
      topic,
      payload,
      qos,
      retain,
      dup,
      messageId,
      ...(this.version === 5 && { properties: { ...properties } })
    }
  }

  /** Completes the handshake of a sent message. */
  async finish({ qos, messageId }: Pick<IPublishPacket, 'qos' | 'messageId'>): Promise<void> {
    if (qos === 1) await this.next('puback', packet => packet.messageId === messageId)
    if (qos !== 2) return
    await this.next('pubrec', packet => packet.messageId === messageId)
    this.send({ cmd: 'pubrel', messageId })
    await this.next('pubcomp', packet => packet.messageId === messageId)
  }

  /** Sends PUBACK or PUBREC for messages. */
  acknowledge(...messages: Pick<IPublishPacket, 'qos' | 'messageId'>[]): void {
    for (const { qos, messageId } of messages)
      if (qos > 0) this.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId })
  }

  /** Completes the handshake of received messages. */
  async complete(...messages: Pick<IPublishPacket, 'qos' | 'messageId'>[]): Promise<void> {
    this.acknowledge(...messages)
    for (const { messageId } of messages.filter(({ qos }) => qos === 2)) {
      await this.next('pubrel', packet => packet.messageId === messageId)
      this.send({ cmd: 'pubcomp', messageId })
    }
  }

  /** Acknowledges all unread and all later messages automatically. */
  acknowledgeAll(): void {
    this.acknowledges = true
    for (const packet of this.#unread) this.#reply(packet)
  }

  /** Subscribes to the marker topic, for {@link messagesSoFar}. */
  async subscribeMarker(): Promise<void> {
    await this.subscribe([[this.#markerTopic, 1]])
  }

  /** Returns all messages that the broker has for this client by now: publishes a marker, and reads up to it. */
  async messagesSoFar(qos: QoS = 1): Promise<Received<IPublishPacket>[]> {
    const marker = randomUUID()
    await this.publish(this.#markerTopic, marker, { qos })
    const messages: Received<IPublishPacket>[] = []
    for (;;) {
      const message = await this.next('publish')
      if (message.topic !== this.#markerTopic) messages.push(message)
      else if (message.payload.toString() === marker) {
        if (!this.acknowledges) this.acknowledge(message)
        return messages
      }
    }
  }

  /** Resolves when the broker has read everything sent so far. */
  async settled(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }

  /** Sends a DISCONNECT and closes the connection. */
  async disconnect(fields: Partial<IDisconnectPacket> = {}): Promise<void> {
    this.send({ ...fields, cmd: 'disconnect' })
    // [MQTT-3.14.4-1]
    this.#stream.end()
    await this.whenClosed()
  }

  /** Closes the connection without a DISCONNECT. */
  async destroy(): Promise<void> {
    this.#stream.destroy()
    await this.whenClosed()
  }

  async whenClosed(): Promise<void> {
    if (!this.isClosed) await this.#until(`the disconnect of ${this.options.clientId}`, () => this.isClosed)
  }

  get #markerTopic(): string {
    return `mark/${this.options.clientId}`
  }

  #until(what: string, condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        this.#wakers.delete(check)
        clearTimeout(timer)
        end()
      }
      const check = (): void => {
        if (condition()) settle(resolve)
        else if (this.isClosed)
          settle(() => {
            reject(new Error(`closed instead of ${what}`))
          })
      }
      const timer = setTimeout(() => {
        settle(() => {
          reject(new Error(`not within ${TIMEOUT_MS} ms: ${what}`))
        })
      }, TIMEOUT_MS)
      this.#wakers.add(check)
      check()
    })
  }

  #wake(): void {
    for (const waker of [...this.#wakers]) waker()
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (let size = sizeOfFirst(this.#bytes); size !== undefined; size = sizeOfFirst(this.#bytes)) {
      const packet = readPacket(this.#bytes.subarray(0, size), this.version)
      this.#bytes = this.#bytes.subarray(size)
      this.received.push(packet)
      this.#unread.push(packet)
      if (this.acknowledges) this.#reply(packet)
    }
    this.#wake()
  }

  #reply(packet: Packet): void {
    if (packet.cmd === 'publish') this.acknowledge(packet)
    if (packet.cmd === 'pubrel')
      this.send({ cmd: 'pubcomp', messageId: packet.messageId } satisfies Partial<IPubrelPacket> | Packet)
  }
}

/** Returns the payloads of messages as text. */
export function payloadsOf(messages: readonly Pick<IPublishPacket, 'payload'>[]): string[] {
  return messages.map(({ payload }) => payload.toString())
}

/** Returns `count` different payloads: '0', '1', ... */
export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i))
}

function connectOf({
  clientId,
  version = 4,
  clean = false,
  keepalive = 0,
  username,
  password,
  will,
  properties
}: SessionOptions): IConnectPacket {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId,
    clean,
    keepalive,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: Buffer.from(password) }),
    ...(will !== undefined && { will: { qos: 0, retain: false, ...will } }),
    ...(version === 5 && { properties: { sessionExpiryInterval: clean ? 0 : SESSION_EXPIRY_S, ...properties } })
  }
}

/** Returns the length of the first packet; undefined if it is incomplete. */
function sizeOfFirst(bytes: Buffer): number | undefined {
  let length = 0
  for (let at = 1; at < bytes.length; at++) {
    length += (bytes[at] & 0x7f) * 128 ** (at - 1)
    if (bytes[at] < 0x80) return bytes.length >= at + 1 + length ? at + 1 + length : undefined
  }
  return undefined
}

function readPacket(bytes: Buffer, version: Version): Received {
  const parser = mqttPacket.parser({ protocolVersion: version })
  let found: Packet | undefined
  parser.on('packet', packet => {
    found = packet
  })
  parser.on('error', error => {
    throw error
  })
  parser.parse(Buffer.from(bytes))
  if (found === undefined) throw new Error(`invalid packet: ${bytes.toString('hex')}`)
  return Object.assign(found, { bytes: Buffer.from(bytes) })
}
