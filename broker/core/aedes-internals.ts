// The one door to Aedes: every part of it that it does not declare and that the core relies on.

import type { Duplex } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import type { Aedes, Client } from 'aedes'

/** The version that all of this was read in. */
export const AEDES_VERSION = '2.0.0-beta.1'

/** What a parsed packet has, of those that Aedes and the core read. */
export interface ParsedPacket {
  cmd: string
  messageId?: number
  reasonCode?: number
  length?: number
  properties?: Record<string, unknown>
}

/** A SUBSCRIBE's filter, as mqtt-packet reads it and hooks see it. */
export interface RequestedSubscription {
  topic: string
  qos: number
  nl?: boolean
  rap?: boolean
  rh?: number
  subscriptionIdentifier?: number
}

/** Time that a client has to read why it is disconnected. */
const LINGER_MS = 250

type Done = (error?: Error | null) => void

/** The packet parser of a client; its listener for packets handles them all. */
export interface Parser extends NodeJS.EventEmitter {
  client: Client
  settings: { protocolVersion?: number; bridgeMode?: boolean; properties?: Record<string, unknown> }
  parse(bytes: Buffer): number
}

/** The undeclared parts of a client. */
export interface ClientParts {
  id: string
  conn: Duplex
  clean: boolean
  version: number
  connected: boolean
  connecting: boolean
  connackSent: boolean
  closed: boolean
  /** From the CONNECT; the session that it begins may be clean and last all the same. */
  _cleanStart: boolean
  sessionExpiryInterval: number
  /** As the CONNECT had it. */
  _connectSessionExpiryInterval?: number
  /** Bytes; undefined: any. */
  maximumPacketSize?: number
  receiveMaximum?: number
  /** false: no reason strings, please [MQTT-3.1.2-29]. */
  _requestProblemInformation?: boolean
  /** What the CONNECT said, until the client is let in; then `will`. */
  _will?: object | null
  will?: object | null
  /** Whether it said goodbye in a way that drops its will. */
  _disconnected: boolean
  _topicAliases: Map<number, string>
  _keepaliveTimer: NodeJS.Timeout | null
  _parser: Parser
  /** Counts what is being handled; Aedes reads on at 0. */
  _parsingBatch: number
  /** Stops to look for the end of the connection. */
  _eos: () => void
  /** Called with an error, or to read on. */
  _nextBatch: (error?: Error | null) => void
  subscriptions: object
  duplicates: object
  publish(packet: object, done?: Done): void
  subscribe(packet: object, done?: Done): void
  unsubscribe(packet: object, done?: Done): void
  disconnect(options?: { reasonCode?: number } | (() => void), done?: () => void): void
  emptyOutgoingQueue(done?: (error?: Error | null) => void): void
  close(done?: () => void): void
  emit(event: string, ...args: unknown[]): boolean
  on(event: string, listener: (...args: never[]) => void): void
}

/** The undeclared parts of the broker. */
export interface BrokerParts {
  clients: Record<string, Client | undefined>
  brokers: object
  counter: number
  maximumPacketSize: number
  maxTopicLevels: number
  topicAliasMaximum: number
  mq: Bus
  connectedClients: number
  _finishRegisterClient(client: object): void
  unregisterClient(client: object): void
  clampSessionExpiry(seconds: number): number
}

/** The bus that plug-ins listen to, with `aedes.subscribe` or directly. */
export interface Bus {
  on: (topic: string, listener: unknown, done?: () => void) => unknown
  removeListener(topic: string, listener: unknown, done?: () => void): unknown
  emit(packet: object, done: (error?: Error) => void): unknown
}

/** What Aedes calls a persistence, as far as it still calls one: the core keeps everything itself. */
export const NO_PERSISTENCE = Object.freeze({
  setup: async () => {},
  subscriptionsByClient: async () => [],
  cleanSubscriptions: async () => {},
  putWill: async () => {},
  delWill: async () => {},
  streamWill: () => [],
  outgoingStream: () => [],
  storeRetained: async () => {}
})

/** The undeclared parts of a client. */
export function partsOf(client: Client): ClientParts {
  return client as unknown as ClientParts
}

/** The undeclared parts of a broker. */
export function brokerParts(aedes: Aedes): BrokerParts {
  return aedes as unknown as BrokerParts
}

/**
 * Makes a client that does not close when its connection ends: packets may be under way then.
 *
 * @param handle Aedes' own
 */
export function openClient(
  handle: Aedes['handle'],
  connection: Parameters<Aedes['handle']>[0],
  request?: IncomingMessage
): Client {
  const before = new Set(connection.listeners('end'))
  const client = handle(connection, request)
  partsOf(client)._eos()
  for (const listener of connection.listeners('end'))
    if (!before.has(listener)) connection.off('end', listener as () => void)
  return client
}

/** Aedes' own handling of a packet, which CONNECT alone is given to; its parser has no listener of its own any more. */
export function takeParser(client: Client): (packet: ParsedPacket) => void {
  const { _parser: parser, _nextBatch: nextBatch, conn } = partsOf(client)
  const enqueue = (parser.listeners('packet') as ((this: Parser, packet: ParsedPacket) => void)[]).at(0)
  if (enqueue === undefined) throw new Error('Aedes has no packet listener')
  parser.removeAllListeners('packet')
  parser.removeAllListeners('error')
  conn.off('readable', nextBatch)
  partsOf(client)._parsingBatch = 0
  return packet => {
    enqueue.call(parser, packet)
  }
}

/** Keeps what Aedes writes to itself until what is returned is called: the core writes the CONNACK. */
export function holdWrites(connection: Duplex): () => void {
  connection.write = () => true
  return () => {
    Reflect.deleteProperty(connection, 'write')
  }
}

/**
 * Lets a connection that Aedes is about to destroy end in good order: closed with bytes unread, TCP would take back
 * what
 * was just written, the reason for it.
 */
export function linger(connection: Duplex): void {
  connection.destroy = (error?: Error) => {
    Reflect.deleteProperty(connection, 'destroy')
    if (error !== undefined) return connection.destroy(error)
    const timer = setTimeout(() => {
      connection.destroy()
    }, LINGER_MS)
    connection.once('close', () => {
      clearTimeout(timer)
    })
    connection.end()
    return connection.resume()
  }
}

/**
 * Tells whether anybody has ever listened on the bus to messages of clients: Aedes itself listens to what brokers tell
 * each other alone, and to look for listeners costs as much as all the rest.
 */
export function watchBus(bus: Bus): { hasListeners: (topic: string) => boolean } {
  let isUsed = false
  const { on } = bus
  bus.on = function (topic, listener, done) {
    isUsed ||= !topic.startsWith('$SYS/')
    return on.call(this, topic, listener, done)
  }
  return { hasListeners: topic => isUsed || topic.startsWith('$') }
}
