// Publishes alerts and status to a broker that is not ours, and goes on when it cannot be reached.

import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../src/errors.js'
import { shownJson } from '../../src/report/json-line.js'
import type { Endpoint } from '../../src/types.js'
import { connectMqtt, type MqttClient } from './mqtt-client.js'

/** Where clients may publish on any broker; `$SYS` most brokers refuse to everybody. */
export const DEFAULT_TOPIC_PREFIX = 'artemis'

/** Messages that wait for the broker; the oldest makes room. */
const WAITING_CAP = 1_000
const SHORTEST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

interface Message {
  topic: string
  payload: string
  retain: boolean
}

/** A connection that is made anew as long as it is wanted. */
export class AlertPublisher {
  /** Messages that no broker got. */
  lost = 0
  /** Our own ends of the connections so far: what the tap sees of them is not judged. */
  readonly #ends = new Set<string>()
  readonly #waiting: Message[] = []
  readonly #stopping = new AbortController()
  #client: MqttClient | undefined
  #wake: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #url: string
  readonly #prefix: string
  readonly #onTrouble: (message: string) => void

  private constructor(url: string, prefix: string, onTrouble: (message: string) => void) {
    this.#url = url
    this.#prefix = prefix
    this.#onTrouble = onTrouble
  }

  /**
   * Connects for the first time.
   *
   * @throws OperatorError as `connectMqtt` does: an address that does not work at first is a mistake
   */
  static async open(url: string, prefix: string, onTrouble: (message: string) => void): Promise<AlertPublisher> {
    const publisher = new AlertPublisher(url, prefix, onTrouble)
    await publisher.#connect()
    publisher.#running = publisher.#run()
    return publisher
  }

  alert(event: object): void {
    this.#push({ topic: `${this.#prefix}/alerts`, payload: shownJson(JSON.stringify(event)), retain: false })
  }

  status(status: object): void {
    this.#push({ topic: `${this.#prefix}/status`, payload: JSON.stringify(status), retain: true })
  }

  /** Whether this is our own end of a connection to the broker. */
  isOwn({ address, port }: Endpoint): boolean {
    return this.#ends.has(`${address} ${port}`)
  }

  /** Publishes what waits, as far as the broker takes it, and takes leave. */
  async close(): Promise<void> {
    this.#stopping.abort()
    this.#wake?.()
    await this.#running
    this.lost += this.#waiting.length
    await this.#client?.close()
  }

  #push(message: Message): void {
    this.#waiting.push(message)
    if (this.#waiting.length > WAITING_CAP) {
      this.#waiting.shift()
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
        for (let first = this.#waiting.at(0); first !== undefined; first = this.#waiting.at(0)) {
          await this.#client.publish(first.topic, first.payload, { qos: 1, retain: first.retain })
          this.#waiting.shift()
        }
        if (signal.aborted) return
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
        this.#wake = undefined
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error
        this.#client = undefined
        if (failures === 0) this.#onTrouble(`nothing can be published: ${error.message}`)
        if (signal.aborted) return
        await sleep(Math.min(LONGEST_RETRY_MS, SHORTEST_RETRY_MS * 2 ** failures++), undefined, { signal }).catch(
          () => {}
        )
      }
    }
  }

  async #connect(): Promise<MqttClient> {
    this.#client = await connectMqtt(this.#url)
    const { localEnd } = this.#client
    if (localEnd !== undefined) this.#ends.add(`${localEnd.address} ${localEnd.port}`)
    return this.#client
  }
}
