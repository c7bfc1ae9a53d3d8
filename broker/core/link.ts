// One connection of a client: its packets in their order, and what goes back to it.

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import mqttPacket from 'mqtt-packet'
import {
  IDENTIFIER_NOT_VALID,
  MALFORMED_PACKET,
  PROTOCOL_ERROR,
  ProtocolFault,
  UNSUPPORTED_VERSION
} from '../protocol/fault.js'
import { faultOf } from '../protocol/packet-checks.js'
import {
  brokerParts,
  holdWrites,
  linger,
  partsOf,
  takeParser,
  type ClientParts,
  type ParsedPacket
} from './aedes-internals.js'
import { ReplyQueue } from './reply-queue.js'
import type { Broker } from './broker.js'
import { installClientApi } from './client-api.js'
import { encodeConnack, isAccepted, type Connack } from './connack.js'
import { Framer, type Packet } from './framer.js'
import { checkMessage, messageOf, type Message, type MessageSource, type NamedProperties } from './message.js'
import { Output } from './output.js'
import type { Backpressure } from './backpressure.js'
import { Publishing } from './publishing.js'
import { ReadThrottle, type ReadLimits } from './read-throttle.js'
import type { Receiver, Session } from './session.js'
import {
  reauthorise,
  RetainedDelivery,
  subscribe,
  emitUnsubscribed,
  unsubscribe,
  type SubscribeRequest,
  type UnsubscribeRequest
} from './subscribing.js'
import { acknowledgement, publishBytes, TYPE, TYPE_NAMES, willPropertiesIn, type Delivery } from './wire.js'

/** What a client went beyond. */
export type LinkLimit =
  'unread' | 'malformed' | 'packetSize' | 'messagesPerSecond' | 'bytesPerSecond' | 'inflightMessages'

/** What a client had no right to. */
export type Denial = 'deniedPublish' | 'deniedSubscribe' | 'deniedDelivery'

/** A CONNECT, as mqtt-packet reads it. */
export interface ConnectPacket extends ParsedPacket {
  clientId: string
  clean: boolean
  protocolVersion: number
  keepalive: number
  will?: MessageSource
}

/** What bounds a connection, and who hears of it. */
export interface LinkOptions {
  readLimits: ReadLimits
  /** Messages of QoS 1 and 2 that a client may leave unacknowledged; it may allow less itself. */
  inflightMessages: number
  /** Messages of QoS 2 that it may leave unreleased. */
  unreleasedMessages: number
  /** Bytes that it may leave unread. */
  unreadBytes: number
  backpressure: Backpressure
  /** A CONNECT has come; it may be changed before Aedes sees it. */
  onConnect: (client: Client, packet: ConnectPacket) => void
  /** A client went beyond a limit. */
  onLimit: (limit: LinkLimit, client: Client) => void
  /** A client may not do something, or have a message. */
  onDenied: (what: Denial, client: Client, topic: string) => void
}

/** What waits for the CONNACK, and what comes of it where there is none. */
interface Early {
  send: () => void
  fail: () => void
}

type State = 'new' | 'connecting' | 'open' | 'closed'

const MQTT_5 = 5
const CONNECT_HEADER = TYPE.connect << 4
const PINGREQ_HEADER = TYPE.pingreq << 4
const PINGRESP = Buffer.from([TYPE.pingresp << 4, 0])
const NO_BYTES = Buffer.alloc(0)
const ERROR_REASON = 0x80
const SESSION_TAKEN_OVER = 0x8e
const PACKET_TOO_LARGE = 0x95
const MAX_RECEIVE_MAXIMUM = 65_535
/** Return codes with which a CONNACK before MQTT 5 says so [MQTT-3.2.2-6]. */
const RETURN_CODES: ReadonlyMap<number, number> = new Map([
  [UNSUPPORTED_VERSION, 1],
  [IDENTIFIER_NOT_VALID, 2]
])
/**
 * Largest CONNECT, bytes: some six times what client id, user name, password and a will of 64 KiB may be. It comes
 * before anybody has said who it is.
 */
export const MAX_CONNECT_BYTES = 2 ** 17
/** A hook that does not answer is not waited for longer, once the connection is gone. */
const ENDING_LIMIT_MS = 10_000
/** Answers that wait for the store: who makes more is not read until some are out. */
const MAX_ANSWERS = 1_000
/** Messages handed on in one turn for which a subscriber with a full window has to be read in between. */
const MAX_WAITING_PER_TURN = 20
/** What a client sends of its own accord; acknowledgements are the doing of whoever made the broker send. */
const COUNTED: ReadonlySet<number> = new Set([TYPE.publish, TYPE.subscribe, TYPE.unsubscribe, TYPE.pingreq])
const FLAGS: Readonly<Record<number, number>> = {
  [TYPE.puback]: 0,
  [TYPE.pubrec]: 0,
  [TYPE.pubrel]: 2,
  [TYPE.pubcomp]: 0
}

const links = new WeakMap<object, Link>()

/** The link of a client of this broker. */
export function linkOf(client: object): Link {
  const link = links.get(client)
  if (link === undefined) throw new Error('a client that this broker does not know')
  return link
}

/** One connection. */
export class Link implements Receiver {
  session: Session | undefined
  /** Protocol level: 3, 4 or 5. */
  version = 4
  readonly retained: RetainedDelivery
  /** Whether a packet is being handled, and the next one has to wait. */
  isBusy = false
  readonly #parts: ClientParts
  readonly #connection: Duplex
  readonly #output: Output
  readonly #framer = new Framer()
  readonly #pause: ReadThrottle
  /** PUBACK, PUBREC, PUBREL and PUBCOMP. */
  readonly #acknowledgements: ReplyQueue
  /** SUBACK and UNSUBACK. */
  readonly #grants: ReplyQueue
  readonly #publishing: Publishing
  readonly #connect: (packet: ParsedPacket) => void
  #state: State = 'new'
  #maximumPacketSize = Infinity
  #isPresent = false
  #willProperties: Buffer = NO_BYTES
  #releaseWrites: (() => void) | undefined
  /** What plug-ins send before the CONNACK is out. */
  #early: Early[] = []
  /** What plug-ins ask for before there is a session. */
  #beforeSession: (() => void)[] = []
  #isReady = false
  /** The connection is gone; what came by it is still to be handled. */
  #isEnding = false
  #isReading = false
  #waitingThisTurn = 0
  readonly #broker: Broker
  readonly #options: LinkOptions

  constructor(
    broker: Broker,
    readonly client: Client,
    options: LinkOptions
  ) {
    this.#broker = broker
    this.#options = options
    links.set(client, this)
    broker.traffic.sockets++
    const parts = (this.#parts = partsOf(client))
    this.#connection = parts.conn
    this.#output = new Output(parts.conn, broker.traffic.out)
    this.#pause = new ReadThrottle(options.readLimits, this.read, name => {
      options.onLimit(name, client)
    })
    this.#acknowledgements = new ReplyQueue(broker.store, this.read)
    this.#grants = new ReplyQueue(broker.store, this.read)
    this.retained = new RetainedDelivery(broker, this)
    this.#publishing = new Publishing(broker, this, options)
    this.#connect = takeParser(client)
    parts._parser.on('packet', (packet: ParsedPacket) => {
      this.#take(packet)
    })
    parts._parser.on('error', (error: Error) => {
      this.refuse(error)
    })
    parts._nextBatch = error => {
      if (error) this.fail(error)
      // Refused without an error, Aedes would leave the connection open for ever.
      else if (this.#state === 'connecting' && !parts.connecting && !parts.connected) parts.close()
      else this.read()
    }
    // What Aedes keeps of subscriptions is not used.
    Object.assign(parts, { subscriptions: Object.create(null) as object, duplicates: Object.create(null) as object })
    installClientApi(broker, this)
    parts.conn.on('readable', this.read)
    parts.conn.on('drain', () => {
      this.retained.go()
    })
    parts.conn.once('end', this.#finish)
    parts.conn.once('close', this.#finish)
    // Aedes tells that the client is ready before it does anything.
    client.once('connected', () => {
      this.#isReady = true
      this.read()
    })
  }

  /** Messages of QoS 1 and 2 that the client takes at a time [MQTT-3.3.4-9]. */
  get window(): number {
    return Math.max(1, Math.min(this.#parts.receiveMaximum ?? MAX_RECEIVE_MAXIMUM, this.#options.inflightMessages))
  }

  /** Whether the client has much to read. */
  get isFull(): boolean {
    return this.#output.isFull
  }

  /** Whether the connection is gone, or about to be. */
  get isClosed(): boolean {
    return this.#state === 'closed' || this.#parts.closed
  }

  /** Session Expiry Interval, seconds. */
  get expiry(): number {
    return this.#parts.sessionExpiryInterval
  }

  /** Reads on, where nothing holds it up. */
  readonly read = (): void => {
    if (this.#isReading) return
    this.#isReading = true
    try {
      this.#readPackets()
    } finally {
      this.#isReading = false
    }
    const isWaiting =
      this.isBusy || this.#state === 'connecting' || (this.#state === 'open' && !this.#isReady) || this.#hasMore
    if (this.#isEnding && !this.isClosed && !isWaiting) this.#parts.close()
  }

  #readPackets(): void {
    let handled = 0
    while (this.#mayRead) {
      const packet = this.#framer.next()
      if (packet === undefined) {
        if (!this.#fill()) break
      } else if (packet === 'malformed')
        this.refuse(new ProtocolFault('a remaining length is not valid [MQTT-1.5.5-1]'))
      else if (!this.#isAcceptable(packet.header, packet.length)) break
      else if (!packet.isWhole) {
        if (!this.#fill()) break
      } else if (!this.#mustYield(packet.header)) {
        if (COUNTED.has(packet.header >> 4)) this.#pause.countMessage()
        this.#handle(this.#framer.take())
        handled++
      } else break
    }
    if (handled > 0) this.#parts._keepaliveTimer?.refresh()
  }

  /** Begins the session, in place of another connection's: Aedes has let the client in. */
  begin(): void {
    const parts = this.#parts
    const { id: clientId, _cleanStart: cleanStart, sessionExpiryInterval: expiry } = parts
    if (cleanStart) this.#broker.wills.publishNow(clientId)
    const { session, isPresent } = this.#broker.sessions.open({ clientId, cleanStart, expiry })
    this.session = session
    this.#isPresent = isPresent
    this.#broker.wills.begin(this.client, parts.will as MessageSource | null, expiry)
    if (isPresent) reauthorise(this.#broker, this, session)
    for (const ask of this.#beforeSession.splice(0)) ask()
  }

  /** Aedes has an answer to the CONNECT: it goes out as it ought to be, and what waits for the client after it. */
  answer(connack: Connack): void {
    this.#releaseWrites?.()
    connack.sessionPresent = isAccepted(connack) && this.#isPresent
    if (connack.properties !== undefined) Reflect.deleteProperty(connack.properties, 'sharedSubscriptionAvailable')
    const { store } = this.#broker
    // What Clean Start discards must be gone for good, or a restart would bring it back.
    if (isAccepted(connack) && this.#parts._cleanStart && !store.isFailing)
      store.whenStored(() => {
        this.#answer(connack)
      })
    else this.#answer(connack)
  }

  /** Another connection has taken the client id [MQTT-3.1.4-3]. */
  takenOver(): void {
    this.disconnect({ reasonCode: SESSION_TAKEN_OVER })
  }

  /** The connection is gone, or about to be: nothing more is sent by it. */
  end(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#pause.close()
    this.#acknowledgements.close()
    this.#grants.close()
    for (const { fail } of this.#early.splice(0)) fail()
    const { session } = this
    if (session === undefined) return
    const filters = [...session.subscriptions.keys()]
    session.expiry = this.#parts.sessionExpiryInterval
    this.#broker.sessions.detach(session)
    if (this.#broker.sessions.get(session.id) === session) this.retained.close()
    else emitUnsubscribed(this.#broker, this.client, filters)
  }

  /** The message as the client may have it; undefined where it may not. Hooks may change it for this client alone. */
  forward(message: Message): Message | undefined {
    const { topic, payload, qos, retain, properties, messageId } = message
    const answer = this.#broker.authorizeForward(this.client, message) as MessageSource | null | undefined
    const isChanged =
      answer !== message ||
      message.topic !== topic ||
      message.payload !== payload ||
      message.qos !== qos ||
      message.retain !== retain ||
      message.properties !== properties ||
      message.messageId !== messageId
    if (!isChanged) return message
    const changed = answer ? changedBy(answer, message, properties) : undefined
    Object.assign(message, { topic, payload, qos, retain, properties, messageId })
    if (changed === undefined) this.#options.onDenied('deniedDelivery', this.client, topic)
    return changed
  }

  /** Sends a message of QoS 0, where the client may have it and can take it. */
  deliver(message: Message, retain: boolean, identifiers: Buffer): void {
    if (message.isExpired()) return
    const allowed = this.forward(message)
    if (allowed !== undefined) this.send({ message: allowed, qos: 0, retain, dup: false, packetId: 0, identifiers })
  }

  send(delivery: Delivery): boolean {
    // [MQTT-3.1.2-24]
    if (this.#maximumPacketSize !== Infinity && publishBytes(delivery, this.version) > this.#maximumPacketSize)
      return false
    if (this.#output.unread > this.#options.unreadBytes) {
      if (this.#state === 'open') {
        this.#options.onLimit('unread', this.client)
        this.#connection.destroy(new Error(`${this.#output.unread} bytes wait for the client to read them`))
      }
      return true
    }
    this.#output.publish(delivery, this.version)
    return true
  }

  release(packetId: number): void {
    this.acknowledge(TYPE.pubrel, packetId, 0)
  }

  replayed(): void {
    this.read()
  }

  /** Writes what is collected; whether there is room for more. */
  drain(): boolean {
    this.#output.flush()
    return !this.#output.isFull
  }

  /** Answers a SUBSCRIBE, once its subscriptions are stored [MQTT-3.8.4-1]. */
  grant(messageId: number | undefined, codes: readonly number[], then: () => void): void {
    this.#grant({ cmd: 'suback', granted: [...codes] }, messageId, then)
  }

  /** A subscription was refused. */
  denied(filter: string): void {
    this.#options.onDenied('deniedSubscribe', this.client, filter)
  }

  /** Answers an UNSUBSCRIBE [MQTT-3.10.4-4]. */
  ungrant(messageId: number | undefined, codes: readonly number[], then: () => void): void {
    this.#grant({ cmd: 'unsuback', granted: [...codes] }, messageId, then)
  }

  /** Whether another packet has come whole. */
  get #hasMore(): boolean {
    const next = this.#framer.next()
    return typeof next === 'object' && next.isWhole
  }

  get #mayRead(): boolean {
    if (this.isBusy || this.isClosed || this.#state === 'connecting') return false
    if (this.session?.isReplaying === true || (this.#state === 'open' && !this.#isReady)) return false
    return this.#acknowledgements.length < MAX_ANSWERS && this.#grants.length < MAX_ANSWERS
  }

  /** Takes more bytes; false where there are none, or the client has to be slowed down. */
  #fill(): boolean {
    if (
      this.#pause.isNeeded(() => {
        this.#parts._keepaliveTimer?.refresh()
      })
    )
      return false
    const chunk = this.#connection.read() as Buffer | null
    if (chunk === null) return false
    this.#count(chunk.length)
    this.#framer.push(chunk)
    return true
  }

  #count(bytes: number): void {
    this.#pause.countBytes(bytes)
    this.#broker.traffic.in.bytes += bytes
  }

  /** Whether a packet may begin so, and be so large. */
  #isAcceptable(header: number, length: number): boolean {
    const isConnecting = this.#state === 'new'
    // [MQTT-3.1.0-1]
    if (isConnecting && header !== CONNECT_HEADER) {
      this.#options.onLimit('malformed', this.client)
      this.fail(new ProtocolFault('the first packet is not a CONNECT [MQTT-3.1.0-1]', PROTOCOL_ERROR))
      return false
    }
    if (isConnecting && length > MAX_CONNECT_BYTES) {
      this.#options.onLimit('packetSize', this.client)
      this.fail(new ProtocolFault('the CONNECT is too large'))
      return false
    }
    const { maximumPacketSize } = brokerParts(this.#broker)
    if (maximumPacketSize === 0 || length <= maximumPacketSize) return true
    const error = Object.assign(new Error('packet too large'), { size: length, maximumPacketSize })
    if (this.version !== MQTT_5 || this.#state !== 'open') this.fail(error)
    else {
      this.#broker.emit('clientError', this.client, error)
      this.disconnect({ reasonCode: PACKET_TOO_LARGE })
    }
    return false
  }

  /** Whether those who are to get the messages have to be read first. */
  #mustYield(header: number): boolean {
    if (header >> 4 !== TYPE.publish || (header & 6) === 0) return false
    if (this.#options.backpressure.hold(this.read)) return true
    if (this.#waitingThisTurn < MAX_WAITING_PER_TURN) return false
    setImmediate(() => {
      this.#waitingThisTurn = 0
      this.read()
    })
    return true
  }

  #handle(packet: Packet): void {
    const { header, bytes, from, to } = packet
    const type = header >> 4
    this.#broker.traffic.in.messages++
    if (type === TYPE.publish) this.#publishing.take(packet)
    else if (header === PINGREQ_HEADER && from === to) this.#ping()
    else if (FLAGS[type] === (header & 0x0f) && to - from === 2) this.#acknowledged(type, bytes.readUInt16BE(from), 0)
    else this.#parse(packet)
  }

  /** All other packets are rare: checked here, and read by mqtt-packet. */
  #parse({ header, bytes, start, from, to }: Packet): void {
    const { _parser: parser } = this.#parts
    const cmd = TYPE_NAMES[header >> 4] ?? 'reserved'
    const body = bytes.subarray(from, to)
    const fault = faultOf({ cmd, body }, this.#state === 'new' ? {} : parser.settings)
    if (fault !== undefined) {
      this.refuse(fault)
      return
    }
    // mqtt-packet loses the order of user properties.
    if (header === CONNECT_HEADER) this.#willProperties = willPropertiesIn(body)
    parser.parse(bytes.subarray(start, to))
  }

  #take(packet: ParsedPacket): void {
    switch (packet.cmd) {
      case 'connect':
        this.#takeConnect(packet as ConnectPacket)
        break
      case 'subscribe':
        this.#wait(subscribe(this.#broker, this, packet as ParsedPacket & SubscribeRequest))
        break
      case 'unsubscribe':
        unsubscribe(this.#broker, this, packet as ParsedPacket & UnsubscribeRequest)
        break
      case 'disconnect':
        this.#takeDisconnect(packet)
        break
      default:
        this.#acknowledged(TYPE_NAMES.indexOf(packet.cmd), packet.messageId ?? 0, packet.reasonCode ?? 0)
    }
  }

  #takeConnect(packet: ConnectPacket): void {
    this.#state = 'connecting'
    this.#broker.traffic.connects++
    this.version = packet.protocolVersion
    this.#maximumPacketSize = (packet.properties?.maximumPacketSize as number | undefined) ?? Infinity
    const { will } = packet
    if (will !== undefined) will.encodedProperties = this.#willProperties
    this.#options.onConnect(this.client, packet)
    // What came along waits in the stream: read to its end, a connection that is half closed could not be answered.
    const rest = this.#framer.rest()
    this.#count(-rest.length)
    if (rest.length > 0) this.#connection.unshift(rest)
    this.#releaseWrites = holdWrites(this.#connection)
    this.#connect(packet)
  }

  #takeDisconnect({ reasonCode = 0, properties }: ParsedPacket): void {
    const parts = this.#parts
    const expiry = properties?.sessionExpiryInterval
    if (typeof expiry === 'number') {
      parts.sessionExpiryInterval = brokerParts(this.#broker).clampSessionExpiry(expiry)
      parts.clean = expiry === 0
    }
    // Any other reason leaves the will to be published [MQTT-3.14.4-3].
    parts._disconnected = reasonCode === 0
    parts.close()
  }

  #answer(connack: Connack): void {
    if (this.#state === 'closed') return
    const packet = encodeConnack(connack, this.version, this.#maximumPacketSize)
    if (packet === undefined) {
      this.fail(new Error('the client takes no packet as large as a CONNACK'))
      return
    }
    this.#output.write(packet)
    if (!isAccepted(connack)) {
      this.#output.flush()
      return
    }
    this.#state = 'open'
    // Aedes would say so when the queue that it keeps is empty.
    Object.assign(this.#parts, { connackSent: true, connected: true })
    for (const { send } of this.#early.splice(0)) send()
    if (this.session !== undefined) this.#broker.sessions.attach(this.session, this)
    if (this.#isReady) this.read()
  }

  /** A PUBACK, PUBREC, PUBREL or PUBCOMP has come. */
  #acknowledged(type: number, packetId: number, reasonCode: number): void {
    const { session } = this
    const broker = this.#broker
    if (session === undefined) return
    if (packetId === 0) {
      this.refuse(new ProtocolFault('a packet identifier is 0 [MQTT-2.2.1-3]', PROTOCOL_ERROR))
      return
    }
    const { changes } = broker.store
    const since = (): number => (broker.store.changes === changes ? 0 : broker.store.latest)
    if (type === TYPE.puback) this.#tellAcknowledged(session.acknowledge(packetId), packetId)
    else if (type === TYPE.pubcomp)
      broker.emit(
        'ack',
        session.complete(packetId) && { cmd: 'pubrel', messageId: packetId, reasonCode: 0 },
        this.client
      )
    else if (type === TYPE.pubrec && reasonCode >= ERROR_REASON) session.refuse(packetId)
    else if (type === TYPE.pubrec) {
      // A late one gets its PUBREL as well: the client waits for it.
      session.receive(packetId)
      this.acknowledge(TYPE.pubrel, packetId, since())
    } else {
      session.forget(packetId)
      this.acknowledge(TYPE.pubcomp, packetId, since())
    }
    this.retained.go()
  }

  #tellAcknowledged(message: Message | undefined, messageId: number): void {
    if (this.#broker.listenerCount('ack') > 0)
      this.#broker.emit('ack', message && Object.assign(messageOf(message), { messageId }), this.client)
  }

  /**
   * Sends a PUBACK, PUBREC, PUBREL or PUBCOMP in its turn.
   *
   * @param batch that must be stored before; 0: none
   */
  acknowledge(type: number, packetId: number, batch: number, reasonCode = 0, reason = ''): void {
    const wantsReason = this.#parts._requestProblemInformation !== false
    let packet = acknowledgement(type, packetId, this.version, reasonCode, wantsReason ? reason : '')
    if (packet.length > this.#maximumPacketSize) packet = acknowledgement(type, packetId, this.version, reasonCode)
    this.#acknowledgements.add(batch, () => {
      this.#output.write(packet)
    })
  }

  #ping(): void {
    this.#broker.emit(
      'ping',
      { cmd: 'pingreq', retain: false, qos: 0, dup: false, length: 0, topic: null, payload: null },
      this.client
    )
    this.#output.write(PINGRESP)
  }

  #grant(
    packet: { cmd: 'suback' | 'unsuback'; granted: number[] },
    messageId: number | undefined,
    then: () => void
  ): void {
    this.#grants.add(this.session?.isStored === true ? this.#broker.store.latest : 0, () => {
      if (messageId !== undefined) {
        const bytes = mqttPacket.generate(
          { ...packet, messageId },
          { protocolVersion: this.version === MQTT_5 ? 5 : 4 }
        )
        if (bytes.length > this.#maximumPacketSize) {
          this.disconnect({ reasonCode: PACKET_TOO_LARGE })
          return
        }
        this.#output.write(bytes)
      }
      then()
    })
  }

  #wait(handling: Promise<void>): void {
    this.isBusy = true
    handling.then(
      () => {
        this.goOn()
      },
      (error: unknown) => {
        this.fail(error as Error)
      }
    )
  }

  /** What was being handled is done. */
  goOn(): void {
    this.isBusy = false
    this.read()
  }

  /** A client before it, whose window is full, has to be read before more goes to it. */
  countWait(): void {
    this.#waitingThisTurn++
  }

  /** Ends the connection as Aedes does for what it calls an error. */
  fail(error: Error): void {
    this.#parts.emit('error', error)
  }

  /** Calls back when something can be sent: at once, where the CONNACK is out; or that it cannot. */
  whenOpen(send: () => void, fail: () => void): void {
    if (this.#state === 'open') send()
    else if (this.isClosed) fail()
    else this.#early.push({ send, fail })
  }

  /** Calls back when there is a session: at once, where there is. */
  whenSession(ask: () => void): void {
    if (this.session !== undefined || this.isClosed) ask()
    else this.#beforeSession.push(ask)
  }

  /** The connection is gone: what has come by it is handled first, or a DISCONNECT would be missed [MQTT-3.14.4-3]. */
  readonly #finish = (): void => {
    if (this.#isEnding || this.isClosed) return
    this.#isEnding = true
    setTimeout(() => {
      if (!this.isClosed) this.#parts.close()
    }, ENDING_LIMIT_MS).unref()
    this.read()
  }

  /** What MQTT forbids ends the connection, and a client of MQTT 5 learns why [MQTT-4.13.1-1]. */
  refuse(error: Error): void {
    if (this.#state === 'closed') return
    const reasonCode = error instanceof ProtocolFault ? error.reasonCode : MALFORMED_PACKET
    const returnCode = RETURN_CODES.get(reasonCode)
    this.isBusy = true
    this.#options.onLimit('malformed', this.client)
    if (returnCode !== undefined && this.#state !== 'open') {
      this.#connection.end(Buffer.from([TYPE.connack << 4, 2, 0, returnCode]), () => {
        this.fail(error)
      })
    } else if (this.version === MQTT_5 && this.#state === 'open') {
      this.#broker.emit('clientError', this.client, error)
      this.disconnect({ reasonCode })
    } else {
      this.#output.flush()
      this.fail(error)
    }
  }

  /** Closes the connection; a client of MQTT 5 is told why. */
  disconnect({ reasonCode = 0, properties }: { reasonCode?: number; properties?: object }, done?: () => void): void {
    if (this.version === MQTT_5) Object.assign(this.#parts, { disconnectReasonCode: reasonCode })
    if (this.version === MQTT_5 && this.#state === 'open' && !this.#parts.closed) {
      this.#output.write(
        mqttPacket.generate(
          { cmd: 'disconnect', reasonCode, ...(properties !== undefined && { properties }) },
          { protocolVersion: 5 }
        )
      )
      linger(this.#connection)
    }
    this.#output.flush()
    this.#parts.close(done)
  }
}

/** The message that a hook made of one for a client; undefined where it cannot be sent. */
function changedBy(
  answer: MessageSource,
  message: Message,
  properties: NamedProperties | undefined
): Message | undefined {
  const { topic, payload, qos, retain, clientId } = answer
  const changed = messageOf({
    topic,
    payload,
    qos,
    retain,
    clientId,
    properties: answer.properties,
    encodedProperties: answer.properties === properties ? message.encodedProperties : undefined,
    messageExpiry: message.messageExpiry
  })
  try {
    checkMessage(changed)
    return changed
  } catch {
    return undefined
  }
}
