// The load by raw sockets: it writes as many messages at once as the window has room for, and answers all that it has
// read with one write.

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
const ANSWER_LIMIT_MS = 20_000
/** From here on a broker has enough to do while the load naps. */
const LARGE_WINDOW = 500
/**
 * After each turn, so that it reads many messages at once: woken for each few, the load would be slower than mosquitto.
 */
const NAP_MS = 0.1
const NOTHING = new Int32Array(new SharedArrayBuffer(4))

/** A socket that reads into one buffer for ever. */
class Connection {
  readonly #socket: Socket
  /** Acknowledgements of this read; each is shorter than what it answers. */
  readonly #answers = Buffer.allocUnsafe(READ_BYTES)
  #answerBytes = 0
  readonly #heard = new Map<number, () => void>()
  #closed = false
  readonly #onClose: () => void

  private constructor(port: number, onFrame: OnFrame, onRead: () => void, onClose: () => void) {
    this.#onClose = onClose
    const reader = new FrameReader((first, bytes, start, end) => {
      if (this.#heard.size > 0) this.#heard.get(first)?.()
      onFrame(first, bytes, start, end)
    })
    // Nagle would put messages together that the load wants apart.
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

  /** Resolves when the broker has taken it. */
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

  /** Writes and waits for a frame that begins with `answer`. */
  async ask(bytes: Buffer, answer: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no answer to a frame of type ${bytes[0] >> 4} for ${ANSWER_LIMIT_MS / 1_000} s`))
      }, ANSWER_LIMIT_MS)
      const fail = (): void => {
        reject(new Error('the broker closed the connection'))
      }
      this.#socket.once('close', fail)
      this.#heard.set(answer, () => {
        clearTimeout(timer)
        this.#socket.off('close', fail)
        this.#heard.delete(answer)
        resolve()
      })
      this.write(bytes)
    })
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Puts an acknowledgement beside the others of this read. */
  answer(first: number, high: number, low: number): void {
    const answers = this.#answers
    answers[this.#answerBytes++] = first
    answers[this.#answerBytes++] = 2
    answers[this.#answerBytes++] = high
    answers[this.#answerBytes++] = low
  }

  async leave(): Promise<void> {
    if (this.#closed) return
    const closed = new Promise(resolve => {
      this.#socket.once('close', resolve)
    })
    this.#socket.end(DISCONNECT)
    await closed
  }

  /** Sends the acknowledgements. */
  flush(): void {
    if (this.#answerBytes === 0) return
    // A copy: the socket may keep it for a while.
    this.write(Buffer.from(this.#answers.subarray(0, this.#answerBytes)))
    this.#answerBytes = 0
  }
}

/** One publisher, one subscriber. */
export class RawLoad implements Load {
  readonly #pattern: PublishPattern
  #port = 0
  #publisher: Connection | undefined
  #subscriber: Connection | undefined
  #delivery: Delivery | undefined
  #isTurnDue = false
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.#cell = cell
    this.#pattern = publishPattern(TOPIC, cell.qos, cell.payloadBytes)
  }

  async connect(port: number): Promise<void> {
    this.#port = port
    const onRead = (): void => {
      if (this.#isTurnDue) return
      this.#isTurnDue = true
      setImmediate(() => {
        this.#turn()
      })
    }
    const onClose = (): void => {
      this.#delivery?.fail('the broker closed a connection')
    }
    this.#subscriber = await Connection.open(
      port,
      'subscriber',
      this.#cell.session === 'clean',
      this.#onDelivered,
      onRead,
      onClose
    )
    await this.#subscriber.ask(subscribeFrame(TOPIC, this.#cell.qos), FIRST.suback)
    this.#publisher = await Connection.open(port, 'publisher', true, this.#onAnswered, onRead, onClose)
  }

  async send(messages: number): Promise<Outcome> {
    this.#delivery = new Delivery(this.#cell, messages)
    this.#fill()
    return await this.#delivery.done
  }

  async leave(): Promise<void> {
    await this.#publisher?.leave()
    await this.#subscriber?.leave()
    if (this.#cell.session === 'clean') return
    // A clean session ends the lasting one.
    const last = await Connection.open(
      this.#port,
      'subscriber',
      true,
      () => {},
      () => {},
      () => {}
    )
    await last.leave()
  }

  /** Answers all that a turn of the event loop has read. */
  #turn(): void {
    this.#isTurnDue = false
    this.#subscriber?.flush()
    this.#publisher?.flush()
    this.#fill()
    if (this.#cell.window >= LARGE_WINDOW) Atomics.wait(NOTHING, 0, 0, NAP_MS)
  }

  /** Sends what the window has room for. */
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

  readonly #onAnswered: OnFrame = (first, bytes, start) => {
    if (first === FIRST.puback || first === FIRST.pubcomp) this.#delivery?.acknowledge()
    else if (first === FIRST.pubrec) this.#publisher?.answer(FIRST.pubrel, bytes[start], bytes[start + 1])
  }

  readonly #onDelivered: OnFrame = (first, bytes, start) => {
    if (first === FIRST.pubrel) {
      this.#subscriber?.answer(FIRST.pubcomp, bytes[start], bytes[start + 1])
      return
    }
    if ((first & 0xf0) !== FIRST.publish) return
    const qos = (first >> 1) & 3
    const id = start + 2 + bytes.readUInt16BE(start)
    this.#delivery?.receive(bytes.readUInt32BE(qos > 0 ? id + 2 : id))
    if (qos > 0) this.#subscriber?.answer(qos === 1 ? FIRST.puback : FIRST.pubrec, bytes[id], bytes[id + 1])
  }
}
