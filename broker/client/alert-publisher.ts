// Publishes alerts and status to another MQTT broker; reconnects when the connection is lost.

import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../src/errors.js'
import { printableJson } from '../../src/report/json-line.js'
import type { Endpoint } from '../../src/types.js'
import { connectMqtt, type MqttClient } from './mqtt-client.js'

/** Default topic prefix. Not `$SYS`: most brokers let no client publish there. */
export const DEFAULT_TOPIC_PREFIX = 'artemis'

/** Queued messages; beyond that the oldest is dropped. */
const MAX_QUEUED = 1_000
const MIN_RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000

interface Message {
  topic: string
  payload: string
  retain: boolean
}

/** A publisher that reconnects until it is closed. */
export class AlertPublisher {
  /** Messages dropped without delivery. */
  lost = 0
  /** Local endpoints of all its connections: the detection ignores their traffic. */
  readonly #localEndpoints = new Set<string>()
  readonly #queue: Message[] = []
  readonly #stopping = new AbortController()
  #client: MqttClient | undefined
  #wake: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #url: string
  readonly #prefix: string
  readonly #onError: (message: string) => void

  private constructor(url: string, prefix: string, onError: (message: string) => void) {
    this.#url = url
    this.#prefix = prefix
    this.#onError = onError
  }

  /**
   * Connects. Only the first connection must succeed; later failures are retried.
   *
   * @throws OperatorError as `connectMqtt`
   */
  static async open(url: string, prefix: string, onError: (message: string) => void): Promise<AlertPublisher> {
    const publisher = new AlertPublisher(url, prefix, onError)
    await publisher.#connect()
    publisher.#running = publisher.#run()
    return publisher
  }

  alert(event: object): void {
    this.#push({ topic: `${this.#prefix}/alerts`, payload: printableJson(JSON.stringify(event)), retain: false })
  }

  status(status: object): void {
    this.#push({ topic: `${this.#prefix}/status`, payload: JSON.stringify(status), retain: true })
  }

  /** Whether this is a local endpoint of the publisher. */
  isOwn({ address, port }: Endpoint): boolean {
    return this.#localEndpoints.has(`${address} ${port}`)
  }

  /** Publishes queued messages if the broker accepts them, then disconnects. */
  async close(): Promise<void> {
    this.#stopping.abort()
    this.#wake?.()
    await this.#running
    this.lost += this.#queue.length
    await this.#client?.close()
  }

  #push(message: Message): void {
    this.#queue.push(message)
    if (this.#queue.length > MAX_QUEUED) {
      this.#queue.shift()
      this.lost++
    }
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    for (let failures = 0; ;) {
      try {
        this.#client ??= await this.#connect()
        failures = 0
        for (let first = this.#queue.at(0); first !== undefined; first = this.#queue.at(0)) {
          await this.#client.publish(first.topic, first.payload, { qos: 1, retain: first.retain })
          this.#queue.shift()
        }
        if (signal.aborted) return
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
        this.#wake = undefined
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error
        this.#client = undefined
        if (failures === 0) this.#onError(`Cannot publish alerts and status: ${error.message}`)
        if (signal.aborted) return
        await sleep(Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** failures++), undefined, { signal }).catch(() => {})
      }
    }
  }

  async #connect(): Promise<MqttClient> {
    this.#client = await connectMqtt(this.#url)
    const { localEndpoint } = this.#client
    if (localEndpoint !== undefined) this.#localEndpoints.add(`${localEndpoint.address} ${localEndpoint.port}`)
    return this.#client
  }
}
