// Publishes broker statistics to $SYS/broker/..., with the topics and formats of mosquitto.

import { readFileSync } from 'node:fs'
import type { Broker } from '../core/broker.js'
import type { LimitCounters } from '../limits/limit-counters.js'
import { Load } from './load.js'

/** Topic of the limit counters, as JSON; not in mosquitto. */
export const LIMITS_TOPIC = '$SYS/broker/artemis/limits'

const SYS = '$SYS/broker/'
const SECOND_MS = 1_000
const PACKAGE = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const VERSION = `artemis version ${PACKAGE.version}`

/** Publishes changed statistics as retained messages. Retained messages under `$SYS` are kept in memory only. */
export class SysTree {
  readonly #published = new Map<string, string>()
  readonly #loads = new Map<string, Load>()
  readonly #startedAtMs = performance.now()
  #updatedAtMs = this.#startedAtMs
  #heapMaximum = 0
  #timer: NodeJS.Timeout | undefined
  readonly #broker: Broker
  readonly #limitCounters: LimitCounters

  constructor(broker: Broker, limitCounters: LimitCounters) {
    this.#broker = broker
    this.#limitCounters = limitCounters
  }

  /** Publishes now and every `intervalMs`. */
  start(intervalMs: number): void {
    this.#update()
    this.#timer = setInterval(() => {
      this.#update()
    }, intervalMs).unref()
  }

  /** Stops publishing. */
  stop(): void {
    clearInterval(this.#timer)
  }

  #update(): void {
    const now = performance.now()
    const elapsedMs = Math.max(1, now - this.#updatedAtMs)
    this.#updatedAtMs = now
    this.#publish(`${SYS}version`, VERSION)
    this.#publish(`${SYS}uptime`, `${Math.floor((now - this.#startedAtMs) / SECOND_MS)} seconds`)
    for (const [topic, value] of Object.entries(this.#statistics())) this.#publish(SYS + topic, String(value))
    for (const [name, count] of Object.entries(this.#loadCounts())) {
      let load = this.#loads.get(name)
      if (load === undefined) this.#loads.set(name, (load = new Load()))
      load.update(count, elapsedMs)
      for (const [period, text] of load.texts()) this.#publish(`${SYS}load/${name}/${period}`, text)
    }
    this.#publish(LIMITS_TOPIC, JSON.stringify(this.#limitCounters.counts))
  }

  #statistics(): Record<string, number> {
    const { traffic, sessions, retained, router } = this.#broker
    const { connected, total, subscriptions, messages, bytes } = sessions.counts
    const stored = retained.size + messages
    const { heapUsed, external } = process.memoryUsage()
    this.#heapMaximum = Math.max(this.#heapMaximum, heapUsed + external)
    return {
      'clients/total': total,
      'clients/connected': connected,
      'clients/active': connected,
      'clients/disconnected': total - connected,
      'clients/inactive': total - connected,
      'clients/expired': sessions.expired,
      'clients/maximum': sessions.maximum,
      'subscriptions/count': subscriptions,
      'shared_subscriptions/count': router.shared,
      'retained messages/count': retained.size,
      'messages/stored': stored,
      'store/messages/count': stored,
      'store/messages/bytes': retained.bytes + bytes,
      'messages/received': traffic.in.messages,
      'messages/sent': traffic.out.messages,
      'bytes/received': traffic.in.bytes,
      'bytes/sent': traffic.out.bytes,
      'publish/messages/dropped': this.#dropped(),
      'publish/messages/received': traffic.in.publishes,
      'publish/messages/sent': traffic.out.publishes,
      'publish/bytes/received': traffic.in.publishBytes,
      'publish/bytes/sent': traffic.out.publishBytes,
      'heap/current': heapUsed + external,
      'heap/maximum': this.#heapMaximum
    }
  }

  #loadCounts(): Record<string, number> {
    const { traffic } = this.#broker
    return {
      'messages/received': traffic.in.messages,
      'messages/sent': traffic.out.messages,
      'publish/received': traffic.in.publishes,
      'publish/sent': traffic.out.publishes,
      'publish/dropped': this.#dropped(),
      'bytes/received': traffic.in.bytes,
      'bytes/sent': traffic.out.bytes,
      sockets: traffic.sockets,
      connections: traffic.connects
    }
  }

  #dropped(): number {
    const { queuedMessages, queuedBytes } = this.#limitCounters.counts
    return queuedMessages + queuedBytes
  }

  #publish(topic: string, text: string): void {
    const broker = this.#broker
    if (broker.closed || this.#published.get(topic) === text) return
    this.#published.set(topic, text)
    broker.publish({ cmd: 'publish', topic, payload: Buffer.from(text), qos: 0, retain: true, dup: false }, null)
  }
}
