// Which stream of the tap is which connection of the broker.

import type { Peer } from '../record.js'
import type { Direction, JoinKind, TcpStream } from '../types.js'
import type { MidStreamPickup } from './mid-stream.js'
import type { PacketQueue } from './packet-queue.js'

/**
 * `undecided`: accepted, its SYN not yet seen. `frames`: its frames are records. `packets`: its packets
 * are, because there is no tap, the tap cannot see inside or came too late for the SYN.
 */
export type RecordSource = 'undecided' | 'frames' | 'packets'

/** A connection as the broker tells of it. */
export interface Connection {
  readonly id: number
  readonly openedAtMs: number
  recordSource: RecordSource
  /** How its frames are joined, as their records say. */
  readonly join: JoinKind
  /** Whether the stream of its frames is known. */
  bound: boolean
  /** Whether the broker's offsets are those of the TCP stream. */
  placed: boolean
  /** Whether its stream may be another of the same tuple: then it is never joined. */
  ambiguous: boolean
  /** Where it is found in mid-stream, or may yet be. */
  pickup: Record<Direction, MidStreamPickup> | undefined
  closed: boolean
  closedAtMs: number
  /** When its tuple was seen to open another stream; a connection that outlives this was bound to the wrong one. */
  supersededAtMs: number
  peer: Peer
  readonly in: PacketQueue
  readonly out: PacketQueue
}

const NOBODY: readonly Connection[] = Object.freeze([])

interface WaitingStream {
  readonly stream: TcpStream
  readonly sinceMs: number
}

/**
 * Binds streams to connections by their tuple, in order: the oldest connection that was accepted to the
 * oldest stream whose handshake was seen. Either may come first, as the tap may lag behind the broker.
 *
 * Not every stream becomes a connection: a TLS handshake may fail, a listener may refuse. Where a tuple is
 * used again, its streams therefore wait until as many connections were told, and one that has ended
 * until its connection has.
 */
export class FlowTable {
  /** Streams forgotten for want of room. */
  forgotten = 0
  readonly #waitingConnections = new Map<string, Connection[]>()
  readonly #waitingStreams = new Map<string, WaitingStream[]>()
  #waitingStreamCount = 0
  readonly #connections = new WeakMap<TcpStream, Connection>()
  readonly #peers = new WeakMap<TcpStream, Peer>()
  /** The connection that was bound last on each tuple, as long as it is open. */
  readonly #bound = new Map<string, Connection>()
  readonly #streamCap: number
  readonly #patienceMs: number

  /**
   * @param streamCap streams that may wait for the broker to accept them; the oldest goes first
   * @param patienceMs how long a stream waits before it gives way to a newer one of its tuple
   */
  constructor(streamCap: number, patienceMs: number) {
    this.#streamCap = streamCap
    this.#patienceMs = patienceMs
  }

  /** The connection of a stream, where both are known. */
  of(stream: TcpStream): Connection | undefined {
    return this.#connections.get(stream)
  }

  /** Who is at the other end of a stream: the same object before and after it is bound. */
  peerOf(stream: TcpStream): Peer {
    let peer = this.#peers.get(stream)
    if (peer === undefined) {
      peer = { client: stream.client, broker: stream.broker, connection: null, clientId: null, username: null }
      this.#peers.set(stream, peer)
    }
    return peer
  }

  /** A connection waits for its stream. */
  await(connection: Connection): void {
    connection.bound = false
    const key = tupleKey(connection.peer)
    const waiting = this.#waitingConnections.get(key)
    if (waiting === undefined) this.#waitingConnections.set(key, [connection])
    else waiting.push(connection)
  }

  /** Binds what waits on the connection's tuple, as far as it can be told apart; returns the connections bound. */
  bindWaiting({ peer }: Connection, nowMs: number): readonly Connection[] {
    return this.#bindTuple(tupleKey(peer), nowMs)
  }

  /** Finds the connection of a stream that has none; returns the connections that were bound just now. */
  bind(stream: TcpStream, nowMs: number): readonly Connection[] {
    if (this.#connections.has(stream)) return NOBODY
    const key = tupleKey(stream)
    if (isWhole(stream)) {
      this.#remember(key, stream, nowMs)
      return this.#bindTuple(key, nowMs)
    }
    // A stream whose handshake was not seen can only be one that is judged by its packets.
    const connection = isMidStream(stream)
      ? this.#waitingConnections.get(key)?.find(({ recordSource }) => recordSource === 'packets')
      : undefined
    if (connection === undefined) return NOBODY
    this.#tie(key, stream, connection)
    return [connection]
  }

  /** The connection waits no longer. */
  forget(connection: Connection): void {
    const key = tupleKey(connection.peer)
    const left = this.#waitingConnections.get(key)?.filter(other => other !== connection) ?? []
    if (left.length > 0) this.#waitingConnections.set(key, left)
    else this.#waitingConnections.delete(key)
  }

  /** The connection is closed: another stream of its tuple is nothing strange. */
  release(connection: Connection): void {
    const key = tupleKey(connection.peer)
    if (this.#bound.get(key) === connection) this.#bound.delete(key)
  }

  /** Nobody waits any longer; what is bound stays so. */
  clear(): void {
    this.#waitingConnections.clear()
    this.#waitingStreams.clear()
    this.#waitingStreamCount = 0
    this.#bound.clear()
  }

  #bindTuple(key: string, nowMs: number): readonly Connection[] {
    const bound: Connection[] = []
    for (let stream = this.#choose(key, nowMs); stream !== undefined; stream = this.#choose(key, nowMs)) {
      const [connection] = this.#waitingConnections.get(key) as Connection[]
      this.#tie(key, stream, connection)
      bound.push(connection)
    }
    return bound
  }

  /** The stream that surely is the oldest waiting connection of its tuple. */
  #choose(key: string, nowMs: number): TcpStream | undefined {
    const connections = this.#waitingConnections.get(key)
    const streams = this.#waitingStreams.get(key)
    if (connections === undefined || streams === undefined) return undefined
    while (streams.length > connections.length && nowMs - streams[0].sinceMs > this.#patienceMs)
      this.#forgetStream(key, streams[0].stream)
    const [{ stream }] = streams
    const [connection] = connections
    const isOver = stream.ended.in || stream.ended.out
    connection.ambiguous =
      streams.length > connections.length || (isOver && !connection.closed && connections.length === 1)
    // Whose packets are its records anyway loses nothing by a mistake, as long as it is not joined.
    return connection.ambiguous && connection.recordSource !== 'packets' ? undefined : stream
  }

  #tie(key: string, stream: TcpStream, connection: Connection): void {
    this.forget(connection)
    this.#forgetStream(key, stream)
    const known = this.#peers.get(stream)
    if (known !== undefined) connection.peer = Object.assign(known, connection.peer)
    this.#peers.set(stream, connection.peer)
    this.#connections.set(stream, connection)
    connection.bound = true
    if (!connection.closed) this.#bound.set(key, connection)
  }

  /** A stream that the broker never accepts stays without a connection: only the latest of them are kept. */
  #remember(key: string, stream: TcpStream, sinceMs: number): void {
    const streams = this.#waitingStreams.get(key)
    if (streams?.some(waiting => waiting.stream === stream) === true) return
    const before = this.#bound.get(key)
    if (before !== undefined) before.supersededAtMs = Math.min(before.supersededAtMs, sinceMs)
    if (streams === undefined) this.#waitingStreams.set(key, [{ stream, sinceMs }])
    else streams.push({ stream, sinceMs })
    this.#waitingStreamCount++
    while (this.#waitingStreamCount > this.#streamCap) {
      const [[oldest, [first]]] = this.#waitingStreams
      this.#forgetStream(oldest, first.stream)
      this.forgotten++
    }
  }

  #forgetStream(key: string, stream: TcpStream): void {
    const streams = this.#waitingStreams.get(key)
    const at = streams?.findIndex(waiting => waiting.stream === stream) ?? -1
    if (streams === undefined || at < 0) return
    this.#waitingStreamCount--
    if (streams.length === 1) this.#waitingStreams.delete(key)
    else streams.splice(at, 1)
  }
}

/** Whether both SYNs were seen: then the broker's system has taken the connection, and offsets count from its start. */
export function isWhole({ synced }: TcpStream): boolean {
  return synced.in && synced.out
}

/** Whether the tap came too late for the handshake. */
export function isMidStream({ synced }: TcpStream): boolean {
  return !synced.in && !synced.out
}

function tupleKey({ client, broker }: Pick<Peer, 'client' | 'broker'>): string {
  return `${client.address} ${client.port} ${broker.address} ${broker.port}`
}
