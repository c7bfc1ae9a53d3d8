// Matches the tap's flows to the broker's connections.

import type { Peer } from '../record.js'
import type { TcpStream } from '../types.js'
import type { Connection } from './connection.js'

const NO_CONNECTIONS: readonly Connection[] = Object.freeze([])

interface WaitingStream {
  readonly stream: TcpStream
  readonly sinceMs: number
}

/**
 * Binds flows to connections by tuple, in order: the oldest accepted connection to the oldest flow with a complete
 * handshake. Either can arrive first, because the tap may lag behind the broker.
 *
 * Some flows never become a connection, for example after a failed TLS handshake or a refusal by the listener. If a
 * tuple is reused, its flows therefore wait until the broker has announced as many connections, and a flow that has
 * ended waits until its connection has ended.
 */
export class FlowTable {
  /** Flows dropped because too many were waiting. */
  forgotten = 0
  readonly #waitingConnections = new Map<string, Connection[]>()
  readonly #waitingStreams = new Map<string, WaitingStream[]>()
  #waitingStreamCount = 0
  readonly #connections = new WeakMap<TcpStream, Connection>()
  readonly #peers = new WeakMap<TcpStream, Peer>()
  /** The connection last bound to each tuple, while it is open. */
  readonly #bound = new Map<string, Connection>()
  readonly #streamCap: number
  readonly #waitMs: number

  /**
   * @param streamCap flows that may wait for the broker to accept them; the oldest is dropped first
   * @param waitMs how long a flow waits before a newer flow of its tuple replaces it
   */
  constructor(streamCap: number, waitMs: number) {
    this.#streamCap = streamCap
    this.#waitMs = waitMs
  }

  /** Tuples that have connections, or flows, waiting. */
  get sizes(): { waitingConnections: number; waitingFlows: number } {
    return { waitingConnections: this.#waitingConnections.size, waitingFlows: this.#waitingStreams.size }
  }

  /** Returns the connection of a flow, if known. */
  of(stream: TcpStream): Connection | undefined {
    return this.#connections.get(stream)
  }

  /** Returns the peer of a flow: the same object before and after the flow is bound. */
  peerOf(stream: TcpStream): Peer {
    let peer = this.#peers.get(stream)
    if (peer === undefined) {
      peer = { client: stream.client, broker: stream.broker, connection: null, clientId: null, username: null }
      this.#peers.set(stream, peer)
    }
    return peer
  }

  /** Adds a connection that waits for its flow. */
  add(connection: Connection): void {
    connection.bound = false
    const key = tupleKey(connection.peer)
    const waiting = this.#waitingConnections.get(key)
    if (waiting === undefined) this.#waitingConnections.set(key, [connection])
    else waiting.push(connection)
  }

  /** Binds the waiting flows of the connection's tuple, unless they are ambiguous. Returns the connections bound. */
  bindWaiting({ peer }: Connection, nowMs: number): readonly Connection[] {
    return this.#bindTuple(tupleKey(peer), nowMs)
  }

  /** Finds the connection of an unbound flow. Returns the connections bound by this call. */
  bind(stream: TcpStream, nowMs: number): readonly Connection[] {
    if (this.#connections.has(stream)) return NO_CONNECTIONS
    const key = tupleKey(stream)
    if (hasHandshake(stream)) {
      this.#addFlow(key, stream, nowMs)
      return this.#bindTuple(key, nowMs)
    }
    // Without a handshake, the flow can only belong to a connection that is scored by its packets.
    const connection = isMidStream(stream)
      ? this.#waitingConnections.get(key)?.find(({ recordSource }) => recordSource === 'packets')
      : undefined
    if (connection === undefined) return NO_CONNECTIONS
    this.#assign(key, stream, connection)
    return [connection]
  }

  /** Removes a connection that waits for its flow. */
  remove(connection: Connection): void {
    const key = tupleKey(connection.peer)
    const others = this.#waitingConnections.get(key)?.filter(other => other !== connection) ?? []
    if (others.length > 0) this.#waitingConnections.set(key, others)
    else this.#waitingConnections.delete(key)
  }

  /** Marks the connection as closed, so that a new flow with its tuple is no mismatch. */
  release(connection: Connection): void {
    const key = tupleKey(connection.peer)
    if (this.#bound.get(key) === connection) this.#bound.delete(key)
  }

  /** Drops all waiting connections and flows. Bound connections stay bound. */
  clear(): void {
    this.#waitingConnections.clear()
    this.#waitingStreams.clear()
    this.#waitingStreamCount = 0
    this.#bound.clear()
  }

  #bindTuple(key: string, nowMs: number): readonly Connection[] {
    const bound: Connection[] = []
    for (let stream = this.#nextFlow(key, nowMs); stream !== undefined; stream = this.#nextFlow(key, nowMs)) {
      const [connection] = this.#waitingConnections.get(key) as Connection[]
      this.#assign(key, stream, connection)
      bound.push(connection)
    }
    return bound
  }

  /** Returns the flow that unambiguously belongs to the oldest waiting connection of the tuple. */
  #nextFlow(key: string, nowMs: number): TcpStream | undefined {
    const connections = this.#waitingConnections.get(key)
    const streams = this.#waitingStreams.get(key)
    if (connections === undefined || streams === undefined) return undefined
    while (streams.length > connections.length && nowMs - streams[0].sinceMs > this.#waitMs)
      this.#removeFlow(key, streams[0].stream)
    const [{ stream }] = streams
    const [connection] = connections
    const isOver = stream.ended.in || stream.ended.out
    connection.ambiguous =
      streams.length > connections.length || (isOver && !connection.closed && connections.length === 1)
    // A connection scored by its packets is never joined, so a wrong match does no harm.
    return connection.ambiguous && connection.recordSource !== 'packets' ? undefined : stream
  }

  #assign(key: string, stream: TcpStream, connection: Connection): void {
    this.remove(connection)
    this.#removeFlow(key, stream)
    const known = this.#peers.get(stream)
    if (known !== undefined) connection.peer = Object.assign(known, connection.peer)
    this.#peers.set(stream, connection.peer)
    this.#connections.set(stream, connection)
    connection.bound = true
    if (!connection.closed) this.#bound.set(key, connection)
  }

  /** Adds a waiting flow. The broker may never accept it, so only the latest flows are kept. */
  #addFlow(key: string, stream: TcpStream, sinceMs: number): void {
    const streams = this.#waitingStreams.get(key)
    if (streams?.some(waiting => waiting.stream === stream) === true) return
    const previous = this.#bound.get(key)
    if (previous !== undefined) previous.supersededAtMs = Math.min(previous.supersededAtMs, sinceMs)
    if (streams === undefined) this.#waitingStreams.set(key, [{ stream, sinceMs }])
    else streams.push({ stream, sinceMs })
    this.#waitingStreamCount++
    while (this.#waitingStreamCount > this.#streamCap) {
      const [[oldest, [first]]] = this.#waitingStreams
      this.#removeFlow(oldest, first.stream)
      this.forgotten++
    }
  }

  #removeFlow(key: string, stream: TcpStream): void {
    const streams = this.#waitingStreams.get(key)
    const at = streams?.findIndex(waiting => waiting.stream === stream) ?? -1
    if (streams === undefined || at < 0) return
    this.#waitingStreamCount--
    if (streams.length === 1) this.#waitingStreams.delete(key)
    else streams.splice(at, 1)
  }
}

/**
 * Whether both SYNs were captured. The broker's host then accepted the connection, and offsets count from its start.
 */
export function hasHandshake({ synced }: TcpStream): boolean {
  return synced.in && synced.out
}

/** Whether the tap missed the handshake. */
export function isMidStream({ synced }: TcpStream): boolean {
  return !synced.in && !synced.out
}

function tupleKey({ client, broker }: Pick<Peer, 'client' | 'broker'>): string {
  return `${client.address} ${client.port} ${broker.address} ${broker.port}`
}
