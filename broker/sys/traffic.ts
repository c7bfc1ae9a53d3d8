// Counts the packets and bytes of MQTT that go by, in both directions, of all clients.

import type { Duplex } from 'node:stream'
import type { Aedes } from 'aedes'
import { watchConnection } from '../../src/observe/connection.js'
import type { Direction } from '../../src/types.js'

/** What went one way. */
export interface Counted {
  /** Control packets of all types. */
  messages: number
  bytes: number
  /** PUBLISH alone, and the payloads of these. */
  publishes: number
  publishBytes: number
}

const PUBLISH = 3
const CONNECT = 1
const NOTHING = { topicCapBytes: 0, payloadCapBytes: 0 }

/** The counters. */
export class Traffic {
  readonly in: Counted = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  readonly out: Counted = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  /** Connections, and CONNECTs on them. */
  sockets = 0
  connects = 0

  /** Counts what every connection from now on carries. */
  watch (aedes: Aedes): void {
    const { handle } = aedes
    aedes.handle = (connection, request) => {
      this.sockets++
      watchConnection(connection as Duplex, NOTHING, {
        onPacket: (direction, { header, size, payloadLength }) => { this.count(direction, header >> 4, size, payloadLength) },
        onMark: () => {}
      })
      return handle(connection, request)
    }
  }

  private count (direction: Direction, type: number, size: number, payloadLength: number): void {
    const counted = this[direction]
    counted.messages++
    counted.bytes += size
    if (type === PUBLISH) {
      counted.publishes++
      counted.publishBytes += payloadLength
    } else if (type === CONNECT && direction === 'in') this.connects++
  }
}
