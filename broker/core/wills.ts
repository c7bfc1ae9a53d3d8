// Wills: stored while their clients are connected, published when these are gone, delayed where they say so.

import type { Client } from 'aedes'
import type { MessageSource } from './message.js'
import type { StoredWill, WillStore } from './persistence.js'

/** What publishes a will, where it still may be published. */
export type PublishWill = (will: MessageSource, client: Client | null, done: () => void) => void

/** A will that waits for its Will Delay Interval to pass [MQTT-3.1.3-9]. */
interface Delayed {
  client: Client | null
  will: MessageSource
  timer: NodeJS.Timeout
}

const SECOND_MS = 1_000
const MAX_TIMER_MS = 2 ** 31 - 1

/** The wills of all clients. */
export class Wills {
  /** Whose will is stored under a client id: another connection may have taken the id over. */
  readonly #owners = new Map<string, Client | null>()
  readonly #delayed = new Map<string, Delayed>()
  readonly #store: WillStore
  readonly #publishWill: PublishWill
  readonly #maxDelayed: number

  /**
   * @param maxDelayed wills that may wait; further ones are published at once
   */
  constructor(store: WillStore, publishWill: PublishWill, maxDelayed: number) {
    this.#store = store
    this.#publishWill = publishWill
    this.#maxDelayed = maxDelayed
  }

  /**
   * A client is connected: its will, or none, takes the place of the one that is stored.
   *
   * @param expiryS its Session Expiry Interval: its will waits no longer than that
   */
  begin(client: Client, will: MessageSource | null | undefined, expiryS: number): void {
    if (will !== null && will !== undefined) {
      this.#owners.set(client.id, client)
      this.#store.put(client.id, { ...will, delayS: Math.min(delayOf(will), expiryS) })
    } else if (this.#owners.delete(client.id)) this.#store.remove(client.id)
  }

  /** A client has said goodbye: its will is not wanted. */
  discard(client: Client): void {
    this.#forget(client.id, client)
  }

  /** Publishes a will. */
  publish(clientId: string, client: Client | null, will: MessageSource): void {
    this.#publishWill(will, client, () => {
      this.#forget(clientId, client)
    })
  }

  /** Publishes a will when the delay is over, unless {@link cancel} comes first. */
  delay(clientId: string, client: Client | null, will: MessageSource, delayS: number): void {
    if (this.#delayed.size >= this.#maxDelayed) {
      this.publish(clientId, client, will)
      return
    }
    const at = Date.now() + delayS * SECOND_MS
    const arm = (): NodeJS.Timeout =>
      setTimeout(
        () => {
          if (at <= Date.now()) this.publishNow(clientId)
          else this.#delayed.set(clientId, { client, will, timer: arm() })
        },
        Math.min(MAX_TIMER_MS, Math.max(0, at - Date.now()))
      ).unref()
    this.#delayed.set(clientId, { client, will, timer: arm() })
  }

  /** The session goes on: its will is not sent [MQTT-3.1.3-9]. */
  cancel(clientId: string): void {
    clearTimeout(this.#delayed.get(clientId)?.timer)
    this.#delayed.delete(clientId)
  }

  /** The session has ended: its will does not wait longer [MQTT-3.1.2-8]. */
  publishNow(clientId: string): void {
    const delayed = this.#delayed.get(clientId)
    if (delayed === undefined) return
    this.cancel(clientId)
    this.publish(clientId, delayed.client, delayed.will)
  }

  /**
   * Publishes the wills of clients that were connected when an earlier run was killed [MQTT-3.1.2-8]; delayed ones
   * wait,
   * so that their clients have a chance to come back.
   */
  async publishLeft(): Promise<void> {
    const left: StoredWill[] = []
    for await (const will of this.#store.left()) left.push(will)
    for (const { clientId, delayS: stored, ...will } of left) {
      Reflect.deleteProperty(will, 'brokerId')
      this.#owners.set(clientId, null)
      const delayS = stored ?? delayOf(will)
      if (delayS > 0) this.delay(clientId, null, will, delayS)
      else this.publish(clientId, null, will)
    }
  }

  /** Waits for none of them any more; they stay stored. */
  stop(): void {
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
  }

  #forget(clientId: string, client: Client | null): void {
    if (!this.#owners.has(clientId) || this.#owners.get(clientId) !== client) return
    this.#owners.delete(clientId)
    this.#store.remove(clientId)
  }
}

/** Will Delay Interval, seconds. */
export function delayOf({ properties }: MessageSource): number {
  const delay = properties?.willDelayInterval
  return typeof delay === 'number' ? delay : 0
}
