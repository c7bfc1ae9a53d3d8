// MQTT client of the commands that connect to a broker: MQTT.js with operator errors and a bounded inbox.

import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { IPublishPacket, MqttClient as Connection } from 'mqtt'
import { OperatorError } from '../../src/errors.js'
import { normaliseAddress } from '../../src/observe/address.js'
import type { Endpoint } from '../../src/types.js'
import { parseMqttUrl, type MqttTarget } from './mqtt-url.js'
import { printable } from '../terminal/printable.js'

/** A received message. */
export interface MqttMessage extends Pick<IPublishPacket, 'topic' | 'qos' | 'retain' | 'properties'> {
  payload: Buffer
}

/** Certificates for `mqtts://`; without `ca` the system trust store is used. */
export type TlsFiles = Partial<Record<'ca' | 'cert' | 'key', string | Buffer>>

/** Options of a connection. */
export interface MqttClientOptions {
  /** Timeout of the connection and of each response, ms. */
  timeoutMs?: number
  /** 4 is MQTT 3.1.1. */
  protocolVersion?: 4 | 5
  /** Receive Maximum of MQTT 5: most in-flight messages of QoS 1 and 2. Without it, the limit of the broker applies. */
  receiveMaximum?: number
  tls?: TlsFiles
}

/** Options of a publish. */
export interface MqttPublishOptions extends Partial<Pick<IPublishPacket, 'retain' | 'properties'>> {
  qos?: 0 | 1
}

const DEFAULT_TIMEOUT_MS = 10_000
/** Time for outstanding acknowledgements on close, ms. */
const CLOSE_TIMEOUT_MS = 2_000
/** Unread messages beyond which reading from the connection pauses. */
const MAX_INBOX = 1_000

/**
 * Connects with a clean session.
 *
 * @param url `mqtt://[user:password@]host[:port]`, or `mqtts://` for TLS; user and password percent-encoded
 * @throws OperatorError `mqtt-url`, `mqtt-unreachable`, `mqtt-refused` or `mqtt-timeout`
 */
export async function connectMqtt(url: string, options: MqttClientOptions = {}): Promise<MqttClient> {
  const target = parseMqttUrl(url)
  const { host, port, isTls, username, password } = target
  const { timeoutMs = DEFAULT_TIMEOUT_MS, protocolVersion = 4, receiveMaximum, tls } = options
  // Imported on demand, so that the broker itself does not load the library.
  const { default: mqtt } = await import('mqtt')
  const connection = mqtt.connect({
    protocol: isTls ? 'mqtts' : 'mqtt',
    host,
    port,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...tls,
    protocolVersion,
    ...(receiveMaximum !== undefined && { properties: { receiveMaximum } }),
    clientId: `artemis-${randomUUID().slice(0, 13)}`,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: timeoutMs
  })
  const client = new MqttClient(connection, target.shown, timeoutMs)
  try {
    await client.waitForConnack(target)
    return client
  } catch (error) {
    connection.end(true)
    throw error
  }
}

/** A connection to a broker. After subscribing, keep reading: a full inbox also holds back acknowledgements. */
export class MqttClient implements AsyncIterable<MqttMessage> {
  readonly #inbox: MqttMessage[] = []
  #wake: (() => void) | undefined
  #resume: (() => void) | undefined
  #failure: OperatorError | undefined
  #isClosed = false
  readonly #connection: Connection
  readonly #name: string
  readonly #timeoutMs: number

  constructor(connection: Connection, name: string, timeoutMs: number) {
    this.#connection = connection
    this.#name = name
    this.#timeoutMs = timeoutMs
    connection.handleMessage = ({ topic, payload, qos, retain, properties }, done) => {
      this.#inbox.push({ topic, payload: Buffer.from(payload), qos, retain, properties })
      // MQTT.js pauses reading until the callback is called.
      if (this.#inbox.length < MAX_INBOX) done()
      else this.#resume = done
      this.#wake?.()
    }
    connection.on('error', error => {
      this.#fail(error.message)
    })
    connection.on('disconnect', ({ reasonCode }) => {
      this.#fail(`closed by the broker, reason code ${reasonCode ?? 0}`)
    })
    connection.on('close', () => {
      this.#fail('closed by the broker')
    })
  }

  /** Resolves when the CONNACK arrives; called once, by {@link connectMqtt}. */
  async waitForConnack(target: MqttTarget): Promise<void> {
    let cause: Error | undefined
    this.#connection.once('error', error => {
      cause = error
    })
    const outcome = await new Promise<'connected' | 'closed'>(resolve => {
      this.#connection.once('connect', () => {
        resolve('connected')
      })
      this.#connection.once('close', () => {
        resolve('closed')
      })
    })
    if (outcome === 'connected') return
    if (cause !== undefined && isRefusal(cause)) {
      throw new OperatorError(
        'mqtt-refused',
        `${this.#name} refused the connection: ${printable(cause.message)}.`,
        'Check the username and password: mqtt://user:password@host:port.',
        { cause }
      )
    }
    if (cause === undefined) throw this.#failure ?? connectionLost(this.#name, 'closed by the broker')
    if (cause.message === 'connack timeout') throw timedOut(this.#name, this.#timeoutMs)
    throw new OperatorError(
      'mqtt-unreachable',
      `Cannot connect to ${this.#name}: ${reasonOf(cause)}.`,
      target.isTls
        ? "Check the host and port, and that this machine trusts the broker's certificate."
        : 'Check the host and port, and that the broker is running.',
      { cause }
    )
  }

  /**
   * Subscribes to topic filters.
   * @throws OperatorError `mqtt-subscribe` if the broker refuses one of them
   */
  async subscribe(filters: readonly string[], qos: 0 | 1 | 2 = 1): Promise<void> {
    this.#checkOpen()
    const granted = await this.#withTimeout(
      this.#connection.subscribeAsync([...filters], { qos }).catch((error: unknown) => {
        if (this.#failure !== undefined) throw this.#failure
        throw new OperatorError(
          'mqtt-subscribe',
          `${this.#name} refused the subscription to ${filters.map(filter => printable(filter)).join(', ')}: ${printable((error as Error).message)}.`,
          "Use a user that the broker's access rules allow to read them.",
          { cause: error }
        )
      })
    )
    const refused = granted.filter(grant => grant.qos >= 0x80)
    if (refused.length > 0) {
      throw new OperatorError(
        'mqtt-subscribe',
        `${this.#name} refused the subscription to ${refused.map(({ topic }) => printable(topic)).join(', ')}.`,
        "Use a user that the broker's access rules allow to read them."
      )
    }
  }

  /**
   * Publishes a message. With QoS 1, resolves when the broker acknowledges it.
   * @throws OperatorError `mqtt-publish` if the broker refuses it (MQTT 5), `mqtt-lost`, `mqtt-timeout`
   */
  async publish(
    topic: string,
    payload: string | Buffer,
    { qos = 0, retain = false, properties }: MqttPublishOptions = {}
  ): Promise<void> {
    this.#checkOpen()
    await this.#withTimeout(
      this.#connection
        .publishAsync(topic, payload, { qos, retain, ...(properties !== undefined && { properties }) })
        .catch((error: unknown) => {
          if (this.#failure !== undefined) throw this.#failure
          throw new OperatorError(
            'mqtt-publish',
            `${this.#name} refused the message to ${printable(topic)}: ${printable((error as Error).message)}.`,
            "Use a user that the broker's access rules allow to write to it.",
            { cause: error }
          )
        })
    )
  }

  /**
   * Returns the next message.
   *
   * @returns undefined if none arrives within `timeoutMs`, or after {@link close}
   * @throws OperatorError `mqtt-lost` if the connection was lost
   */
  async next(timeoutMs: number): Promise<MqttMessage | undefined> {
    if (this.#inbox.length === 0 && !this.#isClosed) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeoutMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
    const message = this.#inbox.shift()
    this.#resumeReading()
    if (message === undefined && this.#failure !== undefined) throw this.#failure
    return message
  }

  /** All messages, until {@link close}. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MqttMessage> {
    while (!this.#isClosed || this.#inbox.length > 0) {
      const message = await this.next(this.#timeoutMs)
      if (message !== undefined) yield message
    }
  }

  /** Local endpoint of the connection: its remote endpoint for the broker, unless NAT is in between. */
  get localEndpoint(): Endpoint | undefined {
    const { localAddress, localPort } = this.#connection.stream as Partial<Socket>
    return localAddress === undefined || localPort === undefined
      ? undefined
      : { address: normaliseAddress(localAddress), port: localPort }
  }

  /** Disconnects; resolves when the connection is closed. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#wake?.()
    this.#resumeReading()
    // MQTT.js disconnects only when all messages are acknowledged, which may never happen.
    const timer = setTimeout(() => {
      this.#connection.stream.destroy()
    }, CLOSE_TIMEOUT_MS)
    const closed = new Promise<void>(resolve => {
      this.#connection.once('close', () => {
        resolve()
      })
    })
    await Promise.race([this.#connection.endAsync(), closed])
    clearTimeout(timer)
  }

  #resumeReading(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  /** Waits for a response of the broker; rejects after the timeout. */
  async #withTimeout<T>(response: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(this.#failure ?? timedOut(this.#name, this.#timeoutMs))
      }, this.#timeoutMs)
    })
    try {
      return await Promise.race([response, timeout])
    } finally {
      clearTimeout(timer)
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#failure ?? connectionLost(this.#name, 'already closed')
  }

  #fail(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#failure = connectionLost(this.#name, reason)
    this.#wake?.()
    this.#resumeReading()
    this.#connection.end(true)
  }
}

/** Whether the broker refused the connection: MQTT.js reports return codes as numbers and system errors as names. */
function isRefusal(error: Error): boolean {
  return typeof (error as { code?: unknown }).code === 'number'
}

/** Returns the reason of an error. An AggregateError, for a host with several addresses, has only a code. */
function reasonOf(error: Error): string {
  return printable(error.message === '' ? String((error as NodeJS.ErrnoException).code) : error.message)
}

function timedOut(name: string, timeoutMs: number): OperatorError {
  return new OperatorError(
    'mqtt-timeout',
    `${name} did not answer within ${timeoutMs / 1_000} s.`,
    'Check the host and port, and that the broker is running.'
  )
}

function connectionLost(name: string, reason: string): OperatorError {
  return new OperatorError(
    'mqtt-lost',
    `The connection to ${name} was lost: ${printable(reason)}.`,
    "Check the broker's log."
  )
}
