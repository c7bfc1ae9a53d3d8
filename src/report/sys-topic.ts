// Publishes alerts, status and scores under `$SYS`.

import type { Aedes, Client, Subscription } from 'aedes'
import { OWN_TOPIC_PREFIX } from '../join/own-traffic.js'

/** The topics; one each for all clients, since exporters make a metric of every `$SYS` topic. */
export const TOPICS = Object.freeze({
  alerts: `${OWN_TOPIC_PREFIX}alerts`,
  status: `${OWN_TOPIC_PREFIX}status`,
  scores: `${OWN_TOPIC_PREFIX}scores`
})

type PublishPacket = Parameters<Client['publish']>[0]

/**
 * The detection's voice on the broker. The status is retained here, in memory, and given to whoever
 * subscribes: Aedes' own retained messages go to the store, which may be an SD card.
 */
export class SysTopic {
  private latestStatus: Buffer | undefined
  private readonly onSubscribe = (subscriptions: Subscription[], client: Client): void => {
    if (this.latestStatus === undefined || !subscriptions.some(({ topic }) => filterMatches(topic, TOPICS.status))) return
    client.publish(packet(TOPICS.status, this.latestStatus, true))
  }

  /**
   * @param onError gets what a publish failed with
   */
  constructor (private readonly aedes: Aedes, private readonly onError: (error: Error) => void) {
    aedes.on('subscribe', this.onSubscribe)
  }

  alert (event: object): void {
    this.publish(TOPICS.alerts, Buffer.from(JSON.stringify(event)))
  }

  scores (scores: object): void {
    this.publish(TOPICS.scores, Buffer.from(JSON.stringify(scores)))
  }

  status (status: object): void {
    this.latestStatus = Buffer.from(JSON.stringify(status))
    this.publish(TOPICS.status, this.latestStatus)
  }

  /** Gives the status to no new subscriber any more. */
  close (): void {
    this.aedes.off('subscribe', this.onSubscribe)
  }

  private publish (topic: string, payload: Buffer): void {
    if (this.aedes.closed) return
    this.aedes.publish(packet(topic, payload, false), error => { if (error) this.onError(error) })
  }
}

function packet (topic: string, payload: Buffer, retain: boolean): PublishPacket {
  return { cmd: 'publish', topic, payload, qos: 0, retain, dup: false }
}

/** Whether a topic filter matches a topic that begins with `$` [MQTT-4.7.2-1]. */
export function filterMatches (filter: string, topic: string): boolean {
  const filterLevels = filter.split('/')
  const levels = topic.split('/')
  for (const [i, level] of filterLevels.entries()) {
    const isFirst = i === 0
    if (level === '#') return !isFirst
    if (level === '+' ? isFirst : level !== levels[i]) return false
  }
  return filterLevels.length === levels.length
}
