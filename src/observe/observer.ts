// Sees every connection of an Aedes and tells the detection thread what it carries.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.js'
import { addressesOf, type ConnectionAddresses } from './address.js'
import { watchCarried } from './carrier.js'
import type { CopyLimits } from './connection.js'
import { truncatedText, type EntryWriter } from './entry-ring.js'

/** A connection of the broker, from accept to close. */
export interface ObservedConnection extends ConnectionAddresses {
  /** The number by which both threads call it. */
  readonly id: number
  readonly stream: Duplex
  /** When it was accepted, epoch milliseconds. */
  readonly since: number
  /** From its CONNECT, as it is told to the detection; undefined before. */
  clientId?: string
  username?: string
}

/** The broker side of the observation: a registry of live connections, and the entries they cause. */
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

  /** Begins to watch; call before the broker reads the first byte. */
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
    // A WebSocket may bring bytes after its stream was closed: nobody reads them.
    let isOpen = true
    watchCarried(stream, request, connection.transport, this.#kept, {
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
    const forget = (): void => {
      isOpen = false
      this.#connections.delete(connection.id)
      this.#entries.close(connection.id, this.#clock.now())
    }
    // A stream that died on its way here does not say so again.
    if (stream.closed) forget()
    else stream.once('close', forget)
    return connection
  }

  /** Tells who the connection claims to be. */
  identify(connection: ObservedConnection, clientId: string, username: string): void {
    connection.clientId = truncatedText(clientId)
    connection.username = username
    this.#entries.identity(connection.id, clientId, username)
  }

  /** The connection of a stream, where it was accepted through this observer. */
  of(stream: Duplex): ObservedConnection | undefined {
    return this.#byStream.get(stream)
  }

  /** A live connection by its number. */
  get(id: number): ObservedConnection | undefined {
    return this.#connections.get(id)
  }

  /** The live connections. */
  live(): IterableIterator<ObservedConnection> {
    return this.#connections.values()
  }

  /** Turns to the ring of a new detection thread, and announces to it what is already connected. */
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
