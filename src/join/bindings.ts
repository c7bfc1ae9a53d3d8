// Which stream of the tap is which connection of the broker.

import type { Peer } from '../record.js'
import type { JoinKind, TcpStream } from '../types.js'
import type { PacketQueue } from './packet-queue.js'

/**
 * `undecided`: accepted, its SYN not yet seen. `frames`: its frames are records. `packets`: its packets
 * are, because there is no tap, the tap cannot see inside or came too late for the SYN.
 */
export type Route = 'undecided' | 'frames' | 'packets'

/** A connection as the broker tells of it. */
export interface Connection {
  readonly id: number
  readonly openedAtMs: number
  route: Route
  /** How its frames are joined, as their records say. */
  readonly join: JoinKind
  /** Whether the stream of its frames is known. */
  bound: boolean
  closed: boolean
  closedAtMs: number
  peer: Peer
  readonly in: PacketQueue
  readonly out: PacketQueue
}

/**
 * Binds streams to connections by their tuple, in order: the oldest connection that was accepted to the
 * oldest stream whose handshake was seen. Either may come first, as the tap may lag behind the broker.
 */
export class StreamBindings {
  private readonly waitingConnections = new Map<string, Connection[]>()
  private readonly waitingStreams = new Map<string, TcpStream[]>()
  private waitingStreamCount = 0
  private readonly connections = new WeakMap<TcpStream, Connection>()
  private readonly peers = new WeakMap<TcpStream, Peer>()

  /**
   * @param streamCap streams that may wait for the broker to accept them; the oldest goes first
   */
  constructor (private readonly streamCap: number) {}

  /** The connection of a stream, where both are known. */
  of (stream: TcpStream): Connection | undefined {
    return this.connections.get(stream)
  }

  /** Who is at the other end of a stream: the same object before and after it is bound. */
  peerOf (stream: TcpStream): Peer {
    let peer = this.peers.get(stream)
    if (peer === undefined) {
      peer = { client: stream.client, broker: stream.broker, connection: null, clientId: null, username: null }
      this.peers.set(stream, peer)
    }
    return peer
  }

  /**
   * A connection waits for its stream.
   *
   * @returns a stream that may be it
   */
  await (connection: Connection): TcpStream | undefined {
    connection.bound = false
    const key = tupleKey(connection.peer)
    const waiting = this.waitingConnections.get(key)
    if (waiting === undefined) this.waitingConnections.set(key, [connection])
    else waiting.push(connection)
    return this.waitingStreams.get(key)?.[0]
  }

  /**
   * Finds the connection of a stream that has none: the oldest one that waits. A stream whose handshake
   * was not seen can only be one that is judged by its packets.
   *
   * @returns the connection, where it was bound just now
   */
  bind (stream: TcpStream): Connection | undefined {
    if (this.connections.has(stream)) return undefined
    const key = tupleKey(stream)
    const waiting = this.waitingConnections.get(key)
    const connection = isWhole(stream) ? waiting?.[0] : waiting?.find(({ route }) => route === 'packets' && isMidway(stream))
    if (connection === undefined) {
      if (isWhole(stream)) this.remember(key, stream)
      return undefined
    }
    this.forget(connection)
    this.forgetStream(key, stream)
    const known = this.peers.get(stream)
    if (known !== undefined) connection.peer = Object.assign(known, connection.peer)
    this.peers.set(stream, connection.peer)
    this.connections.set(stream, connection)
    connection.bound = true
    return connection
  }

  /** The connection waits no longer. */
  forget (connection: Connection): void {
    const key = tupleKey(connection.peer)
    const left = this.waitingConnections.get(key)?.filter(other => other !== connection) ?? []
    if (left.length > 0) this.waitingConnections.set(key, left)
    else this.waitingConnections.delete(key)
  }

  /** Nobody waits any longer; what is bound stays so. */
  clear (): void {
    this.waitingConnections.clear()
    this.waitingStreams.clear()
    this.waitingStreamCount = 0
  }

  /** A stream that the broker never accepts stays without a connection: only the latest of them are kept. */
  private remember (key: string, stream: TcpStream): void {
    const streams = this.waitingStreams.get(key)
    if (streams === undefined) this.waitingStreams.set(key, [stream])
    else if (streams.includes(stream)) return
    else streams.push(stream)
    this.waitingStreamCount++
    while (this.waitingStreamCount > this.streamCap) {
      const [[oldest, [first]]] = this.waitingStreams
      this.forgetStream(oldest, first)
    }
  }

  private forgetStream (key: string, stream: TcpStream): void {
    const streams = this.waitingStreams.get(key)
    if (streams?.includes(stream) !== true) return
    this.waitingStreamCount--
    if (streams.length === 1) this.waitingStreams.delete(key)
    else streams.splice(streams.indexOf(stream), 1)
  }
}

/** Whether both SYNs were seen: then the broker's system has taken the connection, and offsets count from its start. */
export function isWhole ({ synced }: TcpStream): boolean {
  return synced.in && synced.out
}

/** Whether the tap came too late for the handshake. */
function isMidway ({ synced }: TcpStream): boolean {
  return !synced.in && !synced.out
}

function tupleKey ({ client, broker }: Pick<Peer, 'client' | 'broker'>): string {
  return `${client.address} ${client.port} ${broker.address} ${broker.port}`
}
