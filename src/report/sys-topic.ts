// Publishes alerts, status and scores under `$SYS`.

import type { Aedes, Client, Subscription } from 'aedes'
import { shownJson } from './json-line.js'
import { OWN_TOPIC_PREFIX } from '../join/own-traffic.js'

/** The topics; one each for all clients, since exporters make a metric of every `$SYS` topic. */
export const TOPICS = Object.freeze({
  alerts: `${OWN_TOPIC_PREFIX}alerts`,
  status: `${OWN_TOPIC_PREFIX}status`,
  scores: `${OWN_TOPIC_PREFIX}scores`
})

type PublishPacket = Parameters<Client['publish']>[0]

/** A SUBACK code from here on is a refusal [MQTT-3.9.3-2]. */
const REFUSED = 0x80

/**
 * The detection's voice on the broker. The status is retained here, in memory, and given to whoever
 * subscribes: Aedes' own retained messages go to the store, which may be an SD card.
 */
export class SysTopic {
  #latestStatus: Buffer | undefined
  readonly #onSubscribe = (subscriptions: Subscription[], client: Client): void => {
    const isAsked = ({ topic, qos }: Subscription): boolean => qos < REFUSED && filterMatches(topic, TOPICS.status)
    if (this.#latestStatus === undefined || !subscriptions.some(isAsked)) return
    // Aedes calls the callback without looking whether there is one.
    client.publish(this.#packet(TOPICS.status, this.#latestStatus, true), this.#told)
  }

  readonly #told = (error?: Error | null): void => {
    if (error) this.#onError(error)
  }
  readonly #aedes: Aedes
  readonly #onError: (error: Error) => void

  /**
   * @param onError gets what a publish failed with
   */
  constructor(aedes: Aedes, onError: (error: Error) => void) {
    this.#aedes = aedes
    this.#onError = onError
    aedes.on('subscribe', this.#onSubscribe)
  }

  alert(event: object): void {
    this.#publish(TOPICS.alerts, Buffer.from(shownJson(JSON.stringify(event))))
  }

  scores(scores: object): void {
    this.#publish(TOPICS.scores, Buffer.from(JSON.stringify(scores)))
  }

  /**
   * Keeps the status for whoever subscribes.
   *
   * @param isNews whether those who have subscribed should hear of it now
   */
  status(status: object, isNews = true): void {
    this.#latestStatus = Buffer.from(JSON.stringify(status))
    if (isNews) this.#publish(TOPICS.status, this.#latestStatus)
  }

  /** Gives the status to no new subscriber any more. */
  close(): void {
    this.#aedes.off('subscribe', this.#onSubscribe)
  }

  #publish(topic: string, payload: Buffer): void {
    if (this.#aedes.closed) return
    this.#aedes.publish(this.#packet(topic, payload, false), this.#told)
  }

  /**
   * Numbered apart from the broker's own messages: Aedes takes what is overtaken by a higher number for a
   * duplicate, and ours, which nobody stores, overtake what is still being stored.
   */
  #packet(topic: string, payload: Buffer, retain: boolean): PublishPacket & { brokerId: string } {
    return { cmd: 'publish', topic, payload, qos: 0, retain, dup: false, brokerId: `${this.#aedes.id}/artemis` }
  }
}

/** Whether a topic filter matches a topic that begins with `$` [MQTT-4.7.2-1]. */
export function filterMatches(filter: string, topic: string): boolean {
  const filterLevels = filter.split('/')
  const levels = topic.split('/')
  for (const [i, level] of filterLevels.entries()) {
    const isFirst = i === 0
    if (level === '#') return !isFirst
    if (level === '+' ? isFirst : level !== levels[i]) return false
  }
  return filterLevels.length === levels.length
}
