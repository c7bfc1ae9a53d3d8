// What the broker writes to one client within a turn of the event loop leaves in one piece.

import type { Duplex } from 'node:stream'
import type { Aedes } from 'aedes'
import { HeldAcknowledgements, isAcknowledgement, readAcknowledgement } from './held-acknowledgements.js'
import { windowOf } from './outgoing-window.js'

type Callback = (error?: Error | null) => void

const PUBLISH = 3
const PUBREL = 6
const QOS_BITS = 0x06

/** Connections that are corked until the turn is over. */
let corked: HeldWrites[] = []

const byClient = new WeakMap<object, HeldAcknowledgements>()

/**
 * Holds the writes of all clients, and their acknowledgements. Aedes corks and uncorks for each packet,
 * and each then is a system call of its own, which costs more than all else. To be called before the
 * broker listens.
 */
export function holdWrites (aedes: Aedes): void {
  const handle = aedes.handle
  aedes.handle = (connection, request) => {
    const client = handle(connection, request)
    byClient.set(client, new HeldWrites(client.conn as Duplex, id => { windowOf(client)?.sent(id) }).acknowledgements)
    return client
  }
}

/** The acknowledgements that are held for a client; undefined for what is none, and where nothing is held. */
export function heldFor (client: object | null): HeldAcknowledgements | undefined {
  return client === null ? undefined : byClient.get(client)
}

/** Takes the place of `cork`, `uncork` and `write` of one connection. */
class HeldWrites {
  readonly acknowledgements: HeldAcknowledgements
  private readonly cork: () => void
  private readonly uncork: () => void
  private isCorked = false
  /** Whether the next chunk begins a packet. */
  private isBetween = false
  /** The chunks of the acknowledgement that is being written. */
  private chunks: Buffer[] = []
  /** Chunks until the one that is the identifier of what the client is to acknowledge; below 0, none. */
  private untilId = -1

  /**
   * @param onSent told the identifier of each PUBLISH of QoS 1 and 2, and of each PUBREL
   */
  constructor (connection: Duplex, onSent: (id: number) => void) {
    this.cork = connection.cork.bind(connection)
    this.uncork = connection.uncork.bind(connection)
    const write = connection.write.bind(connection) as (chunk: unknown, encoding?: BufferEncoding | Callback, callback?: Callback) => boolean
    this.acknowledgements = new HeldAcknowledgements(bytes => {
      if (!connection.writable) return
      this.hold()
      write(bytes)
    })
    // MQTT packets are written in many chunks, and corked each for itself: that is where one begins.
    connection.cork = () => {
      this.endPacket()
      this.isBetween = true
      this.hold()
    }
    connection.uncork = () => {}
    connection.write = (chunk: unknown, encoding?: BufferEncoding | Callback, callback?: Callback) => {
      if (this.isBetween) {
        this.isBetween = false
        if (chunk instanceof Buffer && isAcknowledgement(chunk[0])) {
          this.chunks.push(chunk)
          return true
        }
        if (chunk instanceof Buffer) this.untilId = chunksUntilId(chunk[0])
      } else if (this.untilId > 0 && --this.untilId === 0) {
        onSent((chunk as Buffer).readUInt16BE())
      } else if (this.chunks.length > 0) {
        this.chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk as Buffer)
        return true
      }
      return write(chunk, encoding, callback)
    }
  }

  /** The turn is over. */
  release (): void {
    this.endPacket()
    this.isCorked = false
    this.uncork()
  }

  private hold (): void {
    if (this.isCorked) return
    this.isCorked = true
    this.cork()
    if (corked.push(this) === 1) setImmediate(releaseAll)
  }

  private endPacket (): void {
    this.isBetween = false
    if (this.chunks.length === 0) return
    const bytes = Buffer.concat(this.chunks)
    this.chunks = []
    this.acknowledgements.take(readAcknowledgement(bytes))
  }
}

/** The library writes a chunk for each field: header, length, length of the topic, topic, identifier; a PUBREL has no topic. */
function chunksUntilId (header: number): number {
  const isPublish = header >> 4 === PUBLISH && (header & QOS_BITS) !== 0
  return isPublish ? 4 : header >> 4 === PUBREL ? 2 : -1
}

function releaseAll (): void {
  const released = corked
  corked = []
  for (const one of released) one.release()
}
