// An MQTT client whose session outlasts its connections: what is unacknowledged goes out again, what came is
// remembered.

import { connect, type Socket } from 'node:net'
import mqttPacket, {
  type IConnackPacket,
  type IPublishPacket,
  type ISubscription,
  type Packet,
  type QoS
} from 'mqtt-packet'

/** A message to send; the object itself is what is told of when it is acknowledged. */
export interface OutgoingMessage {
  topic: string
  payload: string
  qos: 1 | 2
  retain?: boolean
}

/** A will, with QoS 1. */
export interface Will {
  topic: string
  payload: string
}

/** What a client is, and whom it tells. */
export interface ClientOptions {
  clientId: string
  /** 4 is MQTT 3.1.1. */
  version: 4 | 5
  /** Whether the broker forgets it when the connection ends; by default its session lasts. */
  clean?: boolean
  will?: Will
  /**
   * Its own address, in 127.0.0.0/8; by default one that the broker does not listen on, so that no client takes its
   * port.
   */
  from?: string
  /** How long it leaves what it receives unacknowledged, ms; by default it answers at once. */
  acknowledgeAfterMs?: number
  /** A message came; at QoS 2 one that was not there before. */
  onMessage?(message: IPublishPacket): void
  /** A PUBACK came, or the first PUBREC. */
  onAcknowledged?(message: OutgoingMessage): void
  /** A PUBACK came, or the PUBCOMP: the message is on its way, whatever becomes of this client. */
  onCompleted?(message: OutgoingMessage): void
}

/** What the broker did that it may not. */
export interface ClientFaults {
  /** Session Present 0 where there had been a session. */
  sessionsLost: number
  /** A message of QoS 2 again, under its identifier and without DUP. */
  withoutDup: number
  /**
   * Another message of QoS 2 under an identifier that had not been released: its receiver must take it for the one
   * before.
   */
  idsTaken: number
  /** PUBACK or PUBREC with an error. */
  refused: number
}

interface Unacknowledged {
  message: OutgoingMessage
  /** After the PUBREC of QoS 2. */
  isReleased: boolean
}

interface Request {
  resolve: (packet: Packet) => void
  reject: (error: Error) => void
}

const FROM = '127.0.40.1'
const SESSION_SECONDS = 86_400
const IDS = 65_535
const REFUSED = 0x80
const NO_LIMIT = 65_535
const ANSWER_LIMIT_MS = 30_000

/** One client. */
export class ResumingClient {
  readonly faults: ClientFaults = { sessionsLost: 0, withoutDup: 0, idsTaken: 0, refused: 0 }
  /** Unacknowledged messages of QoS 1 and 2 that the broker takes. */
  receiveMaximum = NO_LIMIT
  readonly #outgoing = new Map<number, Unacknowledged>()
  /** Payloads of QoS 2 by identifier, until they are released. */
  readonly #incoming = new Map<number, string>()
  readonly #requests = new Map<string, Request>()
  #answers: Packet[] = []
  #latestId = 0
  #hasSession = false
  #socket: Socket | undefined
  #closing: Promise<void> = Promise.resolve()
  #isOpen = false

  constructor(readonly options: ClientOptions) {}

  /** Whether the CONNACK has come and the connection stands. */
  get isConnected(): boolean {
    return this.#isOpen
  }

  /** Messages that are not through yet. */
  get inFlight(): number {
    return this.#outgoing.size
  }

  /** Resolves when the connection is gone and all that came by it was read. */
  get closed(): Promise<void> {
    return this.#closing
  }

  /** Connects and sends again what is unacknowledged; rejects where the broker refuses it or goes away. */
  async connect(port: number): Promise<void> {
    const { clientId, version, clean = false, will, from = FROM } = this.options
    const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true })
    const parser = mqttPacket.parser({ protocolVersion: version })
    parser.on('packet', (packet: Packet) => {
      this.#take(packet)
    })
    // What follows cannot be read any more.
    parser.on('error', () => {
      socket.destroy()
    })
    socket.on('data', (bytes: Buffer) => {
      parser.parse(bytes)
    })
    socket.on('error', () => {})
    this.#socket = socket
    this.#closing = new Promise(resolve => {
      socket.once('close', () => {
        this.#onClose()
        resolve()
      })
    })
    const isV5 = version === 5
    await this.#ask('connack', {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version,
      clientId,
      clean,
      keepalive: 0,
      ...(will !== undefined && {
        will: { ...will, payload: Buffer.from(will.payload), qos: 1 as const, retain: false }
      }),
      ...(isV5 && { properties: { sessionExpiryInterval: clean ? 0 : SESSION_SECONDS } })
    })
  }

  /** Resolves with what the broker granted; rejects when the connection ends before. */
  async subscribe(subscriptions: ISubscription[]): Promise<number[]> {
    const messageId = this.#nextId()
    const suback = await this.#ask(`suback ${messageId}`, { cmd: 'subscribe', messageId, subscriptions })
    return (suback as { granted: number[] }).granted
  }

  /** Resolves when the broker has said so. */
  async unsubscribe(filters: string[]): Promise<void> {
    const messageId = this.#nextId()
    await this.#ask(`unsuback ${messageId}`, { cmd: 'unsubscribe', messageId, unsubscriptions: filters })
  }

  /** Sends, and goes on sending after each connect until the broker has acknowledged. */
  publish(message: OutgoingMessage): void {
    const id = this.#nextId()
    this.#outgoing.set(id, { message, isReleased: false })
    this.#sendPublish(id, message, false)
  }

  /** Takes leave as the protocol wants it: no will. */
  async disconnect(): Promise<void> {
    this.#send({ cmd: 'disconnect' })
    this.#socket?.end()
    await this.#closing
  }

  /** Ends the connection without a word. */
  async cut(): Promise<void> {
    this.#socket?.destroy()
    await this.#closing
  }

  #take(packet: Packet): void {
    const { cmd, messageId = 0 } = packet
    if (cmd === 'publish') this.#takePublish(packet)
    else if (cmd === 'puback' || cmd === 'pubrec' || cmd === 'pubcomp')
      this.#takeAcknowledgement(cmd, messageId, (packet as { reasonCode?: number }).reasonCode ?? 0)
    else if (cmd === 'pubrel') this.#takeRelease(messageId)
    else if (packet.cmd === 'connack') this.#takeConnack(packet)
    else this.#requests.get(`${cmd} ${messageId}`)?.resolve(packet)
  }

  /** At once: messages may follow in the same read, and want their answers. */
  #takeConnack(packet: IConnackPacket): void {
    const {
      options: { clientId, clean = false }
    } = this
    const hasSession = this.#hasSession
    const code = packet.reasonCode ?? packet.returnCode ?? 0
    if (code !== 0) {
      this.#requests.get('connack')?.reject(new Error(`${clientId} was refused with ${code}`))
      this.#socket?.destroy()
      return
    }
    this.#isOpen = true
    this.receiveMaximum = packet.properties?.receiveMaximum ?? NO_LIMIT
    if (clean) this.#forget()
    else if (hasSession && !packet.sessionPresent) this.faults.sessionsLost++
    this.#hasSession = !clean
    this.#sendAgain()
    this.#requests.get('connack')?.resolve(packet)
  }

  #takeRelease(messageId: number): void {
    this.#incoming.delete(messageId)
    this.#answer({ cmd: 'pubcomp', messageId })
  }

  #takePublish(packet: IPublishPacket): void {
    const { qos, messageId = 0 } = packet
    if (qos === 2) {
      this.#answer({ cmd: 'pubrec', messageId })
      const payload = packet.payload.toString()
      const before = this.#incoming.get(messageId)
      if (before !== undefined) {
        if (before !== payload) this.faults.idsTaken++
        else if (!packet.dup) this.faults.withoutDup++
        return
      }
      this.#incoming.set(messageId, payload)
    } else if (qos === 1) {
      this.#answer({ cmd: 'puback', messageId })
    }
    this.options.onMessage?.(packet)
  }

  #takeAcknowledgement(cmd: 'puback' | 'pubrec' | 'pubcomp', id: number, reason: number): void {
    const unacknowledged = this.#outgoing.get(id)
    if (unacknowledged === undefined) return
    const { message, isReleased } = unacknowledged
    if (cmd !== 'pubcomp' && reason >= REFUSED) {
      this.faults.refused++
      this.#outgoing.delete(id)
      return
    }
    if (cmd === 'pubrec') {
      unacknowledged.isReleased = true
      this.#send({ cmd: 'pubrel', messageId: id })
    } else {
      this.#outgoing.delete(id)
    }
    if (!isReleased) this.options.onAcknowledged?.(message)
    if (cmd !== 'pubrec') this.options.onCompleted?.(message)
  }

  /** In the order in which it was sent first [MQTT-4.4.0-1, MQTT-4.6.0-1]. */
  #sendAgain(): void {
    for (const [id, { message, isReleased }] of this.#outgoing) {
      if (isReleased) this.#send({ cmd: 'pubrel', messageId: id })
      else this.#sendPublish(id, message, true)
    }
  }

  #sendPublish(messageId: number, { topic, payload, qos, retain = false }: OutgoingMessage, dup: boolean): void {
    this.#send({ cmd: 'publish', messageId, topic, payload, qos, retain, dup })
  }

  /** In the order of what is answered [MQTT-4.6.0-2]. */
  #answer(packet: Packet): void {
    const { acknowledgeAfterMs } = this.options
    if (acknowledgeAfterMs === undefined) {
      this.#send(packet)
      return
    }
    this.#answers.push(packet)
    if (this.#answers.length > 1) return
    setTimeout(() => {
      for (const one of this.#answers.splice(0)) this.#send(one)
    }, acknowledgeAfterMs)
  }

  #send(packet: Packet): void {
    if (!this.#isOpen) return
    this.#socket?.write(mqttPacket.generate(packet, { protocolVersion: this.options.version }))
  }

  async #ask(answer: string, packet: Packet): Promise<Packet> {
    return await new Promise<Packet>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${this.options.clientId}: no answer to ${packet.cmd} for ${ANSWER_LIMIT_MS / 1_000} s`))
      }, ANSWER_LIMIT_MS)
      const settle = (): void => {
        clearTimeout(timer)
        this.#requests.delete(answer)
      }
      this.#requests.set(answer, {
        resolve(packet) {
          settle()
          resolve(packet)
        },
        reject(error) {
          settle()
          reject(error)
        }
      })
      this.#socket?.write(mqttPacket.generate(packet, { protocolVersion: this.options.version }))
    })
  }

  #onClose(): void {
    this.#isOpen = false
    // The broker sends anew what it has no answer to.
    this.#answers = []
    for (const { reject } of [...this.#requests.values()])
      reject(new Error(`${this.options.clientId}: the connection ended`))
  }

  #forget(): void {
    this.#outgoing.clear()
    this.#incoming.clear()
  }

  #nextId(): number {
    do {
      this.#latestId = (this.#latestId % IDS) + 1
    } while (this.#outgoing.has(this.#latestId))
    return this.#latestId
  }
}

/** Those of several clients together. */
export function faultsOf(clients: readonly ResumingClient[]): ClientFaults {
  const sum = (name: keyof ClientFaults): number => clients.reduce((all, { faults }) => all + faults[name], 0)
  return {
    sessionsLost: sum('sessionsLost'),
    withoutDup: sum('withoutDup'),
    idsTaken: sum('idsTaken'),
    refused: sum('refused')
  }
}

/** A QoS that a SUBACK grants; false for a refusal. */
export function isGranted(code: number): code is QoS {
  return code < REFUSED
}
