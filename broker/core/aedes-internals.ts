// Undeclared parts of Aedes that the core relies on. No other file uses them directly.

import type { Duplex } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import type { Aedes, Client } from 'aedes-2'

/** The Aedes version that these declarations describe. */
export const AEDES_VERSION = '2.0.0-beta.1'

/** A parsed packet: the fields that Aedes and the core read. */
export interface ParsedPacket {
  cmd: string
  messageId?: number
  reasonCode?: number
  length?: number
  properties?: Record<string, unknown>
}

/** A filter of a SUBSCRIBE, as mqtt-packet returns it and hooks see it. */
export interface RequestedSubscription {
  topic: string
  qos: number
  nl?: boolean
  rap?: boolean
  rh?: number
  subscriptionIdentifier?: number
}

/** Time for a client to read the reason before its connection is destroyed, ms. */
const LINGER_MS = 250

type Done = (error?: Error | null) => void

/** The packet parser of a client; its 'packet' listener handles all packets. */
export interface Parser extends NodeJS.EventEmitter {
  client: Client
  settings: { protocolVersion?: number; bridgeMode?: boolean; properties?: Record<string, unknown> }
  parse(bytes: Buffer): number
}

/** Undeclared parts of a client. */
export interface ClientParts {
  id: string
  conn: Duplex
  clean: boolean
  version: number
  connected: boolean
  connecting: boolean
  connackSent: boolean
  closed: boolean
  /** Clean Start of the CONNECT; such a session may still be persistent. */
  _cleanStart: boolean
  sessionExpiryInterval: number
  /** Value in the CONNECT. */
  _connectSessionExpiryInterval?: number
  /** Bytes; undefined: no limit. */
  maximumPacketSize?: number
  receiveMaximum?: number
  /** false: the client wants no reason strings [MQTT-3.1.2-29]. */
  _requestProblemInformation?: boolean
  /** Will of the CONNECT until the client is accepted; afterwards `will`. */
  _will?: object | null
  will?: object | null
  /** Whether its DISCONNECT discards the will. */
  _disconnected: boolean
  _topicAliases: Map<number, string>
  _keepaliveTimer: NodeJS.Timeout | null
  _parser: Parser
  /** Packets in progress; Aedes reads on at 0. */
  _parsingBatch: number
  /** Stops watching for the end of the connection. */
  _eos: () => void
  /** Called with an error, or to read the next packet. */
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

/** Undeclared parts of the broker. */
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

/** The event bus that plug-ins use, through `aedes.subscribe` or directly. */
export interface Bus {
  on: (topic: string, listener: unknown, done?: () => void) => unknown
  removeListener(topic: string, listener: unknown, done?: () => void): unknown
  emit(packet: object, done: (error?: Error) => void): unknown
}

/** A persistence that stores nothing, for the calls that Aedes still makes: the core stores everything itself. */
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

/** Returns a client with its undeclared parts. */
export function partsOf(client: Client): ClientParts {
  return client as unknown as ClientParts
}

/** Returns a broker with its undeclared parts. */
export function brokerParts(aedes: Aedes): BrokerParts {
  return aedes as unknown as BrokerParts
}

/**
 * Creates a client that does not close when its connection ends, because packets may still be unread then.
 *
 * @param handle Aedes' own `handle`
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

/**
 * Removes Aedes' listeners from the parser of a client.
 *
 * @returns Aedes' packet handler, to be called for CONNECT only
 */
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

/**
 * Discards what Aedes writes to a connection: the core writes the CONNACK.
 *
 * @returns a function that restores writing
 */
export function holdWrites(connection: Duplex): () => void {
  connection.write = () => true
  return () => {
    Reflect.deleteProperty(connection, 'write')
  }
}

/**
 * Ends a connection cleanly when Aedes destroys it. If a socket is closed with unread bytes, TCP resets it, and the
 * client may lose the DISCONNECT that was just written.
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
 * Tracks whether the bus has ever had a listener for client messages. Aedes itself listens only to `$SYS` topics for
 * broker-to-broker messages, and a lookup in the bus costs as much as the rest of a publish.
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
