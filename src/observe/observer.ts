// Watches every connection of an Aedes broker and writes its packets to the ring buffer for the detection thread.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.js'
import { addressesOf, type ConnectionAddresses } from './address.js'
import { watchTransport } from './carrier.js'
import type { CopyLimits } from './connection.js'
import { truncatedText, type EntryWriter } from './entry-ring.js'
import { readWhole } from './whole-reads.js'

/** A connection of the broker, from accept to close. */
export interface ObservedConnection extends ConnectionAddresses {
  /** Connection id, used by both threads. */
  readonly id: number
  readonly stream: Duplex
  /** Time of acceptance, epoch milliseconds. */
  readonly since: number
  /** From its CONNECT, truncated as in the ring buffer; undefined before. */
  clientId?: string
  username?: string
}

/** Broker-thread side of the observation: a registry of open connections that writes their entries. */
export class Observer {
  readonly #connections = new Map<number, ObservedConnection>()
  readonly #byStream = new WeakMap<Duplex, ObservedConnection>()
  #lastId = 0
  #entries: EntryWriter
  readonly #kept: CopyLimits
  readonly #clock: Clock

  constructor(entries: EntryWriter, kept: CopyLimits, clock: Clock) {
    this.#entries = entries
    this.#kept = kept
    this.#clock = clock
  }

  /** Starts to watch a connection; call it before the broker reads the first byte. */
  accept(stream: Duplex, request?: IncomingMessage): ObservedConnection {
    const connection: ObservedConnection = {
      id: ++this.#lastId,
      stream,
      since: this.#clock.now(),
      ...addressesOf(stream, request)
    }
    this.#connections.set(connection.id, connection)
    this.#byStream.set(stream, connection)
    this.#announce(connection)
    readWhole(stream)
    // A WebSocket may deliver bytes after its stream was closed: ignore them.
    let isOpen = true
    watchTransport(stream, request, connection.transport, this.#kept, {
      onPacket: (direction, packet, ordinal, last) => {
        if (isOpen) this.#entries.packet(connection.id, direction, this.#clock.now(), packet, ordinal, last)
      },
      onMark: (direction, begin, offset, ordinal) => {
        if (isOpen) this.#entries.mark(connection.id, direction, this.#clock.now(), begin, offset, ordinal)
      },
      onUnplaced: reason => {
        if (isOpen) this.#entries.unplaced(connection.id, reason)
      }
    })
    const onClose = (): void => {
      isOpen = false
      this.#connections.delete(connection.id)
      this.#entries.close(connection.id, this.#clock.now())
    }
    // A stream that is already closed does not emit `close` again.
    if (stream.closed) onClose()
    else stream.once('close', onClose)
    return connection
  }

  /** Reports client id and user name of a connection. */
  identify(connection: ObservedConnection, clientId: string, username: string): void {
    connection.clientId = truncatedText(clientId)
    connection.username = username
    this.#entries.identity(connection.id, clientId, username)
  }

  /** Returns the connection of a stream, if it was accepted through this observer. */
  of(stream: Duplex): ObservedConnection | undefined {
    return this.#byStream.get(stream)
  }

  /** Returns an open connection by its id. */
  get(id: number): ObservedConnection | undefined {
    return this.#connections.get(id)
  }

  /** Returns the open connections. */
  live(): IterableIterator<ObservedConnection> {
    return this.#connections.values()
  }

  /** Switches to the ring buffer of a new detection thread and announces all open connections to it. */
  redirect(entries: EntryWriter): void {
    this.#entries = entries
    for (const connection of this.#connections.values()) {
      this.#announce(connection)
      if (connection.clientId !== undefined)
        entries.identity(connection.id, connection.clientId, connection.username ?? '')
    }
  }

  #announce({ id, transport, client, broker, announced }: ObservedConnection): void {
    this.#entries.open(id, this.#clock.now(), transport, client, broker)
    if (announced !== undefined) this.#entries.announced(id, announced)
  }
}
