// A small MQTT client for the commands that talk to a running broker.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { generate, parser, type IPublishPacket, type ISubackPacket, type Packet, type QoS } from 'mqtt-packet'
import { OperatorError } from '../src/errors.js'
import { openMqttSocket, timedOut, type TlsFiles } from './mqtt-socket.js'
import { parseMqttUrl } from './mqtt-url.js'
import { printable } from './printable.js'

/** A message that the broker sent. */
export interface MqttMessage extends Pick<IPublishPacket, 'topic' | 'qos' | 'retain' | 'properties'> {
  payload: Buffer
}

/** How to connect; everything but the URL has its default. */
export interface MqttClientOptions {
  /** Milliseconds for the connection, and for each answer of the broker. */
  timeoutMs?: number
  /** 4 is MQTT 3.1.1. */
  protocolVersion?: 4 | 5
  tls?: TlsFiles
}

/** What goes with a publish. */
export interface MqttPublishOptions extends Partial<Pick<IPublishPacket, 'retain' | 'properties'>> {
  qos?: 0 | 1
}

const DEFAULT_TIMEOUT_MS = 10_000
const KEEPALIVE_SECONDS = 30
const MESSAGE_ID_CAP = 65_535
/** Messages that wait for their reader before the socket is read no further. */
const INBOX_CAP = 1_000

/**
 * Connects with a clean session.
 *
 * @param url `mqtt://[user:password@]host[:port]`, or `mqtts://` for TLS; parts percent-encoded
 * @throws OperatorError `mqtt-url`, `mqtt-unreachable`, `mqtt-refused` or `mqtt-timeout`
 */
export async function connectMqtt (url: string, options: MqttClientOptions = {}): Promise<MqttClient> {
  const target = parseMqttUrl(url)
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const socket = await openMqttSocket(target, options.tls ?? {}, timeoutMs)
  const client = new MqttClient(socket, target.shown, options.protocolVersion ?? 4, timeoutMs)
  await client.login(target.username, target.password)
  return client
}

/** A connection to a broker. Whoever subscribes must read: acknowledgements come the same way as messages. */
export class MqttClient implements AsyncIterable<MqttMessage> {
  private readonly inbox: MqttMessage[] = []
  private readonly questions = new Map<string, Question>()
  /** QoS 2 messages that were taken and not yet released [MQTT-4.3.3-2]. */
  private readonly unreleased = new Set<number>()
  private readonly pings: NodeJS.Timeout
  private wake: (() => void) | undefined
  private lastId = 0
  private failure: OperatorError | undefined
  private isClosed = false

  constructor (
    private readonly socket: Socket,
    private readonly name: string,
    private readonly protocolVersion: 4 | 5,
    private readonly timeoutMs: number
  ) {
    const packets = parser({ protocolVersion })
    packets.on('packet', packet => { this.take(packet) })
    packets.on('error', (error: Error) => { this.fail(new OperatorError('mqtt-protocol', `${name} does not speak MQTT: ${printable(error.message)}.`, 'Check host and port.')) })
    socket.on('data', chunk => packets.parse(chunk))
    socket.on('error', error => { this.fail(lost(name, error.message)) })
    socket.on('close', () => { this.fail(lost(name, 'the broker closed it')) })
    this.pings = setInterval(() => { this.send({ cmd: 'pingreq' }) }, KEEPALIVE_SECONDS * 1_000 / 2)
    this.pings.unref()
  }

  /** Sends the CONNECT; called once, by {@link connectMqtt}. */
  async login (username: string | undefined, password: string | undefined): Promise<void> {
    const packet = await this.ask('connack', undefined, {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.protocolVersion,
      clientId: `artemis-${randomUUID().slice(0, 13)}`,
      clean: true,
      keepalive: KEEPALIVE_SECONDS,
      ...username !== undefined && { username },
      ...password !== undefined && { password: Buffer.from(password) }
    })
    const code = packet.cmd === 'connack' ? packet.reasonCode ?? packet.returnCode ?? 0 : 0
    if (code === 0) return
    this.end()
    throw new OperatorError('mqtt-refused', `${this.name} refuses the connection: ${REFUSALS[code] ?? `code ${code}`}.`,
      'Check username and password: mqtt://user:password@host:port.')
  }

  /**
   * Subscribes to filters.
   * @throws OperatorError `mqtt-subscribe` where the broker grants one of them not
   */
  async subscribe (filters: readonly string[], qos: QoS = 1): Promise<void> {
    const messageId = this.nextId()
    const answer = await this.ask('suback', messageId, { cmd: 'subscribe', messageId, subscriptions: filters.map(topic => ({ topic, qos })) })
    const granted = (answer as ISubackPacket).granted as number[]
    const refused = filters.filter((_, i) => granted[i] === undefined || granted[i] >= 0x80)
    if (refused.length > 0) {
      throw new OperatorError('mqtt-subscribe', `${this.name} does not let this user read ${refused.map(filter => printable(filter)).join(', ')}.`,
        'Take a user that the broker\'s access rules allow to.')
    }
  }

  /** Publishes; under QoS 1 it resolves when the broker has acknowledged. */
  async publish (topic: string, payload: string | Buffer, { qos = 0, retain = false, properties }: MqttPublishOptions = {}): Promise<void> {
    const packet: IPublishPacket = { cmd: 'publish', topic, payload, qos, retain, dup: false, ...properties !== undefined && { properties } }
    if (qos === 0) {
      await new Promise<void>(resolve => { this.send(packet, resolve) })
      if (this.failure !== undefined) throw this.failure
      return
    }
    const messageId = this.nextId()
    const answer = await this.ask('puback', messageId, { ...packet, messageId })
    const code = answer.cmd === 'puback' ? answer.reasonCode ?? 0 : 0
    if (code >= 0x80) {
      throw new OperatorError('mqtt-publish', `${this.name} does not let this user write to ${printable(topic)}.`,
        'Take a user that the broker\'s access rules allow to.')
    }
  }

  /**
   * The next message.
   *
   * @returns undefined where none came within `timeoutMs`, or the connection was closed by {@link close}
   * @throws OperatorError `mqtt-lost` where the connection broke
   */
  async next (timeoutMs: number): Promise<MqttMessage | undefined> {
    if (this.inbox.length === 0 && !this.isClosed) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeoutMs)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.wake = undefined
    }
    const message = this.inbox.shift()
    if (this.inbox.length < INBOX_CAP) this.socket.resume()
    if (message === undefined && this.failure !== undefined) throw this.failure
    return message
  }

  /** All messages, until {@link close}. */
  async * [Symbol.asyncIterator] (): AsyncGenerator<MqttMessage> {
    while (!this.isClosed || this.inbox.length > 0) {
      const message = await this.next(this.timeoutMs)
      if (message !== undefined) yield message
    }
  }

  /** Takes leave; resolves when the connection is gone. */
  async close (): Promise<void> {
    if (this.isClosed) return
    this.send({ cmd: 'disconnect' })
    this.end()
    this.socket.resume()
    if (!this.socket.closed) await once(this.socket.end(), 'close', { signal: AbortSignal.timeout(this.timeoutMs) }).catch(() => this.socket.destroy())
  }

  /** Sends a packet and waits for the one that answers it. */
  private ask (cmd: Packet['cmd'], messageId: number | undefined, packet: Packet): Promise<Packet> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) {
        reject(this.failure ?? lost(this.name, 'it was closed'))
        return
      }
      const key = questionKey({ cmd, messageId })
      const timer = setTimeout(() => { this.questions.get(key)?.reject(timedOut(this.name, this.timeoutMs)) }, this.timeoutMs)
      const settle = (): void => {
        clearTimeout(timer)
        this.questions.delete(key)
      }
      this.questions.set(key, {
        resolve: answer => {
          settle()
          resolve(answer)
        },
        reject: error => {
          settle()
          reject(error)
        }
      })
      this.send(packet)
    })
  }

  private take (packet: Packet): void {
    if (packet.cmd === 'publish') this.message(packet)
    else if (packet.cmd === 'pubrel') this.release(packet.messageId ?? 0)
    else if (packet.cmd === 'disconnect') this.fail(lost(this.name, `the broker closed it, reason ${packet.reasonCode ?? 0}`))
    else this.questions.get(questionKey(packet))?.resolve(packet)
  }

  private release (messageId: number): void {
    this.unreleased.delete(messageId)
    this.send({ cmd: 'pubcomp', messageId })
  }

  private message ({ topic, payload, qos, retain, messageId = 0, properties }: IPublishPacket): void {
    const isAgain = qos === 2 && this.unreleased.has(messageId)
    if (qos === 1) this.send({ cmd: 'puback', messageId })
    if (qos === 2) {
      this.unreleased.add(messageId)
      this.send({ cmd: 'pubrec', messageId })
    }
    if (isAgain) return
    this.inbox.push({ topic, payload: Buffer.from(payload), qos, retain, properties })
    if (this.inbox.length >= INBOX_CAP) this.socket.pause()
    this.wake?.()
  }

  private send (packet: Packet, sent?: () => void): void {
    if (this.socket.writable) this.socket.write(generate(packet, { protocolVersion: this.protocolVersion }), sent)
    else sent?.()
  }

  private nextId (): number {
    this.lastId = this.lastId % MESSAGE_ID_CAP + 1
    return this.lastId
  }

  private fail (error: OperatorError): void {
    if (this.isClosed) return
    this.failure = error
    this.end()
    this.socket.destroy()
  }

  private end (): void {
    this.isClosed = true
    clearInterval(this.pings)
    for (const { reject } of [...this.questions.values()]) reject(this.failure ?? lost(this.name, 'it was closed'))
    this.wake?.()
  }
}

/** What a packet that was sent still waits for. */
interface Question {
  resolve: (answer: Packet) => void
  reject: (error: Error) => void
}

function questionKey ({ cmd, messageId }: Pick<Packet, 'cmd' | 'messageId'>): string {
  return `${cmd} ${messageId ?? ''}`
}

/** MQTT 3.1.1 return codes [3.2.2.3] and the reason codes of MQTT 5 that say the same. */
const REFUSALS: Readonly<Record<number, string>> = {
  1: 'it does not speak this version of MQTT',
  2: 'it does not like the client id',
  3: 'it is not available',
  4: 'wrong username or password',
  5: 'not authorised',
  0x84: 'it does not speak this version of MQTT',
  0x86: 'wrong username or password',
  0x87: 'not authorised',
  0x8a: 'banned'
}

function lost (name: string, reason: string): OperatorError {
  return new OperatorError('mqtt-lost', `The connection to ${name} was lost: ${printable(reason)}.`, 'Look into the log of the broker.')
}
