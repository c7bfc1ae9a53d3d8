// How a client's bytes are read: nothing before a CONNECT that is one, and no faster than the limits say.

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import { FirstPacket } from './first-packet.js'
import { Pace } from './pace.js'

/**
 * Largest CONNECT, bytes: some six times what client id, user name, password and a will of 64 KiB may be. It
 * comes before anybody has said who it is, and would be buffered for each connection.
 */
export const MAX_CONNECT_BYTES = 2 ** 17

const CONNECT_HEADER = 0x10
/** While a client is kept waiting it is not silent of its own accord: its keep-alive is refreshed so often, ms. */
const LONGEST_PAUSE_MS = 1_000
/** What a client sends of its own accord; acknowledgements are the doing of whoever made the broker send. */
const COUNTED = new Set(['publish', 'subscribe', 'unsubscribe', 'pingreq'])

/** The settings that this enforces. */
export interface ReadingLimits {
  messagesPerSecond: number | null
  bytesPerSecond: number | null
}

/** What it tells; each at most once for each pause. */
export interface ReadingListener {
  onFast: (name: 'messagesPerSecond' | 'bytesPerSecond') => void
  /** The connection is closed. */
  onFault: (name: 'packetSize' | 'malformed') => void
}

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  closed: boolean
  connackSent: boolean
  _nextBatch: () => void
  _keepaliveTimer: NodeJS.Timeout | null
  _parser: {
    packet: { length: number }
    prependListener (event: 'packet', listener: (packet: { cmd: string }) => void): void
  }
}

/** Puts the limits on a client that has not read yet. What is not read fills the window of its TCP connection, so that it slows down. */
export function limitReading (client: Client, limits: ReadingLimits, listener: ReadingListener): void {
  const internals = client as unknown as ClientInternals
  const connection: Duplex = client.conn
  const messages = limits.messagesPerSecond === null ? undefined : new Pace(limits.messagesPerSecond)
  const bytes = limits.bytesPerSecond === null ? undefined : new Pace(limits.bytesPerSecond)
  const first = new FirstPacket()
  let isFirst = true
  let isConnected = false
  let pause: NodeJS.Timeout | undefined

  internals._parser.prependListener('packet', ({ cmd }) => {
    isConnected = true
    if (COUNTED.has(cmd)) messages?.spend(1)
  })

  const wait = (ms: number): void => {
    pause = setTimeout(() => {
      pause = undefined
      internals._keepaliveTimer?.refresh()
      if (!internals.closed) internals._nextBatch()
    }, Math.min(ms, LONGEST_PAUSE_MS))
  }
  const mayRead = (): boolean => {
    if (pause !== undefined) return false
    const forMessages = messages?.waitMs() ?? 0
    const forBytes = bytes?.waitMs() ?? 0
    if (forMessages === 0 && forBytes === 0) return true
    listener.onFast(forMessages >= forBytes ? 'messagesPerSecond' : 'bytesPerSecond')
    wait(Math.max(forMessages, forBytes))
    return false
  }
  const fail = (name: 'packetSize' | 'malformed'): null => {
    listener.onFault(name)
    connection.destroy()
    return null
  }

  /** The part of a chunk that belongs to the first packet; the rest is put back. */
  const takeFirst = (chunk: Buffer | null): Buffer | null => {
    if (chunk === null || first.isWhole) return chunk
    const end = first.take(chunk)
    if (end < chunk.length) connection.unshift(chunk.subarray(end))
    return chunk.subarray(0, end)
  }

  const read = connection.read.bind(connection) as (size?: number) => Buffer | null
  connection.read = (size?: number): Buffer | null => {
    // That is Node asking for more to be buffered, not Aedes taking it.
    if (size === 0) return read(0)
    if (!mayRead()) return null
    if (!isConnected && internals._parser.packet.length > MAX_CONNECT_BYTES) return fail('packetSize')
    // What a client sends without waiting for its CONNACK waits here (MQTT 3.1.1, 3.1.4): Aedes would keep 42 packets, and disconnect for the next.
    if (first.isWhole && !internals.connackSent) return null
    const chunk = takeFirst(read(size))
    if (chunk === null) return null
    bytes?.spend(chunk.length)
    // [MQTT-3.1.0-1]
    if (isFirst && chunk[0] !== CONNECT_HEADER) return fail('malformed')
    isFirst = false
    return chunk
  }
  connection.once('close', () => { clearTimeout(pause) })
}
