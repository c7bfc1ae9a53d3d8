// Load generator with raw sockets: writes as many messages at once as the window allows, and acknowledges all messages
// of a read with one write.

import { connect, type Socket } from 'node:net'
import type { Cell } from './cells.js'
import { Delivery } from './delivery.js'
import {
  connectFrame,
  DISCONNECT,
  FIRST,
  FrameReader,
  publishPattern,
  subscribeFrame,
  type OnFrame,
  type PublishPattern
} from './frames.js'
import type { Load, Outcome } from './load.js'

const TOPIC = 'load'
const READ_BYTES = 262_144
const IDS = 65_535
const RESPONSE_TIMEOUT_MS = 20_000
/** With at least this window, a broker stays busy while the load pauses. */
const LARGE_WINDOW = 500
/**
 * Pause after each turn, so that it reads many messages at once: without it, the load would be slower than mosquitto.
 */
const PAUSE_MS = 0.1
const SLEEP_CELL = new Int32Array(new SharedArrayBuffer(4))

/** A connection that reads into one reused buffer. */
class Connection {
  readonly #socket: Socket
  /** Acknowledgements of the current read; each is shorter than its packet. */
  readonly #replies = Buffer.allocUnsafe(READ_BYTES)
  #replyBytes = 0
  readonly #waiting = new Map<number, () => void>()
  #closed = false
  readonly #onClose: () => void

  private constructor(port: number, onFrame: OnFrame, onRead: () => void, onClose: () => void) {
    this.#onClose = onClose
    const reader = new FrameReader((first, bytes, start, end) => {
      if (this.#waiting.size > 0) this.#waiting.get(first)?.()
      onFrame(first, bytes, start, end)
    })
    // Nagle's algorithm would merge writes that the load keeps separate.
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, buffer) => {
          reader.read(Buffer.from(buffer.buffer, buffer.byteOffset, length))
          onRead()
          return true
        }
      }
    })
    this.#socket
      .on('error', () => {})
      .on('close', () => {
        this.#closed = true
        this.#onClose()
      })
  }

  /** Resolves when the broker has accepted the connection. */
  static async open(
    port: number,
    clientId: string,
    clean: boolean,
    onFrame: OnFrame,
    onRead: () => void,
    onClose: () => void
  ): Promise<Connection> {
    const connection = new Connection(port, onFrame, onRead, onClose)
    await connection.ask(connectFrame(clientId, clean), FIRST.connack)
    return connection
  }

  /** Writes, and waits for a packet with the given first byte. */
  async ask(bytes: Buffer, reply: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no response to a packet of type ${bytes[0] >> 4} within ${RESPONSE_TIMEOUT_MS / 1_000} s`))
      }, RESPONSE_TIMEOUT_MS)
      const fail = (): void => {
        reject(new Error('broker closed the connection'))
      }
      this.#socket.once('close', fail)
      this.#waiting.set(reply, () => {
        clearTimeout(timer)
        this.#socket.off('close', fail)
        this.#waiting.delete(reply)
        resolve()
      })
      this.write(bytes)
    })
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Adds an acknowledgement to those of this read. */
  reply(first: number, high: number, low: number): void {
    const replies = this.#replies
    replies[this.#replyBytes++] = first
    replies[this.#replyBytes++] = 2
    replies[this.#replyBytes++] = high
    replies[this.#replyBytes++] = low
  }

  async disconnect(): Promise<void> {
    if (this.#closed) return
    const closed = new Promise(resolve => {
      this.#socket.once('close', resolve)
    })
    this.#socket.end(DISCONNECT)
    await closed
  }

  /** Sends the acknowledgements. */
  flush(): void {
    if (this.#replyBytes === 0) return
    // Copy, because the socket may keep it.
    this.write(Buffer.from(this.#replies.subarray(0, this.#replyBytes)))
    this.#replyBytes = 0
  }
}

/** One publisher, one subscriber. */
export class RawLoad implements Load {
  readonly #pattern: PublishPattern
  #port = 0
  #publisher: Connection | undefined
  #subscriber: Connection | undefined
  #delivery: Delivery | undefined
  #isTurnScheduled = false
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.#cell = cell
    this.#pattern = publishPattern(TOPIC, cell.qos, cell.payloadBytes)
  }

  async connect(port: number): Promise<void> {
    this.#port = port
    const onRead = (): void => {
      if (this.#isTurnScheduled) return
      this.#isTurnScheduled = true
      setImmediate(() => {
        this.#processTurn()
      })
    }
    const onClose = (): void => {
      this.#delivery?.fail('broker closed a connection')
    }
    this.#subscriber = await Connection.open(
      port,
      'subscriber',
      this.#cell.session === 'clean',
      this.#onSubscriberPacket,
      onRead,
      onClose
    )
    await this.#subscriber.ask(subscribeFrame(TOPIC, this.#cell.qos), FIRST.suback)
    this.#publisher = await Connection.open(port, 'publisher', true, this.#onPublisherPacket, onRead, onClose)
  }

  async send(messages: number): Promise<Outcome> {
    this.#delivery = new Delivery(this.#cell, messages)
    this.#fill()
    return await this.#delivery.done
  }

  async disconnect(): Promise<void> {
    await this.#publisher?.disconnect()
    await this.#subscriber?.disconnect()
    if (this.#cell.session === 'clean') return
    // A clean session ends the persistent one.
    const last = await Connection.open(
      this.#port,
      'subscriber',
      true,
      () => {},
      () => {},
      () => {}
    )
    await last.disconnect()
  }

  /** Acknowledges everything that this turn of the event loop has read. */
  #processTurn(): void {
    this.#isTurnScheduled = false
    this.#subscriber?.flush()
    this.#publisher?.flush()
    this.#fill()
    if (this.#cell.window >= LARGE_WINDOW) Atomics.wait(SLEEP_CELL, 0, 0, PAUSE_MS)
  }

  /** Fills the in-flight window. */
  #fill(): void {
    const delivery = this.#delivery
    const { frame, id, payload } = this.#pattern
    const { qos } = this.#cell
    const room = delivery?.room ?? 0
    if (delivery === undefined || room <= 0) return
    const bytes = Buffer.allocUnsafe(room * frame.length)
    for (let at = 0; at < bytes.length; at += frame.length) {
      const number = delivery.sent++
      frame.copy(bytes, at)
      if (qos > 0) bytes.writeUInt16BE((number % IDS) + 1, at + id)
      bytes.writeUInt32BE(number, at + payload)
    }
    this.#publisher?.write(bytes)
  }

  readonly #onPublisherPacket: OnFrame = (first, bytes, start) => {
    if (first === FIRST.puback || first === FIRST.pubcomp) this.#delivery?.acknowledge()
    else if (first === FIRST.pubrec) this.#publisher?.reply(FIRST.pubrel, bytes[start], bytes[start + 1])
  }

  readonly #onSubscriberPacket: OnFrame = (first, bytes, start) => {
    if (first === FIRST.pubrel) {
      this.#subscriber?.reply(FIRST.pubcomp, bytes[start], bytes[start + 1])
      return
    }
    if ((first & 0xf0) !== FIRST.publish) return
    const qos = (first >> 1) & 3
    const id = start + 2 + bytes.readUInt16BE(start)
    this.#delivery?.receive(bytes.readUInt32BE(qos > 0 ? id + 2 : id))
    if (qos > 0) this.#subscriber?.reply(qos === 1 ? FIRST.puback : FIRST.pubrec, bytes[id], bytes[id + 1])
  }
}
