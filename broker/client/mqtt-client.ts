// A client for the commands that talk to a running broker: MQTT.js, with errors for operators and a capped inbox.

import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { IPublishPacket, MqttClient as Connection } from 'mqtt'
import { OperatorError } from '../../src/errors.js'
import { normaliseAddress } from '../../src/observe/address.js'
import type { Endpoint } from '../../src/types.js'
import { parseMqttUrl, type MqttTarget } from './mqtt-url.js'
import { printable } from '../terminal/printable.js'

/** A message that the broker sent. */
export interface MqttMessage extends Pick<IPublishPacket, 'topic' | 'qos' | 'retain' | 'properties'> {
  payload: Buffer
}

/** Certificates for `mqtts://`; without a `ca` those that the system trusts. */
export type TlsFiles = Partial<Record<'ca' | 'cert' | 'key', string | Buffer>>

/** How to connect; everything but the URL has its default. */
export interface MqttClientOptions {
  /** Milliseconds for the connection, and for each answer of the broker. */
  timeoutMs?: number
  /** 4 is MQTT 3.1.1. */
  protocolVersion?: 4 | 5
  /**
   * Messages of QoS 1 and 2 that may be on their way here at a time, MQTT 5; without it the broker's own limit counts.
   */
  receiveMaximum?: number
  tls?: TlsFiles
}

/** What goes with a publish. */
export interface MqttPublishOptions extends Partial<Pick<IPublishPacket, 'retain' | 'properties'>> {
  qos?: 0 | 1
}

const DEFAULT_TIMEOUT_MS = 10_000
/** Time for the broker to acknowledge what is still unacknowledged when the client takes leave. */
const GOODBYE_MS = 2_000
/** Messages that wait for their reader before the connection is read no further. */
const INBOX_CAP = 1_000

/**
 * Connects with a clean session.
 *
 * @param url `mqtt://[user:password@]host[:port]`, or `mqtts://` for TLS; parts percent-encoded
 * @throws OperatorError `mqtt-url`, `mqtt-unreachable`, `mqtt-refused` or `mqtt-timeout`
 */
export async function connectMqtt(url: string, options: MqttClientOptions = {}): Promise<MqttClient> {
  const target = parseMqttUrl(url)
  const { host, port, isTls, username, password } = target
  const { timeoutMs = DEFAULT_TIMEOUT_MS, protocolVersion = 4, receiveMaximum, tls } = options
  // A broker that runs no such command should not carry the library.
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
    await client.opened(target)
    return client
  } catch (error) {
    connection.end(true)
    throw error
  }
}

/** A connection to a broker. Whoever subscribes must read: acknowledgements come the same way as messages. */
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
      // The library reads on when it is called back.
      if (this.#inbox.length < INBOX_CAP) done()
      else this.#resume = done
      this.#wake?.()
    }
    connection.on('error', error => {
      this.#lose(error.message)
    })
    connection.on('disconnect', ({ reasonCode }) => {
      this.#lose(`the broker closed it, reason ${reasonCode ?? 0}`)
    })
    connection.on('close', () => {
      this.#lose('the broker closed it')
    })
  }

  /** Resolves with the broker's CONNACK; called once, by {@link connectMqtt}. */
  async opened(target: MqttTarget): Promise<void> {
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
        `${this.#name} refuses the connection: ${printable(cause.message)}.`,
        'Check username and password: mqtt://user:password@host:port.',
        { cause }
      )
    }
    if (cause === undefined) throw this.#failure ?? lost(this.#name, 'the broker closed it')
    if (cause.message === 'connack timeout') throw timedOut(this.#name, this.#timeoutMs)
    throw new OperatorError(
      'mqtt-unreachable',
      `Nobody can be reached at ${this.#name}: ${reasonOf(cause)}.`,
      target.isTls
        ? "Check host and port, and that the broker's certificate is one that is trusted here."
        : 'Check host and port, and whether the broker runs.',
      { cause }
    )
  }

  /**
   * Subscribes to filters.
   * @throws OperatorError `mqtt-subscribe` where the broker grants one of them not
   */
  async subscribe(filters: readonly string[], qos: 0 | 1 | 2 = 1): Promise<void> {
    this.#checkOpen()
    const granted = await this.#answerTo(
      this.#connection.subscribeAsync([...filters], { qos }).catch((error: unknown) => {
        if (this.#failure !== undefined) throw this.#failure
        throw new OperatorError(
          'mqtt-subscribe',
          `${this.#name} does not let this user read ${filters.map(filter => printable(filter)).join(', ')}: ${printable((error as Error).message)}.`,
          "Take a user that the broker's access rules allow to.",
          { cause: error }
        )
      })
    )
    const refused = granted.filter(one => one.qos >= 0x80)
    if (refused.length > 0) {
      throw new OperatorError(
        'mqtt-subscribe',
        `${this.#name} does not let this user read ${refused.map(({ topic }) => printable(topic)).join(', ')}.`,
        "Take a user that the broker's access rules allow to."
      )
    }
  }

  /**
   * Publishes; under QoS 1 it resolves when the broker has acknowledged.
   * @throws OperatorError `mqtt-publish` where the broker refuses it (MQTT 5), `mqtt-lost`, `mqtt-timeout`
   */
  async publish(
    topic: string,
    payload: string | Buffer,
    { qos = 0, retain = false, properties }: MqttPublishOptions = {}
  ): Promise<void> {
    this.#checkOpen()
    await this.#answerTo(
      this.#connection
        .publishAsync(topic, payload, { qos, retain, ...(properties !== undefined && { properties }) })
        .catch((error: unknown) => {
          if (this.#failure !== undefined) throw this.#failure
          throw new OperatorError(
            'mqtt-publish',
            `${this.#name} does not let this user write to ${printable(topic)}: ${printable((error as Error).message)}.`,
            "Take a user that the broker's access rules allow to.",
            { cause: error }
          )
        })
    )
  }

  /**
   * The next message.
   *
   * @returns undefined where none came within `timeoutMs`, or the connection was closed by {@link close}
   * @throws OperatorError `mqtt-lost` where the connection broke
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
    this.#readOn()
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

  /** Our end of the connection, as the broker sees it unless addresses are translated on the way. */
  get localEnd(): Endpoint | undefined {
    const { localAddress, localPort } = this.#connection.stream as Partial<Socket>
    return localAddress === undefined || localPort === undefined
      ? undefined
      : { address: normaliseAddress(localAddress), port: localPort }
  }

  /** Takes leave; resolves when the connection is gone. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#wake?.()
    this.#readOn()
    // The library takes leave when all is acknowledged, which a broker may never do.
    const impatience = setTimeout(() => {
      this.#connection.stream.destroy()
    }, GOODBYE_MS)
    const closed = new Promise<void>(resolve => {
      this.#connection.once('close', () => {
        resolve()
      })
    })
    await Promise.race([this.#connection.endAsync(), closed])
    clearTimeout(impatience)
  }

  #readOn(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  /** What the broker answers, within the time it has. */
  async #answerTo<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(this.#failure ?? timedOut(this.#name, this.#timeoutMs))
      }, this.#timeoutMs)
    })
    try {
      return await Promise.race([answer, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#failure ?? lost(this.#name, 'it was closed')
  }

  #lose(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#failure = lost(this.#name, reason)
    this.#wake?.()
    this.#readOn()
    this.#connection.end(true)
  }
}

/** MQTT.js gives the broker's return code as a number, and the system's as a name. */
function isRefusal(error: Error): boolean {
  return typeof (error as { code?: unknown }).code === 'number'
}

/** An AggregateError, of a name with several addresses, has no message. */
function reasonOf(error: Error): string {
  return printable(error.message === '' ? String((error as NodeJS.ErrnoException).code) : error.message)
}

function timedOut(name: string, timeoutMs: number): OperatorError {
  return new OperatorError(
    'mqtt-timeout',
    `${name} did not answer within ${timeoutMs / 1_000} s.`,
    'Check host and port, and whether the broker runs.'
  )
}

function lost(name: string, reason: string): OperatorError {
  return new OperatorError(
    'mqtt-lost',
    `The connection to ${name} was lost: ${printable(reason)}.`,
    'Look into the log of the broker.'
  )
}
