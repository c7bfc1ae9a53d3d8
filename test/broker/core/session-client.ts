// An MQTT client that shows every packet of its session, and answers only as it is told.

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

/** MQTT 3.1.1 is 4. */
export type Version = 4 | 5

/** Far beyond what an answer takes on a machine that does much else; only a fault gets there. */
const LIMIT_MS = 20_000
/** How long a session lasts that is to last, seconds; MQTT 5. */
const LASTING = 3_600
/** Own messages of QoS 1 and 2 under way at a time: what the broker tells clients of MQTT 5. */
const WINDOW = 20

/** How a client connects: with a session that lasts, unless it says otherwise. */
export interface SessionOptions {
  clientId: string
  version?: Version
  /** Begins anew, and ends with the connection. */
  clean?: boolean
  /** Acknowledges whatever comes. */
  acknowledges?: boolean
  keepalive?: number
  username?: string
  password?: string
  will?: IConnectPacket['will']
  /** MQTT 5; the Session Expiry Interval is an hour where they do not say it. */
  properties?: IConnectPacket['properties']
}

/** How a message is published. */
export interface PublishOptions {
  qos?: QoS
  retain?: boolean
  dup?: boolean
  messageId?: number
  properties?: IPublishPacket['properties']
}

/** A packet with all its bytes. */
export type Received<P extends Packet = Packet> = P & { bytes: Buffer }

type PacketOf<C extends Packet['cmd']> = Received<Extract<Packet, { cmd: C }>>

/** A filter as `[filter, QoS, options of MQTT 5]`. */
export type Filter = readonly [filter: string, qos?: QoS, options?: Pick<ISubscription, 'nl' | 'rap' | 'rh'>]

/** One client in one connection. */
export class SessionClient {
  /** Every packet that came, in order. */
  readonly received: Received[] = []
  readonly version: Version
  /** Its CONNACK. */
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

  /** Sends the CONNECT; nothing has come yet. */
  static begin(stream: Duplex, options: SessionOptions): SessionClient {
    const client = new SessionClient(stream, options)
    client.send(connectOf(options))
    return client
  }

  /** Connects; the broker must let it in. */
  static async connect(stream: Duplex, options: SessionOptions): Promise<SessionClient> {
    const client = SessionClient.begin(stream, options)
    client.connack = await client.next('connack')
    const { returnCode, reasonCode } = client.connack
    if ((client.version === 5 ? reasonCode : returnCode) !== 0)
      throw new Error(`${options.clientId} is refused: ${reasonCode ?? returnCode}`)
    return client
  }

  get sessionPresent(): boolean {
    return this.connack.sessionPresent
  }

  /** Sends packets in one piece. */
  send(...packets: Packet[]): void {
    this.write(Buffer.concat(packets.map(packet => mqttPacket.generate(packet, { protocolVersion: this.version }))))
  }

  write(bytes: Buffer): void {
    this.#stream.write(bytes)
  }

  /** A packet identifier that nothing of this connection had yet. */
  takeId(): number {
    return ++this.#lastId
  }

  /** Takes the next packet of a kind out of what has come, or comes. */
  async next<C extends Packet['cmd']>(
    cmd: C,
    where: (packet: PacketOf<C>) => boolean = () => true
  ): Promise<PacketOf<C>> {
    const find = (): number => this.#unread.findIndex(packet => packet.cmd === cmd && where(packet as PacketOf<C>))
    await this.#until(`a ${cmd.toUpperCase()} for ${this.options.clientId}`, () => find() >= 0)
    return this.#unread.splice(find(), 1)[0] as PacketOf<C>
  }

  /** Takes the next so many messages. */
  async messages(count: number): Promise<Received<IPublishPacket>[]> {
    const taken: Received<IPublishPacket>[] = []
    while (taken.length < count) taken.push(await this.next('publish'))
    return taken
  }

  /** Takes all packets of a kind that have come. */
  drain<C extends Packet['cmd']>(cmd: C): PacketOf<C>[] {
    const found = this.#unread.filter(packet => packet.cmd === cmd) as PacketOf<C>[]
    for (const packet of found) this.#unread.splice(this.#unread.indexOf(packet), 1)
    return found
  }

  /** Subscribes; the codes of the SUBACK. */
  async subscribe(filters: readonly Filter[], subscriptionIdentifier?: number): Promise<number[]> {
    const packet = this.subscribePacket(filters, subscriptionIdentifier)
    this.send(packet)
    return ((await this.next('suback', ({ messageId }) => messageId === packet.messageId)) as ISubackPacket)
      .granted as number[]
  }

  /** A SUBSCRIBE to be sent. */
  subscribePacket(filters: readonly Filter[], subscriptionIdentifier?: number): Packet & { messageId: number } {
    const subscriptions = filters.map(([topic, qos = 0, options]) => ({
      topic,
      qos,
      ...(this.version === 5 && { nl: false, rap: false, rh: 0, ...options })
    }))
    const properties =
      this.version === 5 && subscriptionIdentifier !== undefined ? { properties: { subscriptionIdentifier } } : {}
    return { cmd: 'subscribe', messageId: this.takeId(), subscriptions, ...properties }
  }

  async unsubscribe(...filters: string[]): Promise<void> {
    const packet = this.unsubscribePacket(...filters)
    this.send(packet)
    await this.next('unsuback', ({ messageId }) => messageId === packet.messageId)
  }

  /** An UNSUBSCRIBE to be sent. */
  unsubscribePacket(...unsubscriptions: string[]): Packet & { messageId: number } {
    return { cmd: 'unsubscribe', messageId: this.takeId(), unsubscriptions }
  }

  /** Publishes, and does its part until the message is acknowledged to the end. */
  async publish(topic: string, payload: string | Buffer = '', options: PublishOptions = {}): Promise<void> {
    const packet = this.publishPacket(topic, payload, options)
    this.send(packet)
    await this.finish(packet)
  }

  /** Publishes many, as fast as the broker lets it. */
  async publishAll(topic: string, payloads: readonly string[], options: PublishOptions = {}): Promise<void> {
    const underWay: Promise<void>[] = []
    for (const payload of payloads) {
      if (underWay.length === WINDOW) await underWay.shift()
      underWay.push(this.publish(topic, payload, options))
    }
    await Promise.all(underWay)
  }

  /** A PUBLISH to be sent. */
  publishPacket(topic: string, payload: string | Buffer = '', options: PublishOptions = {}): IPublishPacket {
    const {
      qos = 1,
      retain = false,
      dup = false,
      messageId = qos === 0 ? undefined : this.takeId(),
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

  /** Does the sender's part for a message that has been sent. */
  async finish({ qos, messageId }: Pick<IPublishPacket, 'qos' | 'messageId'>): Promise<void> {
    if (qos === 1) await this.next('puback', packet => packet.messageId === messageId)
    if (qos !== 2) return
    await this.next('pubrec', packet => packet.messageId === messageId)
    this.send({ cmd: 'pubrel', messageId })
    await this.next('pubcomp', packet => packet.messageId === messageId)
  }

  /** Acknowledges a message of QoS 1, or its first half of QoS 2. */
  acknowledge(...messages: Pick<IPublishPacket, 'qos' | 'messageId'>[]): void {
    for (const { qos, messageId } of messages)
      if (qos > 0) this.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId })
  }

  /** Acknowledges a message to the end. */
  async complete(...messages: Pick<IPublishPacket, 'qos' | 'messageId'>[]): Promise<void> {
    this.acknowledge(...messages)
    for (const { messageId } of messages.filter(({ qos }) => qos === 2)) {
      await this.next('pubrel', packet => packet.messageId === messageId)
      this.send({ cmd: 'pubcomp', messageId })
    }
  }

  /** From here on it acknowledges whatever comes, and at once what has come and was not looked at. */
  acknowledgeAll(): void {
    this.acknowledges = true
    for (const packet of this.#unread) this.#answer(packet)
  }

  /** Lets {@link caughtUp} serve, now and when the session is resumed. */
  async watch(): Promise<void> {
    await this.subscribe([[this.#markTopic, 1]])
  }

  /** All messages that were due by now: those before one to itself, which comes behind them. */
  async caughtUp(qos: QoS = 1): Promise<Received<IPublishPacket>[]> {
    const mark = randomUUID()
    await this.publish(this.#markTopic, mark, { qos })
    const due: Received<IPublishPacket>[] = []
    for (;;) {
      const message = await this.next('publish')
      if (message.topic !== this.#markTopic) due.push(message)
      else if (message.payload.toString() === mark) {
        if (!this.acknowledges) this.acknowledge(message)
        return due
      }
    }
  }

  /** Resolves when all that it sent has been read. */
  async settled(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }

  /** Takes leave. */
  async leave(fields: Partial<IDisconnectPacket> = {}): Promise<void> {
    this.send({ ...fields, cmd: 'disconnect' })
    // [MQTT-3.14.4-1]
    this.#stream.end()
    await this.whenClosed()
  }

  /** Is gone without a word. */
  async vanish(): Promise<void> {
    this.#stream.destroy()
    await this.whenClosed()
  }

  async whenClosed(): Promise<void> {
    if (!this.isClosed) await this.#until(`the end of ${this.options.clientId}`, () => this.isClosed)
  }

  get #markTopic(): string {
    return `mark/${this.options.clientId}`
  }

  #until(what: string, condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        this.#wakers.delete(look)
        clearTimeout(timer)
        end()
      }
      const look = (): void => {
        if (condition()) settle(resolve)
        else if (this.isClosed)
          settle(() => {
            reject(new Error(`closed instead of ${what}`))
          })
      }
      const timer = setTimeout(() => {
        settle(() => {
          reject(new Error(`not within ${LIMIT_MS} ms: ${what}`))
        })
      }, LIMIT_MS)
      this.#wakers.add(look)
      look()
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
      if (this.acknowledges) this.#answer(packet)
    }
    this.#wake()
  }

  #answer(packet: Packet): void {
    if (packet.cmd === 'publish') this.acknowledge(packet)
    if (packet.cmd === 'pubrel')
      this.send({ cmd: 'pubcomp', messageId: packet.messageId } satisfies Partial<IPubrelPacket> | Packet)
  }
}

/** The payloads of messages, as text. */
export function payloadsOf(messages: readonly Pick<IPublishPacket, 'payload'>[]): string[] {
  return messages.map(({ payload }) => payload.toString())
}

/** So many payloads, each another. */
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
    ...(version === 5 && { properties: { sessionExpiryInterval: clean ? 0 : LASTING, ...properties } })
  }
}

/** How long the first packet is; undefined where it has not come whole. */
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
  if (found === undefined) throw new Error(`what is ${bytes.toString('hex')}?`)
  return Object.assign(found, { bytes: Buffer.from(bytes) })
}
