// Publishes alerts, status and scores under `$SYS`.

import type { Aedes, Client, Subscription } from 'aedes'
import { printableJson } from './json-line.js'
import { OWN_TOPIC_PREFIX } from '../join/own-traffic.js'
import { matches } from '../topics.js'

/** The topics. Shared by all clients, because exporters create a metric for every `$SYS` topic. */
export const TOPICS = Object.freeze({
  alerts: `${OWN_TOPIC_PREFIX}alerts`,
  status: `${OWN_TOPIC_PREFIX}status`,
  scores: `${OWN_TOPIC_PREFIX}scores`
})

const STATUS_LEVELS = TOPICS.status.split('/')

type PublishPacket = Parameters<Client['publish']>[0]

/** SUBACK codes from here on are failures [MQTT-3.9.3-2]. */
const SUBACK_FAILURE = 0x80

/**
 * Publishes the detection's messages. Keeps the retained status in memory and sends it to new subscribers: Aedes would
 * write a retained message to the store, which may be on an SD card.
 */
export class SysTopic {
  #latestStatus: Buffer | undefined
  readonly #onSubscribe = (subscriptions: Subscription[], client: Client): void => {
    const includesStatus = ({ topic, qos }: Subscription): boolean =>
      qos < SUBACK_FAILURE && matches(topic.split('/'), STATUS_LEVELS)
    if (this.#latestStatus === undefined || !subscriptions.some(includesStatus)) return
    // Aedes calls the callback without checking that it exists.
    client.publish(this.#packet(TOPICS.status, this.#latestStatus, true), this.#onPublished)
  }

  readonly #onPublished = (error?: Error | null): void => {
    if (error) this.#onError(error)
  }
  readonly #aedes: Aedes
  readonly #onError: (error: Error) => void

  /**
   * @param onError receives the error of a failed publish
   */
  constructor(aedes: Aedes, onError: (error: Error) => void) {
    this.#aedes = aedes
    this.#onError = onError
    aedes.on('subscribe', this.#onSubscribe)
  }

  alert(event: object): void {
    this.#publish(TOPICS.alerts, Buffer.from(printableJson(JSON.stringify(event))))
  }

  scores(scores: object): void {
    this.#publish(TOPICS.scores, Buffer.from(JSON.stringify(scores)))
  }

  /**
   * Keeps the status for new subscribers.
   *
   * @param isNews whether to publish it to current subscribers
   */
  status(status: object, isNews = true): void {
    this.#latestStatus = Buffer.from(JSON.stringify(status))
    if (isNews) this.#publish(TOPICS.status, this.#latestStatus)
  }

  /** Stops sending the status to new subscribers. */
  close(): void {
    this.#aedes.off('subscribe', this.#onSubscribe)
  }

  #publish(topic: string, payload: Buffer): void {
    if (this.#aedes.closed) return
    this.#aedes.publish(this.#packet(topic, payload, false), this.#onPublished)
  }

  /**
   * The `brokerId` differs from the broker's own. Aedes discards messages overtaken by a higher number as duplicates,
   * and these messages, which are not stored, overtake those being stored.
   */
  #packet(topic: string, payload: Buffer, retain: boolean): PublishPacket & { brokerId: string } {
    return { cmd: 'publish', topic, payload, qos: 0, retain, dup: false, brokerId: `${this.#aedes.id}/artemis` }
  }
}
