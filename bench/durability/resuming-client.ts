// An MQTT client with a persistent session: it resends unacknowledged messages and remembers received ones.

import { connect, type Socket } from 'node:net'
import mqttPacket, {
  type IConnackPacket,
  type IPublishPacket,
  type ISubscription,
  type Packet,
  type QoS
} from 'mqtt-packet'

/** A message to send. The callbacks get the same object. */
export interface OutgoingMessage {
  topic: string
  payload: string
  qos: 1 | 2
  retain?: boolean
}

export interface Will {
  topic: string
  payload: string
}

/** Options and callbacks of a client. */
export interface ClientOptions {
  clientId: string
  /** 4 is MQTT 3.1.1. */
  version: 4 | 5
  /**
   * Whether the session ends with the connection.
   *
   * @default false
   */
  clean?: boolean
  will?: Will
  /**
   * Local address, in 127.0.0.0/8. The default is an address on which the broker does not listen, so that no client
   * takes its port.
   */
  from?: string
  /** Delay before it acknowledges messages, ms; undefined acknowledges at once. */
  acknowledgeAfterMs?: number
  /** Called for a received message; at QoS 2 only for a new one. */
  onMessage?(message: IPublishPacket): void
  /** Called for a PUBACK or the first PUBREC. */
  onAcknowledged?(message: OutgoingMessage): void
  /** Called for a PUBACK or PUBCOMP: the broker owns the message, whatever happens to this client. */
  onCompleted?(message: OutgoingMessage): void
}

/** Counts of protocol errors by the broker. */
export interface ClientFaults {
  /** Session Present 0 although the session existed. */
  sessionsLost: number
  /** A QoS 2 message resent with the same packet identifier and without DUP. */
  withoutDup: number
  /**
   * A different QoS 2 message with a packet identifier that was not released: the receiver must treat it as the earlier
   * message.
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

interface PendingRequest {
  resolve: (packet: Packet) => void
  reject: (error: Error) => void
}

const LOCAL_ADDRESS = '127.0.40.1'
const SESSION_SECONDS = 86_400
const IDS = 65_535
const REFUSED = 0x80
const NO_LIMIT = 65_535
const RESPONSE_TIMEOUT_MS = 30_000

/** A client with a persistent session. */
export class ResumingClient {
  readonly faults: ClientFaults = { sessionsLost: 0, withoutDup: 0, idsTaken: 0, refused: 0 }
  /** Unacknowledged QoS 1 and 2 messages that the broker accepts. */
  receiveMaximum = NO_LIMIT
  readonly #outgoing = new Map<number, Unacknowledged>()
  /** QoS 2 payloads by packet identifier, until they are released. */
  readonly #incoming = new Map<number, string>()
  readonly #pendingRequests = new Map<string, PendingRequest>()
  #delayedReplies: Packet[] = []
  #latestId = 0
  #hasSession = false
  #socket: Socket | undefined
  #closed: Promise<void> = Promise.resolve()
  #isOpen = false

  constructor(readonly options: ClientOptions) {}

  /** Whether the CONNACK was received and the connection is open. */
  get isConnected(): boolean {
    return this.#isOpen
  }

  /** Number of messages in flight. */
  get inFlight(): number {
    return this.#outgoing.size
  }

  /** Resolves when the connection is closed and all received data was read. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** Connects and resends unacknowledged messages; rejects if the broker refuses or closes the connection. */
  async connect(port: number): Promise<void> {
    const { clientId, version, clean = false, will, from = LOCAL_ADDRESS } = this.options
    const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true })
    const parser = mqttPacket.parser({ protocolVersion: version })
    parser.on('packet', (packet: Packet) => {
      this.#onPacket(packet)
    })
    // Nothing after a parse error can be read.
    parser.on('error', () => {
      socket.destroy()
    })
    socket.on('data', (bytes: Buffer) => {
      parser.parse(bytes)
    })
    socket.on('error', () => {})
    this.#socket = socket
    this.#closed = new Promise(resolve => {
      socket.once('close', () => {
        this.#onClose()
        resolve()
      })
    })
    const isV5 = version === 5
    await this.#request('connack', {
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

  /** Resolves with the granted QoS; rejects if the connection closes first. */
  async subscribe(subscriptions: ISubscription[]): Promise<number[]> {
    const messageId = this.#nextId()
    const suback = await this.#request(`suback ${messageId}`, { cmd: 'subscribe', messageId, subscriptions })
    return (suback as { granted: number[] }).granted
  }

  /** Resolves when the broker has acknowledged. */
  async unsubscribe(filters: string[]): Promise<void> {
    const messageId = this.#nextId()
    await this.#request(`unsuback ${messageId}`, { cmd: 'unsubscribe', messageId, unsubscriptions: filters })
  }

  /** Sends a message, and resends it after each connect until the broker acknowledges it. */
  publish(message: OutgoingMessage): void {
    const id = this.#nextId()
    this.#outgoing.set(id, { message, isReleased: false })
    this.#sendPublish(id, message, false)
  }

  /** Sends DISCONNECT, which discards the will. */
  async disconnect(): Promise<void> {
    this.#send({ cmd: 'disconnect' })
    this.#socket?.end()
    await this.#closed
  }

  /** Closes the connection without DISCONNECT. */
  async destroy(): Promise<void> {
    this.#socket?.destroy()
    await this.#closed
  }

  #onPacket(packet: Packet): void {
    const { cmd, messageId = 0 } = packet
    if (cmd === 'publish') this.#onPublish(packet)
    else if (cmd === 'puback' || cmd === 'pubrec' || cmd === 'pubcomp')
      this.#onAcknowledgement(cmd, messageId, (packet as { reasonCode?: number }).reasonCode ?? 0)
    else if (cmd === 'pubrel') this.#onRelease(messageId)
    else if (packet.cmd === 'connack') this.#onConnack(packet)
    else this.#pendingRequests.get(`${cmd} ${messageId}`)?.resolve(packet)
  }

  /** Resends synchronously: messages that need acknowledgements may follow in the same read. */
  #onConnack(packet: IConnackPacket): void {
    const {
      options: { clientId, clean = false }
    } = this
    const hasSession = this.#hasSession
    const code = packet.reasonCode ?? packet.returnCode ?? 0
    if (code !== 0) {
      this.#pendingRequests.get('connack')?.reject(new Error(`${clientId}: connection refused with code ${code}`))
      this.#socket?.destroy()
      return
    }
    this.#isOpen = true
    this.receiveMaximum = packet.properties?.receiveMaximum ?? NO_LIMIT
    if (clean) this.#clearSession()
    else if (hasSession && !packet.sessionPresent) this.faults.sessionsLost++
    this.#hasSession = !clean
    this.#resend()
    this.#pendingRequests.get('connack')?.resolve(packet)
  }

  #onRelease(messageId: number): void {
    this.#incoming.delete(messageId)
    this.#acknowledge({ cmd: 'pubcomp', messageId })
  }

  #onPublish(packet: IPublishPacket): void {
    const { qos, messageId = 0 } = packet
    if (qos === 2) {
      this.#acknowledge({ cmd: 'pubrec', messageId })
      const payload = packet.payload.toString()
      const before = this.#incoming.get(messageId)
      if (before !== undefined) {
        if (before !== payload) this.faults.idsTaken++
        else if (!packet.dup) this.faults.withoutDup++
        return
      }
      this.#incoming.set(messageId, payload)
    } else if (qos === 1) {
      this.#acknowledge({ cmd: 'puback', messageId })
    }
    this.options.onMessage?.(packet)
  }

  #onAcknowledgement(cmd: 'puback' | 'pubrec' | 'pubcomp', id: number, reason: number): void {
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

  /** Resends in the original order [MQTT-4.4.0-1, MQTT-4.6.0-1]. */
  #resend(): void {
    for (const [id, { message, isReleased }] of this.#outgoing) {
      if (isReleased) this.#send({ cmd: 'pubrel', messageId: id })
      else this.#sendPublish(id, message, true)
    }
  }

  #sendPublish(messageId: number, { topic, payload, qos, retain = false }: OutgoingMessage, dup: boolean): void {
    this.#send({ cmd: 'publish', messageId, topic, payload, qos, retain, dup })
  }

  /** Acknowledges in the order of reception [MQTT-4.6.0-2]. */
  #acknowledge(packet: Packet): void {
    const { acknowledgeAfterMs } = this.options
    if (acknowledgeAfterMs === undefined) {
      this.#send(packet)
      return
    }
    this.#delayedReplies.push(packet)
    if (this.#delayedReplies.length > 1) return
    setTimeout(() => {
      for (const one of this.#delayedReplies.splice(0)) this.#send(one)
    }, acknowledgeAfterMs)
  }

  #send(packet: Packet): void {
    if (!this.#isOpen) return
    this.#socket?.write(mqttPacket.generate(packet, { protocolVersion: this.options.version }))
  }

  async #request(response: string, packet: Packet): Promise<Packet> {
    return await new Promise<Packet>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new Error(`${this.options.clientId}: no response to ${packet.cmd} within ${RESPONSE_TIMEOUT_MS / 1_000} s`)
        )
      }, RESPONSE_TIMEOUT_MS)
      const settle = (): void => {
        clearTimeout(timer)
        this.#pendingRequests.delete(response)
      }
      this.#pendingRequests.set(response, {
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
    // The broker resends what was not acknowledged.
    this.#delayedReplies = []
    for (const { reject } of [...this.#pendingRequests.values()])
      reject(new Error(`${this.options.clientId}: connection closed`))
  }

  #clearSession(): void {
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

/** Sums the errors of several clients. */
export function sumFaults(clients: readonly ResumingClient[]): ClientFaults {
  const sum = (name: keyof ClientFaults): number => clients.reduce((all, { faults }) => all + faults[name], 0)
  return {
    sessionsLost: sum('sessionsLost'),
    withoutDup: sum('withoutDup'),
    idsTaken: sum('idsTaken'),
    refused: sum('refused')
  }
}

/** Whether a SUBACK code grants a QoS. */
export function isGranted(code: number): code is QoS {
  return code < REFUSED
}
