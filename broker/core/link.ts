// One client connection: handshake, packets in order, and disconnect.

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import { PACKET_TYPE_NAMES, PacketType } from '../../src/decode/packet-types.js'
import {
  IDENTIFIER_NOT_VALID,
  MALFORMED_PACKET,
  PROTOCOL_ERROR,
  ProtocolFault,
  UNSUPPORTED_VERSION
} from '../protocol/fault.js'
import { checkPacket } from '../protocol/packet-checks.js'
import {
  brokerParts,
  holdWrites,
  linger,
  partsOf,
  takeParser,
  type ClientParts,
  type ParsedPacket
} from './aedes-internals.js'
import type { Backpressure } from './backpressure.js'
import type { Broker } from './broker.js'
import { installClientApi } from './client-api.js'
import { isAccepted, type Connack } from './connack.js'
import { authoriseForward } from './forwarding.js'
import type { Packet } from './framer.js'
import { messageOf, type Message, type MessageSource } from './message.js'
import { PacketReader, type PacketHandler } from './packet-reader.js'
import { PacketWriter } from './packet-writer.js'
import { Publishing } from './publishing.js'
import type { ReadLimits } from './read-throttle.js'
import type { Session } from './session.js'
import type { Receiver } from './session-queue.js'
import {
  reauthorise,
  RetainedDelivery,
  subscribe,
  emitUnsubscribed,
  unsubscribe,
  type SubscribeRequest,
  type UnsubscribeRequest
} from './subscribing.js'
import { willPropertiesIn, type Delivery } from './wire.js'

/** Limits that a client can exceed. */
export type LinkLimit =
  'unread' | 'malformed' | 'packetSize' | 'messagesPerSecond' | 'bytesPerSecond' | 'inflightMessages'

/** Operations that a client can be denied. */
export type Denial = 'deniedPublish' | 'deniedSubscribe' | 'deniedDelivery'

/** A CONNECT as decoded by mqtt-packet. */
export interface ConnectPacket extends ParsedPacket {
  clientId: string
  clean: boolean
  protocolVersion: number
  keepalive: number
  will?: MessageSource
}

/** Limits and callbacks of a connection. */
export interface LinkOptions {
  readLimits: ReadLimits
  /** Maximum number of unacknowledged QoS 1 and 2 messages to a client; its Receive Maximum may be lower. */
  inflightMessages: number
  /** Maximum number of unreleased QoS 2 messages from a client. */
  unreleasedMessages: number
  /** Maximum number of bytes that a client may leave unread. */
  unreadBytes: number
  backpressure: Backpressure
  /** A CONNECT was received; the callback may change it before Aedes handles it. */
  onConnect: (client: Client, packet: ConnectPacket) => void
  /** A client exceeded a limit. */
  onLimit: (limit: LinkLimit, client: Client) => void
  /** A client was denied an operation or a message. */
  onDenied: (what: Denial, client: Client, topic: string) => void
}

/** An operation that waits for the CONNACK. */
interface PendingSend {
  send: () => void
  fail: () => void
}

type State = 'new' | 'connecting' | 'open' | 'closed'

const MQTT_5 = 5
const CONNECT_HEADER = PacketType.CONNECT << 4
const PINGREQ_HEADER = PacketType.PINGREQ << 4
const NO_BYTES = Buffer.alloc(0)
const ERROR_REASON = 0x80
const SESSION_TAKEN_OVER = 0x8e
const PACKET_TOO_LARGE = 0x95
const MAX_RECEIVE_MAXIMUM = 65_535
/** CONNACK return codes before MQTT 5, by reason code [MQTT-3.2.2-6]. */
const RETURN_CODES: ReadonlyMap<number, number> = new Map([
  [UNSUPPORTED_VERSION, 1],
  [IDENTIFIER_NOT_VALID, 2]
])
/**
 * Largest CONNECT, bytes. The client is not authenticated yet. Leaves room for client id, user name, password and a
 * will of 64 KiB.
 */
export const MAX_CONNECT_BYTES = 2 ** 17
/** Time to handle each packet that was received before the connection ended, ms: a hook may never return. */
const END_TIMEOUT_MS = 10_000
/**
 * After so many messages per turn that were queued behind a full in-flight window, the broker reads acknowledgements
 * before it reads more from the publisher.
 */
const MAX_QUEUED_PER_TURN = 20
/** Header flags of acknowledgements. */
const FLAGS: Readonly<Record<number, number>> = {
  [PacketType.PUBACK]: 0,
  [PacketType.PUBREC]: 0,
  [PacketType.PUBREL]: 2,
  [PacketType.PUBCOMP]: 0
}

const links = new WeakMap<object, Link>()

/** Returns the link of a client of this broker. */
export function linkOf(client: object): Link {
  const link = links.get(client)
  if (link === undefined) throw new Error('client of another broker')
  return link
}

/** One client connection. */
export class Link implements Receiver, PacketHandler {
  session: Session | undefined
  readonly retained: RetainedDelivery
  /** Whether a packet is in progress, and the next one must wait. */
  isBusy = false
  readonly #broker: Broker
  readonly #options: LinkOptions
  readonly #parts: ClientParts
  readonly #connection: Duplex
  readonly #reader: PacketReader
  readonly #writer: PacketWriter
  readonly #publishing: Publishing
  /** Aedes' handler of CONNECT. */
  readonly #handleConnect: (packet: ParsedPacket) => void
  #state: State = 'new'
  #isSessionPresent = false
  #willProperties: Buffer = NO_BYTES
  #restoreWrites: (() => void) | undefined
  /** Messages that plug-ins send before the CONNACK is sent. */
  #pendingSends: PendingSend[] = []
  /** Operations of plug-ins that need a session. */
  #pendingRequests: (() => void)[] = []
  #isReady = false
  /** The connection has ended; received packets are still to be handled. */
  #isEnding = false
  #endTimer: NodeJS.Timeout | undefined
  #queuedThisTurn = 0

  constructor(
    broker: Broker,
    readonly client: Client,
    options: LinkOptions
  ) {
    this.#broker = broker
    this.#options = options
    links.set(client, this)
    const { store, traffic } = broker
    traffic.sockets++
    const parts = (this.#parts = partsOf(client))
    this.#connection = parts.conn
    this.#reader = new PacketReader(parts, traffic, options.readLimits, this, name => {
      options.onLimit(name, client)
    })
    this.#writer = new PacketWriter(parts, store, traffic.out, {
      unreadBytes: options.unreadBytes,
      onUnread: bytes => {
        this.#destroyUnread(bytes)
      },
      onTooLarge: () => {
        this.disconnect({ reasonCode: PACKET_TOO_LARGE })
      },
      onReplied: this.#reader.read
    })
    this.retained = new RetainedDelivery(broker, this)
    this.#publishing = new Publishing(broker, this, options)
    this.#handleConnect = takeParser(client)
    parts._parser.on('packet', (packet: ParsedPacket) => {
      this.#dispatch(packet)
    })
    parts._parser.on('error', (error: Error) => {
      this.refuse(error)
    })
    parts._nextBatch = error => {
      if (error) this.fail(error)
      // After a refusal without an error, Aedes would leave the connection open.
      else if (this.#state === 'connecting' && !parts.connecting && !parts.connected) parts.close()
      else this.read()
    }
    // Aedes' own bookkeeping of subscriptions is not used.
    Object.assign(parts, { subscriptions: Object.create(null) as object, duplicates: Object.create(null) as object })
    installClientApi(broker, this)
    parts.conn.on('readable', this.#reader.read)
    parts.conn.on('drain', () => {
      this.retained.send()
    })
    parts.conn.once('end', this.#onEnd)
    parts.conn.once('close', this.#onEnd)
    // Aedes emits 'connected' before the client is ready for packets.
    client.once('connected', () => {
      this.#isReady = true
      this.read()
    })
  }

  /** Protocol level: 3, 4 or 5. */
  get version(): number {
    return this.#writer.version
  }

  /** Maximum number of unacknowledged QoS 1 and 2 messages to the client [MQTT-3.3.4-9]. */
  get window(): number {
    return Math.max(1, Math.min(this.#parts.receiveMaximum ?? MAX_RECEIVE_MAXIMUM, this.#options.inflightMessages))
  }

  /** Whether the client reads too slowly to send it more retained or shared messages. */
  get isFull(): boolean {
    return this.#writer.isFull
  }

  /** Whether the connection is closed or closing. */
  get isClosed(): boolean {
    return this.#state === 'closed' || this.#parts.closed
  }

  /** Session Expiry Interval, seconds. */
  get expiry(): number {
    return this.#parts.sessionExpiryInterval
  }

  // Reading

  /** Reads and handles packets, if the next one may be handled now. */
  read(): void {
    this.#reader.read()
  }

  /** Continues after a packet that was in progress. */
  resume(): void {
    this.isBusy = false
    this.read()
  }

  /** Counts a message of this client that was queued behind a full in-flight window. */
  countQueued(): void {
    this.#queuedThisTurn++
  }

  get mayRead(): boolean {
    if (this.isBusy || this.isClosed || this.#state === 'connecting') return false
    if (this.session?.queue.isReplaying === true || (this.#state === 'open' && !this.#isReady)) return false
    return !this.#writer.isReplyQueueFull
  }

  accept(header: number, length: number): boolean {
    const isConnecting = this.#state === 'new'
    // [MQTT-3.1.0-1]
    if (isConnecting && header !== CONNECT_HEADER) {
      this.#options.onLimit('malformed', this.client)
      this.fail(new ProtocolFault('the first packet is not a CONNECT [MQTT-3.1.0-1]', PROTOCOL_ERROR))
      return false
    }
    if (isConnecting && length > MAX_CONNECT_BYTES) {
      this.#options.onLimit('packetSize', this.client)
      this.fail(new ProtocolFault('CONNECT is too large'))
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

  /** Lets QoS 1 and 2 messages wait while subscribers must be read first. */
  mustWait(header: number): boolean {
    if (header >> 4 !== PacketType.PUBLISH || (header & 6) === 0) return false
    if (this.#options.backpressure.hold(this.#reader.read)) return true
    if (this.#queuedThisTurn < MAX_QUEUED_PER_TURN) return false
    setImmediate(() => {
      this.#queuedThisTurn = 0
      this.read()
    })
    return true
  }

  handle(packet: Packet): void {
    const { header, bytes, from, to } = packet
    const type = header >> 4
    this.#endTimer?.refresh()
    if (type === PacketType.PUBLISH) this.#publishing.handle(packet)
    else if (header === PINGREQ_HEADER && from === to) this.#ping()
    else if (FLAGS[type] === (header & 0x0f) && to - from === 2)
      this.#handleAcknowledgement(type, bytes.readUInt16BE(from), 0)
    else this.#parse(packet)
  }

  /** Closes an ended connection once all its packets are handled. */
  afterRead(): void {
    if (!this.#isEnding || this.isClosed) return
    const isWaiting =
      this.isBusy ||
      this.#state === 'connecting' ||
      (this.#state === 'open' && !this.#isReady) ||
      this.#reader.hasPacket
    if (!isWaiting) this.#parts.close()
  }

  /** Checks a packet of a less frequent type and decodes it with mqtt-packet. */
  #parse({ header, bytes, start, from, to }: Packet): void {
    const { _parser: parser } = this.#parts
    const cmd = PACKET_TYPE_NAMES[header >> 4] ?? 'reserved'
    const body = bytes.subarray(from, to)
    const fault = checkPacket({ cmd, body }, this.#state === 'new' ? {} : parser.settings)
    if (fault !== undefined) {
      this.refuse(fault)
      return
    }
    // mqtt-packet loses the order of user properties.
    if (header === CONNECT_HEADER) this.#willProperties = willPropertiesIn(body)
    parser.parse(bytes.subarray(start, to))
  }

  #dispatch(packet: ParsedPacket): void {
    switch (packet.cmd) {
      case 'connect':
        this.#takeConnect(packet as ConnectPacket)
        break
      case 'subscribe':
        this.#waitFor(subscribe(this.#broker, this, packet as ParsedPacket & SubscribeRequest))
        break
      case 'unsubscribe':
        unsubscribe(this.#broker, this, packet as ParsedPacket & UnsubscribeRequest)
        break
      case 'disconnect':
        this.#takeDisconnect(packet)
        break
      default:
        this.#handleAcknowledgement(
          PACKET_TYPE_NAMES.indexOf(packet.cmd),
          packet.messageId ?? 0,
          packet.reasonCode ?? 0
        )
    }
  }

  /** Handles a PUBACK, PUBREC, PUBREL or PUBCOMP. */
  #handleAcknowledgement(type: number, packetId: number, reasonCode: number): void {
    const { session } = this
    const broker = this.#broker
    if (session === undefined) return
    if (packetId === 0) {
      this.refuse(new ProtocolFault('packet identifier is 0 [MQTT-2.2.1-3]', PROTOCOL_ERROR))
      return
    }
    const { queue } = session
    const { changes } = broker.store
    const batch = (): number => (broker.store.changes === changes ? 0 : broker.store.latest)
    if (type === PacketType.PUBACK) this.#emitAck(queue.acknowledge(packetId), packetId)
    else if (type === PacketType.PUBCOMP)
      broker.emit('ack', queue.complete(packetId) && { cmd: 'pubrel', messageId: packetId, reasonCode: 0 }, this.client)
    else if (type === PacketType.PUBREC && reasonCode >= ERROR_REASON) queue.refuse(packetId)
    else if (type === PacketType.PUBREC) {
      // An unknown PUBREC is answered as well: the client waits for a PUBREL.
      queue.receive(packetId)
      this.acknowledge(PacketType.PUBREL, packetId, batch())
    } else {
      session.removeReceived(packetId)
      this.acknowledge(PacketType.PUBCOMP, packetId, batch())
    }
    this.retained.send()
  }

  #emitAck(message: Message | undefined, messageId: number): void {
    if (this.#broker.listenerCount('ack') > 0)
      this.#broker.emit('ack', message && Object.assign(messageOf(message), { messageId }), this.client)
  }

  #ping(): void {
    this.#broker.emit(
      'ping',
      { cmd: 'pingreq', retain: false, qos: 0, dup: false, length: 0, topic: null, payload: null },
      this.client
    )
    this.#writer.pingresp()
  }

  #waitFor(handling: Promise<void>): void {
    this.isBusy = true
    handling.then(
      () => {
        this.resume()
      },
      (error: unknown) => {
        this.fail(error as Error)
      }
    )
  }

  // Handshake

  #takeConnect(packet: ConnectPacket): void {
    this.#state = 'connecting'
    this.#broker.traffic.connects++
    this.#writer.version = packet.protocolVersion
    this.#writer.maximumPacketSize = (packet.properties?.maximumPacketSize as number | undefined) ?? Infinity
    const { will } = packet
    if (will !== undefined) will.encodedProperties = this.#willProperties
    this.#options.onConnect(this.client, packet)
    // Later packets wait in the stream: a half-closed connection that is read to its end could not be answered.
    this.#reader.unread()
    this.#restoreWrites = holdWrites(this.#connection)
    this.#handleConnect(packet)
  }

  /** Opens the session of an accepted client. */
  openSession(): void {
    const parts = this.#parts
    const { id: clientId, _cleanStart: cleanStart, sessionExpiryInterval: expiry } = parts
    if (cleanStart) this.#broker.wills.publishNow(clientId)
    const { session, isPresent } = this.#broker.sessions.open({ clientId, cleanStart, expiry })
    this.session = session
    this.#isSessionPresent = isPresent
    this.#broker.wills.set(this.client, parts.will as MessageSource | null, expiry)
    if (isPresent) reauthorise(this.#broker, this, session)
    for (const request of this.#pendingRequests.splice(0)) request()
  }

  /** Sends Aedes' CONNACK with the core's changes, then the queue of the session. */
  sendConnack(connack: Connack): void {
    this.#restoreWrites?.()
    connack.sessionPresent = isAccepted(connack) && this.#isSessionPresent
    if (connack.properties !== undefined) Reflect.deleteProperty(connack.properties, 'sharedSubscriptionAvailable')
    const { store } = this.#broker
    // Clean Start: wait until the old session is removed from the store, or a restart would restore it.
    if (isAccepted(connack) && this.#parts._cleanStart && !store.isFailing)
      store.whenStored(() => {
        this.#writeConnack(connack)
      })
    else this.#writeConnack(connack)
  }

  #writeConnack(connack: Connack): void {
    if (this.#state === 'closed') return
    if (!this.#writer.connack(connack)) {
      this.fail(new Error("CONNACK exceeds the client's Maximum Packet Size"))
      return
    }
    if (!isAccepted(connack)) return
    this.#state = 'open'
    // Aedes sets these only after it has read the queue of its own persistence.
    Object.assign(this.#parts, { connackSent: true, connected: true })
    for (const { send } of this.#pendingSends.splice(0)) send()
    if (this.session !== undefined) this.#broker.sessions.attach(this.session, this)
    if (this.#isReady) this.read()
  }

  /** Calls `send` after the CONNACK is sent (now if it already is), or `fail` if the connection closes first. */
  whenOpen(send: () => void, fail: () => void): void {
    if (this.#state === 'open') send()
    else if (this.isClosed) fail()
    else this.#pendingSends.push({ send, fail })
  }

  /** Calls back when the session is open: now if it already is. */
  whenSession(request: () => void): void {
    if (this.session !== undefined || this.isClosed) request()
    else this.#pendingRequests.push(request)
  }

  // Sending

  forward(message: Message): Message | undefined {
    const forwarded = authoriseForward(this.#broker, this.client, message)
    if (forwarded === undefined) this.#options.onDenied('deniedDelivery', this.client, message.topic)
    return forwarded
  }

  /** Sends a QoS 0 message, if it is not expired, denied or too large. */
  deliver(message: Message, retain: boolean, identifiers: Buffer): void {
    if (message.isExpired()) return
    const allowed = this.forward(message)
    if (allowed !== undefined) this.send({ message: allowed, qos: 0, retain, dup: false, packetId: 0, identifiers })
  }

  send(delivery: Delivery): boolean {
    return this.#writer.publish(delivery)
  }

  release(packetId: number): void {
    this.acknowledge(PacketType.PUBREL, packetId, 0)
  }

  replayed(): void {
    this.read()
  }

  /** Writes the collected packets; returns whether more can be sent. */
  drain(): boolean {
    this.#writer.flush()
    return !this.#writer.isFull
  }

  /**
   * Sends a PUBACK, PUBREC, PUBREL or PUBCOMP in order.
   *
   * @param batch the batch that must be stored first; 0: none
   */
  acknowledge(type: number, packetId: number, batch: number, reasonCode = 0, reason = ''): void {
    this.#writer.acknowledge(type, packetId, batch, reasonCode, reason)
  }

  /** Sends a SUBACK once the subscriptions are stored [MQTT-3.8.4-1]. */
  sendSuback(messageId: number | undefined, codes: readonly number[], then: () => void): void {
    this.#writer.replyToSubscription({ cmd: 'suback', granted: [...codes] }, messageId, this.#latestBatch, then)
  }

  /** Sends an UNSUBACK once the changes are stored [MQTT-3.10.4-4]. */
  sendUnsuback(messageId: number | undefined, codes: readonly number[], then: () => void): void {
    this.#writer.replyToSubscription({ cmd: 'unsuback', granted: [...codes] }, messageId, this.#latestBatch, then)
  }

  /** Reports that a subscription was denied. */
  reportDenied(filter: string): void {
    this.#options.onDenied('deniedSubscribe', this.client, filter)
  }

  get #latestBatch(): number {
    return this.session?.isStored === true ? this.#broker.store.latest : 0
  }

  #destroyUnread(bytes: number): void {
    if (this.#state !== 'open') return
    this.#options.onLimit('unread', this.client)
    this.#connection.destroy(new Error(`the client has left ${bytes} bytes unread`))
  }

  // Disconnect

  #takeDisconnect({ reasonCode = 0, properties }: ParsedPacket): void {
    const parts = this.#parts
    const expiry = properties?.sessionExpiryInterval
    if (typeof expiry === 'number') {
      parts.sessionExpiryInterval = brokerParts(this.#broker).clampSessionExpiry(expiry)
      parts.clean = expiry === 0
    }
    // With any other reason code, the will is published [MQTT-3.14.4-3].
    parts._disconnected = reasonCode === 0
    parts.close()
  }

  /** Disconnects the client because another connection has taken over its client id [MQTT-3.1.4-3]. */
  takenOver(): void {
    this.disconnect({ reasonCode: SESSION_TAKEN_OVER })
  }

  /** Disconnects the client for a protocol violation; MQTT 5 clients receive the reason code [MQTT-4.13.1-1]. */
  refuse(error: Error): void {
    if (this.#state === 'closed') return
    const reasonCode = error instanceof ProtocolFault ? error.reasonCode : MALFORMED_PACKET
    const returnCode = RETURN_CODES.get(reasonCode)
    this.isBusy = true
    this.#options.onLimit('malformed', this.client)
    if (returnCode !== undefined && this.#state !== 'open') {
      this.#connection.end(Buffer.from([PacketType.CONNACK << 4, 2, 0, returnCode]), () => {
        this.fail(error)
      })
    } else if (this.version === MQTT_5 && this.#state === 'open') {
      this.#broker.emit('clientError', this.client, error)
      this.disconnect({ reasonCode })
    } else {
      this.#writer.flush()
      this.fail(error)
    }
  }

  /** Closes the connection as Aedes does after an error. */
  fail(error: Error): void {
    this.#parts.emit('error', error)
  }

  /** Disconnects the client; MQTT 5 clients receive a DISCONNECT with the reason code. */
  disconnect({ reasonCode = 0, properties }: { reasonCode?: number; properties?: object }, done?: () => void): void {
    if (this.version === MQTT_5) Object.assign(this.#parts, { disconnectReasonCode: reasonCode })
    if (this.version === MQTT_5 && this.#state === 'open' && !this.#parts.closed) {
      this.#writer.disconnect(reasonCode, properties)
      linger(this.#connection)
    }
    this.#writer.flush()
    this.#parts.close(done)
  }

  /** Stops sending, and detaches the session from a connection that is closed or closing. */
  end(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#reader.close()
    this.#writer.close()
    for (const { fail } of this.#pendingSends.splice(0)) fail()
    const { session } = this
    if (session === undefined) return
    const filters = [...session.subscriptions.keys()]
    session.expiry = this.#parts.sessionExpiryInterval
    this.#broker.sessions.detach(session)
    if (this.#broker.sessions.get(session.id) === session) this.retained.close()
    else emitUnsubscribed(this.#broker, this.client, filters)
  }

  /** The connection has ended: handles received packets first, or a DISCONNECT would be missed [MQTT-3.14.4-3]. */
  readonly #onEnd = (): void => {
    if (this.#isEnding || this.isClosed) return
    this.#isEnding = true
    this.#endTimer = setTimeout(() => {
      if (!this.isClosed) this.#parts.close()
    }, END_TIMEOUT_MS).unref()
    this.read()
  }
}
